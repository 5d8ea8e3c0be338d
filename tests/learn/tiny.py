"""A tiny token model, tiny tasks, and trainings of them that finish in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mnesis.core.catalog import create_memory
from mnesis.core.memory import Memory
from mnesis.core.record import record
from mnesis.core.task import Episode, Task
from mnesis.learn import Recipe, Stage

VOCABULARY = 6


class Embedded(Memory[Any]):
    """Token ids into a memory."""

    def __init__(self, name: str, dim: int, options: dict[str, Any]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, dim)
        self.memory = create_memory(name, dim=dim, **options)
        self.period = self.memory.period
        self.dropout = nn.Dropout(0.1)

    def initial_state(self, batch, *, device, dtype):
        return self.memory.initial_state(batch, device=device, dtype=dtype)

    def phase_of(self, state):
        return self.memory.phase_of(state)

    def scan(self, x, state, phase=0):
        return self.memory.scan(self.dropout(self.embedding(x)), state, phase)


class TokenModel(Memory[Any]):
    """Embedding, memory, linear map to the vocabulary."""

    def __init__(self, name: str = "gru", dim: int = 16, outputs: int = VOCABULARY, **options: Any) -> None:
        super().__init__()
        self.body = Embedded(name, dim, options)
        self.head = nn.Linear(dim, outputs)
        self.period = self.body.period

    def parts(self):
        return self.body, self.head

    def initial_state(self, batch, *, device, dtype):
        return self.body.initial_state(batch, device=device, dtype=dtype)

    def phase_of(self, state):
        return self.body.phase_of(state)

    def scan(self, x, state, phase=0):
        y, state = self.body.scan(x, state, phase)
        return self.head(y), state


class Penalised(TokenModel):
    """Records a loss of its own: the mean square of its outputs."""

    def parts(self):
        body = self.body

        class Body(Memory[Any]):
            initial_state = staticmethod(body.initial_state)

            def scan(self, x, state, phase=0):
                y, state = body.scan(x, state, phase)
                record("loss/size", y.square().mean())
                return y, state

        return Body(), self.head


class Echo(Task):
    """Say the token before this one: inputs 3 1 4, targets . 3 1."""

    vocabulary = VOCABULARY
    chance = 1 / VOCABULARY

    def episodes(self, batch, length, generator):
        inputs = torch.randint(VOCABULARY, (batch, length), generator=generator)
        weight = torch.ones(batch, length)
        weight[:, 0] = 0
        return Episode(inputs, inputs.roll(1, 1), weight)


class Uneven(Echo):
    """Echo with resets, ragged rows, fractional weights, and far more questions in the first rows than in the last."""

    def episodes(self, batch, length, generator):
        episode = super().episodes(batch, length, generator)
        keep = torch.rand(batch, length, generator=generator) < torch.linspace(0.9, 0.05, batch)[:, None]
        weight = episode.weight * keep * (0.5 + torch.rand(batch, length, generator=generator))
        reset = torch.rand(batch, length, generator=generator) < 0.1
        rows = torch.randint(length // 3, length + 1, (batch,), generator=generator)
        return episode._replace(weight=weight, reset=reset, length=rows)


class Sparse(Echo):
    """Asks at the end alone."""

    def episodes(self, batch, length, generator):
        episode = super().episodes(batch, length, generator)
        weight = torch.zeros(batch, length)
        weight[:, -2:] = 1
        return episode._replace(weight=weight)


class Numbers(Echo):
    """Targets are numbers: half the token, and its square."""

    def episodes(self, batch, length, generator):
        episode = super().episodes(batch, length, generator)
        token = episode.targets.float()
        return episode._replace(targets=torch.stack([token / 2, token.square() / 10], -1))


class Silent(Echo):
    """Asks nothing."""

    def episodes(self, batch, length, generator):
        episode = super().episodes(batch, length, generator)
        return episode._replace(weight=torch.zeros_like(episode.weight))


def model(name: str = "gru", seed: int = 0, **options: Any) -> TokenModel:
    torch.manual_seed(seed)
    return TokenModel(name, **options)


def recipe(*stages: Stage, **numbers: Any) -> Recipe:
    settings = {"learning_rate": 1e-2, "warm_up": 3, "save_every": 4, "log_every": 1, "seed": 3} | numbers
    return Recipe(stages or (Stage(length=12, batch=4, steps=20),), **settings)


EPISODES = recipe(Stage(length=(6, 14), batch=4, steps=25, truncation=5), Stage(length=9, batch=5, steps=20))
ENDLESS = recipe(
    Stage(length=(9, 20), batch=4, steps=30, truncation=4, start="carried", update="window"),
    Stage(length=15, batch=3, steps=15, truncation=6, update="window"),
)


def weights(memory: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in memory.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def lines(folder: Path) -> int:
    """Lines of metrics so far."""
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0
