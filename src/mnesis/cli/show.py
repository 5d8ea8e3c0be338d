"""All about one thing: a memory, task or claim by name, or a run, network, pretrained model or state by its path.

    mnesis show armt
    mnesis show runs/qa1
    mnesis show reader
    mnesis show mary.safetensors --json
    mnesis show models/SmolLM2-135M

Nothing is built or loaded for it: files say what they are in their headers. Only a pretrained model is opened, and
compared with itself as a host of memories. Where several things have the name, all are shown.
"""

from __future__ import annotations

import json
import math
import shutil
import textwrap
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from ..core.card import Card
from ..core.catalog import SINGULAR, cards, papers
from ..core.domain import nearest, shown_text
from ..core.expressions import evaluate
from ..core.files import parse_json
from ..core.run_files import begun_phases, read_config
from ..core.shipped import KINDS as SHIPPED
from ..core.shipped import shipped, shipped_folder
from ..core.source import Described, described
from ..core.specification import task_in
from ..core.tensor_header import TensorHeader, read_header
from .arguments import Named
from .output import bold
from .pretrained import host_facts, is_pretrained

Facts = dict[str, Any]


def run(
    what: Annotated[str, Named("WHAT")],
    /,
    as_json: Annotated[bool, Named("json")] = False,
) -> None:
    """Show it.

    Args:
        what: a name of the catalog (mnesis list), the folder of a run or a network, the name of a reader that ships
            with mnesis, the folder or GGUF file of a pretrained model, or a file of a state.
        as_json: print a list of objects, one for each thing of that name.
    """
    found = [{"kind": kind, **facts} for kind, find in KINDS.items() if (facts := find(what)) is not None]
    if not found:
        raise ValueError(_unknown(what))
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print("\n\n".join("\n".join(_lines(facts)) for facts in found))


def memory_example(name: str, dim: int = 64) -> list[str]:
    """How a memory of the catalog is made and called."""
    return [f'memory = mnesis.create_memory("{name}", dim={dim})', f"y, state = memory(x)  # x: [batch, time, {dim}]"]


def task_example(card: Card) -> list[str]:
    """How a task of the catalog is made and called; what has to be given and has no example is left open."""
    needed = [option.name for option in described(card).options.values() if not option.default]
    options = {key: _literal(value) for key, value in card.example.items()}
    options |= {key: "..." for key in needed if key not in options}
    given = "".join(f", {key}={value}" for key, value in options.items())
    lines = [f'task = mnesis.create_task("{card.name}"{given})']
    if card.lengths is not None:
        low = card.training_lengths[0]
        lines.append(f"episode = task.episodes(32, {low}, torch.Generator().manual_seed(0))  # inputs, targets, weight")
    return lines


def _catalogued(kind: str) -> Callable[[str], Facts | None]:
    """A finder of memories, tasks or claims."""

    def find(what: str) -> Facts | None:
        card = next((card for card in cards(kind) if card.name == what), None)
        if card is None:
            return None
        about = described(card)
        facts: Facts = {"name": card.name, "family": card.family, "summary": card.summary, **_documented(about)}
        if kind == "memories":
            facts |= {"forms": list(card.forms), "state": _state(card), "sees": _sees(card, about)}
        if card.lengths is not None:
            facts["training lengths"] = list(card.training_lengths)
        if card.published:
            facts["published settings"] = list(card.published)
        facts["papers"] = [_paper(key) for key in card.papers]
        return facts | {"python": _python(kind, card), "shell": _shell(kind, card)}

    return find


def _documented(about: Described) -> Facts:
    """What a class says of itself and of its options."""
    import docstring_parser

    parsed = docstring_parser.parse(about.doc, docstring_parser.DocstringStyle.GOOGLE)
    told = {
        name: " ".join((each.description or "").split())
        for each in parsed.params
        for name in each.arg_name.split(", ")  # what is alike may be described together
    }
    options = [
        {"name": option.name, "default": option.default, "type": option.told, "text": told.get(option.name, "")}
        for option in about.options.values()
    ]
    return {"about": f"{parsed.short_description or ''}\n\n{parsed.long_description or ''}".strip(), "options": options}


def _state(card: Card) -> str:
    """What a row's state costs, in words."""
    grows = "" if card.bounded else "; it grows with the stream"
    return f"{card.cost} numbers a sequence{grows}" if card.cost else grows.removeprefix("; ")


def _sees(card: Card, about: Described) -> str:
    """What of a stream stands in it verbatim, in words."""
    if not card.sees:
        return ""
    number, separator, more = card.sees.partition(";")
    by = f", limited by {' and '.join(card.limits)}" if card.limits else ""
    usual = _usual(card.sees, about)
    return f"{number} units verbatim{by}" + (f" ({usual:,} by default)" if usual else "") + separator + more


def _usual(expression: str, about: Described) -> int | None:
    """With an option's default for each name; None where the class chooses."""
    try:
        return round(evaluate(expression, lambda name: float(about.options[name].default)))
    except ValueError:
        return None


def _paper(key: str) -> Facts:
    paper = papers()[key]
    return {"title": paper.title, "authors": paper.authors, "year": paper.year, "arxiv": paper.arxiv}


def _python(kind: str, card: Card) -> list[str]:
    if kind == "memories":
        return ["import torch, mnesis", *memory_example(card.name)]
    if kind == "tasks":
        return ["import torch, mnesis", *task_example(card)]
    return [
        "from pathlib import Path",
        "from mnesis.core.catalog import card",
        f'result = card("claims", "{card.name}").load()().run("smoke", Path("runs/claims"))',
    ]


def _shell(kind: str, card: Card) -> list[str]:
    if kind == "memories":
        other = "gru" if card.name != "gru" else "lstm"
        trained = [] if card.search else [f"mnesis train copy --memory {card.name}"]
        return [f"mnesis laws {card.name}", *trained, f"mnesis compare copy --memories {other},{card.name}"]
    if kind == "tasks":
        if card.name == "babilong":
            return ["mnesis train babilong --recipe demo"]
        train = f"mnesis train {card.name} --memory gru"
        published = [f"mnesis compare {card.name} --setting {name} --plan" for name in list(card.published)[:1]]
        return [train, f"mnesis compare {card.name}", *published] if card.lengths is not None else []
    return [f"mnesis claim {card.name} --scale smoke"]


def _run(what: str) -> Facts | None:
    """A folder that a training wrote."""
    folder = _folder(what)
    if folder is None:
        return None
    if not (folder / "config.json").is_file():
        return _begun(folder)
    config = _config(folder)
    if "config" not in config and "recipe" not in config:
        return None
    inner = config.get("config", {})
    facts: Facts = {"path": str(folder), "trained": _progress(folder)}
    if found := task_in(config):
        facts |= {"task": found.name, "task_options": found.options}
    if isinstance(inner, dict):
        facts |= {"source": inner["source"]} if "source" in inner else {}
        facts |= _network_of(inner.get("model"))
    facts |= _network_of(config.get("model"))
    if "network" not in facts and "arguments" not in facts and isinstance(config.get("memory"), dict):
        facts |= {"class": config["memory"].get("memory"), "arguments": config["memory"].get("arguments")}
    return facts | _weights(folder)


def _begun(folder: Path) -> Facts | None:
    """A folder whose training in phases has not ended: what the latest of them says."""
    phases = begun_phases(folder)
    facts = _run(str(phases[-1])) if phases else None
    if facts is None:
        return None
    so_far = {"finished": False, "phases": [path.name for path in phases]}
    return {**facts, "path": str(folder), "trained": {**facts["trained"], **so_far}}


def _network(what: str) -> Facts | None:
    """A folder that ``mnesis.nets.save`` wrote."""
    folder = _folder(what)
    if folder is None or not (folder / "config.json").is_file():
        return None
    config = _config(folder)
    if "config" in config or "recipe" in config:
        return None  # a run
    model = config.get("model", config)
    named = isinstance(model, dict) and ("network" in model or isinstance(model.get("memory"), str))
    return {"path": str(folder), **_network_of(model), **_weights(folder)} if named else None


def _pretrained(what: str) -> Facts | None:
    """A model of transformers."""
    return host_facts(Path(what)) if is_pretrained(Path(what)) else None


def _saved(what: str) -> Facts | None:
    """A file of tensors: a state, or weights."""
    path = Path(what)
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    header = read_header(path, mend="save it anew")
    noted = dict(header.metadata)
    facts: Facts = {"path": what, "holds": "weights", **_sizes(header)}
    if "mnesis_state" in noted:
        rows = sorted({promise.shape[0] for promise in header.promises.values() if promise.shape})
        facts |= {"holds": "a state", "rows": rows, "format": noted.pop("mnesis_state")}
        structure = noted.pop("structure", "null")
        facts["classes"] = _classes(parse_json(structure, Any, source=f"structure of {what}", mend="save it anew"))
    return facts | {"about": noted}


KINDS: Mapping[str, Callable[[str], Facts | None]] = {
    **{SINGULAR[kind]: _catalogued(kind) for kind in SINGULAR},
    "run": _run,
    "network": _network,
    "pretrained model": _pretrained,
    "file": _saved,
}
"""What can be shown, and how it is found by name: facts, or None where there is no such thing."""


def _folder(what: str) -> Path | None:
    if Path(what).is_dir():
        return Path(what)
    return next((shipped_folder(what, kind) for kind in SHIPPED if what in shipped(kind)), None)


def _config(folder: Path) -> Facts:
    return read_config(folder, mend="save the network or train the run anew")


def _network_of(description: Any) -> Facts:
    """What a specification says: class, memory, its options and all other arguments."""
    if not isinstance(description, dict) or not isinstance(description.get("arguments"), dict):
        return {}
    arguments = dict(description["arguments"])
    if "network" not in description:
        return {"memory": description.get("memory"), "arguments": arguments}
    chosen = {"memory": arguments.pop("memory", None), "options": arguments.pop("options", None)}
    return {"network": description.get("network"), **chosen, "arguments": arguments}


def _weights(folder: Path) -> Facts:
    path = folder / "model.safetensors"
    return _sizes(read_header(path, mend="save it anew")) if path.is_file() else {}


def _sizes(header: TensorHeader) -> Facts:
    promises = header.promises.values()
    return {
        "tensors": len(promises),
        "numbers": sum(math.prod(promise.shape) for promise in promises),
        "bytes": sum(promise.nbytes for promise in promises),
        "dtypes": list(dict.fromkeys(promise.dtype for promise in promises)),
    }


def _progress(folder: Path) -> Facts:
    """How far a training has come, and what was measured."""
    facts: Facts = {"finished": (folder / "model.safetensors").is_file()}
    metrics = folder / "metrics.jsonl"
    if metrics.is_file() and (line := _last_line(metrics)):
        last = parse_json(line, dict[str, Any], source=str(metrics), mend="train the run anew")
        facts |= {key: last[key] for key in ("update", "units", "seconds", "loss", "accuracy") if key in last}
    kept = sorted(path.name for path in folder.glob("checkpoint-*"))
    phases = sorted(path.name for path in folder.glob("phase-*"))
    facts |= {key: names for key, names in (("checkpoints", kept), ("phases", phases)) if names}
    return facts | {"evaluated": any((folder / name).is_file() for name in ("results.json", "scores.jsonl"))}


def _last_line(path: Path, most: int = 1 << 16) -> str:
    """The last whole line of a file, which may be long."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - most))
        *lines, _ = file.read(most).decode("utf-8", "replace").split("\n")  # behind the last is what a kill has torn
    return next((line for line in reversed(lines) if line.strip().startswith("{")), "")


def _classes(structure: Any) -> list[str]:
    """Names of the state classes in a structure, each once."""
    if not isinstance(structure, list) or not structure:
        return []
    own = [structure[0]] if isinstance(structure[0], str) and structure[0] else []
    return list(dict.fromkeys([*own, *(name for child in structure[1:] for name in _classes(child))]))


def _unknown(what: str) -> str:
    if Path(what).exists():
        return f"{what} is no run, network or file of tensors; give the folder of one, or a .safetensors file"
    near = nearest(what, [*(card.name for kind in SINGULAR for card in cards(kind)), *chain(*map(shipped, SHIPPED))])
    hint = f"did you mean {near!r}?" if near else "mnesis list shows the catalog"
    return f"nothing is called {shown_text(what)!r}, and no file or folder has that path; {hint}"


def _lines(facts: Facts) -> Iterable[str]:
    """Facts as they are read."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 100) - 1
    title = facts.get("name") or facts.get("path")
    summary = f": {facts['summary']}" if facts.get("summary") else ""
    yield f"{bold(str(title))} ({facts['kind']}){summary}"
    for key, value in facts.items():
        if key in ("kind", "name", "path", "summary") or value in (None, "", [], {}):
            continue
        yield from _told(key, value, width)


def _told(key: str, value: Any, width: int) -> Iterable[str]:
    if key == "about" and isinstance(value, str):
        yield ""
        yield value
        yield ""
    elif key == "options" and isinstance(value, list):
        yield "options:"
        for option in value:
            default = f" = {option['default']}" if option["default"] else ", must be given"
            text = f"{option['text'].rstrip('.')} " if option["text"] else ""
            told = f"{option['name']}{default}: {text}({option['type']})"
            yield from textwrap.wrap(told, width, initial_indent="  ", subsequent_indent="      ")
    elif key == "papers":
        for paper in value:
            where = f" (arXiv {paper['arxiv']}, https://arxiv.org/abs/{paper['arxiv']})" if paper["arxiv"] else ""
            yield f"paper: {paper['authors'].split(',')[0]} {paper['year']}, {paper['title']}{where}"
    elif key in ("python", "shell"):
        yield f"in {'Python' if key == 'python' else 'a shell'}:"
        yield from (f"    {line}" for line in value)
    elif isinstance(value, dict):
        yield f"{key}: " + ", ".join(f"{name}={_plain(each)}" for name, each in value.items())
    elif isinstance(value, list):
        yield f"{key}: " + ", ".join(map(str, value))
    else:
        yield f"{key}: {_plain(value)}"


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _literal(value: Any) -> str:
    """As code, with double quotes."""
    return json.dumps(value) if isinstance(value, str) else repr(value)
