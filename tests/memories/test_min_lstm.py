"""minLSTM as a memory: the layer written out, the published steps' numbers, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.memories.linear.min_lstm import MinLSTM, MinLSTMState

GOLDEN = Path(__file__).resolve().parents[1] / "golden"

every_form = pytest.mark.parametrize("form", MinLSTM.forms)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def written_out(memory: MinLSTM, x: Tensor, candidate: str) -> Tensor:
    """One row, from an empty past, unit by unit."""
    h, outputs = x.new_zeros(memory.hidden), []
    for unit in x:
        f, i = (1 / (1 + (-(gate.weight @ unit + gate.bias)).exp()) for gate in (memory.forget_gate, memory.input_gate))
        if memory.normalised:
            f, i = f / (f + i), i / (f + i)
        c = memory.candidate.weight @ unit + memory.candidate.bias
        if candidate == "positive":
            c = torch.stack([value + 0.5 if value >= 0 else 1 / (1 + (-value).exp()) for value in c])
        h = f * h + i * c
        outputs.append(memory.output.weight @ h + memory.output.bias)
    return torch.stack(outputs)


@every_form
@pytest.mark.parametrize("candidate", ["positive", "linear"])
@pytest.mark.parametrize("normalised", [True, False])
def test_the_layer(form, candidate, normalised) -> None:
    torch.manual_seed(0)
    options = {"candidate": candidate, "normalised": normalised, "form": form}
    memory = MinLSTM(6, expansion=1.5, chunk=7, **options).double()
    x = draw(2, 30, 6)
    y, _ = memory(x)
    for row in range(2):
        assert (y[row] - written_out(memory, x[row], candidate)).abs().max() < 1e-12


def of_the_community(form: str) -> tuple[MinLSTM, dict[str, Tensor]]:
    """With the weights of a community's code, which has no biases there."""
    golden = load_file(GOLDEN / "minlstm.safetensors")
    memory = MinLSTM(5, expansion=1.6, form=form, chunk=5).double()
    with torch.no_grad():
        for name, layer in memory.named_children():
            layer.weight.copy_(golden[f"weight/{name}.weight"])
            layer.bias.zero_()
    return memory, golden


@every_form
def test_golden(form) -> None:
    memory, golden = of_the_community(form)
    x = golden["input/plain/x"].requires_grad_()
    y, state = memory(x)
    assert (y - golden["output/plain/y"]).abs().max() < 1e-9
    assert (state.hidden - golden["state/plain/hidden"]).abs().max() < 1e-9
    names = [f"{name}.weight" for name in ("candidate", "forget_gate", "input_gate", "output")]
    wanted = [x, *(memory.get_parameter(name) for name in names)]
    found = torch.autograd.grad(y.square().sum() + state.hidden.square().sum(), wanted)
    for name, gradient in zip(["x", *names], found, strict=True):
        expected = golden[f"gradient/plain/{name}"]
        assert (gradient - expected).abs().max() < 1e-9 * max(1.0, float(expected.abs().max()))


@every_form
def test_golden_from_a_carried_state(form) -> None:
    """The published steps, which its scan does not follow: that takes the carried h for a candidate."""
    memory, golden = of_the_community(form)
    y, state = memory(golden["input/carried/x"], MinLSTMState(golden["input/carried/hidden"]))
    assert (y - golden["output/carried/y"]).abs().max() < 1e-9
    assert (state.hidden - golden["state/carried/hidden"]).abs().max() < 1e-9
    assert (y - golden["output/carried/parallel"]).abs().max() > 0.1


def weights_of_the_first_author(golden: dict[str, Tensor], folder: str) -> dict[str, Tensor]:
    """Weights, or their gradients, by name here."""
    parts = ("candidate", "forget_gate", "input_gate")
    found = {f"output.{kind}": golden[f"{folder}/to_out.{kind}"] for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        together = golden[f"{folder}/to_hidden_and_gate.{kind}"].chunk(len(parts))
        found |= {f"{part}.{kind}": value for part, value in zip(parts, together, strict=True)}
    return found


@every_form
@pytest.mark.parametrize("case", ["lstm", "lstm_unnormalised"])
def test_golden_of_the_first_author(form, case) -> None:
    """With biases, whole, cut, and on from a carried state."""
    golden = load_file(GOLDEN / "minrnns.safetensors")
    memory = MinLSTM(5, expansion=1.6, form=form, chunk=5, normalised=case == "lstm").double()
    memory.load_state_dict(weights_of_the_first_author(golden, f"weight/{case}"))
    x = golden[f"input/{case}/x"].requires_grad_()
    y, state = memory(x)
    assert (y - golden[f"output/{case}/y"]).abs().max() < 1e-11
    assert (state.hidden - golden[f"state/{case}/hidden"]).abs().max() < 1e-11
    first, middle = memory(x[:, :7])
    assert (torch.cat([first, memory(x[:, 7:], middle)[0]], 1) - golden[f"output/{case}/y"]).abs().max() < 1e-11
    expected = weights_of_the_first_author(golden, f"gradient/{case}") | {"x": golden[f"gradient/{case}/x"]}
    wanted = {"x": x, **dict(memory.named_parameters())}
    assert expected.keys() == wanted.keys()
    found = torch.autograd.grad(y.square().sum() + state.hidden.square().sum(), tuple(wanted.values()))
    for name, gradient in zip(wanted, found, strict=True):
        assert (gradient - expected[name]).abs().max() < 1e-11 * expected[name].abs().max().clamp_min(1), name
    carried = MinLSTMState(golden[f"input/{case}/carried/hidden"])
    y, state = memory(golden[f"input/{case}/carried/x"], carried)
    assert (y - golden[f"output/{case}/carried/y"]).abs().max() < 1e-11
    assert (state.hidden - golden[f"state/{case}/carried/hidden"]).abs().max() < 1e-11


@every_form
def test_gates_that_are_too_small_for_a_quotient(form) -> None:
    """Two gates of e^-200 are no numbers in float32, and yet weigh alike."""
    memory = MinLSTM(5, form=form)
    with torch.no_grad():
        for gate in (memory.forget_gate, memory.input_gate):
            gate.weight.zero_()
            gate.bias.fill_(-200.0)
    with recording() as observed:
        y, _ = memory(draw(2, 30, 5).float())
    assert y.isfinite().all()
    assert bool((observed["min_lstm/kept"][0] == 0.5).all())
    assert bool((observed["min_lstm/write_strength"][0] == 0.5).all())


def test_a_forget_bias_remembers_for_longer() -> None:
    biases = []
    for forget_bias in (0.0, 3.0):
        torch.manual_seed(0)
        biases.append(MinLSTM(5, forget_bias=forget_bias).forget_gate.bias)
    assert torch.allclose(biases[1], biases[0] + 3)


def test_the_state_is_as_large_as_promised() -> None:
    memory = MinLSTM(12, expansion=2.0).bfloat16()
    y, state = memory(draw(2, 30, 12).bfloat16())
    assert y.dtype is torch.bfloat16
    assert state.hidden.dtype is torch.float32
    assert nbytes(state) == 2 * 4 * 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expansion": 0.0}, "expansion=0.0 leaves no channels of dim=12; give 1 or more"),
        ({"candidate": "tanh"}, "no candidate 'tanh'; choose one of positive, linear"),
        ({"form": "log"}, "no form 'log'; choose one of naive, chunk, parallel"),
        ({"chunk": 0}, "chunk=0 is not a whole number of at least 1"),
    ],
)
def test_options_that_do_not_fit(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        MinLSTM(12, **options)
