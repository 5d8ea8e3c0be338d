"""sLSTM as a memory: the authors' cell, the layer written out, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.recurrent.slstm import SLSTM, SLSTMState, _step
from mnesis.ops.exponential_gating import EMPTY

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "slstm.safetensors"
CARRIED = ("hidden", "cell", "normaliser", "maximum")
GATES = ("fgate", "igate", "zgate", "ogate")
"""The published layer's projections in the order of i, f, z and o: the first two bear one another's names."""


def close(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).detach().abs().max() < 1e-9 * expected.abs().max().clamp_min(1))


class Handed(SLSTM):
    """Takes what a linear layer would hand to the cell, [B T gate head cell], and skips the norm behind it."""

    def scan(self, x, state, phase=0):
        bias, recurrent = (self._side_by_side(part, x.dtype) for part in (self.bias[:, :, None], self.recurrent))
        carried, outputs = [part.transpose(0, 1) for part in state[:4]], []
        for unit in (x.permute(1, 3, 0, 2, 4).flatten(3) + bias).unbind(0):
            _, *carried = _step(unit, recurrent, *carried)
            outputs.append(carried[0].transpose(0, 1))
        return torch.stack(outputs, 1), SLSTMState(*(part.transpose(0, 1) for part in carried), state.tail)


@pytest.mark.parametrize("case", ["plain", "carried"])
def test_golden_cell(case) -> None:
    golden = load_file(GOLDEN)
    memory = Handed(6, heads=2, convolution=None).double()
    with torch.no_grad():
        memory.recurrent.copy_(golden["weight/recurrent"].mT)
        memory.bias.copy_(golden["weight/bias"])
    x = golden[f"input/{case}/x"].requires_grad_()
    state = memory.initial_state(2, device=x.device, dtype=x.dtype)
    if case == "carried":
        names = ("hidden", "cell", "normaliser", "maximum")
        state = SLSTMState(*(golden[f"input/carried/{name}"] for name in names), state.tail)
    y, state = memory.scan(x, state)
    assert close(y, golden[f"output/{case}/y"])
    for name in ("hidden", "cell", "normaliser", "maximum"):
        assert close(getattr(state, name), golden[f"state/{case}/{name}"])
    if case == "plain":
        found = torch.autograd.grad(y.square().sum(), [x, memory.recurrent, memory.bias])
        assert close(found[0], golden["gradient/plain/x"])
        assert close(found[1].mT, golden["gradient/plain/recurrent"])
        assert close(found[2], golden["gradient/plain/bias"])


def ours(golden: dict[str, Tensor], folder: str, heads: int) -> dict[str, Tensor]:
    """The published layer's weights, or their gradients, by name and layout here."""
    held = {name.removeprefix(folder): value for name, value in golden.items() if name.startswith(folder)}
    found = {
        "input": torch.stack([held[f"{gate}.weight"].mT for gate in GATES]),
        "recurrent": held["slstm_cell._recurrent_kernel_"].unflatten(1, (4, -1)).permute(1, 0, 3, 2),
        "bias": held["slstm_cell._bias_"].reshape(4, heads, -1),
        "scale": held["group_norm.weight"].unflatten(0, (heads, -1)),
    }
    if "conv1d.conv.weight" in held:
        found["convolution.weight"] = held["conv1d.conv.weight"][:, 0].flip(-1).mT
        found["convolution.bias"] = held["conv1d.conv.bias"]
    return found


def published(case: str) -> tuple[SLSTM, dict[str, Tensor]]:
    golden = load_file(GOLDEN.with_name("slstm_layer.safetensors"))
    memory = SLSTM(8, heads=2, convolution=4 if case == "convolved" else None).double()
    weights = ours(golden, f"weight/{case}/", 2)
    memory.load_state_dict(weights | {"scale": 1 + weights["scale"]})  # theirs is a difference from 1
    return memory, golden


def holds(state: SLSTMState, golden: dict[str, Tensor], case: str) -> bool:
    """Theirs has heads side by side."""
    return all(close(getattr(state, name).flatten(1), golden[f"state/{case}/{name}"]) for name in CARRIED)


@pytest.mark.parametrize("case", ["convolved", "plain"])
def test_golden_layer(case) -> None:
    memory, golden = published(case)
    x = golden[f"input/{case}/x"].requires_grad_()
    y, state = memory(x)
    assert close(y, golden[f"output/{case}/y"])
    assert holds(state, golden, case)
    first, middle = memory(x[:, :5])
    assert close(torch.cat([first, memory(x[:, 5:], middle)[0]], 1), golden[f"output/{case}/y"])
    expected = ours(golden, f"gradient/{case}/", 2) | {"x": golden[f"gradient/{case}/x"]}
    wanted = {"x": x, **dict(memory.named_parameters())}
    assert expected.keys() == wanted.keys()
    found = torch.autograd.grad(y.square().sum(), tuple(wanted.values()))
    for name, gradient in zip(wanted, found, strict=True):
        assert close(gradient, expected[name]), name
    if case == "convolved":
        assert close(state.tail, golden["state/convolved/tail"])


def test_golden_layer_from_a_carried_state() -> None:
    memory, golden = published("convolved")
    state = SLSTMState(
        *(golden[f"input/carried/{name}"].unflatten(-1, (2, 4)) for name in CARRIED), golden["input/carried/tail"]
    )
    y, state = memory(golden["input/carried/x"], state)
    assert close(y, golden["output/carried/y"])
    assert holds(state, golden, "carried")
    assert close(state.tail, golden["state/carried/tail"])


@pytest.mark.parametrize("convolution", [None, 3])
def test_the_layer(convolution) -> None:
    """One row, unit by unit, without a maximum."""
    torch.manual_seed(0)
    memory = SLSTM(6, heads=2, convolution=convolution).double()
    torch.nn.init.normal_(memory.recurrent)
    torch.nn.init.normal_(memory.bias)
    torch.nn.init.normal_(memory.scale)
    x = torch.randn(20, 6, dtype=torch.float64)
    seen = x
    if convolution:
        layer, past = memory.convolution, F.pad(x, (0, 0, 2, 0))
        seen = F.silu(layer.bias + sum(layer.weight[lag] * past[2 - lag : 22 - lag] for lag in range(3)))
    y = torch.zeros(20, 6, dtype=torch.float64)
    for head in range(2):
        own = slice(3 * head, 3 * head + 3)
        h = c = n = torch.zeros(3, dtype=torch.float64)
        for t in range(20):
            i, f, z, o = (
                part[t, own] @ memory.input[gate, head] + h @ memory.recurrent[gate, head] + memory.bias[gate, head]
                for gate, part in enumerate((seen, seen, x, x))
            )
            c, n = f.sigmoid() * c + i.exp() * z.tanh(), f.sigmoid() * n + i.exp()
            h = o.sigmoid() * c / n
            y[t, own] = (h - h.mean()) / (h.var(correction=0) + 1e-5).sqrt() * memory.scale[head]
    assert (memory(x[None])[0][0] - y).detach().abs().max() < 1e-11


def test_it_starts_as_published() -> None:
    torch.manual_seed(0)
    spread = SLSTM(256).input.detach()  # 65,536 entries: 1 % is four standard errors
    assert all(float(gate.std()) == pytest.approx((2 / (5 * 256)) ** 0.5, rel=0.01) for gate in spread)
    assert float(spread.mean().abs()) < 1e-3
    memory = SLSTM(32)
    assert not memory.recurrent.any()
    assert memory.bias[1, 0, 0] == 5
    assert memory.bias[1, 0, -1] == -7
    with recording() as observed:
        _, state = memory(torch.randn(2, 5, 32))
    kept = observed["slstm/kept"][0]
    assert kept.shape == (2, 5, 4, 8)
    assert not kept[:, 0].any()  # nothing was there
    assert (state.maximum > EMPTY).all()
    assert (state.normaliser >= 1).all()


def test_the_state_is_as_large_as_promised() -> None:
    y, state = SLSTM(12, heads=2, convolution=3).bfloat16()(torch.randn(2, 30, 12).bfloat16())
    assert y.dtype is state.tail.dtype is torch.bfloat16
    assert {part.dtype for part in state[:4]} == {torch.float32}
    assert nbytes(state) == 2 * (4 * 4 * 12 + 2 * 12 * 2)


@pytest.mark.parametrize("options", [{"heads": 5}, {"heads": 12}])
def test_heads_that_do_not_fit(options) -> None:
    with pytest.raises(ValueError, match=r"dim=12 does not split into \d+ heads of two channels or more"):
        SLSTM(12, **options)
