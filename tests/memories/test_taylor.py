"""Taylor attention as a memory: the layer written out as attention, its limit, its state and its options."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mnesis.core.state import nbytes
from mnesis.memories.linear.taylor import TaylorAttention


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: TaylorAttention, x: Tensor, exact: bool = False) -> Tensor:
    """One row, from an empty past, as masked attention; ``exact`` = with the exponential itself."""
    part, outputs = memory.query_key_value, []
    q, k, v = (x @ part.projection.weight.T).split(part.sizes, -1)
    for h in range(part.heads):
        keys = slice(h * part.width, (h + 1) * part.width)
        values = slice(h * part.value_width, (h + 1) * part.value_width)
        scores = q[:, keys] @ k[:, keys].T / part.width**0.5
        terms = [scores**n / math.factorial(n) for n in range(memory.order + 1)]
        weights = (scores.exp() if exact else sum(terms[1:], terms[0])).tril()
        read = weights @ v[:, values]
        if memory.norm == "sum":
            read = read / weights.sum(-1, keepdim=True)
        elif memory.scale is None:
            read = read / read.square().sum(-1, keepdim=True).sqrt()
        else:
            read = read / (read.square().mean(-1, keepdim=True) + 1e-6).sqrt() * memory.scale
        outputs.append(read)
    return torch.cat(outputs, -1) @ memory.output.weight.T


@pytest.mark.parametrize("form", TaylorAttention.forms)
@pytest.mark.parametrize(("order", "norm"), [(2, "sum"), (4, "sum"), (1, "l2"), (2, "l2"), (3, "rms")])
def test_the_layer(form, order, norm) -> None:
    torch.manual_seed(0)
    memory = TaylorAttention(12, heads=3, width=2, order=order, norm=norm, form=form, chunk=7).double()
    if memory.scale is not None:
        torch.nn.init.normal_(memory.scale)
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-11


def test_it_approaches_softmax() -> None:
    gaps = []
    for order in (2, 4, 6, 8):
        torch.manual_seed(0)
        memory = TaylorAttention(12, heads=3, order=order).double()
        x = draw(1, 30, 12)
        gaps.append(float((memory(x)[0][0] - written_out(memory, x[0], exact=True)).detach().abs().max()))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-4


def test_features_are_as_few_as_can_be() -> None:
    memory = TaylorAttention(12, heads=3, order=4)
    assert memory.monomials.made.factor.shape == (math.comb(4 + 4, 4), 4)
    assert memory.features(draw(5, 4)).shape == (5, 70)


def test_the_state_is_as_large_as_promised() -> None:
    memory = TaylorAttention(12, heads=3, width=5).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * 3 * 21 * (4 + 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "dim=12 does not split into 5 heads"),
        ({"width": 0}, "width=0 is not a whole number of at least 1"),
        ({"order": 0}, "order=0 is not a whole number of at least 1"),
        ({"order": 3}, "order=3: weights of an odd order may sum to 0; make it even"),
        ({"norm": "layer"}, "no norm 'layer'; choose one of sum, l2, rms"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        TaylorAttention(12, **{"heads": 3, **options})
