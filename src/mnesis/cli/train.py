"""Train a memory on a task, into a run folder.

    mnesis train copy --memory delta-rule
    mnesis train multi-query-recall --memory gla --budget tokens=4M --length 4-32 --folder runs/gla
    mnesis train my_task.py:MyTask --memory my_memory.py:MyMemory --length 8
    mnesis train babilong --recipe demo
    mnesis train babilong --stories tasks_1-20_v1-2.zip --background books/ --held-out 345.txt --number 2
    mnesis train pictures --data drawings/ --side 28
    mnesis train pictures --collection omniglot --data data/

Any task of the catalog, or your own; on babilong (facts of bAbI hidden in background text, questions asked all the
while) it trains a reader, by a recipe of phases; on pictures a model that draws new ones after exemplars that it has
never seen (``mnesis generate``). Ctrl-C saves and stops; the same command goes on where it stopped. Evaluate with
``mnesis evaluate``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..compare.names import short
from ..core.amounts import parse_amount
from ..core.catalog import card, cards
from ..core.domain import Between, Positive, fault, shown_text
from .arguments import Named
from .options import (
    MOST,
    Count,
    Depth,
    InkShare,
    Seed,
    Side,
    Size,
    Threads,
    Width,
    check_names,
    needed_options,
    options_of,
    parse_budget,
    parse_options,
    training_lengths,
)  # fmt: skip
from .runs import SOURCE, refuse_files, refuse_sources

if TYPE_CHECKING:
    from ..learn import Training
    from ..measure.metering.scores import Examined

KEPT = "the last checkpoint is kept, and the same command goes on from there"
BABILONG, PICTURES = "babilong", "pictures"
READER = "armt"
"""The memory of a reader, where none is named."""


def run(
    task: Annotated[str, Named("TASK")],
    /,
    memory: str = "",
    folder: Path | None = None,
    options: tuple[str, ...] = (),
    task_options: tuple[str, ...] = (),
    length: str = "",
    budget: str = "",
    batch: Size | None = None,
    rate: Positive | None = None,
    dim: Width | None = None,
    depth: Depth | None = None,
    hidden: Size | None = None,
    convolution: Count | None = None,
    recipe: Literal["quick", "demo", "standard", "reader", "hosted"] | None = None,
    number: Literal[1, 2, 3] | None = None,
    host: str = "",
    lora: Size | None = None,
    stories: str | None = None,
    background: str | None = None,
    held_out: tuple[str, ...] = (),
    vocabulary: Annotated[int, Between(257, MOST)] | None = None,
    data: str = "",
    collection: str = "",
    side: Side | None = None,
    pixels: Literal["binary", "grey"] | None = None,
    threshold: InkShare | None = None,
    paper: Literal["auto", "light", "dark"] | None = None,
    seed: Seed = 0,
    threads: Threads | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    trackers: tuple[str, ...] = (),
    as_json: Annotated[bool, Named("json")] = False,
) -> int:
    """Train.

    Args:
        task: a task of the catalog (mnesis list tasks), your own (path/to/file.py:MyTask), or pictures.
        memory: a memory of the catalog (mnesis list memories), or your own (path/to/file.py:MyMemory); armt on
            babilong if none is named. Not of pictures.
        folder: where the run stands; runs/TASK-MEMORY if not given, runs/pictures of pictures.
        options: constructor arguments of the memory as key=value, such as memory_tokens=16; of pictures those of the
            model, such as latent=16.
        task_options: constructor arguments of the task as key=value; the catalog's if none is given. Of pictures
            classes and targets of a lesson, 8 and 4 of each if not given and there are as many. Not of babilong.
        length: of training episodes in the task's own unit, one number or two with a dash (drawn between them); the
            catalog's if not given. Of pictures examples of a class in the bank, 4 if not given. Not of babilong.
        budget: how long it is trained: tokens=1M (units read, the default) or updates=500; of pictures updates=16000 if
            not given. Not of babilong.
        batch: rows of an update; 32 if not given. Of pictures lessons, 1 if not given. Not of babilong.
        rate: the highest learning rate; 0.003 if not given, 0.001 of pictures. Not of babilong.
        dim: width of the network; 64 if not given, 128 on babilong.
        depth: layers of the network; 2 if not given.
        hidden: width of the MLPs; four times --dim if not given, 256 on babilong.
        convolution: units that the causal convolution in every layer sees, 0 = without; 4 if not given, 6 on babilong.
        recipe: of babilong alone: how long a reader is trained, quick (minutes), demo (a quarter of an hour), standard
            (half an hour, the default) or reader (up to two hours); hosted, with a --host (half an hour for 135 million
            weights).
        number: of babilong alone: of the bAbI task; 1 if not given.
        host: of babilong alone: a pretrained model that gets the memory, the folder or GGUF file of one; --memory armt
            or rmt, and --dim, --depth, --hidden and --convolution are its own.
        lora: of babilong alone: rank of low-rank adapters on all linear maps of the --host; without, the memory learns
            alone.
        stories: of babilong alone: "simulated", the default, or the path of bAbI's files (zip, tar.gz or folder).
        background: of babilong alone: "prose" (generated, the default), a folder of .txt files, hub:NAME of a text data
            set, or several with commas.
        held_out: of babilong alone: files of that folder which training must not read.
        vocabulary: of babilong alone: ids of the tokenizer trained on background and stories, 257 = bytes; 2048 if not
            given.
        data: of pictures alone: a folder with a subfolder a class, an .npz (pixels, label), or what holds --collection.
        collection: of pictures alone: omniglot, glyphs (which need no files) or another that mnesis fetch knows.
        side: of pictures alone: resize them to so many pixels, 12 to 64; if not given as they are, or 28 where larger.
        pixels: of pictures alone: binary, the default, or grey.
        threshold: of pictures alone: share of ink from which a binary pixel is ink; 0.3 if not given.
        paper: of pictures alone: light (ink is what is dark), dark, or auto, the default: as their borders say.
        seed: of weights and data.
        threads: threads of the processor; as many as are free when it begins, at most two, if not given.
        overwrite: replace a run that stands in the folder.
        quiet: show no progress bar.
        trackers: where the curves go besides: tensorboard, wandb, trackio or another that accelerate knows.
        as_json: print how training ended, for scripts.
    """
    task, folder = _as_before(task, folder)
    reading = {
        "recipe": recipe, "number": number, "stories": stories, "background": background, "held_out": held_out,
        "vocabulary": vocabulary, "host": host, "lora": lora,
    }  # fmt: skip
    drawing = {
        "data": data, "collection": collection, "side": side, "pixels": pixels, "threshold": threshold, "paper": paper,
    }  # fmt: skip
    others = {"task_options": task_options, "length": length, "budget": budget, "batch": batch, "rate": rate}
    network = {"memory": memory, "dim": dim, "depth": depth, "hidden": hidden, "convolution": convolution}
    _refuse_foreign(task, reading, drawing, others, network)
    if task == BABILONG:
        memory = memory or READER
    elif not memory and task != PICTURES:
        card("tasks", task)
        raise ValueError(
            "--memory NAME is missing; give one such as --memory gru (mnesis list memories shows what there is)"
        )
    if trackers:
        from ..learn.trackers import require_trackers

        require_trackers(trackers)
    common: dict[str, Any] = {
        "threads": threads, "overwrite": overwrite, "progress": not quiet, "trackers": trackers,
    }  # fmt: skip
    if task == PICTURES:
        place = folder or Path("runs") / PICTURES
        return _pictures(place, _given(drawing), _given(others), options, seed, common, as_json)
    chosen = options_of("memories", memory, options, {"dim": "--dim"})
    place = folder or Path("runs") / f"{short(task)}-{short(memory)}"
    design = {"memory": memory, "depth": depth or 2, "hidden": hidden, "seed": seed}
    if host:
        _refuse_sizes({"dim": dim, "depth": depth, "hidden": hidden, "convolution": convolution})
    if task == BABILONG:
        design |= {"dim": dim or 128, "hidden": hidden or 256, "convolution": 6 if convolution is None else convolution}
        return _reader(place, _given(reading), design, chosen, common, as_json)
    design |= {
        "dim": dim or 64,
        "convolution": (4 if convolution is None else convolution) or None,
        "options": chosen,
        "length": training_lengths(task, length),
        "batch": batch or 32,
        "budget": budget or "tokens=1M",
        "rate": rate or 3e-3,
    }
    parse_budget(design["budget"])
    given = options_of("tasks", task, task_options) or dict(card("tasks", task).example)
    needed_options("tasks", task, given, "--task-options")
    return _on_task(task, given, place, design, common, as_json)


def _as_before(task: str, folder: Path | None) -> tuple[str, Path | None]:
    """Task and folder; of a call as it was when there was no other task than BABILong, its own."""
    path = Path(task)
    named = ":" in task or task == PICTURES or any(task == each.name for each in cards("tasks"))
    if (named and not (path / SOURCE).is_file()) or not (task and (path.is_dir() or {"/", os.sep} & set(task))):
        return task, folder
    if folder is not None:
        raise ValueError(f"{shown_text(task)} is a folder, and --folder {folder} is given too; name a task")
    print(
        f"mnesis: a run is trained by the name of its task now: mnesis train {BABILONG} --folder {task}; the folder "
        "alone works until the next release",
        file=sys.stderr,
    )
    return BABILONG, path


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of them that were given."""
    return {key: value for key, value in options.items() if value not in (None, "", ())}


def _refuse_foreign(
    task: str,
    reading: Mapping[str, Any],
    drawing: Mapping[str, Any],
    others: Mapping[str, Any],
    network: Mapping[str, Any],
) -> None:
    """Refuse options of BABILong and of pictures for other tasks, and those that they do not take."""
    foreign = {BABILONG: {**drawing, **others}, PICTURES: {**reading, **network}}.get(task, {**reading, **drawing})
    given = next(iter(_given(foreign)), None)
    if given is None:
        return
    option = f"--{given.replace('_', '-')}"
    if task not in (BABILONG, PICTURES):
        card("tasks", task)
    for whose, options in ((BABILONG, reading), (PICTURES, drawing)):
        if given in options:
            raise ValueError(
                f"{option} is an option of {whose} alone, and the task is {shown_text(task)}; leave it out"
            )
    trained = "which a --recipe trains" if task == BABILONG else "whose model takes --options"
    raise ValueError(f"{option} is not an option of {task}, {trained}; leave it out")


def _refuse_sizes(sizes: Mapping[str, Any]) -> None:
    """Refuse sizes of a network where a host has its own."""
    if given := next((name for name, value in sizes.items() if value is not None), None):
        raise ValueError(f"--{given} is a size of the network, and --host has its own; leave it out")


def _check_host(host: str, lora: int | None, recipe: str, reading: Mapping[str, Any]) -> None:
    """Refuse what a host needs or cannot have, before anything is imported."""
    if not host:
        for name, value in (("lora", lora), ("recipe hosted", recipe == "hosted" or None)):
            if value is not None:
                raise ValueError(f"--{name} is for a pretrained model, and none is given; give --host FOLDER too")
        return
    if "vocabulary" in reading:
        raise ValueError("--vocabulary is of a tokenizer that is trained, and --host has its own; leave it out")
    if not Path(host).exists():
        raise ValueError(f"--host {shown_text(host)} is not there; give the folder or GGUF file of a pretrained model")


def _pictures(
    folder: Path,
    drawing: dict[str, Any],
    others: dict[str, Any],
    options: tuple[str, ...],
    seed: int,
    common: dict[str, Any],
    as_json: bool,
) -> int:
    """Train a model of pictures."""
    collection, data = drawing.get("collection"), drawing.get("data")
    if not (collection or data):
        raise ValueError(
            "--data is missing; give a folder of pictures with a subfolder a class, an .npz file, or --collection "
            "glyphs"
        )
    if not collection and not Path(str(data)).exists():
        raise ValueError(
            f"--data {shown_text(str(data))} is not there; give a folder with a subfolder a class, or an .npz file"
        )
    kind, updates = parse_budget(others.pop("budget", "updates=16k"))
    if kind != "updates":
        raise ValueError(f"a budget of {kind} is not one of pictures, which count updates; write --budget updates=16k")
    sizes = parse_options(others.pop("task_options", ()))
    check_names("task option of pictures", list(sizes), ("classes", "targets"))
    for name, value in sizes.items():
        if wrong := fault(value, Size, name):
            raise ValueError(f"--task-options: {wrong}; give such")
    if length := others.pop("length", ""):
        sizes["examples"] = parse_amount(length, "length", least=1)

    from ..tasks.images.sources import PictureSource
    from .pictures import PictureDesign, train_pictures

    binary = drawing.pop("pixels", "binary") == "binary"
    source = PictureSource(**drawing, binary=binary, seed=seed)
    design = PictureDesign(parse_options(options), sizes, updates, seed=seed, **others)
    result, about = train_pictures(source, design, folder, **common)
    if not result.finished:
        return _stopped(result)
    best = result.best
    found = None if best is None else {"update": best.update, "nats": best.score}
    if as_json:
        told = {"folder": str(folder), "updates": result.updates, "seconds": result.seconds, "chosen": found}
        print(json.dumps({**told, "pictures": about}))
        return 0
    print(f"trained: {folder} ({result.updates:,} updates, {result.seconds:.0f} s)")
    if found is not None:
        print(
            f"chosen: the weights of update {found['update']:,}, by which a picture of the "
            f"{about['validation_classes']} classes held out costs {found['nats']:.1f} nats"
        )
    print(f"next: mnesis generate {folder}\n      mnesis generate {folder} --exemplars FOLDER")
    return 0


def _reader(
    folder: Path,
    reading: dict[str, Any],
    design: dict[str, Any],
    chosen: dict[str, Any],
    common: dict[str, Any],
    as_json: bool,
) -> int:
    """Train a reader on BABILong."""
    host, lora = reading.pop("host", ""), reading.pop("lora", None)
    recipe = reading.pop("recipe", "hosted" if host else "standard")
    seed, memory = design.pop("seed"), design["memory"]
    _check_host(host, lora, recipe, reading)
    background = reading.get("background", "prose")
    refuse_sources(reading.get("stories", "simulated"), background)
    refuse_files("--held-out", reading.get("held_out", ()), background)
    if "hub:" in background and find_spec("datasets") is None:
        raise ValueError(f"--background {background} reads the Hugging Face hub; pip install 'mnesis[datasets]' first")

    from ..tasks.stories.babilong.source import BABILongSource
    from .designs import DESIGNS, HOSTED, HostedDesign, ReaderDesign
    from .recipes import phases
    from .training import train_reader

    network = {**design, "convolution": design["convolution"] or None}
    _, result = train_reader(
        folder,
        BABILongSource(**reading),
        HostedDesign(host, memory, lora, {**HOSTED.get(memory, {}), **chosen})
        if host
        else ReaderDesign(**network, options={**DESIGNS.get(memory, {}), **chosen}),
        phases(recipe, number=reading.get("number", 1), memory=memory, seed=seed),
        seed=seed,
        **common,
    )
    if not result.finished:
        return _stopped(result)
    if as_json:
        print(json.dumps({"folder": str(folder), "loss": result.loss, "accuracy": result.accuracy}))
    else:
        print(f"trained: {folder} (accuracy in training {result.accuracy:.1%}); next: mnesis evaluate {folder}")
    return 0


def _on_task(
    name: str,
    given: dict[str, Any],
    folder: Path,
    design: dict[str, Any],
    common: dict[str, Any],
    as_json: bool,
) -> int:
    """Train on any other task."""
    from .fitting import Design, learned, open_task, train_on

    task = open_task(name, given)
    network, result = train_on(name, task, Design(**design), folder, **common)
    if not result.finished:
        return _stopped(result)
    length = design["length"]
    longest = length if isinstance(length, int) else length[1]
    found = learned(network, task, longest, folder, overwrite=common["overwrite"], progress=common["progress"])
    if as_json:
        score = None if found is None else found.score.as_json()
        about = {"folder": str(folder), "updates": result.updates, "units": result.units, "seconds": result.seconds}
        print(json.dumps({**about, "loss": result.loss, "accuracy": result.accuracy, "unseen": score}))
    else:
        _tell(folder, result, found)
    return 0


def _stopped(result: Training) -> int:
    print(f"stopped; the same command goes on from update {result.updates} of {result.folder.name}", file=sys.stderr)
    return 128 + (result.signal or 0)


def _tell(folder: Path, result: Training, found: Examined | None) -> None:
    """What was learned, and what to do next."""
    print(f"trained: {folder} ({result.updates:,} updates, {result.units:,} units, {result.seconds:.0f} s)")
    if found is not None:
        print(f"on unseen sequences: {found.score}")
    print(f"next: mnesis evaluate {folder}\n      mnesis report {folder}")
