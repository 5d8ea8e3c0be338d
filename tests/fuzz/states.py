"""State files, damaged or written by strangers."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

import mnesis
from mnesis.core.state import leaves, load_state, save_state, structure
from mnesis.core.state_classes import find
from tests.damaged_tensors import DAMAGE, damage, joined, parts

from . import Input, WrongSuccess

GRU = "mnesis.memories.recurrent.gru:GRUState"
NAMES = [
    "mnesis.cli.__main__:X", "mnesis.cli.bench:Bench", "mnesis:Memory", "torch:_inductor.X", "inspect:FullArgSpec",
    "os:stat_result", "builtins:tuple", "antigravity:x", "", ":", "a:b:c", "gru", GRU + "x", GRU.upper(), "\n",
    "x" * 5000,
    "mnesis.memories.recurrent.gru:GRU", "mnesis.core.task:Episode", "../own.py:State",
]  # fmt: skip
SOUND = ["whole", "numbers flipped"]
"""What is a state still; all else is to be refused, but for flips of the header that change nothing of it."""
AS_IT_WAS = ["dtype", "shape", "offsets", "renamed"]
"""What may be drawn as it was."""


def inputs(seed: int) -> Iterator[Input]:
    """Endless."""
    kinds = [*DAMAGE, *OTHERS]
    for index in itertools.count():
        label = f"states {seed} {index}"
        kind = Random(label).choice(kinds)
        yield Input(f"{label}: {kind}", partial(_make, label, kind), partial(_read, kind))


def _make(label: str, kind: str, folder: Path) -> tuple[Path, Any]:
    random = Random(label)
    torch.manual_seed(random.randrange(2**30))
    name, options = random.choice([("gru", {}), ("xlstm", {"heads": 2}), ("armt", {"segment": 4, "heads": 2})])
    with torch.no_grad():
        _, state = mnesis.create_memory(name, dim=8, **options)(torch.randn(2, 5, 8))
    path = folder / random.choice(["s.safetensors", "with space", "ünïcode", os.fsdecode(b"odd\xff")])
    save_state(state, path, about={"reader": "one"})
    if kind in DAMAGE:
        damage(path, kind, random)
    else:
        OTHERS[kind](path, random)
    return path, state


def _read(kind: str, made: tuple[Path, Any]) -> None:
    path, state = made
    modules = set(sys.modules)
    again = load_state(path)
    if added := {name for name in set(sys.modules) - modules if name.partition(".")[0] in ("antigravity", "mnesis")}:
        raise WrongSuccess(f"reading imported {sorted(added)}")
    if any(find(name) is None for name in _named(structure(again))):
        raise WrongSuccess("a class that no memory returns was made")
    if kind == "header flipped":  # within a name of the description, say
        if len(leaves(again)) != len(leaves(state)):
            raise WrongSuccess(f"{len(leaves(again))} leaves of {len(leaves(state))}")
    elif kind not in (*SOUND, *AS_IT_WAS):
        raise WrongSuccess(f"a file with {kind} was read")
    elif structure(again) != structure(state) or _told(again) != _told(state):
        raise WrongSuccess("another state was read")


def _told(state: Any) -> list[Any]:
    return [(leaf.numel(), leaf.dtype) for leaf in leaves(state)]  # an empty leaf has no one shape


def _named(tree: Any) -> set[str]:
    return set() if tree is None else {tree[0]} - {""} | {name for child in tree[1:] for name in _named(child)}


def _metadata(path: Path, **changes: str | None) -> None:
    header, data = parts(path.read_bytes())
    kept = header["__metadata__"] | changes
    header["__metadata__"] = {key: value for key, value in kept.items() if value is not None}
    path.write_bytes(joined(header, data))


def _tree(path: Path, random: Random) -> None:
    """A structure of another kind."""
    texts = [
        None, "", "{", "[]", "{}", "5", "NaN", "true", '"x"', "[5, null]", '["", []]', "[null]", "[[null]]", '[""]',
        "[" * 100_000, '["",' * random.choice([65, 900, 5000]) + "null", "1" * 6000, '["", "x"]',
    ]  # fmt: skip
    _metadata(path, structure=random.choice(texts))


def _classes(path: Path, random: Random) -> None:
    """A structure with another class, of any number of parts."""
    described = json.loads(parts(path.read_bytes())[0]["__metadata__"]["structure"])
    nodes, waiting = [], [described]
    while waiting:
        node = waiting.pop()
        if node is not None:
            nodes.append(node)
            waiting.extend(node[1:])
    chosen = random.choice([node for node in nodes if node[0]])
    chosen[0] = random.choice([name for name in NAMES if name])
    if random.random() < 0.3:
        chosen[1:] = [None] * random.randrange(9)
    _metadata(path, structure=json.dumps(described))


def _version(path: Path, random: Random) -> None:
    _metadata(path, mnesis_state=random.choice([None, "", "-5", "0", "2", "1.0", "one", "²", "9" * 5000, "1 "]))


def _numbers(path: Path, random: Random) -> None:
    header, data = parts(path.read_bytes())
    changed = bytearray(data)
    for _ in range(9):
        changed[random.randrange(len(data))] = random.randrange(256)
    path.write_bytes(joined(header, bytes(changed)))


def _pairs(path: Path, random: Random) -> None:
    _metadata(path, pairs=random.choice(["[0]", "[99]", "[-1]", "5", "{", "[true]", '["0"]', "[[0]]"]))


def _place(path: Path, random: Random) -> None:
    path.unlink()
    random.choice([lambda: None, path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(path.name + "x"),
                   lambda: path.symlink_to("/dev/zero")])()  # fmt: skip


def _sparse(path: Path, random: Random) -> None:
    with path.open("r+b") as file:
        file.truncate(random.choice([10**9, 10**12]))


OTHERS = {
    "whole": lambda path, random: None,
    "numbers flipped": _numbers,
    "another tree": _tree,
    "other classes": _classes,
    "another version": _version,
    "pairs that are none": _pairs,
    "no file": _place,
    "a sparse tail": _sparse,
}
