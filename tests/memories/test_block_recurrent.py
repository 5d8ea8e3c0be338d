"""The Block-Recurrent Transformer, unit by unit from its equations, and what its options are for."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.catalog import create_memory
from mnesis.layers.position_bias import PositionBias
from mnesis.memories.segment.block_recurrent import Block, BlockRecurrentCarried

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "block_recurrent.safetensors"

SIZES = {"dim": 8, "segment": 4, "slots": 3, "heads": 2, "hidden": 12}


def build(**options):
    torch.manual_seed(0)
    memory = create_memory("block-recurrent", **{**SIZES, **options}).double()
    for parameter in memory.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return memory


def rms(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight


def heads(x: Tensor, *, normed: bool = True) -> Tensor:
    """[N D] as [N H K], of length one."""
    x = x.view(len(x), 2, 4)
    return x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt() if normed else x


def look(query: Tensor, key: Tensor, value: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """One query [H K] at keys [N H K]."""
    scores = torch.einsum("hk,nhk->nh", query, key)
    weights = ((scores if bias is None else scores + bias) * scale.abs()).softmax(0)
    return torch.einsum("nh,nhk->hk", weights, value)


def naive(memory, x: Tensor) -> Tensor:
    """Equations of section 3, for one row, with all keys kept: [T D]."""
    state, layers, vector, outputs = memory.state_layer, memory.host.layers, memory.start, []
    kept = [[] for _ in layers]
    nearest = 0 if memory.itself else 1

    def of_state() -> tuple[Tensor, Tensor, Tensor]:
        placed = rms(vector, state.norm.weight) + state.place
        return placed, heads(state.project["key"](placed)), heads(state.project["value"](placed), normed=False)

    for t, unit in enumerate(x):
        h = unit
        _, state_key, state_value = of_state()
        for layer, keys in zip(layers, kept, strict=True):
            n = rms(h, layer.attention_norm.weight)[None]
            q, k, v = layer.query_key_value(n).chunk(3, -1)
            keys.append((heads(k)[0], heads(v, normed=False)[0]))
            seen = [s for s in range(len(keys)) if nearest <= t - s < memory.segment + nearest]
            context = torch.zeros(2, 4, dtype=x.dtype)
            if seen:
                bias = layer.bias(torch.tensor([[t - s for s in seen]]))[:, 0].T
                key, value = (torch.stack([keys[s][part] for s in seen]) for part in (0, 1))
                context = look(heads(q)[0], key, value, layer.scale, bias)
            if layer.reads:
                second = heads(layer.second_query(n))[0]
                context = torch.cat([context, look(second, state_key, state_value, layer.second_scale)])
            h = h + layer.output(context.flatten())
            m = rms(h, layer.mlp_norm.weight)
            h = h + layer.mlp.fall(layer.mlp.rise(m).relu())
        outputs.append(rms(h, memory.host.final_norm.weight))
        if (t + 1) % memory.segment:
            continue
        placed, state_key, state_value = of_state()
        near = kept[memory.recurrent][-2 * memory.segment :]
        key, value = (torch.stack([unit[part] for unit in near]) for part in (0, 1))
        own, second = heads(state.project["query"](placed)), heads(state.project["second_query"](placed))
        u = torch.stack(
            [
                torch.cat(
                    [
                        look(own[s], state_key, state_value, state.scale),
                        look(second[s], key, value, state.second_scale),
                    ]
                ).flatten()
                for s in range(len(vector))
            ]
        )
        vector = renewed(state, vector, u)
    return torch.stack(outputs)


def gated(gate, old: Tensor, u: Tensor, new: Tensor) -> Tensor:
    if gate.kind == "fixed":
        return gate.bias.sigmoid() * old + (1 - gate.bias.sigmoid()) * new
    return (gate.forget(u) + 1).sigmoid() * old + (gate.input(u) - 1).sigmoid() * new


def renewed(state, vector: Tensor, u: Tensor) -> Tensor:
    if state.structure == "single":
        between = state.rise(u).relu()
        return gated(state.mlp_gate, vector, between, state.fall(between).tanh())
    vector = gated(state.gate, vector, u, state.output(u))
    if state.structure == "skip":
        return vector
    between = state.rise(rms(vector, state.mlp_norm.weight)).relu()
    return gated(state.mlp_gate, vector, between, state.fall(between))


@pytest.mark.parametrize(
    "options",
    [
        *({"gate": gate, "structure": each} for gate, each in itertools.product(("fixed", "lstm"), ("skip", "dual"))),
        {"structure": "single"},
        {"feedback": True, "recurrent": 0, "layers": 3},
        {"itself": False},
    ],
    ids=str,
)
def test_equations(options) -> None:
    memory = build(**options)
    x = torch.randn(2, 15, 8, dtype=torch.float64)
    y, _ = memory(x)
    torch.testing.assert_close(y, torch.stack([naive(memory, row) for row in x]), rtol=1e-9, atol=1e-9)


def test_states_that_stand_nowhere_stay_one() -> None:
    """Without their places, vectors that begin alike read and are written alike; with them they part."""
    memory, x = build(), torch.randn(1, 20, 8, dtype=torch.float64)
    with torch.no_grad():
        memory.start.copy_(memory.start[:1].expand_as(memory.start))
        apart = memory(x)[1].carried.slots.vector[0]
        memory.state_layer.place.zero_()
        alike = memory(x)[1].carried.slots.vector[0]
    torch.testing.assert_close(alike, alike[:1].expand_as(alike))
    assert float((apart - apart[:1]).abs().max()) > 1e-3


def test_what_lies_beyond_the_window_comes_by_the_states_alone() -> None:
    memory, x = build(layers=1), torch.randn(1, 16, 8, dtype=torch.float64)
    other = x.clone()
    other[:, :4] += 1.0
    assert not torch.allclose(memory(x)[0][:, -1], memory(other)[0][:, -1], atol=1e-6)
    with torch.no_grad():
        memory.host.layers[0].output.weight[:, 8:] = 0.0
    torch.testing.assert_close(memory(x)[0][:, -1], memory(other)[0][:, -1])


def test_far_distances_share_a_bucket() -> None:
    bias = PositionBias(1)
    with torch.no_grad():
        bias.weight.copy_(torch.arange(32.0)[:, None])
    told = bias(torch.tensor([[0, 1, 15, 16, 17, 64, 127, 128, 10_000, -3]]))[0, 0].tolist()
    assert told == [0, 1, 15, 16, 16, 26, 31, 31, 31, 0]


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"recurrent=2: there are 2 layers; give one of 0 to 1"):
        create_memory("block-recurrent", **SIZES, recurrent=2)


def _filled(memory, weights: dict[str, Tensor]) -> None:
    """Their names and layout of weights in ours."""
    layer, state = memory.host.layers[0], memory.state_layer
    maps = {
        "recurrent_initial_state": memory.start,
        "relative_positions.rel_embedding": layer.bias.weight,
        "tbase._kvq.pre_attn_layernorm.scale": layer.attention_norm.weight,
        "tbase._kvq.attention_scale": layer.scale,
        "tbase.attention_scale2": layer.second_scale,
        "tbase._kvq.queries2_layer.kernel": layer.second_query.weight,
        "tbase.post_attn_mlp.output_layer.kernel": layer.output.weight,
        "tbase.pre_ffn_layernorm.scale": layer.mlp_norm.weight,
        "tbase.ffn.hidden0.kernel": layer.mlp.rise.weight,
        "tbase.ffn.output_layer.kernel": layer.mlp.fall.weight,
        "recurrent_tbase._kvq.pre_attn_layernorm.scale": state.norm.weight,
        "recurrent_tbase._kvq.position_embeddings": state.place,
        "recurrent_tbase._kvq.attention_scale": state.scale,
        "recurrent_tbase.attention_scale2": state.second_scale,
        "recurrent_tbase._kvq.queries_layer.kernel": state.project["query"].weight,
        "recurrent_tbase._kvq.queries2_layer.kernel": state.project["second_query"].weight,
        "recurrent_tbase._kvq.keys_layer.kernel": state.project["key"].weight,
        "recurrent_tbase._kvq.values_layer.kernel": state.project["value"].weight,
    }
    for name, ours in (("post_attn_mlp", "gate"), ("ffn", "mlp_gate")):
        if (gate := getattr(state, ours, None)) is None:
            continue
        if gate.kind == "fixed":
            maps[f"recurrent_tbase.{name}.gate_bias"] = gate.bias
            continue
        for part in ("forget", "input"):
            maps[f"recurrent_tbase.{name}.{part}_gate.kernel"] = getattr(gate, part).weight
            maps[f"recurrent_tbase.{name}.{part}_gate.bias"] = getattr(gate, part).bias
    if state.structure != "single":
        maps["recurrent_tbase.post_attn_mlp.output_layer.kernel"] = state.output.weight
    if state.structure != "skip":
        maps["recurrent_tbase.ffn.hidden0.kernel"] = state.rise.weight
        maps["recurrent_tbase.ffn.output_layer.kernel"] = state.fall.weight
    if state.structure == "dual":
        maps["recurrent_tbase.pre_ffn_layernorm.scale"] = state.mlp_norm.weight
    together = [weights.pop(f"tbase._kvq.{part}_layer.kernel") for part in ("queries", "keys", "values")]
    layer.query_key_value.weight.copy_(torch.cat(together, 1).T)
    assert set(maps) == set(weights)
    for name, parameter in maps.items():
        transposed = name.endswith("kernel") or "rel_embedding" in name
        parameter.copy_(weights[name].T if transposed else weights[name])


@torch.no_grad()
@pytest.mark.parametrize("structure", ["skip", "single", "dual"])
@pytest.mark.parametrize("gate", ["bias", "lstm"])
def test_the_authors_layer(gate, structure) -> None:
    """Three blocks behind one that was read before, outputs and state vectors (tests/golden/README.md)."""
    golden = load_file(GOLDEN)
    prefix = f"{gate}-{structure}/"
    options = {"gate": {"bias": "fixed"}.get(gate, gate), "structure": structure, "layers": 1, "itself": False}
    memory = build(**options)
    weights = {
        key.removeprefix(f"{prefix}weight/"): golden[key] for key in golden if key.startswith(f"{prefix}weight/")
    }
    _filled(memory, weights)
    memory.host.final_norm = torch.nn.Identity()
    state = memory.initial_state(2, device=torch.device("cpu"), dtype=torch.float64)
    slots = memory.state_layer(golden["input/slots"])
    blocks = (Block(golden["input/key"], golden["input/value"]),)
    state = state._replace(carried=BlockRecurrentCarried(slots, blocks, torch.ones(2, dtype=torch.bool)))
    y, after = memory(golden["input/x"], state)
    # Their norms take the mean square in float32.
    torch.testing.assert_close(y, golden[f"{prefix}output/y"], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(after.carried.slots.vector, golden[f"{prefix}output/slots"], rtol=1e-6, atol=1e-6)
