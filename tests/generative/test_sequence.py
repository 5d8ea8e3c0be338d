"""A bank over a stream: any cut reads the same, what is asked is learned, and the reads are what they are called."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch

from mnesis.core.record import recording
from mnesis.core.state import leaves
from mnesis.generative.sequence import DETERMINISTIC, Asked, BankReader, Shown
from mnesis.learn import Recipe, Stage, fit
from mnesis.ops.addressing import ESTIMATORS
from mnesis.tasks.recall.associative_retrieval import AssociativeRetrieval

READS = (*ESTIMATORS, *DETERMINISTIC)


def reader(read: str = "exact", **options) -> BankReader:
    torch.manual_seed(0)
    return BankReader(11, **{"dim": 8, "slots": 6, "match": 4, "read": read, **options}).double()


def stream(time: int, rows: int = 3, seed: int = 0) -> Asked:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(11, (rows, time), generator=generator)
    asked = torch.rand(rows, time, generator=generator) < 0.4
    answer = torch.randint(11, (rows, time), generator=generator)
    return Asked(tokens, asked, torch.where(asked & (answer > 2), answer, -1))


def piece(x: Asked, *where: slice) -> Asked:
    return Asked(*(leaf[where] for leaf in x))


@pytest.mark.parametrize("read", ["exact", "soft", "top-k", "none"])
@pytest.mark.parametrize("time", [1, 2, 63, 100])
def test_any_cut_reads_the_same(read, time) -> None:
    model, x = reader(read), stream(time)

    def run(cuts: list[int]):
        model.zero_grad()
        state, parts, lost = None, [], []
        edges = [0, *cuts, time]
        with recording() as observed:
            for begin, end in pairwise(edges):
                y, state = model(piece(x, slice(None), slice(begin, end)), state)
                parts.append(y)
        lost = torch.cat([value.sum()[None] for value in observed.get("loss/bound", [torch.zeros(3, 1).double()])])
        (lost.sum() + torch.cat(parts, 1).square().mean()).backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        return torch.cat(parts, 1), state, gradient

    whole, cut = run([]), run(sorted({cut for cut in (1, 5, 40, 41, 62) if cut < time}))
    assert (whole[0] - cut[0]).abs().max() < 1e-10
    assert (whole[2] - cut[2]).abs().max() < 1e-9
    for theirs, ours in zip(leaves(whole[1]), leaves(cut[1]), strict=True):
        assert (theirs - ours).abs().max() < 1e-10


def test_resets_empty_the_bank() -> None:
    model, x = reader(), stream(20)
    reset = torch.zeros(3, 20, dtype=torch.bool)
    reset[1, 12] = True
    y, _ = model(x, reset=reset)
    alone, _ = model(piece(x, slice(1, 2), slice(12, None)))
    assert (y[1, 12:] - alone[0]).abs().max() < 1e-10


@pytest.mark.parametrize("read", READS)
def test_answers_are_distributions(read) -> None:
    model, x = reader(read), stream(30)
    y, _ = model.eval()(x)
    assert (y.exp().sum(-1) - 1).abs().max() < 1e-10
    assert (y[~x.asked].exp() - 1 / 11).abs().max() < 1e-10
    assert (y[x.asked].exp() - 1 / 11).abs().max() > 1e-3


def test_answers_do_not_see_themselves() -> None:
    model, x = reader("vimco"), stream(30)
    hidden = x._replace(answer=torch.full_like(x.answer, -1))
    assert (model(x)[0] - model(hidden)[0]).abs().max() == 0
    with recording() as observed:
        model(hidden)
    assert all(not value.any() for value in observed["loss/bound"])


def test_a_random_read_bounds_what_the_test_measures() -> None:
    """All addresses give log p(y | s) itself; a few drawn ones stay below it on average, and come nearer in number."""
    x, gaps = stream(30), []
    for read, samples in (("exact", 1), ("vimco", 2), ("vimco", 200)):
        model = reader(read, samples=samples)
        with recording() as observed, torch.no_grad():
            y = model(x)[0]
            for _ in range(40):
                model(x)
        log_prob = y.gather(2, x.answer.clamp_min(0)[..., None]).squeeze(2)
        bound = torch.stack(observed["answer/bound"]).mean(0)
        gaps.append(float((log_prob - bound)[x.answer >= 0].mean()))
    assert abs(gaps[0]) < 1e-12
    assert gaps[1] > 3 * abs(gaps[2])


def test_the_best_of_all_slots_is_all_slots() -> None:
    x = stream(30)
    soft, best, one = (reader(read, best=best)(x)[0] for read, best in (("soft", 1), ("top-k", 6), ("top-k", 1)))
    assert (soft - best).abs().max() < 1e-12
    assert (soft - one).abs().max() > 1e-4


def test_old_slots_are_overwritten() -> None:
    """With a body that sees two units, a question sees the six slots before it and the unit before them."""
    model, x = reader(body="window", convolution=None, options={"heads": 2, "window": 2}), stream(30)
    x = x._replace(asked=torch.ones_like(x.asked))
    whole = model(x)[0][:, -1]
    assert (model(piece(x, slice(None), slice(-8, None)))[0][:, -1] - whole).abs().max() < 1e-12
    assert (model(piece(x, slice(None), slice(-6, None)))[0][:, -1] - whole).abs().max() > 1e-6


@pytest.mark.parametrize("read", ["vimco", "soft"])
def test_it_trains(read, tmp_path) -> None:
    """The end token is learned at once; finding values takes thousands of updates."""
    torch.manual_seed(0)
    task = Shown(AssociativeRetrieval("remember", symbols=8))
    model = BankReader(task.vocabulary, dim=16, slots=8, match=8, read=read)
    recipe = Recipe((Stage(length=2, batch=16, steps=60),), learning_rate=1e-2, log_every=5)
    fit(model, task, recipe, tmp_path / read, progress=False)
    lines = (tmp_path / read / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < 0.5 * losses[0]
    episode = task.episodes(50, 2, torch.Generator().manual_seed(7))
    with torch.no_grad():
        said = model.eval()(episode.inputs)[0].argmax(-1)
    end = episode.inputs.answer == AssociativeRetrieval.END
    assert (said == episode.inputs.answer)[end].all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"read": "softly"}, "no read is called 'softly'"), ({"slots": 0}, "slots=0"), ({"best": 0}, "best=0")],
)
def test_what_it_refuses(options, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        reader(**options)
