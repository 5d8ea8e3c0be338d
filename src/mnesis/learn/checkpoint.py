"""Checkpoints: a folder that appears whole or not at all, holds no pickle, and continues bit for bit.

``checkpoint-000000120/`` holds ``position.json``, ``model.safetensors``, ``optimiser.safetensors``,
``draws.safetensors`` (the generator as it stood before the present episode was drawn), and for each process r
``process-r.safetensors`` (its global generators) and ``state-r.safetensors`` (the carried state of its rows, if any).
Only the latest is kept. Beside it stand, while a training with a validation lasts, the best weights so far
(``best-000000080.safetensors``), and those that the checkpoint still takes for the best.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from ..core.state import concatenate, load_state, save_state
from .position import Position

FORMAT_VERSION = 1
_PREFIX, _BEST = "checkpoint-", "best-"


class Restored(NamedTuple):
    """What a checkpoint held beside weights and moments."""

    position: Position
    draws: Tensor
    """State of the training's generator before the present episode was drawn."""
    state: Any
    """Carried state of all rows of the batch; None = fresh."""


def latest(folder: Path) -> Path | None:
    """The newest checkpoint in a run's folder."""
    found = sorted(path for path in folder.glob(f"{_PREFIX}*") if path.is_dir())
    return found[-1] if found else None


def best(folder: Path, update: int) -> Path:
    """Where the weights of an update stand that did best on validation data."""
    return folder / f"{_BEST}{update:09d}.safetensors"


def forget_best(folder: Path, but: int | None = None) -> None:
    """Remove weights that were the best once, except those of one update."""
    for path in folder.glob(f"{_BEST}*.safetensors"):
        if but is None or path != best(folder, but):
            path.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a folder so that no moment shows half of it under its name."""
    hidden = path.with_name(f".{path.name}.removed")
    shutil.rmtree(hidden, ignore_errors=True)
    path.rename(hidden)
    shutil.rmtree(hidden)


def save(
    folder: Path,
    accelerator: Accelerator,
    memory: nn.Module,
    optimiser: torch.optim.Optimizer,
    restored: Restored,
) -> None:
    """Write a checkpoint; every process calls it. ``restored.state`` is that of this process's rows."""
    position, rank = restored.position, accelerator.process_index
    final = folder / f"{_PREFIX}{position.update:09d}"
    partial = folder / f".{final.name}.partial"
    model, moments = model_tensors(memory), _moments(memory, optimiser)
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    accelerator.wait_for_everyone()
    _write(partial / f"process-{rank}.safetensors", _global_generators(accelerator.device))
    if restored.state is not None:
        save_state(restored.state, partial / f"state-{rank}.safetensors")
    if accelerator.is_main_process:
        _write(partial / "model.safetensors", model)
        _write(partial / "optimiser.safetensors", moments)
        _write(partial / "draws.safetensors", {"generator": restored.draws})
        about = {
            "format": FORMAT_VERSION,
            "processes": accelerator.num_processes,
            "carried": restored.state is not None,
        }
        (partial / "position.json").write_text(json.dumps({**about, "position": position.as_json()}))
        _sync(partial / "position.json")
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        _sync(partial)
        if final.exists():
            remove(final)
        partial.rename(final)
        _sync(folder)
        for old in folder.glob(f"{_PREFIX}*"):
            if old != final:
                remove(old)
        if position.best is not None:
            forget_best(folder, position.best.update)


def load(path: Path, accelerator: Accelerator, memory: nn.Module, optimiser: torch.optim.Optimizer) -> Restored:
    """Read a checkpoint back into the memory, the optimiser and the global generators.

    With another number of processes the carried state is shared out anew and the global generators (dropout) keep
    their present seeds; everything else continues exactly.

    Raises:
        ValueError: a file is missing, truncated or of another format, or the weights are another memory's.
    """
    try:
        about = json.loads((path / "position.json").read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path, "position.json", error) from None
    if about["format"] > FORMAT_VERSION:
        raise ValueError(
            f"{path} has format {about['format']}, this mnesis reads up to {FORMAT_VERSION}; upgrade mnesis"
        )
    load_model(path / "model.safetensors", memory)
    moments = read_tensors(path / "optimiser.safetensors")
    for name, parameter in memory.named_parameters():
        found = {key: value for key, value in moments.items() if key.rpartition(".")[0] == name}
        if found:
            optimiser.state[parameter] = {
                key.rpartition(".")[2]: value if value.ndim == 0 else _placed(value, parameter.detach())
                for key, value in found.items()
            }
    if about["processes"] == accelerator.num_processes:
        generators = read_tensors(path / f"process-{accelerator.process_index}.safetensors")
        torch.set_rng_state(generators["cpu"])
        if "cuda" in generators and accelerator.device.type == "cuda":
            torch.cuda.set_rng_state(generators["cuda"], accelerator.device)
    draws = read_tensors(path / "draws.safetensors")["generator"]
    state = None
    if about["carried"]:
        files = [path / f"state-{rank}.safetensors" for rank in range(about["processes"])]
        if missing := [file.name for file in files if not file.is_file()]:
            raise _damaged(path, missing[0], "no such file")
        state = concatenate([load_state(file) for file in files])
    return Restored(Position.from_json(about["position"]), draws, state)


def model_tensors(memory: nn.Module) -> dict[str, Tensor]:
    """All weights and buffers by name, whole and on the CPU; every process calls it where they are sharded."""
    return {name: _whole(value) for name, value in memory.state_dict().items() if isinstance(value, Tensor)}


def load_model(path: Path, memory: nn.Module) -> None:
    """Copy saved weights into a memory, sharded or not."""
    saved = read_tensors(path)
    present = {name: value for name, value in memory.state_dict().items() if isinstance(value, Tensor)}
    for name in [*saved, *present]:
        if name not in saved or name not in present or saved[name].shape != present[name].shape:
            shapes = [list(found[name].shape) if name in found else "nothing" for found in (saved, present)]
            raise ValueError(
                f"{path} holds the weights of another memory ({name}: {shapes[0]} there, {shapes[1]} here); build the "
                "memory as it was built for that run, or train in another folder"
            )
    with torch.no_grad():
        for name, value in saved.items():
            present[name].copy_(_placed(value, present[name]))


def write_model(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write weights to one file, atomically."""
    partial = path.with_name(f".{path.name}.partial")
    _write(partial, tensors)
    partial.replace(path)
    _sync(path.parent)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; a truncated or missing one is a ValueError."""
    try:
        with safe_open(path, framework="pt") as file:
            # Cloned: kernels may sum in another order on unaligned memory.
            return {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(path.parent, path.name, error) from None


def _damaged(folder: Path, name: str, error: object) -> ValueError:
    return ValueError(
        f"{folder} cannot be read: {name} is missing or truncated ({error}); restore the file, or start anew with "
        "overwrite=True"
    )


def _moments(memory: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": _whole(value)
        for name, parameter in memory.named_parameters()
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def _whole(value: Tensor) -> Tensor:
    whole = value.full_tensor() if isinstance(value, DTensor) else value
    return whole.detach().cpu().contiguous().clone()


def _placed(value: Tensor, like: Tensor) -> Tensor:
    """The value with the device, the strides and the sharding of another tensor."""
    if isinstance(like, DTensor):
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    return torch.empty_like(like, dtype=value.dtype).copy_(value)


def _global_generators(device: torch.device) -> dict[str, Tensor]:
    cuda = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, path)
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
