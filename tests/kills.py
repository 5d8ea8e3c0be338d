"""Kill a command at any of its file operations, and look at what it leaves.

    count = operations(command, within=folder)
    for n in range(count):
        kill_at(command, n, within=folder)  # dies before its n-th operation, nothing after that happens
        ...  # what is left? does the same command go on?

An operation makes, changes or removes a name below ``within``: opening a file to write, rename and replace, unlink,
mkdir, rmdir, link, truncate, chmod, fsync, by the command and all processes that it starts. (What safetensors writes by
itself is not seen.) A command is what follows ``mnesis`` on the command line. It runs in a fork of a process that has
imported torch already, so that a kill takes milliseconds; processes that it spawns start as they always do.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WATCH = "MNESIS_TEST_WATCH"
"""In the environment of a watched process: what :func:`watch` is told."""
IMPORTS = ("torch", "mnesis.cli", "mnesis.cli.runs", "mnesis.learn", "mnesis.measure")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    """Its exit code; minus the number of the signal that ended it."""
    output: str
    """What it wrote to standard output and standard error."""
    operations: tuple[str, ...]
    """What it did, in order; a killed one had its last before it."""


def operations(command: Sequence[str], *, within: Path, **how: Any) -> int:
    """File operations of a command that runs to its end. ``how`` as in :func:`run_watched`."""
    ended = run_watched(command, within=within, **how)
    assert ended.code == 0, f"{' '.join(command)} ended with {ended.code}:\n{ended.output}"
    return len(ended.operations)


def kill_at(command: Sequence[str], n: int, *, within: Path, **how: Any) -> Ended:
    """Run a command up to its n-th file operation, counted from 0, before which all of its processes are killed."""
    ended = run_watched(command, within=within, at=n, **how)
    assert ended.code == -signal.SIGKILL, f"operation {n} was never reached ({ended.code}):\n{ended.output}"
    return ended


def run_watched(
    command: Sequence[str],
    *,
    within: Path,
    at: int | None = None,
    number: int = signal.SIGKILL,
    stdin: Path | None = None,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    before: str | None = None,
    seconds: float = 300,
) -> Ended:
    """Run a command and note its file operations.

    Args:
        command: what follows ``mnesis``.
        within: only operations below this folder count.
        at: before this operation the signal is sent to all of the command's processes.
        number: of the signal; others than SIGKILL let the command go on as it will.
        stdin: file that is its standard input.
        folder: in which it runs; None = ``within``.
        environment: variables that are set for it.
        before: "module:function" that is called first, to make recipes short.
        seconds: after which it is killed and the test fails.
    """
    with tempfile.TemporaryDirectory() as notes:
        told = {
            "command": list(map(str, command)),
            "within": str(Path(within).resolve()),
            "at": at,
            "number": int(number),
            "stdin": os.devnull if stdin is None else str(stdin),
            "folder": str(folder or within),
            "environment": environment or {},
            "before": before,
            "seconds": seconds,
            "log": f"{notes}/log",
            "output": f"{notes}/output",
        }
        code = _forking()(told)
        output = Path(notes, "output").read_text(errors="replace")
        log = Path(notes, "log")
        done = tuple(log.read_text(errors="surrogateescape").splitlines()) if log.exists() else ()
    assert code is not None, f"{' '.join(told['command'])} did not end within {seconds} seconds:\n{output}"
    return Ended(code, output, done)


@cache
def _forking() -> Callable[[dict[str, Any]], int | None]:
    """The process that forks: one for all tests of this process."""
    site = Path(tempfile.mkdtemp(prefix="mnesis-watch-"))
    (site / "sitecustomize.py").write_text(  # every Python process that the command starts is watched too
        f"import os\nif {WATCH!r} in os.environ:\n"
        "    import importlib.util, json\n"
        f"    spec = importlib.util.spec_from_file_location('mnesis_test_kills', {__file__!r})\n"
        "    module = importlib.util.module_from_spec(spec)\n"
        "    import sys\n    sys.modules[spec.name] = module\n    spec.loader.exec_module(module)\n"
        f"    module.watch(json.loads(os.environ[{WATCH!r}]))\n"
    )
    paths = [str(site), str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        },
    )
    questions, answers = process.stdin, process.stdout
    assert questions is not None
    assert answers is not None

    def end() -> None:
        questions.close()
        process.wait()
        (site / "sitecustomize.py").unlink()
        site.rmdir()

    def ask(told: dict[str, Any]) -> int | None:
        questions.write(json.dumps(told) + "\n")
        questions.flush()
        answer = answers.readline()
        assert answer, "the process that forks has ended"
        return json.loads(answer)

    atexit.register(end)
    return ask


def watch(told: dict[str, Any]) -> None:
    """Note every file operation of this process from now on, and send the signal before the one that is asked for."""
    # opened once: opening is an operation itself
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    counter = os.open(told["log"] + ".count", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    within, at, number = told["within"], told["at"], told["number"]

    def note(name: str, *paths: str) -> None:
        if not any(path == within or path.startswith(within + os.sep) for path in paths):
            return
        if at is not None and os.fstat(counter).st_size == at:
            os.write(counter, b".")
            os.killpg(os.getpgrp(), number)
            if number == signal.SIGKILL:
                signal.pause()
        else:
            os.write(counter, b".")
        os.write(log, f"{name} {' -> '.join(paths)}\n".encode(errors="surrogateescape"))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)) and flags & WRITING:
                note("open", _absolute(path))
        elif event in ("os.rename", "os.link"):
            old, new, old_folder, new_folder = arguments
            note(event, _absolute(old, old_folder), _absolute(new, new_folder))
        elif event in ("os.remove", "os.rmdir"):
            note(event, _absolute(*arguments))
        elif event in ("os.mkdir", "os.chmod"):
            path, _, beside = arguments
            note(event, _absolute(path, beside))
        elif event == "os.symlink":
            note(event, _absolute(arguments[1], arguments[2]))
        elif event == "os.truncate":
            note(event, _absolute(arguments[0]))

    def noted(function: Callable[[Any], None]) -> Callable[[Any], None]:
        def wrapped(file: Any) -> None:
            note(function.__name__, _absolute(file if isinstance(file, int) else file.fileno()))
            function(file)

        return wrapped

    sys.addaudithook(hook)
    os.fsync, os.fdatasync = noted(os.fsync), noted(os.fdatasync)  # no audit event tells of these


def _absolute(path: Any, folder: int = -1) -> str:
    if isinstance(path, int):
        return _descriptor(path)
    path = os.fsdecode(path)
    base = _descriptor(folder) if folder >= 0 else os.getcwd()
    parent, name = os.path.split(os.path.join(base, path))
    return os.path.join(os.path.realpath(parent), name)


def _descriptor(number: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


def _serve() -> None:
    """Fork for every line of standard input: run a command in the child, and tell how it ended."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in IMPORTS:
        importlib.import_module(name)
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_run(told))
        answers.write(json.dumps(_wait(child, told["seconds"])) + "\n")
        answers.flush()


def _wait(child: int, seconds: float) -> int | None:
    """The exit code; None = it took too long. Whatever it has started ends with it."""
    limit, ended, status = time.monotonic() + seconds, 0, 0
    while not ended and time.monotonic() < limit:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not ended:
        os.waitpid(child, 0)
        return None
    return os.waitstatus_to_exitcode(status)


def _run(told: dict[str, Any]) -> int:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    given = os.open(told["stdin"], os.O_RDONLY)
    taken = os.open(told["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, file in enumerate((given, taken, taken)):
        os.dup2(file, number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    os.chdir(told["folder"])
    os.environ.update(told["environment"])
    os.environ[WATCH] = json.dumps(told)
    code: Any = 0
    try:
        if told["before"]:
            module, _, function = told["before"].partition(":")
            getattr(importlib.import_module(module), function)()
        main = importlib.import_module("mnesis.cli").main
        watch(told)
        main(told["command"])
    except SystemExit as stopped:
        code = stopped.code
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 0 if code is None else 1


if __name__ == "__main__":
    _serve()
