"""A generative model as a memory without a state, so that whatever trains memories trains it.

A unit of its input is a whole lesson: pictures, and the bank that may be read for them. What it records as a loss is
the negative bound, so ``mnesis.learn.fit`` trains it with exact resumption, over several processes lesson by lesson::

    fit(Generation(model), FewShotLessons(images), Recipe((Stage(length=4, batch=1, steps=1000),)), "runs/few-shot")
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.memory import Memory
from ..core.record import record
from .bank import LearnedBank
from .model import GenerativeModel, Objective


@runtime_checkable
class Lesson(Protocol):
    """Targets ``[B T n H W]`` and banks ``[B T N ...]`` (N = 0: none), any numbers from 0 to 1."""

    targets: Tensor
    bank: Tensor


class Taught(NamedTuple):
    """Lessons so far; nothing of them is kept."""

    lessons: Int[Tensor, " B"]


class Generation(Memory[Taught]):
    """Records ``loss/bound``, the mean negative objective of each lesson, and puts out its bound in nats.

    Args:
        model: what is trained.
        bank: trained with it, and read where a lesson brings none.
        samples: K of the bound.
        allow_targets: say nothing of targets that stand in their bank.
    """

    def __init__(
        self,
        model: GenerativeModel,
        *,
        bank: LearnedBank | None = None,
        samples: int = 4,
        allow_targets: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.bank, self.samples, self.allow_targets = model, bank, samples, allow_targets

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Taught:
        return Taught(torch.zeros(batch, dtype=torch.long, device=device))

    def scan(self, x: Lesson, state: Taught, phase: int = 0) -> tuple[Float[Tensor, "B T"], Taught]:
        batch, time = x.targets.shape[:2]
        taught = [
            self._teach(targets, bank)
            for targets, bank in zip(x.targets.flatten(0, 1), x.bank.flatten(0, 1), strict=True)
        ]
        record("loss/bound", -torch.stack([part.objective.mean() for part in taught]).unflatten(0, (batch, time)))
        bound = torch.stack([part.bound.mean() for part in taught]).unflatten(0, (batch, time))
        return bound, Taught(state.lessons + time)

    def _teach(self, targets: Tensor, bank: Tensor) -> Objective:
        if len(bank) or self.bank is None:
            given, allowed = bank if len(bank) else None, self.allow_targets
        else:  # nobody puts targets into a bank that is learned: they need not be looked for
            given, allowed = self.bank(), True
        return self.model.objective(targets, given, samples=self.samples, allow_targets=allowed)
