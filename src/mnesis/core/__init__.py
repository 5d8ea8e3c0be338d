"""The contract, states, laws, tasks and the catalog."""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

_AT_FIRST_USE = ("memory", "pieces", "record", "state", "task")
"""Modules that import torch; ``mnesis.core.state`` is there after ``import mnesis`` all the same."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> ModuleType:
        if name in _AT_FIRST_USE:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
