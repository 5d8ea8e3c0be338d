"""RMT and ARMT against arrays computed with the authors' code (tests/golden/README.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mnesis.memories.segment.armt import ARMT
from mnesis.memories.segment.rmt import RMT
from mnesis.ops.associative import dpfp

from .tiny_host import TinyHost

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
ASSOCIATIVE = {"memory_query": "query", "memory_key": "key", "memory_value": "value", "memory_gate": "gate"}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


def own_name(name: str) -> str:
    """Where a golden weight stands in our memory."""
    if name == "memory":
        return name
    parts = name.split(".")
    if len(parts) > 2 and parts[2] in ASSOCIATIVE:
        return f"associative.{parts[1]}.{ASSOCIATIVE[parts[2]]}.{parts[3]}"
    return f"host.{TinyHost.own_name(name)}"


def fill(memory: torch.nn.Module, golden: dict[str, torch.Tensor]) -> None:
    weights = {k.removeprefix("weight/"): v for k, v in golden.items() if k.startswith("weight/")}
    missing, unexpected = memory.load_state_dict({own_name(k): v for k, v in weights.items()}, strict=False)
    assert not unexpected
    assert not missing


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.detach().double() - b).abs().max() / b.abs().max().clamp(min=1))


def check_gradients(memory: torch.nn.Module, golden: dict[str, torch.Tensor], prefix: str, tolerance: float) -> None:
    parameters = dict(memory.named_parameters())
    names = [k for k in golden if k.startswith(prefix)]
    assert names
    for name in names:
        gradient = parameters[own_name(name.removeprefix(prefix))].grad
        assert gradient is not None
        assert gap(gradient, golden[name]) < tolerance, name


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_rmt(dtype: torch.dtype) -> None:
    golden = load_file(GOLDEN / "rmt.safetensors")
    memory = RMT(16, segment=5, memory_tokens=3, memory_mask="causal", host=TinyHost()).to(dtype)
    fill(memory, golden)
    logits, _ = memory(golden["input/tokens"])
    assert gap(logits, golden["output/logits"]) < TOLERANCE[dtype]
    state = None
    for segment in range(3):
        _, state = memory(golden["input/tokens"][:, 5 * segment : 5 * segment + 5], state)
        assert gap(state.carried.memory, golden[f"state/memory.{segment}"]) < TOLERANCE[dtype]
    logits.square().sum().backward()
    check_gradients(memory, golden, "gradient/", TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("case", ["corrected", "uncorrected"])
def test_armt(case: str, dtype: torch.dtype) -> None:
    golden = load_file(GOLDEN / "armt.safetensors")
    options = {"memory_tokens": 3, "memory_dim": 4, "correction": case == "corrected"}
    memory = ARMT(16, segment=5, host=TinyHost(), **options).to(dtype)
    fill(memory, golden)
    tokens = golden["input/short/tokens"]
    logits, _ = memory(tokens)
    assert gap(logits, golden[f"output/{case}/logits"]) < TOLERANCE[dtype]
    state = None
    for segment in range(3):
        _, state = memory(tokens[:, 5 * segment : 5 * segment + 5], state)
        for layer, stored in enumerate(state.carried):
            assert gap(stored.matrix, golden[f"state/{case}/layers.{layer}.matrix.{segment}"]) < TOLERANCE[dtype]
            normaliser = golden[f"state/{case}/layers.{layer}.normaliser.{segment}"]
            assert gap(stored.normaliser, normaliser) < TOLERANCE[dtype]
    logits.square().sum().backward()
    check_gradients(memory, golden, f"gradient/{case}/", TOLERANCE[dtype])


def test_armt_over_forty_rewrites() -> None:
    golden = load_file(GOLDEN / "armt.safetensors")
    memory = ARMT(16, segment=2, memory_tokens=3, memory_dim=4, host=TinyHost()).double()
    fill(memory, golden)
    with torch.no_grad():
        logits, state = memory(golden["input/long/tokens"])
    assert gap(logits[:, -2:], golden["output/long/logits.last"]) < 1e-10
    for layer, stored in enumerate(state.carried):
        assert gap(stored.matrix, golden[f"state/long/layers.{layer}.matrix.39"]) < 1e-10
        assert gap(stored.normaliser, golden[f"state/long/layers.{layer}.normaliser.39"]) < 1e-10


def test_dpfp() -> None:
    golden = load_file(GOLDEN / "dpfp.safetensors")
    assert torch.equal(dpfp(golden["input/x"]), golden["output/features"])
