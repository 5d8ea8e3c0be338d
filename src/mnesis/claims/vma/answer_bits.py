"""What readers of a stream's bank are asked: how many bits of an answer they find."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import Any, cast

import torch

from ...core.memory import Memory
from ...core.record import recording
from ...core.task import Task
from ...generative.sequence import BankReader, Shown
from ...tasks.recall.associative_retrieval import AssociativeRetrieval
from ..exams import TEST_SEED
from ..trials import Exam


@dataclass(frozen=True)
class AnswerBitsExam(Exam):
    """How many bits of the answer a reader finds, with the prior over addresses alone; ``at`` counts pairs.

    Args:
        rows: questions.
        batch: sequences read side by side.
    """

    rows: int = 1000
    batch: int = 25

    @torch.no_grad()
    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        inner = cast(AssociativeRetrieval, cast(Shown, task).task)
        reader = copy(cast(BankReader, network).eval())
        reader.slots = self.at * inner.segment_length + inner.key_length  # every unit before the question
        generator, found = torch.Generator().manual_seed(TEST_SEED), []
        for start in range(0, self.rows, self.batch):
            episode = task.episodes(min(self.batch, self.rows - start), self.at, generator)
            asked = cast(Any, episode.inputs)
            value = (asked.answer >= 0) & (asked.answer != inner.END)
            with torch.random.fork_rng([]), recording() as observed:
                torch.manual_seed(start)
                said = reader(asked)[0][value]
            told = [observed[f"address/{name}"][0][value] for name in ("posterior_divergence", "prior_entropy")]
            answer = asked.answer[value]
            found.append(torch.stack([said.gather(1, answer[:, None])[:, 0], said.argmax(1) == answer, *told]))
        log_prob, right, divergence, entropy = torch.cat(found, 1)
        bits = inner.value_length * math.log2(inner.symbols) + log_prob / math.log(2)
        return {
            "bits": float(bits.mean()),
            "bits_standard_error": float(bits.std() / math.sqrt(len(bits))),
            "accuracy": float(right.mean()),
            "slots": reader.slots,
            "posterior_divergence": float(divergence.mean()),
            "settled": float(math.log(reader.slots) - entropy.mean()),
            "answers": len(bits),
        }
