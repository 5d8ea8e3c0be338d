"""Facts, questions and answers as token ids, with what a reader should say at each token."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from ..language.tokenizer import Tokenizer
from .story import Story, StoryQuestion


class Piece(NamedTuple):
    """A run of tokens in a stream; where nothing is asked of the reader, ``weight`` and ``said`` are None."""

    tokens: Int32[np.ndarray, " n"]
    weight: Float32[np.ndarray, " n"] | None = None
    """Weight of the target at each token."""
    said: Int32[np.ndarray, " n"] | None = None
    """The target where it is not simply the next token; -1 elsewhere."""


def story_words(stories: Iterable[Story]) -> list[str]:
    """Every word of sentences, questions and answers, sorted: what ``BPETokenizer.train(words=...)`` makes single."""
    words: set[str] = set()
    for story in stories:
        texts = [*story.sentences, *(text for question in story.questions for text in (question.text, question.answer))]
        words.update(re.findall(r"[^\W\d_]+", " ".join(texts)))
    return sorted(words)


class Wording:
    """Tokenises the few texts of a story task, each once.

    Facts, questions and answers have the space before them that makes them concatenate exactly; an answer ends with
    the tokenizer's end id.
    """

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._texts: dict[str, Int32[np.ndarray, " n"]] = {}
        self._asked: dict[tuple[str, str, bool], Piece] = {}

    def text(self, text: str) -> Int32[np.ndarray, " n"]:
        """A fact or a question."""
        tokens = self._texts.get(text)
        if tokens is None:
            tokens = self._texts[text] = np.array(self._tokenizer.encode(" " + text.strip()), np.int32)
        return tokens

    def answer(self, text: str) -> Int32[np.ndarray, " n"]:
        return np.append(self.text(text), np.int32(self._tokenizer.end))

    def asked(self, question: StoryQuestion, shown: bool) -> Piece:
        """A question inside a stream.

        shown: question, answer and end are all read, and each token of answer and end is a target of weight 1.
        hidden: the question alone is read; its last token has the answer's first token as target, and the stream goes
        on, so that the answer is never told.
        """
        key = (question.text, question.answer, shown)
        piece = self._asked.get(key)
        if piece is None:
            piece = self._asked[key] = self._ask(self.text(question.text), self.answer(question.answer), shown)
        return piece

    @staticmethod
    def _ask(prompt: Int32[np.ndarray, " p"], answer: Int32[np.ndarray, " a"], shown: bool) -> Piece:
        tokens = np.concatenate([prompt, answer]) if shown else prompt
        weight = np.zeros(len(tokens), np.float32)
        said = np.full(len(tokens), -1, np.int32)
        if shown:
            weight[len(prompt) - 1 : -1] = 1
        else:
            weight[-1], said[-1] = 1, answer[0]
        return Piece(tokens, weight, said)
