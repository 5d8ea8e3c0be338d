"""States and networks that an earlier version wrote open, and give the same numbers (tests/old)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import mnesis
from mnesis.nets import load
from tests.old.write import GRU, RMT

OLD = Path(__file__).parents[1] / "old"


@pytest.mark.parametrize(("name", "options"), [("rmt", RMT), ("gru", GRU)])
def test_a_state_goes_on_as_it_did(name, options) -> None:
    numbers = load_file(OLD / "states" / f"{name}.numbers.safetensors")
    memory = mnesis.create_memory(name, **options).eval()
    weights = {key.removeprefix("weight/"): value for key, value in numbers.items() if key.startswith("weight/")}
    memory.load_state_dict(weights)
    state = mnesis.load_state(OLD / "states" / f"{name}.safetensors")
    with torch.no_grad():
        assert torch.allclose(memory(numbers["x"])[0], numbers["y"], atol=1e-6)
        assert torch.allclose(memory(numbers["more"], state)[0], numbers["later"], atol=1e-6)


def test_a_network_reads_as_it_did_and_its_state_goes_on() -> None:
    numbers = load_file(OLD / "reader" / "numbers.safetensors")
    model = load(OLD / "reader")
    state = mnesis.load_state(OLD / "reader" / "state.safetensors", about=model.describe())
    with torch.no_grad():
        logits, ours = model(numbers["tokens"])
        assert torch.allclose(logits, numbers["logits"], atol=1e-6)
        assert type(state) is type(ours)
        assert torch.allclose(model(numbers["more"], state)[0], numbers["later"], atol=1e-6)
