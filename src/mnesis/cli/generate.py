"""Draw pictures after exemplars that a model has never seen, and ask it for drawings that it does not have.

    mnesis generate omniglot
    mnesis generate omniglot --exemplars drawings/
    mnesis generate runs/pictures --exemplars one.png --samples 20 --show drawn

MODEL is a run of ``mnesis train pictures``, or a model that ships with mnesis. Exemplars are read as the run's own
pictures were, at its size: no training is needed for them. Without any, it is shown classes that it was not trained on:
those that its run held out, or glyphs made on the spot. Writes samples.png (a row an exemplar: itself, then what was
drawn after it) and page.html, which opens offline.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..core.domain import Between, build, fault
from ..core.files import atomic_path, read_json
from ..core.folders import alone, require_ours
from ..core.run_files import CONFIG
from ..core.shipped import find, shipped_folder
from .arguments import Named
from .options import InkShare, Seed, Threads
from .runs import is_of_pictures

if TYPE_CHECKING:
    from ..generative.pictures import PictureModel
    from ..tasks.images.image_set import ImageSet
    from ..tasks.images.sources import PictureSource

KEPT = "nothing was written"
SHEET, PAGE = "samples.png", "page.html"
GLYPHS, DRAWINGS, SCRIPT = 8, 6, 1000
"""Characters made up where there are no exemplars, drawings of each, and the seed of their script."""
Few = Annotated[int, Between(1, 1000)]
Paper = Literal["auto", "light", "dark"]


def run(
    model: str,
    /,
    exemplars: Path | None = None,
    folder: Path | None = None,
    samples: Few = 10,
    show: Literal["expected", "drawn"] = "expected",
    classes: Few = 16,
    bank: Few = 20,
    bound: Annotated[int, Between(1, 100_000)] = 200,
    threshold: InkShare | None = None,
    paper: Paper | None = None,
    seed: Seed = 0,
    threads: Threads | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    as_json: Annotated[bool, Named("json")] = False,
) -> None:
    """Draw.

    Args:
        model: the folder of a run of mnesis train pictures, or omniglot, which ships with mnesis.
        exemplars: a folder with a subfolder a class, one of pictures alone, an .npz (pixels, label), or a picture.
        folder: for samples.png and page.html; runs/generated/ and the names of model and exemplars if not given.
        samples: pictures drawn after each exemplar.
        show: expected pixels of what is drawn, or drawn pixels.
        classes: that are shown at most, the first by name.
        bank: drawings of a class in the bank at most, the first; the last of a class of two or more is held out.
        bound: samples of the bound on what a drawing that is held out costs.
        threshold: share of ink from which a binary pixel is ink; as in training if not given.
        paper: light (ink is what is dark), dark, or auto, as the borders say; as in training if not given.
        seed: of what is drawn.
        threads: of the processor; as many as are free when it begins, at most two, if not given.
        overwrite: replace samples.png and page.html of an earlier call.
        quiet: show no progress bar.
        as_json: print all figures, for scripts.
    """
    place = find(model, "pictures")
    parts = [place.resolve().name] + ([] if exemplars is None else [exemplars.resolve().stem])
    folder = folder or Path("runs/generated") / "-".join(parts)
    files = [folder / SHEET, folder / PAGE]
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--folder {folder} is a file; give the path of a folder")
    if not overwrite and (standing := next((file for file in files if file.exists()), None)):
        raise ValueError(f"{standing} exists; give another --folder or --overwrite")
    require_ours(files, mend="give another --folder")
    if exemplars is not None and not exemplars.exists():
        raise ValueError(f"--exemplars {exemplars} is not there; give a folder, an .npz file, or a picture")
    source = _source(place)

    import torch

    from ..core.machine import fast_products, prepare, width
    from ..generative import page, showing
    from ..measure.progress import Bar

    network = _open(place)
    images, named = _images(network, place, exemplars, source, threshold, paper)
    prepare(threads)
    notes = [images.about[:1].upper() + images.about[1:] + "."] if images.about else []
    if images.classes > classes:
        notes.append(f"The first {classes} of {images.classes} classes are shown.")
        images = images.of_groups(set(images.groups[:classes]))
    held = len(showing.hold_out(images)[1])
    with fast_products(width(network)), Bar(images.classes + held, not quiet) as bar:
        bar.describe("drawing")
        shown = showing.show(
            network.addressed,
            images,
            bank=bank,
            samples=samples,
            expected=show == "expected",
            bound=bound,
            generator=torch.Generator().manual_seed(seed),
            done=bar.advance,
        )
    height, across = network.image
    about = {
        "model": f"The model {model} of pictures of {across}x{height} pixels",
        "exemplars": named,
        "notes": " ".join(notes),
        "command": shlex.join(["mnesis", *sys.argv[1:]] if len(sys.argv) > 1 else ["mnesis", "generate", model]),
    }
    with alone(folder, SHEET, PAGE):
        with atomic_path(folder / SHEET) as temporary:
            temporary.write_bytes(showing.sheet(shown))
        page.write_page(folder / PAGE, shown, about, overwrite=overwrite)
    if as_json:
        told = {"model": model, "exemplars": named, "folder": str(folder), "files": [SHEET, PAGE]}
        print(json.dumps({**told, **shown.as_json()}))
    else:
        _tell(shown.as_json(), named, files)


def _tell(found: dict[str, Any], named: str, files: list[Path]) -> None:
    print(f"{found['samples']} pictures after each of {found['classes']} exemplars ({named}): {files[0]}")
    if found["held_out"]:
        other = found["nats_without_its_class"]
        without = "" if other is None else f", {other:.1f} with its class taken out of the bank"
        print(
            f"{found['held_out']} drawings held out: the class of {found['right']} is named right, "
            f"{found['nats']:.1f} nats each ({found['bound_samples']} samples){without}"
        )
    print(f"the page: {files[1]}")


def _source(folder: Path) -> PictureSource | None:
    """Where a run's pictures came from; None where its folder does not say."""
    config = read_json(folder / CONFIG, dict[str, Any], mend="train the run anew")
    if not is_of_pictures(config):
        return None

    from ..tasks.images.sources import PictureSource

    if wrong := fault(values := config["config"]["pictures"], PictureSource, "config.pictures"):
        raise ValueError(f"{folder / CONFIG} cannot be read: {wrong}; train the run anew")
    return build(PictureSource, values)


def _open(folder: Path) -> PictureModel:
    """The model of a folder.

    Raises:
        FileNotFoundError: a run that has not finished.
        ValueError: another network, or a file that is broken.
    """
    from ..generative.pictures import PictureModel
    from ..nets import load

    network = load(folder)
    if not isinstance(network, PictureModel):
        raise ValueError(
            f"{folder} holds a {type(network).__name__}, which draws no pictures; give a run of mnesis train pictures"
        )
    return network


def _images(
    network: PictureModel,
    folder: Path,
    exemplars: Path | None,
    source: PictureSource | None,
    threshold: float | None,
    paper: Paper | None,
) -> tuple[ImageSet, str]:
    """Exemplars of the model's size, and what they are called."""
    from ..tasks.images.folders import Reading, read_pictures, resized
    from ..tasks.images.glyphs import draw_glyphs
    from ..tasks.images.sources import PictureSource

    usual, binary = source or PictureSource(), network.model.likelihood_name == "bernoulli"
    reading = Reading(network.image, binary, threshold or usual.threshold, paper or usual.paper)
    if exemplars is not None:
        return read_pictures(exemplars, reading), exemplars.name or str(exemplars)
    if source is None or folder == shipped_folder(folder.name, "pictures"):
        glyphs = draw_glyphs(GLYPHS, DRAWINGS, seed=SCRIPT)
        return resized(_named(glyphs), reading), f"{GLYPHS} made-up characters"
    try:
        held = source.part("validation")
    except ValueError as error:
        raise ValueError(f"the pictures of {folder} cannot be read ({error}); give --exemplars FOLDER") from None
    return resized(_named(held), reading), "classes that training held out"


def _named(images: ImageSet) -> ImageSet:
    """Pictures each of whose classes has a name of its own, as their alphabets are not."""
    from dataclasses import replace

    if len(set(images.groups)) == images.classes:
        return images
    return replace(images, groups=tuple(f"{group}, {number}" for number, group in enumerate(images.groups, 1)))
