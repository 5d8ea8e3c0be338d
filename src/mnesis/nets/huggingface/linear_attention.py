"""GLA, DeltaNet and Gated DeltaNet of flash-linear-attention: configurations and names of tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from ...layers.query_key_value import QueryKeyValue
from ..stack import Block
from .tables import RESIDUAL_TAPS, Family, Row, common, only, rows_of, whole_number


def _linear_attention(architecture: str, configuration: Any, memory: str, options: dict[str, Any]) -> dict[str, Any]:
    """What flash-linear-attention's models share."""
    only(architecture, configuration, attn=None, attnres_block_size=None, hidden_act="swish")
    wide = configuration.intermediate_size
    if wide is None:  # as its MLP does
        wide = 256 * math.ceil(int(configuration.hidden_size * (configuration.hidden_ratio or 4) * 2 / 3) / 256)
    options = {
        **options,
        "heads": configuration.num_heads,
        "convolution": configuration.conv_size if configuration.use_short_conv else None,
    }
    return common(
        configuration, memory=memory, mlp="swiglu", hidden=wide, epsilon=configuration.norm_eps, options=options
    )


def _linear_attention_layer(block: Block, more: Mapping[str, str], *changed: Row) -> list[Row]:
    table = {
        "attn_norm.weight": "memory_norm.weight",
        "attn.o_proj.weight": "memory.output.weight",
        "mlp_norm.weight": "mlp_norm.weight",
        "mlp.gate_proj.weight": "mlp.gate.weight",
        "mlp.up_proj.weight": "mlp.rise.weight",
        "mlp.down_proj.weight": "mlp.fall.weight",
        **more,
    }
    inside = cast(QueryKeyValue, cast(Any, block.memory).query_key_value)
    within = "memory.query_key_value"
    maps = tuple(f"attn.{part}_proj.weight" for part in "qkv")
    joined = [Row(f"{within}.projection.weight", maps, sizes=inside.sizes)]
    if inside.convolution is not None:
        taps = tuple(f"attn.{part}_conv1d.weight" for part in "qkv")
        joined.append(Row(f"{within}.convolution.weight", taps, RESIDUAL_TAPS, inside.sizes))
    return rows_of(table, *joined, *changed)


def _gla(configuration: Any) -> dict[str, Any]:
    name, heads = "GLAForCausalLM", configuration.num_heads
    only(name, configuration, num_kv_heads=(None, heads), feature_map=None, clamp_min=None, use_output_gate=True)
    width = int(configuration.hidden_size * configuration.expand_k) // heads
    options = {
        "key_expansion": configuration.expand_k,
        "value_expansion": configuration.expand_v,
        "epsilon": width * configuration.norm_eps,  # theirs divides what is read by the root of the width first
    }
    return _linear_attention(name, configuration, "gla", options)


def _gla_layer(block: Block, configuration: Any) -> list[Row]:
    table = {
        "attn.gk_proj.0.weight": "memory.decay.0.weight",
        "attn.gk_proj.1.weight": "memory.decay.1.weight",
        "attn.gk_proj.1.bias": "memory.decay.1.bias",
        "attn.g_proj.weight": "memory.gate.weight",
    }
    norm = "attn.g_norm_swish_gate.weight" if configuration.fuse_norm else "attn.g_norm.weight"
    scale = Row("memory.scale", (norm,) if configuration.elementwise_affine else (), absent=1.0)
    return _linear_attention_layer(block, table, scale, Row("memory.gate.bias", ()))


def _delta_net(configuration: Any) -> dict[str, Any]:
    name = "DeltaNetForCausalLM"
    only(name, configuration, expand_k=1, expand_v=1, use_gate=False, use_beta=True, use_output_norm=True)
    only(name, configuration, qk_norm="l2", qk_activation="silu")
    options = {"negative_eigenvalues": configuration.allow_neg_eigval, "epsilon": configuration.norm_eps}
    return _linear_attention(name, configuration, "delta-rule", options)


def _delta_net_layer(block: Block, configuration: Any) -> list[Row]:
    return _linear_attention_layer(
        block, {"attn.b_proj.weight": "memory.strength.weight", "attn.o_norm.weight": "memory.norm.weight"}
    )


def _gated_delta_net(configuration: Any) -> dict[str, Any]:
    name = "GatedDeltaNetForCausalLM"
    only(name, configuration, use_gate=True, num_v_heads=(None, configuration.num_heads))
    options = {
        "width": configuration.head_dim,
        "expansion": whole_number(name, "expand_v", configuration.expand_v),
        "negative_eigenvalues": configuration.allow_neg_eigval,
        "epsilon": configuration.norm_eps,
    }
    return _linear_attention(name, configuration, "gated-delta-rule", options)


def _gated_delta_net_layer(block: Block, configuration: Any) -> list[Row]:
    table = {
        "attn.a_proj.weight": "memory.decay.weight",
        "attn.b_proj.weight": "memory.strength.weight",
        "attn.A_log": "memory.log_rate",
        "attn.dt_bias": "memory.time_step",
        "attn.g_proj.weight": "memory.gate.weight",
        "attn.o_norm.weight": "memory.norm.weight",
    }
    return _linear_attention_layer(block, table)


_PLACES: dict[str, Any] = {
    "layers": "model.layers.{}.",
    "embedding": "model.embeddings.weight",
    "norm": "model.norm.weight",
}
_DEFAULTS: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 2048,
    "num_hidden_layers": 24,
    "hidden_ratio": 4,
    "intermediate_size": None,
    "hidden_act": "swish",
    "norm_eps": 1e-6,
    "conv_size": 4,
    "allow_neg_eigval": False,
    "tie_word_embeddings": False,
    "fuse_norm": True,
}
"""Of flash-linear-attention's configurations."""

LINEAR_ATTENTION: dict[str, Family] = {
    "gla": Family(
        "GLAForCausalLM",
        None,
        _gla,
        _gla_layer,
        **_PLACES,
        defaults={
            **_DEFAULTS,
            "num_heads": 4,
            "expand_k": 0.5,
            "expand_v": 1.0,
            "use_short_conv": False,
            "elementwise_affine": True,
        },
    ),
    "delta_net": Family(
        "DeltaNetForCausalLM",
        None,
        _delta_net,
        _delta_net_layer,
        **_PLACES,
        defaults={**_DEFAULTS, "num_heads": 16, "use_short_conv": True},
    ),
    "gated_deltanet": Family(
        "GatedDeltaNetForCausalLM",
        None,
        _gated_delta_net,
        _gated_delta_net_layer,
        **_PLACES,
        defaults={
            **_DEFAULTS,
            "num_hidden_layers": 21,
            "num_heads": 6,
            "head_dim": 256,
            "expand_v": 2.0,
            "use_short_conv": True,
        },
    ),
}
"""By the ``model_type`` of configurations."""
