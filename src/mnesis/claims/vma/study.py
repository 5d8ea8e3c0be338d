"""The few-shot models that several claims ask: same networks, same targets, another memory each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...core.memory import Memory
from ...core.task import Task
from ...generative.autoencoder import VariationalAutoencoder
from ...generative.generation import Generation
from ...generative.matching import GenerativeMatching
from ...generative.model import GenerativeModel
from ...generative.networks import ConvolutionNetworks, MLPNetworks
from ...generative.soft_attention import SoftAttention
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ...learn import Stage, Validation
from ...tasks.images.lessons import FewShotLessons
from ..claim import Scale
from ..trials import Exam, Trial, trained
from .exams import ClassExam, NestedExam, Pictures, Watch, pictures

VMA, SOFT, SOFT_FEW, VAE = "VMA", "soft attention 8x4", "soft attention 2x16", "VAE"
SHORT = "VMA, fewer updates"
SIDE = (26, 26)
SEEDS: Mapping[Scale, tuple[int, ...]] = {"smoke": (0,), "laptop": (0, 1), "full": (0, 1)}
THREE: Mapping[Scale, tuple[int, ...]] = {"smoke": (0,), "laptop": (0, 1, 2), "full": (0, 1, 2)}
"""Of the claims that others rest on."""


@dataclass(frozen=True)
class Diet:
    """What stands in the bank of a lesson, and how many lessons make an update of 32 targets."""

    classes: int = 8
    examples: int = 4
    targets: int = 4
    lessons: int = 1


FEW_CLASSES = Diet(classes=2, examples=16, lessons=4)
"""Where the paper found soft attention at its best."""


@dataclass(frozen=True)
class Setting:
    """Sizes of one scale, the same for every model."""

    widths: tuple[int, ...]
    latent: int
    match: int
    updates: int
    variant_updates: int
    """Of models that differ from the study's in one thing, and of the one that they are compared with."""
    rate: float
    validate_every: int
    validation_classes: int | None
    """None = all."""
    samples: int = 4
    """K of the bound in training."""

    def networks(self, *, bank: bool, addressed: bool, tied: bool = False) -> ConvolutionNetworks:
        return ConvolutionNetworks(
            SIDE,
            widths=self.widths,
            latent=self.latent,
            match=self.match,
            channels=1,
            template=SIDE if bank else None,
            addressed=addressed,
            tied=tied,
        )


SETTINGS: dict[Scale, Setting] = {
    "smoke": Setting((4, 4, 4), 4, 4, 2, 1, 1e-3, 2, 3),
    "laptop": Setting((16, 16, 32, 32, 32), 32, 64, 16_000, 3000, 1e-3, 500, None),
    "full": Setting((48, 48, 48, 64, 64, 64), 64, 128, 300_000, 100_000, 3e-4, 5000, None),
}
"""The full widths are those of the paper, where it gives them; the length of its trainings is not in the text."""


@dataclass(frozen=True)
class Layers:
    """Sizes of networks without convolutions."""

    hidden: tuple[int, ...]
    latent: int
    match: int

    def networks(self, image: tuple[int, int], template: tuple[int, ...] | None, *, skip: bool = True) -> MLPNetworks:
        return MLPNetworks(
            image,
            hidden=self.hidden,
            latent=self.latent,
            match=self.match,
            channels=1,
            template=template,
            addressed=template is not None,
            skip=skip,
        )


def omniglot(data: Path | None) -> Pictures:
    """Omniglot from a folder of data, glyphs made on the spot without one."""
    return pictures("omniglot", data, "glyphs")


def build(setting: Setting, model: str, options: Mapping[str, Any]) -> Memory[Any]:
    """A model with the networks of a setting."""
    return Generation(_model(setting, model, options), samples=setting.samples, allow_targets=True)


def _model(setting: Setting, model: str, options: Mapping[str, Any]) -> GenerativeModel:
    if model == "vae":
        return VariationalAutoencoder(setting.networks(bank=False, addressed=False))
    if model == "vma":
        own = {name: value for name, value in options.items() if name != "tied"}
        networks = setting.networks(bank=True, addressed=True, tied=options.get("tied", False))
        return VariationalMemoryAddressing(networks, **own)
    kind = {"soft": SoftAttention, "matching": GenerativeMatching}[model]
    return kind(setting.networks(bank=True, addressed=False), **options)


def trial(
    name: str,
    seed: int,
    scale: Scale,
    source: Pictures,
    exams: tuple[Exam, ...],
    *,
    model: str,
    diet: Diet = Diet(),
    updates: int | None = None,
    rate: float | None = None,
    l2: float = 0.0,
    **options: Any,
) -> Trial:
    """One model trained on lessons, its weights chosen on classes that are neither trained nor tested on.

    Args:
        name: of the trial.
        seed: of weights and lessons.
        scale: of the setting.
        source: pictures.
        exams: taken by the chosen weights.
        model: vma, soft, matching or vae.
        diet: of the lessons, in training and validation.
        updates, rate: None = those of the setting.
        l2: decay of all parameters.
        options: of the model, and ``tied`` for its networks.
    """
    setting = SETTINGS[scale]
    # The VAE is shown the same targets and reads nothing.
    task = (PlainTargets if model == "vae" else FewShotLessons)(
        source.part("train"), classes=diet.classes, targets=diet.targets
    )
    stage = Stage(diet.examples, diet.lessons, updates or setting.updates)
    nats = NestedExam(
        0, source, "validation", samples=4, classes=diet.classes, examples=diet.examples, rounds=1,
        limit=setting.validation_classes,
    )  # fmt: skip
    watched = (nats, ClassExam(0, source, "validation", samples=0, episodes=50)) if model == "vma" else (nats,)
    about = {"pictures": source.collection, "model_options": dict(options), "diet": asdict(diet)}
    how = {"rate": rate or setting.rate, "l2": l2, "save_every": 500, "log_every": 50}
    made = partial(build, setting, model, options)
    return course(
        name, seed, made, task, stage, exams, watched, setting.validate_every, "nll", about=about, **how
    )  # fmt: skip


def course(
    name: str,
    seed: int,
    build: Callable[[], Memory[Any]],
    task: Task,
    stage: Stage,
    exams: tuple[Exam, ...],
    watched: tuple[Exam, ...],
    every: int,
    choose: str | None = None,
    **training: Any,
) -> Trial:
    """How the models of all these claims are trained: gradients that are cut late, and a start that is short.

    Args:
        name, seed, build, task, exams, training: as :func:`mnesis.claims.trials.trained` takes them.
        stage: of the training, the only one.
        watched: exams on validation pictures, taken during the training.
        every: updates between two of those.
        choose: their figure by which weights are chosen; None = the last ones.
    """
    validation = Validation(Watch(watched, task), every, choose)
    how = {"warm_up": 100, "clip": 100.0, "validation": validation, "save_every": 2000, "log_every": 200}
    return trained(name, seed, build, task, (stage,), exams, **how | training)


class PlainTargets(FewShotLessons):
    """The targets of few-shot lessons, without their banks."""

    def lesson(self, length, generator):
        drawn = super().lesson(length, generator)
        return drawn._replace(bank=drawn.bank[:0])


def variant(scale: Scale, suffix: str = "", **options: Any) -> dict[str, Any]:
    """Name and arguments of :func:`trial` for a VMA that differs in one thing, or in nothing.

    All variants are trained equally long, and less than the study's own VMA.
    """
    updates = SETTINGS[scale].variant_updates
    return {"name": f"{VMA}{suffix}" if suffix else SHORT, "model": "vma", "updates": updates, **options}


def exemplar_trial(scale: Scale, seed: int, source: Pictures, examples: int, exams: tuple[Exam, ...]) -> Trial:
    """VMA trained on 8 classes with so many exemplars each, as long as the study's own, which has 4."""
    diet = Diet(examples=examples)
    name = VMA if diet == Diet() else f"{VMA} {diet.classes}x{examples}"
    return trial(name, seed, scale, source, exams, model="vma", diet=diet)


def few_shot_trials(
    scale: Scale, seeds: tuple[int, ...], data: Path | None, exams: Callable[[str], tuple[Exam, ...]]
) -> list[Trial]:
    """The four models of the study ``vma-few-shot``; models without exams are left out."""
    source = omniglot(data)
    kinds: dict[str, dict[str, Any]] = {
        VMA: {"model": "vma"},
        SOFT: {"model": "soft"},
        SOFT_FEW: {"model": "soft", "diet": FEW_CLASSES},
        VAE: {"model": "vae"},
    }
    asked = {name: exams(name) for name in kinds}
    return [
        trial(name, seed, scale, source, asked[name], **kind)
        for seed in seeds
        for name, kind in kinds.items()
        if asked[name]
    ]
