"""A text on its way through a reader, which a signal may stop and the same command takes up again, bit for bit."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.files import parse_json
from ..tasks.language.plain_text import PlainText, UnreadableError, chunks, stretches
from .bookmark import Bookmark, Digest, beside, description, file_digest, find

if TYPE_CHECKING:
    from ..nets.generating import Generating
    from ..tasks.language.tokenizer import Tokenizer

TOKENS = "tokens"
"""In the description of a saved state: how many it has read, over all parts."""
SPOKEN_OF = "spoken_of"
"""In the description of a saved state: names that a question may have and that the text has spoken of, as JSON."""


class _Stopped(Exception):  # noqa: N818 - what was asked for, no error
    pass


class Reading:
    """Reads a text in chunks and knows where it stands.

    Args:
        network: the reader.
        tokenizer: its own.
        chunk: tokens read at a time. Whoever goes on does so with the same chunks, so that sums are rounded alike.
        save: the file for the state after the text; what an interrupted reading left beside it is gone on from.
        resume: the state to begin with; None = fresh.
        overwrite: ``save`` may be replaced, and what an interrupted reading of something else left.
        names: to note whether the text speaks of them.

    Raises:
        ValueError: a state of another reader, or the rest of another reading; the message says the mend.
    """

    def __init__(
        self,
        network: Generating,
        tokenizer: Tokenizer,
        chunk: int,
        save: Path | None,
        resume: Path | None,
        overwrite: bool,
        names: Sequence[str] = (),
    ) -> None:
        from ..core.state import load_state
        from ..tasks.stories.mentions import Mentions

        self._network, self._tokenizer, self._save, self._overwrite = network, tokenizer, save, overwrite
        self._about = {"reader": _fingerprint(network, tokenizer)}
        own = self._about["reader"]
        if resume is not None and resume.is_file() and description(resume).get("reader", own) != own:
            raise ValueError(f"{resume} was made by another reader; give --model the folder of the one that made it")
        self.state = None if resume is None else load_state(resume, about=self._about)
        """After what was read so far."""
        self.speed: float | None = None
        """Tokens a second, the first chunk left out, which pays for the start; None = there was no second."""
        self._before = 0 if resume is None else _tokens_of(resume)
        self.mentions = Mentions(names, () if resume is None else _spoken_of(resume))
        """Of the names, in all parts."""
        self._mark = Bookmark(self._about["reader"], "" if resume is None else file_digest(resume), chunk)
        self._kept = found = None if save is None else find(save)
        self._found = found is not None
        if save is None or found is None:
            return
        if found.goes_on_as(self._mark):
            self._kept_state = load_state(beside(save), about=self._about)
        elif overwrite:
            self._kept = None
        else:
            raise ValueError(self._of_something_else())

    @property
    def tokens(self) -> int:
        """Read so far of this text, in all sittings."""
        return self._mark.tokens

    @property
    def tokens_in_all(self) -> int | None:
        """Those that were read before this text included; None where the state to begin with does not say."""
        return None if self._before is None else self._before + self.tokens

    @property
    def seconds(self) -> float:
        """That reading took, in all sittings."""
        return self._mark.seconds

    @property
    def looking(self) -> int:
        """The token from which an interrupted reading goes on, as long as it has not come there; else 0."""
        return 0 if self._kept is None else self._kept.tokens

    def read(self, source: PlainText, stopped: Callable[[], bool], show: Callable[[int], None]) -> bool:
        """Read to the end.

        Args:
            source: the text.
            stopped: asked before every chunk, and while nothing comes, whether to stop there.
            show: told the tokens read so far.

        Returns:
            False: stopped before the end.

        Raises:
            ValueError: no text, not UTF-8, another text than the interrupted one, or a state that is no number.
        """

        def look() -> None:
            if stopped():
                raise _Stopped

        try:
            self._read(source, look, show)
        except _Stopped:
            return False
        except UnreadableError as error:
            if self._save is None or self.looking or not self.tokens:
                raise
            self.keep()
            raise ValueError(
                f"{error}; what was read is kept in {beside(self._save)}, and the same command goes on from there"
            ) from None
        if self.tokens == 0:
            raise ValueError(f"{source.name} holds no text; give a file with at least one word")
        self._check_numbers()
        return True

    def _read(self, source: PlainText, look: Callable[[], None], show: Callable[[int], None]) -> None:
        import torch

        body, _ = self._network.parts()
        digest, passed = Digest(), 0
        warm, paced, pace = False, 0, 0.0
        runs = self.mentions.listen(stretches(source.blocks(look)))
        for tokens in chunks(runs, self._tokenizer.encode, self._mark.chunk):
            look()
            passed += len(tokens)
            name = digest.add(tokens)
            show(passed)
            if self._kept is not None and self._was_read(self._kept, passed, name, passed == len(tokens)):
                continue
            began = time.monotonic()
            _, self.state = body(torch.tensor([tokens]), self.state)
            took = time.monotonic() - began
            if warm:
                paced, pace = paced + len(tokens), pace + took
                self.speed = paced / max(pace, 1e-9)
            warm = True
            mark = self._mark
            self._mark = replace(
                mark, tokens=passed, digest=name, first=mark.first or name, seconds=mark.seconds + took
            )
        if self._kept is not None and passed:
            raise ValueError(self._of_something_else())

    def _was_read(self, kept: Bookmark, passed: int, name: str, first: bool) -> bool:
        """Whether a chunk was read before the interruption; its end may be where reading goes on."""
        if first and name != kept.first and self._overwrite:
            self._kept = None
            return False
        if (first and name != kept.first) or passed > kept.tokens or (passed == kept.tokens and name != kept.digest):
            raise ValueError(self._of_something_else())
        if passed == kept.tokens:
            self.state, self._mark, self._kept = self._kept_state, kept, None
        return True

    def _of_something_else(self) -> str:
        assert self._save is not None
        return (
            f"{beside(self._save)} is where a reading of another text, or with another reader, --resume or --chunk, "
            "was interrupted; go on with that one, move the file away, or give another --save"
        )

    def keep(self) -> None:
        """Write where this reading stands beside the file that it is for."""
        from ..core.state import save_state

        assert self._save is not None
        save_state(self.state, beside(self._save), about={**self._about, **self._mark.describe()})

    def finish(self) -> None:
        """Write the state, if it is to be saved.

        Raises:
            ValueError: the file has appeared meanwhile.
        """
        from ..core.state import save_state

        if self._save is None:
            return
        if self._save.exists() and not self._overwrite:
            self.keep()
            raise ValueError(
                f"{self._save} has appeared while the text was read; what was read is kept in {beside(self._save)}: "
                "move one of them away, or give --overwrite"
            )
        about = dict(self._about)
        if self.tokens_in_all is not None:
            about[TOKENS] = str(self.tokens_in_all)
        if self.mentions.heard is not None:
            about[SPOKEN_OF] = json.dumps(self.mentions.heard)
        save_state(self.state, self._save, about=about)
        if self._found:
            beside(self._save).unlink(missing_ok=True)

    def _check_numbers(self) -> None:
        from ..core.state import leaves

        if any(bool(leaf.isnan().any()) for leaf in leaves(self.state)):
            raise ValueError(
                "the reader's state is not a number (NaN) after this text; its weights, or the state that it began "
                "with, are broken: use others"
            )


def _tokens_of(path: Path) -> int | None:
    found = description(path).get(TOKENS, "")
    return int(found) if found.isascii() and found.isdigit() and len(found) < 20 else None


def _spoken_of(path: Path) -> list[str] | None:
    """Names that the text before a state has spoken of; None of a state that does not say."""
    told = description(path).get(SPOKEN_OF)
    mend = "read the text anew and save it again"
    return None if told is None else parse_json(told, list[str], source=f"{SPOKEN_OF} of {path}", mend=mend)


def _fingerprint(network: Generating, tokenizer: Tokenizer) -> str:
    """Names weights and tokens: a state is of use to the reader that made it alone."""
    import torch

    digest = hashlib.blake2b(tokenizer.serialize().encode(), digest_size=8)
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
