"""Multires as a memory: the tree written out, what it sees, what "uniform" keeps, its state and its options."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mnesis.core.state import nbytes
from mnesis.memories.convolution.multires import Multires, uniform

from .golden import Weights, compare, load, under


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: Multires, x: Tensor) -> Tensor:
    """One row, from an empty past: every coefficient by its definition."""
    nothing = torch.zeros_like(x[0])

    @cache
    def smooth(level: int, t: int) -> Tensor:
        if t < 0 or level == 0:
            return nothing if t < 0 else x[t]
        lags = range(memory.kernel)
        return sum((memory.smooth[:, k] * smooth(level - 1, t - k * 2 ** (level - 1)) for k in lags), nothing)

    def detail(level: int, t: int) -> Tensor:
        if t < 0:
            return nothing
        lags = range(memory.kernel)
        return sum((memory.detail[:, k] * smooth(level - 1, t - k * 2 ** (level - 1)) for k in lags), nothing)

    outputs = []
    for t in range(len(x)):
        column, y = 1, memory.weight[:, 0] * smooth(memory.levels, t) + memory.weight[:, -1] * x[t]
        for level in range(memory.levels, 0, -1):
            for i in range(memory.kept[level - 1]):
                y = y + memory.weight[:, column] * detail(level, t - i * 2**level)
                column += 1
        values, gate = memory.mix(F.gelu(y)).chunk(2)
        outputs.append(values * gate.sigmoid())
    return torch.stack(outputs)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("selection", [{}, {"selection": "uniform"}, {"selection": "uniform", "memory": 8}])
def test_the_layer(kernel, selection) -> None:
    torch.manual_seed(0)
    memory = Multires(5, kernel=kernel, levels=3, **selection).double()
    x = draw(2, 30, 5)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-12


def as_ours(theirs: Weights) -> Weights:
    """Taps of theirs stand from the oldest unit to the newest."""
    return {
        "smooth": theirs["h0"][:, 0].flip(1),
        "detail": theirs["h1"][:, 0].flip(1),
        "weight": theirs["w"],
        "mix.weight": theirs["mixing.weight"][..., 0],
        "mix.bias": theirs["mixing.bias"],
    }


@pytest.mark.parametrize(
    ("case", "options"),
    [
        ("fading_2", {"levels": 3}),
        ("fading_4", {"levels": 2, "kernel": 4}),
        ("uniform_2", {"levels": 3, "selection": "uniform", "memory": 6}),
        ("uniform_3", {"levels": 2, "kernel": 3, "selection": "uniform", "memory": 5}),
    ],
)
def test_golden(case, options) -> None:
    golden = load("multires")
    weights, gradients = under(golden, f"weight/{case}/"), under(golden, f"gradient/{case}/")
    compare(Multires(4, **options).double(), as_ours, weights, golden["input/x"], golden[f"output/{case}/y"], gradients)


def test_a_haar_tree_keeps_means_of_twice_as_many_units() -> None:
    memory = Multires(1, levels=3).double()
    with torch.no_grad():
        memory.smooth.fill_(0.5)
        memory.weight.zero_()
        memory.weight[:, 0] = 1
        memory.mix.weight.copy_(torch.tensor([[1.0], [0.0]]))
        memory.mix.bias.copy_(torch.tensor([0.0, 100.0]))
    x = draw(1, 20, 1).exp()
    y, _ = memory(x)
    expected = F.gelu(x.unfold(1, 8, 1).mean(-1))
    assert (y[:, 7:] - expected).abs().max() < 1e-12


@pytest.mark.parametrize("selection", [{}, {"selection": "uniform", "memory": 12}])
def test_it_sees_its_receptive_field_and_nothing_before(selection) -> None:
    torch.manual_seed(0)
    memory = Multires(5, kernel=3, levels=3, **selection).double()
    assert memory.receptive_field == 15
    x = draw(1, 30, 5).requires_grad_()
    (gradient,) = torch.autograd.grad(memory(x)[0][0, -1].sum(), x)
    assert gradient[0, -15:].ne(0).any(1).tolist() == [True] * 15
    assert not gradient[0, :-15].any()


@pytest.mark.parametrize(
    ("kernel", "longest", "levels"), [(2, 1024, 10), (2, 1025, 11), (4, 2048, 10), (2, 2, 1), (3, 15, 3)]
)
def test_levels_that_span_the_longest(kernel, longest, levels) -> None:
    memory = Multires(2, kernel=kernel, longest=longest)
    assert memory.levels == levels
    assert memory.receptive_field >= longest


def test_what_uniform_keeps() -> None:
    """A level of n coefficients was made of 2 (n - 1) + kernel of the one below."""
    assert uniform(2, 3, 8) == [4, 2, 1]
    assert uniform(2, 4, 5) == [0, 1, 2, 1]
    assert uniform(4, 2, 6) == [4, 1]
    assert Multires(2, levels=5, selection="uniform").kept == [0, 0, 2, 2, 1]


def test_it_starts_as_the_authors_code_does() -> None:
    memory = Multires(400, kernel=4, levels=7)
    for parameter, bound in ((memory.smooth, 0.5), (memory.detail, 0.5), (memory.weight, 1 / 3)):
        assert float(parameter.detach().max()) == pytest.approx(bound, rel=0.02)
        assert float(parameter.detach().min()) == pytest.approx(-bound, rel=0.02)


@pytest.mark.parametrize("memory", [None, 8])
def test_the_state_is_as_large_as_promised(memory) -> None:
    options = {} if memory is None else {"selection": "uniform", "memory": memory}
    layer = Multires(12, levels=3, **options).bfloat16()
    y, state = layer(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert nbytes(state) == 2 * 2 * 12 * (7 + (3 * 2 + 1 * 4 if memory else 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": 1}, "kernel=1: a filter of one tap sees no earlier unit"),
        ({"levels": 0}, "levels=0 is not a whole number of at least 1"),
        ({"longest": 1}, "longest=1, levels=0: a tree without levels keeps nothing"),
        ({"selection": "all"}, "no selection 'all'; choose one of fading, uniform"),
        ({"memory": 4}, "memory=4: fading keeps one coefficient of every level"),
        ({"levels": 2, "selection": "uniform", "memory": 5}, "memory=5: 2 levels of 2 taps have 4 coefficients"),
        ({"selection": "uniform", "memory": 1}, "memory=1: 10 levels of 2 taps have 1024 coefficients"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Multires(12, **options)
