"""FSMN as a memory: the module written out, what it sees, its state and its options."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.convolution.fsmn import FSMN

from .golden import close, gradients_agree, in_pieces, load, under


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def redrawn(**options) -> FSMN:
    """Norms and slopes that are not those of the start."""
    torch.manual_seed(0)
    memory = FSMN(10, **options).double()
    for parameter in memory.parameters():
        nn.init.normal_(parameter, std=0.7)
    return memory


def normalised(norm, x: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * norm.weight + norm.bias


def bent(x: Tensor, slope: Tensor) -> Tensor:
    return x.clamp_min(0) + slope * x.clamp_max(0)


def convolved(branch, h: list[Tensor]) -> list[Tensor]:
    z = [F.silu(branch.linear.weight @ normalised(branch.norm, unit) + branch.linear.bias) for unit in h]
    taps = branch.convolution.weight
    return [z[t] + sum(taps[j] * z[t - j] for j in range(len(taps)) if t >= j) for t in range(len(z))]


def written_out(memory: FSMN, x: Tensor) -> Tensor:
    """One row, from an empty past, unit by unit and source by source."""
    h = [normalised(memory.norm, bent(memory.bottleneck(unit), memory.slope)) for unit in x]
    u, v = convolved(memory.memory, h), convolved(memory.gate, h)
    p = [memory.project.weight @ (memory.hidden(unit)).clamp_min(0) for unit in u]
    sources = [p]
    for level, layer in enumerate(memory.dense):
        made = []
        for t in range(len(x)):
            total = torch.zeros_like(p[0])
            for source, signal in enumerate(sources):  # the latest first
                for j in range(layer.filter.weight.shape[-1]):
                    if t >= j * 2**level:
                        total = total + layer.filter.weight[:, source, -1 - j] * signal[t - j * 2**level]
            made.append(bent(normalised(layer.norm, total), layer.slope))
        sources = [made, *sources]
    read = [a + b * (c + d) for a, b, c, d in zip(h, v, u, sources[0], strict=True)]
    return torch.stack([memory.output(normalised(memory.last_norm, unit)) for unit in read])


@pytest.mark.parametrize("width", [None, 4])
@pytest.mark.parametrize(("order", "layers", "convolution"), [(3, 1, 2), (2, 3, 4), (4, 2, 3)])
def test_the_module(width, order, layers, convolution) -> None:
    memory = redrawn(width=width, order=order, layers=layers, convolution=convolution)
    x = draw(2, 30, 10)
    y, _ = memory(x)
    for row in range(2):
        expected = written_out(memory, x[row]).detach()
        assert (y[row] - expected).abs().max() < 1e-11 * max(1.0, float(expected.abs().max()))


NAMES = {
    "conv1.0": "bottleneck",
    "conv2": "output",
    "norm1": "norm",
    "norm2": "last_norm",
    "gated_fsmn.to_u.mdl.0": "memory.norm",
    "gated_fsmn.to_u.mdl.1": "memory.linear",
    "gated_fsmn.to_u.mdl.3.sequential.1.conv": "memory.convolution",
    "gated_fsmn.to_v.mdl.0": "gate.norm",
    "gated_fsmn.to_v.mdl.1": "gate.linear",
    "gated_fsmn.to_v.mdl.3.sequential.1.conv": "gate.convolution",
    "gated_fsmn.fsmn.linear": "hidden",
    "gated_fsmn.fsmn.project": "project",
} | {
    f"gated_fsmn.fsmn.conv.{theirs}{layer + 1}": f"dense.{layer}.{ours}"
    for layer in range(3)
    for theirs, ours in (("conv", "filter"), ("norm", "norm"))
}
SLOPES = {"conv1.1.weight": "slope"} | {
    f"gated_fsmn.fsmn.conv.prelu{layer + 1}.weight": f"dense.{layer}.slope" for layer in range(3)
}


def official(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights or gradients of the authors' block under our names, of symmetric filters the taps that look back."""
    own = {SLOPES[name]: part for name, part in arrays.items() if name in SLOPES}
    for name, part in arrays.items():
        where, _, kind = name.rpartition(".")
        if where not in NAMES:
            continue
        if NAMES[where] in ("bottleneck", "output") and kind == "weight":
            part = part[..., 0]
        elif NAMES[where].endswith(".convolution"):
            part = part[:, 0, :9].T.flip(0)
        elif NAMES[where].endswith(".filter"):
            part = part[:, :, :3, 0]
        own[f"{NAMES[where]}.{kind}"] = part
    return own


def test_golden() -> None:
    """The authors' block with taps of the future at 0, its sources in another order and its norms over channels."""
    arrays, memory = load("fsmn"), FSMN(6, width=4, order=3, layers=3).double()
    memory.load_state_dict(official(under(arrays, "weight/")))
    x = arrays["input/x"].requires_grad_()
    y, _ = memory(x)
    close("y", y, arrays["output/y"])
    close("y in pieces", in_pieces(memory, x, 7, 1, 1, 3)[0], arrays["output/y"])
    gradients = under(arrays, "gradient/")
    expected = {"x": gradients.pop("x"), **official(gradients)}
    gradients_agree(y.square().sum(), {"x": x, **dict(memory.named_parameters())}, expected)


def test_it_sees_a_window_and_nothing_before() -> None:
    """Lags of the short convolution, of p's filters in a row, and its own unit."""
    memory, x = redrawn(order=3, layers=2, convolution=4), draw(1, 30, 10).requires_grad_()
    (gradient,) = torch.autograd.grad(memory(x)[0][0, -1].square().sum(), x)
    seen = 3 + 2 + 4 + 1
    assert gradient[0, -seen:].ne(0).any(1).tolist() == [True] * seen
    assert not gradient[0, :-seen].any()


def test_it_starts_as_the_authors_code_does() -> None:
    memory = FSMN(512)
    assert memory.bottleneck.out_features == 256
    assert [layer.filter.weight.shape for layer in memory.dense] == [(256, 1, 20), (256, 2, 20)]
    for layer, inputs in zip(memory.dense, (1, 2), strict=True):
        assert float(layer.filter.weight.detach().max()) == pytest.approx((20 * inputs) ** -0.5, rel=0.01)
        assert bool((layer.slope == 0.25).all())
    assert float(memory.gate.convolution.weight.detach().max()) == pytest.approx(1 / 3, rel=0.01)


@pytest.mark.parametrize("width", [None, 4])
def test_the_state_is_as_large_as_promised(width) -> None:
    memory = FSMN(12, width=width, order=4, layers=3, convolution=5).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert nbytes(state) == 2 * 2 * (width or 6) * (2 * 4 + 3 * (2 * 2**3 + 1))


def test_its_gate_can_be_watched() -> None:
    memory = redrawn()
    with recording() as observed:
        memory(draw(2, 9, 10))
    assert observed["fsmn/gate"][0].shape == (2, 9, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0 is not a whole number of at least 1"),
        ({"layers": 0}, "layers=0 is not a whole number of at least 1"),
        ({"order": 1}, "width=1, dilation=1: a convolution sees no earlier unit then"),
        ({"convolution": 1}, "width 1 sees no earlier unit"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        FSMN(12, **options)
