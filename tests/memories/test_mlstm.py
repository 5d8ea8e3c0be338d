"""mLSTM as a memory: the layer written out without a maximum, gates out of range, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.mlstm import MLSTM

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "mlstm_layer.safetensors"
NAMES = {"q": "query", "k": "key", "v": "value", "ogate_preact": "gate", "out_proj": "output"}
NAMES |= {"igate_preact": "input_gate", "fgate_preact": "forget_gate"}


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def redrawn(**options) -> MLSTM:
    """Gates that look at the input, which they do not at the start."""
    torch.manual_seed(0)
    memory = MLSTM(12, heads=3, **options).double()
    for gate in (memory.input_gate, memory.forget_gate):
        torch.nn.init.normal_(gate.weight)
        torch.nn.init.normal_(gate.bias)
    return memory


def written_out(memory: MLSTM, x: Tensor) -> Tensor:
    """One row, from an empty past; exponentials as they are."""
    cap = (lambda g: g) if memory.cap is None else (lambda g: memory.cap * torch.tanh(g / memory.cap))
    write, kept = cap(memory.input_gate(x)).exp(), cap(memory.forget_gate(x)).sigmoid()
    size, outputs = memory.width, []
    matrix, total = x.new_zeros(memory.heads, size, 2 * size), x.new_zeros(memory.heads, size)
    for t in range(len(x)):
        heads, matrices, totals = [], [], []
        for h in range(memory.heads):
            own, values = slice(h * size, (h + 1) * size), slice(2 * h * size, 2 * (h + 1) * size)
            q, k = memory.query.weight[own] @ x[t], memory.key.weight[own] @ x[t] / size**0.5
            v = memory.value.weight[values] @ x[t]
            matrices.append(kept[t, h] * matrix[h] + write[t, h] * torch.outer(k, v))
            totals.append(kept[t, h] * total[h] + write[t, h] * k)
            read = matrices[h].T @ q / (totals[h] @ q).abs().clamp_min(1.0)
            heads.append(F.layer_norm(read, read.shape, eps=1e-6) * memory.scale[h])
        matrix, total = torch.stack(matrices), torch.stack(totals)
        outputs.append((torch.cat(heads) * (memory.gate.weight @ x[t]).sigmoid()) @ memory.output.weight.T)
    return torch.stack(outputs)


@pytest.mark.parametrize("form", MLSTM.forms)
@pytest.mark.parametrize("cap", [None, 15.0])
def test_the_layer(form, cap) -> None:
    memory, x = redrawn(cap=cap, form=form, chunk=7), draw(2, 30, 12)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row])).abs().max() < 1e-4  # the small term beside |n . q|


def ours(golden: dict[str, Tensor], folder: str) -> dict[str, Tensor]:
    """Published weights, or their gradients, by name and layout here."""
    found = {}
    for name, value in golden.items():
        part, _, kind = name.removeprefix(folder).rpartition(".")
        if name.startswith(folder) and part == "multihead_norm":
            found["scale"] = value.unflatten(0, (3, -1))
        elif name.startswith(folder) and part:
            found[f"{NAMES[part]}.{kind}"] = value
    return found


@pytest.mark.parametrize("form", MLSTM.forms)
def test_golden_layer(form) -> None:
    golden = load_file(GOLDEN)
    memory = MLSTM(12, heads=3, form=form, chunk=5).double()
    memory.load_state_dict(ours(golden, "weight/"))

    def holds(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> bool:
        return bool((found - expected).detach().abs().max() < tolerance * expected.abs().max().clamp_min(1))

    x = golden["input/x"].requires_grad_()
    y, state = memory(x)
    after, last = memory(golden["input/carried/x"], state)
    assert holds(y, golden["output/y"])
    assert holds(after, golden["output/carried/y"])
    first, middle = memory(x[:, :7])
    assert holds(torch.cat([first, memory(x[:, 7:], middle)[0]], 1), golden["output/y"])
    for held, folder in ((state, "state"), (last, "state/carried")):
        expected = torch.cat([golden[f"{folder}/matrix"], golden[f"{folder}/normaliser"][..., None]], -1)
        assert holds(held.matrix * memory.width**0.5, expected)  # their kernels scale queries instead of keys
        assert holds(held.maximum, golden[f"{folder}/maximum"].squeeze(-1))
    wanted = {"x": x, **dict(memory.named_parameters())}
    gradients = ours(golden, "gradient/") | {"x": golden["gradient/x"]}
    assert gradients.keys() == wanted.keys()
    found = torch.autograd.grad(y.square().sum(), tuple(wanted.values()))
    for name, gradient in zip(wanted, found, strict=True):
        # The maximum starts at 0 there, which the small term beside the first units' denominators can tell.
        assert holds(gradient, gradients[name], 1e-9), name


@pytest.mark.parametrize("form", MLSTM.forms)
def test_gradients(form) -> None:
    """The maximum is held fixed where gradients are taken, which changes none of the layer."""
    memory, x = redrawn(form=form, chunk=3), draw(1, 7, 12).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: memory(x)[0], x, eps=1e-7, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("bias", [-300.0, 60.0, 300.0])
def test_gates_that_float32_cannot_hold(bias) -> None:
    """exp(60) squared and exp(300) are no numbers in float32."""
    memory, x = redrawn(cap=None), draw(2, 200, 12)
    with torch.no_grad():
        memory.input_gate.bias.fill_(bias)
    exact, _ = memory(x)
    y, state = memory.float()(x.float())
    assert y.isfinite().all()
    assert state.matrix.isfinite().all()
    assert (y - exact).abs().max() < 1e-3 * exact.abs().max().clamp_min(1e-3)


def test_the_state_is_as_large_as_promised() -> None:
    memory = MLSTM(12, heads=3).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.matrix.dtype is state.maximum.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * (12 * 12 // 6 + 6 + 3)


def test_gates_start_as_in_the_paper_and_can_be_watched() -> None:
    memory = MLSTM(16, heads=4).double()
    with recording() as observed:
        memory(draw(2, 30, 16))
    assert torch.equal(memory.forget_gate.bias, torch.linspace(3, 6, 4).double())
    assert bool((memory.input_gate.bias == -10).all())
    expected = 15 * torch.tanh(torch.tensor(-10 / 15, dtype=torch.float64))
    assert torch.allclose(observed["mlstm/log_input"][0], expected.expand(2, 30, 4))
    assert observed["mlstm/kept"][0].shape == (2, 30, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 4}, "dim=12 does not split into 4 heads of even width; make it a multiple of 8"),
        ({"form": "scan"}, "no form 'scan'; choose one of naive, chunk, parallel"),
        ({"chunk": -1}, "chunk=-1 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        MLSTM(12, **{"heads": 3, **options})
