"""What generative models are asked: how many nats pictures cost with a bank to read, and which class they are of."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ...core.memory import Memory
from ...core.task import Task
from ...generative.bank import Bank
from ...generative.evaluation import Knowledge, classify, know, usage
from ...generative.generation import Generation
from ...generative.showing import as_png as png_of
from ...generative.variational_memory_addressing import VariationalMemoryAddressing
from ...tasks.images.collections import open_collection
from ...tasks.images.few_shot import few_shot, nested
from ...tasks.images.image_set import ImageSet
from ...tasks.images.lessons import RecallLessons
from ..exams import TEST_SEED, share
from ..trials import Exam

UNREAD = 0.01
"""Of an even share of all reads, below which a slot is not read."""
PREFERRED = 20
"""Addresses of a picture that are told, the likeliest first."""


@runtime_checkable
class Parted(Protocol):
    """Pictures that are shared out among training and choice of a model."""

    def part(self, name: str) -> ImageSet:
        """One share."""
        ...


@dataclass(frozen=True)
class Pictures:
    """Where pictures come from, as plain values."""

    collection: str
    folder: str | None = None
    """That holds the collection's own; None where it needs no files."""

    def part(self, name: str) -> ImageSet:
        """``train``, ``validation`` or ``test``."""
        return getattr(open_collection(self.collection, self.folder), name)


def pictures(collection: str, data: Path | None, instead: str) -> Pictures:
    """A collection where there is a folder of data, another that needs none where there is not."""
    return Pictures(instead) if data is None else Pictures(collection, str(data))


@dataclass(frozen=True)
class PictureExam(Exam):
    """Questions about pictures.

    Args:
        pictures: where they come from.
        part: of them.
        samples: K of the bound, or of the importance weights.
        seed: of what is drawn; the same for every model.
    """

    pictures: Parted
    part: str = "test"
    samples: int = 200
    seed: int = TEST_SEED

    @property
    def images(self) -> ImageSet:
        return self.pictures.part(self.part)

    def told(self, found: Knowledge) -> dict[str, Any]:
        """Means, nats of every target in hundredths, for paired differences, and what must be said of the pictures."""
        nats, about = found.negative_log_likelihood.double(), self.images.about
        kept = {"part": self.part, "targets": len(nats), "nats": [round(value, 2) for value in nats.tolist()]}
        return found.summary() | kept | ({"about": about} if about else {})


@dataclass(frozen=True)
class NestedExam(PictureExam):
    """Nats of the targets of every class, read with banks that are nested in classes and examples.

    All models and all sizes of the bank answer for the same targets, so that differences are paired.

    Args:
        classes: in a bank; the target's own is one of them.
        examples: of each.
        rounds: times that every class is drawn.
        targets: of a class and round.
        limit: classes whose targets are asked for; None = all.
    """

    classes: int = 8
    examples: int = 4
    rounds: int = 4
    targets: int = 4
    limit: int | None = None

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        model = cast(Generation, network).model
        found = know(
            model,
            self._batches(network),
            samples=self.samples,
            allow_targets=True,  # they are disjoint as they are drawn
            generator=torch.Generator().manual_seed(self.seed),
        )
        asked = {"classes": self.classes, "examples": self.examples, "targets_each": self.targets}
        return {**asked, **self.told(found)}

    def _batches(self, network: Memory[Any]) -> Iterator[tuple[Tensor, Bank | None]]:
        model, generator = cast(Generation, network).model, torch.Generator().manual_seed(self.seed)
        reads = model.networks.template_shape is not None
        for _ in range(self.rounds):
            drawn = nested(self.images, generator, examples=self.examples, targets=self.targets)
            exemplars = drawn.exemplars.flatten(0, 1) / self.images.highest
            with torch.no_grad():
                whole = model.keyed(exemplars) if reads else None
            for index in range(self.limit or self.images.classes):
                bank = None
                if whole is not None and whole.keys is not None:
                    slots = drawn.slots(index, self.classes, self.examples)
                    bank = Bank(whole.content[slots], whole.keys[slots])
                yield drawn.targets[index] / self.images.highest, bank


@dataclass(frozen=True)
class RecallExam(PictureExam):
    """Nats of pictures that stand in the bank; ``at`` is the number of slots.

    Args:
        lessons: banks.
        targets: of each.
    """

    lessons: int = 32
    targets: int = 32

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        model, generator = cast(Generation, network).model, torch.Generator().manual_seed(self.seed)
        lessons = RecallLessons(self.images, targets=self.targets)
        drawn = [lessons.lesson(self.at, generator) for _ in range(self.lessons)]
        return self.told(know(model, drawn, samples=self.samples, allow_targets=True, generator=generator))


@dataclass(frozen=True)
class ClassExam(PictureExam):
    """Which of a few classes is a picture of, with some labelled examples of each and no training for it?

    By q(a | x), and with ``samples`` by the likelihood of every address too.

    Args:
        ways: classes.
        shots: examples of each.
        episodes: banks.
        targets: of each class.
        tried: banks of which every address is tried for every target, which takes long where there are many.
    """

    ways: int = 5
    shots: int = 1
    episodes: int = 200
    targets: int = 3
    tried: int = 200

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        model, generator = cast(Generation, network).model, torch.Generator().manual_seed(self.seed)
        assert isinstance(model, VariationalMemoryAddressing), "only addresses tell classes"
        ways = {"address": 0} | ({"importance": self.samples} if self.samples else {})
        right: dict[str, list[Tensor]] = {way: [] for way in ways}
        for episode in range(self.episodes):
            drawn = few_shot(self.images, generator, classes=self.ways, examples=self.shots, targets=self.targets)
            x, bank = drawn.targets.float(), Bank(drawn.bank.float())
            for name, samples in ways.items():
                if name == "address" or episode < self.tried:
                    said = classify(model, x, bank, drawn.bank_class, samples=samples, generator=generator).argmax(1)
                    right[name].append(said == drawn.target_class)
        return {"ways": self.ways, "shots": self.shots, **{name: share(torch.stack(r)) for name, r in right.items()}}


@dataclass(frozen=True)
class ShowExam(PictureExam):
    """What can be looked at: pictures drawn from one exemplar each, and where two pictures would be read from.

    Args:
        shown: exemplars.
        drawn: pictures from each.
        classes: of the bank that is looked up in.
        examples: of each.
    """

    shown: int = 8
    drawn: int = 9
    classes: int = 8
    examples: int = 10

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        model, generator = cast(Generation, network).model, torch.Generator().manual_seed(self.seed)
        assert isinstance(model, VariationalMemoryAddressing), "only addresses can be shown"
        banks = few_shot(self.images, generator, classes=self.shown, examples=1, targets=1).bank.float()
        made = [model.sample(one[None], self.drawn, generator=generator) for one in banks]
        rows, means = (
            torch.stack([torch.cat([one[None], pixels]) for one, pixels in zip(banks, each, strict=True)])
            for each in ([drawn.x for drawn in made], [drawn.mean for drawn in made])
        )
        asked = few_shot(self.images, generator, classes=self.classes, examples=self.examples, targets=1)
        address = model.address(asked.targets[:2].float(), asked.bank.float()).exp()
        best = [asked.bank[q.argsort(descending=True)[:5]].float() for q in address]
        return {
            "samples": as_png(rows),
            "means": as_png(means),
            "lookups": [
                {
                    "q": [round(p, 4) for p in q.tolist()],
                    "target": as_png(x[None, None].float()),
                    "best": as_png(b[None]),
                }
                for q, x, b in zip(address, asked.targets, best, strict=False)
            ],
            "classes": self.classes,
        }


@dataclass(frozen=True)
class LearnedExam(PictureExam):
    """Nats of pictures read with the bank that was learned, and how its addresses are used; ``at`` is its slots.

    Grey pictures are binarised, each of them once for all models.

    Args:
        count: pictures, drawn: the file of binarized MNIST is sorted by class.
        few: K of a bound that is told besides, as training has it.
        beside: another part, whose bound of ``few`` and KL of the address are told too; "" = none.
        shown: slots to draw pictures from, those read most; and pictures whose addresses are shown.
        drawn: pictures of each.
    """

    count: int = 1000
    few: int = 4
    beside: str = ""
    shown: int = 8
    drawn: int = 10

    def take(self, network: Memory[Any], task: Task) -> dict[str, Any]:
        taught, images = cast(Generation, network), self._drawn(self.images)
        bank = None if taught.bank is None else taught.bank()
        found = self.told(self._known(taught, images, bank, self.samples))
        if self.few != self.samples:
            found |= {"bound": self._known(taught, images, bank, self.few).summary()["nll"]}
        if self.beside:
            other = self.pictures.part(self.beside)
            known = self._known(taught, self._drawn(other), bank, self.few).summary()
            found |= {f"{self.beside}_bound": known["nll"], f"{self.beside}_kl_address": known["kl_address"]}
        if bank is None or not isinstance(taught.model, VariationalMemoryAddressing):
            return found
        used, generator = usage(taught.model, images, bank), torch.Generator().manual_seed(self.seed)
        most = bank.content[used.proposed.argsort(descending=True)[: self.shown]]
        made = [taught.model.sample(slot[None], self.drawn, generator=generator) for slot in most]
        addresses = taught.model.address(images[: self.shown], bank).exp().sort(descending=True).values
        return found | {
            "prior_entropy": used.prior_entropy,
            "posterior_entropy": used.posterior_entropy,
            "clusters": math.exp(used.proposed_entropy),
            "unread": int((used.proposed < UNREAD / len(bank)).sum()),
            "addresses": [[round(share, 4) for share in row[:PREFERRED]] for row in addresses.tolist()],
            "samples": as_png(torch.stack([drawn.x for drawn in made])),
            "means": as_png(torch.stack([drawn.mean for drawn in made])),
        }

    def _drawn(self, images: ImageSet) -> Float[Tensor, "n H W"]:
        return images.drawn(self.count).binarised(torch.Generator().manual_seed(self.seed)).float()

    def _known(self, taught: Generation, images: Tensor, bank: Bank | None, samples: int) -> Knowledge:
        batches = [(x, bank) for x in images.split(500)]
        generator = torch.Generator().manual_seed(self.seed)
        return know(taught.model, batches, samples=samples, allow_targets=True, generator=generator)


def as_png(pictures: Float[Tensor, "rows columns H W"]) -> str:
    """A grid of pictures, ink dark, as a PNG in base64."""
    return base64.b64encode(png_of(pictures)).decode("ascii")


@dataclass(frozen=True)
class Watch:
    """Exams as the figures of a validation: their numbers, and of shares how many are right."""

    exams: tuple[Exam, ...]
    task: Task

    def __call__(self, network: Memory[Any]) -> dict[str, float]:
        found: dict[str, float] = {}
        for exam in self.exams:
            for name, value in exam.take(network, self.task).items():
                told = value["accuracy"] if isinstance(value, dict) else value
                found |= {name: told} if isinstance(told, float) else {}
        return found
