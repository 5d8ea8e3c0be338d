"""Mamba, Mamba-2, RecurrentGemma and xLSTM of transformers: configurations and names of tensors, both ways."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import nn

from ...memories.bank.window import Window
from ...memories.linear.mamba import Mamba
from ...memories.linear.mamba2 import Mamba2
from ...memories.linear.mlstm import MLSTM
from ...memories.linear.rg_lru import RGLRU
from ..language_model import LanguageModel
from ..stack import Block
from .linear_attention import LINEAR_ATTENTION
from .tables import (
    CENTRED,
    NEGATED,
    TAPS,
    Family,
    Row,
    blocks_of,
    common,
    folded,
    only,
    rows_of,
    unfolded,
    whole_number,
)


def _epsilon(network: LanguageModel) -> float:
    """Of all norms, which must be one: configurations have one."""
    found = {cast(float, module.eps) for module in network.modules() if isinstance(module, (nn.RMSNorm, nn.LayerNorm))}
    found |= {part.epsilon for part in network.modules() if isinstance(part, (Mamba2, MLSTM))}
    if len(found) > 1:
        raise ValueError(
            f"the norms of this network add {', '.join(map(str, sorted(found)))}, and configurations of transformers "
            "have one epsilon; build it with the same in LanguageModel(epsilon=...) and its options"
        )
    return found.pop()


def _mamba(configuration: Any) -> dict[str, Any]:
    only("MambaForCausalLM", configuration, hidden_act="silu")
    options = {
        "states": configuration.state_size,
        "expansion": whole_number("MambaForCausalLM", "expand", configuration.expand),
        "convolution": configuration.conv_kernel,
        "rank": int(configuration.time_step_rank),
        "bias": configuration.use_bias,
    }
    return common(configuration, memory="mamba", mlp=None, epsilon=configuration.layer_norm_epsilon, options=options)


def _mamba_back(network: LanguageModel, memory: Mamba) -> dict[str, Any]:
    return {
        "state_size": memory.states,
        "expand": memory.channels // cast(int, memory.dim),
        "conv_kernel": memory.convolution.width,
        "time_step_rank": memory.rank,
        "use_bias": memory.input.bias is not None,
        "use_conv_bias": _has_convolution_bias(network),
        "layer_norm_epsilon": _epsilon(network),
    }


def _has_convolution_bias(network: LanguageModel) -> bool:
    """Ours always have one, which is nothing where theirs had none."""
    return any(bool(cast(Any, block.memory).convolution.bias.any()) for block in blocks_of(network))


def _convolution(theirs: str, bias: bool) -> list[Row]:
    """Of state space models, with or without a bias."""
    return [
        Row("memory.convolution.weight", (f"{theirs}.weight",), TAPS),
        Row("memory.convolution.bias", (f"{theirs}.bias",) if bias else ()),
    ]


def _mamba_layer(block: Block, configuration: Any) -> list[Row]:
    table = {
        "norm.weight": "memory_norm.weight",
        "mixer.in_proj.weight": "memory.input.weight",
        "mixer.x_proj.weight": "memory.select.weight",
        "mixer.dt_proj.weight": "memory.time_step.weight",
        "mixer.A_log": "memory.log_rate",
        "mixer.D": "memory.skip",
        "mixer.out_proj.weight": "memory.output.weight",
    }
    biases = ("memory.time_step", *(("memory.input", "memory.output") if configuration.use_bias else ()))
    return rows_of(table, *_convolution("mixer.conv1d", configuration.use_conv_bias), biases=biases)


def _mamba2(configuration: Any) -> dict[str, Any]:
    name = "Mamba2ForCausalLM"
    only(name, configuration, hidden_act="silu")
    least, most = configuration.time_step_limit
    if least > 0 or most != math.inf:
        raise ValueError(
            f"{name} with time_step_limit={[least, most]} has no network here; take a model without, [0.0, inf]"
        )
    options = {
        "states": configuration.state_size,
        "expansion": whole_number(name, "expand", configuration.expand),
        "width": configuration.head_dim,
        "groups": configuration.n_groups,
        "norm_groups": configuration.n_groups,
        "convolution": configuration.conv_kernel,
        "epsilon": configuration.layer_norm_epsilon,
        "bias": configuration.use_bias,
    }
    return common(configuration, memory="mamba2", mlp=None, epsilon=configuration.layer_norm_epsilon, options=options)


def _mamba2_back(network: LanguageModel, memory: Mamba2) -> dict[str, Any]:
    if memory.norm_groups != memory.groups:
        raise ValueError(
            f"Mamba2ForCausalLM normalises the channels of each of {memory.groups} groups, and this network of "
            f"norm_groups={memory.norm_groups}; build it with norm_groups={memory.groups}"
        )
    channels, keys, _ = memory.sizes
    return {
        "state_size": keys // memory.groups,
        "expand": channels // cast(int, memory.dim),
        "num_heads": memory.heads,
        "head_dim": channels // memory.heads,
        "n_groups": memory.groups,
        "conv_kernel": memory.convolution.width,
        "use_bias": memory.input.bias is not None,
        "use_conv_bias": _has_convolution_bias(network),
        "layer_norm_epsilon": _epsilon(network),
    }


def _mamba2_layer(block: Block, configuration: Any) -> list[Row]:
    table = {
        "norm.weight": "memory_norm.weight",
        "mixer.in_proj.weight": "memory.input.weight",
        "mixer.dt_bias": "memory.time_step",
        "mixer.A_log": "memory.log_rate",
        "mixer.D": "memory.skip",
        "mixer.norm.weight": "memory.norm",
        "mixer.out_proj.weight": "memory.output.weight",
    }
    biases = ("memory.input", "memory.output") if configuration.use_bias else ()
    return rows_of(table, *_convolution("mixer.conv1d", configuration.use_conv_bias), biases=biases)


def _recurrent_gemma(configuration: Any) -> dict[str, Any]:
    name = "RecurrentGemmaForCausalLM"
    only(name, configuration, hidden_activation="gelu_pytorch_tanh", attention_bias=False)
    only(name, configuration, block_types=(["recurrent", "recurrent", "attention"],))
    rotary = configuration.rope_parameters
    if rotary["rope_theta"] != 10_000 or rotary.get("partial_rotary_factor") != 0.5:
        raise ValueError(
            f"{name} with rope_parameters={dict(rotary)} has no network here; take a model that turns the first half "
            "of a head's channels, with rope_theta=10000"
        )
    options = {
        "heads": configuration.num_attention_heads,
        # transformers lets a unit see as many, itself among them; the authors' code, which Griffin follows, one more.
        "window": configuration.attention_window_size - 1,
        "width": configuration.lru_width,
        "blocks": configuration.num_attention_heads,
        "convolution": configuration.conv1d_width,
        "released": True,
        "key_value_heads": configuration.num_key_value_heads,
    }
    return common(
        configuration,
        memory="griffin",
        hidden=configuration.intermediate_size // 2,
        epsilon=configuration.rms_norm_eps,
        embedding_scale=_root(configuration.hidden_size),
        softcap=configuration.logits_soft_cap,
        options=options,
    )


def _root(dim: int) -> float:
    """sqrt(dim) in bfloat16, as RecurrentGemma multiplies its embeddings whatever its weights are."""
    return float(torch.tensor(dim**0.5, dtype=torch.bfloat16))


def _recurrent_gemma_back(network: LanguageModel, memory: RGLRU) -> dict[str, Any]:
    blocks = blocks_of(network)
    attending = next((block.memory for block in blocks if isinstance(block.memory, Window)), None)
    sized = {} if attending is None else {"attention_window_size": attending.window}
    heads = memory.input_gate.weight.shape[0]
    if attending is not None and attending.heads != heads:
        raise ValueError(
            f"RecurrentGemmaForCausalLM has as many heads as blocks in its gates, and this network {attending.heads} "
            f"and {heads}; build it with blocks={attending.heads}"
        )
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": 1 if attending is None else attending.key_value_heads,
        "intermediate_size": 2 * cast(Any, blocks[0].mlp).rise.out_features,
        "lru_width": memory.width,
        "conv1d_width": memory.convolution.width,
        "logits_soft_cap": _cap("RecurrentGemmaForCausalLM", network),
        "rms_norm_eps": _epsilon(network),
        **sized,
    }


def _cap(architecture: str, network: LanguageModel) -> float:
    if network.softcap is None:
        raise ValueError(f"{architecture} caps its logits; build the network with softcap=30.0, or another number")
    return network.softcap


def _recurrent_gemma_layer(block: Block, configuration: Any) -> list[Row]:
    table = {
        "mlp_block.gate_proj.weight": "mlp.gate.weight",
        "mlp_block.up_proj.weight": "mlp.rise.weight",
        "mlp_block.down_proj.weight": "mlp.fall.weight",
    }
    norms = [
        Row("memory_norm.weight", ("temporal_pre_norm.weight",), CENTRED),
        Row("mlp_norm.weight", ("channel_pre_norm.weight",), CENTRED),
    ]
    biases = ["mlp.gate", "mlp.rise", "mlp.fall", "memory.output"]
    if isinstance(block.memory, Window):
        table["temporal_block.o_proj.weight"] = "memory.output.weight"
        width = block.memory.width // block.memory.heads
        shared = block.memory.key_value_heads * width
        names = tuple(f"temporal_block.{part}_proj.weight" for part in "qkv")
        sizes = (block.memory.width, shared, shared)
        return rows_of(table, *norms, Row("memory.query_key_value.weight", names, sizes=sizes), biases=tuple(biases))
    memory = cast(RGLRU, block.memory)
    table |= {
        "temporal_block.linear_x.weight": "memory.input.weight",
        "temporal_block.linear_y.weight": "memory.gate.weight",
        "temporal_block.linear_out.weight": "memory.output.weight",
        "temporal_block.rg_lru.input_gate_weight": "memory.input_gate.weight",
        "temporal_block.rg_lru.recurrent_gate_weight": "memory.recurrence_gate.weight",
    }
    by_block = folded(memory.input_gate.weight.shape[0])
    recurrence = [
        Row("memory.decay", ("temporal_block.rg_lru.recurrent_param",), NEGATED),
        Row("memory.input_gate.bias", ("temporal_block.rg_lru.input_gate_bias",), by_block),
        Row("memory.recurrence_gate.bias", ("temporal_block.rg_lru.recurrent_gate_bias",), by_block),
    ]
    biases += ["memory.input", "memory.gate"]
    return rows_of(table, *norms, *recurrence, *_convolution("temporal_block.conv_1d", True), biases=tuple(biases))


def _xlstm(configuration: Any) -> dict[str, Any]:
    only(
        "xLSTMForCausalLM",
        configuration,
        use_bias=False,
        add_out_norm=True,
        qk_dim_factor=0.5,
        v_dim_factor=1.0,
        eps=1e-6,
        weight_mode="single",
    )
    multiple = configuration.ffn_round_up_to_multiple_of
    wide = int((configuration.hidden_size * configuration.ffn_proj_factor + multiple - 1) // multiple * multiple)
    options = {
        "heads": configuration.num_heads,
        "cap": configuration.gate_soft_cap,
        "epsilon": configuration.norm_eps,
    }
    return common(
        configuration,
        depth=configuration.num_blocks,  # where both are said, transformers builds as many and not num_hidden_layers
        memory="mlstm",
        mlp="swiglu",
        hidden=wide,
        epsilon=configuration.norm_eps,
        softcap=configuration.output_logit_soft_cap,
        options=options,
    )


def _xlstm_back(network: LanguageModel, memory: MLSTM) -> dict[str, Any]:
    block, dim = blocks_of(network)[0], cast(int, memory.dim)
    if memory.cap is None:
        raise ValueError("xLSTMForCausalLM caps its gates; build the network with cap=15.0, or another number")
    if block.mlp is None:
        raise ValueError("xLSTMForCausalLM has a SwiGLU MLP in every block; build the network with mlp='swiglu'")
    return {
        "num_heads": memory.heads,
        "gate_soft_cap": memory.cap,
        "output_logit_soft_cap": _cap("xLSTMForCausalLM", network),
        # The least factor by which dim is not below the width, which is then rounded down.
        "ffn_proj_factor": math.nextafter(block.mlp.rise.out_features / dim, math.inf),
        "ffn_round_up_to_multiple_of": 1,
        "norm_eps": _epsilon(network),
    }


def _xlstm_layer(block: Block, configuration: Any) -> list[Row]:
    table = {
        "norm_mlstm.weight": "memory_norm.weight",
        "mlstm_layer.q.weight": "memory.query.weight",
        "mlstm_layer.k.weight": "memory.key.weight",
        "mlstm_layer.v.weight": "memory.value.weight",
        "mlstm_layer.ogate_preact.weight": "memory.gate.weight",
        "mlstm_layer.igate_preact.weight": "memory.input_gate.weight",
        "mlstm_layer.fgate_preact.weight": "memory.forget_gate.weight",
        "mlstm_layer.out_proj.weight": "memory.output.weight",
        "norm_ffn.weight": "mlp_norm.weight",
        "ffn.proj_up_gate.weight": "mlp.gate.weight",
        "ffn.proj_up.weight": "mlp.rise.weight",
        "ffn.proj_down.weight": "mlp.fall.weight",
    }
    scale = Row("memory.scale", ("mlstm_layer.multihead_norm.weight",), unfolded(configuration.num_heads))
    return rows_of(table, scale, biases=("memory.input_gate", "memory.forget_gate"))


_BACKBONE: dict[str, Any] = {
    "layers": "backbone.layers.{}.",
    "embedding": "backbone.embeddings.weight",
    "norm": "backbone.norm_f.weight",
}

FAMILIES: dict[str, Family] = {
    "mamba": Family(
        "MambaForCausalLM", "MambaConfig", _mamba, _mamba_layer, **_BACKBONE, back=_mamba_back, memories=(Mamba,)
    ),
    "mamba2": Family(
        "Mamba2ForCausalLM", "Mamba2Config", _mamba2, _mamba2_layer, **_BACKBONE, back=_mamba2_back, memories=(Mamba2,)
    ),
    "recurrent_gemma": Family(
        "RecurrentGemmaForCausalLM",
        "RecurrentGemmaConfig",
        _recurrent_gemma,
        _recurrent_gemma_layer,
        layers="model.layers.{}.",
        embedding="model.embed_tokens.weight",
        norm="model.final_norm.weight",
        norms=CENTRED,
        back=_recurrent_gemma_back,
        memories=(RGLRU, Window),
    ),
    "xlstm": Family(
        "xLSTMForCausalLM",
        "xLSTMConfig",
        _xlstm,
        _xlstm_layer,
        layers="backbone.blocks.{}.",
        embedding="backbone.embeddings.weight",
        norm="backbone.out_norm.weight",
        back=_xlstm_back,
        memories=(MLSTM,),
    ),
    **LINEAR_ATTENTION,
}
"""By the ``model_type`` of configurations."""
