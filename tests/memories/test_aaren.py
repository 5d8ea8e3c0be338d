"""Aaren as a memory: softmax attention over every prefix, scores of any size, its state and its options."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.aaren import Aaren, prefix_attention

every_form = pytest.mark.parametrize("form", Aaren.forms)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def attention(memory: Aaren, x: Tensor) -> Tensor:
    """Plain causal attention, the token's projection being the query of every unit."""
    parts = (memory.token.expand_as(x), memory.query), (x, memory.key), (x, memory.value)
    q, k, v = (layer(part).unflatten(-1, (memory.heads, -1)).transpose(1, 2) for part, layer in parts)
    read = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return memory.output(read.transpose(1, 2).flatten(2))


def differentiated(memory: Aaren, y: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(y.square().sum(), tuple(memory.parameters()))


@every_form
def test_it_is_attention(form) -> None:
    torch.manual_seed(0)
    memory, x = Aaren(12, heads=3, form=form, chunk=7).double(), draw(2, 30, 12)
    y, expected = memory(x)[0], attention(memory, x)
    assert (y - expected).abs().max() < 1e-13
    assert (prefix_attention(memory, x) - expected).abs().max() < 1e-13
    for found, wanted in zip(differentiated(memory, y), differentiated(memory, expected), strict=True):
        assert (found - wanted).abs().max() < 1e-12


@every_form
def test_a_prefix_by_hand(form) -> None:
    """One head of one channel: weights exp(s) of all units so far, divided by their sum."""
    memory = Aaren(1, heads=1, form=form, chunk=2).double()
    with torch.no_grad():
        for layer in (memory.query, memory.key, memory.value, memory.output):
            layer.weight.fill_(1.0)
            layer.bias.zero_()
        memory.token.fill_(2.0)
    y, state = memory(torch.tensor([[[0.5], [-1.0], [3.0]]]).double())
    scores, values = torch.tensor([1.0, -2.0, 6.0]).double(), torch.tensor([0.5, -1.0, 3.0]).double()
    for t in range(1, 4):
        assert y[0, t - 1, 0].item() == pytest.approx((scores[:t].softmax(0) @ values[:t]).item(), abs=1e-14)
    assert state.maximum.item() == 6.0


@every_form
@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_scores_that_exponentials_cannot_hold(form, scale) -> None:
    torch.manual_seed(0)
    memory, x = Aaren(12, heads=3, form=form).double(), draw(2, 100, 12)
    with torch.no_grad():
        memory.token.mul_(scale)
    with recording() as observed:
        exact, _ = memory(x)
    assert observed["aaren/score"][0].abs().max() > scale / 2
    assert (exact - attention(memory, x)).abs().max() < 1e-9
    y, state = memory.float()(x.float())
    assert y.isfinite().all()
    assert state.total.isfinite().all()
    if scale < 1e3:  # beyond, float32 tells scores apart to no more than 1e-3
        assert (y - exact).abs().max() < 1e-3


def test_it_has_as_many_parameters_as_the_paper_counts() -> None:
    """3,152,896 in a layer of width 512 with a feedforward network of 2,048, which a Transformer has 512 less of."""
    layer = nn.TransformerEncoderLayer(512, 8, 2048)
    rest = sum(part.numel() for name, part in layer.named_parameters() if "attn" not in name)
    assert rest + sum(parameter.numel() for parameter in Aaren(512, heads=8).parameters()) == 3_152_896


def test_the_state_is_as_large_as_promised() -> None:
    memory = Aaren(12, heads=3).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.total.dtype is state.maximum.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * (12 + 2 * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "dim=12 does not split into 5 heads; make dim a multiple of heads"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Aaren(12, **{"heads": 3, **options})
