"""Which names a text has spoken of, noted while it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator


class Mentions:
    """Listens to a text of any length for some names: whole words, in any case of letters.

    Args:
        names: to listen for.
        before: those that were spoken of in what was read before; None = nobody knows, and none is ever called missing.
    """

    def __init__(self, names: Iterable[str], before: Iterable[str] | None = ()) -> None:
        self._folded = {name.casefold(): name for name in names}
        self._known = before is not None
        self._heard = {name.casefold() for name in before or ()} & self._folded.keys()
        self._rest = " "

    @property
    def heard(self) -> tuple[str, ...] | None:
        """Names that the text has spoken of, sorted; None where what was read before is not known."""
        return tuple(sorted(self._folded[name] for name in self._heard)) if self._known else None

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names listened for that the text has not spoken of."""
        unheard = self._folded.keys() - self._heard if self._known else set()
        return tuple(name for name in names if name.casefold() in unheard)

    def listen(self, runs: Iterable[str]) -> Iterator[str]:
        """Runs of text that follow one another, with one space between words, handed on as they are."""
        for run in runs:
            self._look(run)
            yield run
        self._look(" ")

    def _look(self, run: str) -> None:
        waiting = self._folded.keys() - self._heard
        if not waiting:
            return
        text = self._rest + run.casefold()
        for name in waiting:
            # What ends the text may go on as another word, and what begins it was looked at with what stands before.
            if name in text and re.compile(rf"(?<!\w){re.escape(name)}(?=\W)").search(text, 1):
                self._heard.add(name)
        self._rest = text[-max(map(len, waiting)) - 1 :]
