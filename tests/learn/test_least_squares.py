"""Readouts by least squares, against a solution by hand; comparisons of memories that are not trained."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mnesis.compare.cell import run_cell
from mnesis.compare.leaderboard import line
from mnesis.compare.setting import Budget, Setting
from mnesis.core.memory import Memory
from mnesis.learn import Recipe, Stage, fit_readout
from mnesis.learn.windows import draw
from mnesis.measure.metering.meter import examine
from mnesis.nets import Classifier, LanguageModel
from mnesis.tasks.copying.copy import Copy
from mnesis.tasks.signals.memory_capacity import MemoryCapacity


def reservoir(kind: type, *sizes: int) -> Memory:
    torch.manual_seed(0)
    return kind(
        *sizes, dim=64, memory="echo-state", depth=1, mlp=None, options={"spectral_radius": 0.95, "input_scale": 0.1}
    )


def test_numbers(tmp_path) -> None:
    """What is solved for is what numpy's least squares gives on all features at once."""
    task, stage = MemoryCapacity(lags=8), Stage(100, 4, 5)
    network = reservoir(Classifier, 1, 8)
    body, readout = network.parts()
    generator, features, targets = torch.Generator().manual_seed(3), [], []
    with torch.no_grad():
        for _ in range(stage.steps):
            _, episode = draw(task, stage, generator)
            asked = episode.weight > 0
            features.append(F.pad(body(episode.inputs)[0], (0, 1), value=1.0)[asked].double())
            targets.append(episode.targets[asked].double())
        result = fit_readout(network, task, Recipe((stage,), seed=3), tmp_path, ridge=0.0)
    expected = torch.linalg.lstsq(torch.cat(features), torch.cat(targets)).solution
    said = torch.cat(features)[:, :64] @ readout.weight.T.double() + readout.bias.double()
    torch.testing.assert_close(said, torch.cat(features) @ expected, atol=1e-4, rtol=1e-4)
    assert (result.updates, result.units) == (5, 2000)
    assert examine(network, task, 100).accuracy > 0.5


def test_ids(tmp_path) -> None:
    """Chosen by the largest, and likely where they are right."""
    task = Copy(symbols=4)
    network = reservoir(LanguageModel, task.vocabulary)
    before = examine(network, task, 3)
    fit_readout(network, task, Recipe((Stage((1, 3), 32, 40),)), tmp_path)
    after = examine(network, task, 3)
    assert after.accuracy > 0.6 > before.accuracy
    assert after.bits > 0.5, "the outputs of least squares are scaled into probabilities"
    assert after.control < after.accuracy
    again = reservoir(LanguageModel, task.vocabulary)
    fit_readout(again, task, Recipe((Stage((1, 3), 32, 40),)), tmp_path)
    assert examine(again, task, 3) == after, "a finished run is read back"
    with pytest.raises(ValueError, match="another config"):
        fit_readout(again, task, Recipe((Stage((1, 3), 32, 41),)), tmp_path)


def test_a_cell_without_gradients(tmp_path) -> None:
    setting = Setting(
        "copy", (1, 3), (3,), Budget("tokens", 4000), {"symbols": 4}, dim=32, depth=1, rates=(1e-3, 3e-3), seeds=2
    )
    found = run_cell(replace(setting, sequences=20), "echo-state", {}, tmp_path)
    assert found["status"] == "done"
    assert found["search"][0]["options"] == {"spectral_radius": 0.9, "input_scale": 0.1}
    assert len(found["search"]) == 3, "one more than there are rates"
    assert found["rate"] is None
    best = max(found["search"], key=lambda entry: entry["bits"])
    assert best["options"].items() <= found["options"].items()
    own = json.loads((tmp_path / "seed-2" / "config.json").read_text(encoding="utf-8"))
    assert own["recipe"]["seed"] == 2
    assert line(found).bits is not None
    assert line(found).units_per_second is not None


def test_bad_input(tmp_path) -> None:
    class Bare(Memory[tuple[()]]):
        dim = 3

        def initial_state(self, batch, *, device, dtype):
            return ()

        def scan(self, x, state, phase=0):
            return x, state

    with pytest.raises(ValueError, match="Bare has no linear readout"):
        fit_readout(Bare(), Copy(), Recipe((Stage(1, 1, 1),)), tmp_path)
