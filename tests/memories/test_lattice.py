"""Lattice: the layer written out by the gradient of its objectives, what a write leaves alone, state and options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.plastic.lattice import OBJECTIVES, Lattice

every_objective = pytest.mark.parametrize("objective", OBJECTIVES)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def loss(objective: str, slots: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Of one head and unit; slots of any length are read through their directions."""
    unit = slots / slots.norm(dim=-1, keepdim=True)
    if objective == "decoding":
        return 0.5 * (value - key @ unit).square().sum()
    return -value @ (key @ unit)


def written_out(memory: Lattice, x: Tensor) -> Tensor:
    """One row, from the first slots, unit by unit and head by head; gradients by autograd."""
    part = memory.query_key_value
    projected = x @ part.projection.weight.T
    if part.convolution is not None:
        width, weight = part.convolution.width, part.convolution.weight
        padded = torch.cat([projected.new_zeros(width - 1, projected.shape[1]), projected])
        projected = projected + sum(padded[width - 1 - j :][: len(x)] * weight[j] for j in range(width))
    q, k, v = (each.unflatten(-1, (part.heads, -1)).detach() for each in projected.split(part.sizes, -1))
    gamma = (x @ memory.step_size.weight.T).sigmoid()
    slots = [start / start.norm(dim=-1, keepdim=True) for start in memory.start.detach()]
    outputs = []
    for t in range(len(x)):
        for h, held in enumerate(slots):
            held = held.requires_grad_()
            (gradient,) = torch.autograd.grad(loss(memory.objective, held, k[t, h], v[t, h]), held)
            moved = (held - gamma[t, h] * gradient).detach()
            slots[h] = moved / moved.norm(dim=-1, keepdim=True)
        outputs.append(torch.cat([q[t, h] @ slots[h] for h in range(part.heads)]) @ memory.output.weight.T)
    return torch.stack(outputs)


@every_objective
@pytest.mark.parametrize("options", [{}, {"slots": 7, "convolution": 3}])
def test_the_layer(objective, options) -> None:
    torch.manual_seed(0)
    memory, x = Lattice(12, heads=3, objective=objective, **options).double(), draw(2, 30, 12)
    y, state = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-11
    assert (state.slots.norm(dim=-1) - 1).abs().max() < 1e-12


@every_objective
def test_gradients(objective) -> None:
    torch.manual_seed(0)
    memory, x = Lattice(4, heads=2, slots=3, objective=objective).double(), draw(1, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: memory(x)[0], x)
    (gradient,) = torch.autograd.grad(memory(x)[0].square().sum(), memory.start)
    assert gradient.abs().max() > 1e-3


def test_what_a_slot_holds_already_changes_nothing() -> None:
    """A value in the direction of a slot, where the objective writes it as it is."""
    memory = Lattice(6, heads=1, slots=4, objective="similarity").double()
    slots = torch.nn.functional.normalize(draw(1, 1, 4, 6), dim=-1)
    key, rate = draw(1, 1, 4), torch.ones(1, 1).double()
    after = memory._write(key, 3 * slots[:, :, 2], rate, slots)
    assert (after - slots)[0, 0, 2].abs().max() < 1e-15
    assert (after - slots)[0, 0, [0, 1, 3]].abs().amax(-1).min() > 1e-2


@pytest.mark.parametrize("options", [{}, {"slots": 5, "convolution": 4}])
def test_the_state_is_as_large_as_promised(options) -> None:
    memory = Lattice(12, heads=3, **options).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.slots.dtype is torch.float32
    slots = options.get("slots", 4)
    assert nbytes(state) == 2 * (4 * slots * 12 + 2 * (2 * 3 * slots + 12) * (options.get("convolution", 1) - 1))


def test_the_step_size_can_be_watched() -> None:
    memory, x = Lattice(12, heads=3).double(), draw(2, 30, 12)
    with recording() as observed:
        memory(x, length=torch.tensor([30, 11]))
    (gamma,) = observed["lattice/step_size"]
    expected = (x @ memory.step_size.weight.T).sigmoid()
    assert (gamma[0] - expected[0]).abs().max() < 1e-12
    assert (gamma[1, :11] - expected[1, :11]).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "dim=12 does not split into 5 heads; make dim a multiple of heads"),
        ({"slots": 0}, "slots=0 is not a whole number of at least 1"),
        ({"objective": "recall"}, "no objective 'recall'; choose one of decoding, similarity"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Lattice(12, **options)
