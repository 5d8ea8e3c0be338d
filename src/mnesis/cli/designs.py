"""The network of a reader before its task and its segments are known: one of our own, or a pretrained host's."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ..core.catalog import card
from ..nets import LanguageModel

if TYPE_CHECKING:
    from ..nets.generating import Generating
    from ..tasks.language.tokenizer import Tokenizer

DESIGNS: dict[str, Mapping[str, Any]] = {
    "armt": {"memory_tokens": 8, "memory_dim": 32, "gate_bias": -2.0, "output_norm": True},
    "rmt": {"memory_tokens": 8, "output_norm": True},
    "window": {"window": 512},
}
"""Options that readers are built with unless told otherwise."""

HOSTED: dict[str, Mapping[str, Any]] = {
    "armt": {"memory_tokens": 8, "memory_dim": 32, "features": "unit"},
    "rmt": {"memory_tokens": 16},
}
"""Those of memories on a pretrained host."""


@dataclass(frozen=True)
class ReaderDesign:
    """A network of our own, without its vocabulary."""

    memory: str = "armt"
    dim: int = 128
    depth: int = 2
    hidden: int | None = 256
    convolution: int | None = 6
    options: Mapping[str, Any] = field(default_factory=dict)

    def tokenizer(self) -> Tokenizer | None:
        """The one that it must read; None = any."""
        return None

    def build(self, vocabulary: int, segment: int, extra: Mapping[str, Any]) -> Generating:
        """The network for a phase; ``options`` overrides the phase's segment."""
        accepted = inspect.signature(card("memories", self.memory).load().__init__).parameters
        given = {"segment": segment} if "segment" in accepted else {}
        network = LanguageModel(
            vocabulary,
            dim=self.dim,
            memory=self.memory,
            depth=self.depth,
            hidden=self.hidden,
            convolution=self.convolution,
            options={**given, **self.options, **extra},
        )
        return cast("Generating", network)


@dataclass(frozen=True)
class HostedDesign:
    """A pretrained model with a new memory.

    Args:
        host: its folder or GGUF file.
        memory: that takes a host.
        lora: rank of low-rank adapters; None = the memory learns alone.
        options: of the memory.
    """

    host: str
    memory: str = "armt"
    lora: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def tokenizer(self) -> Tokenizer | None:
        """The host's."""
        from ..nets.huggingface import open_tokenizer

        return open_tokenizer(self.host)

    def build(self, vocabulary: int, segment: int, extra: Mapping[str, Any]) -> Generating:
        """The network for a phase; the vocabulary is the host's."""
        from ..nets.huggingface import HostedLanguageModel

        options = {**self.options, **extra}
        network = HostedLanguageModel(
            self.host, memory=self.memory, segment=options.pop("segment", segment), lora=self.lora, options=options
        )
        if not any(parameter.numel() for parameter in network.parameters() if parameter.requires_grad):
            raise ValueError(
                f"{self.memory} with these options has no weights, and the host rests, so that nothing would learn; "
                "give --lora 8 too"
            )
        return cast("Generating", network)
