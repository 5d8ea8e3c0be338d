"""Whole models: each is itself a memory."""

from typing import TYPE_CHECKING, Any

from .classifier import Classifier
from .files import build, load, load_weights, save, specification
from .language_model import LanguageModel
from .stack import Block, Stack

if TYPE_CHECKING:
    from .huggingface import HostedLanguageModel

__all__ = [
    "Block",
    "Classifier",
    "HostedLanguageModel",
    "LanguageModel",
    "Stack",
    "build",
    "load",
    "load_weights",
    "save",
    "specification",
]


if not TYPE_CHECKING:  # what needs transformers is imported where it is asked for

    def __getattr__(name: str) -> Any:
        if name == "HostedLanguageModel":
            from .huggingface import HostedLanguageModel

            return HostedLanguageModel
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
