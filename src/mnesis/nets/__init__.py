"""Whole models: each is itself a memory."""

from .classifier import Classifier
from .files import build, load, load_weights, save, specification
from .language_model import LanguageModel
from .stack import Block, Stack

__all__ = ["Block", "Classifier", "LanguageModel", "Stack", "build", "load", "load_weights", "save", "specification"]
