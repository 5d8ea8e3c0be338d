"""The command line: ``mnesis COMMAND``. One file a command."""

from __future__ import annotations

import difflib
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

COMMANDS = {
    "demo": "train a recurrent memory, stream a million tokens through one, and open a report",
    "train": "train a memory on a task into a run folder; stop and resume at will",
    "evaluate": "accuracy, bits and memory of a run at lengths up to ten million tokens",
    "stream": "read any text through a trained reader in constant memory, and ask it",
    "compare": "memories side by side on a task, with equal budgets",
    "claim": "run a paper's claim as an experiment",
    "laws": "measure how far a memory is from obeying the laws",
    "bench": "speed and memory of every memory beside torch's own",
    "bench-tasks": "how fast tasks are drawn, beside the training that reads them",
    "report": "one page for a run, or several side by side",
    "fetch": "download a collection of pictures, with checksums",
    "list": "what there is: memories, tasks, claims",
    "pages": "write a page for each memory",
}

MODULES = {"list": "listing", "bench-tasks": "bench_tasks"}
"""Commands whose file has another name: a module called list would take the place of Python's own in this one, and none
can be called by a hyphen."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exit codes: 0 done or holds, 1 does not hold, 2 bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_overview())
        sys.exit(0)
    if given[0] == "--version":
        from .. import __version__

        print(f"mnesis {__version__}")
        sys.exit(0)
    name, *rest = given
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
        _refuse(f"no command is called {name!r}; {hint}")
    import tyro  # late, so that --help and mistakes answer at once

    command = import_module(f"mnesis.cli.{MODULES.get(name, name)}")
    try:
        code = tyro.cli(
            command.run,
            args=rest,
            prog=f"mnesis {name}",
            description=command.__doc__,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        sys.stdout.flush()  # while a closed pipe can still be met here
    except BrokenPipeError:  # as `mnesis ... | head` leaves it: whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        if error.errno is None:  # our own sentence
            _refuse(str(error))
        if error.filename is None:
            raise
        _refuse(f"{error.filename}: {error.strerror}; give a path that is there and that you may read and write")
    except ValueError as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(code or 0)


def _refuse(sentence: str) -> NoReturn:
    print(f"mnesis: {sentence}", file=sys.stderr)
    sys.exit(2)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "usage: mnesis COMMAND [options]\n\n" + "\n".join(lines) + "\n\nmnesis COMMAND --help says more."
