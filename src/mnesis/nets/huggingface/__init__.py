"""Models of transformers as hosts of memories, and as networks. All that imports transformers stands in this folder."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version

OLDEST = (5, 24)
"""transformers before it hands caches on under another name."""
INSTALL = "pip install 'mnesis[transformers]'"


def _require_transformers() -> None:
    if importlib.util.find_spec("transformers") is None:
        raise ImportError(f"Hugging Face models need transformers, and it is not installed; {INSTALL}")
    found = version("transformers")
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        needed = ".".join(map(str, OLDEST))
        raise ImportError(f"transformers {found} is too old, {needed} or later is needed; {INSTALL}")


_require_transformers()

from .host import HuggingFaceHost  # noqa: E402 - the version is looked at first
from .hosted import HostedLanguageModel  # noqa: E402
from .opening import open_model, open_tokenizer  # noqa: E402
from .weights import from_pretrained, to_huggingface  # noqa: E402

__all__ = [
    "HostedLanguageModel",
    "HuggingFaceHost",
    "from_pretrained",
    "open_model",
    "open_tokenizer",
    "to_huggingface",
]
