"""``mnesis show`` tells what there is of a name or a path."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch

import mnesis
from mnesis.cli import main
from mnesis.cli.show import memory_example, task_example
from mnesis.core.catalog import cards, kinds
from mnesis.learn import Recipe, Stage, fit
from mnesis.nets import LanguageModel, save


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["show", *words])
    captured = capsys.readouterr()
    assert (end.value.code, captured.err) == (0, "")
    return captured.out


def facts(capsys: pytest.CaptureFixture[str], what: str) -> list[dict]:
    return json.loads(shown(capsys, what, "--json"))


def safetensors(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def refused(capsys: pytest.CaptureFixture[str], what: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["show", what])
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("kind", kinds())
def test_everything_in_the_catalog(capsys, kind) -> None:
    for card in cards(kind):
        (found,) = [each for each in facts(capsys, card.name) if each["name"] == card.name]
        assert found["summary"] == card.summary
        assert found["about"]
        assert len(found["papers"]) == len(card.papers)
        assert all(option["text"] for option in found["options"] if kind != "claims"), card.name
        assert card.name in shown(capsys, card.name)


def test_a_memory(capsys) -> None:
    (found,) = facts(capsys, "armt")
    assert found["kind"] == "memory"
    options = {option["name"]: option for option in found["options"]}
    assert options["dim"]["default"] == ""
    assert options["segment"] == {
        "name": "segment",
        "default": "512",
        "type": "a whole number of at least 1",
        "text": options["segment"]["text"],
    }
    assert found["papers"][0]["arxiv"] == "2407.04841"
    text = shown(capsys, "armt")
    assert "segment = 512: " in text
    assert "dim, must be given: " in text
    assert "https://arxiv.org/abs/2407.04841" in text


@pytest.mark.parametrize(
    ("name", "sees"),
    [
        ("armt", "segment units verbatim, limited by segment (512 by default)"),
        ("transformer-xl", "segment + memory_length units verbatim, limited by segment and memory_length (1,024 by de"),
        ("griffin", "window units verbatim, limited by window (1,024 by default); one more with released=True"),
        ("multires", "1 + (kernel - 1) (2^levels - 1) units verbatim\n"),
        ("lmu", None),
    ],
)
def test_what_a_memory_sees(capsys, name, sees) -> None:
    text = shown(capsys, name)
    assert (f"sees: {sees}" in text) if sees else ("sees:" not in text)


def test_examples_run() -> None:
    for name in ("gru", "armt", "window"):
        exec("\n".join(memory_example(name)), {"mnesis": mnesis, "x": torch.zeros(1, 3, 64)})
    for card in cards("tasks"):
        if card.lengths is not None and "=..." not in task_example(card)[0]:
            exec("\n".join(task_example(card)), {"mnesis": mnesis, "torch": torch})


def test_a_run_and_its_network(capsys, tmp_path) -> None:
    task = mnesis.create_task("copy", symbols=4)
    model = LanguageModel(task.vocabulary, dim=8, memory="gru", depth=1)
    recipe = Recipe((Stage(2, 2, 3),), log_every=1)
    fit(model, task, recipe, tmp_path / "run", config={"task": "copy"}, progress=False)
    (found,) = facts(capsys, str(tmp_path / "run"))
    assert (found["kind"], found["task"]) == ("run", "copy")
    assert (found["trained"]["finished"], found["trained"]["update"]) == (True, 3)
    assert found["numbers"] == sum(parameter.numel() for parameter in model.parameters())
    save(model, tmp_path / "net")
    (found,) = facts(capsys, str(tmp_path / "net"))
    assert (found["kind"], found["network"], found["memory"]) == ("network", "LanguageModel", "gru")
    assert found["arguments"]["dim"] == 8
    assert found["bytes"] == 4 * found["numbers"]
    assert "memory: gru" in shown(capsys, str(tmp_path / "net"))


def test_the_shipped_reader(capsys) -> None:
    (found,) = facts(capsys, "reader")
    assert (found["kind"], found["memory"], found["options"]["memory_tokens"]) == ("run", "armt", 8)
    assert (found["numbers"], found["bytes"], found["dtypes"]) == (839_298, 1_678_596, ["F16"])


def test_a_state(capsys, tmp_path) -> None:
    memory = mnesis.create_memory("lstm", dim=8)
    _, state = memory(torch.zeros(3, 2, 8))
    path = tmp_path / "state.safetensors"
    mnesis.save_state(state, path, about={**memory.describe(), "step": "17"})
    (found,) = facts(capsys, str(path))
    assert (found["kind"], found["holds"], found["rows"], found["bytes"]) == (
        "file",
        "a state",
        [3],
        mnesis.nbytes(state),
    )
    assert found["about"]["step"] == "17"
    assert found["about"]["memory"] == "mnesis.memories.recurrent.lstm:LSTM"
    assert len(found["classes"]) == 1
    assert "step=17" in shown(capsys, str(path))


def test_several_things_of_one_name(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(LanguageModel(5, dim=8, memory="gru", depth=1), "gru")
    assert [each["kind"] for each in facts(capsys, "gru")] == ["memory", "network"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a whole safetensors file"),
        (struct.pack("<Q", 1 << 62) + b"{}", "is not a whole safetensors file"),
        (struct.pack("<Q", 2) + b"{]", "is not whole JSON"),
        (struct.pack("<Q", 2) + b"[]", "cannot be read"),
        (struct.pack("<Q", 7) + b'{"a":1}', "a=1 is not a mapping"),
        (struct.pack("<Q", 2_000) + b"[" * 1_000 + b"]" * 1_000, "nested"),
        (safetensors({"0": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}), "8 bytes of tensors are promised"),
        (safetensors({"0": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}), "0.shape[0] -2 is not"),
        (safetensors({"0": {"dtype": "F32", "shape": [2]}}), "0 has no entry 'data_offsets'"),
        (safetensors({"__metadata__": {"a": 5}}), "__metadata__.a 5 is not text"),
    ],
)  # fmt: skip
def test_files_that_are_damaged(capsys, tmp_path, content, sentence) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    said = refused(capsys, str(path))
    assert sentence in said
    assert said.count("\n") == 1


def test_folders_that_are_damaged(capsys, tmp_path) -> None:
    for content in ("{", "[]", "[" * 5000):
        (tmp_path / "config.json").write_text(content)
        said = refused(capsys, str(tmp_path))
        assert str(tmp_path / "config.json") in said
        assert said.count("\n") == 1
    (tmp_path / "config.json").write_text('{"config": 5, "memory": [], "recipe": null}')
    (found,) = facts(capsys, str(tmp_path))
    assert found["kind"] == "run"


def test_markup_in_what_is_shown_is_text(capsys, tmp_path) -> None:
    path = Path(tmp_path / "[bold]x[/bold].safetensors")
    mnesis.save_state((torch.zeros(1, 2),), path, about={"[red]a": "[/]"})
    assert "[bold]x[/bold].safetensors (file)" in shown(capsys, str(path))
