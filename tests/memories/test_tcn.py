"""TCN as a memory: the network written out, what it sees and no longer sees, its state and its options."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mnesis.core.state import nbytes
from mnesis.memories.convolution.tcn import TCN

from .golden import close, gradients_agree, in_pieces, load, under


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def redrawn(**options) -> TCN:
    """Lengths of weights that are not those of their directions, as they are at the start."""
    torch.manual_seed(0)
    memory = TCN(5, **options).double()
    for parameter in memory.parameters():
        torch.nn.init.normal_(parameter)
    return memory


def convolved(layer, dilation: int, x: list[Tensor]) -> list[Tensor]:
    """One row, from an empty past: equation 2, weights being length times direction."""
    length, direction = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    weight = length * direction / direction.square().sum((1, 2), keepdim=True).sqrt()
    outputs, width = [], weight.shape[-1]
    for t in range(len(x)):
        seen = [x[t - j * dilation] for j in range(width) if t >= j * dilation]
        outputs.append(layer.bias + sum(weight[..., width - 1 - j] @ unit for j, unit in enumerate(seen)))
    return outputs


def written_out(memory: TCN, x: Tensor) -> Tensor:
    h = list(x)
    for level, block in enumerate(memory.blocks):
        y = [unit.clamp_min(0) for unit in convolved(block.first, 2**level, h)]
        y = [unit.clamp_min(0) for unit in convolved(block.second, 2**level, y)]
        skipped = h
        if hasattr(block.skip, "weight"):
            skipped = [block.skip.weight @ unit + block.skip.bias for unit in h]
        h = [(a + b).clamp_min(0) for a, b in zip(y, skipped, strict=True)]
    return torch.stack(h) @ memory.output.weight.T + memory.output.bias


@pytest.mark.parametrize("channels", [None, 4])
@pytest.mark.parametrize(("levels", "kernel"), [(1, 2), (3, 3)])
def test_the_network(channels, levels, kernel) -> None:
    memory, x = redrawn(channels=channels, levels=levels, kernel=kernel), draw(2, 30, 5)
    y, _ = memory(x)
    for row in range(2):
        expected = written_out(memory, x[row]).detach()
        assert (y[row] - expected).abs().max() < 1e-11 * max(1.0, float(expected.abs().max()))


def own_name(name: str) -> str:
    """Where a parameter of the authors' network stands in ours."""
    if name.startswith("linear."):
        return name.replace("linear", "output")
    level, part, kind = name.removeprefix("tcn.network.").split(".")
    if part == "downsample":
        return f"blocks.{level}.skip.{kind}"
    apart = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return f"blocks.{level}.{'first' if part == 'conv1' else 'second'}.{apart.get(kind, kind)}"


def official(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights or gradients under our names; a 1x1 convolution is a linear map."""
    return {own_name(name): part[..., 0] if "downsample.weight" in name else part for name, part in arrays.items()}


@pytest.mark.parametrize(("case", "dim", "channels"), [("wider", 5, 4), ("same", 4, None)])
def test_golden(case, dim, channels) -> None:
    """The authors' network with the linear map that they put behind it; gradients reach lengths and directions."""
    arrays, memory = load("tcn"), TCN(dim, channels=channels, levels=3, kernel=3).double()
    memory.load_state_dict(official(under(arrays, f"weight/{case}/")))
    x = arrays[f"input/{case}/x"].requires_grad_()
    y, _ = memory(x)
    close("y", y, arrays[f"output/{case}/y"])
    close("y in pieces", in_pieces(memory, x, 7, 1, 1, 3)[0], arrays[f"output/{case}/y"])
    gradients = under(arrays, f"gradient/{case}/")
    expected = {"x": gradients.pop("x"), **official(gradients)}
    gradients_agree(y.square().sum(), {"x": x, **dict(memory.named_parameters())}, expected)


def test_it_sees_its_receptive_field_and_nothing_before() -> None:
    memory = redrawn(levels=3, kernel=3)
    assert memory.receptive_field == 29
    with torch.no_grad():  # every relu is open
        for parameter in memory.parameters():
            parameter.abs_()
    x = draw(1, 40, 5).abs().requires_grad_()
    (gradient,) = torch.autograd.grad(memory(x)[0][0, -1].sum(), x)
    assert gradient[0, -29:].ne(0).any(1).tolist() == [True] * 29
    assert not gradient[0, :-29].any()


def test_it_starts_as_torch_s_convolutions_do() -> None:
    memory = TCN(5, channels=40, levels=2, kernel=4)
    for block, inputs in zip(memory.blocks, (5, 40), strict=True):
        assert float(block.first.weight.detach().abs().max()) == pytest.approx((4 * inputs) ** -0.5, rel=0.1)
        length, direction = block.first.parametrizations.weight.original0, block.first.weight
        assert torch.allclose(length[:, 0, 0], direction.flatten(1).norm(dim=1))
    assert float(memory.blocks[0].skip.weight.detach().std()) == pytest.approx(0.01, rel=0.3)


@pytest.mark.parametrize("channels", [None, 9])
def test_the_state_is_as_large_as_promised(channels) -> None:
    memory = TCN(12, channels=channels, levels=3, kernel=5).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    wide = channels or 12
    assert nbytes(state) == 2 * 2 * 4 * (12 - wide + 2 * wide * 7)


def test_its_weights_can_be_stored() -> None:
    memory, other, x = redrawn(levels=2, kernel=2), TCN(5, levels=2, kernel=2).double(), draw(1, 9, 5)
    other.load_state_dict(memory.state_dict())
    assert torch.equal(memory(x)[0], other(x)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels=0 is not a whole number of at least 1"),
        ({"levels": 0}, "levels=0 is not a whole number of at least 1"),
        ({"kernel": 1}, "width=1, dilation=1: a convolution sees no earlier unit then"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        TCN(12, **options)
