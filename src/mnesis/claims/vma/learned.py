"""Models of pictures whose bank is learned with them: what the claims about digits and about characters share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure

from ...core.memory import Memory
from ...generative.autoencoder import VariationalAutoencoder
from ...generative.bank import LearnedBank
from ...generative.generation import Generation
from ...generative.model import GenerativeModel
from ...generative.networks import Networks
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ...learn import Stage
from ...measure.pages import figures as style
from ...measure.pages.drawing import curve
from ...tasks.images.lessons import PictureLessons
from ..drawing import chart, panels
from ..points import select
from ..trials import Trial
from .exams import LearnedExam, Pictures
from .study import VAE, course

BATCH = 32
SHOWN = {"prior_entropy": "entropy of p(a)", "posterior_entropy": "entropy of q(a | x)", "bound": "nats, K = 4",
         "train_bound": "train, K = 4"}  # fmt: skip
"""What tables tell beside nats and divergences."""


def named(slots: int) -> str:
    """Of the model with so many slots."""
    return f"VMA {slots}" if slots else VAE


def sizes(figures: Mapping[str, Any]) -> list[int]:
    """Of the banks of models that are called by them."""
    return sorted({point["at"] for point in figures["points"] if point["at"] and named(point["at"]) == point["model"]})


def taught(
    networks: Callable[[int], Networks],
    source: Pictures,
    slots: int,
    gain: float = 10.0,
    deviation: float = 0.1,
    from_pictures: bool = False,
    **options: Any,
) -> Memory[Any]:
    """A model at the mean picture, with a learned bank or, without slots, a VAE of the same networks.

    Args:
        networks: for a number of slots.
        source: of the pictures.
        slots: of the bank.
        gain, deviation: of the bank.
        from_pictures: slots begin as pictures that are trained on.
        options: of the model.
    """
    own = networks(slots)
    bank, template = None, own.template_shape
    if slots and template is not None:
        model: GenerativeModel = VariationalMemoryAddressing(own, **options)
        bank = LearnedBank(slots, template, gain=gain, deviation=deviation)
    else:
        model = VariationalAutoencoder(own)
    pictures = source.part("train").binarised(torch.Generator().manual_seed(0)).float()
    model.start_from(pictures)
    if from_pictures and bank is not None:
        bank.start_from(pictures[torch.randperm(len(pictures))[:slots]])
    return Generation(model, bank=bank)


def learned_trial(
    name: str,
    seed: int,
    source: Pictures,
    slots: int,
    updates: int,
    networks: Callable[[int], Networks],
    *,
    every: int,
    pictures: int,
    samples: int,
    options: Mapping[str, Any] | None = None,
    **recipe: Any,
) -> Trial:
    """A model of a learned bank, its weights chosen on validation pictures.

    Args:
        name, seed: of the trial.
        source: of the pictures.
        slots: of the bank; 0 = a VAE.
        updates: of 32 pictures.
        networks: as :func:`taught` takes them; picklable.
        every: updates between two looks at validation pictures.
        pictures: that are tested on; as many, or a thousand, are validated on.
        samples: K of the test's bound.
        options: of :func:`taught`.
        recipe: of the training.
    """
    given = dict(options or {})
    watched = LearnedExam(slots, source, "validation", samples=4, count=min(1000, pictures))
    exam = LearnedExam(slots, source, samples=samples, count=pictures, beside="train")
    about = {"pictures": source.collection, "slots": slots, "model_options": given, "start": "mean picture"}
    build, task = partial(taught, networks, source, slots, **given), PictureLessons(source.part("train"))
    stage = Stage(BATCH, 1, updates)
    return course(name, seed, build, task, stage, (exam,), (watched,), every, "nll", about=about, **recipe)


def over_training(figures: Mapping[str, Any], models: Sequence[str], quantities: Mapping[str, str]) -> Figure:
    """Quantities on validation pictures over the trainings of the first seed, a panel each.

    Args:
        figures: of a claim.
        models: a line each.
        quantities: labels by the names of figures of the validation; an even number.
    """
    seed = min(training["seed"] for training in figures["trainings"])
    lines = {t["model"]: t["validation"] for t in figures["trainings"] if t["seed"] == seed}
    height = 1.0 + 1.9 * (len(quantities) // 2)
    with panels(tuple(quantities.values()), across="updates", up="", alike=False, height=height) as (figure, axes):
        for ax, quantity in zip(axes, quantities, strict=True):
            for index, model in enumerate(models):
                looks = [look for look in lines[model] if quantity in look]
                values = [look[quantity] for look in looks]
                curve(ax, index, [look["update"] for look in looks], values, model, size=3)
            if quantity != "nll":
                ax.set_ylim(0)
    return figure


def histograms(figures: Mapping[str, Any], models: Sequence[str]) -> Figure:
    """q(a | x) of some test pictures over the slots that each prefers, a line a picture, of the first seed."""
    found = [select(figures, model=model, has="addresses")[0]["addresses"] for model in models]
    with panels(tuple(models), across="slots, the likeliest of each picture first", up="q(a | x)") as (figure, axes):
        for ax, rows in zip(axes, found, strict=True):
            for row in rows:
                ax.plot(range(1, len(row) + 1), row, color=style.SERIES[0], alpha=0.6, linewidth=1.4)
            ax.set_ylim(0, 1)
    return figure


def train_beside_test(figures: Mapping[str, Any], models: Sequence[str]) -> Figure:
    """Bounds of four samples on pictures trained on and on test pictures, of models of the first seed."""
    with chart(across="nats a picture, by four samples", up="", grid="x", height=0.8 + 0.42 * len(models)) as (
        figure,
        ax,
    ):
        for index, (quantity, label) in enumerate((("train_bound", "trained on"), ("bound", "test"))):
            values = [select(figures, model=model, has=quantity)[0][quantity] for model in models]
            places = [place + 0.4 * index - 0.2 for place in range(len(models))]
            bars = ax.barh(places, values, 0.36, color=style.SERIES[index], label=label)
            ax.bar_label(bars, fmt="%.1f", fontsize=10, padding=3)
        ax.set_yticks(range(len(models)), list(models))
        ax.invert_yaxis()
    return figure
