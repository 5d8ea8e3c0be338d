"""Networks as folders: config.json and model.safetensors; a run's folder is read too."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..core.files import atomic_path
from ..core.memory import Memory
from .classifier import Classifier
from .language_model import LanguageModel
from .stack import Stack

NETWORKS: dict[str, type[Memory]] = {"LanguageModel": LanguageModel, "Classifier": Classifier, "Stack": Stack}
CONFIG, WEIGHTS = "config.json", "model.safetensors"


def specification(network: Memory) -> dict[str, Any]:
    """Class and constructor arguments, from which ``build`` makes the same network with fresh weights."""
    name = type(network).__name__
    if NETWORKS.get(name) is not type(network):
        raise ValueError(f"{name} is not one of {', '.join(NETWORKS)}; save its state_dict() yourself")
    try:
        arguments = json.loads(json.dumps(network.config))
    except TypeError as error:
        raise ValueError(f"{name} was built from objects ({error}); build it from names to save it") from None
    return {"network": name, "arguments": arguments}


def build(description: dict[str, Any]) -> Memory:
    """The network that a specification names, with fresh weights."""
    name = description.get("network")
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; known are {', '.join(NETWORKS)}")
    return NETWORKS[name](**description["arguments"])


def save(
    network: Memory, folder: str | os.PathLike[str], *, overwrite: bool = False, dtype: torch.dtype | None = None
) -> None:
    """Write a network to a folder.

    Args:
        network: a LanguageModel, Classifier or Stack built from names.
        folder: made if missing.
        overwrite: allow to replace weights that stand there.
        dtype: of the stored weights; float16 halves the file.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).exists() and not overwrite:
        raise ValueError(f"{folder} already holds {WEIGHTS}; choose another folder or pass overwrite")
    tensors = {name: t.detach().cpu().to(dtype or t.dtype).contiguous() for name, t in network.state_dict().items()}
    description = specification(network)
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"mnesis": "network"})
    with atomic_path(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def load(folder: str | os.PathLike[str]) -> Memory:
    """The network of a folder, in evaluation mode.

    Raises:
        FileNotFoundError: no such folder, or a half-written one.
        ValueError: a file that is broken, or weights that do not fit the configuration.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}; it is no saved network, or a run that has not finished")
    try:
        description = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        network = build(description if "network" in description else description["config"]["model"])
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{folder / CONFIG} does not describe a network ({error}); save it anew") from None
    load_weights(network, folder / WEIGHTS)
    return network.eval()


def load_weights(network: Memory, path: str | os.PathLike[str]) -> None:
    """Fill a network from a safetensors file, in the network's own dtype."""
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}); it was truncated: save it anew") from None
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ValueError(f"{path} does not fit the network of its config.json: {reason}") from None
