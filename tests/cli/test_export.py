"""`mnesis export`: a run as a folder that transformers opens, and that every other command opens too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", minversion="5.24")

from mnesis.cli import main
from mnesis.core.catalog import create_task
from mnesis.measure.metering.scores import examine_lengths
from mnesis.nets import LanguageModel, load, save
from mnesis.tasks.language.tokenizer import ByteTokenizer

from ..kills import kill_at, run_watched


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    captured = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err


def test_a_reader_is_exported_and_reads_on_like_before(tmp_path, capsys) -> None:
    folder, text = tmp_path / "made" / "reader", tmp_path / "text.txt"
    code, out, _ = run(capsys, "export", "reader", folder)
    assert (code, out.splitlines()[0]) == (0, str(folder))
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "config.json", "generation_config.json", "model.safetensors", "modeling_mnesis.py",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert not list(folder.parent.glob(".*"))
    assert "\ntokenizer = AutoTokenizer.from_pretrained(folder)\n```" in (folder / "README.md").read_text()
    text.write_text("Mary moved to the office. John went to the garden.")
    asked = ["--ask", "Where is Mary?", "--json"]
    answers = [json.loads(run(capsys, "stream", text, "--model", model, *asked)[1]) for model in ("reader", folder)]
    assert answers[0]["answers"] == answers[1]["answers"]
    assert "office" in str(answers[1]["answers"])

    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    given = tokenizer("Mary moved to the office. Where is Mary?", return_tensors="pt")
    assert tokenizer.decode(model.generate(**given, do_sample=False)[0]).endswith("? office<|end|>")

    (folder / "notes.txt").write_text("mine")
    code, _, error = run(capsys, "export", "reader", folder)
    assert (code, error) == (
        2, f"mnesis: {folder} holds an earlier export; choose another folder or pass --overwrite\n",
    )  # fmt: skip
    assert run(capsys, "export", folder, folder, "--overwrite")[0] == 2
    assert run(capsys, "export", "reader", folder, "--overwrite")[0] == 0
    assert (folder / "notes.txt").read_text() == "mine"
    again = tmp_path / "again"
    assert run(capsys, "export", folder, again)[0] == 0
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.slow
def test_evaluations_of_an_exported_reader_are_those_of_the_run(tmp_path, capsys) -> None:
    folder = tmp_path / "reader"
    run(capsys, "export", "reader", folder)
    told = ["--lengths", "200", "--streams", "2", "--questions", "2", "--quiet", "--json"]
    found = [
        json.loads(run(capsys, "evaluate", model, "--output", tmp_path / name, *told)[1])
        for model, name in (("reader", "a"), (folder, "b"))
    ]
    kept = ("length", "questions", "accuracy", "bits", "control_accuracy", "state_bytes")
    assert [found[0]["lengths"][0][key] for key in kept] == [found[1]["lengths"][0][key] for key in kept]


def test_a_run_on_a_task_is_exported_without_tokens(tmp_path, capsys) -> None:
    """And evaluated on its task, which its folder goes on to tell."""
    sizes = ["--length", "2-4", "--task-options", "symbols=4", "--budget", "updates=2", "--batch", "2", "--dim", "8"]
    code, _, error = run(capsys, "train", "copy", "--memory", "gru", *sizes, "--folder", tmp_path / "run")
    assert code == 0, error
    assert run(capsys, "export", tmp_path / "run", tmp_path / "made")[0] == 0
    assert "It reads numbers" in (card := (tmp_path / "made" / "README.md").read_text())
    assert "AutoTokenizer" not in card
    asked = ["--lengths", "3", "--sequences", "4", "--quiet", "--json"]
    code, out, error = run(capsys, "evaluate", tmp_path / "made", *asked)
    assert code == 0, error
    found = json.loads(out)
    assert found["task"]["name"] == "copy"
    assert found["task"]["options"]["symbols"] == 4
    task = create_task("copy", symbols=4).unseen("test")
    (own,) = examine_lengths(load(tmp_path / "run"), task, [3], sequences=4, progress=False)
    kept = ("accuracy", "bits", "answers", "control", "state_bytes")
    assert [found["lengths"][0][key] for key in kept] == [own.score.as_json()[key] for key in kept]
    code, out, _ = run(capsys, "show", tmp_path / "made")
    assert "task: copy" in out
    assert out.count(str(tmp_path / "made")) == 1


def test_what_cannot_be_exported_is_refused(tmp_path, capsys) -> None:
    torch.manual_seed(0)
    save(LanguageModel(257, dim=8, memory="gru", depth=1), tmp_path / "run")
    ByteTokenizer().save(tmp_path / "run")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    for to, told in (
        (foreign, "holds something that was not exported; choose another folder"),
        (foreign / "thesis.txt", "is a file; choose another folder"),
        (tmp_path / "run", "is the run itself; choose another folder"),
        (foreign / "thesis.txt" / "below", "cannot write"),
    ):
        code, out, error = run(capsys, "export", tmp_path / "run", to, "--overwrite")
        assert (code, out) == (2, "")
        assert told in error
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]
    code, _, error = run(capsys, "export", tmp_path / "none", tmp_path / "made")
    assert code == 2
    assert "there is no folder" in error
    assert run(capsys, "export", tmp_path / "run", tmp_path / "made")[0] == 0
    assert load(tmp_path / "made").vocabulary == 257
    shutil.rmtree(tmp_path / "made")
    code, _, error = run(capsys, "export", "omniglot", tmp_path / "made")
    assert code == 2
    assert not (tmp_path / "made").exists()


def test_a_killed_export_is_not_opened_half_replaced_and_is_written_anew(tmp_path, capsys) -> None:
    torch.manual_seed(0)
    save(LanguageModel(257, dim=8, memory="gru", depth=1), tmp_path / "run")
    ByteTokenizer().save(tmp_path / "run")
    made, command = tmp_path / "made", ["export", str(tmp_path / "run"), str(tmp_path / "made"), "--overwrite"]
    assert run(capsys, *command)[0] == 0
    ended = run_watched(command, within=tmp_path)
    moved = [index for index, done in enumerate(ended.operations) if done.endswith(f" -> {made}/model.safetensors")]
    for n in (moved[0], moved[0] + 1):
        kill_at(command, n, within=tmp_path)
        assert not (made / "config.json").exists()
        with pytest.raises(FileNotFoundError, match=r"has no config.json"):
            load(made)
        assert run(capsys, *command[:-1])[0] == 2  # nothing is replaced unasked
        assert run(capsys, *command)[0] == 0
        assert load(made).vocabulary == 257
        assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "run"]
