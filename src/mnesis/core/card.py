"""What the catalog knows of one memory, task or claim, and of a paper."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from zlib import crc32

from .domain import nearest
from .reason import reason_for


@dataclass(frozen=True)
class Paper:
    """Where something was published."""

    title: str
    authors: str
    year: int
    arxiv: str = ""
    venue: str = ""
    key: str = ""

    def bibtex(self) -> str:
        kind = "misc" if self.arxiv and not self.venue else "article"
        lines = [f"  title = {{{self.title}}}", f"  author = {{{self.authors}}}", f"  year = {{{self.year}}}"]
        lines += [f"  journal = {{{self.venue}}}"] if self.venue else []
        lines += [f"  eprint = {{{self.arxiv}}}", "  archivePrefix = {arXiv}"] if self.arxiv else []
        return f"@{kind}{{{self.key},\n" + ",\n".join(lines) + "\n}"


@dataclass(frozen=True)
class Published:
    """How a paper has a task learned, for comparisons: data, budget and search; the network around is ours."""

    length: int
    options: Mapping[str, Any]
    """Arguments of the task."""
    tokens: int
    """Units that each training reads."""
    batch: int
    rates: tuple[float, ...]
    """Learning rates that are searched."""
    sequences: int
    """Of a test."""


OWN = "your own"
"""The family of what is not in the catalog, but given as ``file.py:Class`` or ``module:Class``."""


@dataclass(frozen=True)
class Card:
    """What the catalog knows of one memory, task or claim."""

    name: str
    target: str
    """``module:Class`` below mnesis."""
    family: str
    summary: str
    papers: tuple[str, ...] = ()
    """Keys into papers.json."""
    forms: tuple[str, ...] = ()
    bounded: bool = True
    whole: bool = False
    """A stack of layers by itself, not what stands in one block."""
    cost: str = ""
    """State numbers per row, in the constructor's own words."""
    equations: tuple[str, ...] = ()
    """Of a memory: its update as its docstring has it, lines of LaTeX that are aligned at &."""
    example: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of a small instance, for laws, comparisons and examples."""
    size: str = ""
    """Of a memory: the constructor's argument that its state grows with, at one width; "" = the width alone."""
    sees: str = ""
    """Of a memory: units that stand in it verbatim, in the constructor's own words; "" = none do. A time scale, such as
    that of the window that polynomials follow, is none."""
    limits: tuple[str, ...] = ()
    """Of a memory that sees any: the constructor's arguments that limit them, which share them evenly where nobody
    chose; none where no one argument does."""
    search: tuple[Mapping[str, Any], ...] = ()
    """Of a memory that is not trained by gradient: arguments that a comparison tries, in place of learning rates."""
    earlier: tuple[Mapping[str, Any], ...] = ()
    """Of a memory: one entry for each time that its start, a default or its arithmetic has changed, here or in what is
    inside: the options with which it computes as before, none where only the start has changed."""
    lengths: int | tuple[int, int] | None = None
    """Of a task: training episodes of a comparison, in its own unit."""
    published: Mapping[str, Published] = field(default_factory=dict)
    """Of a task: papers' own settings, by name."""

    @property
    def parallel(self) -> bool:
        """Of a memory: whether all units of a sequence can be trained at once, not one after the other."""
        return bool(self.forms) or self.family == "convolution"

    @property
    def revision(self) -> int:
        """Which one this is, from 1: figures that were made with an earlier one are stale."""
        return 1 + len(self.earlier)

    def as_of(self, revision: int) -> dict[str, Any]:
        """Options with which the memory computes as in an earlier revision."""
        return {key: value for options in reversed(self.earlier[revision - 1 :]) for key, value in options.items()}

    @property
    def training_lengths(self) -> tuple[int, int]:
        """Of a task: shortest and longest training episode of a comparison.

        Raises:
            ValueError: the catalog has none.
        """
        if self.lengths is None:
            raise ValueError(f"the catalog has no lengths for {self.name}; give --length, such as --length 16")
        return (self.lengths, self.lengths) if isinstance(self.lengths, int) else self.lengths

    def load(self) -> type:
        module, _, name = self.target.rpartition(":")
        if self.family == OWN:
            return _own(module, name, Path.cwd())
        return getattr(import_module(f"mnesis.{module}"), name)


@cache
def _own(module: str, name: str, folder: Path) -> type:
    """Somebody's class, out of a file or an importable module; ``folder`` is where relative paths begin."""
    mend = "write path/to/file.py:Class, or module:Class of one that can be imported from here"
    if module.endswith(".py") and not (folder / module).is_file():
        raise ValueError(f"cannot import {module}:{name} (there is no such file); {mend}")
    try:
        loaded = _from_file(folder / module) if module.endswith(".py") else import_module(module)
    except (Exception, SystemExit) as error:  # whatever somebody's file does when it is run
        absent = isinstance(error, ModuleNotFoundError) and module.split(".")[0] == (error.name or "").split(".")[0]
        told = f"({error}); {mend}" if absent else f"({reason_for(error)}); mend it there"
        raise ValueError(f"cannot import {module}:{name} {told}") from error
    try:
        found = getattr(loaded, name)
    except AttributeError:
        own = [key for key, value in vars(loaded).items() if isinstance(value, type)]
        hint = f"did you mean {near!r}?" if (near := nearest(name, own)) else mend
        raise ValueError(f"cannot import {module}:{name} (nothing there has that name); {hint}") from None
    if not isinstance(found, type):
        raise ValueError(f"{module}:{name} is no class but of type {type(found).__name__}; name the class")
    return found


def _from_file(path: Path) -> Any:
    path = path.resolve()
    # the same in every process: states in files are told apart by the modules of their classes
    label = f"mnesis_own_{path.stem}_{crc32(os.fsencode(path)):08x}"
    spec = spec_from_file_location(label, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = module_from_spec(spec)
    sys.modules[label] = loaded  # dataclasses and NamedTuples look their own module up
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[label]
        raise
    return loaded
