"""Questions to a reader: what it was trained to answer, and what it says.

    opened = open_run("reader")
    text, mentions = " Mary moved to the office.", Mentions(opened.asks.names)
    tokens = [token for run in mentions.listen([text]) for token in opened.tokenizer.encode(run)]
    _, state = opened.network(torch.tensor([tokens]))
    answer(opened.network, opened.tokenizer, state, "Where is Mary?", asks=opened.asks, mentions=mentions)

What a reader cannot know it is asked all the same: the answer says what speaks against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..nets.generating import Generating
    from ..tasks.language.tokenizer import Tokenizer
    from ..tasks.stories.kinds import Asks, Recognised
    from ..tasks.stories.mentions import Mentions

MOST = 32
"""Tokens of an answer at most: bAbI's longest fits in as bytes."""
UNTRAINED = "not a question this reader was trained to answer"
NO_TEXT = "\ufffd"
"""What bytes become that are no text."""


@dataclass(frozen=True)
class Answer:
    """What the reader says to a question."""

    question: str
    """As it was asked."""
    answer: str
    """Empty where it says nothing, or nothing that is text."""
    probability: float | None
    """That the reader gives to this answer, its end included, among all it could say; None where it says nothing."""
    trained: bool | None = None
    """Whether it was trained to answer such a question about such names; None = its folder does not say."""
    unspoken: tuple[str, ...] = ()
    """Names in the question that the text has not spoken of."""
    remark: str = ""
    """Why the answer means little, in words; empty where nothing speaks against it."""
    put_as: str = ""
    """The question as the reader was given it: in the letters of its training, where it was asked in others."""

    def __str__(self) -> str:
        asked = self.put_as or self.question
        sure = "no answer" if self.probability is None else _percent(self.probability)
        parts = (
            asked if asked.endswith("?") else f"{asked}:",
            self.answer,
            f"({'; '.join(filter(None, (sure, self.remark)))})",
        )
        return " ".join(filter(None, parts))


def written(question: str) -> str:
    """A question of the command line as text.

    Raises:
        ValueError: an empty one, or bytes that are not UTF-8.
    """
    try:
        question = question.encode("utf-8", "surrogateescape").decode("utf-8")  # whatever the locale made of the bytes
    except UnicodeError:
        raise ValueError(f"the question {question!r} is not UTF-8 text; write it in UTF-8") from None
    if not question.strip():
        raise ValueError("an empty question has no answer; write --ask 'Where is Mary?'")
    return question


def answer(
    network: Generating,
    tokenizer: Tokenizer,
    state: Any,
    question: str,
    most: int = MOST,
    asks: Asks | None = None,
    mentions: Mentions | None = None,
) -> Answer:
    """Put a question to a fork of the state; the answer is the likeliest continuation up to its end.

    Args:
        network: the reader.
        tokenizer: its own.
        state: where it stands.
        question: what to ask; where it can be asked that, case, blanks and question mark are put right.
        most: tokens of the answer at most; one that is longer is cut, and its probability is that of the beginning.
        asks: what it can be asked; None = unknown, and no answer is marked.
        mentions: what the text that it has read speaks of; None = unknown.

    Raises:
        ValueError: an empty question, or a reader whose numbers are none.
    """
    question = written(question)
    seen = None if asks is None else asks.recognise(question)
    unspoken = () if seen is None or mentions is None else mentions.missing(seen.names)
    put = question.strip() if seen is None else seen.text
    text, probability = _said(network, tokenizer, state, put, most)
    trained = None if asks is None else seen is not None and not seen.unknown
    remark = "" if asks is None else _remark(seen, unspoken)
    return Answer(question, text, probability if text else None, trained, unspoken, remark, put)


def _said(network: Generating, tokenizer: Tokenizer, state: Any, question: str, most: int) -> tuple[str, float]:
    """The likeliest continuation as text, and its probability."""
    import torch

    body, readout = network.parts()
    y, state = body(torch.tensor([tokenizer.encode(" " + question)]), state)
    logits, said, probability = readout(y[:, -1]), [], 1.0
    while True:
        if not logits.isfinite().all():
            raise ValueError(
                "the reader's output is not a number (NaN or infinite), so it cannot answer; "
                "its weights or its state are broken: use others"
            )
        token = int(logits.argmax(-1))
        probability *= float(logits.softmax(-1).max())
        if token == tokenizer.end:
            break
        said.append(token)
        if len(said) == most:
            break
        logits, state = network(torch.tensor([token]), state, step=True)
    return _readable(tokenizer.decode(said)), probability


def _readable(text: str) -> str:
    """Text on one line, what cannot be shown as U+FFFD; empty where there is nothing else."""
    text = " ".join("".join(letter if letter.isprintable() else NO_TEXT for letter in " ".join(text.split())).split())
    return text if text.replace(NO_TEXT, "").strip() else ""


def _remark(seen: Recognised | None, unspoken: tuple[str, ...]) -> str:
    """What is to be said of an answer to such a question."""
    if seen is None:
        return UNTRAINED
    if seen.unknown:
        return (
            f"this reader was trained to be asked about {_listed(seen.known)}, not about {' and '.join(seen.unknown)}"
        )
    return f"the text has not spoken of {' and '.join(unspoken)}" if unspoken else ""


def _percent(probability: float) -> str:
    """Rounded, but never to what is impossible or sure."""
    return "<1%" if probability < 0.005 else ">99%" if probability >= 0.995 else f"{probability:.0%}"


def _listed(names: tuple[str, ...]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
