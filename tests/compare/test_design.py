"""Networks around memories, and sizes that are made equal."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mnesis.compare.cell import run_cell
from mnesis.compare.design import Size, Unfit, build, count_parameters, count_state, matched
from mnesis.compare.setting import Match
from mnesis.core.catalog import list_tasks
from mnesis.layers.short_convolution import ShortConvolution
from mnesis.nets import Classifier, LanguageModel

from .small import SMALL


@pytest.mark.parametrize("memory", ["gru", "linear-attention", "mamba", "rmt"])
@pytest.mark.parametrize("limit", [30_000, 100_000])
def test_parameters_match(memory, limit) -> None:
    task = SMALL.create_task()
    setting = replace(SMALL, match=Match("parameters", limit), depth=2)
    size = matched(setting, task, memory, {})
    assert size.dim % 16 == 0
    assert 0.95 * limit <= count_parameters(build(setting, task, memory, size)) <= limit
    wider = matched(replace(setting, match=None, dim=size.dim + 16), task, memory, {})
    assert count_parameters(build(setting, task, memory, wider)) > limit, "the width is the largest"


@pytest.mark.parametrize(
    ("memory", "limit", "dim", "options"),
    [
        ("gru", 1280, 32, {"hidden": 320}),
        ("min-gru", 400, 96, {"heads": 4}),
        ("mamba", 10_000, 32, {"states": 36}),
        ("window", 20_000, 32, {"heads": 4, "window": 79}),
    ],
)
def test_states_match(memory, limit, dim, options) -> None:
    """By what the card names, else by the width."""
    task = SMALL.create_task()
    setting = replace(SMALL, match=Match("state", limit), depth=1, convolution=None, dim=32)
    size = matched(setting, task, memory, {})
    assert 0.95 * limit <= count_state(build(setting, task, memory, size)) <= limit
    assert size.dim == dim
    assert {key: value for key, value in options.items() if key != "heads"}.items() <= size.options.items()


@pytest.mark.parametrize("memory", ["gru", "transformer-xl", "lmuformer", "rmt"])
def test_whole_stacks_go_without_what_they_have_no_place_for(memory) -> None:
    task, setting = SMALL.create_task(), replace(SMALL, convolution=4)
    network = build(setting, task, memory, matched(setting, task, memory, {}))
    found = [part for part in network.modules() if isinstance(part, ShortConvolution)]
    assert bool(found) is (memory in ("gru", "rmt"))


def test_what_does_not_match_says_why(tmp_path) -> None:
    setting = replace(SMALL, match=Match("parameters", 1_000))
    with pytest.raises(Unfit, match="more parameters than 1,000 with width = 16 already"):
        matched(setting, setting.create_task(), "gru", {})
    found = run_cell(setting, "gru", {}, tmp_path / "gru")
    assert found["status"] == "unfit"
    with pytest.raises(Unfit, match="none within 5 %"):
        matched(replace(SMALL, match=Match("state", 16_000), depth=2), SMALL.create_task(), "taylor-attention", {})
    with pytest.raises(ValueError, match="linear-attention cannot be built at width 16"):
        matched(SMALL, SMALL.create_task(), "linear-attention", {"heads": 3})


def test_networks_fit_tasks() -> None:
    for entry in list_tasks():
        if entry.lengths is not None:
            setting = replace(SMALL, task=entry.name, task_options=entry.example, length=entry.lengths)
            task = setting.create_task()
            network = build(setting, task, "gru", Size(16, None, {}))
            assert isinstance(network, Classifier if task.features else LanguageModel)
            episode = task.episodes(2, setting.lengths[0], torch.Generator().manual_seed(0))
            y, _ = network(episode.inputs)
            assert y.shape[-1] == (task.target_features or task.vocabulary)
            assert setting.units(task) > 0
