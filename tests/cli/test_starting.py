"""Help, what there is, and refusals answer at once: nothing heavy is imported for them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mnesis.cli import COMMANDS
from tests.fuzz.command_lines import REFUSED

HEAVY = ("torch", "numpy", "matplotlib", "accelerate", "transformers", "jaxtyping", "PIL")
ASKED = """
import contextlib, io, json, sys
from mnesis.cli import main
for words in json.loads(sys.argv[1]):
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main(words)
        except SystemExit as end:
            code = end.code
    heavy = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
    print(json.dumps([words, code, out.getvalue(), error.getvalue(), heavy]))
    if heavy:
        break
"""


def asked(*lines: list[str], folder: object) -> list[tuple[list[str], int, str, str, list[str]]]:
    """Command lines one after the other in a fresh process: words, code, output, error, and what was imported."""
    command = [sys.executable, "-c", ASKED, json.dumps(lines), json.dumps(HEAVY)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=str(folder))
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_answers_that_need_nothing(tmp_path) -> None:
    lines = [[], ["--help"], ["-h"], ["--version"], ["-V"], ["help"]]
    lines += [[name, "--help"] for name in COMMANDS] + [["help", name] for name in COMMANDS]
    for kind in ("memories", "tasks", "claims"):
        lines += [["list", kind], ["list", kind, "--json"], ["list", kind, "--bibtex"], ["list", kind, "--markdown"]]
    lines += [
        ["show", name, *more] for name in ("gru", "armt", "copy", "babilong", "rmt-copy") for more in ([], ["--json"])
    ]
    lines += [["show", "reader"], ["show", "reader", "--json"]]
    found = asked(*lines, folder=tmp_path)
    assert len(found) == len(lines)
    for words, code, out, error, heavy in found:
        assert (code, error, heavy) == (0, "", []), words
        assert out.strip(), words
        if "--json" in words:
            json.loads(out)


def test_refusals_need_nothing_either(tmp_path) -> None:
    found = asked(*(list(words) for words, _ in REFUSED), folder=tmp_path)
    assert [words for words, *_ in found] == [list(words) for words, _ in REFUSED]
    for (words, sentence), (_, code, out, error, heavy) in zip(REFUSED, found, strict=True):
        assert (code, out, heavy) == (2, "", []), (words, error)
        assert error.startswith("mnesis: "), (words, error)
        assert error.count("\n") == 1, (words, error)
        assert sentence in error, (words, error)
    assert list(tmp_path.iterdir()) == [], "a refused command leaves nothing"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_everything_is(name) -> None:
    from mnesis.cli import command_module
    from mnesis.cli.arguments import arguments_of

    for argument in arguments_of(command_module(name).run):
        assert argument.text, f"{name} says nothing of {argument}"
        assert argument.positional == (argument.name == argument.name.upper()), "RUN, TASK, MEMORY are positional"


def test_the_package_is_a_command_too() -> None:
    for module in ("mnesis", "mnesis.cli"):
        result = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=True)
        assert result.stdout.startswith("mnesis "), module
