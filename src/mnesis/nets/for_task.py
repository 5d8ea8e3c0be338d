"""The network for a task: tokens or vectors in, logits or numbers out, around any memory."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..core.catalog import card
from ..core.memory import Memory
from ..core.task import Task
from .classifier import Classifier
from .language_model import LanguageModel


def network_for(
    task: Task,
    memory: str,
    *,
    dim: int,
    depth: int,
    hidden: int | None = None,
    convolution: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Memory[Any]:
    """A network that reads a task's inputs and answers as its targets are, with fresh weights.

    Around a memory that is not trained stand no MLPs, which nothing would fit.

    Args:
        task: whose inputs and targets they are.
        memory: name in the catalog, or ``file.py:Class``.
        dim: width.
        depth: blocks.
        hidden: width of the MLPs; 4 dim if None.
        convolution: width of the causal convolution before every memory; None = without. A whole stack that has no
            place for one goes without.
        options: constructor arguments of the memory.

    Raises:
        ValueError: a task that no network fits, options that the memory does not take, or a width that it cannot have.
    """
    around: dict[str, Any] = {
        "dim": dim,
        "hidden": hidden,
        "memory": memory,
        "depth": depth,
        "convolution": convolution if _takes_convolution(memory) else None,
        "options": dict(options or {}),
        "mlp": None if card("memories", memory).search else "gelu",
    }
    ids = getattr(task, "vocabulary", None)  # which a class of one's own may have forgotten
    if not isinstance(ids, int) or isinstance(ids, bool):
        raise ValueError(
            f"{type(task).__name__} says no vocabulary; set it to the number of ids, 0 where targets are numbers"
        )
    if task.features:
        return Classifier(task.features, task.target_features or ids, **around)
    if not ids or task.target_features:
        raise ValueError(
            f"no network fits {type(task).__name__}, whose inputs are token ids and whose targets are numbers; give it "
            "inputs of features, or targets of a vocabulary"
        )
    return LanguageModel(ids, **around)


def usual_heads(memory: str, dim: int, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Four heads, or as many as divide the width, where the memory has heads and no number was given."""
    parameters = inspect.signature(card("memories", memory).load().__init__).parameters
    if "heads" not in parameters or "heads" in options or parameters["heads"].default is None:
        return options
    return {**options, "heads": next(count for count in (4, 2, 1) if dim % (2 * count) == 0 or count == 1)}


def _takes_convolution(memory: str) -> bool:
    """Whether it stands in our blocks, or is a whole stack that has a place for one."""
    known = card("memories", memory)
    return not known.whole or "convolution" in inspect.signature(known.load().__init__).parameters
