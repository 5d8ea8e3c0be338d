"""Training a model of pictures: few-shot lessons, and weights chosen on classes that are not trained on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..claims.vma.exams import NestedExam, Watch
from ..generative.pictures import PictureModel
from ..learn import Recipe, Stage, Training, Validation
from ..nets import build
from ..tasks.images.lessons import FewShotLessons
from ..tasks.images.sources import PictureSource, lesson_sizes
from .fitting import WARM_UP, fit_alone

VALIDATED = 64
"""Targets of a look at the validation pictures, at least."""


@dataclass(frozen=True)
class PictureDesign:
    """What is trained, and how."""

    options: Mapping[str, Any]
    """Arguments of :class:`~mnesis.generative.pictures.PictureModel`."""
    sizes: Mapping[str, int]
    """Classes, examples and targets of a lesson that were asked for."""
    updates: int
    batch: int = 1
    """Lessons of an update."""
    rate: float = 1e-3
    seed: int = 0

    def network(self, image: tuple[int, int], *, binary: bool) -> PictureModel:
        """With fresh weights, which the seed draws."""
        torch.manual_seed(self.seed)
        usual = {"image": list(image), "likelihood": "bernoulli" if binary else "discretised-logistic"}
        network = build({"network": PictureModel.__name__, "arguments": {**usual, **self.options}})
        assert isinstance(network, PictureModel)
        return network

    def recipe(self, examples: int) -> Recipe:
        """One stage, with the numbers of the paper's study here."""
        return Recipe(
            (Stage(examples, self.batch, self.updates),),
            learning_rate=self.rate,
            warm_up=min(WARM_UP, self.updates // 10),
            clip=100.0,
            seed=self.seed,
            save_every=500,
            log_every=50,
        )


def train_pictures(
    source: PictureSource,
    design: PictureDesign,
    folder: Path,
    *,
    progress: bool = True,
    **how: Any,
) -> tuple[Training, dict[str, Any]]:
    """Train, or go on where a training stopped, and say what the pictures were.

    Args:
        source: of the pictures.
        design: what is trained, and how.
        folder: of the run.
        progress: a bar.
        how: threads, overwrite and trackers, as :func:`mnesis.cli.fitting.fit_alone` takes them.

    Raises:
        ValueError: pictures that cannot be trained on, or a folder that holds something else.
    """
    train, validation = source.shares
    height, width = train.pixels.shape[1:]
    network = design.network((height, width), binary=source.binary)
    sizes = lesson_sizes(source.shares, design.sizes)
    classes, examples, targets = sizes["classes"], sizes["examples"], sizes["targets"]
    task = FewShotLessons(train, classes=classes, targets=targets)
    task.lesson(examples, torch.Generator().manual_seed(design.seed))  # what cannot be drawn is told before it trains
    about = {
        "pictures": len(train), "classes": train.classes, "validation_pictures": len(validation),
        "validation_classes": validation.classes, "side": [height, width], "lesson": sizes,
    }  # fmt: skip
    if progress:
        print(_told(about, train.about), file=sys.stderr)
    exam = NestedExam(
        0, source, "validation", samples=4, classes=min(classes, validation.classes), examples=examples,
        targets=targets, rounds=max(1, VALIDATED // (validation.classes * targets)),
    )  # fmt: skip
    result = fit_alone(
        network,
        task,
        design.recipe(examples),
        folder,
        validation=Validation(Watch((exam,), task), min(500, max(1, design.updates // 10)), "nll"),
        config={"pictures": source.as_json(), "digest": source.digest(), "lesson": sizes},
        progress=progress,
        **how,
    )
    return result, about


def _told(about: Mapping[str, Any], ink: str) -> str:
    height, width = about["side"]
    lesson = about["lesson"]
    return (
        f"{about['pictures']:,} pictures of {about['classes']:,} classes to train on, {about['validation_classes']:,} "
        f"classes held out to choose weights by; {width}x{height} pixels{', ' * bool(ink)}{ink}; lessons of "
        f"{lesson['classes']} classes, {lesson['examples']} of each in the bank and {lesson['targets']} to explain"
    )
