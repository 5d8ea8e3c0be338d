"""Griffin: two recurrent layers, then one of local attention, and so on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

from torch import nn

from ..core.domain import Epsilon
from ..layers.mlp import GatedMLP, tanh_gelu
from ..memories.bank.window import Window
from ..memories.linear.rg_lru import RGLRU
from .stack import Block, Stack

PATTERN = ("recurrent", "recurrent", "attention")


class Griffin(Stack):
    """Griffin's layers (De et al. 2024, arXiv 2402.19427; RecurrentGemma, Botev et al. 2024, arXiv 2404.07839).

    Of every three layers two are recurrent blocks (:class:`~mnesis.memories.linear.rg_lru.RGLRU`) and one attends to a
    window, all heads of queries sharing one of keys and values; a GeGLU MLP follows each. What is older than the
    windows reaches a unit through the recurrences alone, and the state keeps its size. State: layer by layer as those
    memories have it.

    Griffin's text leaves parts open; ``released=True`` has all of them as RecurrentGemma's code:

    - recurrences as :class:`~mnesis.memories.linear.rg_lru.RGLRU` has them with ``released``;
    - rotary positions turn the first half of every head's channels, with wavelengths over that half; as text they turn
      all of them;
    - attention sees a unit and ``window`` before it; as text, ``window`` units with that one;
    - GELU of the MLPs in its tanh form, biases in them and on the output map of attention; as text exact, and none;
    - at the start N(0, 1 / fan) for the maps of attention and MLPs, but N(0, 2 / (layers fan)) for the last map of
      attention, recurrent blocks and MLPs; biases 0. As text, torch's start in attention and MLPs.

    What RecurrentGemma has outside these layers is the network's: embeddings are scaled by sqrt(dim), logits capped.

    Args:
        dim: width of inputs and outputs.
        layers: how many; RecurrentGemma 2B has 26.
        heads: of queries, in layers with attention; dim / heads must be even, with ``released=True`` a multiple of 4.
        window: units that those see: Griffin 1,024, the unit itself among them; with ``released=True`` its
            ``attention_window_size`` (2,048), the unit itself not among them.
        width: of the recurrences; None = 4/3 dim as in Griffin, up to the next multiple of ``blocks`` (RecurrentGemma's
            ``lru_width``: dim).
        blocks: on the diagonal of their gates' projections (in RecurrentGemma as many as ``heads``).
        hidden: width of the MLPs; 3 dim if None.
        convolution: width of the causal convolution before the recurrences.
        released: False = Griffin's text, True = RecurrentGemma's code; "recurrences" = its recurrences in the text's
            layers, which True once meant; weights of that time are read so.
        key_value_heads: of the layers with attention, each shared by as many query heads; 1 as published.
        epsilon: of the norms.
        chunk: units in a chunk of the recurrences; changes speed, not results.

    Raises:
        ValueError: no layers, heads that do not fit, or what the two memories do not take.
    """

    added: ClassVar[Mapping[str, Any]] = {"key_value_heads": 1, "epsilon": 1e-6}

    def __init__(
        self,
        dim: int,
        *,
        layers: int = 3,
        heads: int = 4,
        window: int = 1024,
        width: int | None = None,
        blocks: int = 16,
        hidden: int | None = None,
        convolution: int = 4,
        released: bool | Literal["recurrences"] = False,
        key_value_heads: int = 1,
        epsilon: Epsilon = 1e-6,
        chunk: int | None = None,
    ) -> None:
        recurrent: dict[str, Any] = {"width": width, "blocks": blocks, "convolution": convolution, "chunk": chunk}
        attentive: dict[str, Any] = {"heads": heads, "window": window, "key_value_heads": key_value_heads}
        gated: dict[str, Any] = {"hidden": hidden or 3 * dim}
        if released is True:
            if dim % (4 * heads):
                raise ValueError(
                    f"dim={dim} does not split into {heads} heads whose halves have even width, as released=True turns "
                    f"them; make dim a multiple of {4 * heads}, or give released='recurrences'"
                )
            attentive |= {"window": window + 1, "rotary_fraction": 0.5, "output_bias": True}
            gated |= {"nonlinearity": tanh_gelu, "bias": True}
        built = [
            RGLRU(dim, **recurrent, released=bool(released))
            if PATTERN[layer % len(PATTERN)] == "recurrent"
            else Window(dim, **attentive)
            for layer in range(layers)
        ]
        ready = [Block(memory, mlp=GatedMLP(dim, **gated), epsilon=epsilon) for memory in built]
        super().__init__(dim, memory=ready, epsilon=epsilon)
        self.released = released
        if released is True:
            self._start_as_released()

    def _start_as_released(self) -> None:
        """Draw what RGLRU has not drawn as the authors' code does."""
        for block in self._blocks():
            memory, mlp = cast("RGLRU | Window", block.memory), cast(GatedMLP, block.mlp)
            reading = [mlp.gate, mlp.rise, *([memory.query_key_value] if isinstance(memory, Window) else [])]
            for linear in (*reading, memory.output, mlp.fall):
                # What blocks add to the stream grows less the more of them there are.
                variance = 1.0 if linear in reading else 2 / len(self.blocks)
                nn.init.normal_(linear.weight, std=math.sqrt(variance / linear.in_features))
                if linear.bias is not None:
                    nn.init.zeros_(linear.bias)

    def _load_from_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state_dict: dict[str, Any], prefix: str, *given: Any
    ) -> None:
        """Fill with weights; those without biases are of a version where True meant the recurrences alone."""
        last = f"{prefix}blocks.0.mlp.fall"
        if self.released is True and f"{last}.weight" in state_dict and f"{last}.bias" not in state_dict:
            own, options = dict(self.named_parameters()), {**self.config, "released": "recurrences"}
            earlier = type(self)(**options).train(self.training)
            for name in [name for name, _ in earlier.named_parameters()]:  # an optimizer may hold ours
                place, _, leaf = name.rpartition(".")
                setattr(earlier.get_submodule(place), leaf, own[name])
            self.blocks, self.released, self.__dict__["_arguments"] = earlier.blocks, earlier.released, options
        super()._load_from_state_dict(state_dict, prefix, *given)
