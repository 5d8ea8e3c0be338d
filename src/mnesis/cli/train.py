"""Train a reader on BABILong: facts of bAbI hidden in background text, questions asked all the while.

    mnesis train runs/qa1
    mnesis train runs/gru --memory gru --recipe demo
    mnesis train runs/real --stories tasks_1-20_v1-2.zip --background books/ --held-out 345.txt --number 2

Ctrl-C saves and stops; the same command goes on where it stopped. Evaluate with ``mnesis evaluate``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from ..tasks.babilong_source import BABILongSource
from .options import parse_options
from .recipes import phases
from .runs import fast_products
from .training import DESIGNS, ReaderDesign, train_reader


def run(
    folder: tyro.conf.Positional[Path],
    /,
    memory: str = "armt",
    options: tuple[str, ...] = (),
    dim: int = 128,
    depth: int = 2,
    hidden: int = 256,
    convolution: int = 6,
    recipe: Literal["demo", "standard", "reader"] = "standard",
    number: int = 1,
    stories: str = "simulated",
    background: str = "prose",
    held_out: tuple[str, ...] = (),
    vocabulary: int = 2048,
    seed: int = 0,
    threads: int = 2,
    overwrite: bool = False,
    quiet: bool = False,
    trackers: tuple[str, ...] = (),
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Train.

    Args:
        folder: of the run.
        memory: a memory of the catalog (mnesis list memories).
        options: its constructor arguments as key=value, such as memory_tokens=16.
        dim: width of the network.
        depth: layers.
        hidden: width of the MLPs.
        convolution: width of the causal convolution in every layer; 0 = without.
        recipe: demo (minutes), standard (half an hour) or reader (up to two hours).
        number: of the bAbI task: 1, 2 or 3.
        stories: "simulated", or the path of bAbI's files (zip, tar.gz or folder).
        background: "prose" (generated), a folder of .txt files, hub:NAME of a text data set, or several with commas.
        held_out: files of that folder which training must not read.
        vocabulary: of the tokenizer trained on background and stories; 257 = bytes.
        seed: of weights and data.
        threads: of the processor.
        overwrite: replace a run that stands in the folder.
        quiet: no progress bar.
        trackers: of accelerate, such as tensorboard.
        as_json: how training ended, for scripts.
    """
    torch.set_num_threads(threads)
    source = BABILongSource(number, stories, "en-10k", background, held_out, vocabulary)
    chosen = {**DESIGNS.get(memory, {}), **parse_options(options)}
    design = ReaderDesign(memory, dim, depth, hidden, convolution or None, chosen)
    with fast_products():
        _, result = train_reader(
            folder,
            source,
            design,
            phases(recipe, number=number, memory=memory, seed=seed),
            seed=seed,
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
