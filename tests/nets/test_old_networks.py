"""Weights that an earlier version wrote of every memory have their places still (tests/old)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mnesis

WEIGHTS = json.loads((Path(__file__).parents[1] / "old" / "weights.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_an_earlier_version_fit(name) -> None:
    held = mnesis.create_memory(name, **WEIGHTS[name]["arguments"]).state_dict()
    assert {key: [str(value.dtype)[6:], *value.shape] for key, value in held.items()} == WEIGHTS[name]["weights"]
