"""What stands verbatim in a memory: windows shorter than what is trained on, marks, and who wins; states that match."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mnesis.compare.cell import read_cell, run_cell
from mnesis.compare.design import Size, Unfit, build, count_state, matched
from mnesis.compare.grid import places
from mnesis.compare.leaderboard import Line, Spread, leaderboard, markdown, notes, verdict, winners
from mnesis.compare.setting import Budget, Match, Setting
from mnesis.compare.verbatim import limited, seen, seen_by, sees
from mnesis.core.catalog import card, list_memories
from mnesis.nets.for_task import usual_heads
from mnesis.tasks.algorithms.bit_windows import Parity

SETTING = Setting(
    task="copy", length=(16, 20), tests=(4, 20), budget=Budget("tokens", 2000), dim=16, depth=1, batch=4,
    rates=(3e-3,), seeds=1, sequences=8,
)  # fmt: skip
"""48 units at the shortest training length, so that a quarter is 12."""


@pytest.mark.parametrize(
    ("memory", "chosen", "units"),
    [
        ("window", {"window": 12}, 12),
        ("rmt", {"segment": 12}, 12),
        ("armt", {"segment": 12}, 12),
        ("transformer-xl", {"segment": 6, "memory_length": 6}, 12),
        ("griffin", {"window": 12}, 12),
        ("tcn", {}, 1 + 2 * 6 * 255),
        ("gru", {}, None),
        ("lmu", {}, None),
    ],
)
def test_windows_are_shorter_than_what_is_trained_on(memory, chosen, units) -> None:
    setting = replace(SETTING, depth=3) if memory == "griffin" else SETTING
    task = setting.create_task()
    options = limited(setting, task, memory, {})
    assert options == chosen
    network = build(setting, task, memory, Size(setting.dim, None, usual_heads(memory, setting.dim, options)))
    assert sees(network) == units
    found = seen(setting, task, network)
    assert found.inside == ({None: (), 12: (4,)}.get(units, (4, 20))), "12 units at length 4, 60 at length 20"


def test_what_was_asked_for_is_left_alone() -> None:
    task = SETTING.create_task()
    assert limited(SETTING, task, "window", {"window": 64}) == {"window": 64}
    assert limited(SETTING, task, "transformer-xl", {"memory_length": 3}) == {"memory_length": 3}
    assert limited(replace(SETTING, length=(2, 16)), task, "window", {}) == {"window": 12}, "8 would hold all 6: of 48"
    assert limited(replace(SETTING, length=(1, 2)), task, "window", {}) == {}, "8 units would hold all 6"
    assert limited(replace(SETTING, length=3), task, "window", {}) == {"window": 8}, "8 is the least, of 9"
    assert limited(replace(SETTING, match=Match("state", 16_000)), task, "window", {}) == {}, "which chooses it"
    assert limited(SETTING, task, "griffin", {}) == {}, "one layer of it has no window"
    (place,) = places([SETTING], {"window": {"heads": 2}}, Path("nowhere"))
    assert place.options == {"heads": 2, "window": 12}, "a part of what a cell was asked"


def test_a_window_of_a_quarter_loses_what_lies_outside(tmp_path) -> None:
    """And a cell says what it saw, and at which lengths that was all."""
    short = run_cell(SETTING, "window", {"window": 12}, tmp_path / "short")
    whole = run_cell(SETTING, "window", {"window": 64}, tmp_path / "whole")
    assert (short["sees"], short["inside"]) == (12, [4])
    assert (whole["sees"], whole["inside"]) == (64, [4, 20])
    lines = leaderboard([whole, short])
    assert [each.competes for each in lines] == [True, False], "the marked one stands below"
    assert winners(lines) == [lines[0]]
    assert "† all that is asked stood verbatim in the memory, which wins nothing: window (64 units)" in notes(lines)
    assert "| window † |" in markdown(lines)
    for found in (short, whole):
        for old in ("sees", "inside"):
            del found[old]
        (tmp_path / "old").mkdir(exist_ok=True)
        (tmp_path / "old" / "cell.json").write_text(json.dumps(found), encoding="utf-8")
        assert seen_by(read_cell(tmp_path / "old" / "cell.json")).inside in ((4,), (4, 20)), "worked out"
    assert seen_by(short).sees == 12


def test_what_is_not_asked_need_not_stand_there() -> None:
    """Of 64 units the latest 16 are asked: a window that holds these holds all that counts."""
    setting = replace(SETTING, task="memory-capacity", task_options={}, length=64, tests=(64, 128))
    task = setting.create_task()
    assert limited(setting, task, "window", {}) == {"window": 8}
    for window, inside in ((8, ()), (15, ()), (16, (64, 128))):
        network = build(setting, task, "window", Size(16, None, {"heads": 2, "window": window}))
        assert seen(setting, task, network) == (window, inside)
    every, alone = Parity(most=8, every=True), Parity(most=8)
    assert (every.span(8), alone.span(8)) == (15, 9), "8 bits, and 7 questions about them or one"


def test_what_lies_outside_a_window_is_not_recalled() -> None:
    """In one block without a convolution: an answer is moved by what the window holds, and by nothing before it."""
    setting = replace(SETTING, convolution=None)
    task = setting.create_task()
    options = limited(setting, task, "window", {})
    torch.manual_seed(0)
    network = build(setting, task, "window", Size(16, None, usual_heads("window", 16, options))).eval()
    x = torch.randint(8, (1, 48))
    other = x.clone()
    other[:, : 48 - 12] = (other[:, : 48 - 12] + 1) % 8
    assert torch.allclose(network(x)[0][:, -1], network(other)[0][:, -1], atol=1e-6)
    other[:, 48 - 12] = (x[:, 48 - 12] + 1) % 8
    assert not torch.allclose(network(x)[0][:, -1], network(other)[0][:, -1], atol=1e-6)


def line(memory: str, low: float, median: float, high: float, **known: Any) -> Line:
    figures = {"accuracy": Spread(0.5, 0.4, 0.6), "bits": Spread(median, low, high), "length": 16}
    return Line("recall", memory, "done", **{**figures, **known})


def test_winners_are_named_with_everybody_in_their_range() -> None:
    lines = [
        line("delta-rule", 1.77, 1.97, 1.98),
        line("mamba2", 1.93, 1.96, 1.96),
        line("armt", 1.93, 1.94, 1.95),
        line("gru", 1.1, 1.2, 1.3),
        line("window", 2.0, 2.1, 2.2, sees=512, inside=(16, 32)),
        line("gla", 2.0, 2.1, 2.2, stale="made with revision 1 of gla, which is at 2"),
    ]
    assert verdict(lines) == (
        "delta-rule, mamba2 and armt hold most: 1.97 bits an answer, within their ranges over seeds"
    )
    assert "‡ gla wins nothing: made with revision 1 of gla, which is at 2" in notes(lines)
    assert verdict([line("gru", 2.579, 2.5801, 2.5801), line("lstm", 2.58, 2.5802, 2.581)]).startswith("lstm and gru ")
    assert verdict([line("gru", -0.1, 0.0, 0.1)]) == "none holds anything: 50% right"
    assert verdict(lines[4:5]) == ""


SIZED = [each.name for each in list_memories() if each.size or not each.sees]
SLOW = {"lmu", "parallel-lmu", "lmuformer", "hippo", "gru", "bilinear", "aaren", "min-gru", "min-lstm"}
"""Networks of millions of weights at these bytes, or polynomials of a high order."""
COARSE = {
    "taylor-attention": "none within 5 %",
    "memmamba": "more bytes of state than 16,000 with states = 1 already",
    "tcn": r"channels = 1 already: of 1 \+ 2 \(kernel - 1\) \(2\^levels - 1\) units, which other options lessen",
    "multires": r"width = 16 already: of 1 \+ \(kernel - 1\) \(2\^levels - 1\) units, which other options lessen",
}
"""What cannot have them at this width, and why."""


@pytest.mark.parametrize("memory", sorted(set(SIZED) - SLOW - set(COARSE)))
def test_states_match_within_five_percent(memory) -> None:
    setting = replace(SETTING, match=Match("state", 16_000), dim=64, depth=2, length=(2, 16))
    task = setting.create_task()
    size = matched(setting, task, memory, limited(setting, task, memory, {}))
    found = count_state(build(setting, task, memory, size))
    assert 0.95 * 16_000 <= found <= 16_000, (size, card("memories", memory).size)


@pytest.mark.parametrize("memory", COARSE)
def test_what_cannot_have_so_many_bytes_says_why(memory) -> None:
    setting = replace(SETTING, match=Match("state", 16_000), dim=64, depth=2)
    with pytest.raises(Unfit, match=COARSE[memory]):
        matched(setting, setting.create_task(), memory, {})
    if memory in ("tcn", "multires"):
        less = {"levels": 4} if memory == "tcn" else {"levels": 6}
        setting = replace(setting, match=Match("state", 40_000))
        size = matched(setting, setting.create_task(), memory, less)
        found = count_state(build(setting, setting.create_task(), memory, size))
        assert 0.95 * 40_000 <= found <= 40_000, "with fewer levels it can"
