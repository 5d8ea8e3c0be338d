"""Released recurrent models come in with the same logits and go out again, and read what their own code cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

transformers = pytest.importorskip("transformers", minversion="5.24")

from mnesis import align_left  # noqa: E402
from mnesis.core.laws import check  # noqa: E402
from mnesis.nets import LanguageModel, load, save  # noqa: E402
from mnesis.nets.huggingface import from_pretrained, to_huggingface  # noqa: E402

from .twins import CONFIGURATIONS, Twin  # noqa: E402

VOCABULARY = 61
CUTS = [1, 1, 3, 8, 1, 16, 10]
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2}
MAMBA2 = {**SMALL, "num_heads": 4, "head_dim": 16, "state_size": 8, "chunk_size": 8}
GEMMA = {**SMALL, "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 4, "attention_window_size": 7}
XLSTM = {**SMALL, "hidden_size": 128, "num_heads": 4}  # their caches fit widths of 128 and more alone
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mamba": ("Mamba", {**SMALL, "state_size": 8}),
    "mamba, other options": (
        "Mamba",
        {
            **SMALL,
            "use_bias": True,
            "use_conv_bias": False,
            "tie_word_embeddings": False,
            "conv_kernel": 3,
            "expand": 3,
            "time_step_rank": 5,
            "layer_norm_epsilon": 1e-2,
        },
    ),
    "mamba2": ("Mamba2", {**MAMBA2, "n_groups": 1}),
    "mamba2, groups": ("Mamba2", {**MAMBA2, "n_groups": 2, "layer_norm_epsilon": 1e-2, "use_bias": True}),
    "recurrent_gemma": ("RecurrentGemma", {**GEMMA, "num_key_value_heads": 1}),
    "recurrent_gemma, own heads": (
        "RecurrentGemma",
        {**GEMMA, "num_key_value_heads": 2, "lru_width": 48, "logits_soft_cap": 2.0, "rms_norm_eps": 1e-2},
    ),
    "xlstm": ("xLSTM", XLSTM),
    "xlstm, other options": (
        "xLSTM",
        {**XLSTM, "norm_eps": 1e-2, "gate_soft_cap": 3.0, "output_logit_soft_cap": 2.0, "ffn_proj_factor": 1.3},
    ),
}
CALL = {"use_cache": False}


def model(name: str, dtype: torch.dtype = torch.float32) -> Any:
    """A model of transformers whose weights are all random."""
    architecture, options = MODELS[name]
    torch.manual_seed(0)
    made = getattr(transformers, f"{architecture}ForCausalLM")(
        getattr(transformers, f"{architecture}Config")(**options)
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return made.to(dtype).eval()


def tokens(batch: int = 2, time: int = sum(CUTS)) -> Tensor:
    return torch.randint(1, VOCABULARY, (batch, time), generator=torch.Generator().manual_seed(1))


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def readings(network: LanguageModel, ids: Tensor) -> dict[str, Tensor]:
    """Logits in one call, unit by unit, and in pieces."""
    found = {"call": network(ids)[0]}
    for way, sizes in {"steps": [1] * ids.shape[1], "cuts": CUTS}.items():
        state, outputs = None, []
        for piece in ids.split(sizes, 1):
            if way == "steps":
                y, state = network(piece[:, 0], state, step=True)
                y = y[:, None]
            else:
                y, state = network(piece, state)
            outputs.append(y)
        found[way] = torch.cat(outputs, 1)
    return found


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_transformers_gives_the_same_logits_as_a_network(name) -> None:
    own, ids = model(name), tokens()
    expected = own(ids, **CALL).logits
    assert expected.abs().max() > 0.5
    network = from_pretrained(own)
    assert not network.training
    for way, found in readings(network, ids).items():
        assert relative(found, expected) < 1e-5, way


@torch.no_grad()
def test_an_xlstm_that_counts_its_blocks_has_as_many(tmp_path) -> None:
    """Its num_hidden_layers stays at the default of 32 then, and transformers builds by num_blocks."""
    sizes = {key: value for key, value in XLSTM.items() if key != "num_hidden_layers"}
    torch.manual_seed(0)
    own = transformers.xLSTMForCausalLM(transformers.xLSTMConfig(**sizes, num_blocks=2)).eval()
    own.save_pretrained(tmp_path)
    network = from_pretrained(tmp_path)
    assert relative(network(tokens())[0], own(tokens(), **CALL).logits) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("name", ["mamba, other options", "mamba2, groups", "recurrent_gemma", "xlstm"])
def test_in_float64_nothing_is_left_but_the_norms_that_theirs_has_in_float32(name) -> None:
    own = model(name, torch.float64)
    network = from_pretrained(own, dtype=torch.float64)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float64}
    ways = readings(network, tokens())
    assert relative(ways["call"], own(tokens(), **CALL).logits) < 1e-6
    for way in ("steps", "cuts"):
        assert relative(ways[way], ways["call"]) < 1e-12, way


@torch.no_grad()
@pytest.mark.parametrize("name", ["mamba", "mamba2", "recurrent_gemma", "xlstm"])
def test_in_bfloat16_it_is_as_near_to_theirs_as_bfloat16_is(name) -> None:
    own = model(name)
    expected = own(tokens(), **CALL).logits
    network = from_pretrained(own, dtype=torch.bfloat16)
    theirs = relative(own.bfloat16()(tokens(), **CALL).logits.float(), expected)
    assert relative(network(tokens())[0].float(), expected) < 2 * theirs + 1e-3


@torch.no_grad()
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_checkpoints_of_flash_linear_attention_give_what_its_formulas_give(name, tmp_path) -> None:
    twin = Twin(CONFIGURATIONS[name])
    twin.save(tmp_path)
    ids = tokens()
    expected = twin.logits(ids)
    assert expected.abs().max() > 0.5
    network = from_pretrained(tmp_path, dtype=torch.float64)
    for way, found in readings(network, ids).items():
        assert relative(found, expected) < 1e-9, way
    assert relative(from_pretrained(tmp_path)(ids)[0].double(), expected) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_it_goes_out_again_and_transformers_loads_it(name, tmp_path) -> None:
    own, ids = model(name), tokens()
    expected = own(ids, **CALL).logits
    back = to_huggingface(from_pretrained(own), eos_token_id=7)
    assert type(back) is type(own)
    tensors, given = own.state_dict(), back.state_dict()
    assert given.keys() == tensors.keys()
    # Gemma's 1 + weight is rounded where the 1 is taken away again.
    assert all((given[key] - tensors[key]).abs().max() < (1e-6 if "norm" in key else 1e-30) for key in tensors)
    back.save_pretrained(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert loaded.config.eos_token_id == 7
    assert relative(loaded(ids, **CALL).logits, expected) < 1e-6
    assert relative(from_pretrained(tmp_path)(ids)[0], expected) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("name", ["mamba", "mamba2, groups", "recurrent_gemma"])
def test_a_folder_of_several_files_is_the_model_that_wrote_it(name, tmp_path) -> None:
    own = model(name)
    own.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    direct, read = from_pretrained(own), from_pretrained(str(tmp_path))
    assert all(torch.equal(tensor, read.state_dict()[key]) for key, tensor in direct.state_dict().items())
    assert (read.head.weight is read.reader.embedding.weight) == own.config.tie_word_embeddings
    before = own(tokens(), **CALL).logits
    for parameter in direct.parameters():
        parameter.zero_()
    assert torch.equal(own(tokens(), **CALL).logits, before)


@torch.no_grad()
def test_it_is_saved_and_generates_like_any_network(tmp_path) -> None:
    own = model("recurrent_gemma, own heads")
    network = from_pretrained(own)
    save(network, tmp_path / "ours")
    again = load(tmp_path / "ours")
    assert isinstance(again, LanguageModel)
    assert torch.equal(again(tokens())[0], network(tokens())[0])
    settings = {"max_new_tokens": 9, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    theirs = own.generate(tokens(1, 12), **settings)[:, 12:]
    assert again.generate(tokens(1, 12), tokens=9)[0].tolist() == theirs.tolist()


@pytest.mark.slow
@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("name", ["mamba2, groups", "recurrent_gemma", "xlstm"])
def test_what_comes_in_obeys_the_laws(name) -> None:
    network = from_pretrained(model(name), dtype=torch.float64)
    gaps = list(check(network, dtypes=[torch.float64], laws=["cuts", "resets", "padding"]))
    assert len(gaps) >= 3
    assert not [gap for gap in gaps if gap.holds is not True]


@pytest.mark.parametrize("memory", ["mamba", "mamba2"])
def test_a_network_of_ones_own_goes_out(memory) -> None:
    options = {"width": 8} if memory == "mamba2" else {}
    network = LanguageModel(VOCABULARY, dim=16, memory=memory, mlp=None, epsilon=1e-5, options=options, tie=True)
    with torch.no_grad():
        found = to_huggingface(network.eval())(tokens(), **CALL).logits
        assert relative(found, network(tokens())[0]) < 1e-5


def theirs_in_pieces(own: Any, ids: Tensor, sizes: list[int]) -> Tensor:
    """Logits of a model of transformers that is handed its cache from piece to piece, and told positions."""
    gemma = own.config.model_type == "recurrent_gemma"
    cache = transformers.DynamicCache(config=own.config) if gemma else None
    outputs, at = [], 0
    for piece in ids.split(sizes, 1):
        told = {"position_ids": torch.arange(at, at + piece.shape[1])[None]} if gemma else {}
        out = own(piece, cache=cache, use_cache=True, **told)
        cache = cache if gemma else out.cache
        outputs.append(out.logits)
        at += piece.shape[1]
    return torch.cat(outputs, 1)


RIGHT, WRONG = (0.0, 1e-5), (1e-3, 10.0)
SIDE_BY_SIDE = {
    # in pieces; left-padded; two texts in one row; two texts in turns, each with its cache
    "mamba": (WRONG, RIGHT, WRONG, RIGHT),
    "mamba2": (RIGHT, RIGHT, WRONG, RIGHT),
    "recurrent_gemma": (WRONG, WRONG, WRONG, WRONG),
    "xlstm": (RIGHT, WRONG, WRONG, RIGHT),
}
"""What gaps transformers 5.24 has from its own logits of a text alone; a later one may do better, and then says so."""


@torch.no_grad()
@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_the_same_weights_side_by_side(name) -> None:
    """Ours are right in each of these; theirs where the table says so."""
    own, ids, padding, start = model(name), tokens(), 9, 20
    network = from_pretrained(own)
    gemma = name == "recurrent_gemma"
    whole = own(ids, **CALL).logits

    pieces = [20, 20]
    first, state = network(ids[:, :20])
    ours = [relative(torch.cat([first, network(ids[:, 20:], state)[0]], 1), whole)]
    theirs = [relative(theirs_in_pieces(own, ids, pieces), whole)]

    padded, mask = ids.clone(), torch.ones_like(ids)
    padded[0, :padding], mask[0, :padding] = 0, 0
    alone, length = own(ids[:1, padding:], **CALL).logits, mask.sum(1)
    ours.append(relative(network(align_left(padded, length), length=length)[0][:1, : length[0]], alone))
    told = {"position_ids": (mask.cumsum(1) - 1).clamp_min(0)} if gemma else {}
    theirs.append(relative(own(padded, attention_mask=mask, **told, **CALL).logits[:1, padding:], alone))

    second = own(ids[:, start:], **CALL).logits
    reset = torch.zeros(ids.shape, dtype=torch.bool)
    reset[:, start] = True
    ours.append(relative(network(ids, reset=reset)[0][:, start:], second))
    positions = torch.cat([torch.arange(start), torch.arange(ids.shape[1] - start)])[None].expand(2, -1)
    told = {"position_ids": positions} if gemma else {}
    theirs.append(relative(own(ids, **told, **CALL).logits[:, start:], second))

    caches, states, found = [], [], {"ours": [], "theirs": []}
    for row in ids.split(1):
        cache = transformers.DynamicCache(config=own.config) if gemma else None
        out = own(row[:, :20], cache=cache, use_cache=True)
        caches.append(cache if gemma else out.cache)
        states.append(network(row[:, :20])[1])
    for row, cache, state in zip(ids.split(1), caches, states, strict=True):
        for at in range(20, ids.shape[1]):
            told = {"position_ids": torch.tensor([[at]])} if gemma else {}
            found["theirs"].append(own(row[:, at : at + 1], cache=cache, use_cache=True, **told).logits)
        found["ours"].append(network(row[:, 20:], state)[0])
    halves = whole[:, 20:].reshape(1, -1, VOCABULARY)
    ours.append(relative(torch.cat(found["ours"], 1), halves))
    theirs.append(relative(torch.cat(found["theirs"], 1), halves))

    print(name, "ours", *(f"{gap:.0e}" for gap in ours), "theirs", *(f"{gap:.0e}" for gap in theirs))
    assert max(ours) < 1e-5
    for gap, (least, most) in zip(theirs, SIDE_BY_SIDE[name], strict=True):
        assert least <= gap < most


@pytest.fixture
def folder(tmp_path) -> Path:
    """A checkpoint of a small Mamba."""
    model("mamba").save_pretrained(tmp_path / "mamba")
    return tmp_path / "mamba"


def rewrite(folder: Path, change: Any = None, **configuration: Any) -> None:
    """Write a checkpoint's tensors, changed, and its configuration with other values."""
    tensors = load_file(folder / "model.safetensors")
    if change is not None:
        change(tensors)
        save_file(tensors, folder / "model.safetensors")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **configuration}))


LAYER = "backbone.layers.1.mixer"
DAMAGES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "missing": (lambda t: t.pop(f"{LAYER}.D"), {}, rf"lacks {LAYER}.D; download the whole"),
    "missing layers": (None, {"num_hidden_layers": 3}, r"lacks backbone.layers.2.norm.weight and 9 more; download"),
    "unknown": (
        lambda t: t.update({f"{LAYER}.lora_A": torch.zeros(2)}),
        {},
        rf"holds {LAYER}.lora_A, which MambaForCausalLM of its configuration has no place for; give",
    ),
    "misshapen": (
        lambda t: t.update({f"{LAYER}.D": torch.zeros(3)}),
        {},
        rf"holds {LAYER}.D in the shape \[3\], and its configuration makes it \[64\]; give the config.json",
    ),
    "of another width": (None, {"state_size": 9}, r"x_proj.weight in the shape \[18, 64\], and .* \[20, 64\]"),
    "quantised": (
        lambda t: t.update({f"{LAYER}.D": torch.zeros(64, dtype=torch.int8)}),
        {},
        rf"{LAYER}.D as torch.int8; give weights that are not quantised",
    ),
    "another head": (
        lambda t: t.update({"lm_head.weight": torch.zeros(VOCABULARY, 32)}),
        {},
        r"lm_head.weight, which differs from backbone.embeddings.weight, .* tie_word_embeddings=false",
    ),
    "another family": (None, {"model_type": "llama"}, r"model_type 'llama', which does not come in; .*HuggingFaceHost"),
    "a slip": (None, {"model_type": "mambda"}, r"did you mean 'mamba'\?"),
    "no family": (None, {"model_type": None}, r"model_type None, which does not come in; there are mamba, mamba2"),
    "an option": (None, {"hidden_act": "relu"}, r"hidden_act='relu' has no network here; take a model with .*'silu'"),
    "a part": (None, {"expand": 1.5}, r"MambaForCausalLM|expand"),
    "no number": (None, {"hidden_size": "wide"}, r"config.json is none of MambaForCausalLM \("),
    "vast": (
        None,
        {"num_hidden_layers": 10**9},
        r"num_hidden_layers=1000000000, and beside it are 22 tensors; give the config.json",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_with_a_checkpoint_is_said_in_one_sentence(damage, folder) -> None:
    change, configuration, sentence = DAMAGES[damage]
    rewrite(folder, change, **configuration)
    with pytest.raises(ValueError, match=sentence) as caught:
        from_pretrained(folder)
    assert "\n" not in str(caught.value)


@torch.no_grad()
def test_names_of_earlier_versions_and_a_head_told_twice_come_in(folder) -> None:
    def earlier(tensors: dict[str, Tensor]) -> None:
        embedding = tensors.pop("backbone.embeddings.weight")
        tensors |= {"backbone.embedding.weight": embedding, "lm_head.weight": embedding.clone()}

    rewrite(folder, earlier)
    assert torch.equal(from_pretrained(folder)(tokens())[0], from_pretrained(model("mamba"))(tokens())[0])


def test_pickles_are_not_opened_and_nothing_is_downloaded(folder, tmp_path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("the pickle was opened",))

    (folder / "model.safetensors").unlink()
    torch.save(Trap(), folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"holds pytorch_model.bin, a pickle, .* is not opened; give safetensors"):
        from_pretrained(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no model.safetensors; download"):
        from_pretrained(folder)
    with pytest.raises(FileNotFoundError, match=r"no folder state-spaces/mamba-130m-hf; nothing is downloaded here"):
        from_pretrained("state-spaces/mamba-130m-hf")
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        from_pretrained(folder)


def test_weights_without_a_configuration_are_refused(folder) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config.json"):
        from_pretrained(folder)


@pytest.mark.parametrize("file", ["../other.safetensors", "/etc/passwd", "missing.safetensors", 3])
def test_an_index_names_files_beside_it(file, folder) -> None:
    (folder / "model.safetensors").rename(folder.parent / "other.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": file}}))
    with pytest.raises((ValueError, FileNotFoundError), match=r"no file|weight_map"):
        from_pretrained(folder)


UNKNOWN = {
    "recurrent_gemma": ({"block_types": ["attention", "recurrent"]}, "block_types="),
    "xlstm": ({"qk_dim_factor": 1.0}, "xLSTMForCausalLM with qk_dim_factor=1.0 has no network here; take .*=0.5"),
    "mamba2": ({"time_step_limit": [0.1, 1.0]}, r"time_step_limit=\[0.1, 1.0\] has no network here"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_no_network_computes_is_refused(name) -> None:
    options, sentence = UNKNOWN[name]
    architecture, given = MODELS[name]
    configuration = getattr(transformers, f"{architecture}Config")(**{**given, **options})
    with pytest.raises(ValueError, match=sentence):
        from_pretrained(getattr(transformers, f"{architecture}ForCausalLM")(configuration))


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("gla", {"clamp_min": -1.0}, "GLAForCausalLM with clamp_min=-1.0 has no network"),
        ("gla", {"attn": {"layers": [1]}}, "attn="),
        ("delta_net", {"qk_norm": "sum"}, "qk_norm='sum' has no network here; take a model with qk_norm='l2'"),
        ("gated_deltanet", {"num_v_heads": 4}, "num_v_heads=4 has no network here; take .*num_v_heads=None or 2"),
    ],
)
def test_options_of_flash_linear_attention_that_no_network_has_are_refused(kind, options, sentence, tmp_path) -> None:
    twin = Twin(CONFIGURATIONS[kind])
    twin.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIGURATIONS[kind], **options}))
    with pytest.raises(ValueError, match=sentence):
        from_pretrained(tmp_path)


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(ValueError, match=r"MambaModel lacks backbone.embeddings.weight and"):
        from_pretrained(model("mamba").backbone)
    with pytest.raises(ValueError, match="Linear is of model_type None"):
        from_pretrained(torch.nn.Linear(3, 3))


INSIDE = {"dim": 16, "mlp": None}
SAME_EPSILON = {**INSIDE, "epsilon": 1e-5, "memory": "mamba2"}
STAY: dict[str, tuple[dict[str, Any], str]] = {
    "gru": ({"dim": 16, "memory": "gru"}, "no model for a LanguageModel of 'gru'; there are MambaForCausalLM, Mamba2"),
    "gla": ({**INSIDE, "memory": "gla"}, "no model for a LanguageModel of 'gla'"),
    "mixed": ({**INSIDE, "memory": ["mamba", "gru"]}, "no model for a LanguageModel"),
    "mlp": ({"dim": 16, "memory": "mamba"}, r"MambaForCausalLM has no place for reader.body.blocks.0.mlp.fall.weight"),
    "convolution": ({**INSIDE, "memory": "mamba", "convolution": 3}, "has no place for reader.body.blocks.0.convol"),
    "epsilons": ({**INSIDE, "memory": "mamba2", "options": {"width": 8}}, "norms of this network add 1e-06, 1e-05"),
    "groups": (
        {**SAME_EPSILON, "options": {"width": 8, "groups": 2}},
        "each of 2 groups, and this network of norm_groups=1; build it with norm_groups=2",
    ),
    "cap": ({**INSIDE, "memory": "mamba", "softcap": 30.0}, "MambaForCausalLM has softcap=None, and this network 30.0"),
    "no cap": ({"dim": 16, "memory": "mlstm", "mlp": "swiglu"}, "xLSTMForCausalLM caps its logits; build .*softcap="),
    "gelu": (
        {"dim": 16, "memory": "mlstm", "mlp": "geglu", "softcap": 30.0},
        "xLSTMForCausalLM computes otherwise than this network",
    ),
    "text": (
        {"dim": 16, "depth": 3, "memory": "griffin", "softcap": 30.0, "options": {"blocks": 4, "width": 16}},
        "embedding_scale=4.0, and this network 1.0",
    ),
}


@pytest.mark.parametrize("case", STAY)
def test_a_network_that_transformers_has_no_model_for_stays(case) -> None:
    options, sentence = STAY[case]
    with pytest.raises(ValueError, match=sentence) as caught:
        to_huggingface(LanguageModel(VOCABULARY, **options))
    assert "\n" not in str(caught.value)


def test_options_that_change_nothing_are_no_part_of_a_description() -> None:
    """Folders and runs of earlier versions name none of them."""
    assert not {"epsilon", "embedding_scale", "softcap"} & set(LanguageModel(9, dim=8, memory="gru").config)
    assert LanguageModel(9, dim=8, memory="gru", softcap=3.0).config["softcap"] == 3.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"memory": "mamba2", "options": {"width": 8, "norm_groups": 3}}, "norm_groups=3: 32 channels do not split"),
        ({"memory": "xlstm", "epsilon": 1e-5}, "epsilon"),
        ({"memory": "gru", "softcap": 0.0}, "softcap=0.0"),
        ({"memory": "gru", "embedding_scale": -1.0}, "embedding_scale=-1.0"),
    ],
)
def test_options_of_released_models_are_checked(options, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        LanguageModel(VOCABULARY, dim=16, **options)
