"""A task whose answer is the stream's first token, networks whose answers are known, and a run's folder."""

import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from mnesis.core.catalog import create_memory
from mnesis.core.memory import Memory
from mnesis.core.task import Episode, Question, Stream, Task
from mnesis.measure import evaluate

VALUES, NOISE, CUE, WHICH, END = 4, 4, 5, 6, 7


class First(Task):
    """``v n n n ... | cue`` -> ``v end``; v is one of four values. With ``questions=2`` a longer prompt asks again.

    Lengths are tokens; ``extra`` adds (seed modulo extra) of them, so that streams of one length differ.
    """

    vocabulary = 8
    chance = 1 / VALUES

    def __init__(self, questions: int = 1, extra: int = 0) -> None:
        self.questions, self.extra = questions, extra
        self._drawn: list[tuple[int, int]] = []
        self._alive, self._most_alive, self._largest = weakref.WeakSet(), 0, 0

    @property
    def drawn(self) -> list[tuple[int, int]]:
        """(length, seed) of every stream asked for."""
        return self._drawn

    @property
    def most_alive(self) -> int:
        """The largest number of chunks that existed at a time."""
        return self._most_alive

    @property
    def largest(self) -> int:
        """Units of the longest chunk."""
        return self._largest

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        raise NotImplementedError("not drawn in these tests")

    def stream(self, length: int, seed: int) -> Stream:
        self._drawn.append((length, seed))
        value = seed % VALUES
        total = length + (seed % self.extra if self.extra else 0)

        def chunks(size: int) -> Iterator[Tensor]:
            for start in range(0, total, size):
                tokens = torch.full((min(size, total - start),), NOISE)
                if start == 0:
                    tokens[0] = value
                self._alive.add(tokens)
                self._most_alive = max(self._most_alive, len(self._alive))
                self._largest = max(self._largest, len(tokens))
                yield tokens

        prompts = [torch.tensor([CUE]), torch.tensor([NOISE, WHICH, CUE])][: self.questions]
        answer = torch.tensor([value, END])
        names = tuple(str(v) for v in range(VALUES))
        depth = 0.0 if self.questions == 1 else float("nan")
        return Stream(total, chunks, tuple(Question(p, answer, "first?", str(value), names, depth) for p in prompts))


class Model(Memory):
    """A GRU of the catalog between an embedding and a head."""

    def __init__(self, vocabulary: int = 8, dim: int = 8) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(vocabulary, dim), nn.Linear(dim, vocabulary)
        self.body = create_memory("gru", dim=dim)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype):
        return self.body.initial_state(batch, device=device, dtype=dtype)

    def scan(self, x: Tensor, state, phase: int = 0):
        y, state = self.body.scan(self.embedding(x), state)
        return self.head(y), state


class Held(NamedTuple):
    """The first value read, -1 before any; and the last token."""

    value: Tensor
    last: Tensor


class Perfect(Memory):
    """Remembers the first token if it is a value; after a cue it says it with probability p, then the end.

    After a cue the logits are such that the right value has probability p and the other seven tokens share the rest.
    """

    def __init__(self, probability: float = 0.9) -> None:
        super().__init__()
        self.probability = probability
        self.scale = nn.Parameter(torch.ones(()))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Held:
        none = torch.full((batch,), -1, device=device)
        return Held(none, none.clone())

    def scan(self, x: Tensor, state: Held, phase: int = 0) -> tuple[Tensor, Held]:
        outputs = []
        value, last = state
        for token in x.unbind(1):
            value = torch.where((value < 0) & (token < VALUES), token, value)
            say = torch.where(token == CUE, value.clamp(min=0), END)
            spread = torch.full((len(token), 8), (1 - self.probability) / 7)
            outputs.append(spread.scatter(1, say[:, None], self.probability).log())
            last = token
        return torch.stack(outputs, 1) * self.scale, Held(value.clone(), last.clone())


class Gridded(Perfect):
    """The same with a grid of three units, which refuses cuts that its caller should not make."""

    period = 3

    def __init__(self) -> None:
        super().__init__()
        self.scans: list[tuple[int, int]] = []

    def phase_of(self, state: Held) -> Tensor:
        return torch.zeros_like(state.value)

    def scan(self, x: Tensor, state: Held, phase: int = 0) -> tuple[Tensor, Held]:
        self.scans.append(tuple(x.shape))
        return super().scan(x, state)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model()


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def write_run(folder: Path, *, evaluated: bool = True, lengths=(10, 100, 1000), questions: int = 1, probability=0.9):
    """A run's folder as training and evaluation leave it."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "config": {"command": ["mnesis", "train", "--memory", "<gru>"]},
        "recipe": {"stages": [{"length": 8}, {"length": [8, 16]}, {"length": 32}], "seed": 0},
        "memory": {"memory": "mnesis.nets:LanguageModel", "arguments": "{}"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    line = {"learning_rate": 0.01, "units_per_second": 900.0}
    lines = [
        line
        | {"update": n, "stage": n // 10, "length": 8 * 2 ** (n // 10), "units": 64 * (n + 1), "seconds": n + 1.0}
        | {"loss": 1 / (n + 1), "accuracy": n / 30}
        for n in range(30)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if evaluated:
        about = {"command": "mnesis evaluate runs/first --lengths 10,100,1k"}
        evaluate(
            Perfect(probability),
            First(questions),
            lengths=lengths,
            streams=12,
            store=folder,
            about=about,
            progress=False,
        )
    return folder
