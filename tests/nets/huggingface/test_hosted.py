"""Pretrained models with a memory: what is saved, what is refused, how they learn and generate."""

from __future__ import annotations

import json
import os
import shutil
import signal
import warnings

import pytest
import tokenizers
import torch
from safetensors.torch import load_file

transformers = pytest.importorskip("transformers", minversion="5.24")

from mnesis.core.catalog import create_task  # noqa: E402
from mnesis.core.laws import check  # noqa: E402
from mnesis.core.prefix_store import PrefixStore  # noqa: E402
from mnesis.core.state import leaves, load_state, save_state  # noqa: E402
from mnesis.learn import Recipe, Stage, fit  # noqa: E402
from mnesis.nets import HostedLanguageModel, load, save  # noqa: E402
from mnesis.nets.huggingface import open_model, open_tokenizer  # noqa: E402

from .models import folder_of, model  # noqa: E402

SMALL = {"segment": 16, "options": {"memory_tokens": 2, "memory_dim": 4}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folder_of("llama", tmp_path_factory.mktemp("host"))


@pytest.fixture
def hosted(folder):
    torch.manual_seed(0)
    return HostedLanguageModel(folder, memory="armt", lora=2, **SMALL)


def test_the_text_goes_in_and_comes_out(hosted) -> None:
    tokenizer = hosted.tokenizer()
    text = " Mary went to the kitchen."
    ids = torch.tensor([tokenizer.encode(text)])
    assert tokenizer.decode(ids[0]) == text
    logits, _ = hosted(ids)
    assert logits.shape == (1, ids.shape[1], tokenizer.vocabulary)
    generated, _ = hosted.generate(ids, tokens=20)
    assert generated.shape == (1, 20)
    longer = torch.cat([ids, generated], 1)
    again = hosted(longer)[0][:, ids.shape[1] - 1 : -1].argmax(-1)
    assert torch.equal(again, generated)
    body, head = hosted.parts()
    assert torch.equal(head(body(ids)[0]), logits)


def test_within_a_segment_a_new_memory_says_what_the_model_says(folder) -> None:
    """An ARMT writes nothing at the start; only its segments cut what the model sees."""
    own = open_model(folder)
    hosted = HostedLanguageModel(folder, memory="armt", **SMALL)
    ids = torch.randint(own.config.vocab_size, (2, 16))
    with torch.no_grad():
        assert torch.allclose(hosted(ids)[0], own(ids).logits, atol=1e-5)


def test_the_host_rests_and_memory_and_adapters_learn(hosted) -> None:
    learning = {name for name, weight in hosted.named_parameters() if weight.requires_grad}
    assert all("lora_" in name or not name.startswith("reader.host") for name in learning)
    assert "reader.memory" in learning
    ids = torch.randint(hosted.vocabulary, (2, 40))
    hosted(ids)[0].square().mean().backward()
    assert all(weight.grad is None for name, weight in hosted.named_parameters() if name not in learning)


def test_a_host_that_learns_is_not_lost_in_silence(hosted, tmp_path) -> None:
    hosted.host.requires_grad_(True)
    with pytest.raises(ValueError, match=r"of the host learns, and what is saved leaves the host out; write it with"):
        save(hosted, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    hosted.host.requires_grad_(False)
    save(hosted, tmp_path / "model")


def test_adapters_that_were_merged_into_the_host_are_not_lost_in_silence(hosted, tmp_path) -> None:
    hosted.host.model.merge_adapter()  # which keeps them beside it
    save(hosted, tmp_path / "kept")
    hosted.host.model.merge_and_unload()
    with pytest.raises(ValueError, match=r"the adapters were merged into the host, and what is saved leaves the host"):
        save(hosted, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_adapters_of_one_model_are_not_changed_by_another_on_its_host(folder) -> None:
    host = open_model(folder)
    first, ids = HostedLanguageModel(host, memory="armt", lora=2, **SMALL), torch.arange(40)[None]
    expected = first(ids)[0]
    for lora in (2, 4, None):
        with pytest.raises(ValueError, match="the LlamaForCausalLM has low-rank adapters already") as caught:
            HostedLanguageModel(host, memory="armt", lora=lora, **SMALL)
        assert "\n" not in str(caught.value)
    assert torch.equal(first(ids)[0], expected)
    assert any("lora_" in name and weight.requires_grad for name, weight in first.named_parameters())


@pytest.mark.parametrize("memory", ["armt", "rmt"])
def test_a_folder_holds_the_memory_and_names_the_host(folder, tmp_path, memory) -> None:
    torch.manual_seed(0)
    options = {"memory_tokens": 2}
    hosted = HostedLanguageModel(folder, memory=memory, segment=16, lora=2, options=options)
    with torch.no_grad():
        for weight in hosted.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight), alpha=0.1)
    save(hosted, tmp_path / "run")
    held = load_file(tmp_path / "run" / "model.safetensors")
    assert not [name for name in held if "host" in name and "lora_" not in name]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["arguments"]["host"] == str(folder)
    again, ids = load(tmp_path / "run"), torch.randint(hosted.vocabulary, (2, 40))
    with torch.no_grad():
        assert torch.equal(again(ids)[0], hosted.eval()(ids)[0])
    assert again.describe() == hosted.describe()


def test_another_host_is_refused(folder, hosted, tmp_path) -> None:
    save(hosted, tmp_path / "run")
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    with torch.no_grad():
        changed = open_model(other)
        changed.model.layers[0].mlp.up_proj.weight[0, 0] += 1e-3
        changed.save_pretrained(other)
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace(str(folder), str(other)))
    with pytest.raises(
        ValueError, match=r"has other weights \(digest [0-9a-f]{16}\) than the host that this memory was"
    ):
        load(tmp_path / "run")
    config.write_text(config.read_text().replace(str(other), str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match=r"its host .*nowhere is not there; write where it stands now as 'host'"):
        load(tmp_path / "run")
    config.write_text(config.read_text().replace(str(tmp_path / "nowhere"), "nowhere"))
    with pytest.raises(ValueError, match=r"its host nowhere is not there, seen from /.*; write where it stands now"):
        load(tmp_path / "run")
    config.write_text(config.read_text().replace('"nowhere"', f'"{folder}"'))
    assert isinstance(load(tmp_path / "run"), HostedLanguageModel)


def test_adapters_on_the_maps_of_gpt2_warn_of_nothing(tmp_path) -> None:
    """They lie transposed there, which peft sees and mends."""
    place = folder_of("gpt2", tmp_path / "gpt2")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = HostedLanguageModel(place, memory="armt", lora=2, **SMALL)
    assert any("c_attn" in name for name, weight in network.named_parameters() if weight.requires_grad)


def test_states_belong_to_a_host_wherever_it_stands(folder, hosted, tmp_path) -> None:
    _, state = hosted(torch.randint(hosted.vocabulary, (1, 20)))
    save_state(state, tmp_path / "state.safetensors", about=hosted.describe())
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    same = HostedLanguageModel(moved, memory="armt", lora=2, **SMALL)
    load_state(tmp_path / "state.safetensors", about=same.describe())
    other = HostedLanguageModel(folder_of("qwen2", tmp_path / "qwen"), memory="armt", lora=2, **SMALL)
    with pytest.raises(ValueError, match=r"was made with arguments .* load it with the memory that made it"):
        load_state(tmp_path / "state.safetensors", about=other.describe())


def test_training_keeps_the_memory_alone_and_goes_on_exactly(folder, tmp_path) -> None:
    def trained(place, updates, stop_after=None):
        torch.manual_seed(0)
        network = HostedLanguageModel(folder, memory="rmt", segment=16, lora=2, options={"memory_tokens": 2})
        task = create_task("induction", symbols=20)
        recipe = Recipe((Stage(24, 2, updates),), learning_rate=1e-2, save_every=2, seed=0)
        seen = []

        def progress(done, of):
            seen.append(done)
            if done == stop_after:
                os.kill(os.getpid(), signal.SIGINT)

        fit(network, task, recipe, tmp_path / place, progress=progress)
        return network

    whole = trained("whole", 6)
    trained("cut", 6, stop_after=3)
    again = trained("cut", 6)
    for (name, a), b in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    held = load_file(tmp_path / "whole" / "model.safetensors")
    assert not [name for name in held if "host" in name and "lora_" not in name]
    opened = load(tmp_path / "whole")
    ids = torch.randint(20, (1, 30))
    with torch.no_grad():
        assert torch.equal(opened(ids)[0], whole.eval()(ids)[0])


@pytest.mark.usefixtures("without_type_checks")
def test_a_hosted_model_obeys_the_laws(hosted) -> None:
    gaps = list(check(hosted, dtypes=[torch.float64], laws=["resets"]))
    assert not [gap for gap in gaps if gap.holds is not True]


@pytest.mark.parametrize("memory", ["armt", "rmt"])
def test_a_host_in_bfloat16_has_a_memory_in_float32(folder, memory) -> None:
    torch.manual_seed(0)
    options = {"segment": 16, "lora": 2, "options": {"memory_tokens": 2}}
    whole, half = (
        HostedLanguageModel(folder, memory=memory, dtype=name, **options) for name in ("float32", "bfloat16")
    )
    assert half.reader.memory.dtype == torch.float32
    assert half.host.model.get_base_model().model.embed_tokens.weight.dtype == torch.bfloat16
    ids = torch.randint(whole.vocabulary, (2, 40))
    half.load_state_dict(whole.state_dict())
    (a, _), (b, state) = whole(ids), half(ids)
    with torch.no_grad():
        assert float((a - b)[:, :16].abs().max() / a.abs().max()) < 0.1
        stepped, again = half(ids[:, 0], state, step=True)[0], half(ids[:, :1], state)[0][:, 0]
        assert float((stepped - again).abs().max() / a.abs().max()) < 0.03
    b.float().square().mean().backward()
    assert half.reader.memory.grad is not None


def test_a_model_may_be_given_itself_and_has_no_name_then(tmp_path) -> None:
    hosted = HostedLanguageModel(model("gpt2").float(), memory="rmt", segment=16, options={"memory_tokens": 2})
    hosted(torch.randint(hosted.vocabulary, (1, 20)))
    with pytest.raises(ValueError, match="HostedLanguageModel was built from objects"):
        save(hosted, tmp_path / "run")
    with pytest.raises(ValueError, match="a host that was given as a model has no tokenizer here"):
        hosted.tokenizer()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"memory": "gru"}, "gru wraps no host; give one of rmt, armt"),
        ({"memory": "amrt"}, "armt"),
        ({"lora": 0}, "lora"),
        ({"segment": 127}, "are 129 units, and HuggingFaceHost was trained on at most 128"),
        ({"dtype": "int8"}, "dtype"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(folder, options, sentence) -> None:
    given = {"memory": "armt", "options": {"memory_tokens": 2}, **options}
    with pytest.raises(ValueError, match=sentence) as caught:
        HostedLanguageModel(folder, **given)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_model_are_refused(folder, tmp_path) -> None:
    def opened(path, sentence, opens=open_model):
        with pytest.raises((ValueError, FileNotFoundError), match=sentence) as caught:
            opens(path)
        assert "\n" not in str(caught.value)

    opened(tmp_path, "is neither a folder with a config.json")
    (tmp_path / "made-up.gguf").write_bytes(b"GGUF" + bytes(200))
    opened(tmp_path / "made-up.gguf", "holds no language model that can be read")
    pickled = tmp_path / "pickled"
    shutil.copytree(folder, pickled)
    weights = open_model(pickled).state_dict()
    os.remove(pickled / "model.safetensors")
    torch.save(weights, pickled / "pytorch_model.bin")
    opened(pickled, "no file named model.safetensors")
    lacking = tmp_path / "lacking"
    shutil.copytree(folder, lacking)
    own = open_model(lacking)
    own.save_pretrained(lacking, state_dict={k: v for k, v in own.state_dict().items() if "layers.1.mlp.up" not in k})
    opened(lacking, r"lacks the weights model.layers.1.mlp.up_proj.weight; save the model again")
    os.remove(lacking / "tokenizer.json")
    opened(lacking, "holds no tokenizer that can be read", open_tokenizer)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"num_hidden_layers": 10**9}, r"says num_hidden_layers=1000000000, and beside it are 30 tensors"),
        ({"num_hidden_layers": 2}, r"holds the weights model.layers.2\..*, and its config.json makes no such layer"),
        ({"attn_implementation": "kernels-community/flash-attn"}, "whose code would be downloaded; take attn_impl"),
        ({"_attn_implementation": "who/knows@main"}, "whose code would be downloaded; take _attn_implementation"),
    ],
)
def test_a_configuration_that_does_not_belong_to_the_weights_is_refused(folder, tmp_path, said, sentence) -> None:
    other = _edited(folder, tmp_path, said)
    with pytest.raises(ValueError, match=sentence) as caught:
        open_model(other)
    assert "\n" not in str(caught.value)


def test_a_configuration_that_was_edited_after_the_training_is_told(folder, tmp_path, recwarn) -> None:
    """Its weights are the same, and its numbers are not."""
    other = _edited(folder, tmp_path, {})
    save(HostedLanguageModel(other, memory="armt", **SMALL), tmp_path / "model")
    load(tmp_path / "model")
    assert not [each for each in recwarn if "reads otherwise" in str(each.message)]
    shutil.rmtree(other)
    _edited(folder, tmp_path, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}})
    with pytest.warns(UserWarning, match=r"the configuration of .* reads otherwise .* if its config.json was edited"):
        load(tmp_path / "model")


def test_a_host_whose_weights_are_not_finite_is_refused(folder, tmp_path) -> None:
    own = open_model(folder)
    own.model.layers[1].mlp.up_proj.weight.data[0, 0] = torch.nan
    own.save_pretrained(tmp_path / "nan")
    with pytest.raises(ValueError, match="its own logits are not finite"):
        HostedLanguageModel(tmp_path / "nan", memory="armt", **SMALL)


def test_states_of_adapters_that_are_switched_off_are_others(hosted, tmp_path) -> None:
    with torch.no_grad():
        for name, weight in hosted.named_parameters():
            if "lora_" in name:
                weight.add_(torch.randn_like(weight), alpha=0.1)
    usual, store, ids = hosted.eval().describe(), PrefixStore(tmp_path / "states", every=8), torch.arange(40)
    store.read(hosted, ids)
    hosted.host.model.disable_adapter_layers()
    assert hosted.describe() != usual
    with torch.no_grad():
        _, expected = hosted(ids[None])
    for found, own in zip(leaves(store.read(hosted, ids)), leaves(expected), strict=True):
        torch.testing.assert_close(found, own, rtol=1e-4, atol=1e-4)
    hosted.host.model.enable_adapter_layers()
    assert hosted.describe() == usual


def _edited(folder, place, said):
    """A copy of a host whose configuration says something else."""
    other = place / "edited"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | said))
    return other


def test_a_tokenizer_that_marks_spaces_is_refused(folder, tmp_path) -> None:
    """It is byte-pair encoding as well, and a text cut into pieces would get other ids, one space more a piece."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(byte_fallback=True, unk_token="<unk>"))
    made.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend("▁"), tokenizers.normalizers.Replace(" ", "▁")]
    )
    made.decoder = tokenizers.decoders.Sequence(
        [tokenizers.decoders.Replace("▁", " "), tokenizers.decoders.Fuse(), tokenizers.decoders.Strip(" ", 1, 0)]
    )
    trainer = tokenizers.trainers.BpeTrainer(special_tokens=["<unk>", "</s>"], show_progress=False)
    made.train_from_iterator(["Mary went to the kitchen."], trainer)
    other = _edited(folder, tmp_path, {})
    transformers.PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>").save_pretrained(other)
    with pytest.raises(ValueError, match="is not byte-level byte-pair encoding with an end of text"):
        open_tokenizer(other)
