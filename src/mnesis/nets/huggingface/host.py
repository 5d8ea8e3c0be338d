"""Any decoder-only language model of transformers as a host: its layers one by one, computed by its own code."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...core.digest import digest_tensors
from ...layers.heads import Attention, Heads
from ...layers.segment_attention import SegmentCache, attend_in_segment, empty_cache, positions
from ...ops.transforms import readable
from .attention import ARGUMENT, Call, Facts, Projected, identity, leave, look, note_inputs, open_door, reader, told_how

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 3e-2}
"""How far a host may be from the model's own logits, relative to the largest."""
DIGITS = 16
"""Of the names of configurations and weights."""
TOKENS = 24
"""Of the examination."""
SAMPLE = 4096
"""Token ids whose embeddings are looked at."""
PIECES = (1, 6, 15, 1, 1)
"""Of the examination; the last two as rows say where they are."""
LAYERS = ("layers", "h", "blocks")
NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f")
PLACES = ("wpe",)
DROPOUTS = ("drop", "emb_dropout", "embed_dropout")
STRETCHED = ("dynamic", "longrope")
"""Rotations that depend on how long the text is, beyond the length that they were trained on first."""


class Rotary:
    """The rotary positions of a model: its own angles, and its own way to turn by them."""

    def __init__(self, module: nn.Module) -> None:
        self.module = (module,)
        """Not a child: the model has it."""
        self.by_type = "layer_type" in inspect.signature(module.forward).parameters
        self._last: tuple[tuple[Any, ...], Any] = ((), None)

    def angles(self, x: Tensor, position: int | Int[Tensor, " B"], layer_type: str | None) -> Any:
        """Of T units from a position on; those of the last call are kept, since all layers ask for the same."""
        inference = torch.is_inference_mode_enabled()  # what was made in it is of no use to a backward pass
        asked = (position, x.shape[1], x.dtype, x.device, layer_type if self.by_type else None, inference)
        before, last = self._last
        if _same(asked, before) and readable(x):
            return last
        at = positions(position, x.shape[1], x.device)
        found = self.at(x, at if at.ndim == 2 else at[None], layer_type)
        if readable(x):
            self._last = asked, found
        return found

    def at(self, x: Tensor, units: Int[Tensor, "#B T"], layer_type: str | None) -> Any:
        """The angles of units, one by one."""
        return self.module[0](x, units, layer_type) if self.by_type else self.module[0](x, units)


def _same(asked: tuple[Any, ...], before: tuple[Any, ...]) -> bool:
    """Whether the same is asked again; tensors, whose numbers nobody looks at, by identity."""
    pairs = list(zip(asked, before, strict=False))
    return bool(pairs) and all(a is b if isinstance(a, Tensor) or isinstance(b, Tensor) else a == b for a, b in pairs)


class HuggingFaceLayer(nn.Module):
    """One layer of a model of transformers (:class:`mnesis.core.host.AttendingLayer`); computed by the model's code.

    Args:
        layer: of the model, which keeps it.
        rotary: of the model; None = it has no rotary positions.
        layer_type: which of a model's rotations is the layer's.
        config: of the model, which says how it attends.
    """

    def __init__(self, layer: nn.Module, rotary: Rotary | None, layer_type: str | None, config: Any) -> None:
        super().__init__()
        self.layer, self.config = (layer,), config
        """Not a child: the model has it."""
        self.rotary, self.layer_type = rotary, layer_type
        self.attention: Attention | None = None
        self.attention_dropout = 0.0
        """As the layer last told its attention."""
        self._turn: Callable[..., Any] | None = None

    attend = staticmethod(attend_in_segment)

    @torch.no_grad()
    def examine(self, h: Float[Tensor, "B T D"]) -> None:
        """Find out how the layer attends, and whether it turns queries and keys by their positions.

        Raises:
            ValueError: it does not call its attention as transformers has it, or turns in a way of its own.
        """
        plain, turned = Call(look), Call(look)
        self._through(h, 1, plain, turned=False)
        (module, facts), heads = cast(tuple[nn.Module, Facts], plain.seen), cast(Heads, plain.heads)
        self.attention = facts.attention
        if note_inputs not in module._forward_pre_hooks.values():  # of an earlier host of the same model
            module.register_forward_pre_hook(note_inputs, with_kwargs=True)
        if self.rotary is None:
            return
        self._through(h, 1, turned, turned=True)
        if torch.equal(cast(Heads, turned.heads).query, heads.query):
            return  # a layer without positions among others that have them
        self._turn = getattr(sys.modules[type(module).__module__], "apply_rotary_pos_emb", None)
        at = positions(1, h.shape[1], h.device)
        for was, becomes in zip(heads[:2], cast(Heads, turned.heads)[:2], strict=True):
            if self._turn is None or not torch.allclose(self.rotate(was, at), becomes, rtol=1e-3, atol=1e-4):
                raise ValueError(f"{self._name()} turns queries and keys in a way that is not known here")

    def _name(self) -> str:
        return type(self.layer[0]).__name__

    def initial_cache(self, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype) -> SegmentCache:
        return empty_cache(batch, capacity, cast(Attention, self.attention), (0, 0), device=device, dtype=dtype)

    def rotate(self, x: Float[Tensor, "B T H K"], position: Int[Tensor, "*B T"]) -> Float[Tensor, "B T H K"]:
        """Queries or keys turned by the positions of their units, as the layer turns them itself."""
        if self._turn is None:
            return x
        angles = cast(Rotary, self.rotary).at(x, position if position.ndim == 2 else position[None], self.layer_type)
        width = angles[0].shape[-1]  # some models turn the first channels alone, and some of these slice them before
        heads_first = x[..., :width].transpose(1, 2)
        turned = self._turn(heads_first, heads_first, *angles)[0].transpose(1, 2)
        return turned if width == x.shape[-1] else torch.cat([turned, x[..., width:]], -1)

    def project(
        self, h: Float[Tensor, "B T D"], cache: SegmentCache | None = None, position: int | Int[Tensor, " B"] = 0
    ) -> Heads:
        """Queries, keys and values of units, before any rotation."""
        call = Call(leave)
        with suppress(Projected):
            self._through(h, position, call, turned=False, whole=False)
        return cast(Heads, call.heads)

    def forward(
        self,
        h: Float[Tensor, "B T D"],
        cache: SegmentCache | None = None,
        position: int | Int[Tensor, " B"] = 0,
        both_ways: tuple[int, int] = (0, 0),
        length: Int[Tensor, " B"] | None = None,
        attend: Callable[..., Any] | None = None,
    ) -> tuple[Float[Tensor, "B T D"], SegmentCache | None]:
        """Run T more units of a segment; see :class:`mnesis.core.host.AttendingLayer`."""
        if attend is None:
            call = Call(reader(position, both_ways, length), cache)
        else:
            call = Call(told_how(self, attend, position, both_ways, length), cache)
        return self._through(h, position, call, turned=attend is None), call.cache

    def _through(
        self, h: Tensor, position: int | Int[Tensor, " B"], call: Call, *, turned: bool, whole: bool = True
    ) -> Tensor:
        """The layer's own code, which the call travels through.

        Raises:
            ValueError: no attention took the call: what came out knows nothing of the segment.
        """
        open_door(self.config)
        at = positions(position, h.shape[1], h.device)
        options = {"attention_mask": None, "position_ids": at if at.ndim == 2 else at[None], ARGUMENT: call}
        if self.rotary is not None:
            angles = self.rotary.angles(h, position, self.layer_type)
            options["position_embeddings"] = angles if turned else identity(angles)
        # What leaves a layer in the middle must not do so within transformers' recomputation, which would do it again.
        run = self.layer[0] if whole else lambda *given, **named: nn.Module.__call__(self.layer[0], *given, **named)
        y = run(h, **options)
        if not call.met:
            raise ValueError(f"{self._name()} has no attention that transformers calls through its AttentionInterface")
        return y[0] if isinstance(y, tuple) else y


class _Parts(NamedTuple):
    """Modules of a model that its host calls. A tuple, so that they stay the model's children alone."""

    embedding: nn.Module
    place: nn.Module | None
    dropout: nn.Module | None
    norm: nn.Module | None
    head: nn.Module


class HuggingFaceHost(nn.Module):
    """A decoder-only language model of transformers as a host of memories (:class:`mnesis.core.host.AttendingHost`).

    The model stays whole inside, as ``host.model``: adapters of peft, quantised weights, hooks, ``device_map`` and
    ``save_pretrained`` go on working, and so does the model itself. Its layers are called one by one and compute by
    their own code; only where they attend, units read what a memory lets them read. No architecture has code here:
    when it is made, a host reads a few random tokens, at once and in pieces, and compares with the model's own logits,
    so that an architecture either works exactly or is refused.

    Args:
        model: with a causal attention and a head over its vocabulary, alone or inside a model of peft.
        check: compare with the model's own logits, which takes four short calls of it.
        with_head: False = hidden vectors out; ``readout`` is the head then, for the units that are asked about.

    Raises:
        ValueError: an encoder, a model without attention, or one whose logits a host does not reach, with the first
            layer that differs.
    """

    def __init__(self, model: nn.Module, *, check: bool = True, with_head: bool = True) -> None:
        super().__init__()
        self.model, self.with_head = model, with_head
        causal = cast(Any, model.get_base_model() if hasattr(model, "get_base_model") else model)  # type: ignore[operator]
        self.config = _text_config(causal)
        decoder, layers = _decoder(causal, self.config)
        open_door(self.config)
        self._parts = _Parts(
            causal.get_input_embeddings(),
            _child(decoder, PLACES),
            _child(decoder, DROPOUTS),
            _child(decoder, NORMS),
            causal.get_output_embeddings(),
        )
        self.dim: int = self.config.hidden_size
        self.vocabulary: int = causal.get_input_embeddings().weight.shape[0]
        self.longest: int | None = _longest(self.config)
        rotary = getattr(decoder, "rotary_emb", None)
        turning = None if rotary is None else Rotary(rotary)
        types = getattr(self.config, "layer_types", None) or [None] * len(layers)
        self.layers = nn.ModuleList(
            HuggingFaceLayer(layer, turning, kind, self.config) for layer, kind in zip(layers, types, strict=True)
        )
        self.gap: float | None = None
        """From the model's own logits, relative to the largest; None = it was not compared."""
        with _at_rest(model):
            self._examine_layers()
            self.longest = self._within_untold_window()
            if check:
                self.gap = self._compare(causal, layers)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        open_door(self.config)  # which another process does not know yet

    @property
    def spread(self) -> float:
        """Deviation of what is embedded, at which memory tokens start."""
        with torch.no_grad():
            return float(
                self.embed(torch.arange(min(self.vocabulary, SAMPLE), device=self._device)[None]).float().std()
            )

    @property
    def dtype(self) -> torch.dtype:
        """Of what is embedded; memory tokens, which may learn in another, are read in it."""
        return cast(Tensor, self._parts.embedding.weight).dtype

    @property
    def _device(self) -> torch.device:
        """Where token ids go: the CPU, of weights that accelerate has offloaded and brings when they are needed."""
        device = cast(Tensor, self._parts.embedding.weight).device
        return torch.device("cpu") if device.type == "meta" else device

    def describe(self) -> dict[str, str]:
        """What states of this host are states of: names for its configuration and its frozen weights."""
        named = self.model.named_parameters()
        frozen = {name: weight for name, weight in named if not (weight.requires_grad or weight.is_meta)}
        told = {key: value for key, value in self.config.to_dict().items() if not key.startswith("_")}
        told.pop("transformers_version", None)
        configuration = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
        return {
            "host": type(self.model).__name__,
            "configuration": configuration[:DIGITS],
            "digest": digest_tensors(sorted(frozen.items()))[:DIGITS],
            **switched_adapters(self.model),
        }

    def embed(self, x: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        return self._parts.embedding(x) * getattr(self.config, "embedding_multiplier", 1.0)

    def place(self, h: Float[Tensor, "B T D"], position: int | Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        if self._parts.place is not None:
            h = h + self._parts.place(positions(position, h.shape[1], h.device))
        return h if self._parts.dropout is None else self._parts.dropout(h)

    def norm(self, h: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return h if self._parts.norm is None else self._parts.norm(h)

    def head(self, h: Float[Tensor, "B T D"]) -> Tensor:
        return self.readout(h) if self.with_head else h

    def readout(self, h: Float[Tensor, "... D"]) -> Float[Tensor, "... V"]:
        """Logits of normed hidden vectors."""
        logits = self._parts.head(h) * getattr(self.config, "logit_scale", 1.0)
        logits = logits / getattr(self.config, "logits_scaling", 1.0)
        cap = getattr(self.config, "final_logit_softcapping", None)
        return logits if cap is None else cap * (logits / cap).tanh()

    def forward(self, x: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits of a segment without a memory."""
        return self._read(x, None, told=False)[0]

    def _read(self, x: Tensor, caches: Any, position: Any = 0, *, told: bool) -> tuple[Tensor, list[Any], list[Tensor]]:
        """Logits, caches and what every layer gives, from the embedding on."""
        h, kept = self.place(self.embed(x), position), []
        seen = [h]
        for index, layer in enumerate(self.layers):
            attend = cast(Any, layer).attend if told else None
            h, cache = layer(h, None if caches is None else caches[index], position, attend=attend)
            kept.append(cache)
            seen.append(h)
        return self.readout(self.norm(h)), kept, seen

    def _examine_layers(self) -> None:
        with torch.no_grad():
            like = self.embed(torch.zeros(1, 3, dtype=torch.long, device=self._device))
        h = torch.randn(1, 3, self.dim, generator=torch.Generator().manual_seed(0)).to(like.device, like.dtype)
        name = type(self.model).__name__
        for index, layer in enumerate(self.layers):
            try:
                cast(HuggingFaceLayer, layer).examine(h)
            except (TypeError, AttributeError, RuntimeError) as error:
                raise ValueError(
                    f"{name} cannot be a host: its layer {index} does not run by itself ({error})"
                ) from error
            except ValueError as error:
                raise ValueError(f"{name} cannot be a host: its layer {index}, {error}") from error

    def _within_untold_window(self) -> int | None:
        """The longest segment, where a model masks by a window of which its layers tell their attention nothing."""
        window, types = getattr(self.config, "sliding_window", None), getattr(self.config, "layer_types", None) or ()
        told = any(cast(Attention, layer.attention).window is not None for layer in self.layers)
        if not window or told or set(types) == {"full_attention"}:
            return self.longest
        return window if self.longest is None else min(window, self.longest)

    @torch.no_grad()
    def _compare(self, causal: Any, layers: nn.ModuleList) -> float:
        """The gap between this host and the model's own logits: at once, in pieces, by rows, and told how to attend.

        Raises:
            ValueError: it is too large, with the first layer that differs.
        """
        ids = torch.randint(self.vocabulary, (2, TOKENS), generator=torch.Generator().manual_seed(0)).to(self._device)
        own, expected = _own_logits(causal, layers, ids)
        if not bool(own.isfinite().all()):
            raise ValueError(
                f"{type(self.model).__name__} cannot be a host: its own logits are not finite, so its weights are "
                f"damaged or too large for {own.dtype}; give other files, or dtype='float32'"
            )
        allowed = TOLERANCE.get(own.dtype, 1e-5)
        worst = 0.0
        for way, told in ((self._whole, False), (self._pieces, False), (self._whole, True), (self._pieces, True)):
            logits, seen = way(ids, told)
            gap = _relative(own, logits)
            if not gap <= allowed:
                gaps = [_relative(a, b) for a, b in zip(expected, seen, strict=True)]
                raise ValueError(_differs(self.model, layers, gaps, gap, allowed))
            worst = max(worst, gap)
        return worst

    def _whole(self, ids: Tensor, told: bool) -> tuple[Tensor, list[Tensor]]:
        logits, _, seen = self._read(ids, None, told=told)
        return logits, seen

    def _pieces(self, ids: Tensor, told: bool) -> tuple[Tensor, list[Tensor]]:
        """Two pieces as numbers say where they are, and the last units one by one, as rows do."""
        like = self.embed(ids[:, :1])
        caches = [
            cast(Any, layer).initial_cache(len(ids), TOKENS, device=like.device, dtype=like.dtype)
            for layer in self.layers
        ]
        outputs, position = [], 0
        for piece in ids.split(PIECES, 1):
            by_rows = torch.full((len(ids),), position, device=ids.device) if position >= TOKENS - 2 else position
            logits, caches, seen = self._read(piece, caches, by_rows, told=told)
            outputs.append((logits, seen))
            position += piece.shape[1]
        logits = torch.cat([logits for logits, _ in outputs], 1)
        return logits, [torch.cat(parts, 1) for parts in zip(*(seen for _, seen in outputs), strict=True)]


def switched_adapters(model: nn.Module) -> dict[str, str]:
    """How adapters of peft were switched, which no weight tells; nothing where all of them act as they were made."""
    found = set()
    for part in model.modules():
        if not all(hasattr(part, name) for name in ("active_adapters", "disable_adapters", "scaling", "lora_alpha")):
            continue
        layer = cast(Any, part)
        usual = {
            name: (alpha / layer.r[name], alpha / math.sqrt(layer.r[name])) for name, alpha in layer.lora_alpha.items()
        }
        scaled = {name: scale for name, scale in layer.scaling.items() if scale not in usual[name]}
        if layer.disable_adapters or set(layer.active_adapters) != set(layer.scaling) or scaled:
            found.add(f"{'none of ' if layer.disable_adapters else ''}{sorted(layer.active_adapters)} {scaled}")
    return {"adapters": "; ".join(sorted(found))} if found else {}


def _text_config(causal: Any) -> Any:
    """The configuration of the language model, and what cannot be one is refused."""
    name, config = type(causal).__name__, getattr(causal, "config", None)
    if config is None or not hasattr(causal, "get_output_embeddings"):
        raise ValueError(f"{name} is no model of transformers; load one with AutoModelForCausalLM.from_pretrained")
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(f"{name} has an encoder, and a host reads from left to right; give a decoder-only model")
    if causal.get_output_embeddings() is None or not causal.can_generate():
        raise ValueError(
            f"{name} has no head that continues a text; load the model with AutoModelForCausalLM.from_pretrained"
        )
    return config


def _decoder(causal: Any, config: Any) -> tuple[nn.Module, nn.ModuleList]:
    """The module that has the layers, and these."""
    count = getattr(config, "num_hidden_layers", None)
    for module in causal.modules():
        for name in LAYERS:
            layers = getattr(module, name, None)
            if isinstance(layers, nn.ModuleList) and len(layers) == count:
                return module, layers
    raise ValueError(
        f"{type(causal).__name__} cannot be a host: it has no list of its layers called {' or '.join(LAYERS)}, "
        "as many as its configuration says"
    )


def _child(module: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    return next((found for name in names if isinstance(found := getattr(module, name, None), nn.Module)), None)


def _longest(config: Any) -> int | None:
    rotation = getattr(config, "rope_parameters", None) or {}
    if rotation.get("rope_type") in STRETCHED:
        original = rotation.get("original_max_position_embeddings")
        return original or getattr(config, "original_max_position_embeddings", None) or config.max_position_embeddings
    return getattr(config, "max_position_embeddings", None)


@contextmanager
def _at_rest(model: nn.Module) -> Iterator[None]:
    """Without dropout; afterwards every part trains as it did."""
    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _own_logits(causal: Any, layers: nn.ModuleList, ids: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The model's own logits, what its first layer is given and what every layer gives."""
    seen: list[Tensor] = []

    def given(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.append(args[0] if args else kwargs["hidden_states"])

    def gives(module: nn.Module, args: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layers[0].register_forward_pre_hook(given, with_kwargs=True)]
    hooks += [layer.register_forward_hook(gives) for layer in layers]
    try:
        return causal(ids, use_cache=False).logits, seen
    finally:
        for hook in hooks:
            hook.remove()


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).abs().max() / a.double().abs().max().clamp(min=1e-6))


def _differs(model: nn.Module, layers: nn.ModuleList, gaps: list[float], gap: float, allowed: float) -> str:
    first = next((index for index, found in enumerate(gaps) if not found <= allowed), None)
    if first is None:
        place = "after the last layer (its norm or its head)"
    elif first == 0:
        place = "before the first layer (its embedding)"
    else:
        place = f"in layer {first - 1} ({type(layers[first - 1]).__name__})"
    return (
        f"{type(model).__name__} cannot be a host: it computes otherwise {place}, where {gap:.1e} lies between its own "
        f"logits and the host's and {allowed:.0e} is allowed"
    )
