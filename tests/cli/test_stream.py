"""`mnesis stream`: what it reads, what it refuses before it reads, and what it says."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mnesis.cli import main
from mnesis.cli.answering import Answer
from mnesis.cli.answering import answer as ask
from mnesis.core.state import load_state, save_state, tree_map
from mnesis.nets import LanguageModel, load, save
from mnesis.tasks.language.plain_text import PlainText
from mnesis.tasks.language.tokenizer import BPETokenizer, ByteTokenizer

from ..kills import run_watched

ENDLESS = {
    "lines": b"kitchen\n",
    "crlf": b"kitchen\r\n",
    "word": b"k",
    "spaces": b" ",
    "cjk": "\u6f22\u5b57".encode(),
    "marks": b"\xef\xbb\xbf",
    "nul": b"\0",
}


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["stream", *map(str, arguments)])
    captured = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads bytes; nothing was trained, and its folder does not say on what it was."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("readers") / "tiny"
    save(LanguageModel(257, dim=8, memory="gru", depth=1), folder)
    ByteTokenizer().save(folder)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("Mary moved to the office. " * 30)
    return path


def test_help_and_refused_arguments_import_no_torch(tmp_path) -> None:
    (tmp_path / "text.txt").write_text("Mary")
    (tmp_path / "state").write_text("")
    told = [
        ["--help"],
        ["text.txt", "--chunk", "0"],
        ["text.txt", "--threads", "-1"],
        ["text.txt", "--ask", " "],
        ["text.txt", "--save", "state"],
        ["text.txt", "--save", "text.txt/state"],
        ["missing.txt"],
    ]
    script = f"""
import json, sys
import mnesis.cli
loaded = []
for arguments in {told!r}:
    try:
        mnesis.cli.main(["stream", *arguments])
    except SystemExit as stopped:
        loaded.append([stopped.code, sorted({{"torch", "numpy", "matplotlib", "accelerate"}} & set(sys.modules))])
print(json.dumps(loaded))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=tmp_path)
    assert json.loads(result.stdout.splitlines()[-1]) == [[0, []], *[[2, []]] * 6]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["state", "text.txt"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--chunk", "0"], "--chunk 0 is not a whole number between 1 and "),
        (["--chunk", "-1"], "--chunk -1 is not a whole number between 1 and "),
        (["--threads", "0"], "--threads 0 is not a whole number between 1 and 1024; give 1 or another"),
        (["--ask", ""], "an empty question has no answer; write --ask 'Where is Mary?'"),
        (["--ask", "caf\udce9"], "is not UTF-8 text; write it in UTF-8"),
        (["--save", "."], ". is a folder; give --save the path of a file"),
        (["--save", "text.txt"], "text.txt exists; give another --save or --overwrite"),
        (["--save", "text.txt", "--overwrite"], "text.txt holds no state of mnesis, so it is not replaced"),
        (["--save", "text.txt/below/state"], "cannot write text.txt/below/state: Not a directory; choose a folder"),
        (["--save", "/dev/null", "--overwrite"], "/dev/null is no file; give --save the path of a file"),
        (["--save", "/proc/state"], "cannot write /proc/state"),
        (["--save", "s" * 250], "File name too long; choose a folder"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(capsys, text, monkeypatch, arguments, sentence) -> None:
    monkeypatch.chdir(text.parent)
    monkeypatch.setattr("mnesis.cli.runs.open_run", lambda model: pytest.fail("the reader was opened"))
    code, out, error = run(capsys, "text.txt", *arguments)
    assert code == 2
    assert out == ""
    assert sentence in error
    assert error.count("\n") == 1
    assert [path.name for path in text.parent.iterdir()] == ["text.txt"]


def test_a_refused_text_leaves_nothing(capsys, reader, tmp_path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"Mary went to the caf\xe9. " + b"The tide turned. " * 300)
    told = ["--model", reader, "--threads", "1"]
    for name in ("bad.txt", "missing.txt", "."):
        code, _, error = run(capsys, tmp_path / name, *told, "--save", tmp_path / "new" / "state")
        assert code == 2
        assert error.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


def test_an_older_state_is_replaced_and_nothing_else(capsys, reader, text) -> None:
    told = [text, "--model", reader, "--threads", "1", "--save", text.with_name("state")]
    assert run(capsys, *told)[0] == 0
    assert run(capsys, *told)[0] == 2
    assert run(capsys, *told, "--overwrite")[0] == 0
    text.with_name("state").write_bytes(b"")  # as mktemp leaves it: nothing to lose
    assert run(capsys, *told, "--overwrite")[0] == 0
    text.with_name("state").unlink()
    text.with_name("state").symlink_to(text)
    code, _, error = run(capsys, *told, "--overwrite")
    assert code == 2
    assert "holds no state of mnesis" in error
    assert text.read_text().startswith("Mary")


@pytest.mark.parametrize("way", ["file", "pipe", "/dev/stdin"])
def test_standard_input_is_read(reader, text, tmp_path, way) -> None:
    given, writer = text, None
    if way == "pipe":
        given = tmp_path / "fifo"
        os.mkfifo(given)
        writer = subprocess.Popen(["cp", text, given])
    name = way if way.startswith("/") else "-"
    ended = run_watched(["stream", name, "--model", str(reader), "--json"], within=tmp_path, stdin=given)
    assert ended.code == 0
    assert json.loads(ended.output)["tokens"] == 780
    assert writer is None or writer.wait() == 0


@pytest.mark.parametrize("way", ["substitution", "fifo"])
def test_whatever_can_be_read_is_read(capsys, reader, text, tmp_path, way) -> None:
    reading, writing = os.pipe()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = subprocess.Popen(["cp", text, fifo if way == "fifo" else f"/dev/fd/{writing}"], pass_fds=[writing])
    os.close(writing)
    name = fifo if way == "fifo" else f"/dev/fd/{reading}"  # as <(command) is called
    code, out, error = run(capsys, name, "--model", reader, "--threads", "1", "--json")
    assert code == 0, error
    assert json.loads(out)["tokens"] == 780
    assert error == ""
    assert writer.wait() == 0
    os.close(reading)


def test_bytes_that_are_not_utf8_get_one_sentence_from_anywhere(capsys, monkeypatch, reader, tmp_path) -> None:
    place, told = tmp_path / "text.txt", ["--model", str(reader), "--threads", "1"]
    place.write_bytes(b"Mary " * 4_000 + b"caf\xe9 went")
    sentence = "is not UTF-8 text (invalid continuation byte at byte 20,003); convert it first\n"
    assert run(capsys, place, *told) == (2, "", f"mnesis: {place} {sentence}")
    for encoding in ("utf-8", "ascii", "latin-1"):  # whatever the locale makes of them
        with place.open(encoding=encoding, errors="surrogateescape") as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", file)
            assert run(capsys, "-", *told) == (2, "", f"mnesis: standard input {sentence}")


def test_standard_input_that_is_none_is_refused(capsys, monkeypatch, reader, tmp_path) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", None)  # as `<&-` leaves it
        with pytest.raises(ValueError, match="standard input is closed; give the path of a text, or write it into"):
            PlainText("-")
    folder = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: folder, closed=False))
    code, _, error = run(capsys, "-", "--model", reader)
    assert code == 2
    assert "is a directory" in error.lower()
    assert error.count("\n") == 1
    os.close(folder)


def test_a_byte_order_mark_is_no_token(capsys, reader, text) -> None:
    told = ["--model", reader, "--threads", "1", "--json"]
    plain = json.loads(run(capsys, text, *told)[1])
    text.write_bytes(b"\xef\xbb\xbf" + text.read_bytes())
    assert json.loads(run(capsys, text, *told)[1])["tokens"] == plain["tokens"] == 26 * 30
    text.write_bytes(b"\xef\xbb\xbf")
    code, _, error = run(capsys, text, *told)
    assert code == 2
    assert "holds no text" in error


def test_the_chunk_changes_only_how_it_is_computed(capsys, reader, text) -> None:
    text.write_text("Mary moved to the office. " * 5)
    states = []
    for chunk in (1, 7, 512, 100_000):
        place = text.with_name(f"state-{chunk}")
        assert run(capsys, text, "--model", reader, "--threads", "1", "--save", place, "--chunk", chunk)[0] == 0
        states.append(load_state(place))
    for state in states[1:]:
        torch.testing.assert_close(state, states[0], rtol=1e-4, atol=1e-5)


def test_parts_are_counted_in_all(capsys, reader, text) -> None:
    first, second = text.with_name("first"), text.with_name("second")
    told = [text, "--model", reader, "--threads", "1"]
    out = json.loads(run(capsys, *told, "--save", first, "--json")[1])
    assert (out["tokens"], out["tokens_in_all"]) == (780, 780)
    code, out, _ = run(capsys, *told, "--resume", first, "--save", second)
    assert code == 0
    assert "read 780 tokens in " in out
    assert "1,560 tokens in all parts\n" in out
    assert json.loads(run(capsys, *told, "--resume", second, "--json")[1])["tokens_in_all"] == 2340
    # a state that was saved by hand, or by an older mnesis, does not say what it has read
    from safetensors import safe_open

    with safe_open(first, framework="np") as file:
        about = {"reader": file.metadata()["reader"]}
    save_state(load_state(first), first, about=about)
    assert json.loads(run(capsys, *told, "--resume", first, "--json")[1])["tokens_in_all"] is None
    code, out, _ = run(capsys, *told, "--resume", first)
    assert "in all parts" not in out


def test_speed_is_that_of_the_reading_without_its_start(capsys, reader, text) -> None:
    told = [text, "--model", reader, "--threads", "1"]
    assert json.loads(run(capsys, *told, "--json", "--chunk", "1000")[1])["tokens_per_second"] is None
    assert "tokens/s" not in run(capsys, *told, "--chunk", "1000")[1]
    facts = json.loads(run(capsys, *told, "--json", "--chunk", "10")[1])
    assert facts["tokens_per_second"] * facts["seconds"] >= 770


def test_a_question_is_text_whatever_it_holds(capsys, reader, text) -> None:
    question = "[/bold] x [red]Mary[/red] \u201cO\u00f9\u201d :smile:"
    told = [text, "--model", reader, "--threads", "1", "--ask", question]
    code, out, _ = run(capsys, *told)
    assert code == 0
    assert question in out
    assert json.loads(run(capsys, *told, "--json")[1])["answers"][0]["question"] == question


def test_an_output_that_knows_few_letters_gets_those(monkeypatch, reader, text) -> None:
    told = [str(text), "--model", str(reader), "--threads", "1", "--ask", "O\u00f9?"]
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    with pytest.raises(SystemExit) as stopped:
        main(["stream", *told])
    output.flush()
    assert stopped.value.code == 0
    assert b"\nO?? " in output.buffer.getvalue()


def test_a_question_is_utf8_in_any_locale(reader, text) -> None:
    told = [text, "--model", reader, "--threads", "1", "--ask", "O\u00f9?", "--json"]
    environment = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "mnesis.cli", "stream", *map(str, told)]
    result = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert json.loads(result.stdout)["answers"][0]["question"] == "O\u00f9?"


def test_the_shipped_reader_says_what_it_can_be_asked(capsys, text) -> None:
    questions = [
        "Where is Mary?",
        "What is the capital of France?",
        "where  is MARY",
        "Where is Sandra?",
        "Where is Bo?",
    ]
    told = [text, "--model", "reader", "--threads", "1", "--ask", *questions]
    facts = json.loads(run(capsys, *told, "--json")[1])
    assert [answer["trained"] for answer in facts["answers"]] == [True, False, True, True, False]
    assert [answer["unspoken"] for answer in facts["answers"]] == [[], [], [], ["Sandra"], []]
    assert [bool(answer["remark"]) for answer in facts["answers"]] == [False, True, False, True, True]
    assert facts["answers"][0]["answer"] == "office"
    assert facts["answers"][2] == {**facts["answers"][0], "question": "where  is MARY"}  # put to the reader alike
    assert facts["trained_to_answer"] == ["Where is Daniel/John/Mary/Sandra?"]
    assert facts["asks"] == 'this reader answers where somebody is ("Where is Mary?")'
    code, out, _ = run(capsys, *told)
    assert code == 0
    lines = out.splitlines()
    assert lines[1] == lines[3] == "Where is Mary? office (>99%)"
    assert lines[2].startswith("What is the capital of France? ")
    assert lines[2].endswith("; not a question this reader was trained to answer)")
    assert lines[4].endswith("; the text has not spoken of Sandra)")
    assert lines[5].endswith("; this reader was trained to be asked about Daniel, John, Mary or Sandra, not about Bo)")
    assert lines[6:] == ['this reader answers where somebody is ("Where is Mary?")']
    assert "this reader" not in run(capsys, *told[:5], "--ask", "Where is Mary?")[1]
    assert run(capsys, *told[:5])[1].splitlines()[1:] == lines[6:]  # nobody asked: what could have been


def test_a_reader_of_unknown_training_says_so_once_and_marks_nothing(capsys, reader, text) -> None:
    told = [text, "--model", reader, "--threads", "1", "--ask", "Where is Mary?", "What is the capital of France?"]
    facts = json.loads(run(capsys, *told, "--json")[1])
    assert [(answer["trained"], answer["unspoken"], answer["remark"]) for answer in facts["answers"]] == [
        (None, [], "")
    ] * 2
    assert facts["trained_to_answer"] is None
    lines = run(capsys, *told)[1].splitlines()
    unknown = "the reader's folder does not say what it was trained to answer, so no answer is marked"
    assert [line for line in lines if unknown in line] == [lines[3]] == [unknown]


def test_names_are_remembered_from_part_to_part(capsys, text) -> None:
    first, second = text.with_name("first"), text.with_name("second")
    told = [text, "--model", "reader", "--threads", "1", "--json"]
    assert run(capsys, *told, "--save", first)[0] == 0
    text.write_text("John went to the kitchen.")
    told += ["--ask", "Where is Mary?", "Where is John?", "Where is Daniel?"]

    def unspoken(*more: str | Path) -> list[list[str]]:
        return [answer["unspoken"] for answer in json.loads(run(capsys, *told, *more)[1])["answers"]]

    assert unspoken() == [["Mary"], [], ["Daniel"]]
    assert unspoken("--resume", first, "--save", second) == [[], [], ["Daniel"]]
    assert unspoken("--resume", second) == [[], [], ["Daniel"]]
    # a state of an earlier version does not say what its text has spoken of: nothing is known to be missing
    from safetensors import safe_open

    with safe_open(first, framework="np") as file:
        about = {"reader": file.metadata()["reader"]}
    save_state(load_state(first), first, about=about)
    assert unspoken("--resume", first, "--save", second, "--overwrite") == [[], [], []]
    assert unspoken("--resume", second) == [[], [], []]
    save_state(load_state(first), first, about={**about, "spoken_of": "Mary"})
    code, _, error = run(capsys, *told, "--resume", first)
    assert code == 2
    assert "spoken_of of " in error
    assert error.count("\n") == 1


def test_whoever_types_a_text_is_told_how_it_ends_and_what_can_be_asked(capsys, monkeypatch) -> None:
    terminal, typed = pty.openpty()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: typed, closed=False))
    os.write(terminal, b"Mary moved to the office.\n\x04")
    code, out, error = run(capsys, "-", "--threads", "1", "--ask", "Where is Mary?")
    os.close(terminal)
    os.close(typed)
    assert code == 0
    assert out.splitlines()[1].startswith("Where is Mary? office (")
    assert error == (
        "type or paste a text, and end it with Ctrl-D on a line of its own; "
        'this reader answers where somebody is ("Where is Mary?")\n'
    )


def test_how_an_answer_is_told() -> None:
    remark = "not a question this reader was trained to answer"
    assert str(Answer("Who?", "", None, False, remark=remark)) == f"Who? (no answer; {remark})"
    assert str(Answer("Who?", "", None, True)) == "Who? (no answer)"
    assert str(Answer("Where is Mary?", "office", 0.994, True)) == "Where is Mary? office (99%)"
    assert str(Answer("Where is Mary?", "office", 0.9999)) == "Where is Mary? office (>99%)"
    assert str(Answer("Where is Mary?", "office", 0.0001)) == "Where is Mary? office (<1%)"
    assert str(Answer("where is mary", "office", 0.5, put_as="Where is Mary?")) == "Where is Mary? office (50%)"
    assert str(Answer("Mary", "office", 0.5, put_as="Mary")) == "Mary: office (50%)"


def test_a_reader_that_says_nothing_has_no_probability(capsys, reader, text, tmp_path) -> None:
    silent = shutil.copytree(reader, tmp_path / "silent")
    network = load(silent)
    with torch.no_grad():
        y, _ = network.parts()[0](torch.tensor([list(b" Who? Who?")]))
        network.head.weight.zero_()
        network.head.weight[256] = 100 * y[0, -1]  # the end is likeliest by far after this text and question
    save(network, silent, overwrite=True)
    text.write_text("Who?")
    told = [text, "--model", silent, "--threads", "1", "--ask", "Who?"]
    said = {"question": "Who?", "answer": "", "probability": None, "trained": None}
    said |= {"unspoken": [], "remark": "", "put_as": "Who?"}
    assert json.loads(run(capsys, *told, "--json")[1])["answers"] == [said]
    assert run(capsys, *told)[1].splitlines()[1] == "Who? (no answer)"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"\xff\xfe", ""),
        (b"\x80 \x80", ""),
        (b"\x00\x1b", ""),
        (b" \n\t ", ""),
        ("\u200b".encode(), ""),
        (b" garden", "garden"),
        (b"a\nb\x1b[2J", "a b\ufffd[2J"),
        ("\u043a\u0443\u0445\u043d\u044f \U0001f916".encode(), "\u043a\u0443\u0445\u043d\u044f \U0001f916"),
        (b"apple,football,milk", "apple,football,milk"),
    ],
)
def test_what_is_no_text_is_no_answer(monkeypatch, reader, said, answer) -> None:
    monkeypatch.setattr(ByteTokenizer, "decode", lambda self, tokens: said.decode(errors="replace"))
    network = load(reader)
    assert isinstance(network, LanguageModel)
    with torch.no_grad():
        found = ask(network, ByteTokenizer(), None, "Where is Mary?")
    assert found.answer == answer
    assert (found.probability is None) == (answer == "")
    assert str(found).startswith(f"Where is Mary? {answer} (" if answer else "Where is Mary? (no answer)")


def test_what_is_no_number_is_no_answer(capsys, reader, text, tmp_path, monkeypatch) -> None:
    """Weights that become no number while they are used; files that hold such are refused when they are opened."""
    told = [text, "--model", reader, "--threads", "1", "--save", tmp_path / "state", "--ask", "Where is Mary?"]
    parts = LanguageModel.parts
    with monkeypatch.context() as patch:
        patch.setattr(
            LanguageModel, "parts", lambda network: (parts(network)[0], lambda y: parts(network)[1](y) * torch.nan)
        )
        code, out, error = run(capsys, *told)
        assert code == 2
        assert "the reader's output is not a number (NaN or infinite), so it cannot answer" in error
        assert out == ""
    with monkeypatch.context() as patch:

        def nan(network: LanguageModel):
            body, readout = parts(network)

            def read(x, state):
                y, state = body(x, state)
                return y, tree_map(lambda leaf: leaf * torch.nan, state)

            return read, readout

        patch.setattr(LanguageModel, "parts", nan)
        code, out, error = run(capsys, *told[:-2])
        assert code == 2
        assert "the reader's state is not a number (NaN) after this text" in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.txt"]


def test_a_tokenizer_of_another_run_is_refused(capsys, reader, text, tmp_path) -> None:
    mixed = shutil.copytree(reader, tmp_path / "mixed")
    (mixed / "tokenizer.json").unlink()
    BPETokenizer.train(["the tide turned and Mary went to the office"] * 3, 300).save(mixed)
    save(LanguageModel(260, dim=8, memory="gru", depth=1), mixed, overwrite=True)
    code, _, error = run(capsys, text, "--model", mixed)
    assert code == 2
    assert "tokens, its network reads 260; they come from different runs" in error


GROWTH = """
import resource, sys
from mnesis.cli import main

def run(path):
    try:
        main(["stream", path, "--model", sys.argv[1], "--threads", "1"])
    except SystemExit as stopped:
        return stopped.code

small, large = run(sys.argv[2]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
code = run(sys.argv[3])
print(small, code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - large)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ENDLESS)
def test_five_megabytes_of_anything_take_no_memory(reader, tmp_path, kind) -> None:
    unit = ENDLESS[kind]
    for name, size in (("small", 1 << 16), ("large", 5_000_000)):
        (tmp_path / name).write_bytes(unit * (size // len(unit)))
    paths = [str(path) for path in (reader, tmp_path / "small", tmp_path / "large")]
    result = subprocess.run([sys.executable, "-c", GROWTH, *paths], capture_output=True, check=True)
    small, code, growth = map(int, result.stdout.split()[-3:])
    assert small == code == (2 if kind in ("spaces", "marks") else 0)
    assert growth < 50 * 2**10  # KiB
