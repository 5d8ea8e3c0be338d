"""LMUFormer: its layers written out, neurons beside a loop, spiking states and cuts, and options."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.laws import check
from mnesis.core.record import recording
from mnesis.core.state import nbytes
from mnesis.nets import LanguageModel
from mnesis.nets.lmuformer import LMUFormer
from mnesis.ops.spiking import Spike, leaky_integrate_and_fire

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "lmuformer.safetensors"


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def make(**options) -> LMUFormer:
    torch.manual_seed(1)
    memory = LMUFormer(6, layers=1, hidden=10, window=8.0, chunk=5, **options).double()
    # As it starts, the signal stays below its threshold, and nothing would be written to the memory.
    for parameter in memory.parameters():
        torch.nn.init.normal_(parameter)
    return memory


def neuron(threshold: float = 1.0):
    """One layer of neurons, called unit by unit."""
    membrane = torch.zeros(())

    def hear(x: Tensor) -> Tensor:
        nonlocal membrane
        membrane = membrane + (x - membrane) / 2
        spike = (membrane >= threshold).double()
        membrane = torch.where(spike > 0, 0.0, membrane)
        return spike

    return hear


@pytest.mark.parametrize("form", LMUFormer.forms)
@pytest.mark.parametrize("spiking", [False, True])
def test_a_layer_unit_by_unit(form, spiking) -> None:
    memory, x = make(form=form, spiking=spiking), 2 * draw(2, 30, 6)
    layer = memory.layers[0]
    a, b = (part.double() for part in layer.memory.fixed.made)
    m, outputs = torch.zeros(2, len(b), dtype=torch.float64), []
    heard, signal, kept, unit, first, second = (neuron(0.5), *(neuron() for _ in range(5)))
    for v in x.unbind(1):
        if spiking:
            s = heard(layer.norms[0](v))
            m = m @ a.mT + signal(layer.unit.input(s)) * b.flatten()
            y = unit(layer.norms[2](layer.unit.output(torch.cat([kept(layer.norms[1](m)), s], -1))))
            v = v + layer.norms[3](layer.projection(y))
            outputs.append(v + layer.fall(second(layer.norms[5](layer.rise(first(layer.norms[4](v)))))))
        else:
            m = m @ a.mT + F.relu(layer.unit.input(v)) * b.flatten()
            y = F.relu(layer.unit.output(torch.cat([m, v], -1)))
            v = v + layer.norms[0](layer.projection(y))
            outputs.append(v + F.relu(layer.norms[2](layer.fall(F.gelu(layer.norms[1](layer.rise(v)))))))
    with recording() as observed:
        found, _ = memory(x)
    assert (found - torch.stack(outputs, 1)).abs().max() < 1e-10
    if spiking:
        spikes = observed["lmuformer/spikes"][0]
        assert spikes.shape == (2, 30, 34)
        assert set(spikes.unique().tolist()) == {0.0, 1.0}
        assert all(0.02 < group.mean() < 0.9 for group in spikes.split((6, 12, 6, 10), -1))


def ours(golden: dict[str, Tensor], folder: str, layer: int, spiking: bool) -> dict[str, Tensor]:
    """One published layer's weights, or their gradients, by name and layout here; convolutions there are of width 1."""
    linear = {"attn.lmu.W_u": "unit.input", "attn.lmu.W_h": "unit.output", "attn.proj_conv": "projection"}
    linear |= {"mlp.fc1_conv": "rise", "mlp.fc2_conv": "fall"}
    norms = ["attn.proj_bn", "mlp.fc1_bn", "mlp.fc2_bn"]
    norms = ["attn.prev_bn", "attn.lmu.bn_m", "attn.lmu.bn_h", *norms] if spiking else norms
    names = linear | {norm: f"norms.{index}" for index, norm in enumerate(norms)}
    found = {}
    for name, part in names.items():
        for kind in ("weight", "bias"):
            value = golden[f"{folder}{layer}.{name}.{kind}"]
            found[f"{part}.{kind}"] = value.squeeze(-1) if value.ndim == 3 else value
    return found


@pytest.mark.parametrize("form", LMUFormer.forms)
@pytest.mark.parametrize("case", ["plain", "spiking"])
def test_golden(form, case) -> None:
    golden, spiking = load_file(GOLDEN), case == "spiking"
    memory = LMUFormer(6, hidden=10, window=8.0, spiking=spiking, surrogate="sigmoid", form=form, chunk=5).double()
    for index, layer in enumerate(memory.layers):
        layer.load_state_dict(ours(golden, f"weight/{case}/", index, spiking))
    x, expected = golden[f"input/{case}/x"].requires_grad_(), golden[f"output/{case}/y"]
    y, _ = memory(x)
    assert (y - expected).abs().max() < 1e-10
    first, middle = memory(x[:, :7])
    assert (torch.cat([first, memory(x[:, 7:], middle)[0]], 1) - expected).abs().max() < 1e-10
    gradients = {"x": golden[f"gradient/{case}/x"]}
    for index in range(2):
        own = ours(golden, f"gradient/{case}/", index, spiking)
        gradients |= {f"layers.{index}.{name}": value for name, value in own.items()}
    wanted = {"x": x, **dict(memory.named_parameters())}
    assert gradients.keys() == wanted.keys()
    found = torch.autograd.grad(y.square().sum(), tuple(wanted.values()))
    for name, gradient in zip(wanted, found, strict=True):
        assert (gradient - gradients[name]).abs().max() < 1e-10 * gradients[name].abs().max().clamp_min(1), name


@pytest.mark.usefixtures("without_type_checks")
def test_spikes_obey_the_laws_in_float64() -> None:
    laws = ("cuts", "remembers", "causality", "resets", "rows", "forms", "saved", "dtypes")
    gaps = [*check(make(spiking=True), laws=laws, forms=("chunk",), dtypes=(torch.float64,))]
    assert len(gaps) == len(laws)
    assert not [gap for gap in gaps if not gap.holds]


def test_neurons() -> None:
    """As they are written, and the gradient of one that does not spike and of one that does."""
    x = 2 * draw(3, 25, 4)
    spikes, membrane = leaky_integrate_and_fire(x, torch.zeros(3, 4, dtype=torch.float64), threshold=0.7)
    hear = neuron(0.7)
    assert torch.equal(spikes, torch.stack([hear(unit) for unit in x.unbind(1)], 1))
    assert 0.05 < spikes.mean() < 0.5
    cut, middle = leaky_integrate_and_fire(x[:, :9], torch.zeros(3, 4, dtype=torch.float64), threshold=0.7)
    rest, last = leaky_integrate_and_fire(x[:, 9:], middle, threshold=0.7)
    assert torch.equal(torch.cat([cut, rest], 1), spikes)
    assert torch.equal(last, membrane)
    quiet = torch.tensor([[[0.4], [0.4]]], requires_grad=True)
    leaky_integrate_and_fire(quiet, torch.zeros(1, 1))[1].sum().backward()
    assert quiet.grad is not None
    assert quiet.grad.flatten().tolist() == [0.25, 0.5]
    v = torch.tensor([-1.0, 0.0, 0.5], requires_grad=True)
    surrogates = {"arctangent": (math.pi * v).arctan() / math.pi, "sigmoid": (4 * v).sigmoid()}
    for name, smooth in surrogates.items():
        (found,) = torch.autograd.grad(Spike.apply(v, name).sum(), v)
        assert torch.allclose(found, torch.autograd.grad(smooth.sum(), v)[0])


def test_state_sizes_and_language_model() -> None:
    assert nbytes(make()(draw(2, 5, 6))[1]) == 2 * 8 * 6
    assert nbytes(make(spiking=True)(draw(2, 5, 6))[1]) == 2 * 8 * (12 + 6 + 1 + 12 + 6 + 6 + 10)
    model = LanguageModel(9, dim=6, memory="lmuformer", depth=3, hidden=8)
    assert len(model.reader.body.layers) == 3
    with pytest.raises(ValueError, match="layers=0 is not a whole number of at least 1"):
        LMUFormer(6, layers=0)
    with pytest.raises(ValueError, match="has no form 'fft'"):
        make(form="fft")
