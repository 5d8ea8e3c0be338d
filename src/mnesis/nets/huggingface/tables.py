"""What tables of names in released models are made of: what a tensor is called there, and how it changes on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from ...core.memory import Memory
from ..language_model import LanguageModel
from ..stack import Block, Stack


class Change(NamedTuple):
    """What becomes of a tensor on its way in, and on its way back."""

    into: Callable[[Tensor], Tensor]
    out: Callable[[Tensor], Tensor]


SAME = Change(lambda t: t, lambda t: t)
TAPS = Change(lambda t: t[:, 0].flip(1).T.contiguous(), lambda t: t.flip(0).T[:, None])
"""Of convolutions: theirs [channels 1 width] with the newest tap last, ours [width channels] with the newest first."""
CENTRED = Change(lambda t: 1 + t, lambda t: t - 1)
"""Gemma's norms multiply by 1 + weight."""
NEGATED = Change(torch.neg, torch.neg)
"""softplus(p), which RecurrentGemma has, is -log sigmoid(-p)."""


def _passing_by(taps: Tensor, sign: float) -> Tensor:
    """Our convolutions behind projections add the unit itself, which theirs have in the newest tap."""
    newest = torch.zeros_like(taps)
    newest[0] = sign
    return taps + newest


RESIDUAL_TAPS = Change(lambda t: _passing_by(TAPS.into(t), -1.0), lambda t: TAPS.out(_passing_by(t, 1.0)))


def folded(parts: int) -> Change:
    """Theirs [parts width], ours [parts * width]."""
    return Change(lambda t: t.flatten(), lambda t: t.unflatten(0, (parts, -1)))


def unfolded(parts: int) -> Change:
    """Theirs [parts * width], ours [parts width]."""
    return Change(lambda t: t.unflatten(0, (parts, -1)), lambda t: t.flatten())


class Row(NamedTuple):
    """One tensor of ours, and what it is called there."""

    ours: str
    theirs: tuple[str, ...]
    """Several stand one below the other; none = theirs has nothing there, which is what ``absent`` does."""
    change: Change = SAME
    sizes: tuple[int, ...] = ()
    """Of several, along their first axis."""
    absent: float = 0.0

    def parts(self, tensor: Tensor) -> dict[str, Tensor]:
        """A tensor of ours as theirs."""
        if len(self.theirs) < 2:
            return {name: self.change.out(tensor) for name in self.theirs}
        return dict(zip(self.theirs, self.change.out(tensor).split(self.sizes), strict=True))

    def whole(self, read: Callable[[str], Tensor], like: Tensor, dtype: torch.dtype) -> Tensor:
        """A tensor of ours from theirs."""
        if not self.theirs:
            return torch.full(like.shape, self.absent, dtype=dtype)
        # Widened first: where a tensor is changed, the difference is rounded once.
        wide = [read(name).to(torch.promote_types(dtype, torch.float32)) for name in self.theirs]
        return self.change.into(torch.cat(wide) if len(wide) > 1 else wide[0]).to(dtype)


def rows_of(table: Mapping[str, str], *changed: Row, biases: tuple[str, ...] = ()) -> list[Row]:
    """Rows of maps and vectors, by their names there; ``biases`` of ours are called as their weights are."""
    rows = [Row(ours, (theirs,)) for theirs, ours in table.items()]
    there = {ours: theirs for theirs, ours in table.items()}
    named = [(f"{map_}.bias", there[f"{map_}.weight"].removesuffix("weight") + "bias") for map_ in biases]
    return [*rows, *(Row(ours, (theirs,)) for ours, theirs in named), *changed]


@dataclass(frozen=True)
class Family:
    """A family of released models.

    Args:
        architecture: class of the models, as their configurations name it.
        configuration: class of their configurations in transformers; None = it has none.
        arguments: of a :class:`~mnesis.nets.LanguageModel`, by such a configuration; raises where there is none.
        layer: the rows of a block, by such a configuration.
        layers: what a layer's names begin with.
        embedding: its name there.
        norm: name of the final norm there.
        norms: how its norms' weights change.
        back: a configuration for a network; None = transformers has no such models.
        memories: what stands in the blocks of networks that go back.
        defaults: what configurations leave out, where transformers has no class for them.
        head: its name there.
    """

    architecture: str
    configuration: str | None
    arguments: Callable[[Any], dict[str, Any]]
    layer: Callable[[Block, Any], list[Row]]
    layers: str
    embedding: str
    norm: str
    norms: Change = SAME
    back: Callable[[LanguageModel, Any], dict[str, Any]] | None = None
    memories: tuple[type[Memory[Any]], ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    head: str = "lm_head.weight"

    def rows(self, network: LanguageModel, configuration: Any) -> list[Row]:
        """Of all tensors; tied embeddings have no row for the head."""
        rows = [
            Row("reader.embedding.weight", (self.embedding,)),
            Row("reader.body.final_norm.weight", (self.norm,), self.norms),
        ]
        if not configuration.tie_word_embeddings:
            rows.append(Row("head.weight", (self.head,)))
        for index, block in enumerate(blocks_of(network)):
            before = self.layers.format(index)
            for row in self.layer(block, configuration):
                ours, theirs = f"reader.body.blocks.{index}.{row.ours}", tuple(before + name for name in row.theirs)
                rows.append(row._replace(ours=ours, theirs=theirs))
        return rows

    def configured(self, network: LanguageModel, memory: Memory[Any]) -> dict[str, Any]:
        """What a configuration for a network says, with one of its memories at hand."""
        return {**_sizes(network), **cast(Any, self.back)(network, memory)}


def _sizes(network: LanguageModel) -> dict[str, Any]:
    """What all configurations call alike."""
    blocks = blocks_of(network)
    return {
        "vocab_size": network.vocabulary,
        "hidden_size": blocks[0].dim,
        "num_hidden_layers": len(blocks),
        "tie_word_embeddings": tied(network),
    }


def tied(network: LanguageModel) -> bool:
    """Whether the head is the embedding."""
    return network.head.weight is network.reader.embedding.weight


def blocks_of(network: LanguageModel) -> list[Block]:
    """The blocks of a network, which is a stack."""
    return cast("list[Block]", list(cast(Stack, network.reader.body).blocks))


def only(architecture: str, configuration: Any, **known: Any) -> None:
    """Refuse configurations with anything but this, or one of these; what they leave out is known."""
    for name, value in known.items():
        choices = value if isinstance(value, tuple) else (value,)
        found = getattr(configuration, name, choices[0])
        if found not in choices:
            told = " or ".join(repr(choice) for choice in choices)
            raise ValueError(
                f"{architecture} with {name}={found!r} has no network here; take a model with {name}={told}"
            )


def whole_number(architecture: str, name: str, value: float | int) -> int:
    """A factor that is a whole number."""
    if value != int(value):
        raise ValueError(
            f"{architecture} with {name}={value} has no network here; take a model whose {name} is a whole number"
        )
    return int(value)


def common(configuration: Any, **more: Any) -> dict[str, Any]:
    """A network's arguments that all configurations call alike, and more."""
    given = {
        "vocabulary": configuration.vocab_size,
        "dim": configuration.hidden_size,
        "depth": configuration.num_hidden_layers,
        "tie": bool(configuration.tie_word_embeddings),
    }
    return {**given, **more}
