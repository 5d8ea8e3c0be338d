"""Linear maps in wider arithmetic: the same start and files as torch's, and what can be had of a map by calling it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnesis.layers.wide_linear import WideBias, WideLinear, matrices, pulled_back


@pytest.mark.parametrize("kind", [WideLinear, WideBias])
def test_they_start_and_are_saved_as_any_linear_map(kind) -> None:
    torch.manual_seed(3)
    expected = nn.Linear(5, 4)
    torch.manual_seed(3)
    found = kind(5, 4)
    assert isinstance(found, nn.Linear)
    assert found.state_dict().keys() == expected.state_dict().keys()
    x = torch.randn(2, 7, 5)
    assert torch.equal(found.weight, expected.weight)
    assert (found(x) - expected(x)).abs().max() < 1e-6


@pytest.mark.parametrize("bias", [False, True])
def test_weights_are_widened_to_the_input(bias) -> None:
    layer, x = WideLinear(5, 4, bias=bias).bfloat16(), torch.randn(2, 5)
    expected = F.linear(x, layer.weight.float(), layer.bias.float() if bias else None)
    assert torch.equal(layer(x), expected)
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    y = layer(x)
    y.sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.bfloat16


def test_a_wide_bias_keeps_the_digits_of_a_small_product() -> None:
    layer = WideBias(1, 1).bfloat16()
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(64.0)
    x = torch.tensor([[0.125]], dtype=torch.bfloat16)
    assert F.linear(x, layer.weight, layer.bias).item() == 64.0
    assert layer(x).dtype == torch.float32
    assert layer(x).item() == 64.125


class Scaled(nn.Module):
    """Stands around a map."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.scale = inner, nn.Parameter(torch.tensor(1.5, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * self.inner(x)


@pytest.mark.parametrize("touched", [True, False], ids=["called", "untouched"])
@pytest.mark.parametrize("mode", ["plain", "no_grad", "inference", "func"])
def test_matrices_of_maps(mode, touched) -> None:
    torch.manual_seed(0)
    maps = [WideLinear(5, 4).double(), Scaled(nn.Linear(3, 2).double())]
    like, at = [torch.zeros(4, 5).double(), torch.zeros(2, 3).double()], [torch.randn(6, 5).double(), torch.randn(1, 3)]
    at[1] = at[1].double()
    given = [torch.randn(6, 4).double(), torch.randn(1, 2).double()]
    weights = [maps[0].weight, maps[1].scale * maps[1].inner.weight]
    biases = [maps[0].bias, maps[1].scale * maps[1].inner.bias]
    calls = []
    if touched:
        maps[0].register_forward_hook(lambda *_: calls.append(1))
    else:
        maps = [maps[0], nn.Linear(3, 2).double()]
        weights[1], biases[1] = maps[1].weight, maps[1].bias

    def found(g: torch.Tensor) -> tuple[torch.Tensor, ...]:
        own = matrices(maps, like)
        return *(part for pair in own for part in pair), *pulled_back(maps, at, [g, given[1]])

    if mode == "func":
        results = torch.func.vmap(found)(given[0][None])
        results = tuple(part[0] for part in results)
    else:
        context = {"plain": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}[mode]
        with context():
            results = found(given[0])
    assert len(calls) == 2 * touched
    pulled = [g @ weight for g, weight in zip(given, weights, strict=True)]
    for a, b in zip(results, (weights[0], biases[0], weights[1], biases[1], *pulled), strict=True):
        assert torch.allclose(a, b, atol=1e-14, rtol=0)
    if mode == "plain":
        slopes = torch.autograd.grad(sum((part**2).sum() for part in results), list(maps[1].parameters()))
        expected = sum((part**2).sum() for part in (*weights, *biases, *pulled))
        for a, b in zip(slopes, torch.autograd.grad(expected, list(maps[1].parameters())), strict=True):
            assert torch.allclose(a, b, atol=1e-12, rtol=0)
    else:
        assert not any(part.requires_grad for part in results[4:]) or mode == "func"


def test_matrices_are_exact() -> None:
    layer = WideLinear(64, 48)
    ((weight, bias),) = matrices([layer], [torch.zeros(48, 64)])
    assert torch.equal(weight, layer.weight)
    assert torch.equal(bias, layer.bias)
