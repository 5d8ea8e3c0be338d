"""Linear attention as a memory: the layer written out, its state and its options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mnesis.core.state import nbytes
from mnesis.memories.linear.linear_attention import LinearAttention

from .golden import close, gradients_agree, in_pieces, load, under


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: LinearAttention, x: Tensor) -> Tensor:
    """The layer, one row, from an empty past, unit by unit and head by head."""
    projected = x @ memory.query_key_value.projection.weight.T
    if memory.query_key_value.convolution is not None:
        width = memory.query_key_value.convolution.width
        padded = torch.cat([projected.new_zeros(width - 1, projected.shape[1]), projected])
        weight = memory.query_key_value.convolution.weight
        projected = projected + sum(padded[width - 1 - j :][: len(x)] * weight[j] for j in range(width))
    q, k, v = projected.split(memory.dim, -1)
    q, k = (torch.where(part > 0, part + 1, part.exp()) for part in (q, k))
    size, outputs = memory.dim // memory.query_key_value.heads, []
    for t in range(len(x)):
        heads = []
        for h in range(memory.query_key_value.heads):
            own = slice(h * size, (h + 1) * size)
            similar = k[: t + 1, own] @ q[t, own]
            heads.append(similar @ v[: t + 1, own] / (similar.sum() + 1e-6))
        outputs.append(torch.cat(heads) @ memory.output.weight.T)
    return torch.stack(outputs)


@pytest.mark.parametrize("form", LinearAttention.forms)
@pytest.mark.parametrize("convolution", [None, 3])
def test_the_layer(form, convolution) -> None:
    torch.manual_seed(0)
    memory = LinearAttention(12, heads=3, convolution=convolution, form=form, chunk=7).double()
    x = draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-12


def official(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights or gradients of the authors' layer under our names."""
    parts = [arrays[f"{part}_projection.weight"] for part in ("query", "key", "value")]
    return {"query_key_value.projection.weight": torch.cat(parts), "output.weight": arrays["out_projection.weight"]}


@pytest.mark.parametrize("form", LinearAttention.forms)
def test_golden_layer(form) -> None:
    """The authors' layer, its four biases 0."""
    arrays, memory = load("linear_attention_layer"), LinearAttention(6, heads=2, form=form, chunk=4).double()
    memory.load_state_dict(official(under(arrays, "weight/")))
    x = arrays["input/x"].requires_grad_()
    y, state = memory(x)
    close("y", y, arrays["output/y"])
    gradients = under(arrays, "gradient/")
    expected = {"x": gradients["x"], **official(gradients)}
    gradients_agree(y.square().sum(), {"x": x, **dict(memory.named_parameters())}, expected)
    pieces, carried = in_pieces(memory, x, 5, 1)
    close("y in pieces", pieces, arrays["output/y"])
    early, middle = memory(x[:, :9])
    close("y of 9 units", early, arrays["output/y"][:, :9])
    for found, when in ((state, ""), (carried, ""), (middle, ".8")):
        held = [arrays[f"state/matrix{when}"], arrays[f"state/normaliser{when}"][..., None]]
        close("matrix and normaliser", found.matrix, torch.cat(held, -1))


@pytest.mark.parametrize("convolution", [None, 3])
def test_the_state_is_as_large_as_promised(convolution) -> None:
    memory = LinearAttention(12, heads=3, convolution=convolution)
    _, state = memory(torch.randn(2, 30, 12))
    numbers = 12 * 12 // 3 + 12 + 3 * 12 * ((convolution or 1) - 1)
    assert nbytes(state) == 2 * 4 * numbers


def test_the_state_is_float32_under_narrower_inputs() -> None:
    memory = LinearAttention(12, heads=3, convolution=3).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert state.matrix.dtype is torch.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "dim=12 does not split into 5 heads"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        LinearAttention(12, **options)
