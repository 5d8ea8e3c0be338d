"""What a model makes of exemplars: pictures drawn after each, and where drawings that are held out are read from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ..core.folders import SOFTWARE
from ..tasks.images.image_set import ImageSet
from .bank import Bank
from .evaluation import classify
from .variational_memory_addressing import VariationalMemoryAddressing

BEST = 5
"""Slots of a drawing that are told, the likeliest first."""
LINE = 0.25
"""Ink of the lines between pictures of a sheet."""


@dataclass(frozen=True)
class Row:
    """One exemplar, and pictures that were drawn with it alone in the bank."""

    name: str
    """Of its class."""
    exemplar: Float[Tensor, "H W"]
    drawn: Float[Tensor, "n H W"]


@dataclass(frozen=True)
class Asked:
    """A drawing that does not stand in the bank, and what the model says of it with the bank at hand."""

    name: str
    """Of its class."""
    picture: Float[Tensor, "H W"]
    address: Float[Tensor, " N"]
    """q(a | x)."""
    nats: float
    """- log p(x | bank), by the bound."""
    without: float | None
    """The same with its own class taken out of the bank; None where there is no other."""
    said: str
    """The class whose slots have the largest share of q(a | x)."""
    share: float
    """That share."""

    @property
    def best(self) -> list[tuple[int, float]]:
        """The likeliest slots, with their shares."""
        share, slot = self.address.topk(min(BEST, len(self.address)))
        return list(zip(slot.tolist(), share.tolist(), strict=True))


@dataclass(frozen=True)
class Shown:
    """What a model made of exemplars."""

    bank: Float[Tensor, "N H W"]
    names: tuple[str, ...]
    """Class of each slot."""
    rows: tuple[Row, ...]
    asked: tuple[Asked, ...]
    bound: int
    """Samples of the bound on the drawings' likelihood."""
    expected: bool
    """Whether what was drawn is shown as expected pixels; False = as pixels that were drawn."""

    @property
    def right(self) -> int:
        """Drawings whose class was named."""
        return sum(each.said == each.name for each in self.asked)

    @property
    def nats(self) -> float | None:
        """Of a drawing, on average; None without any."""
        return sum(each.nats for each in self.asked) / len(self.asked) if self.asked else None

    @property
    def without(self) -> float | None:
        """The same with the drawing's own class taken out of the bank; None where there is no other."""
        values = [each.without for each in self.asked if each.without is not None]
        return sum(values) / len(values) if values else None

    def as_json(self) -> dict[str, Any]:
        """All figures as plain values."""
        return {
            "bank": len(self.bank),
            "classes": len(set(self.names)),
            "samples": len(self.rows[0].drawn),
            "shown": "expected pixels" if self.expected else "drawn pixels",
            "held_out": len(self.asked),
            "right": self.right,
            "nats": self.nats,
            "nats_without_its_class": self.without,
            "bound_samples": self.bound,
            "drawings": [
                {
                    "class": each.name,
                    "said": each.said,
                    "share": round(each.share, 4),
                    "nats": round(each.nats, 3),
                    "nats_without_its_class": None if each.without is None else round(each.without, 3),
                    "best": [
                        {"slot": slot, "class": self.names[slot], "share": round(share, 4)} for slot, share in each.best
                    ],
                }
                for each in self.asked
            ],
        }


def hold_out(images: ImageSet, bank: int | None = None) -> tuple[Int[Tensor, " N"], Int[Tensor, " held"]]:
    """Indices of the drawings for the bank, class by class, and of the last one of every class of two or more.

    Args:
        images: the exemplars.
        bank: drawings of a class in the bank at most, the first ones; None = all.
    """
    kept, held = [], []
    for members in images.members:
        own = members[:-1] if len(members) > 1 else members
        kept.append(own[:bank])
        held.append(members[-1:] if len(members) > 1 else members[:0])
    return torch.cat(kept), torch.cat(held)


@torch.no_grad()
def show(
    model: VariationalMemoryAddressing,
    images: ImageSet,
    *,
    bank: int | None = None,
    samples: int = 10,
    expected: bool = True,
    bound: int = 200,
    generator: torch.Generator | None = None,
    done: Callable[[int], object] = lambda count: None,
) -> Shown:
    """Draw pictures after the first exemplar of every class, and ask for the last one of every class of two or more.

    Args:
        model: in evaluation mode.
        images: the exemplars, of the model's size.
        bank: drawings of a class in the bank at most; None = all but the one that is asked for.
        samples: pictures drawn after each exemplar.
        expected: expected pixels; False = drawn ones.
        bound: samples of the bound on log p(x | bank).
        generator: of all that is drawn.
        done: told of work done: one for every class, one for every drawing that is asked for.

    Raises:
        ValueError: pictures that the model is not about.
    """
    kept, held = hold_out(images, bank)
    pixels = images.pixels / images.highest
    slots, slot_class = pixels[kept], images.label[kept]
    model.likelihood.check(pixels)
    rows = []
    for index, own in enumerate(images.members):
        if len(own):
            exemplar = pixels[own[:1]]
            drawn = model.sample(exemplar, samples, generator=generator)
            rows.append(Row(images.groups[index], exemplar[0], drawn.mean if expected else drawn.x))
            done(1)
    asked, whole = [], model.keyed(slots)
    for index in held:
        x = pixels[index][None]
        scores = classify(model, x, whole, slot_class)[0].exp()
        said = int(scores.argmax())
        own = slot_class == images.label[index]
        others = None if own.all() else Bank(whole.content[~own], None if whole.keys is None else whole.keys[~own])
        nats, without = (
            None
            if read is None
            else -float(model.log_prob(x, read, samples=bound, allow_targets=True, generator=generator))
            for read in (whole, others)
        )
        assert nats is not None
        address = model.address(x, whole)[0].exp()
        name = images.groups[int(images.label[index])]
        asked.append(Asked(name, x[0], address, nats, without, images.groups[said], float(scores[said])))
        done(1)
    names = tuple(images.groups[of] for of in slot_class.tolist())
    return Shown(slots, names, tuple(rows), tuple(asked), bound, expected)


def as_png(pictures: Float[Tensor, "rows columns H W"], *, line: float = 0.0, scale: int = 1) -> bytes:
    """Rows of pictures as a PNG, ink dark on light paper.

    Args:
        pictures: ink from 0 to 1.
        line: ink of the pixel around each.
        scale: pixels of the PNG for one of theirs.
    """
    framed = torch.nn.functional.pad(pictures, (1, 1, 1, 1), value=line)
    grid = framed.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
    image = Image.fromarray((255 * (1 - grid.clamp(0, 1))).round().to(torch.uint8).numpy())
    image = image.resize((scale * image.width, scale * image.height), Image.Resampling.NEAREST)
    buffer, about = BytesIO(), PngInfo()
    about.add_text("Software", SOFTWARE)
    image.save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()


def sheet(shown: Shown, *, scale: int = 4) -> bytes:
    """A PNG with a row an exemplar: itself, then what was drawn after it."""
    rows = [torch.cat([row.exemplar[None], row.drawn]) for row in shown.rows]
    return as_png(torch.stack(rows), line=LINE, scale=scale)
