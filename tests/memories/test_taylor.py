"""Taylor attention as a memory: the layer written out as attention, its limit, its state and its options."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
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
    x = draw(2, 30, 12).requires_grad_()
    expected = torch.stack([written_out(memory, row) for row in x])
    inputs = [x, *memory.parameters()]
    wanted = torch.autograd.grad(expected.sin().sum(), inputs)
    for cuts in ([30], [4, 1, 20, 5]):
        outputs, state = [], None
        for piece in x.split(cuts, 1):
            y, state = memory(piece, state)
            outputs.append(y)
        y = torch.cat(outputs, 1)
        assert (y - expected).abs().max() < 1e-11
        for found, gradient in zip(torch.autograd.grad(y.sin().sum(), inputs), wanted, strict=True):
            assert (found - gradient).abs().max() < 1e-11 * float(gradient.abs().max().clamp(min=1))


def close(found: Tensor, expected: Tensor) -> bool:
    """To 1e-11 of the largest; the authors add 1e-12 to the sum of weights, which is at least 1/2."""
    return float((found.detach() - expected).abs().max()) < 1e-11 * float(expected.abs().max().clamp(min=1))


@pytest.mark.parametrize("cuts", [[13], [7, 1, 1, 4]])
@pytest.mark.parametrize("form", TaylorAttention.forms)
def test_golden(form, cuts) -> None:
    golden = load_file(Path(__file__).resolve().parents[1] / "golden" / "taylor_attention.safetensors")
    memory = TaylorAttention(12, heads=3, form=form, chunk=5).double()

    def theirs(kind: str) -> list[Tensor]:
        return [torch.cat([golden[f"{kind}/proj_{each}.weight"] for each in "qkv"]), golden[f"{kind}/out_proj.weight"]]

    parameters = [memory.query_key_value.projection.weight, memory.output.weight]
    assert len(list(memory.parameters())) == 2
    with torch.no_grad():
        for parameter, weight in zip(parameters, theirs("weight"), strict=True):
            parameter.copy_(weight)
    x, outputs, state = golden["input/x"].requires_grad_(), [], None
    for piece in x.split(cuts, 1):
        y, state = memory(piece, state)
        outputs.append(y)
    y = torch.cat(outputs, 1)
    assert close(y, golden["output/y"])
    assert close(y, golden["output/steps"])
    gradients = torch.autograd.grad(y.square().sum(), [x, *parameters])
    for found, gradient in zip(gradients, [golden["gradient/x"], *theirs("gradient")], strict=True):
        assert close(found, gradient)
    assert state is not None
    # Theirs keeps every product of two coordinates twice, each divided by the root of 2.
    one, single, double = torch.cat([golden["state/matrix"], golden["state/normaliser"][:, :, None]], 2).mT.split(
        (1, 4, 16), 2
    )
    double = double.unflatten(2, (4, 4))
    for (a, b), found in zip(memory.monomials.made.factor.tolist(), state.matrix.unbind(2), strict=True):
        if a:
            expected = double[:, :, a - 1, b - 1] * (2**0.5 if a < b else 1.0)
        else:
            expected = single[:, :, b - 1] if b else one[:, :, 0]
        assert close(found, expected)


def test_golden_features() -> None:
    golden = load_file(Path(__file__).resolve().parents[1] / "golden" / "taylor_attention.safetensors")
    memory = TaylorAttention(12, heads=3)
    q, k = (memory.features(golden[f"input/features/{each}"]) for each in ("query", "key"))
    assert (q @ k.mT - golden["output/features/product"]).abs().max() < 1e-13


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
