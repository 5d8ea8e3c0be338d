"""What made a figure: the memories in a network with all their options, and which revision of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .catalog import memory_called
from .memory import Memory

TRAINING = 1
"""Revision of the training loop, raised by one whenever the same recipe would train other weights."""


def made_by(network: nn.Module) -> dict[str, Any]:
    """Of a network that was trained, as plain values: ``memories`` and the revision of ``training``.

    Returns:
        For every memory of the catalog that is inside, by its name: ``options``, those of the first that stands there,
        defaults included, and ``revision``.
    """
    found: dict[str, dict[str, Any]] = {}
    for part in (module for module in network.modules() if isinstance(module, Memory)):
        card = memory_called(f"{type(part).__module__}:{type(part).__qualname__}")
        if card is not None and card.name not in found:
            found[card.name] = {"options": json.loads(part.describe()["arguments"]), "revision": card.revision}
    return {"memories": found, "training": TRAINING}


def fingerprint(network: nn.Module) -> str:
    """A short name for the values of all parameters and buffers."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def told(network: nn.Module) -> dict[str, Any]:
    """What a configuration says of revisions, under its own key; see :func:`later`."""
    made = made_by(network)
    return later({**{name: each["revision"] for name, each in made["memories"].items()}, "training": made["training"]})


def later(numbers: Mapping[str, int]) -> dict[str, Any]:
    """``revisions`` that are not the first, which files of earlier versions do not name; nothing where all are."""
    found = {name: number for name, number in numbers.items() if number > 1}
    return {"revisions": found} if found else {}
