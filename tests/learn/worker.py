"""Trainings in processes of their own: to be killed, stopped, or run two at a time under torchrun."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from learn.tiny import ENDLESS, EPISODES, Echo, Sparse, TokenModel, Uneven, model, recipe
from safetensors.torch import save_file

from mnesis.core.task import Task
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
    numbers = {"clip": 0.5, "weight_decay": 0.1}
    return {
        "gru": (model("gru"), Uneven(), recipe(Stage(13, 6, 6, truncation=5), **numbers)),
        "rmt": (model("rmt", **SEGMENTS), Uneven(), recipe(Stage(13, 6, 6, truncation=6), **numbers)),
        "odd rows": (model("rmt", **SEGMENTS), Echo(), recipe(Stage(9, 5, 6), **numbers)),
        "late questions": (model("armt", **SEGMENTS), Sparse(), recipe(Stage(13, 4, 6, truncation=3), **numbers)),
        "windows": (
            model("rmt", **SEGMENTS),
            Uneven(),
            recipe(Stage((9, 14), 6, 12, truncation=5, update="window", start="carried"), **numbers),
        ),
        "noisy starts": (
            model("linear-attention", heads=2),
            Uneven(),
            recipe(Stage(9, 6, 4, start="noise"), Stage(9, 6, 6, start="fitted noise", start_share=0.6), **numbers),
        ),
    }


class Halt(BaseException):
    """Stops all processes at the same episode."""


def halting(task: Task, episodes: int) -> Task:
    """The same task, which breaks after so many episodes."""
    draw, left = task.episodes, iter(range(episodes))

    def episodes_or_halt(*arguments):
        if next(left, None) is None:
            raise Halt
        return draw(*arguments)

    task.episodes = episodes_or_halt
    return task


def train_together(folder: Path, *, halt: bool = False) -> None:
    """All of them, for as many processes as torchrun started; ``halt`` breaks each off once and goes on."""
    torch.set_num_threads(1)
    for name in together():
        for part in (0, 1) if halt else (1,):
            memory, task, chosen = together()[name]
            for module in memory.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
            try:
                fit(memory, halting(task, 3) if part == 0 else task, chosen, folder / name, progress=False)
            except Halt:
                continue
        if os.environ.get("RANK", "0") != "0" and not halt:
            save_file(memory.state_dict(), folder / name / "second.safetensors")


def shard() -> None:
    """Let accelerate train with FSDP, which it offers on accelerators alone, on the CPU."""
    Accelerator(mixed_precision="no")
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="NO_WRAP", cpu_ram_efficient_loading=False, reshard_after_forward=True
    )
    AcceleratorState._shared_state.update(distributed_type=DistributedType.FSDP, fsdp_plugin=plugin)
    PartialState._shared_state["distributed_type"] = DistributedType.FSDP


if __name__ == "__main__":
    train_together(Path(sys.argv[1]) / "replicated")
    shard()
    train_together(Path(sys.argv[1]) / "sharded", halt=True)
    state = PartialState()
    state.wait_for_everyone()  # nobody leaves while another still talks
    state.destroy_process_group()
