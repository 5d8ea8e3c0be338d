"""Questions to a reader: what it was trained to answer, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..nets import LanguageModel
    from ..tasks.language.tokenizer import Tokenizer
    from ..tasks.stories.babi.kinds import QuestionKind
    from .runs import OpenRun

MOST = 8
"""Tokens of an answer at most."""


@dataclass(frozen=True)
class Answer:
    """What the reader says to a question."""

    question: str
    answer: str
    """Empty where it says nothing."""
    probability: float | None
    """Of the answer's tokens, each given those before it; None where it says nothing."""
    trained: bool | None = None
    """Whether it was trained to answer questions of this kind; None = its folder does not say."""

    def __str__(self) -> str:
        remarks = ["no answer" if self.probability is None else f"{self.probability:.0%}"]
        if self.trained is False:
            remarks.append("not a question this reader was trained to answer")
        return " ".join(filter(None, (self.question, self.answer, f"({'; '.join(remarks)})")))


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


def trained_kinds(opened: OpenRun) -> tuple[QuestionKind, ...] | None:
    """The questions that a reader was trained to answer; None where its folder does not say what it was trained on."""
    from ..tasks.stories.babi.kinds import question_kinds

    if "source" not in opened.config.get("config", opened.config):
        return None
    number = opened.source.number
    numbers = range(1, number + 1) if number in (2, 3) else [number]  # these are taught by way of the easier ones
    return tuple(kind for task in numbers for kind in question_kinds(task))


def answer(
    network: LanguageModel,
    tokenizer: Tokenizer,
    state: Any,
    question: str,
    most: int = MOST,
    kinds: Sequence[QuestionKind] | None = None,
) -> Answer:
    """Put a question to a fork of the state; the answer is the likeliest continuation up to its end.

    Args:
        network: the reader.
        tokenizer: its own.
        state: where it stands.
        question: what to ask.
        most: tokens of the answer at most.
        kinds: what it was trained to answer; None = unknown.

    Raises:
        ValueError: an empty question, or a reader whose numbers are none.
    """
    import torch

    prompt = torch.tensor([tokenizer.encode(" " + written(question).strip())])
    body, readout = network.parts()
    y, state = body(prompt, state)
    logits, said, probability = readout(y[:, -1]), [], 1.0
    for _ in range(most):
        if not logits.isfinite().all():
            raise ValueError(
                "the reader's output is not a number (NaN or infinite), so it cannot answer; "
                "its weights or its state are broken: use others"
            )
        token = int(logits.argmax(-1))
        if token == tokenizer.end:
            break
        probability *= float(logits.softmax(-1).max())
        said.append(token)
        logits, state = network(torch.tensor([token]), state, step=True)
    text = tokenizer.decode(said).strip()
    trained = None if kinds is None else any(kind.fits(question) for kind in kinds)
    return Answer(question, text, probability if text else None, trained)
