"""What wrote ``run``, ``evaluation`` and ``cell`` here, when mnesis stood at 8c606dd.

    PYTHONPATH=SRC_OF_8c606dd python tests/old/wrote_runs.py tests/old

Only names that were public then, so that tests do the same again with whatever stands today.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from mnesis.compare.cell import Cell, run_cell
from mnesis.compare.setting import Budget, Setting
from mnesis.core.catalog import create_task
from mnesis.learn import Recipe, Stage, Training, fit
from mnesis.measure import Evaluation, evaluate
from mnesis.nets import LanguageModel, load, save

RECIPE = Recipe(
    (
        Stage((2, 4), batch=4, steps=6, truncation=3),
        Stage(4, batch=4, steps=12, truncation=3, start="carried", update="window"),
    ),
    learning_rate=1e-2,
    warm_up=2,
    seed=3,
    save_every=4,
    log_every=1,
)
STOPPED = 10
"""Updates after which the training was interrupted, in the middle of an episode."""
SETTING = Setting(
    task="copy",
    length=(1, 3),
    tests=(3, 6),
    budget=Budget("tokens", 600),
    task_options={"symbols": 4},
    dim=16,
    depth=1,
    batch=4,
    rates=(1e-3, 3e-3),
    seeds=2,
    sequences=8,
)
LENGTHS, STREAMS = (20, 60), 6


def train(folder: Path, *, seed: int = 0, stop_at: int | None = None) -> tuple[LanguageModel, Training]:
    """Train a tiny GRU on copying, or stop it with a checkpoint."""
    torch.manual_seed(seed)
    network = LanguageModel(5, dim=8, memory="gru", depth=1, hidden=8)
    task = create_task("copy", symbols=4)
    drawn, episodes = 0, task.episodes

    def counted(*given: Any) -> Any:
        nonlocal drawn
        drawn += 1
        if drawn == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)  # ends the training after the present update
        return episodes(*given)

    task.episodes = counted  # pyright: ignore[reportAttributeAccessIssue]
    return network, fit(network, task, RECIPE, folder, config={"name": "tiny"}, progress=False)


def read(folder: Path) -> Evaluation:
    """Evaluate the network of a folder there."""
    task = create_task("needle", symbols=8)
    return evaluate(
        load(folder), task, lengths=LENGTHS, streams=STREAMS, batch=3, store=folder, about={"of": "needles"},
        progress=False,
    )  # fmt: skip


def fill(folder: Path) -> Cell:
    """A cell of a comparison."""
    return run_cell(SETTING, "gru", {}, folder)


def write(folder: Path) -> None:
    """The files."""
    torch.set_num_threads(1)
    scratch = folder / "scratch"
    train(scratch / "whole")
    _, stopped = train(folder / "run" / "begun", stop_at=8)
    assert not stopped.finished
    print("stopped after", stopped.updates)
    (folder / "run" / "whole").mkdir()
    for name in ("metrics.jsonl", "model.safetensors", "training.json"):
        shutil.copy(scratch / "whole" / name, folder / "run" / "whole" / name)
    torch.manual_seed(0)
    save(LanguageModel(12, dim=8, memory="gru", depth=1, hidden=8), folder / "evaluation")
    read(folder / "evaluation")
    (folder / "cell").mkdir()
    fill(scratch / "cell")
    shutil.copy(scratch / "cell" / "cell.json", folder / "cell")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
