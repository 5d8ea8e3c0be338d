"""A memory of one's own whose state is a class of its own, as the text of a file."""

OWN = """
from typing import NamedTuple
import torch, mnesis
class MyState(NamedTuple):
    sum: torch.Tensor
class Mine(mnesis.Memory[MyState]):
    def __init__(self, dim: int = 3) -> None:
        super().__init__()
        self.dim = dim
    def initial_state(self, batch, *, device, dtype): return MyState(torch.ones(batch, 3, device=device, dtype=dtype))
    def scan(self, x, state, phase=0): return x, MyState(state.sum + x.sum(1))
"""
