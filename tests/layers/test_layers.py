"""The small modules against their formulas."""

from __future__ import annotations

import pytest
import torch

from mnesis.layers.mlp import MLP
from mnesis.layers.norm import RMSNorm
from mnesis.layers.short_convolution import ShortConvolution
from mnesis.layers.transformer import Transformer, TransformerLayer
from mnesis.ops.rotary import rotate


def test_a_short_convolution_weighs_the_last_units() -> None:
    convolution = ShortConvolution(3, 4).double()
    x = torch.randn(2, 9, 3).double()
    y, tail = convolution(x)
    for t in range(9):
        expected = x[:, t] + sum(convolution.weight[lag] * x[:, t - lag] for lag in range(min(4, t + 1)))
        assert torch.allclose(y[:, t], expected)
    assert torch.equal(tail, x[:, -3:])


def test_a_short_convolution_carries_its_tail() -> None:
    convolution = ShortConvolution(3, 4)
    x = torch.randn(2, 9, 3)
    whole, last = convolution(x)
    first, tail = convolution(x[:, :1])
    second, tail = convolution(x[:, 1:], tail)
    assert torch.allclose(torch.cat([first, second], 1), whole)
    assert torch.equal(tail, last)
    assert tail.untyped_storage().nbytes() == tail.numel() * 4


def test_too_short_a_convolution_is_refused() -> None:
    with pytest.raises(ValueError, match="width 1 sees no earlier unit"):
        ShortConvolution(3, 1)


def test_rotation_depends_on_differences_alone() -> None:
    q, k = torch.randn(2, 1, 1, 2, 8).double()
    products = [
        (rotate(q, torch.tensor([[a]])) * rotate(k, torch.tensor([[a - 3]]))).sum().item() for a in (3, 10, 400)
    ]
    assert products == pytest.approx([products[0]] * 3)
    assert torch.allclose(rotate(q, torch.tensor([[7]])).norm(), q.norm())


def test_some_channels_turn_and_the_others_stay() -> None:
    x, at = torch.randn(2, 5, 3, 8).double(), torch.arange(5)
    y = rotate(x, at, turned=4)
    assert torch.equal(y[..., :4], rotate(x[..., :4], at))
    assert torch.equal(y[..., 4:], x[..., 4:])
    assert torch.equal(rotate(x, at, turned=8), rotate(x, at))
    assert torch.equal(rotate(x, at, turned=0), x)


def test_the_norm_keeps_the_dtype_under_autocast() -> None:
    norm, x = RMSNorm(8), torch.randn(2, 8)
    assert torch.allclose(norm(x), x / x.square().mean(-1, keepdim=True).add(1e-6).sqrt())
    with torch.autocast("cpu", torch.bfloat16):
        assert norm(x.bfloat16()).dtype == torch.bfloat16


def test_the_mlp_is_two_maps() -> None:
    mlp, x = MLP(4), torch.randn(3, 4)
    assert torch.allclose(mlp(x), torch.nn.functional.gelu(x @ mlp.rise.weight.T) @ mlp.fall.weight.T, atol=1e-6)
    assert mlp.rise.out_features == 16


@pytest.mark.parametrize("convolution", [None, 3])
def test_a_layer_in_pieces_is_the_layer_at_once(convolution) -> None:
    layer = TransformerLayer(16, heads=2, convolution=convolution, output_norm=True).double()
    h = torch.randn(2, 7, 16).double()
    whole, _ = layer(h)
    cache, outputs = layer.initial_cache(2, 7, device=h.device, dtype=h.dtype), []
    for start, stop in ((0, 3), (3, 4), (4, 7)):
        y, cache = layer(h[:, start:stop], cache, start)
        outputs.append(y)
    assert torch.allclose(torch.cat(outputs, 1), whole)


def test_rows_may_stand_at_different_places() -> None:
    layer = TransformerLayer(16, heads=2, convolution=3).double()
    h = torch.randn(2, 6, 16).double()
    whole, _ = layer(h)
    caches = [
        layer(h[row : row + 1, :at], layer.initial_cache(1, 6, device=h.device, dtype=h.dtype), 0)[1]
        for row, at in enumerate((2, 5))
    ]
    cache = type(caches[0])(*(torch.cat(parts) for parts in zip(*caches, strict=True)))
    unit = torch.stack([h[0, 2], h[1, 5]])[:, None]
    y, _ = layer(unit, cache, torch.tensor([2, 5]))
    assert torch.allclose(y[:, 0], torch.stack([whole[0, 2], whole[1, 5]]))


def test_blocks_of_memory_tokens_see_both_ways() -> None:
    layer = TransformerLayer(16, heads=2).double()
    h = torch.randn(1, 8, 16).double()

    def sees(changed: int) -> list[bool]:
        other = h.clone()
        other[:, changed] += 1
        a, b = layer(h, None, 0, (2, 3))[0], layer(other, None, 0, (2, 3))[0]
        return (a - b).abs().amax(-1)[0].gt(1e-9).tolist()

    assert sees(1) == [True] * 8  # the second of the first block is seen by the first
    assert sees(4) == [False] * 4 + [True] * 4
    assert sees(7) == [False] * 5 + [True] * 3  # the last of the last block is seen by its whole block


def test_widths_must_fit_heads() -> None:
    with pytest.raises(ValueError, match="make dim a multiple of 8"):
        Transformer(18, heads=4)
