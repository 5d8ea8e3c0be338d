"""Verdicts are kept from run to run, each with what it comes from, and shown on one page of all claims."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mnesis.claims import verdicts
from mnesis.claims.claim import Result
from mnesis.cli import main
from mnesis.core.catalog import list_claims

FOUND = Result("rmt-copy", "bulatov2022rmt", "laptop", "does not hold", "holds if", {"points": []}, (0, 1), 12.0)


def test_a_verdict_takes_the_place_of_the_claims_earlier_one(tmp_path) -> None:
    file = tmp_path / "results" / "claims.json"
    page = verdicts.keep(FOUND, file)
    verdicts.keep(replace(FOUND, claim="vma-recall", seeds=(0,)), file)
    verdicts.keep(replace(FOUND, verdict="holds", scale="full"), file)
    known = verdicts.read(file)
    assert {name: (each.verdict, each.scale, each.seeds) for name, each in known.items()} == {
        "rmt-copy": ("holds", "full", (0, 1)),
        "vma-recall": ("does not hold", "laptop", (0,)),
    }
    assert known["rmt-copy"].version.startswith("0.1.0")
    assert len(known["rmt-copy"].date) == len("2026-11-30")
    rows = [line.split(" | ") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [row[0].strip("| `") for row in rows] == [card.name for card in list_claims()]
    shown = {row[0].strip("| `"): row[3] for row in rows}
    assert shown.pop("rmt-copy") == "**holds**"
    assert shown.pop("vma-recall") == "**does not hold**"
    assert set(shown.values()) == {verdicts.NOT_RUN}
    assert not list(file.parent.glob(".*"))


def test_what_is_no_verdict_is_not_kept(tmp_path) -> None:
    with pytest.raises(ValueError, match="rmt-copy at smoke scale is not judged; record it at laptop or full scale"):
        verdicts.keep(replace(FOUND, scale="smoke", verdict="not judged"), tmp_path / "claims.json")
    (tmp_path / "other.json").write_text(json.dumps({"rmt-copy": "yes"}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"other.json .*; move it away, or give another --record"):
        verdicts.keep(FOUND, tmp_path / "other.json")
    assert json.loads((tmp_path / "other.json").read_text(encoding="utf-8")) == {"rmt-copy": "yes"}


def test_somebody_elses_page_is_not_replaced(tmp_path) -> None:
    (tmp_path / "notes.md").write_text("mine", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"notes.md, where the page of all claims goes, is something else; move it away"
    ):
        verdicts.keep(FOUND, tmp_path / "notes.json")
    (tmp_path / "file").touch()
    with pytest.raises(
        ValueError, match=r"--record .*x.json: .*file is no folder that can be written to; give another"
    ):
        verdicts.keep(FOUND, tmp_path / "file" / "x.json")
    assert (tmp_path / "notes.md").read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "notes.md"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["rmt-copy", "--record", "claims.txt"],
            "--record claims.txt does not end in .json; give a name such as claims.json",
        ),
        (
            ["rmt-copy", "--record", "claims.json", "--scale", "smoke"],
            "--scale smoke is not judged; give --scale laptop or full",
        ),
        (
            ["vma-recall", "--record", "claims.json"],
            "vma-recall is about real data, and what stands in for them without",
        ),
    ],
)
def test_refusals_come_before_any_work(words, sentence, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["claim", *words])
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


RESULTS = Path(__file__).parents[2] / "docs" / "results"
IN_TEXT = re.compile(r"`mnesis claim ([\w-]+)`[^*]*?\*\*(holds|does not hold|inconclusive)\*\*")
IN_TABLE = re.compile(r"^\| `([\w-]+)` \| (holds|does not hold|inconclusive|not run)\b", re.MULTILINE)


def told() -> dict[str, str]:
    """Verdicts that pages of results tell in words."""
    pages = [page.read_text(encoding="utf-8") for page in RESULTS.glob("*.md") if page.name != "claims.md"]
    return {
        name: verdict for text in pages for pattern in (IN_TEXT, IN_TABLE) for name, verdict in pattern.findall(text)
    }


def test_pages_tell_the_verdicts_that_are_kept() -> None:
    known = verdicts.read(RESULTS / "claims.json")
    assert known
    assert {name: told().get(name) for name in known} == {name: each.verdict for name, each in known.items()}


def test_every_claim_has_a_page_that_tells_its_verdict() -> None:
    assert sorted(told()) == sorted(entry.name for entry in list_claims())
