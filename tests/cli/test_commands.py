"""The commands as a person and a script meet them: exit codes, sentences, JSON."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mnesis.cli import COMMANDS, main
from mnesis.cli.designs import ReaderDesign
from mnesis.cli.recipes import Phase, phases
from mnesis.cli.training import train_reader
from mnesis.core.shipped import find as shipped_folder
from mnesis.learn import Recipe, Stage
from mnesis.learn.signals import StopSignals
from mnesis.tasks.stories.babilong.source import BABILongSource

SOURCE = BABILongSource(vocabulary=600)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err


def short_phases(updates: int = 2) -> list[Phase]:
    recipes = [
        Recipe((Stage(length, 4, updates, truncation=window, update="window"),), save_every=1, log_every=1)
        for length, window in ((64, 64), (256, 64))
    ]
    return [
        Phase(recipes[0], 64, 64, {"questions": 3.0, "forks": 0}),
        Phase(recipes[1], 64, 64, {"questions": 0.5, "forks": 2}, {"gate_penalty": 0.003}),
    ]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    design = ReaderDesign("armt", 16, 1, 16, 3, {"memory_tokens": 2, "memory_dim": 4, "heads": 2})
    train_reader(folder, SOURCE, design, short_phases(), progress=False)
    return folder


def test_help_names_every_command(capsys) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capsys, name) -> None:
    code, out, _ = run(capsys, name, "--help")
    assert all(line.count(f"mnesis {name}") <= 1 for line in out.splitlines()), "each example has a line of its own"
    assert code == 0
    assert f"usage: mnesis {name}" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lawz"], "no command is called 'lawz'; did you mean 'laws'?"),
        (["laws", "gruu"], "no memory is called 'gruu'; did you mean 'gru'?"),
        (["laws"], "give the names of memories, or --all"),
        (["laws", "no.such:Thing"], "cannot import no.such:Thing"),
        (["laws", "json:JSONDecoder"], "is not a Memory"),
        (["stream", "missing.txt", "--model", "missing"], "there is no folder missing and no reader of that name"),
        (["report", "missing"], "missing holds no run"),
        (["fetch", "nist", "data"], "no collection of pictures is called 'nist'; there are mnist"),
        (["evaluate", "missing"], "there is no folder missing"),
        (["claim", "armt-rewrit"], "did you mean 'armt-rewrite'?"),
        (["bench", "grru"], "did you mean 'gru'?"),
        (["bench-tasks", "kopy"], "did you mean 'copy'?"),
        (["bench-tasks", "babilong"], "the catalog has no lengths for babilong; give --length"),
        (["bench", "min-gru", "--peers"], "minGRU-pytorch is not installed; pip install --no-deps minGRU-pytorch"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(capsys, tmp_path, monkeypatch, arguments, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run(capsys, *arguments)
    assert code == 2
    assert sentence in error
    assert error.count("\n") == 1


def test_the_catalog_is_listed_for_scripts(capsys) -> None:
    _, out, _ = run(capsys, "list", "memories", "--json")
    assert {"gru", "rmt", "armt"} <= {card["name"] for card in json.loads(out)}
    _, out, _ = run(capsys, "list", "memories", "--bibtex")
    assert out.count("@") >= 9
    assert "Recurrent Memory Transformer" in out


def test_drawing_is_measured_beside_training(capsys) -> None:
    code, out, _ = run(capsys, "bench-tasks", "copy", "parity", "--quiet", "--json")
    assert code == 0
    rows = json.loads(out)
    assert [(row["task"], row["length"]) for row in rows] == [("copy", 16), ("parity", 8)]
    assert all(row["ratio"] == row["drawn"] / row["trained"] > 0 for row in rows)


def test_laws_are_measured_for_scripts(capsys) -> None:
    code, out, _ = run(capsys, "laws", "gru", "--only", "rows", "purity", "--json")
    assert code == 0
    assert {gap["law"] for gap in json.loads(out)} == {"rows", "purity"}
    assert set(json.loads(out)[0]) == {"memory", "law", "form", "dtype", "gap", "tolerance", "reason", "holds"}


def test_a_strangers_memory_is_measured(capsys) -> None:
    code, out, _ = run(
        capsys, "laws", "tests.core.broken:MixesRows", "--options", "dim=4", "--only", "rows", "cuts", "--json"
    )
    assert code == 1
    assert {gap["law"] for gap in json.loads(out) if not gap["holds"]} == {"rows"}


def test_a_run_is_trained_evaluated_and_reported(capsys, reader, tmp_path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "metrics.jsonl"):
        assert (reader / name).is_file()
    lines = [json.loads(line) for line in (reader / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == [1, 2, 3, 4]
    output = tmp_path / "evaluation"
    command = ["evaluate", str(reader), "--lengths", "200,300", "--streams", "3", "--quiet", "--json"]
    code, out, _ = run(capsys, *command, "--output", str(output), "--threads", "1")
    assert code == 0
    assert [row["length"] for row in json.loads(out)["lengths"]] == [200, 300]
    assert (output / "report.html").is_file()
    code, out, _ = run(capsys, "report", str(reader), str(output), "--output", str(tmp_path / "both.html"))
    assert code == 0
    assert Path(out.strip()).is_file()
    code, _, error = run(capsys, "report", str(reader), "--output", str(tmp_path / "both.html"))
    assert code == 2
    assert "--overwrite" in error


@pytest.mark.slow
def test_long_stories_are_left_out_where_asked(capsys, reader, tmp_path) -> None:
    command = ["evaluate", str(reader), "--lengths", "100", "--streams", "3", "--threads", "1", "--quiet", "--json"]
    code, _, error = run(capsys, *command, "--maximum-facts", "0", "--output", str(tmp_path / "none"))
    assert code == 2
    assert "maximum_facts=0" in error
    code, out, _ = run(capsys, *command, "--maximum-facts", "2", "--output", str(tmp_path / "short"))
    assert code == 0
    assert json.loads(out)["about"]["maximum_facts"] == 2


def test_another_source_is_refused(reader) -> None:
    design = ReaderDesign("armt", 16, 1, 16, 3, {"memory_tokens": 2, "memory_dim": 4, "heads": 2})
    with pytest.raises(ValueError, match="a run on other data"):
        train_reader(reader, BABILongSource(2, vocabulary=600), design, short_phases(), progress=False)
    with pytest.raises(ValueError, match="another config"):
        train_reader(reader, SOURCE, design, short_phases(3), progress=False)


def test_a_state_of_another_reader_is_told_by_the_option_that_mends_it(capsys, reader, tmp_path) -> None:
    text, saved = tmp_path / "text.txt", tmp_path / "state.safetensors"
    text.write_text("Mary moved to the office.")
    assert run(capsys, "stream", str(text), "--model", str(reader), "--save", str(saved))[0] == 0
    code, out, error = run(capsys, "stream", str(text), "--resume", str(saved))  # by the reader that ships
    assert (code, out) == (2, "")
    assert "was made by another reader; give --model the folder of the one that made it" in error


def test_a_stream_is_resumed_from_its_file(capsys, reader, tmp_path) -> None:
    text = " ".join(f"Mary moved to the {room}. The tide turned slowly." for room in ("office", "garden") * 40)
    halves = text[: text.index(" ", len(text) // 2)], text[text.index(" ", len(text) // 2) :]
    for name, content in zip(("whole", "first", "second"), (text, *halves), strict=True):
        (tmp_path / f"{name}.txt").write_text(content)
    ask = ["--model", str(reader), "--threads", "1", "--ask", "Where is Mary?", "--json"]
    _, whole, _ = run(capsys, "stream", str(tmp_path / "whole.txt"), *ask)
    saved = str(tmp_path / "state.safetensors")
    _, first, _ = run(capsys, "stream", str(tmp_path / "first.txt"), *ask, "--save", saved)
    _, second, _ = run(capsys, "stream", str(tmp_path / "second.txt"), *ask, "--resume", saved)
    whole, first, second = (json.loads(text) for text in (whole, first, second))
    assert first["tokens"] + second["tokens"] == whole["tokens"]
    assert second["answers"][0]["answer"] == whole["answers"][0]["answer"]
    assert second["answers"][0]["probability"] == pytest.approx(whole["answers"][0]["probability"], abs=1e-4)
    assert first["state_bytes"] == whole["state_bytes"]
    code, _, error = run(capsys, "stream", str(tmp_path / "first.txt"), *ask, "--save", saved)
    assert code == 2
    assert "--overwrite" in error


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "holds no text"), (b"\xff\xfe\x00bad", "is not UTF-8 text"), (b"  \n ", "holds no text")],
)
def test_a_text_that_is_none_is_refused(capsys, reader, tmp_path, content, sentence) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    code, _, error = run(capsys, "stream", str(tmp_path / "text.txt"), "--model", str(reader))
    assert code == 2
    assert sentence in error


def test_standard_input_is_read(reader) -> None:
    command = [sys.executable, "-m", "mnesis.cli", "stream", "-", "--model", str(reader), "--threads", "1", "--json"]
    result = subprocess.run(
        command, input="Mary went to the office.\n" * 30, capture_output=True, text=True, check=True
    )
    assert json.loads(result.stdout)["tokens"] > 100


def test_nothing_is_written_where_it_may_not(capsys, reader, tmp_path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder")
    (tmp_path / "text.txt").write_text("Mary went to the office.")
    code, _, error = run(
        capsys,
        "stream",
        str(tmp_path / "text.txt"),
        "--model",
        str(reader),
        "--save",
        str(blocked / "state.safetensors"),
    )
    assert code == 2
    assert "choose a folder" in error


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "babilong", "--folder", "run", "--background", "empty"], "empty holds no .txt file"),
        (["train", "babilong", "--folder", "run", "--background", "lines"], "hold no sentence of at least 10 tokens"),
        (["train", "babilong", "--folder", "run", "--stories", "lines"], "lines has no 'train' file of task 1"),
        (
            ["train", "babilong", "--folder", "blocked/run"],
            "cannot write blocked/run: Not a directory; choose",
        ),
        (["train", "babilong", "--folder", "run", "--options", "memory_token=3"], "armt has no option 'memory_token'"),
        (["evaluate", "READER", "--lengths", "20", "--output", "out"], "the sample has 20; ask for longer samples"),
        (["evaluate", "READER", "--lengths", "1kk"], "'1kk' is not a length"),
        (
            ["evaluate", "READER", "--output", "blocked/out", "--lengths", "200"],
            "cannot write blocked/out: Not a directory",
        ),
        (["evaluate", "truncated"], "is not a whole safetensors file"),
        (["evaluate", "half"], "or a run that has not finished"),
        (["evaluate", "cut"], "config.json is not whole JSON"),
    ],
)
def test_data_and_places_that_cannot_be_used(capsys, reader, tmp_path, monkeypatch, arguments, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("lines").mkdir()
    Path("lines/a.txt").write_text("x\ny\n")
    Path("blocked").write_text("a file, not a folder")
    for name in ("truncated", "half", "cut"):
        shutil.copytree(reader, name, ignore=shutil.ignore_patterns("phase-*"))
    os.truncate("truncated/model.safetensors", 1000)
    Path("half/model.safetensors").unlink()
    Path("cut/config.json").write_text('{"config": {')
    code, _, error = run(capsys, *(str(reader) if word == "READER" else word for word in arguments), "--threads", "1")
    assert code == 2, error
    assert sentence in error
    assert error.count("\n") == 1


def test_a_reader_whose_training_stopped_says_how_far_it_came(capsys, reader, tmp_path) -> None:
    """And what has to be done, whatever command looks at it."""
    folder = tmp_path / "stopped"
    shutil.copytree(reader, folder)
    for name in ("config.json", "model.safetensors", "metrics.jsonl", "phase-2/model.safetensors"):
        (folder / name).unlink()
    code, out, error = run(capsys, "show", str(folder), "--json")
    assert code == 0, error
    (facts,) = json.loads(out)
    assert (facts["kind"], facts["path"], facts["memory"]) == ("run", str(folder), "armt")
    assert facts["trained"]["finished"] is False
    assert facts["trained"]["phases"] == ["phase-1", "phase-2"]
    text = tmp_path / "text.txt"
    text.write_text("Mary went to the kitchen.")
    for command in (["evaluate", folder], ["stream", text, "--model", folder], ["export", folder, tmp_path / "made"]):
        code, out, error = run(capsys, *map(str, command))
        assert (code, out) == (2, "")
        assert "its training has not ended; the command that began it goes on where it stopped" in error
    code, _, error = run(capsys, "report", str(folder))
    assert code == 2
    assert f"has not ended, and each of its phases has a page of its own; give {folder / 'phase-2'}" in error


def test_phases_are_counted_and_a_stop_leaves_standard_output_alone(capsys, tmp_path, monkeypatch) -> None:
    arguments = ["train", "babilong", "--folder", str(tmp_path / "run"), "--dim", "16", "--depth", "1", "--json"]
    arguments += ["--options", "memory_tokens=2", "memory_dim=4", "heads=2", "--vocabulary", "600", "--threads", "1"]

    def stopped(signals: StopSignals) -> StopSignals:
        signals.received = signal.SIGINT
        return signals

    monkeypatch.setattr(StopSignals, "__enter__", stopped)
    monkeypatch.setattr("mnesis.cli.recipes.phases", lambda *_, **__: short_phases())
    code, out, error = run(capsys, *arguments)
    assert (code, out) == (130, "")
    assert "stopped; the same command goes on from update 1 of phase-1" in error
    assert "phase 1 of 2: up to 2 updates, on texts of up to 64 tokens" in error


def test_recipes_are_plain_values() -> None:
    for name in ("quick", "demo", "standard", "reader"):
        for memory in ("armt", "gru"):
            assert json.dumps([phase.as_json() for phase in phases(name, memory=memory)])
    with pytest.raises(ValueError, match="no recipe is called 'fast'"):
        phases("fast", memory="gru")


@pytest.mark.parametrize("memory", ["rmt", "transformer-xl", "gru", "window", "delta-rule"])
def test_every_kind_of_memory_can_be_a_reader(memory) -> None:
    torch.manual_seed(0)
    network = ReaderDesign(memory, 16, 1, 16, 3 if memory != "transformer-xl" else None, {}).build(50, 32, {})
    logits, _ = network(torch.randint(50, (2, 40)))
    assert logits.shape == (2, 40, 50)


def test_a_shipped_reader_is_not_written_to(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, _ = run(capsys, "evaluate", "reader", "--lengths", "600", "--streams", "2", "--threads", "1", "--quiet")
    assert code == 0
    assert (tmp_path / "runs" / "reader" / "results.json").is_file()
    assert sorted(path.name for path in shipped_folder("reader").iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_the_shipped_reader_reads(capsys, tmp_path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Mary moved to the office. " + "The tide turned slowly. " * 400 + "John went to the garden.")
    ask = ["--ask", "Where is Mary?", "Where is John?", "--threads", "1", "--json"]
    _, out, _ = run(capsys, "stream", str(text), "--model", "reader", *ask)
    assert [answer["answer"] for answer in json.loads(out)["answers"]] == ["office", "garden"]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """As `mnesis list memories --bibtex | head -0`: the pipe is closed long before the first line comes."""
    command = [sys.executable, "-c", "from mnesis.cli import main; main()", "list", "memories", "--bibtex"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 128 + signal.SIGPIPE
