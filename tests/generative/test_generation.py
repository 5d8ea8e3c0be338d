"""Generative models in the hands of the trainer of memories: they learn, and resume exactly."""

from __future__ import annotations

import json

import pytest
import torch

from mnesis.generative.bank import LearnedBank
from mnesis.generative.generation import Generation
from mnesis.generative.networks import MLPNetworks
from mnesis.generative.variational_memory_addressing import VariationalMemoryAddressing
from mnesis.learn import Recipe, Stage, fit
from mnesis.tasks.images.glyphs import draw_glyphs
from mnesis.tasks.images.image_set import ImageSet
from mnesis.tasks.images.lessons import FewShotLessons, PictureLessons, RecallLessons

GLYPHS = draw_glyphs(12, 8)


class Interrupted(FewShotLessons):
    """Dies when its n-th episode is drawn."""

    def __init__(self, *arguments, after: int, **options) -> None:
        super().__init__(*arguments, **options)
        self.left = after

    def episodes(self, batch, length, generator):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().episodes(batch, length, generator)


def build() -> Generation:
    torch.manual_seed(0)
    net = MLPNetworks((26, 26), hidden=(32, 16), latent=4, match=8, channels=1, template=(26, 26), addressed=True)
    return Generation(VariationalMemoryAddressing(net))


def recipe(steps: int) -> Recipe:
    return Recipe((Stage(length=2, batch=2, steps=steps),), learning_rate=3e-3, warm_up=2, save_every=3, log_every=1)


def test_it_learns(tmp_path) -> None:
    task = FewShotLessons(GLYPHS, classes=4, targets=3)
    fit(build(), task, recipe(120), tmp_path / "run", progress=False)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert sum(losses[-20:]) / 20 < 0.75 * losses[0]


def test_a_killed_training_ends_as_the_whole_one(tmp_path) -> None:
    options = {"classes": 4, "targets": 3}
    whole, resumed = build(), build()
    fit(whole, FewShotLessons(GLYPHS, **options), recipe(8), tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        fit(resumed, Interrupted(GLYPHS, **options, after=5), recipe(8), tmp_path / "run", progress=False)
    resumed = build()
    fit(resumed, FewShotLessons(GLYPHS, **options), recipe(8), tmp_path / "run", progress=False)
    for (name, expected), found in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(expected, found), name


def test_a_bank_learns_with_its_model(tmp_path) -> None:
    torch.manual_seed(0)
    net = MLPNetworks((26, 26), hidden=(32, 16), latent=4, match=8, channels=1, template=(12,), addressed=True)
    bank = LearnedBank(6, (12,))
    before = bank.content.detach().clone()
    pupil = Generation(VariationalMemoryAddressing(net), bank=bank)
    stage = Stage(length=16, batch=1, steps=40)
    fit(
        pupil,
        PictureLessons(GLYPHS),
        Recipe((stage,), learning_rate=3e-3, log_every=1),
        tmp_path / "run",
        progress=False,
    )
    assert (bank.content.detach() != before).any(1).all()
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert sum(losses[-10:]) / 10 < 0.75 * losses[0]


def test_a_learned_bank_does_not_decay(tmp_path) -> None:
    """With a rate that moves nothing else, decay alone would shrink the slots."""
    torch.manual_seed(0)
    net = MLPNetworks((26, 26), hidden=(8, 8), latent=2, match=4, channels=1, template=(12,), addressed=True)
    bank = LearnedBank(6, (12,))
    pupil = Generation(VariationalMemoryAddressing(net), bank=bank)
    slots, weight = bank.content.detach().clone(), net.key.layers[0].weight.detach().clone()
    recipe = Recipe((Stage(length=4, batch=1, steps=1),), learning_rate=1e-6, weight_decay=1e5)
    fit(pupil, PictureLessons(GLYPHS), recipe, tmp_path / "run", progress=False)
    assert (bank.content.detach() - slots).abs().max() < 2 * 1e-6 * bank.gain, "a step of Adam, as slots are read"
    assert net.key.layers[0].weight.detach().norm() < 0.95 * weight.norm()


def test_grey_pictures_are_binarised_at_every_presentation() -> None:
    grey = ImageSet(
        torch.full((3, 4, 4), 128, dtype=torch.uint8), torch.zeros(3, dtype=torch.long), ("a",), binary=False
    )
    generator = torch.Generator().manual_seed(0)
    first, second = (PictureLessons(grey).episodes(2, 5, generator).inputs for _ in range(2))
    assert first.targets.shape == (2, 1, 5, 4, 4)
    assert first.bank.shape == (2, 1, 0, 4, 4)
    assert set(first.targets.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first.targets, second.targets)
    kept = PictureLessons(grey, binarised=False).episodes(1, 2, generator).inputs
    assert (kept.targets == 128 / 255).all()


def test_targets_to_recall_stand_in_their_bank() -> None:
    lessons = RecallLessons(GLYPHS, targets=9).episodes(2, 5, torch.Generator().manual_seed(0)).inputs
    assert lessons.targets.shape == (2, 1, 9, 26, 26)
    assert lessons.bank.shape == (2, 1, 5, 26, 26)
    for targets, bank in zip(lessons.targets[:, 0], lessons.bank[:, 0], strict=True):
        assert (targets[:, None] == bank).all((2, 3)).any(1).all()
    with pytest.raises(ValueError, match="needs as many pictures"):
        RecallLessons(GLYPHS).lesson(len(GLYPHS) + 1, torch.Generator())
