"""A bank over a stream, read at a random address: variational addressing as the read of a sequence memory.

Every unit leaves a key and a value in a ring of slots. Where something is asked, the prior p(a | s) comes from the
query that the state s makes, the posterior q(a | s, y) sees the answer too, and the answer is given by one slot:
p(y | s) = sum_a p(a | s) p(y | s, v_a). Training bounds it as Bornschein et al. 2017 (arXiv 1709.07116) bound a
picture's likelihood; a test has the prior alone and sums over all slots. This use of it is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ..core.catalog import create_memory
from ..core.memory import Memory
from ..core.record import record
from ..core.task import Episode, Task
from ..layers.short_convolution import ShortConvolution
from ..ops.addressing import ESTIMATORS, address_divergence, read_bank, similarity

DETERMINISTIC = ("soft", "top-k", "none")
"""Reads without a random address: a blend of all slots, of the best few, of nothing."""


class Asked(NamedTuple):
    """A stream with the places where it is asked, and the answers where they may be seen."""

    tokens: Int[Tensor, "B T"]
    asked: Bool[Tensor, "B T"]
    answer: Int[Tensor, "B T"]
    """-1 where it is hidden: then nothing is learned there."""


class BankState(NamedTuple):
    """What convolution and body hold, and the latest slots, the newest last."""

    tail: Float[Tensor, "B tail D"]
    body: Any
    key: Float[Tensor, "B N E"]
    value: Float[Tensor, "B N D"]
    held: Int[Tensor, " B"]
    """Slots that are filled."""


class _Question(NamedTuple):
    """A place where something is asked, a row each."""

    h: Float[Tensor, "R D"]
    value: Float[Tensor, "R N D"]
    log_prior: Float[Tensor, "R N"]
    key: Float[Tensor, "R N E"]
    empty: Bool[Tensor, "R N"]


class BankReader(Memory[BankState]):
    """Token ids in, log-probabilities of the answers out; uniform where nothing is asked.

    Records ``loss/bound`` where answers are shown, and in nats ``answer/bound`` (of log p(y | s)),
    ``address/posterior_divergence`` (KL(q || p), what the answer adds to the query) and ``address/prior_entropy``; all
    are 0 where nothing is asked.

    Args:
        vocabulary: number of token ids.
        dim: width of the body and of values.
        slots: N; the oldest is overwritten.
        match: E, width of keys and queries.
        body: name of the memory that makes states, keys and values, added to what it reads.
        convolution: width of the causal convolution under it, which lets a slot's key come from the units before its
            value; None = without.
        read: an estimator of :func:`mnesis.ops.addressing.read_bank`, or "soft", "top-k" or "none".
        samples: K of the bound.
        best: slots of a top-k read.
        options: of the body.

    Raises:
        ValueError: an unknown read, or no slots.
    """

    starts_inside = True

    def __init__(
        self,
        vocabulary: int,
        *,
        dim: int = 64,
        slots: int = 128,
        match: int = 32,
        body: str = "gru",
        convolution: int | None = 4,
        read: str = "vimco",
        samples: int = 4,
        best: int = 4,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if read not in (*ESTIMATORS, *DETERMINISTIC):
            raise ValueError(f"no read is called {read!r}; choose one of {', '.join((*ESTIMATORS, *DETERMINISTIC))}")
        self.vocabulary, self.slots, self.match, self.read = vocabulary, slots, match, read
        self.samples, self.best, self.width = samples, min(best, slots), dim
        self.embedding = nn.Embedding(vocabulary, dim)
        self.convolution = ShortConvolution(dim, convolution) if convolution else None
        self.body = create_memory(body, dim=dim, **(options or {}))
        self.key, self.value = nn.Linear(dim, match, bias=False), nn.Linear(dim, dim, bias=False)
        self.query = nn.Linear(dim, match, bias=False)
        self.posterior_query = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU(), nn.Linear(dim, match))
        self.head = nn.Sequential(nn.Linear(2 * dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, vocabulary))

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> BankState:
        empty = self._empty(batch, device, dtype)
        return empty._replace(body=self.body.initial_state(batch, device=device, dtype=dtype))

    def _empty(self, batch: int, device: torch.device, dtype: torch.dtype) -> BankState:
        """Nothing read; the body starts by itself."""
        lags = 0 if self.convolution is None else self.convolution.width - 1
        return BankState(
            torch.zeros(batch, lags, self.width, device=device, dtype=dtype),
            None,
            torch.zeros(batch, self.slots, self.match, device=device, dtype=dtype),
            torch.zeros(batch, self.slots, self.width, device=device, dtype=dtype),
            torch.zeros(batch, dtype=torch.long, device=device),
        )

    def scan(self, x: Asked, state: BankState | None, phase: int = 0) -> tuple[Float[Tensor, "B T V"], BankState]:
        if state is None:
            state = self._empty(len(x.tokens), x.tokens.device, self.compute_dtype(x))
        given, tail = self.embedding(x.tokens), state.tail
        if self.convolution is not None:
            given, tail = self.convolution(given, tail)
        h, body = self.body(given, state.body, phase=phase)
        h = given + h
        key, value = torch.cat([state.key, self.key(h)], 1), torch.cat([state.value, self.value(h)], 1)
        batch, time = x.tokens.shape
        row, place = x.asked.nonzero(as_tuple=True)
        y = h.new_full((batch, time, self.vocabulary), 1.0).log_softmax(-1)
        if len(row):
            asked = self._question(h, key, value, state.held, row, place)
            self._learn(asked, x.answer[row, place], row, place, (batch, time))
            y = y.index_put((row, place), self._answer(asked))
        held = (state.held + time).clamp_max(self.slots)
        return y, BankState(tail, body, key[:, -self.slots :], value[:, -self.slots :], held)

    def _question(self, h: Tensor, key: Tensor, value: Tensor, held: Tensor, row: Tensor, place: Tensor) -> _Question:
        """The slots before each question, the newest last, and the prior over them."""
        slot = place[:, None] + torch.arange(self.slots, device=h.device)  # slot N - 1 is the unit before
        empty = slot < (self.slots - held[row])[:, None]
        own, state = key[row[:, None], slot], h[row, place]
        return _Question(state, value[row[:, None], slot], self._log_address(self.query(state), own, empty), own, empty)

    def _log_address(self, query: Tensor, key: Tensor, empty: Tensor) -> Float[Tensor, "R N"]:
        scores = similarity(query, key).masked_fill(empty, -1e9)  # finite: a bank may be empty as a whole
        return scores.log_softmax(-1)

    def _says(self, h: Float[Tensor, "*R D"], content: Float[Tensor, "*R D"]) -> Float[Tensor, "*R V"]:
        """log p(y | s, content)."""
        return self.head(torch.cat([h, content], -1)).log_softmax(-1)

    def _answer(self, asked: _Question) -> Float[Tensor, "R V"]:
        """log p(y | s), the prior alone."""
        if self.read in DETERMINISTIC:
            return self._says(asked.h, self._blend(asked))
        every = self._says(asked.h[:, None].expand_as(asked.value), asked.value)
        return (asked.log_prior[..., None] + every).logsumexp(1)

    def _blend(self, asked: _Question) -> Float[Tensor, "R D"]:
        if self.read == "none":
            return torch.zeros_like(asked.h)
        weight = asked.log_prior
        if self.read == "top-k":
            floor = weight.topk(self.best, -1).values[:, -1:]
            weight = weight.masked_fill(weight < floor, -torch.inf).log_softmax(-1)
        return torch.einsum("rn,rnd->rd", weight.exp(), asked.value)

    def _learn(self, asked: _Question, answer: Tensor, row: Tensor, place: Tensor, shape: tuple[int, int]) -> None:
        """Record the bound of every question whose answer is shown, and what its address says."""
        shown = answer >= 0
        given, target = _Question(*(part[shown] for part in asked)), answer[shown]
        seen = torch.cat([given.h, self.embedding(target)], -1)
        log_posterior = self._log_address(self.posterior_query(seen), given.key, given.empty)
        if self.read in DETERMINISTIC:
            said = self._says(given.h, self._blend(given))
            objective = -F.nll_loss(said, target, reduction="none")
            value = objective.detach()
        else:
            read = read_bank(log_posterior, estimator=self.read, samples=self.samples)
            content = read.take(given.value, own=True)
            said = self._says(given.h[:, None].expand_as(content), content)
            likelihood = said.gather(2, target[:, None, None].expand(-1, content.shape[1], 1)).squeeze(2)
            bound = read.bound(read.log_ratio(given.log_prior) + likelihood)
            objective, value = bound.objective, bound.value
        divergence = address_divergence(log_posterior, given.log_prior).detach()
        entropy = -(given.log_prior.exp() * given.log_prior).sum(1).detach()
        told = {
            "loss/bound": -objective,
            "answer/bound": value,
            "address/posterior_divergence": divergence,
            "address/prior_entropy": entropy,
        }
        for name, values in told.items():
            whole = values.new_zeros(shape)
            record(name, whole.index_put((row[shown], place[shown]), values))


class Shown(Task):
    """Another task's episodes for a :class:`BankReader`: answers stand beside the tokens, and the loss is the reader's.

    Args:
        task: token ids in, token ids asked.
    """

    def __init__(self, task: Task) -> None:
        self.task, self.vocabulary, self.chance = task, task.vocabulary, task.chance

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        episode = self.task.episodes(batch, length, generator)
        asked = episode.weight > 0
        answer = torch.where(asked, episode.targets, -torch.ones_like(episode.targets))
        return episode._replace(
            inputs=Asked(episode.inputs, asked, answer),
            targets=torch.zeros_like(episode.targets),
            weight=torch.zeros_like(episode.weight),
        )
