"""Models of transformers as hosts and networks of mnesis, and the other way; all that imports transformers is here."""

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

from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402 - the version is looked at first

from .cache import MnesisCache  # noqa: E402
from .configuration import MnesisConfig  # noqa: E402
from .host import HuggingFaceHost  # noqa: E402
from .hosted import HostedLanguageModel  # noqa: E402
from .model import MnesisForCausalLM  # noqa: E402
from .opening import open_model, open_tokenizer  # noqa: E402
from .tokenizer import fast_tokenizer  # noqa: E402
from .weights import from_pretrained, to_huggingface  # noqa: E402

AutoConfig.register(MnesisConfig.model_type, MnesisConfig, exist_ok=True)
AutoModelForCausalLM.register(MnesisConfig, MnesisForCausalLM, exist_ok=True)

__all__ = [
    "HostedLanguageModel",
    "HuggingFaceHost",
    "MnesisCache",
    "MnesisConfig",
    "MnesisForCausalLM",
    "fast_tokenizer",
    "from_pretrained",
    "open_model",
    "open_tokenizer",
    "to_huggingface",
]
