"""Checkpoints: a folder that appears whole or not at all, holds no pickle, and continues bit for bit.

``checkpoint-000000120/`` holds ``position.json``, ``model.safetensors``, ``optimiser.safetensors``,
``draws.safetensors`` (the generator as it stood before the present episode was drawn), and for each process r
``process-r.safetensors`` (its global generators) and ``state-r.safetensors`` (the carried state of its rows, if any).
Only the latest is kept. Beside it stand, while a training with a validation lasts, the best weights so far
(``best-000000080.safetensors``), and those that the checkpoint still takes for the best.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from ..core.domain import Size
from ..core.files import atomic_path, read_json, told, write_json
from ..core.folders import clear_leftovers, remove_empty
from ..core.memory import Memory
from ..core.state import batch_size, concatenate, load_state, save_state
from .position import Position
from .recipe import Recipe

FORMAT_VERSION = 1
MEND = "restore the file, or start anew with overwrite=True"
_POSITION = "position.json"
_NAME = re.compile(r"checkpoint-\d{9}")
_HIDDEN = re.compile(r"\.checkpoint-\d{9}\.(partial|removed)")
_BEST = re.compile(r"best-\d{9}\.safetensors")
_FILE = re.compile(r"(model|optimiser|draws|process-\d+|state-\d+)\.safetensors|position\.json")


@dataclass(frozen=True)
class _About:
    """What position.json says."""

    format: Size
    processes: Size
    carried: bool
    """Whether states stand beside it."""
    position: Position


class Restored(NamedTuple):
    """What a checkpoint held beside weights and moments."""

    position: Position
    draws: Tensor
    """State of the training's generator before the present episode was drawn."""
    state: Any
    """Carried state of all rows of the batch; None = fresh."""


def latest(folder: Path) -> Path | None:
    """The newest checkpoint in a run's folder."""
    found = sorted(path for path in _named(folder, _NAME) if (path / _POSITION).is_file())
    return found[-1] if found else None


def at(folder: Path, update: int) -> Path:
    """Where the checkpoint of an update stands."""
    return folder / f"checkpoint-{update:09d}"


def best(folder: Path, update: int) -> Path:
    """Where the weights of an update stand that did best on validation data."""
    return folder / f"best-{update:09d}.safetensors"


def all_best(folder: Path) -> list[Path]:
    """Weights that were the best once."""
    return _named(folder, _BEST)


def forget_best(folder: Path, but: int | None = None) -> None:
    """Remove weights that were the best once, except those of one update."""
    for path in all_best(folder):
        clear_leftovers(path)
        if but is None or path != best(folder, but):
            path.unlink(missing_ok=True)


def stale(folder: Path) -> list[Path]:
    """What kills left of writing and removing checkpoints."""
    torn = [path for path in _named(folder, _NAME) if not (path / _POSITION).is_file()]
    return _named(folder, _HIDDEN) + torn


def clear_stale(folder: Path) -> None:
    """Remove it."""
    for path in stale(folder):
        if _HIDDEN.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
        else:
            _empty(path)


def clear(folder: Path) -> None:
    """Remove all checkpoints and best weights."""
    clear_stale(folder)
    while (last := latest(folder)) is not None:
        remove(last)
    forget_best(folder)


def remove(path: Path) -> None:
    """Remove a checkpoint so that no moment shows half of it under its name; what is not of it stays in its folder."""
    if all(_FILE.fullmatch(each.name) for each in path.iterdir()):
        hidden = path.with_name(f".{path.name}.removed")
        shutil.rmtree(hidden, ignore_errors=True)
        path.rename(hidden)
        shutil.rmtree(hidden)
    else:
        _empty(path)


def _named(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    return [folder / name for name in os.listdir(folder) if pattern.fullmatch(name)] if folder.is_dir() else []


def _empty(path: Path) -> None:
    """Remove a checkpoint's files, first the one without which it is none, and its folder if nothing else is there."""
    for each in sorted(path.iterdir(), key=lambda each: each.name != _POSITION):
        if _FILE.fullmatch(each.name):
            each.unlink(missing_ok=True)
    remove_empty(path)


def save(
    folder: Path,
    accelerator: Accelerator,
    memory: nn.Module,
    optimiser: torch.optim.Optimizer,
    restored: Restored,
) -> None:
    """Write a checkpoint; every process calls it. ``restored.state`` is that of this process's rows."""
    position, rank = restored.position, accelerator.process_index
    final = at(folder, position.update)
    partial = folder / f".{final.name}.partial"
    model, moments = model_tensors(memory), _moments(memory, optimiser)
    with told(final):
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
            write_json(partial / _POSITION, {**about, "position": position.as_json()}, indent=None)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            _sync(partial)
            if final.exists():
                remove(final)
            partial.rename(final)
            _sync(folder)
            for old in _named(folder, _NAME):
                if old != final:
                    remove(old)
            if position.best is not None:
                forget_best(folder, position.best.update)


def load(
    path: Path,
    accelerator: Accelerator,
    memory: Memory[Any],
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
) -> Restored:
    """Read a checkpoint back into the memory, the optimiser and the global generators.

    With another number of processes the carried state is shared out anew and the global generators (dropout) keep
    their present seeds; everything else continues exactly.

    Raises:
        ValueError: a file is missing, truncated or of another format, holds what no training by this recipe leaves, or
            the weights are another memory's.
    """
    try:
        about: _About = read_json(path / _POSITION, _About, mend=MEND, newest=FORMAT_VERSION)
    except FileNotFoundError:
        raise _damaged(path, _POSITION, "is missing") from None
    position = about.position
    if about.processes > min(stage.batch for stage in recipe.stages):
        raise _damaged(path, _POSITION, f"says processes={about.processes}, more than a batch has rows")
    if position.update != int(path.name.rpartition("-")[2]):
        raise _damaged(path, _POSITION, f"says update={position.update}, which is not that of its folder")
    if wrong := next(position.faults(recipe), None):
        raise _damaged(path, _POSITION, f"says {wrong}, where no training comes to stand")
    draws = _generator(path / "draws.safetensors", "generator")
    state = _state(path, about, recipe)
    load_model(path / "model.safetensors", memory)
    _load_moments(path / "optimiser.safetensors", position, memory, optimiser)
    if about.processes == accelerator.num_processes:
        file = path / f"process-{accelerator.process_index}.safetensors"
        torch.set_rng_state(_generator(file, "cpu"))
        if accelerator.device.type == "cuda" and "cuda" in (generators := read_tensors(file)):
            torch.cuda.set_rng_state(generators["cuda"], accelerator.device)
    return Restored(position, draws, state)


def _generator(path: Path, name: str) -> Tensor:
    """The state of a generator on the CPU."""
    found = read_tensors(path).get(name)
    try:
        if found is not None:
            torch.Generator().set_state(found)
            return found
    except (RuntimeError, TypeError):
        pass
    raise _damaged(path.parent, path.name, f"holds no state of a generator named {name!r}")


def _state(path: Path, about: _About, recipe: Recipe) -> Any:
    """The carried state of all rows; None where the next episode starts without."""
    position = about.position
    stage = position.current(recipe)
    keeps = stage is not None and stage.start in ("carried", "fitted noise") and position.stage_update > 0
    if about.carried != (position.window > 0 or keeps):
        raise _damaged(path, _POSITION, f"says carried={about.carried}, which does not fit where it stands")
    if not about.carried or stage is None:
        return None
    files = [path / f"state-{rank}.safetensors" for rank in range(about.processes)]
    if missing := [file.name for file in files if not file.is_file()]:
        raise _damaged(path, missing[0], "is missing")
    state = concatenate([load_state(file) for file in files])
    if batch_size(state) not in (None, stage.batch):
        raise _damaged(path, files[0].name, f"has {batch_size(state)} rows where a batch has {stage.batch}")
    return state


def _load_moments(path: Path, position: Position, memory: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """AdamW's step and moments, of all parameters or, before anything was learned, of none."""
    moments = read_tensors(path)
    trained = {name: p for name, p in memory.named_parameters() if p.requires_grad}
    shapes: dict[str, torch.Size] = {}
    for name, parameter in trained.items():
        shapes |= {f"{name}.step": torch.Size(), f"{name}.exp_avg": parameter.shape}
        shapes |= {f"{name}.exp_avg_sq": parameter.shape}
    learned = bool(position.recent) or any(stage.loss is not None for stage in position.stages)
    if learned or moments:
        there = {name: value.shape for name, value in moments.items()}
        for name in [*shapes, *there]:
            if there.get(name) != shapes.get(name):
                found, expected = (list(each[name]) if name in each else "nothing" for each in (there, shapes))
                why = f"holds moments of another shape ({name}: {found} there, {expected} here)"
                raise _damaged(path.parent, path.name, why)
    _check_numbers(path, moments)
    if not moments:
        return
    for name, parameter in trained.items():
        found = {key: moments[f"{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
        optimiser.state[parameter] = {
            key: value if value.ndim == 0 else _placed(value, parameter.detach()) for key, value in found.items()
        }


def _check_numbers(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Refuse what no training writes: it stops at the first loss that is no number."""
    for name, value in tensors.items():
        if value.is_floating_point() and value.isnan().any():
            raise _damaged(path.parent, path.name, f"holds NaN ({name})")


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
    _check_numbers(path, saved)
    with torch.no_grad():
        for name, value in saved.items():
            present[name].copy_(_placed(value, present[name]))


def write_model(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write weights to one file, atomically."""
    with atomic_path(path) as temporary:
        _write(temporary, tensors)
    _sync(path.parent)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; a truncated or missing one is a ValueError."""
    try:
        with safe_open(path, framework="pt") as file:
            # Cloned: kernels may sum in another order on unaligned memory.
            return {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _damaged(path.parent, path.name, f"is missing or truncated ({error})") from None


def _damaged(folder: Path, name: str, error: object) -> ValueError:
    return ValueError(f"{folder} cannot be read: {name} {error}; {MEND}")


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
