"""The instrument on what is known: networks with weights set by hand, and trained ones where theory says who wins."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mnesis.compare.cell import run_cell
from mnesis.compare.setting import Budget, Setting
from mnesis.core.memory import Memory
from mnesis.core.task import Episode, Task
from mnesis.learn import Recipe, Stage, fit
from mnesis.measure.metering.meter import Score, capacity, examine
from mnesis.nets import LanguageModel
from mnesis.ops.delta_rule import delta_rule_step
from mnesis.ops.gated_linear_attention import gated_linear_attention_step
from mnesis.tasks.recall.multi_query_recall import MultiQueryRecall
from mnesis.tasks.signals.piecewise_stationary import PiecewiseStationary, ptw_log_loss

SYMBOLS, WIDTH = 512, 32


class ByHand(Memory[Any]):
    """Binds every value to the token before it and asks for every token; all tokens are random unit vectors."""

    def __init__(self, symbols: int, first_value: int, sure: float = 30.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        vectors = F.normalize(torch.randn(symbols, WIDTH, generator=generator), dim=1)
        self.vectors = nn.Parameter(vectors, requires_grad=False)
        self.first_value, self.sure = first_value, sure

    def values(self, read: Tensor) -> Tensor:
        logits = self.sure * read @ self.vectors.T
        return logits.index_fill(-1, torch.arange(self.first_value), -99.0)


class Matrix(ByHand):
    """A matrix of WIDTH x WIDTH numbers that outer products are added to."""

    def write(self, key: Tensor, value: Tensor, strength: Tensor, matrix: Tensor) -> Tensor:
        return gated_linear_attention_step(key, key, strength[..., None] * value, None, matrix)[1]

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        return torch.zeros(batch, 1, WIDTH, WIDTH), torch.zeros(batch, 1, WIDTH)

    def scan(self, x, state, phase=0):
        (matrix, before), read = state, []
        for token in x.unbind(1):
            now = self.vectors[token][:, None]
            matrix = self.write(before, now, (token >= self.first_value).float()[:, None], matrix)
            read.append((now[..., None, :] @ matrix)[:, 0, 0])
            before = now
        return self.values(torch.stack(read, 1)), (matrix, before.clone())


class Corrected(Matrix):
    """The same matrix under the delta rule."""

    def write(self, key: Tensor, value: Tensor, strength: Tensor, matrix: Tensor) -> Tensor:
        return delta_rule_step(key, key, value, strength, None, matrix)[1]


class Attention(ByHand):
    """Softmax attention over all tokens, each under the key of the one before it."""

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
        return torch.zeros(batch, 0, dtype=torch.long)

    def scan(self, x, state, phase=0):
        seen = torch.cat([state, x], 1)
        held = self.vectors[seen]
        scores = 100 * held[:, -x.shape[1] :] @ held[:, :-1].mT
        later = torch.arange(1, seen.shape[1]) > torch.arange(seen.shape[1])[-x.shape[1] :, None]
        scores = scores.masked_fill(later | (seen[:, 1:] < self.first_value)[:, None], -1e4)
        return self.values(scores.softmax(-1) @ held[:, 1:]), seen


def recall(network: type[ByHand], pairs: int) -> Score:
    task = MultiQueryRecall(vocabulary=SYMBOLS, random_fillers=False)
    return examine(network(SYMBOLS, SYMBOLS // 2), task, pairs, sequences=24)


PAIRS = (2, 4, 8, 16, 32, 64, 128)


def test_attention_recalls_any_number_of_pairs_and_matrices_do_not() -> None:
    attention = [recall(Attention, pairs) for pairs in PAIRS]
    assert min(score.accuracy for score in attention) == 1.0
    assert attention[-1].held == pytest.approx(128 * 8, rel=0.01), "a value is one of 256"
    assert attention[-1].state_bytes == 8 * 512, "all that was read"
    for network in (Matrix, Corrected):
        scores = [recall(network, pairs) for pairs in PAIRS]
        assert scores[0].accuracy > 0.95
        assert scores[-1].accuracy < 0.5
        assert all(a.accuracy >= b.accuracy for a, b in pairwise(scores))
        found = capacity(scores)
        assert WIDTH < (found.half.at or 0) < 4 * WIDTH, "as many pairs as a key has numbers, and some"
        assert found.held < WIDTH * WIDTH * 32, "no more bits than the matrix has"


class Rebound(Task):
    """Few keys are bound again and again, then one is asked for: Schlag et al. 2021 (arXiv 2102.11174, section 6.1)."""

    keys, vocabulary, chance = 8, SYMBOLS, 2 / SYMBOLS

    def episodes(self, batch: int, length: int, generator: torch.Generator) -> Episode:
        keys = torch.cat([torch.arange(8).expand(batch, 8), torch.randint(8, (batch, length), generator=generator)], 1)
        values = torch.randint(SYMBOLS // 2, SYMBOLS, keys.shape, generator=generator)
        x = torch.stack([keys, values], -1).flatten(1)
        x = torch.cat([x, torch.randint(8, (batch, 1), generator=generator)], 1)
        last = torch.where(keys == x[:, -1:], torch.arange(keys.shape[1]), -1).argmax(1, keepdim=True)
        targets, weight = torch.zeros_like(x), torch.zeros(x.shape)
        targets[:, -1:], weight[:, -1] = values.gather(1, last), 1
        return Episode(x, targets, weight)


def test_the_delta_rule_holds_what_adding_confuses() -> None:
    """In as many bytes, where keys are bound anew; where each comes once adding is no worse."""
    assert recall(Matrix, 8).state_bytes == recall(Corrected, 8).state_bytes == 4 * (WIDTH + 1) * WIDTH
    writes = (0, 8, 56)
    added, corrected = (
        [examine(network(SYMBOLS, SYMBOLS // 2), Rebound(), count, sequences=80) for count in writes]
        for network in (Matrix, Corrected)
    )
    assert added[0].accuracy == corrected[0].accuracy == 1.0
    assert [score.accuracy > 0.97 for score in corrected] == [True] * 3
    assert added[1].accuracy < 0.7
    assert added[-1].accuracy < 0.2
    assert added[-1].bits < corrected[-1].bits - 4


def trained(memory: str, tmp_path: Path) -> dict[int, float]:
    """Accuracy by length of a parity that training saw up to 16 symbols long."""
    setting = Setting(
        task="state-tracking",
        length=(2, 16),
        tests=(16, 64),
        budget=Budget("tokens", 600_000),
        task_options={"group": "cyclic", "order": 2},
        dim=32,
        depth=1,
        convolution=None,
        rates=(3e-3,),
        seeds=1,
    )
    (training,) = run_cell(setting, memory, {}, tmp_path / memory)["trainings"]
    return {score["length"]: score["accuracy"] for score in training["scores"]}


@pytest.mark.slow
def test_a_nonlinear_cell_tracks_parity_and_a_decaying_one_cannot(tmp_path) -> None:
    """Real and positive eigenvalues below 1 hold no parity (Grazzi et al. 2024, arXiv 2411.12537)."""
    assert trained("gru", tmp_path)[64] > 0.98
    for memory in ("min-gru", "gla"):
        found = trained(memory, tmp_path)
        assert found[64] < 0.75, memory
        assert found[64] < found[16]


def log_loss(logits: Tensor, bits: Tensor) -> Tensor:
    """Mean bits a symbol of every row."""
    return F.cross_entropy(logits.mT, bits, reduction="none").mean(1) / math.log(2)


def kt(bits: Tensor, window: int) -> Tensor:
    """The KT estimator over the last ``window`` bits, as logits."""
    ones = F.pad(bits.double().cumsum(1), (1, 0))[:, :-1]
    count = torch.arange(bits.shape[1]).double()
    before = F.pad(ones, (window, 0))[:, : bits.shape[1]]
    ones, count = ones - before, count.clamp(max=window)
    return torch.stack([(count - ones + 0.5) / (count + 1), (ones + 0.5) / (count + 1)], -1).log()


def excess(logits: Callable[[Tensor], Tensor], bits: Tensor) -> tuple[float, float]:
    """Mean log-loss beyond PTW's, and its standard error."""
    beyond = torch.cat([log_loss(logits(rows).double(), rows) - ptw_log_loss(rows) for rows in bits.split(1000)])
    return float(beyond.mean()), float(beyond.std()) / len(beyond) ** 0.5


def drawn_bits(count: int, seed: int = 5) -> Tensor:
    return PiecewiseStationary().episodes(count, 64, torch.Generator().manual_seed(seed)).targets


@pytest.mark.parametrize("window", [2, 8, 32, 64])
def test_no_estimator_is_below_ptw(window) -> None:
    mean, error = excess(lambda bits: kt(bits, window), drawn_bits(10_000))
    assert mean > 3 * error


@pytest.mark.slow
def test_no_network_is_below_ptw(tmp_path) -> None:
    """A trained one comes near, and not below; that it knows the future would be seen."""
    torch.manual_seed(0)
    network = LanguageModel(3, dim=64, memory="gru", depth=1)
    fit(network, PiecewiseStationary(), Recipe((Stage(64, 64, 1500),), learning_rate=3e-3), tmp_path, progress=False)
    network.eval()

    def said(bits: Tensor) -> Tensor:
        start = torch.full_like(bits[:, :1], 2)
        with torch.no_grad():
            return network(torch.cat([start, bits[:, :-1]], 1))[0]

    bits = drawn_bits(10_000)
    mean, error = excess(said, bits)
    assert -3 * error < mean < 0.05
    assert mean < excess(lambda rows: kt(rows, 64), bits)[0] / 2, "it has learned that coins change"
    cheating, error = excess(lambda rows: F.one_hot(rows, 2) * 5.0, bits)
    assert cheating < -3 * error
