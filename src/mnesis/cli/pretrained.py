"""What a pretrained model is as a host of memories: its facts, and how far it is from its own logits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..core.run_files import is_exported, is_gguf

if TYPE_CHECKING:
    from ..layers.heads import Attention
    from ..nets.huggingface import HuggingFaceHost


def is_pretrained(path: Path) -> bool:
    """Whether a path is a model of transformers: a folder whose configuration names its type, or a GGUF file."""
    if is_gguf(path):
        return True
    try:
        config = json.loads((path / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and isinstance(config.get("model_type"), str) and not is_exported(config)


def host_facts(path: Path) -> dict[str, Any]:
    """The model is opened for it, and reads some tokens.

    Raises:
        ImportError: transformers is missing or too old.
        FileNotFoundError, ValueError: it cannot be read.
    """
    from ..nets.huggingface import HuggingFaceHost, open_model

    model = open_model(path)
    facts: dict[str, Any] = {
        "path": str(path),
        "architecture": type(model).__name__,
        "numbers": sum(weight.numel() for weight in model.parameters()),
    }
    try:
        host = HuggingFaceHost(model)
    except ValueError as error:
        return {**facts, "host": f"no: {error}"}
    return {**facts, **_facts(host), **_examples(path, host)}


def _facts(host: HuggingFaceHost) -> dict[str, Any]:
    attentions = [cast("Attention", layer.attention) for layer in host.layers]
    heads = _distinct(f"{each.heads} of {each.key_width}, reading {each.key_heads} of keys" for each in attentions)
    return {
        "host": "yes",
        "vocabulary": host.vocabulary,
        "dim": host.dim,
        "layers": len(host.layers),
        "heads": heads,
        "windows": _distinct("all" if each.window is None else f"{each.window:,} units" for each in attentions),
        "trained on": "any length" if host.longest is None else f"at most {host.longest:,} units",
        "gap": f"{host.gap:.1e} of the largest logit, between the model's own and the host's",
    }


def _distinct(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def _examples(path: Path, host: HuggingFaceHost) -> dict[str, list[str]]:
    segment = min(256, (host.longest or 512) // 2)
    return {
        "python": [
            "from mnesis.nets import HostedLanguageModel",
            f'model = HostedLanguageModel("{path}", memory="armt", segment={segment}, lora=8)',
        ],
        "shell": [f"mnesis train babilong --host {path} --memory armt --lora 8"],
    }
