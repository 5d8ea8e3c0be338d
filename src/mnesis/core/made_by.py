"""What made a figure: the memories in a network with all their options, and which revision of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from .catalog import list_memories
from .memory import Memory

TRAINING = 1
"""Revision of the training loop, raised by one whenever the same recipe would train other weights."""


def made_by(network: nn.Module) -> dict[str, Any]:
    """Of a network that was trained, as plain values: ``memories`` and the revision of ``training``.

    Returns:
        For every memory of the catalog that is inside, by its name: ``options``, those of the first that stands there,
        defaults included, and ``revision``.
    """
    known = {f"mnesis.{card.target}": card for card in list_memories()}
    found: dict[str, dict[str, Any]] = {}
    for part in network.modules():
        card = known.get(f"{type(part).__module__}:{type(part).__qualname__}")
        if card is not None and isinstance(part, Memory) and card.name not in found:
            found[card.name] = {"options": json.loads(part.describe()["arguments"]), "revision": card.revision}
    return {"memories": found, "training": TRAINING}


def told(network: nn.Module) -> dict[str, Any]:
    """What a configuration says of revisions, under its own key; nothing where all are the first."""
    later = revisions(made_by(network))
    return {"revisions": later} if later else {}


def revisions(made: Mapping[str, Any]) -> dict[str, int]:
    """Those of :func:`made_by` that are not the first, which files of earlier versions do not name."""
    own = {name: each["revision"] for name, each in made["memories"].items()}
    return {name: number for name, number in {**own, "training": made["training"]}.items() if number > 1}
