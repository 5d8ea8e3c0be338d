"""What the oracles of bAbI find: an answer and the sentences that prove it, read off the text alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..kinds import QuestionKind

Proof = tuple[str, tuple[int, ...]]
"""An answer, and the indices of the sentences that prove it."""
Prover = Callable[[list[str], dict[str, str]], Proof | None]
"""What proves an answer from sentences and the words of a question; None where they do not settle it."""


def proved(task: int, sentences: Sequence[str], question: str, provers: Mapping[QuestionKind, Prover]) -> Proof:
    """The proof by the first kind that the question is of.

    Raises:
        ValueError: a question of another shape, or one that the sentences do not settle.
    """
    for kind, prove in provers.items():
        if asked := kind.parse(question.strip()):
            proof = prove([sentence.strip() for sentence in sentences], asked)
            if proof is None:
                raise ValueError(
                    f"{len(sentences)} sentences do not tell the answer to {question!r}; ask about what is told"
                )
            return proof
    shapes = " or ".join(repr(kind.template) for kind in provers)
    raise ValueError(f"question {question!r} is of another shape than those of qa{task}; ask {shapes}")
