"""Every catalogued claim runs at smoke scale, through the command line and by itself; what it finds is whole."""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path

import pytest

from mnesis.claims import exams, trials
from mnesis.claims.accuracy import AccuracyClaim
from mnesis.claims.claim import Claim, Result, Scale, Stopped
from mnesis.claims.trials import TrainedClaim
from mnesis.cli import main
from mnesis.core.catalog import card, list_claims, papers
from mnesis.learn import Training

NAMES = [entry.name for entry in list_claims()]
SCHEMA = ["claim", "paper", "scale", "verdict", "predicate", "figures", "seeds", "seconds"]


def made(name: str) -> Claim:
    return card("claims", name).load()()


LONG = pytest.mark.slow
LONGEST = {
    "length-generalization", "state-collapse", "vma-confounders", "vma-few-shot", "vma-hard-is-faster",
    "vma-learned-characters",
}  # fmt: skip
"""At smoke scale too, where others go the same way."""
ACCURACY = [name for name in NAMES if isinstance(made(name), AccuracyClaim)]
TRAINED = [name for name in NAMES if isinstance(made(name), TrainedClaim)]


def trained(name: str) -> TrainedClaim:
    claim = made(name)
    assert isinstance(claim, TrainedClaim)
    return claim


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["claim", *arguments])
    return int(exit_.value.code or 0)


@pytest.mark.parametrize("name", [pytest.param(name, marks=LONG if name in LONGEST else ()) for name in NAMES])
def test_it_runs_at_smoke_scale(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = command(name, "--scale", "smoke", "--json", "--quiet", "--threads", "1", "--folder", str(tmp_path))
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert list(told) == SCHEMA
    assert (told["claim"], told["scale"], told["verdict"]) == (name, "smoke", "not judged")
    assert told["paper"] in papers()
    assert told["seeds"] == [0]
    assert told == json.loads((tmp_path / "smoke" / f"{name}.json").read_text())
    assert all((tmp_path / "smoke" / f"{name}.{kind}").stat().st_size > 1000 for kind in ("svg", "png"))
    assert made(name).statement in unescape((tmp_path / "smoke" / "report.html").read_text(encoding="utf-8"))
    assert told["figures"]["points"]
    claim = made(name)
    table = claim.table(told["figures"])
    assert table.rows
    assert all(len(row) == len(table.header) for row in table.rows)


@pytest.mark.parametrize("name", ACCURACY)
def test_its_points_are_whole(name: str, tmp_path: Path) -> None:
    figures = made(name).run("smoke", tmp_path, progress=False).figures
    points = figures["points"]
    every = [exam.at for trial in trained(name).trials("smoke") for phase in trial.phases for exam in phase.exams]
    assert sorted(point["at"] for point in points) == sorted(every)
    for point in points:
        low, high = point["interval"]
        assert 0 <= low <= point["accuracy"] <= high <= 1
        assert point["answers"] >= point["samples"] > 0
    assert all(training["updates"] > 0 for training in figures["trainings"])


@pytest.mark.parametrize("name", NAMES)
def test_its_card_agrees_with_it(name: str) -> None:
    claim = made(name)
    assert claim.name == name
    assert card("claims", name).papers == (claim.paper,)


@pytest.mark.parametrize("name", [pytest.param(name, marks=LONG if name in LONGEST else ()) for name in TRAINED])
@pytest.mark.parametrize("scale", ["laptop", "full"])
def test_larger_scales_can_be_built(name: str, scale: Scale) -> None:
    claim = trained(name)
    planned = claim.trials(scale)
    assert {trial.seed for trial in planned} == set(claim.seeds[scale])
    for trial in planned[:3]:
        shapes = [{key: value.shape for key, value in phase.build().state_dict().items()} for phase in trial.phases]
        assert all(shape == shapes[0] for shape in shapes), "weights pass from phase to phase"


def test_the_table_tells_predicate_and_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("rmt-length", "--scale", "smoke", "--quiet", "--threads", "1", "--folder", str(tmp_path)) == 0
    told = " ".join(capsys.readouterr().out.split())
    claim = made("rmt-length")
    assert claim.statement in told
    assert claim.predicate in told
    assert "not judged" in told


def test_what_is_finished_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made("rmt-length").run("smoke", tmp_path, progress=False)

    def forbidden(*_: object) -> None:
        raise AssertionError("taken again")

    monkeypatch.setattr(exams, "answers", forbidden)
    again = made("rmt-length").run("smoke", tmp_path, progress=False)
    assert again.figures == first.figures
    with pytest.raises(AssertionError, match="taken again"):
        made("rmt-length").run("smoke", tmp_path, progress=False, overwrite=True)


def test_a_signal_stops_it_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> Training:
        return Training(tmp_path, False, 15, 0, 0, 0.0, None, None, ())

    monkeypatch.setattr(trials, "fit", stopped)
    with pytest.raises(Stopped):
        made("rmt-copy").run("smoke", tmp_path, progress=False)
    code = command("rmt-copy", "--scale", "smoke", "--quiet", "--threads", "1", "--folder", str(tmp_path))
    assert code == 128 + 15
    assert "the same command goes on" in capsys.readouterr().err


@pytest.mark.parametrize(("verdict", "code"), [("holds", 0), ("does not hold", 1), ("inconclusive", 1)])
def test_the_exit_code_tells_the_verdict(
    verdict: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = made("rmt-length")
    result = claim.run("smoke", tmp_path, progress=False)
    judged = Result(**{**vars(result), "verdict": verdict})
    monkeypatch.setattr(Claim, "run", lambda *_, **__: judged)
    assert command("rmt-length", "--scale", "smoke", "--folder", str(tmp_path)) == code


def test_data_for_a_claim_that_reads_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("rmt-copy", "--scale", "smoke", "--data", str(tmp_path)) == 2
    assert "rmt-copy reads no data sets" in capsys.readouterr().err


def test_an_unknown_name_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("armt-rewrit") == 2
    assert "did you mean 'armt-rewrite'?" in capsys.readouterr().err
    assert command("armt-rewrite", "--threads", "0") == 2


@pytest.mark.slow
def test_processes_side_by_side_find_the_same(tmp_path: Path) -> None:
    alone = made("rmt-length").run("smoke", tmp_path / "alone", progress=False)
    both = made("rmt-length").run("smoke", tmp_path / "both", progress=False, workers=2)

    def timeless(figures: dict) -> list:
        return [{key: value for key, value in point.items() if key != "seconds"} for point in figures["points"]]

    assert timeless(both.figures) == timeless(alone.figures)
