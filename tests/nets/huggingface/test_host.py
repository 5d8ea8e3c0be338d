"""Models of transformers as hosts: their own logits, whole and cut, and memories around them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import accelerate
import pytest
import torch

transformers = pytest.importorskip("transformers", minversion="5.24")

from mnesis.core.host import AttendingHost, AttendingLayer  # noqa: E402
from mnesis.core.laws import check, laws_for  # noqa: E402
from mnesis.memories.segment.armt import ARMT  # noqa: E402
from mnesis.memories.segment.rmt import RMT  # noqa: E402
from mnesis.nets.huggingface import HuggingFaceHost  # noqa: E402

from .models import GROUPED, MODELS, VOCABULARY, built, model  # noqa: E402

COUSINS = ("phi", "cohere", "granite", "gemma", "starcoder2", "qwen2")
"""Models much like others here."""
SINGLE = {"gemma2": 1e-5}
"""Models that attend in float32 whatever the dtype of their weights: transformers' eager softmax."""


def read(host: HuggingFaceHost, ids: torch.Tensor, sizes: list[int], **how) -> torch.Tensor:
    """Logits of a host in pieces of these sizes, with caches."""
    start = host.embed(ids[:, :1])
    caches = [
        layer.initial_cache(len(ids), ids.shape[1], device=ids.device, dtype=start.dtype) for layer in host.layers
    ]
    outputs, position = [], 0
    for piece in ids.split(sizes, 1):
        h = host.place(host.embed(piece), position)
        for index, layer in enumerate(host.layers):
            told = {"attend": layer.attend} if how.get("told") else {}
            h, caches[index] = layer(h, caches[index], position, **told)
        outputs.append(host.head(host.norm(h)))
        position += piece.shape[1]
    return torch.cat(outputs, 1)


@torch.no_grad()
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in COUSINS else name for name in MODELS]
)
def test_a_host_gives_the_models_own_logits(name) -> None:
    """At once, unit by unit and cut, and when it is told to attend as it does."""
    own = model(name)
    host, allowed = HuggingFaceHost(own), SINGLE.get(name, 1e-9)
    ids = torch.randint(VOCABULARY, (2, 60), generator=torch.Generator().manual_seed(1))
    expected = own(ids).logits
    assert expected.abs().max() > 0.1
    assert host.gap is not None
    assert host.gap < allowed
    for logits in (
        host(ids),
        read(host, ids, [60]),
        read(host, ids, [1] * 60),
        read(host, ids, [7, 20, 33]),
        read(host, ids, [7, 20, 33], told=True),
    ):
        assert float((logits - expected).abs().max() / expected.abs().max()) < allowed


@torch.no_grad()
@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt-neox", "smollm3"])
def test_queries_and_keys_come_before_any_position(name) -> None:
    host = HuggingFaceHost(model(name))
    h = torch.randn(2, 9, host.dim, dtype=torch.float64)
    for layer in host.layers:
        heads, facts = layer.project(h), layer.attention
        assert heads.query.shape == (2, 9, facts.heads, facts.key_width)
        assert heads.key.shape == (2, 9, facts.key_heads, facts.key_width)
        assert heads.inputs.shape == h.shape
        assert torch.equal(heads.query, layer.project(h, None, 5).query)
        context, _ = layer.attend(layer, heads, None, 0, (0, 0), None)
        given, _ = layer(h, attend=lambda *args, context=context: (context, None))
        assert torch.allclose(given, layer(h)[0], atol=1e-12)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    ("memory", "laws"),
    [
        (RMT, ["padding", "host"]),
        (ARMT, ["padding"]),
        *(pytest.param(memory, None, marks=pytest.mark.slow) for memory in (RMT, ARMT)),
    ],
    ids=["RMT, two laws", "ARMT, one law", "RMT", "ARMT"],
)
def test_memories_on_a_host_obey_the_laws(memory, laws) -> None:
    """On grouped heads in float64; whether steps compile is measured elsewhere."""
    torch.manual_seed(0)
    options = {"memory_dim": 4} if memory is ARMT else {}
    host = HuggingFaceHost(model("llama", hidden_size=16, intermediate_size=24, num_hidden_layers=2))
    subject = memory(16, segment=8, memory_tokens=2, host=host, **options)
    laws = laws or [law for law in laws_for(subject) if law != "compiles"]
    gaps = list(check(subject, dtypes=[torch.float64], laws=laws))
    assert {gap.law for gap in gaps} == set(laws)
    assert not [gap for gap in gaps if gap.holds is not True]


@torch.no_grad()
@pytest.mark.parametrize("name", ["llama", "gpt2", "gemma3"])
def test_an_rmt_is_the_model_called_with_memory_tokens_around_every_segment(name) -> None:
    """By the model's own forward pass, as the authors' wrapper has it: what its last norm makes of the closing ones."""
    own = model(name)
    host = HuggingFaceHost(own)
    torch.manual_seed(0)
    memory = RMT(32, segment=8, memory_tokens=3, memory_mask="causal", host=host).double()
    ids = torch.randint(VOCABULARY, (2, 24))
    carried, logits = memory.memory.expand(2, -1, -1), []
    for segment in ids.split(8, 1):
        embedded = torch.cat([carried, own.get_input_embeddings()(segment), carried], 1)
        told = own(inputs_embeds=embedded, output_hidden_states=True, use_cache=False)
        logits.append(told.logits[:, 3:-3])
        carried = told.hidden_states[-1][:, -3:]
    y, state = memory(ids)
    assert torch.allclose(y, torch.cat(logits, 1), atol=1e-9)
    assert torch.allclose(state.carried.memory, carried, atol=1e-9)


@torch.no_grad()
def test_the_model_goes_on_as_it_was() -> None:
    own = model("gemma3")
    untouched = copy.deepcopy(own)
    host = HuggingFaceHost(own)
    ids = torch.randint(1, VOCABULARY, (2, 11))
    mask = torch.tensor([[0, 0, 0] + [1] * 8, [1] * 11])
    assert torch.equal(own(ids, attention_mask=mask).logits, untouched(ids, attention_mask=mask).logits)
    settings = {"max_new_tokens": 9, "do_sample": False}
    assert torch.equal(own.generate(ids, **settings), untouched.generate(ids, **settings))
    assert host.model is own
    assert set(host.state_dict()) == {f"model.{name}" for name in own.state_dict()}


def test_a_host_is_an_attending_one_and_can_be_copied() -> None:
    host = HuggingFaceHost(model("qwen3"))
    assert isinstance(host, AttendingHost)
    assert all(isinstance(layer, AttendingLayer) for layer in host.layers)
    other, ids = copy.deepcopy(host), torch.randint(VOCABULARY, (1, 5))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    assert torch.equal(other.model(ids).logits.argmax(-1), other(ids).argmax(-1))
    assert not torch.allclose(other(ids), host(ids))


def test_hooks_fire_and_dropout_drops_in_training_alone() -> None:
    own = model("gpt2", attn_pdrop=0.5, resid_pdrop=0.0, embd_pdrop=0.0)
    host, ids = HuggingFaceHost(own), torch.randint(VOCABULARY, (1, 9))
    seen = []
    own.transformer.h[1].mlp.register_forward_hook(lambda *given: seen.append(1))
    assert torch.equal(host(ids), host(ids))
    own.train()
    assert not torch.equal(host(ids), host(ids))
    assert len(seen) == 4


def test_what_was_read_in_inference_mode_does_not_hinder_training() -> None:
    host, ids = HuggingFaceHost(model("llama")), torch.randint(VOCABULARY, (1, 9))
    with torch.inference_mode():
        expected = host(ids)
    found = host(ids)
    found.sum().backward()
    assert torch.equal(found, expected)


def test_several_hosts_of_one_model_leave_one_hook() -> None:
    own = model("llama")
    for _ in range(3):
        HuggingFaceHost(own)
    assert len(own.model.layers[0].self_attn._forward_pre_hooks) == 1


def test_dropout_drops_alike_when_a_layer_is_told_to_attend_as_it_does() -> None:
    host = HuggingFaceHost(model("gpt2", attn_pdrop=0.5, resid_pdrop=0.0, embd_pdrop=0.0))
    host.train()
    layer, h = host.layers[0], torch.randn(1, 9, 32, dtype=torch.float64)
    found = []
    for attend in (None, layer.attend):
        torch.manual_seed(0)
        found.append(layer(h, attend=attend)[0])
    assert torch.equal(*found)


def test_low_rank_adapters_learn_through_a_memory() -> None:
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(model("llama"), peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    memory = RMT(32, segment=8, memory_tokens=2, host=HuggingFaceHost(adapted)).double()
    memory(torch.randint(VOCABULARY, (2, 20)))[0].square().sum().backward()
    learning = {name: p for name, p in memory.named_parameters() if "lora_B" in name}
    assert len(learning) == 6
    assert all(p.grad is not None and bool(p.grad.any()) for p in learning.values())
    assert not [
        name for name, p in memory.named_parameters() if p.requires_grad and not name.count("lora") and "host" in name
    ]


def test_offloaded_weights_are_brought_when_they_are_needed() -> None:
    own, ids = model("llama").float(), torch.randint(VOCABULARY, (2, 20))
    with torch.no_grad():
        expected = own(ids).logits
        accelerate.cpu_offload(own, execution_device=torch.device("cpu"))
        assert next(own.parameters()).is_meta
        host = HuggingFaceHost(own)
        assert torch.allclose(host(ids), expected, atol=1e-5)
        memory = RMT(32, segment=8, memory_tokens=2, host=host)
        y, state = memory(ids)
        stepped, _ = memory.step(ids[:, 0], state)
        assert torch.allclose(memory(ids[:, :1], state)[0][:, 0], stepped, atol=1e-5)
        assert y.shape == (2, 20, VOCABULARY)


REFUSED = {
    "bloom": ("Bloom", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "opt": (
        "OPT",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "word_embed_proj_dim": 32,
        },
    ),
    "mamba": ("Mamba", {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2}),
}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("bloom", "BloomForCausalLM cannot be a host: its layer 0"),
        ("opt", r"OPTForCausalLM .* computes otherwise before the first layer \(its embedding\)"),
        ("mamba", "MambaForCausalLM .* its layer 0, MambaBlock has no attention that transformers calls"),
    ],
)
def test_an_architecture_that_cannot_be_served_is_refused(name, sentence) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        HuggingFaceHost(built(*REFUSED[name]))
    assert "\n" not in str(caught.value)


def test_the_first_layer_that_differs_is_named() -> None:
    class Sideways(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x) + 0.1 * x.cumsum(1)

    own = model("llama")
    own.model.layers[1].mlp = Sideways(own.model.layers[1].mlp)  # it adds up what it sees of a call
    with pytest.raises(
        ValueError, match=r"computes otherwise in layer 1 \(LlamaDecoderLayer\), where .* 1e-05 is allowed"
    ):
        HuggingFaceHost(own)
    assert HuggingFaceHost(own, check=False).gap is None


def test_what_is_no_decoder_is_refused() -> None:
    small = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    bert = transformers.BertForMaskedLM(transformers.BertConfig(**small, intermediate_size=48))
    with pytest.raises(ValueError, match="BertForMaskedLM has no head that continues a text"):
        HuggingFaceHost(bert)
    t5 = transformers.T5ForConditionalGeneration(
        transformers.T5Config(vocab_size=VOCABULARY, d_model=32, num_layers=1, num_heads=4, d_ff=48, d_kv=8)
    )
    with pytest.raises(ValueError, match="T5ForConditionalGeneration has an encoder"):
        HuggingFaceHost(t5)
    with pytest.raises(ValueError, match="Linear is no model of transformers"):
        HuggingFaceHost(torch.nn.Linear(3, 3))


def test_segments_stay_within_what_the_model_was_trained_on() -> None:
    host = HuggingFaceHost(model("llama"))
    with pytest.raises(ValueError, match="are 129 units, and HuggingFaceHost was trained on at most 128"):
        RMT(32, segment=125, memory_tokens=2, host=host)


def test_segments_stay_within_a_window_of_which_layers_tell_nothing() -> None:
    """The mask of PhiMoE has a window, its attention is told of none: no longer segment could be read right."""
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    own = built("Phimoe", {**GROUPED, **experts, "sliding_window": 30}).float()
    assert HuggingFaceHost(own).longest == 30
    full = built("SmolLM3", {**GROUPED, "sliding_window": 30, "layer_types": ["full_attention"] * 3})
    assert HuggingFaceHost(full).longest == 128


def test_models_may_name_the_mask_that_they_give_their_attention() -> None:
    own = built("Afmoe", {**GROUPED, "sliding_window": 7, "num_dense_layers": 3})
    assert {layer.attention.window for layer in HuggingFaceHost(own).layers} == {7}


def test_transformers_that_is_missing_or_too_old_is_told_with_the_command(monkeypatch) -> None:
    from mnesis.nets import huggingface

    monkeypatch.setattr(huggingface, "version", lambda name: "4.57.1")
    with pytest.raises(
        ImportError, match=r"transformers 4\.57\.1 is too old, 5\.24 or later is needed; pip install 'mnesis"
    ):
        huggingface._require_transformers()
    monkeypatch.setattr(huggingface.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r"need transformers, and it is not installed; pip install 'mnesis\[transformers\]'"
    ):
        huggingface._require_transformers()


@torch.no_grad()
def test_a_model_that_is_told_another_attention_later_is_read_as_before() -> None:
    own, ids = model("llama"), torch.randint(VOCABULARY, (2, 20), generator=torch.Generator().manual_seed(1))
    host = HuggingFaceHost(own)
    expected = host(ids)
    own.set_attn_implementation("eager")
    assert torch.allclose(read(host, ids, [7, 13]), expected, atol=1e-9)
    assert torch.allclose(own(ids).logits, expected, atol=1e-4)  # whose softmax is in float32


@torch.no_grad()
def test_an_attention_that_takes_no_call_is_no_attention_in_a_segment() -> None:
    own = model("llama")
    host = HuggingFaceHost(own)
    own.model.layers[1].self_attn.forward = lambda hidden_states, **told: (hidden_states, None)
    with pytest.raises(ValueError, match="LlamaDecoderLayer has no attention that transformers calls"):
        host(torch.zeros(1, 5, dtype=torch.long))


def test_a_pickled_host_reads_in_another_process(tmp_path) -> None:
    host = HuggingFaceHost(model("llama"))
    ids = torch.arange(9)[None]
    (tmp_path / "host.pickle").write_bytes(pickle.dumps(host))
    script = (
        "import pickle, sys, torch; host = pickle.load(open(sys.argv[1], 'rb')); ids = torch.arange(9)[None]; "
        "print(float((host.model(ids).logits - host(ids)).abs().max()), float(host(ids).abs().sum()))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "host.pickle")]
    gap, total = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert gap < 1e-9
    assert total == pytest.approx(float(host(ids).detach().abs().sum()), rel=1e-12)


def test_recomputation_gives_the_gradients_of_a_cut_segment_or_is_refused() -> None:
    own, ids = model("llama").train(), torch.randint(VOCABULARY, (2, 20), generator=torch.Generator().manual_seed(1))
    host = HuggingFaceHost(own)

    def gradient() -> torch.Tensor:
        own.zero_grad()
        read(host, ids, [7, 13])[:, 10:].square().sum().backward()
        return own.model.layers[0].self_attn.k_proj.weight.grad.clone()

    expected = gradient()
    own.activation_checkpointing_enable({"use_reentrant": False})
    assert torch.allclose(gradient(), expected, rtol=1e-9)
    own.activation_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(ValueError, match="reentrant gradient checkpointing loses"):
        gradient()
