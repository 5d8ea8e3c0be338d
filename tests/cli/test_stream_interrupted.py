"""A reading that is stopped or killed anywhere: nothing is lost, and the same command ends with the same bits."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open

from mnesis.cli import bookmark, main
from mnesis.core.state import load_state, save_state
from mnesis.nets import LanguageModel, save
from mnesis.tasks.language import plain_text
from mnesis.tasks.language.prose import Prose
from mnesis.tasks.language.tokenizer import ByteTokenizer

from ..kills import kill_at, operations, run_watched

CHUNK = 40
"""Tokens; segments are 16, so that chunks end in their middle."""
TEXT = " ".join(islice(Prose().sentences(0), 6))
OPTIONS = {"armt": {"segment": 16, "memory_tokens": 2, "memory_dim": 4}, "transformer-xl": {"segment": 16}}


def make_reader(folder: Path, memory: str, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    network = LanguageModel(257, dim=16, memory=memory, depth=1, options=OPTIONS.get(memory))
    save(network, folder)
    ByteTokenizer().save(folder)
    return folder


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("readers")
    return lambda memory: folder / memory if (folder / memory).exists() else make_reader(folder / memory, memory)


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["stream", *map(str, arguments)])
    captured = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err


def interrupt(chunk: int, number: int = signal.SIGINT, patch: Callable[..., None] = setattr) -> None:
    """From now on a signal comes while the network reads its n-th chunk, counted from 0."""
    parts, count = LanguageModel.parts, [0]

    def with_signal(network: LanguageModel) -> tuple[Any, Any]:
        body, readout = parts(network)

        def read(x: torch.Tensor, state: Any) -> tuple[Any, Any]:
            if count[0] == chunk:
                os.kill(os.getpid(), number)
            count[0] += 1
            return body(x, state)

        return read, readout

    patch(LanguageModel, "parts", with_signal)


def interrupt_in_the_third_chunk() -> None:
    interrupt(2)


def command(reader: Path, text: Path | str, state: Path) -> list[str]:
    told = ["--model", str(reader), "--save", str(state), "--chunk", str(CHUNK), "--threads", "1", "--json"]
    return [str(text), *told]


def files(folder: Path) -> dict[str, Any]:
    """What stands there: of a state its description and its tensors bit for bit, of anything else its bytes."""
    return {path.name: content(path) for path in folder.iterdir() if path.is_file()}


def content(path: Path) -> Any:
    try:
        with safe_open(path, framework="np") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
            return file.metadata(), {key: (str(t.dtype), t.shape, t.tobytes()) for key, t in tensors.items()}
    except SafetensorError:
        return path.read_bytes()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "states").mkdir()
    return tmp_path / "states"


@pytest.mark.parametrize(
    ("memory", "number"),
    [*((memory, signal.SIGINT) for memory in ("armt", "gru", "window", "transformer-xl")), ("armt", signal.SIGTERM)],
)
def test_the_same_command_goes_on_bit_for_bit(capsys, monkeypatch, readers, text, place, memory, number) -> None:
    reader, last = readers(memory), len(TEXT) // CHUNK
    code, out, _ = run(capsys, *command(reader, text, place / "whole"))
    assert code == 0
    for chunk in (0, 5, last - 1):
        with monkeypatch.context() as patch:
            interrupt(chunk, number, patch.setattr)
            code, told, error = run(capsys, *command(reader, text, place / "state"))
        assert code == 128 + number
        assert told == ""
        assert error == (
            f"stopped after {(chunk + 1) * CHUNK:,} tokens, kept in {place}/state.partial; "
            "the same command and text go on from there\n"
        )
        assert sorted(files(place)) == ["state.partial", "whole"]
        code, again, _ = run(capsys, *command(reader, text, place / "state"))
        assert code == 0
        assert sorted(files(place)) == ["state", "whole"]
        assert files(place)["state"] == files(place)["whole"]
        assert facts(again) == facts(out)
        (place / "state").unlink()


def facts(out: str) -> dict[str, Any]:
    values = json.loads(out)
    return {key: values[key] for key in ("tokens", "tokens_in_all", "state_bytes", "answers")}


def test_it_may_be_interrupted_again_and_again(capsys, monkeypatch, readers, text, place) -> None:
    reader = readers("armt")
    run(capsys, *command(reader, text, place / "whole"))
    for _ in range(3):
        with monkeypatch.context() as patch:
            interrupt(1, patch=patch.setattr)
            assert run(capsys, *command(reader, text, place / "state"))[0] == 130
    assert bookmark.find(place / "state").tokens == 3 * 2 * CHUNK
    assert run(capsys, *command(reader, text, place / "state"))[0] == 0
    assert files(place)["state"] == files(place)["whole"]


def test_parts_are_interrupted_like_wholes(capsys, monkeypatch, readers, text, place) -> None:
    """The state to begin with belongs to what is interrupted, also where the new one takes its place."""
    reader = readers("armt")
    first = [*command(reader, text, place / "first")]
    assert run(capsys, *first)[0] == 0
    both = [*command(reader, text, place / "both"), "--resume", str(place / "first")]
    assert facts(run(capsys, *both)[1])["tokens_in_all"] == 2 * (len(TEXT) + 1)
    shutil.copy(place / "first", place / "state")
    onto_itself = [*command(reader, text, place / "state"), "--resume", str(place / "state"), "--overwrite"]
    with monkeypatch.context() as patch:
        interrupt(3, patch=patch.setattr)
        assert run(capsys, *onto_itself)[0] == 130
    assert files(place)["state"] == files(place)["first"]
    assert run(capsys, *onto_itself)[0] == 0
    assert files(place)["state"] == files(place)["both"]
    assert sorted(files(place)) == ["both", "first", "state"]


def test_names_before_the_interruption_were_spoken_of(capsys, monkeypatch, text, place) -> None:
    text.write_text(f"Mary moved to the office. {TEXT}")
    told = [*command(Path("reader"), text, place / "state"), "--ask", "Where is Mary?", "Where is John?"]
    with monkeypatch.context() as patch:
        interrupt(2, patch=patch.setattr)
        assert run(capsys, *told)[0] == 130
    code, out, _ = run(capsys, *told)
    assert code == 0
    assert [answer["unspoken"] for answer in json.loads(out)["answers"]] == [[], ["John"]]


def test_a_signal_ends_the_wait_for_more(capsys, monkeypatch, readers, text, place) -> None:
    reader = readers("armt")
    run(capsys, *command(reader, text, place / "whole"))
    reading, writing = os.pipe()
    os.write(writing, TEXT[: 5 * CHUNK].encode())

    def wait(*arguments: Any) -> Any:
        ready = select.select(*arguments[:3], 0)
        if not ready[0]:
            os.kill(os.getpid(), signal.SIGINT)
        return ready

    with monkeypatch.context() as patch:
        patch.setattr(plain_text, "select", SimpleNamespace(select=wait))
        code, _, error = run(capsys, *command(reader, f"/dev/fd/{reading}", place / "state"))
    assert code == 130
    assert "stopped after 160 tokens" in error
    os.close(reading)
    os.close(writing)
    # what was read from a pipe is gone: the same text from its beginning, through another one
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode())
    os.close(writing)
    assert run(capsys, *command(reader, f"/dev/fd/{reading}", place / "state"))[0] == 0
    os.close(reading)
    assert files(place)["state"] == files(place)["whole"]


def test_without_a_place_nothing_is_kept(capsys, monkeypatch, readers, text, tmp_path) -> None:
    interrupt(1, patch=monkeypatch.setattr)
    code, out, error = run(capsys, text, "--model", readers("armt"), "--chunk", str(CHUNK), "--threads", "1")
    assert code == 130
    assert out == ""
    assert (
        error == "stopped after 80 tokens; nothing was kept: with --save FILE the same command goes on another time\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def interrupted(capsys, monkeypatch, reader: Path, text: Path, state: Path) -> None:
    with monkeypatch.context() as patch:
        interrupt(2, patch=patch.setattr)
        assert run(capsys, *command(reader, text, state))[0] == 130


def test_another_text_is_told_apart(capsys, monkeypatch, readers, text, place) -> None:
    reader, other = readers("armt"), text.with_name("other.txt")
    interrupted(capsys, monkeypatch, reader, text, place / "state")
    before = files(place)
    for content in ("Another text. " * 30, TEXT[:100] + "!" + TEXT[101:], TEXT[:100]):  # at once, later, too short
        other.write_text(content)
        code, _, error = run(capsys, *command(reader, other, place / "state"))
        assert code == 2
        assert "a reading of another text" in error
        assert error.count("\n") == 1
        assert files(place) == before
    other.write_text("Another text. " * 30)
    assert run(capsys, *command(reader, other, place / "state"), "--overwrite")[0] == 0
    assert run(capsys, *command(reader, other, place / "whole"))[0] == 0
    assert files(place)["state"] == files(place)["whole"]
    assert sorted(files(place)) == ["state", "whole"]


def test_another_reading_is_told_apart(capsys, monkeypatch, readers, text, place, tmp_path) -> None:
    reader = readers("armt")
    run(capsys, *command(reader, text, place / "first"))
    interrupted(capsys, monkeypatch, reader, text, place / "state")
    before = files(place)
    same = command(reader, text, place / "state")
    another = make_reader(tmp_path / "another", "armt", seed=1)
    for different in (
        [*same, "--resume", str(place / "first")],
        [*same[:-4], "41", *same[-3:]],
        command(another, text, place / "state"),
    ):
        code, _, error = run(capsys, *different)
        assert code == 2
        assert "or with another reader, --resume or --chunk" in error
        assert files(place) == before


@pytest.mark.parametrize(
    ("reading", "sentence"),
    [
        (None, "does not say where a reading was interrupted"),
        ("", "is not whole JSON"),
        ("5", "5 is not a mapping"),
        ("[]", "[] is not a mapping"),
        ("[" * 5000, "is nested deeper"),
        ("{}", "it has no entry 'reader'"),
        ('{"reader": 5, "start": "", "chunk": 40}', "reader=5 is not text"),
        ('{"reader": "a", "start": "", "chunk": 0}', "chunk=0 is not a whole number of at least 1"),
        ('{"reader": "a", "start": "", "chunk": 40, "tokens": -1}', "tokens=-1 is not a whole number of at least 0"),
        ('{"reader": "a", "start": "", "chunk": 40, "seconds": NaN}', "NaN is no JSON number"),
    ],
)
def test_a_bookmark_that_is_none_is_refused(capsys, readers, text, place, reading, sentence) -> None:
    save_state((torch.zeros(1, 2),), place / "state.partial", about={} if reading is None else {"reading": reading})
    code, _, error = run(capsys, *command(readers("armt"), text, place / "state"))
    assert code == 2
    assert f"{place}/state.partial" in error
    assert sentence in error
    assert "; move it away to read the text from its beginning\n" in error
    assert error.count("\n") == 1


def test_a_bookmark_cut_short_is_refused(capsys, monkeypatch, readers, text, place) -> None:
    interrupted(capsys, monkeypatch, readers("armt"), text, place / "state")
    os.truncate(place / "state.partial", 1000)
    code, _, error = run(capsys, *command(readers("armt"), text, place / "state"))
    assert code == 2
    assert "state.partial" in error
    assert error.count("\n") == 1


def test_what_appears_meanwhile_is_not_replaced(capsys, monkeypatch, readers, text, place) -> None:
    reader = readers("armt")
    run(capsys, *command(reader, text, place / "whole"))
    parts = LanguageModel.parts

    def appears(network: LanguageModel) -> tuple[Any, Any]:
        (place / "state").write_bytes(b"of another command")
        return parts(network)

    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "parts", appears)
        code, _, error = run(capsys, *command(reader, text, place / "state"))
    assert code == 2
    assert "has appeared while the text was read" in error
    assert files(place)["state"] == b"of another command"
    (place / "state").unlink()
    assert run(capsys, *command(reader, text, place / "state"))[0] == 0
    assert files(place)["state"] == files(place)["whole"]
    assert sorted(files(place)) == ["state", "whole"]


def test_what_stands_before_a_fault_is_kept(capsys, monkeypatch, readers, text, place) -> None:
    reader = readers("armt")
    monkeypatch.setattr(plain_text, "BLOCK", 64)
    text.write_bytes(TEXT.encode() + b" caf\xe9 ")
    code, _, error = run(capsys, *command(reader, text, place / "state"))
    assert code == 2
    assert f"is not UTF-8 text (invalid continuation byte at byte {len(TEXT) + 4})" in error
    assert f"; what was read is kept in {place}/state.partial, and the same command goes on from there\n" in error
    assert sorted(files(place)) == ["state.partial"]
    text.write_text(f"{TEXT} caf\u00e9 ", encoding="utf-8")
    assert run(capsys, *command(reader, text, place / "state"))[0] == 0
    assert run(capsys, *command(reader, text, place / "whole"))[0] == 0
    assert files(place)["state"] == files(place)["whole"]
    assert sorted(files(place)) == ["state", "whole"]


def test_two_commands_do_not_read_into_one_file(capsys, monkeypatch, readers, text, place) -> None:
    with bookmark.alone(place / "state"):
        code, _, error = run(capsys, *command(readers("armt"), text, place / "state"))
        assert code == 2
        assert error == f"mnesis: another process reads into {place}/state; wait for it, or give another --save\n"
        assert run(capsys, *command(readers("armt"), text, place / "other"))[0] == 0
    assert run(capsys, *command(readers("armt"), text, place / "state"))[0] == 0


def whole(path: Path) -> bool:
    load_state(path)
    return True


@pytest.mark.slow
@pytest.mark.parametrize("standing", [False, True])
def test_killed_at_every_file_operation_while_it_saves(readers, text, place, standing) -> None:
    reader = readers("armt")
    told, old = ["stream", *command(reader, text, place / "state")] + ["--overwrite"] * standing, text.with_name("old")
    older = None
    if standing:
        text.write_text("An older text.")
        operations(told, within=place)
        shutil.copy(place / "state", old)
        older = content(old)
        text.write_text(TEXT)
    count = operations(told, within=place)
    reference = files(place)["state"]
    assert count >= 3
    for n in range(count):
        shutil.copy(old, place / "state") if standing else (place / "state").unlink()
        kill_at(told, n, within=place)
        assert files(place).get("state") in (older, reference)
        assert "state.partial" not in files(place)
        ended = run_watched(told, within=place)
        assert ended.code == 0 or (not standing and "exists" in ended.output), ended.output
        assert files(place)["state"] == reference
        assert ended.code or [path.name for path in place.iterdir()] == ["state"]


@pytest.mark.slow
def test_killed_at_every_file_operation_while_it_stops_and_goes_on(readers, text, place) -> None:
    reader = readers("armt")
    told = ["stream", *command(reader, text, place / "state")]
    stop = f"{__name__}:interrupt_in_the_third_chunk"
    operations(told, within=place)
    reference = files(place)["state"]
    (place / "state").unlink()
    stopped = run_watched(told, within=place, before=stop)
    assert stopped.code == 130
    shutil.copy(place / "state.partial", text.with_name("old"))
    # killed while it writes where it stands
    for n in range(len(stopped.operations)):
        (place / "state.partial").unlink(missing_ok=True)
        kill_at(told, n, within=place, before=stop)
        assert "state" not in files(place)
        assert "state.partial" not in files(place) or whole(place / "state.partial")
        assert run_watched(told, within=place).code == 0
        assert files(place)["state"] == reference
        (place / "state").unlink()
    # killed while it ends a reading that was stopped
    shutil.copy(text.with_name("old"), place / "state.partial")
    count = operations(told, within=place)
    for n in range(count):
        (place / "state").unlink()
        shutil.copy(text.with_name("old"), place / "state.partial")
        kill_at(told, n, within=place)
        assert files(place).get("state", reference) == reference
        assert "state" in files(place) or files(place)["state.partial"] == content(text.with_name("old"))
        ended = run_watched(told, within=place)
        assert ended.code == 0 or "exists" in ended.output, ended.output
        assert files(place)["state"] == reference
