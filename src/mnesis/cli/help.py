"""All commands, or how one is called.

mnesis help
mnesis help compare
"""

from __future__ import annotations

from typing import Annotated

from .arguments import Named, explain


def run(name: Annotated[str, Named("COMMAND")] = "", /) -> None:
    """Print it.

    Args:
        name: a command; all of them if none is named.
    """
    from . import command_module, overview

    if not name:
        print(overview())
        return
    command = command_module(name)
    print(explain(command.run, name, command.__doc__ or ""))
