"""Elman, LSTM and GRU: their equations written out, and torch's own modules with the same weights."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from mnesis.memories.recurrent.elman import Elman
from mnesis.memories.recurrent.gru import GRU
from mnesis.memories.recurrent.lstm import LSTM

CELLS = {Elman: nn.RNN, GRU: nn.GRU, LSTM: nn.LSTM}
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
every_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)


def make(cell, dim: int = 5, **options):
    torch.manual_seed(0)
    return cell(dim, **options).double()


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def elman(x: Tensor, past: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    w, u, b, c = weights
    return [(w @ x + b + u @ past[0] + c).tanh()]


def gru(x: Tensor, past: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    (w_r, w_z, w_n), (u_r, u_z, u_n), (b_r, b_z, b_n), (c_r, c_z, c_n) = (p.chunk(3) for p in weights)
    (h,) = past
    r = (w_r @ x + b_r + u_r @ h + c_r).sigmoid()
    z = (w_z @ x + b_z + u_z @ h + c_z).sigmoid()
    n = (w_n @ x + b_n + r * (u_n @ h + c_n)).tanh()
    return [(1 - z) * n + z * h]


def lstm(x: Tensor, past: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    h, cell = past
    i, f, g, o = (w @ x + b + u @ h + c for w, u, b, c in zip(*(p.chunk(4) for p in weights), strict=True))
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return [o.sigmoid() * cell.tanh(), cell]


@pytest.mark.parametrize(("cell", "equations"), [(Elman, elman), (GRU, gru), (LSTM, lstm)])
def test_equations(cell, equations) -> None:
    memory, x = make(cell, hidden=4), draw(1, 30, 5)
    state = memory.initial_state(1, device=x.device, dtype=x.dtype)
    y, after = memory(x, state)
    past, weights = [leaf[0] for leaf in state], memory.weights(torch.float64)
    for t in range(30):
        past = equations(x[0, t], past, weights)
        expected = memory.output.weight @ past[0] + memory.output.bias
        assert (y[0, t] - expected).abs().max() < 1e-12
    for leaf, expected in zip(after, past, strict=True):
        assert (leaf[0] - expected).abs().max() < 1e-12


@every_cell
def test_torch_module_with_the_same_weights(cell) -> None:
    memory, x = make(cell), draw(2, 30, 5)
    module = CELLS[cell](5, 5, batch_first=True).double()
    with torch.no_grad():
        for parameter, weight in zip(module.parameters(), memory.weights(torch.float64), strict=True):
            parameter.copy_(weight)
    y, state = memory(x.requires_grad_())
    expected, last = module(x)
    last = last if isinstance(last, tuple) else (last,)
    assert torch.equal(y, expected)
    for leaf, end in zip(state, last, strict=True):
        assert torch.equal(leaf, end[0])
    ours = torch.autograd.grad(_loss(y, state), [x, *memory.parameters()])
    theirs = torch.autograd.grad(_loss(expected, last), [x, *module.parameters()])
    for found, gradient in zip(ours, theirs, strict=True):
        assert torch.equal(found, gradient)


def _loss(y: Tensor, state: Iterable[Tensor]) -> Tensor:
    return y.square().sum() + sum(leaf.square().sum() for leaf in state)


@every_cell
def test_torch_module_from_a_carried_state(cell) -> None:
    """In pieces and steps, behind the map that leads back to the width of the model."""
    memory, x = make(cell, hidden=4), draw(2, 30, 5)
    module = CELLS[cell](5, 4, batch_first=True).double()
    module.load_state_dict(
        {f"{name}_l0": weight for name, weight in zip(WEIGHTS, memory.weights(torch.float64), strict=True)}
    )
    start = [draw(2, 4) * scale for scale in (0.5, 2.0)][: 2 if cell is LSTM else 1]
    own = memory.initial_state(2, device=x.device, dtype=x.dtype)
    h, last = module(x, tuple(leaf[None] for leaf in start) if cell is LSTM else start[0][None])
    first, state = memory(x[:, :7], type(own)(*start))
    second, state = memory.step(x[:, 7], state)
    third, state = memory(x[:, 8:], state)
    y = torch.cat([first, second[:, None], third], 1)
    assert (y - memory.output(h)).abs().max() < 1e-14
    for leaf, end in zip(state, last if cell is LSTM else (last,), strict=True):
        assert (leaf - end[0]).abs().max() < 1e-14


@every_cell
def test_steps_are_differentiable(cell) -> None:
    memory, x = make(cell), draw(2, 5)
    state = memory.initial_state(2, device=x.device, dtype=x.dtype)
    leaves = [x.requires_grad_(), *(leaf.requires_grad_() for leaf in state)]

    def step(x: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        y, after = memory.step(x, type(state)(*leaves))
        return (y, *after)

    assert torch.autograd.gradcheck(step, leaves)


@every_cell
def test_width_of_the_state(cell) -> None:
    assert isinstance(cell(6).output, nn.Identity)
    memory = cell(6, hidden=9)
    y, state = memory(torch.randn(2, 3, 6))
    assert y.shape == (2, 3, 6)
    assert {leaf.shape for leaf in state} == {(2, 9)}
    assert len(state) == (2 if cell is LSTM else 1)


def test_a_state_of_another_cell_is_refused() -> None:
    _, state = LSTM(6)(torch.randn(2, 3, 6))
    with pytest.raises(ValueError, match="the state of another memory"):
        GRU(6)(torch.randn(2, 3, 6), state)


@every_cell
@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_autocast_asks_for_no_kernel_that_the_processor_lacks(cell, narrow) -> None:
    """oneDNN has an LSTM in bfloat16 from AVX-512 on only, and in float16 from AMX on."""
    memory, x = make(cell).float(), draw(2, 6, 5).float()
    plain, _ = memory(x)
    with torch.autocast("cpu", narrow):
        y, state = memory(x[:, :4])
        rest, state = memory(x[:, 4:], state)
    assert [leaf.dtype for leaf in state] == [narrow] * len(state)
    assert (torch.cat([y, rest], 1).float() - plain).abs().max() < 2e-2
    rest.float().sum().backward()
    assert all(weight.grad is not None for weight in memory.parameters())
