"""Train a reader on BABILong: facts of bAbI hidden in background text, questions asked all the while.

    mnesis train runs/qa1
    mnesis train runs/gru --memory gru --recipe demo
    mnesis train runs/real --stories tasks_1-20_v1-2.zip --background books/ --held-out 345.txt --number 2

Ctrl-C saves and stops; the same command goes on where it stopped. Evaluate with ``mnesis evaluate``.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from ..core.domain import Between
from .arguments import Named
from .options import MOST, Count, Depth, Seed, Size, Threads, Width, options_of
from .runs import refuse_files, refuse_sources

KEPT = "the last checkpoint is kept, and the same command goes on from there"


def run(
    folder: Annotated[Path, Named("RUN")],
    /,
    memory: str = "armt",
    options: tuple[str, ...] = (),
    dim: Width = 128,
    depth: Depth = 2,
    hidden: Size = 256,
    convolution: Count = 6,
    recipe: Literal["demo", "standard", "reader"] = "standard",
    number: Literal[1, 2, 3] = 1,
    stories: str = "simulated",
    background: str = "prose",
    held_out: tuple[str, ...] = (),
    vocabulary: Annotated[int, Between(257, MOST)] = 2048,
    seed: Seed = 0,
    threads: Threads | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    trackers: tuple[str, ...] = (),
    as_json: Annotated[bool, Named("json")] = False,
) -> int:
    """Train.

    Args:
        folder: where the run stands.
        memory: a memory of the catalog (mnesis list memories).
        options: its constructor arguments as key=value, such as memory_tokens=16.
        dim: width of the network.
        depth: layers of the network.
        hidden: width of the MLPs.
        convolution: tokens that the causal convolution in every layer sees; 0 = without.
        recipe: how long it is trained: demo (minutes), standard (half an hour) or reader (up to two hours).
        number: of the bAbI task.
        stories: "simulated", or the path of bAbI's files (zip, tar.gz or folder).
        background: "prose" (generated), a folder of .txt files, hub:NAME of a text data set, or several with commas.
        held_out: files of that folder which training must not read.
        vocabulary: ids of the tokenizer trained on background and stories; 257 = bytes.
        seed: of weights and data.
        threads: threads of the processor; as many as are free when it begins, at most two, if not given.
        overwrite: replace a run that stands in the folder.
        quiet: show no progress bar.
        trackers: of accelerate, such as tensorboard.
        as_json: print how training ended, for scripts.
    """
    given = options_of("memories", memory, options, {"dim": "--dim"})
    refuse_sources(stories, background)
    refuse_files("--held-out", held_out, background)
    if "hub:" in background and find_spec("datasets") is None:
        raise ValueError(f"--background {background} reads the Hugging Face hub; pip install 'mnesis[datasets]' first")

    from ..tasks.stories.babilong.source import BABILongSource
    from .recipes import phases
    from .training import DESIGNS, ReaderDesign, train_reader

    source = BABILongSource(number, stories, "en-10k", background, held_out, vocabulary)
    chosen = {**DESIGNS.get(memory, {}), **given}
    design = ReaderDesign(memory, dim, depth, hidden, convolution or None, chosen)
    _, result = train_reader(
        folder,
        source,
        design,
        phases(recipe, number=number, memory=memory, seed=seed),
        seed=seed,
        threads=threads,
        overwrite=overwrite,
        progress=not quiet,
        trackers=trackers,
    )
    if not result.finished:
        print(f"stopped; the same command goes on from update {result.updates} of {result.folder.name}")
        return 128 + (result.signal or 0)
    if as_json:
        print(json.dumps({"folder": str(folder), "loss": result.loss, "accuracy": result.accuracy}))
    else:
        print(f"trained: {folder} (accuracy in training {result.accuracy:.1%}); next: mnesis evaluate {folder}")
    return 0
