"""Doubled budgets: how far a cell is trained, what confirms it, resumption, plans, and what is said of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from mnesis.cli import main
from mnesis.compare import growth as growing
from mnesis.compare.cell import discard, read_cell, run_cell, stood
from mnesis.compare.grid import plan_grid, run_grid
from mnesis.compare.growth import Enough, doublings_of, enough, has_grown, holds, remaining
from mnesis.compare.leaderboard import Grown, Line, Spread, effort, header, line, markdown, table, verdict
from mnesis.compare.page import write_page
from mnesis.compare.place import Place
from mnesis.compare.plan import Range, plan, told, total
from mnesis.compare.rows import rows
from mnesis.compare.setting import Budget
from mnesis.compare.watch import Watch

from . import small

SMALL = replace(small.SMALL, seeds=1)


def score(bits: float, half_width: float = 0.1) -> dict[str, Any]:
    return {
        "length": 3, "answers": 24, "sequences": 8, "accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "bits": bits,
        "bits_interval": [bits - half_width, bits + half_width], "control": 0.2, "control_bits": 0.0, "chance": 0.25,
        "above_chance": 0.3, "state_bytes": 64, "items": 3, "held": 3 * bits, "distances": [], "interference": None,
    }  # fmt: skip


def doubled(*bits: float) -> dict[str, Any]:
    trainings = [
        {
            "seed": 0, "updates": 10 << power, "units": 600 << power, "seconds": 1.0, "folder": f"{power}",
            "half": 100, "scores": [score(value)], "validation": score(value),
        }
        for power, value in enumerate(bits)
    ]  # fmt: skip
    return {"asked": {}, "doubled": trainings, "confirming": []}


@pytest.mark.parametrize(
    ("bits", "found"),
    [
        ((1.0,), Enough(0, False)),
        ((1.0, 1.05), Enough(0, True)),
        ((1.0, 1.2), Enough(1, False)),
        ((1.0, 1.2, 1.25), Enough(1, True)),
        ((1.0, 1.2, 1.5, 2.0), Enough(3, False)),
        ((0.0, 0.01), Enough(1, False)),
        ((0.05, -0.2, 1.0), Enough(2, False)),
    ],
)
def test_the_least_budget_of_which_twice_as_much_raises_nothing_is_enough(bits, found) -> None:
    """And what holds nothing has not converged, whatever it did last."""
    assert enough(doubled(*bits)) == found
    assert holds(doubled(*bits)) is (bits[found.power] > 0.1)


def test_it_goes_on_until_it_no_longer_rises_and_is_confirmed_there() -> None:
    cell = {"status": "done", "units_per_second": 9000.0}
    assert has_grown(cell, None, 0)
    assert not has_grown(cell, None, 1)
    rising = doubled(1.0, 2.0)
    assert not has_grown(cell, rising, 2)
    assert not has_grown(cell, rising, 1), "nobody has confirmed it"
    rising["confirming"] = [{"seed": seed} for seed in growing.CONFIRMING]
    assert has_grown(cell, rising, 1)
    assert not has_grown(cell, rising, 2), "more is asked for than was"
    assert has_grown(cell, doubled(0.0, 0.0), 1), "nothing is held that could be confirmed"
    assert not has_grown(cell, doubled(0.0, 0.0), 2)
    assert has_grown({"status": "unfit"}, None, 3)
    assert [doublings_of(speed, 3) for speed in (None, 4999.0, 5000.0)] == [3, 1, 3]
    assert doublings_of(10.0, 0) == 0


def test_a_cell_is_doubled_and_read_back(tmp_path, monkeypatch) -> None:
    """Every training is one of its own; what stands is not trained again, and more doublings go on from there."""
    monkeypatch.setattr(growing, "_rises", lambda before, after: True)
    monkeypatch.setattr(growing, "_low", lambda score: 1.0)
    monkeypatch.setattr(growing, "SLOW", 0)
    folder = tmp_path / "copy" / "gru"
    plain = run_cell(SMALL, "gru", {}, folder)
    found = run_cell(SMALL, "gru", {}, folder, doublings=1)
    assert {key: value for key, value in found.items() if key != "growth"} == plain, "the cell itself stays"
    growth = found["growth"]
    assert [each["updates"] for each in growth["doubled"]] == [plain["steps"], 2 * plain["steps"]]
    assert [each["seed"] for each in growth["confirming"]] == [1, 2]
    assert {each["updates"] for each in growth["confirming"]} == {2 * plain["steps"]}
    best = max(plain["search"], key=lambda entry: entry["bits"])
    assert growth["doubled"][0]["folder"] == best["folder"], "the search's own training is the first"
    assert growth["doubled"][0]["validation"]["bits"] == pytest.approx(best["bits"])
    for each in (growth["doubled"][1], *growth["confirming"]):
        recipe = json.loads((folder / each["folder"] / "config.json").read_text(encoding="utf-8"))["recipe"]
        assert (recipe["learning_rate"], recipe["seed"]) == (plain["rate"], each["seed"])
        assert recipe["stages"][0]["steps"] == 2 * plain["steps"]
        assert [one["length"] for one in each["scores"]] == [3, 6]
    monkeypatch.setattr(growing, "way_for", lambda *_: pytest.fail("nothing is left to be trained"))
    assert run_cell(SMALL, "gru", {}, folder, doublings=1) == found
    monkeypatch.undo()
    monkeypatch.setattr(growing, "_rises", lambda before, after: True)
    monkeypatch.setattr(growing, "_low", lambda score: 1.0)
    monkeypatch.setattr(growing, "SLOW", 0)
    assert stood(SMALL, "gru", {}, folder, 2) is None
    further = run_cell(SMALL, "gru", {}, folder, doublings=2)["growth"]
    assert further["doubled"][:2] == growth["doubled"]
    assert {each["folder"] for each in further["confirming"]} == {"4x-seed-1", "4x-seed-2"}
    discard(folder)
    assert not folder.exists(), "all of it was ours"


def test_what_breaks_down_with_more_ends_there(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(growing, "SLOW", 0)
    run_cell(SMALL, "gru", {}, tmp_path)
    fit = growing._Grower._trained

    def breaking(self, seed, power, name):
        if power:
            raise FloatingPointError("the loss is nan")
        return fit(self, seed, power, name)

    monkeypatch.setattr(growing._Grower, "_trained", breaking)
    found = run_cell(SMALL, "gru", {}, tmp_path, doublings=3)["growth"]
    assert found["broke"] == "2 times the budget broke down: the loss is nan"
    assert len(found["doubled"]) == 1
    assert stood(SMALL, "gru", {}, tmp_path, 3) is not None, "and is not tried again"


def test_a_seed_that_breaks_down_confirms_nothing(tmp_path, monkeypatch) -> None:
    """And is not tried again; figures of the others win nothing."""
    monkeypatch.setattr(growing, "SLOW", 0)
    monkeypatch.setattr(growing, "_low", lambda score: 1.0)
    monkeypatch.setattr(growing, "_rises", lambda before, after: False)
    fit = growing._Grower._trained

    def breaking(self, seed, power, name):
        if seed == 2:
            raise FloatingPointError("the loss is nan")
        return fit(self, seed, power, name)

    monkeypatch.setattr(growing._Grower, "_trained", breaking)
    folder = tmp_path / "copy" / "gru"
    found = run_cell(SMALL, "gru", {}, folder, doublings=1)
    assert [each["seed"] for each in found["growth"]["confirming"]] == [1]
    assert found["growth"]["unconfirmed"] == {"2": "seed 2 broke down with 1 times the budget: the loss is nan"}
    assert stood(SMALL, "gru", {}, folder, 1) is not None
    told = line(found)
    assert told.grown is not None
    assert told.grown.seeds == 2
    assert told.holding is None
    write_page(tmp_path, [found])
    page = (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
    assert "seed 2 broke down with 1 times the budget: the loss is nan." in page
    assert "--doublings 1" in page, "what fills the cell anew doubles its budget too"
    csv = list(rows([found]))
    assert len({(row["seed"], row["units"], row["length"]) for row in csv}) == len(csv) == 6, "none stands twice"
    own = {"search": [{"folder": "s"}], "trainings": [{"folder": "1", "seconds": 5}], "search_seconds": 7}
    growth = {"doubled": [{"folder": "s", "seconds": 3}, {"folder": "2x", "seconds": 20}]}
    growth["confirming"] = [{"folder": "1", "seconds": 5}]
    assert "25 s of training and 7 s of searching" in effort([{"status": "done", **own, "growth": growth}])


def test_answers_that_are_no_numbers_end_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(growing, "SLOW", 0)
    run_cell(SMALL, "gru", {}, tmp_path)
    examine = growing.examine
    monkeypatch.setattr(growing, "examine", lambda *args, **more: replace(examine(*args, **more), bits=math.nan))
    found = run_cell(SMALL, "gru", {}, tmp_path, doublings=1)["growth"]
    assert found["broke"].startswith("1 times the budget broke down: it answers in no finite numbers: score.bits nan")
    assert stood(SMALL, "gru", {}, tmp_path, 1) is not None


def test_a_damaged_file_is_refused_with_its_mend(tmp_path) -> None:
    run_cell(SMALL, "gru", {}, tmp_path)
    for content in ("{", "[]", '{"asked": {}, "doubled": [{}], "confirming": []}'):
        (tmp_path / growing.GROWTH).write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"growth\.json.*remove it to begin anew, or give another --folder"):
            read_cell(tmp_path / "cell.json")


def test_growth_of_another_cell_is_refused(tmp_path) -> None:
    """Such as of one that was removed, and filled anew with other tests."""
    cell = run_cell(SMALL, "gru", {}, tmp_path)
    growth = {**doubled(1.0), "asked": json.loads(json.dumps(cell["asked"]))}
    growth["asked"]["setting"]["sequences"] = 16
    (tmp_path / growing.GROWTH).write_text(json.dumps(growth), encoding="utf-8")
    with pytest.raises(ValueError, match=r"another cell .*\(setting\.sequences is 16 there and 8 here\); remove it"):
        read_cell(tmp_path / "cell.json")
    (tmp_path / growing.GROWTH).write_text(json.dumps({**growth, "asked": cell["asked"]}), encoding="utf-8")
    with pytest.raises(ValueError, match="0 has no score for each tested length; remove it"):
        read_cell(tmp_path / "cell.json")


def test_half_of_what_was_learned(tmp_path) -> None:
    """Above chance, and of the accuracy that it has come to; where nothing was learned there is none."""
    lines = [(100, 0.25), (200, 0.30), (300, 0.70), (400, 0.85), (1000, 0.95)]

    def write(lines: list[tuple[int, float | None]]) -> None:
        text = "".join(
            json.dumps({"update": n, "stage": 0, "length": 3, "loss": 1.0, "accuracy": right, "units": units,
                        "seconds": 1.0}) + "\n"
            for n, (units, right) in enumerate(lines, 1)
        )  # fmt: skip
        (tmp_path / "metrics.jsonl").write_text(text, encoding="utf-8")

    write(lines)
    assert growing._half(tmp_path, 0.25) == 300, "half way from 25 to 95 % is 60 %"
    write([(50, 0.65), *lines])
    assert growing._half(tmp_path, 0.25) == 300, "one line by chance is none"
    write([(units, 0.25) for units, _ in lines])
    assert growing._half(tmp_path, 0.25) is None
    write([(units, None) for units, _ in lines])
    assert growing._half(tmp_path, 0.0) is None, "numbers"


@pytest.mark.slow
def test_a_plan_counts_what_is_left(tmp_path, monkeypatch) -> None:
    """From recorded units a second where a cell stands, whatever its setting; else from what was measured."""
    monkeypatch.setattr(growing, "SLOW", 0)
    folder = tmp_path / "copy" / "gru"
    place = Place(SMALL, "gru", {}, folder, 2)
    (planned,) = plan([place], {folder: 6000.0})
    once = 600 / 6000
    least, most = 2 + 1 + (2 + 1), 2 + 1 + 1 + (2 + 4) + 2 * 4
    assert planned.takes == pytest.approx(Range(once * least, once * most))
    (unknown,) = plan([place], {})
    assert unknown.takes == Range(0, 0)
    assert told([unknown], 1).endswith("1 of them without a known speed, which are not counted")
    (seconds,) = plan([place._replace(setting=replace(SMALL, budget=Budget("seconds", 10)), doublings=0)], {})
    assert total([seconds]) == Range(30, 40)
    assert told([seconds], 2) == "1 cell to train: 30 s to 40 s of CPU time, 30 s to 40 s here", "one cell is one's"
    assert told([seconds] * 3, 2).endswith("45 s to 1 min here")
    cell = run_cell(SMALL, "gru", {}, folder)
    (planned,) = plan([place], {folder: 1.0})
    once = 600 / cell["units_per_second"]
    assert planned.takes.most == pytest.approx(once * (2 + 4 + 2 * 4)), "recorded, and the cell itself stands"
    (anew,) = plan([place], {}, anew=True)
    assert anew.takes.most == pytest.approx(once * most)
    planned = plan_grid([SMALL], {"gru": {}, "elman": {}}, tmp_path, watch=Watch(False))
    assert [each.place.memory for each in planned] == ["elman"]
    assert planned[0].speed, "measured"
    assert not (tmp_path / "copy" / "elman").exists(), "nothing was trained"
    (cells,) = [run_grid([SMALL], {"gru": {}}, tmp_path, doublings=1, progress=False)]
    assert cells[0]["growth"]["doubled"]


@pytest.mark.parametrize(
    ("bits", "confirmed", "doublings", "seeds", "found"),
    [
        (None, (), 0, 3, (0, 0)),
        (None, (), 1, 3, (2, 2 + 2 * 2)),
        (None, (), 2, 1, (2 + 1, 2 + 4 + 2 * 4)),
        ((1.0,), (), 2, 3, (2, 2 + 4 + 2 * 4)),
        ((1.0, 2.0), (1, 2), 2, 3, (4, 4 + 2 * 4)),
        ((1.0, 2.0), (), 2, 3, (4, 4 + 2 * 4)),
        ((1.0, 1.0), (), 3, 3, (0, 0)),
        ((1.0, 1.0), (), 3, 1, (1, 1)),
        ((1.0, 2.0, 3.0, 3.0), (), 5, 1, (8, 8)),
        ((1.0, 2.0, 3.0), (1,), 1, 3, (4, 4)),
        ((0.0, 0.0), (), 2, 3, (4, 4 + 2 * 4)),
    ],
)
def test_what_remains_of_a_cell(bits, confirmed, doublings, seeds, found) -> None:
    """In budgets: what stands is not counted again, the search's and the cell's own trainings among it."""
    cell = None if bits is None else {"status": "done", "units_per_second": 9000.0}
    growth = None if bits is None else {**doubled(*bits), "confirming": [{"seed": seed} for seed in confirmed]}
    assert remaining(cell, growth, doublings, seeds) == found


def grown(memory: str, bits: float, grown_bits: float, *, converged: bool = True, learning: float | None = 9e4) -> Line:
    spread = lambda value: Spread(value, value - 0.01, value + 0.01)  # noqa: E731
    more = Grown(
        accuracy=spread(0.9), bits=spread(grown_bits), units=1_998_080, seeds=3, converged=converged,
        learning=None if learning is None else spread(learning),
    )  # fmt: skip
    return Line(
        "recall", memory, "done", accuracy=spread(0.5), bits=spread(bits), state_bytes=64, parameters=100, length=16,
        grown=more,
    )  # fmt: skip


def test_what_is_said_of_it() -> None:
    """Who holds most with enough, and who has learned most with equal budgets, which may be another."""
    lines = [grown("gru", 1.5, 1.6), grown("gla", 0.0, 2.6, converged=False), grown("lstm", 0.0, 0.0, learning=None)]
    assert verdict(lines) == (
        "gla holds most with the budget that is enough for each: 2.60 bits an answer; more may raise gla; gru has "
        "learned most with equal budgets: 1.50 bits an answer"
    )
    assert header(lines)[3:5] == ("learning", "holding")
    assert [row[3:5] for row in table(lines)] == [("90k", "1.60 at 2M"), ("90k", "> 2.60 at 2M"), ("", "nothing at 2M")]
    assert "| learning | holding |" in markdown(lines)
    assert Line.from_json(json.loads(json.dumps(lines[1].as_json()))).grown == lines[1].grown


def test_only_what_is_held_and_confirmed_wins() -> None:
    """One seed on which nothing is held beyond doubt holds nothing; one that others are to confirm waits for them."""
    lines = [grown("gru", 0.0, 1.6), grown("gla", 0.0, 2.6), grown("lstm", 0.0, 2.2)]
    for at, change in ((1, {"beyond_doubt": False, "seeds": 1}), (2, {"seeds": 1, "converged": False})):
        more = lines[at].grown
        assert more is not None
        lines[at] = replace(lines[at], grown=replace(more, **change))
    assert verdict(lines).startswith("gru holds most with the budget that is enough for each: 1.60 bits an answer;")
    assert [row[4] for row in table(lines)] == ["1.60 at 2M", "nothing at 2M", "> 2.20 at 2M (1 seed)"]
    assert verdict(lines[1:2]).startswith("none holds anything with the budget that is enough for each: ")


def test_a_cell_and_its_line(tmp_path, monkeypatch) -> None:
    cell = run_cell(replace(SMALL, tests=(3,)), "gru", {}, tmp_path)
    growth = doubled(1.0, 1.5, 1.52)
    growth["confirming"] = [{**growth["doubled"][1], "seed": seed, "scores": [score(bits)], "half": half}
                            for seed, bits, half in ((1, 1.4, 300), (2, 1.7, None))]  # fmt: skip
    for each in growth["confirming"]:
        del each["validation"]
    (tmp_path / growing.GROWTH).write_text(json.dumps({**growth, "asked": cell["asked"]}), encoding="utf-8")
    found = line(read_cell(tmp_path / "cell.json")).grown
    assert found is not None
    assert found.bits == Spread(1.5, 1.4, 1.7)
    assert found.learning == Spread(200.0, 100.0, 300.0)
    assert (found.units, found.seeds, found.converged) == (1200, 3, True)


@pytest.mark.slow
def test_the_command(tmp_path, capsys) -> None:
    """A plan before anything is trained, then columns, pages and rows."""
    folder, table_of_rows = tmp_path / "out", tmp_path / "rows.csv"
    words = ["compare", "copy", "--memories", "gru,elman", "--budget", "tokens=600", "--batch", "4", "--dim", "16"]
    words += ["--depth", "1", "--seeds", "1", "--sequences", "8", "--length", "1-3", "--tests", "3,6", "--threads", "1"]
    words += ["--folder", str(folder), "--doublings", "1"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--plan", "--json"])
    assert not end.value.code
    planned = json.loads(capsys.readouterr().out)
    assert [each["memory"] for each in planned] == ["gru", "elman"]
    assert all(0 < each["least_seconds"] < each["most_seconds"] for each in planned)
    assert not folder.exists()
    with pytest.raises(SystemExit) as end:
        main([*words, "--csv", str(table_of_rows)])
    assert not end.value.code
    told = capsys.readouterr()
    assert "2 cells to train: " in told.err
    assert "holding" in told.out
    text = (folder / "leaderboard.html").read_text(encoding="utf-8")
    assert ">Holding</button>" in text
    assert "Doubled budgets; * is " in text
    units = {int(row.split(",")[21]) for row in table_of_rows.read_text(encoding="utf-8").splitlines()[1:]}
    assert len(units) >= 2, "rows of doubled budgets too"
    with pytest.raises(SystemExit) as end:
        main([*words[:-1], "21"])
    assert end.value.code == 2
    assert "--doublings 21" in capsys.readouterr().err
