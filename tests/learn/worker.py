"""Trainings in processes of their own: to be killed, stopped, or run two at a time under torchrun."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from learn.tiny import ENDLESS, EPISODES, Echo, Sparse, TokenModel, Uneven, model, recipe
from safetensors.torch import save_file

from mnesis.learn import Stage, Training, checkpoint, fit

SEGMENTS = {"segment": 4, "memory_tokens": 2, "heads": 2, "hidden": 24, "layers": 1}


def train(kind: str, folder: Path, resume: bool = True) -> tuple[TokenModel, Training]:
    """A training of some seconds; the memory is built anew, with weights that a checkpoint must overrule."""
    os.environ["ACCELERATE_USE_CPU"] = "true"
    torch.set_num_threads(1)
    memory = model(seed=0 if checkpoint.latest(folder) is None else 999)
    chosen = {"episodes": EPISODES, "endless": ENDLESS}[kind]
    return memory, fit(memory, Uneven(), chosen, folder, progress=False, resume=resume)


def train_and_exit(kind: str, folder: Path) -> None:
    """Exit as programs do: 0, or 128 and the signal."""
    _, result = train(kind, folder)
    sys.exit(0 if result.finished else 128 + (result.signal or 0))


def together() -> dict[str, tuple]:
    """Trainings that one process and several must end alike: memory, task, recipe."""
    dropless = {"clip": 0.5, "weight_decay": 0.1}
    return {
        "gru": (model("gru"), Uneven(), recipe(Stage(13, 6, 8, truncation=5), **dropless)),
        "rmt": (model("rmt", **SEGMENTS), Uneven(), recipe(Stage(13, 6, 8, truncation=6), **dropless)),
        "odd rows": (model("rmt", **SEGMENTS), Echo(), recipe(Stage(9, 5, 6), **dropless)),
        "late questions": (model("armt", **SEGMENTS), Sparse(), recipe(Stage(13, 4, 6, truncation=3), **dropless)),
        "windows": (
            model("rmt", **SEGMENTS),
            Uneven(),
            recipe(Stage((9, 14), 6, 12, truncation=5, update="window", carry=True), save_every=5, **dropless),
        ),
    }


def train_together(folder: Path) -> None:
    """All of them, for as many processes as torchrun started."""
    torch.set_num_threads(1)
    for name, (memory, task, numbers) in together().items():
        for module in memory.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        result = fit(memory, task, numbers, folder / name, progress=False)
        assert result.finished
        rank = os.environ.get("RANK", "0")
        tensors = {key: value.contiguous() for key, value in memory.state_dict().items()}
        save_file(tensors, folder / f"{name}-{rank}.safetensors")


if __name__ == "__main__":
    train_together(Path(sys.argv[1]))
