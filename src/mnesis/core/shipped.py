"""Models that ship with the package, by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from .domain import nearest, shown_text

Kind = Literal["readers", "pictures"]
"""Of models in the package, as their folders are called: those that read text, and those that draw."""
KINDS: dict[Kind, str] = {"readers": "reader", "pictures": "model of pictures"}


def shipped(kind: Kind = "readers") -> list[str]:
    """Names of the models of a kind in the package."""
    folder = Path(str(files("mnesis"))) / kind
    return sorted(path.parent.name for path in folder.glob("*/model.safetensors"))


def shipped_folder(name: str, kind: Kind = "readers") -> Path:
    """Where such a model stands."""
    return Path(str(files("mnesis"))) / kind / name


def find(model: str, kind: Kind = "readers") -> Path:
    """The folder of a run, or of a model that ships with the package, as :func:`mnesis.nets.load` opens them.

    Args:
        model: a folder's path, or the name of a model that ships.
        kind: "readers" of text, or "pictures".

    Raises:
        ValueError: neither.
    """
    if Path(model).is_dir():
        return Path(model)
    if model in shipped(kind):
        return shipped_folder(model, kind)
    near = nearest(model, shipped(kind))
    hint = f"did you mean {near!r}?" if near else f"here is {', '.join(shipped(kind)) or 'none'}"
    raise ValueError(f"there is no folder {shown_text(model)} and no {KINDS[kind]} of that name; {hint}")
