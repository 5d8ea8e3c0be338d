"""ListOps: nested minima, maxima, medians and sums of digits, drawn on the spot or read from the published files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ...core.domain import AtLeast
from ...core.task import Episode, Task
from ..files.opening import read_text, shown
from .list_ops_drawn import CLOSE, COMMON, MIN, SHORTEST, SYMBOLS, drawn, values

PARTS = ("train", "valid", "test")
_VALUES = {str(value): value for value in range(10)}


class ListOps(Task):
    """Say the value of a nested expression of digits when its last bracket closes.

    Nangia and Bowman 2018 (arXiv 1804.06028): MIN, MAX, MED (the median, rounded down) and SM (the sum modulo 10) of
    two or more arguments, each an expression with probability 1/4, else a digit. One example::

        inputs   [MAX 2 9 [MIN 4 7 ] 0 ]
        targets   .   . .  .   . . . . 9

    Tokens: the digits 0 to 9, the closing bracket, then MIN, MAX, MED, SM, FIRST and LAST, each with its opening
    bracket. ``length`` counts symbols: drawn expressions have at most so many, and more than a quarter of them; of a
    file come the rows of at most so many. Round brackets in files, which say nothing, are left out. The defaults are
    those of the Long Range Arena (Tay et al. 2020, arXiv 2011.04006), whose 500 to 2,000 symbols are a ``length`` of
    2,000; the longest set of Nangia and Bowman has a depth of 20 and 5 arguments. Chance is the share of the commonest
    value, among drawn expressions that of those of at most 256 symbols; 0 and 9 are commoner the longer they are.

    Args:
        depth: of the deepest digits, where the outermost operator has 1.
        arguments: of an operator, at most.
        train: file of rows: a value and an expression (Nangia and Bowman), or ``Source`` and ``Target`` (the Arena),
            parted by a tab; None = drawn.
        valid: file to validate on; None = a tenth of the training file.
        test: file to test on; None = another tenth of it, its last.
        part: "train", "valid" or "test".

    Raises:
        ValueError: a depth or arguments below 2, an unknown part, files to judge on without one to train on, or a file
            that is missing or broken.
    """

    vocabulary = len(SYMBOLS)

    def __init__(
        self,
        *,
        depth: Annotated[int, AtLeast(2)] = 10,
        arguments: Annotated[int, AtLeast(2)] = 10,
        train: str | Path | None = None,
        valid: str | Path | None = None,
        test: str | Path | None = None,
        part: str = "train",
    ) -> None:
        if part not in PARTS:
            raise ValueError(f"part = {part!r} is unknown; choose one of {', '.join(PARTS)}")
        if train is None and (valid or test):
            raise ValueError(f"there is no file to train on beside {valid or test}; give train= too")
        self.depth, self.arguments, self.part = depth, arguments, part
        self.files = {"train": train, "valid": valid, "test": test}
        self.rows = None if train is None else self._rows(Path(train))
        self.chance = float(2 ** self._log2_shares(0, COMMON).max())

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        """Draw ``batch`` expressions of at most ``length`` symbols.

        Raises:
            ValueError: ``batch`` below 1, too few symbols for an expression, a length that hardly any expression has,
                or no row of a file that is as short.
        """
        if batch < 1 or length < SHORTEST:
            raise ValueError(f"batch = {batch}, length = {length}: give 1 row or more, and {SHORTEST} symbols or more")
        device = generator.device
        if self.rows is None:
            seed = int(torch.randint(2**62, (), generator=generator, device=device))
            numbers = np.random.default_rng(seed)
            found = drawn(batch, length // 4, length, self.depth, self.arguments, numbers)
            tokens, units, value = (torch.from_numpy(part).to(device) for part in found)
        else:
            tokens, units, value = _picked(self.rows, batch, length, generator)
        targets, weight = torch.zeros_like(tokens), torch.zeros(tokens.shape, device=device)
        targets.scatter_(1, units[:, None] - 1, value[:, None])
        weight.scatter_(1, units[:, None] - 1, 1.0)
        return Episode(tokens, targets, weight, length=units)

    def unseen(self, part: Literal["valid", "test"]) -> ListOps:
        if self.rows is None:
            return self
        return ListOps(depth=self.depth, arguments=self.arguments, part=part, **self.files)

    def blind(self, episode: Episode) -> Float[Tensor, "B T"]:
        """How often each value comes: among drawn expressions as long as these, or in the file."""
        length = episode.targets.shape[1]
        return self._log2_shares(length // 4, length).to(episode.targets.device)[episode.targets]

    def _log2_shares(self, shortest: int, longest: int) -> Float[Tensor, " values"]:
        value = values(shortest, longest, self.depth, self.arguments) if self.rows is None else self.rows.value
        return ((value.bincount(minlength=10) + 1) / (len(value) + 10)).log2()

    def _rows(self, train: Path) -> _Rows:
        own = self.files[self.part]
        if own is not None and self.part != "train":
            return _read(Path(own))
        rows, missing = _read(train), [part for part in PARTS if self.files[part] is None]
        tenth = len(rows.value) // 10
        if missing and not tenth:
            raise ValueError(f"{train} has {len(rows.value)} rows, too few to keep a tenth of; give 10 or more")
        first = len(rows.value) - tenth * len(missing)
        if self.part == "train":
            here = slice(0, first)
        else:
            here = slice(first + tenth * missing.index(self.part), first + tenth * (missing.index(self.part) + 1))
        return rows._replace(start=rows.start[here], units=rows.units[here], value=rows.value[here])


def evaluate(tokens: Sequence[int]) -> int:
    """The value of an expression, token by token.

    Raises:
        ValueError: brackets that do not match, or an operator without arguments.
    """
    arguments: list[list[int]] = [[]]
    operators: list[str] = []
    for token in tokens:
        if token >= MIN:
            operators.append(SYMBOLS[token])
            arguments.append([])
        elif token < CLOSE:
            arguments[-1].append(token)
        elif operators and arguments[-1]:
            value = _applied(operators.pop(), arguments.pop())
            arguments[-1].append(value)
        else:
            arguments[0].clear()
            break
    if operators or len(arguments[0]) != 1:
        raise ValueError(f"{' '.join(SYMBOLS[token] for token in tokens)} is no expression; close every operator once")
    return arguments[0][0]


def _applied(operator: str, arguments: list[int]) -> int:
    ordered, count = sorted(arguments), len(arguments)
    return {
        "[MIN": ordered[0],
        "[MAX": ordered[-1],
        "[MED": (ordered[(count - 1) // 2] + ordered[count // 2]) // 2,
        "[SM": sum(arguments) % 10,
        "[FIRST": arguments[0],
        "[LAST": arguments[-1],
    }[operator]


class _Rows(NamedTuple):
    """Of a file."""

    tokens: Int[Tensor, " N"]
    """Of all rows, one after the other."""
    start: Int[Tensor, " R"]
    units: Int[Tensor, " R"]
    value: Int[Tensor, " R"]


@cache
def _read(path: Path) -> _Rows:
    text = read_text(path, "give one of rows, or none for expressions that are drawn")
    ids, tokens = {symbol: number for number, symbol in enumerate(SYMBOLS)}, bytearray()
    units, values, swapped = [], [], False
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("\t")
        if number == 1 and fields == ["Source", "Target"]:
            swapped = True
            continue
        try:
            value, expression = fields[::-1] if swapped else fields
            symbols = [ids[symbol] for symbol in expression.split() if symbol not in "()"]
            values.append(_VALUES[value.strip()])
        except (KeyError, ValueError):
            raise ValueError(
                f"{path}, line {number}: '{shown(line)}' is no value, tab and expression; give a file as it was "
                "published"
            ) from None
        tokens += bytes(symbols)
        units.append(len(symbols))
    if not units or not min(units):
        raise ValueError(f"{path} has an empty expression, or none; give a file as it was published")
    count = torch.tensor(units)
    flat = torch.from_numpy(np.frombuffer(tokens, np.uint8))
    if (wrong := _unmatched(flat, count)) is not None:
        raise ValueError(f"{path}: brackets of expression {wrong + 1} do not match; give a file as it was published")
    return _Rows(flat, count.cumsum(0) - count, count, torch.tensor(values))


def _unmatched(flat: UInt8[Tensor, " N"], units: Int[Tensor, " R"]) -> int | None:
    """The first row that is no expression, whose outermost bracket closes before its end, later, or around nothing."""
    opens, closes = flat >= MIN, flat == CLOSE
    depth = (opens.int() - closes.int()).cumsum(0)
    last = units.cumsum(0) - 1
    ends = torch.zeros_like(opens)
    ends[last] = True
    empty = torch.zeros_like(opens)
    empty[1:] = closes[1:] & opens[:-1]
    wrong = ((depth == 0) != ends) | (depth < 0) | empty
    return int(torch.searchsorted(last, wrong.nonzero()[0, 0])) if bool(wrong.any()) else None


def _picked(rows: _Rows, batch: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    fitting = (rows.units <= length).nonzero()[:, 0]
    if not len(fitting):
        raise ValueError(f"length = {length}: the shortest row has {int(rows.units.min())} symbols; give more")
    device = generator.device
    drawn = fitting[torch.randint(len(fitting), (batch,), generator=generator, device=device).to(fitting.device)]
    units = rows.units[drawn]
    time = torch.arange(int(units.max()))
    inside = time < units[:, None]
    tokens = rows.tokens[torch.where(inside, rows.start[drawn, None] + time, 0)].long() * inside
    return tokens.to(device), units.to(device), rows.value[drawn].to(device)
