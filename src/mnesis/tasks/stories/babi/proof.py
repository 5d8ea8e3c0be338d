"""What the oracles of bAbI find: an answer and the sentences that prove it, read off the text alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

Proof = tuple[str, tuple[int, ...]]
"""An answer, and the indices of the sentences that prove it."""
Prover = Callable[[list[str], re.Match[str]], Proof | None]
"""What proves an answer from sentences and a question of its shape; None where they do not settle it."""


def proved(
    task: int,
    sentences: Sequence[str],
    question: str,
    shapes: Mapping[re.Pattern[str], Prover],
    ask: str = "as its files do",
) -> Proof:
    """The proof by the first shape that the question has; ``ask`` says how to ask where it has none.

    Raises:
        ValueError: a question of another shape, or one that the sentences do not settle.
    """
    for shape, prove in shapes.items():
        if asked := shape.fullmatch(question.strip()):
            proof = prove([sentence.strip() for sentence in sentences], asked)
            if proof is None:
                raise ValueError(
                    f"{len(sentences)} sentences do not tell the answer to {question!r}; ask about what is told"
                )
            return proof
    raise ValueError(f"question {question!r} is of another shape than those of qa{task}; ask {ask}")
