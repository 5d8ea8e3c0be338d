"""Folders of networks, damaged or written by strangers."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from mnesis.core.catalog import card, list_memories
from mnesis.core.domain import argument_domains
from mnesis.nets import Classifier, LanguageModel, Stack, load, save
from tests.damaged_tensors import DAMAGE, damage

from . import Input, WrongSuccess

VALUES: list[Any] = [
    0, -1, 1, 2, 7, 10**5, 10**9, 10**18, 10**30, 1.5, -0.5, 1e300, None, True, "", "8", "gru", [], [8], {}, {"dim": 4},
    [[[]]], "x" * 10_000,
]  # fmt: skip
BROKEN = [
    b"", b"{", b"[]", b"5", b"null", b'"x"', b"{}", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"[" * 100_000,
    b"\x00" * 64,
    b'{"config": 5}', b'{"config": {"model": []}}', b'{"network": null, "arguments": {}}',
    b'{"memory": 5, "arguments": {}}',
    b'{"network": "Stack"}', b'{"network": "Stack", "arguments": {"dim": NaN}}', b'{"a": ' + b"9" * 6000 + b"}",
    b'{"network": "Stack", "arguments": {"dim": 1e999}}', b'{"network": "Perceptron", "arguments": {}}', b'{"a":' * 90,
]  # fmt: skip


def inputs(seed: int) -> Iterator[Input]:
    """Endless."""
    kinds = [f"weights: {kind}" for kind in DAMAGE] + 3 * list(CHANGES)
    for index in itertools.count():
        label = f"model folders {seed} {index}"
        kind = Random(label).choice(kinds)
        yield Input(f"{label}: {kind}", partial(_make, label, kind), partial(_read, kind))


def _make(label: str, kind: str, folder: Path) -> Path:
    random = Random(label)
    torch.manual_seed(0)
    network = random.choice(
        [LanguageModel(16, dim=8, memory="gla", depth=1, options={"heads": 2}), Classifier(3, 2, dim=8, depth=1),
         Stack(8, memory="hippo", depth=1, options={"signals": 2, "order": 4}),
         LanguageModel(16, dim=8, memory="armt", depth=1, options={"heads": 2, "segment": 8}, tie=True)]
    )  # fmt: skip
    save(network, folder / "reader")
    if kind.startswith("weights: "):
        damage(folder / "reader" / "model.safetensors", kind.removeprefix("weights: "), random)
    else:
        CHANGES[kind](folder / "reader", random)
    return folder / "reader"


def _read(kind: str, folder: Path) -> None:
    network = load(folder)
    if (folder / "ran").exists():
        raise WrongSuccess("code of the folder ran")
    if kind in ("code", "diverged", "no JSON", "no file"):
        raise WrongSuccess(f"a folder with {kind} was opened")
    held = load_file(folder / "model.safetensors")
    for name, value in network.state_dict().items():
        if not value.isfinite().all():
            raise WrongSuccess(f"{name} is not finite")
        if name in held and not torch.equal(held[name].to(value.dtype), value):
            raise WrongSuccess(f"{name} is not what the file holds")


def _described(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def _write(folder: Path, described: Any) -> None:
    (folder / "config.json").write_text(json.dumps(described), encoding="utf-8")


def _argument(folder: Path, random: Random) -> None:
    described = _described(folder)
    arguments = described["arguments"]
    arguments[random.choice([*arguments, "more"])] = random.choice(VALUES)
    _write(folder, described)


def _option(folder: Path, random: Random) -> None:
    """Another memory with an argument that belongs to none."""
    described = _described(folder)
    name = random.choice(list_memories()).name
    known = [key for key in argument_domains(card("memories", name).load()) if key != "dim"]
    described["arguments"] |= {"memory": name, "options": {random.choice([*known, "more"]): random.choice(VALUES)}}
    _write(folder, described)


def _bare(folder: Path, random: Random) -> None:
    name = random.choice(list_memories()).name
    known = list(argument_domains(card("memories", name).load()))
    arguments = {"dim": 8, random.choice(known): random.choice(VALUES)}
    _write(folder, {"memory": name, "arguments": arguments})


def _code(folder: Path, random: Random) -> None:
    (folder / "hook.py").write_text(f"from pathlib import Path\nPath({str(folder / 'ran')!r}).touch()\n")
    described = _described(folder)
    name = random.choice([f"{folder / 'hook.py'}:M", "os:system", "antigravity:x", ":x", "x:", "mnesis.cli.__main__:X"])
    described["arguments"]["memory"] = random.choice([name, [name], ["gru", name]])
    _write(folder, random.choice([described, {"config": {"model": described}}, {"memory": name, "arguments": {}}]))


def _diverged(folder: Path, random: Random) -> None:
    weights = load_file(folder / "model.safetensors")
    name = random.choice(list(weights))
    flat = weights[name].view(-1)
    flat[random.randrange(len(flat))] = random.choice([float("nan"), float("inf"), float("-inf")])
    save_file(weights, folder / "model.safetensors")


def _broken(folder: Path, random: Random) -> None:
    (folder / "config.json").write_bytes(random.choice(BROKEN))


def _flipped(folder: Path, random: Random) -> None:
    content = bytearray((folder / "config.json").read_bytes())
    content[random.randrange(len(content))] = random.randrange(256)
    (folder / "config.json").write_bytes(bytes(content))


def _absent(folder: Path, random: Random) -> None:
    path = folder / random.choice(["config.json", "model.safetensors"])
    path.unlink()
    random.choice([lambda: None, path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")])()


def _tied(folder: Path, random: Random) -> None:
    weights = load_file(folder / "model.safetensors")
    names = [*weights, "more", ""]
    told = random.choice(["{", "5", "[" * 9999, json.dumps({random.choice(names): random.choice(names)})])
    save_file(weights, folder / "model.safetensors", {"tied": told})


CHANGES = {
    "whole": lambda folder, random: None,
    "another argument": _argument,
    "another option": _option,
    "a bare memory": _bare,
    "code": _code,
    "diverged": _diverged,
    "no JSON": _broken,
    "config flipped": _flipped,
    "no file": _absent,
    "ties": _tied,
}
