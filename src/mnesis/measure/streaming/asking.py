"""Asking a reader: what it would answer from a state, and how probable it finds the right answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.memory import Memory
from ...core.task import Question

FLOOR = -20.0
"""Least log2 probability of a whole answer."""
BEYOND = 4
"""Tokens that may be generated beyond the length of the right answer."""


class Reply(NamedTuple):
    """What the reader makes of one question."""

    output: list[int]
    """Greedy generation, up to and with the end token, at most the right answer's length and four tokens more."""
    log2_probability: float
    """Of the right answer and its end token, teacher-forced over the full vocabulary, at least -20."""


def bits(log2_probability: float, question: Question, vocabulary: int) -> float:
    """log2 p - log2 pi: what the reader knows of the answer beyond the question itself.

    pi is 1 / (number of choices); a question without choices is taken as uniform over all token strings of the
    answer's length (its end token is sure). At least -20 - log2 pi, 0 for an even guess among the choices.
    """
    if question.choices:
        return log2_probability + math.log2(len(question.choices))
    return log2_probability + (len(question.answer) - 1) * math.log2(vocabulary)


def ask(memory: Memory, state: Any, questions: Sequence[Question], device: torch.device) -> list[Reply]:
    """Put one question to each row of a state; the state itself is not changed.

    Args:
        memory: a network: token ids [B T] in, logits [B T V] out.
        state: one row a question; None = a reader that has read nothing.
        questions: prompts and answers of any lengths.
        device: where the tokens go.

    Raises:
        ValueError: an empty prompt or answer, or a token that the network has no logit for.
    """
    for question in questions:
        if not len(question.prompt) or not len(question.answer):
            raise ValueError(
                f"question {question.text!r} has {len(question.prompt)} prompt tokens and {len(question.answer)} "
                "answer tokens; give at least one of each, the answer's end token included"
            )
    body, readout = memory.parts()
    prompts, lengths = _padded([question.prompt for question in questions], device)
    y, state = body(prompts, state, length=lengths)
    last = y[torch.arange(len(questions), device=device), lengths - 1]
    first = readout(last[:, None])[:, 0]
    known = first.shape[-1]
    if (largest := max(int(question.answer.max()) for question in questions)) >= known:
        raise ValueError(f"an answer holds token {largest} but the network has {known} logits; build it with more")
    scores = _log2_probabilities(body, readout, state, first, questions, device)
    outputs = _generate(body, readout, state, first, questions)
    # The comparison also floors NaN: a reader whose numbers broke down knows nothing.
    return [Reply(output, score if score > FLOOR else FLOOR) for output, score in zip(outputs, scores, strict=True)]


def _padded(rows: Sequence[Tensor], device: torch.device) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
    lengths = torch.tensor([len(row) for row in rows])
    padded = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    for row, tokens in enumerate(rows):
        padded[row, : len(tokens)] = tokens
    return padded.to(device), lengths.to(device)


def _log2_probabilities(
    body: Memory,
    readout: Any,
    state: Any,
    first: Float[Tensor, "B V"],
    questions: Sequence[Question],
    device: torch.device,
) -> list[float]:
    answers, lengths = _padded([question.answer for question in questions], device)
    chosen = [_log2(first, answers[:, 0])]
    if answers.shape[1] > 1:
        y, _ = body(answers[:, :-1], state, length=lengths - 1)
        for t in range(answers.shape[1] - 1):  # one token at a time: [B T V] of a long answer is large
            chosen.append(_log2(readout(y[:, t : t + 1])[:, 0], answers[:, t + 1]))
    real = torch.arange(answers.shape[1], device=device) < lengths[:, None]
    return torch.stack(chosen, 1).where(real, 0.0).sum(1).tolist()


def _log2(logits: Float[Tensor, "B V"], token: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
    return logits.float().log_softmax(-1).gather(1, token[:, None])[:, 0] / math.log(2)


def _generate(
    body: Memory, readout: Any, state: Any, first: Float[Tensor, "B V"], questions: Sequence[Question]
) -> list[list[int]]:
    ends = [int(question.answer[-1]) for question in questions]
    limits = [len(question.answer) + BEYOND for question in questions]
    outputs: list[list[int]] = [[] for _ in questions]
    token = first.argmax(-1)
    while True:
        for output, end, limit, new in zip(outputs, ends, limits, token.tolist(), strict=True):
            if len(output) < limit and end not in output:
                output.append(new)
        if all(end in output or len(output) == limit for output, end, limit in zip(outputs, ends, limits, strict=True)):
            return outputs
        y, state = body(token, state, step=True)
        token = readout(y[:, None])[:, 0].argmax(-1)
