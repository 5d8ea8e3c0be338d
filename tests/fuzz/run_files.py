"""Files of runs, changed at random: config, metrics, position, tensors, results, records, cell, steps and source."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from . import Input, WrongSuccess

CLAIM = "vma-few-shot.json"
OLD = Path(__file__).resolve().parent.parent / "old"
VALUES: tuple[Any, ...] = (
    None, True, -1, -5, 0, 1, 2, 7, 10**9, 10**30, 0.5, -0.5, 1.5, 1e300, float("nan"), float("inf"), "", "x",
    "../../etc/passwd", "file.py:Class", "a" * 5000, [], [[]], [None], {}, {"a": 1}, [1, 2, 3],
)  # fmt: skip


def inputs(seed: int) -> Iterator[Input]:
    """Without end; each draws from a seed of its own, which its label tells."""
    claim = _claimed()
    kinds: list[tuple[str, Callable[..., Any], Callable[[Any], Any]]] = [
        ("run", _run, _train),
        ("finished run", _finished, _train),
        ("evaluation", _evaluation, _evaluate),
        ("report", _evaluation, _report),
        ("cell", _cell, _compare),
        ("source", _source, _source_of),
        ("claim", partial(_claim, claim), _page),
    ]
    number = 0
    while True:
        for kind, make, read in kinds:
            label = f"{kind} {seed}.{number}"
            yield Input(label, partial(make, random.Random(label)), read)
        number += 1


def changed_json(chance: random.Random, content: Any) -> Any:
    """One entry is replaced, removed, added or repeated, at any depth."""
    if isinstance(content, (dict, list)) and content and chance.random() < 0.8:
        content = content.copy()
        keys = list(content) if isinstance(content, dict) else range(len(content))
        key = chance.choice(list(keys))
        way = chance.random()
        if way < 0.1:
            del content[key]
        elif way < 0.2 and isinstance(content, dict):
            content[chance.choice(["more", "format", "update"])] = chance.choice(VALUES)
        elif way < 0.2:
            content.insert(0, content[key])
        else:
            content[key] = changed_json(chance, content[key])
        return content
    if isinstance(content, (int, float)) and not isinstance(content, bool) and chance.random() < 0.3:
        return content + chance.choice([-1, 1, 1000, -1000, 0.5])
    return chance.choice(VALUES)


def changed_text(chance: random.Random, text: str) -> bytes:
    """JSON, or lines of it, of which one is changed: its values, or its bytes."""
    if chance.random() < 0.7:
        lines = [text] if text.lstrip().startswith(("{\n", "[\n")) or "\n" not in text.strip() else text.splitlines()
        at = chance.randrange(len(lines))
        lines[at] = json.dumps(changed_json(chance, json.loads(lines[at])))
        return ("\n".join(lines) + "\n").encode()
    return changed_bytes(chance, text.encode())


def changed_bytes(chance: random.Random, content: bytes) -> bytes:
    """Cut, filled with zeros, flipped, repeated, nested, or of another kind altogether."""
    at = chance.randrange(max(1, len(content)))
    ways = (
        lambda: content[:at],
        lambda: b"",
        lambda: content[:at] + bytes(chance.randrange(1, 60)) + content[at:],
        lambda: content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :] if content else b"x",
        lambda: content + content,
        lambda: content[:at] + b"\n\n" + content[at:],
        lambda: b"[" * chance.choice([70, 5000, 200_000]),
        lambda: chance.randbytes(chance.randrange(200)),
        lambda: b"\xff\xfe" + content,
    )
    return chance.choice(ways)()


def _change(chance: random.Random, path: Path) -> None:
    whole = path.read_bytes()
    if path.suffix == ".safetensors":
        path.write_bytes(changed_bytes(chance, whole))
    elif chance.random() < 0.03:
        path.unlink()
    else:
        path.write_bytes(changed_text(chance, whole.decode()))


def _run(chance: random.Random, folder: Path) -> Path:
    shutil.copytree(OLD / "run" / "begun", folder / "run")
    _change(chance, chance.choice([path for path in sorted((folder / "run").rglob("*")) if path.is_file()]))
    return folder / "run"


def _finished(chance: random.Random, folder: Path) -> Path:
    shutil.copytree(OLD / "run" / "whole", folder / "run")
    shutil.copy(OLD / "run" / "begun" / "config.json", folder / "run")
    _change(chance, chance.choice(sorted((folder / "run").iterdir())))
    return folder / "run"


def _train(folder: Path) -> None:
    """Going on must end with the weights of a training that nobody disturbed."""
    import torch

    from mnesis.learn.checkpoint import read_tensors
    from tests.old.wrote_runs import train

    torch.set_num_threads(1)
    config = (folder / "config.json").read_text() if (folder / "config.json").exists() else ""
    changed = {path for path in folder.rglob("*.safetensors") if not _is_old(path)}
    network, result = train(folder, seed=5)
    whole = read_tensors(OLD / "run" / "whole" / "model.safetensors")
    same = all(torch.allclose(value, whole[name], atol=1e-5) for name, value in network.state_dict().items())
    known = config == (OLD / "run" / "begun" / "config.json").read_text()
    # A flipped bit in a weight is a weight; and a run whose files are all gone but its config begins anew.
    if known and not same and not changed and any(path.name.startswith("checkpoint") for path in folder.iterdir()):
        raise WrongSuccess("it went on and ended with other weights")
    if result.updates < 0 or not result.finished:
        raise WrongSuccess(f"{result.updates} updates, finished: {result.finished}")


def _is_old(path: Path) -> bool:
    return any(other.read_bytes() == path.read_bytes() for other in (OLD / "run").rglob(path.name))


def _evaluation(chance: random.Random, folder: Path) -> Path:
    shutil.copytree(OLD / "evaluation", folder / "run")
    names = ("evaluation.jsonl", "evaluation.jsonl", "results.json")
    _change(chance, folder / "run" / chance.choice(names))
    return folder / "run"


def _evaluate(folder: Path) -> None:
    from tests.old.wrote_runs import LENGTHS, STREAMS, read

    found = read(folder)
    if {(record.length, record.stream) for record in found.streams} != {
        (n, i) for n in LENGTHS for i in range(STREAMS)
    }:
        raise WrongSuccess("streams that nobody asked for, or too few of them")


def _report(folder: Path) -> None:
    from mnesis.measure import write_report

    write_report([folder])


def _cell(chance: random.Random, folder: Path) -> Path:
    place = folder / "copy" / "gru"
    shutil.copytree(OLD / "cell", place)
    _change(chance, place / "cell.json")
    return folder


def _compare(folder: Path) -> None:
    from mnesis.compare.cell import stood
    from mnesis.compare.grid import standing
    from mnesis.compare.page import write_boards
    from tests.old.wrote_runs import SETTING

    stood(SETTING, "gru", {}, folder / "copy" / "gru")
    write_boards(folder, standing(folder))


def _source(chance: random.Random, folder: Path) -> Path:
    from mnesis.tasks.stories.babilong.source import BABILongSource

    (folder / "source.json").write_bytes(changed_text(chance, json.dumps(BABILongSource().as_json())))
    return folder


def _source_of(folder: Path) -> None:
    from mnesis.cli.training import kept_tokenizer
    from mnesis.tasks.stories.babilong.source import BABILongSource

    kept_tokenizer(folder, BABILongSource(), False)
    if json.loads((folder / "source.json").read_text()).get("vocabulary", 2048) != 2048:
        raise WrongSuccess("a run on other data was taken for this one")


def _claimed() -> str:
    """What a claim that takes a second leaves."""
    from mnesis.claims.vma.few_shot import FewShot

    with tempfile.TemporaryDirectory() as folder:
        FewShot().run("smoke", Path(folder), progress=False)
        return (Path(folder) / "smoke" / CLAIM).read_text()


def _claim(whole: str, chance: random.Random, folder: Path) -> Path:
    (folder / CLAIM).write_bytes(changed_text(chance, whole))
    return folder


def _page(folder: Path) -> None:
    from mnesis.claims.page import write_page

    write_page(folder)
