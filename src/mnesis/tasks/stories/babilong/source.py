"""Where a BABILong run's stories, background and tokens come from, as plain values that are kept with the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from ....core.domain import build, fault
from ...language.background import Background, FolderBackground, HubBackground, MixedBackground, ProseBackground
from ...language.prose import Prose
from ...language.sentences import read_book, split_sentences
from ...language.tokenizer import BPETokenizer, ByteTokenizer, Tokenizer
from ..babi.files import read_stories
from ..babi.kinds import question_kinds
from ..babi.moving import simulate
from ..kinds import Asks
from ..story import Story
from ..wording import story_words
from .babilong import BABILong

PROSE_SENTENCES = 20_000
STORIES = 200


@dataclass(frozen=True)
class BABILongSource:
    """Opens :class:`BABILong` for training or for evaluation.

    Args:
        number: of the bAbI task, 1..20.
        stories: "simulated", or the path of bAbI's files (zip, tar.gz or folder): their training stories train, their
            test stories evaluate.
        variant: of the files.
        background: "prose", a folder of .txt files, "hub:NAME" of a text data set; or several of them with commas
            between, of which every sample reads one.
        held_out: files of the folder that only evaluation reads; with none, both read all.
        vocabulary: ids of the tokenizer trained on background and stories; 257 = plain bytes.

    Raises:
        ValueError: what cannot be read, with the mend.
    """

    number: int = 1
    stories: str = "simulated"
    variant: str = "en-10k"
    background: str = "prose"
    held_out: tuple[str, ...] = ()
    vocabulary: int = 2048
    from_file: bool = field(default=False, repr=False, compare=False)
    """Whether a file says all this, for which alone no network is touched."""

    def as_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        values = {**asdict(self), "held_out": list(self.held_out)}
        del values["from_file"]
        return values

    @classmethod
    def from_json(cls, values: Any) -> BABILongSource:
        """The source that ``as_json`` described, in a file: backgrounds on the hub are not opened.

        Raises:
            ValueError: other values than ``as_json`` writes.
        """
        found = fault(values, cls)
        if found is None and "from_file" in values:
            found = "it has an entry 'from_file' that does not belong there"
        if found:
            known = ", ".join(each.name for each in fields(cls) if each.name != "from_file")
            raise ValueError(f"this is no BABILong source: {found}; it takes {known}")
        return replace(build(cls, values), from_file=True)

    def asks(self) -> Asks | None:
        """What a reader can be asked that was trained on this; None where its stories are not in bAbI's English."""
        # Tasks 2 and 3 are taught by way of the easier ones.
        numbers = range(1, self.number + 1) if self.number in (2, 3) else (self.number,)
        kinds = tuple(kind for number in numbers for kind in question_kinds(number))
        english = self.stories == "simulated" or self.variant.startswith("en")
        return Asks(kinds) if kinds and english else None

    def tokenizer(self) -> Tokenizer:
        """Trained on the training background; every word of the stories is one token."""
        if self.vocabulary == 257:
            return ByteTokenizer()
        words = story_words(self._some_stories())
        return BPETokenizer.train(self._texts(), self.vocabulary, words=words)

    def open(self, tokenizer: Tokenizer, *, split: str = "test", **options: Any) -> BABILong:
        """The task, its stories and background those of "train" or "test"."""
        stories = "simulated" if self.stories == "simulated" else self._read(split)
        return BABILong(
            self.number,
            tokenizer=tokenizer,
            background=self._open_background(tokenizer, split),
            stories=stories,
            **options,
        )

    def _read(self, split: str) -> list[Story]:
        return read_stories(self.stories, self.number, split, self.variant)

    def _some_stories(self) -> Iterator[Story]:
        if self.stories != "simulated":
            yield from self._read("train")
            return
        generator = torch.Generator().manual_seed(0)
        for _ in range(STORIES):
            yield simulate(self.number, generator)

    def _open_background(self, tokenizer: Tokenizer, split: str) -> Background:
        parts = [self._open_part(name, tokenizer, split) for name in self._backgrounds()]
        return parts[0] if len(parts) == 1 else MixedBackground(parts)

    def _open_part(self, name: str, tokenizer: Tokenizer, split: str) -> Background:
        if name == "prose":
            return ProseBackground(tokenizer)
        if name.startswith("hub:"):
            if self.from_file:
                raise ValueError(
                    f"background = {name!r} stands in a file, and nothing goes to a network because a file says so; "
                    f"give --background {name} yourself"
                )
            return HubBackground(name.removeprefix("hub:"), tokenizer, split=split)
        chosen = self.held_out if split == "test" and self.held_out else None
        excluded = self.held_out if split == "train" else ()
        return FolderBackground(name, tokenizer, files=chosen, exclude=excluded)

    def _backgrounds(self) -> list[str]:
        return [name for name in self.background.split(",") if name]

    def _texts(self) -> Iterator[str]:
        for story in islice(self._some_stories(), STORIES):
            yield " " + " ".join(story.sentences)
        for name in self._backgrounds():
            if name == "prose" or name.startswith("hub:"):
                yield from (" " + sentence for sentence in islice(Prose().sentences(0), PROSE_SENTENCES))
                continue
            for path in sorted(Path(name).glob("*.txt")):
                if path.name not in self.held_out:
                    yield from (" " + sentence for sentence in split_sentences(read_book(path)))
