"""Work counted by hand, and a rule for everything that the catalog's memories run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mnesis.core.catalog import Card, create_memory, list_memories
from mnesis.core.memory import Memory
from mnesis.core.task import Episode
from mnesis.measure.metering.work import work


def read(length: int = 64, rows: int = 2, dim: int = 16) -> Episode:
    x = torch.randn(rows, length, dim)
    return Episode(x, x, torch.ones(rows, length))


class Fading(Memory[Tensor]):
    """One matrix product and two elementwise operations a unit."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.width, self.input = dim, nn.Linear(dim, dim, bias=False)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        return torch.zeros(batch, self.width, device=device, dtype=dtype)

    def scan(self, x, state, phase=0):
        kept = []
        for unit in self.input(x).unbind(1):
            state = 0.5 * state + unit
            kept.append(state)
        return torch.stack(kept, 1), state.clone()


class Turning(Fading):
    """The same with complex numbers, and a Fourier transform."""

    def scan(self, x, state, phase=0):
        turned = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * 1j
        return torch.fft.fft(turned, dim=1).real.repeat(1, 1, 2), state


@pytest.mark.parametrize("length", [1, 7, 64])
def test_by_hand(length) -> None:
    found = work(Fading(16), read(length))
    assert found.products == 16 * 16
    assert found.elementwise == 2 * 16
    assert found.multiply_adds == 288


def test_complex_numbers() -> None:
    found = work(Turning(16), read(32))
    assert found.products == 0
    assert found.elementwise == 8 * 4 + 8 * 5, "a product of 8 numbers, and log2 32 for each"


def test_torch_kernels_that_flop_counters_pass_over() -> None:
    """Both of these are single operations on a CPU."""
    assert work(create_memory("lstm", dim=16), read()).products == 4 * 16 * 32
    found = work(create_memory("window", dim=16, heads=2, window=8), read(512))
    assert found.products >= 4 * 16 * 16 + 2 * 16 * 8


@pytest.mark.parametrize("card", list_memories(), ids=lambda card: card.name)
def test_every_memory_can_be_counted(card: Card) -> None:
    torch.manual_seed(0)
    network = create_memory(card.name, **card.example)
    found = work(network, read(dim=card.example.get("dim", 16)))
    assert 0 < found.multiply_adds < 10**7
    assert network.training


def test_an_unknown_operation_is_no_nothing() -> None:
    network = Fading(16)
    network.scan = lambda x, state, phase=0: (torch.linalg.qr(x)[0], state)
    with pytest.raises(NotImplementedError, match=r"no rule says what aten\.linalg_qr computes"):
        work(network, read())
