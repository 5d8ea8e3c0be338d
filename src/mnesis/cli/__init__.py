"""The command line: ``mnesis COMMAND``. One file a command.

A command's file has a light top level: what needs torch is imported inside functions, so that help and refusals answer
at once. Its ``run`` is the command (:mod:`~mnesis.cli.arguments`), its docstring the help, and ``KEPT``, where it has
one, says what Ctrl-C leaves.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from ..core.domain import nearest, shown_text
from ..core.files import lack_of_room
from ..core.machine import wait_passively
from .arguments import HELP, asks_for_help, explain, parse
from .output import forget_output, prepare_streams, sentence_of

COMMANDS = {
    "demo": "train a recurrent memory, stream a million tokens through one, and open a report",
    "train": "train a memory on a task, into a run folder; stop and resume at will",
    "evaluate": "accuracy and bits of a run, far beyond the lengths that it was trained on",
    "stream": "read any text through a trained reader in constant memory, and ask it",
    "export": "write a run as a folder for other tools: a model of Hugging Face",
    "generate": "draw pictures after exemplars, by a run or the model that ships",
    "compare": "memories side by side on a task, with equal budgets",
    "claim": "run a paper's claim as an experiment",
    "laws": "measure how far a memory is from obeying the laws",
    "capabilities": "what of PyTorch works with a memory: transforms, compilation, devices, hooks, adapters",
    "bench": "speed and memory of every memory beside torch's own",
    "bench-tasks": "how fast tasks are drawn, beside the training that reads them",
    "report": "one page for a run, or for several in the same charts",
    "fetch": "download a collection of pictures, with checksums",
    "list": "what there is: memories, tasks, claims",
    "show": "all about one memory, task, claim, run, network or state",
    "help": "this list, or how a command is called",
}

GONE = {"pages": "mnesis show NAME tells what its pages told, and make docs, in a clone, makes a site of them"}
"""Commands of the release before, and what does their work now."""

MODULES = {"list": "listing", "bench-tasks": "bench_tasks"}
"""Commands whose file has another name: a module called list would take the place of Python's own in this one, and none
can be called by a hyphen."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exit codes: 0 done or holds, 1 does not hold, 2 bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        wait_passively()
        prepare_streams()
        code = _run(given)
        sys.stdout.flush()  # while a closed pipe and a full disk can still be met here
    except BrokenPipeError:  # as `mnesis ... | head` leaves it: whoever read the output has seen enough
        forget_output()
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        if lack_of_room(error) is not None:
            forget_output()
        _refuse(sentence)
    except KeyboardInterrupt:
        print(f"\nstopped; {_kept(given)}", file=sys.stderr)
        sys.exit(130)
    sys.exit(code)


def command_module(name: str) -> ModuleType:
    """The file of a command.

    Raises:
        ValueError: there is none; the nearest is suggested.
    """
    if name in GONE:
        raise ValueError(f"mnesis {name} is no command any more; {GONE[name]}")
    if name not in COMMANDS:
        near = nearest(name, COMMANDS)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(COMMANDS)}"
        raise ValueError(f"no command is called {shown_text(name)!r}; {hint}")
    return import_module(f"mnesis.cli.{MODULES.get(name, name)}")


def overview() -> str:
    """All commands, a line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "usage: mnesis COMMAND [options]\n\n" + "\n".join(lines) + "\n\nmnesis COMMAND --help says more."


def _run(given: Sequence[str]) -> int:
    if not given or given[0] in HELP:
        print(overview())
        return 0
    if given[0] in ("-V", "--version"):
        from .. import __version__

        print(f"mnesis {__version__}")
        return 0
    name, *rest = given
    command = command_module(name)
    if asks_for_help(rest):
        print(explain(command.run, name, command.__doc__ or ""))
        return 0
    positional, options = parse(command.run, rest)
    return command.run(*positional, **options) or 0


def _kept(given: Sequence[str]) -> str:
    """What a command that was stopped leaves."""
    with suppress(ValueError, IndexError):
        return getattr(command_module(given[0]), "KEPT", "nothing is kept")
    return "nothing is kept"


def _refuse(sentence: str) -> NoReturn:
    sentence = sentence.replace("overwrite=True", "--overwrite")  # as a shell has what the library names
    print(f"mnesis: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(2)
