"""Transformer-XL: the authors' numbers, the paper's equations written out, and where gradients end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.state import nbytes
from mnesis.memories.segment.transformer_xl import TransformerXL

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "transformer_xl.safetensors"
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(**options) -> TransformerXL:
    torch.manual_seed(0)
    memory = TransformerXL(8, **{"segment": 4, "memory_length": 6, "heads": 2, "hidden": 12} | options).double()
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return memory


def gap(a: Tensor, b: Tensor) -> float:
    b = b.detach()
    return float((a.detach().double() - b).abs().max() / b.abs().max().clamp(min=1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_golden(norm, dtype) -> None:
    golden = load_file(GOLDEN)
    memory = TransformerXL(16, segment=5, memory_length=7, heads=2, hidden=24, norm=norm).to(dtype)
    memory.load_state_dict({k.removeprefix("weight/"): v for k, v in golden.items() if k.startswith("weight/")})
    x = golden["input/x"].to(dtype, copy=True).requires_grad_()
    y, state = memory(x)
    assert gap(y, golden[f"output/{norm}/y"]) < TOLERANCE[dtype]
    y.square().sum().backward()
    gradients = {"x": x.grad, **{name: parameter.grad for name, parameter in memory.named_parameters()}}
    names = [name for name in golden if name.startswith(f"gradient/{norm}/")]
    assert len(names) == 5
    for name in names:
        assert gap(gradients[name.removeprefix(f"gradient/{norm}/")], golden[name]) < TOLERANCE[dtype], name
    if norm == "post":
        _, first = memory(x[:, :5])
        for layer in range(2):
            assert gap(first.memory[layer][:, 2:], golden[f"state/post/memory.{layer}.0"]) < TOLERANCE[dtype]
            assert gap(state.memory[layer], golden[f"state/post/memory.{layer}.2"]) < TOLERANCE[dtype]


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_it_starts_as_the_authors_code(norm) -> None:
    """Bounds of five standard errors."""
    torch.manual_seed(0)
    for name, parameter in TransformerXL(64, layers=3, heads=4, norm=norm).named_parameters():
        values, middle = parameter.detach().double(), float("norm.weight" in name)
        if name.endswith(".bias"):
            assert bool(values.eq(0).all()), name
            continue
        assert abs(float(values.mean()) - middle) < 5 * 0.02 / values.numel() ** 0.5, name
        assert abs(float(values.std()) - 0.02) < 5 * 0.02 / (2 * values.numel()) ** 0.5, name
        if values.ndim == 2 and values.numel() > 1000:
            assert float(values.abs().max()) > 3 * 0.02, f"{name} drawn from a bell"


def written_out(memory: TransformerXL, x: Tensor) -> Tensor:
    """Section 3.3, one row: segment by segment, unit by unit, head by head; nothing stands before the first unit."""
    dim, heads, size = 8, 2, 4
    rate = 10_000.0 ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    kept = [x.new_zeros(0, dim) for _ in memory.layers]
    outputs = []
    for h in x.split(memory.segment):
        for index, layer in enumerate(memory.layers):
            past = torch.cat([kept[index].detach(), h])  # h~ = [SG(m), h]
            before = len(kept[index])
            kept[index] = past[-memory.memory_length :].detach()
            rows = []
            for i, unit in enumerate(h):
                context = []
                for head in range(heads):
                    own = slice(head * size, (head + 1) * size)
                    q = layer.query.weight[own] @ unit
                    scores = []
                    for j in range(before + i + 1):
                        angle = (before + i - j) * rate
                        r = layer.position.weight[own] @ torch.cat([angle.sin(), angle.cos()])
                        k = layer.key.weight[own] @ past[j]
                        scores.append((q + memory.content_bias[head]) @ k + (q + memory.position_bias[head]) @ r)
                    weights = (torch.stack(scores) / size**0.5).softmax(0)
                    context.append(weights @ (past[: before + i + 1] @ layer.value.weight[own].T))
                rows.append(layer.output.weight @ torch.cat(context))
            h = layer.attention_norm(h + torch.stack(rows))
            h = layer.mlp_norm(h + layer.fall(F.relu(layer.rise(h))))
        outputs.append(h)
    return torch.cat(outputs)


@pytest.mark.parametrize("memory_length", [3, 4, 6, 50])
def test_the_equations(memory_length) -> None:
    memory = make(memory_length=memory_length)
    x = draw(1, 15, 8)
    weight = draw(15, 8, seed=2)
    expected = written_out(memory, x[0])
    wanted = torch.autograd.grad((expected * weight).sum(), list(memory.parameters()))
    stepped, state = [], memory.initial_state(1, device=x.device, dtype=x.dtype)
    for unit in x.unbind(1):
        y, state = memory.step(unit, state)
        stepped.append(y)
    for y in (memory(x)[0][0], torch.cat(stepped)):
        assert gap(y, expected) < 1e-12
        found = torch.autograd.grad((y * weight).sum(), list(memory.parameters()))
        assert max(gap(a, b) for a, b in zip(found, wanted, strict=True)) < 1e-11


def test_gradients_end_at_the_grid_wherever_the_stream_is_cut() -> None:
    memory = make()
    for cuts in (None, [11], [1] * 11, [6, 5], [4, 4, 3], [3, 7, 1]):
        x, outputs = draw(2, 11, 8).requires_grad_(), []
        state = memory.initial_state(2, device=x.device, dtype=x.dtype)
        for piece in x.split(cuts or 1, 1):
            y, state = memory(piece, state) if cuts else memory.step(piece[:, 0], state)
            outputs.append(y if cuts else y[:, None])
            assert not any(leaf.requires_grad for leaf in state.memory)
        (gradient,) = torch.autograd.grad(torch.cat(outputs, 1)[:, 6].square().sum(), x)
        assert gradient[:, 4:7].abs().amax(-1).min() > 1e-6  # its own segment, through the caches
        assert gradient[:, :4].eq(0).all()
        assert gradient[:, 7:].eq(0).all()


def test_reach_is_layers_times_memory() -> None:
    """Two layers and a memory of 6: a unit opens segment 4..7 and moves outputs up to two memories later."""
    memory = make()
    x = draw(1, 28, 8)
    changed = x.clone()
    changed[:, 4] += 1
    moved = (memory(x)[0] - memory(changed)[0]).abs().amax((0, 2))
    assert moved[4:12].min() > 1e-6
    # Segment 12..15 keeps units 6..11 only, which have seen unit 4; segment 20..23 keeps 14..19, whose inputs have not.
    assert moved[12:20].min() > 1e-9
    assert moved[20:].max() < 1e-12


def test_rows_at_different_places_step_together() -> None:
    memory, x = make(), draw(3, 12, 8)
    lengths = torch.tensor([3, 4, 9])
    _, state = memory(x, length=lengths)
    y, after = memory.step(x[:, 11], state)
    for row, length in enumerate(lengths.tolist()):
        _, alone = memory(x[row : row + 1, :length])
        expected, alone = memory(x[row : row + 1, 11:], alone)
        assert gap(y[row], expected[0, 0]) < 1e-12
        for layer in range(2):
            assert gap(after.memory[layer][row], alone.memory[layer][0]) < 1e-12
            assert gap(after.present[layer][row], alone.present[layer][0]) < 1e-12


def test_the_state_is_as_large_as_promised() -> None:
    memory = TransformerXL(8, segment=4, memory_length=6, layers=3, heads=2)
    state = None
    for time in (1, 3, 30):
        _, state = memory(torch.randn(2, time, 8), state)
        assert nbytes(state) == 2 * (4 * 3 * (6 + 4) * 8 + 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "dim=8 must be even and split into 3 heads"),
        ({"segment": 0}, "segment=0 is not a whole number of at least 1"),
        ({"memory_length": 0}, "memory_length=0 is not a whole number of at least 1"),
        ({"norm": "both"}, "norm='both' is unknown; give 'post' or 'pre'"),
    ],
)
def test_options_that_cannot_be(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        TransformerXL(8, **options)
