"""Language models as models of transformers: generated, trained, saved and opened by its tools, same numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

transformers = pytest.importorskip("transformers", minversion="5.24")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments  # noqa: E402

import mnesis  # noqa: E402
from mnesis.core.state import leaves  # noqa: E402
from mnesis.nets import Classifier, LanguageModel, load, save  # noqa: E402
from mnesis.nets.huggingface import MnesisCache, MnesisConfig, MnesisForCausalLM, fast_tokenizer  # noqa: E402
from mnesis.nets.huggingface.folder import export  # noqa: E402
from mnesis.tasks.language.tokenizer import BPETokenizer, ByteTokenizer, load_tokenizer  # noqa: E402

VOCABULARY = 31
MEMORIES: dict[str, dict[str, Any]] = {
    "armt": {"memory": "armt", "options": {"segment": 6, "memory_tokens": 2, "memory_dim": 8}},
    "rmt": {"memory": "rmt", "options": {"segment": 5, "memory_tokens": 2}},
    "gru": {"memory": "gru", "tie": True},
    "delta-rule": {"memory": "delta-rule"},
}
TOLERANCE = 1e-9


def network(name: str, seed: int = 0, **more: Any) -> LanguageModel:
    torch.manual_seed(seed)
    made = LanguageModel(VOCABULARY, **{"dim": 16, "depth": 2, **MEMORIES[name], **more}).double().eval()
    with torch.no_grad():  # or all logits would be alike
        made.head.weight.mul_(20)
    return made


def tokens(rows: int, time: int, seed: int = 1) -> Tensor:
    return torch.randint(VOCABULARY, (rows, time), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["armt", "gru", "delta-rule"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> MnesisForCausalLM:
    return MnesisForCausalLM.from_network(network(name))


@torch.no_grad()
def test_logits_are_the_networks_own_whole_and_in_chunks(model) -> None:
    ids = tokens(2, 23)
    expected, _ = model.network(ids)
    assert expected.std() > 0.1
    torch.testing.assert_close(model(ids).logits, expected, rtol=0, atol=0)
    cache, pieces = None, []
    for piece in ids.split([4, 9, 1, 1, 8], 1):
        out = model(piece, cache=cache)
        cache = out.cache
        pieces.append(out.logits)
    torch.testing.assert_close(torch.cat(pieces, 1), expected, rtol=0, atol=TOLERANCE)
    assert cache.get_seq_length() == 23
    assert model(ids, return_dict=False)[0].shape == expected.shape
    assert model(ids, output_hidden_states=True).hidden_states[-1].shape == (2, 23, 16)


@torch.no_grad()
def test_it_is_saved_and_opened_again(model, name, tmp_path) -> None:
    ids = tokens(2, 17)
    model.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.bin"))
    assert isinstance(AutoConfig.from_pretrained(tmp_path), MnesisConfig)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert isinstance(again, MnesisForCausalLM)
    assert again.dtype == torch.float64
    torch.testing.assert_close(again(ids).logits, model(ids).logits, rtol=0, atol=TOLERANCE)
    assert (again.get_input_embeddings().weight is again.get_output_embeddings().weight) == (name == "gru")
    own = load(tmp_path)
    assert isinstance(own, LanguageModel)
    torch.testing.assert_close(own.double()(ids)[0], model(ids).logits.double(), rtol=0, atol=1e-5)
    half = MnesisForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {part.dtype for part in half.parameters()} == {torch.bfloat16}
    gap = (half(ids).logits.double() - model(ids).logits).abs().max() / model(ids).logits.abs().max()
    assert gap < 0.1


@torch.no_grad()
def test_greedy_text_is_that_of_the_network(model) -> None:
    ids = tokens(3, 14)
    found = model.generate(ids, max_new_tokens=12, do_sample=False)
    expected, _ = model.network.generate(ids, tokens=12)
    assert torch.equal(found[:, 14:], expected)
    assert torch.equal(model.generate(ids, max_new_tokens=12, do_sample=False, prefill_chunk_size=4), found)


@torch.no_grad()
@pytest.mark.parametrize(
    "how",
    [
        {"do_sample": True, "temperature": 0.9, "top_k": 20},
        {"num_beams": 4, "do_sample": False},
        {"num_beams": 3, "do_sample": True, "num_return_sequences": 2},
    ],
    ids=["sampled", "beams", "sampled beams"],
)
def test_the_cache_changes_nothing(model, how) -> None:
    ids, found = tokens(2, 9), []
    for use_cache in (True, False):
        torch.manual_seed(3)
        found.append(model.generate(ids, max_new_tokens=10, use_cache=use_cache, **how))
    assert torch.equal(*found)
    assert len(found[0]) == 2 * how.get("num_return_sequences", 1)


def padded(rows: list[Tensor], left: bool) -> tuple[Tensor, Tensor]:
    """Rows side by side, filled with what would be noticed if it were read."""
    longest = max(map(len, rows))
    ids, mask = torch.full((len(rows), longest), 7), torch.zeros(len(rows), longest, dtype=torch.long)
    for row, own in enumerate(rows):
        place = slice(longest - len(own), None) if left else slice(None, len(own))
        ids[row, place], mask[row, place] = own, 1
    return ids, mask


@torch.no_grad()
@pytest.mark.parametrize("left", [True, False], ids=["left", "right"])
def test_a_padded_batch_is_its_rows_alone(model, left) -> None:
    rows = [tokens(1, size, seed=size)[0] for size in (3, 11, 7, 1)]
    ids, mask = padded(rows, left)
    out = model(ids, attention_mask=mask)
    for row, own in enumerate(rows):
        alone = model(own[None])
        torch.testing.assert_close(out.logits[row][mask[row] == 1], alone.logits[0], rtol=0, atol=TOLERANCE)
        state = mnesis.take(out.cache.state, [row])
        for leaf, expected in zip(leaves(state), leaves(alone.cache.state), strict=True):
            torch.testing.assert_close(leaf, expected, rtol=0, atol=TOLERANCE)
    labels = ids.masked_fill(mask == 0, -100)
    loss = model(ids, attention_mask=mask, labels=labels).loss
    each = [model(own[None], labels=own[None]).loss * (len(own) - 1) for own in rows if len(own) > 1]
    torch.testing.assert_close(loss.double(), torch.stack(each).sum().double() / 18, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("left", "how"),
    [(True, {"num_beams": 3}), (True, {"prefill_chunk_size": 4}), (False, {"num_beams": 3}), (False, {})],
    ids=str,
)
def test_padded_prompts_go_on_as_alone(model, left, how) -> None:
    rows = [tokens(1, size, seed=size)[0] for size in (2, 10, 5)]
    ids, mask = padded(rows, left)
    found = model.generate(ids, attention_mask=mask, max_new_tokens=8, **how)[:, ids.shape[1] :]
    for row, own in enumerate(rows):
        alone = model.generate(own[None], max_new_tokens=8, **how)[:, len(own) :]
        assert torch.equal(found[row : row + 1, : alone.shape[1]], alone)


@torch.no_grad()
def test_what_the_mask_leaves_out_inside_a_row_is_not_read(model) -> None:
    ids = tokens(2, 12)
    mask = torch.ones_like(ids)
    mask[0, 3:6], mask[1, 8] = 0, 0
    found = model(ids, attention_mask=mask).logits
    for row in range(2):
        kept = mask[row] == 1
        torch.testing.assert_close(found[row][kept], model(ids[row][kept][None]).logits[0], rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_documents_may_be_packed(model) -> None:
    first, second = tokens(1, 7, seed=2), tokens(1, 8, seed=3)
    positions = torch.cat([torch.arange(7), torch.arange(8)])[None]
    found = model(torch.cat([first, second], 1), position_ids=positions).logits
    torch.testing.assert_close(found[:, :7], model(first).logits, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(found[:, 7:], model(second).logits, rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_vectors_may_stand_for_tokens(model) -> None:
    ids = tokens(2, 9)
    vectors = model.get_input_embeddings()(ids)
    torch.testing.assert_close(model(inputs_embeds=vectors).logits, model(ids).logits, rtol=0, atol=TOLERANCE)
    found = model.generate(inputs_embeds=vectors, max_new_tokens=6, do_sample=False)
    assert torch.equal(found, model.generate(ids, max_new_tokens=6, do_sample=False)[:, 9:])
    with pytest.raises(ValueError, match=r"takes input_ids or inputs_embeds, one of them"):
        model(ids, inputs_embeds=vectors)


@torch.no_grad()
def test_vectors_are_scaled_as_embeddings_are() -> None:
    model = MnesisForCausalLM.from_network(LanguageModel(32, dim=16, memory="gru", embedding_scale=4.0)).double().eval()
    ids = torch.arange(9)[None]
    vectors = model.get_input_embeddings()(ids)
    torch.testing.assert_close(model(inputs_embeds=vectors).logits, model(ids).logits, rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_only_wanted_logits_are_computed() -> None:
    model, shapes = MnesisForCausalLM.from_network(network("gru")), []
    model.network.head.register_forward_hook(lambda module, args, out: shapes.append(tuple(args[0].shape)))
    ids = tokens(2, 13)
    last = model(ids, logits_to_keep=1).logits
    torch.testing.assert_close(last, model(ids).logits[:, -1:], rtol=0, atol=TOLERANCE)
    model.generate(ids, max_new_tokens=3, do_sample=False)
    assert shapes == [(2, 1, 16), (2, 13, 16), *[(2, 1, 16)] * 3]


@torch.no_grad()
def test_a_read_text_is_gone_on_with(model) -> None:
    """With the whole text, or with new tokens alone and a mask over all."""
    ids = tokens(2, 20)
    expected = model.generate(ids, max_new_tokens=6, do_sample=False)

    def stood() -> MnesisCache:
        return model(ids[:, :12]).cache

    whole = model.generate(ids, cache=stood(), max_new_tokens=6, do_sample=False)
    new = model.generate(
        ids[:, 12:], cache=stood(), attention_mask=torch.ones(2, 20), max_new_tokens=6, do_sample=False
    )
    assert torch.equal(whole, expected)
    assert torch.equal(new[:, 8:], expected[:, 20:])
    for wrong in (ids[:, 12:], torch.cat([ids[:, 12:], ids], 1)):
        with pytest.raises(ValueError, match=r"do not begin with the 12 that the cache has read; give the whole text"):
            model.generate(wrong, cache=stood(), max_new_tokens=2)
    out = model.generate(ids, max_new_tokens=6, do_sample=False, return_dict_in_generate=True)
    further = model.generate(out.sequences, cache=out.cache, max_new_tokens=5, do_sample=False)
    assert torch.equal(further, model.generate(ids, max_new_tokens=11, do_sample=False))


@torch.no_grad()
def test_beams_from_a_state(model) -> None:
    ids = tokens(1, 15)
    cache = model(ids[:, :9]).cache
    with pytest.raises(
        ValueError, match=r"cache is of 1 rows, and 4 are read; with beams call cache.batch_repeat_inter"
    ):
        model.generate(ids, cache=cache, num_beams=4, max_new_tokens=5)
    cache = model(ids[:, :9]).cache
    cache.batch_repeat_interleave(4)
    found = model.generate(ids, cache=cache, num_beams=4, max_new_tokens=5, do_sample=False)
    assert torch.equal(found, model.generate(ids, num_beams=4, max_new_tokens=5, do_sample=False))


@torch.no_grad()
def test_rows_of_a_cache_are_chosen_and_forked() -> None:
    model = MnesisForCausalLM.from_network(network("rmt"))
    ids = tokens(3, 8)
    cache, further = model(ids).cache, tokens(3, 4, seed=9)
    fork = MnesisCache(cache.state, cache.seen, cache.last)
    cache.batch_select_indices(torch.tensor([2, 0, 2]))
    expected = model(torch.cat([ids[[2, 0, 2]], further], 1)).logits[:, 8:]
    torch.testing.assert_close(model(further, cache=cache).logits, expected, rtol=0, atol=TOLERANCE)
    assert (fork.seen, cache.seen, cache.batch_size) == (8, 12, 3)
    assert torch.equal(fork.last, ids[:, -1])
    cache.crop(0)
    with pytest.raises(ValueError, match=r"a state cannot be taken back by 2 tokens"):
        cache.crop(-2)
    cache.reset()
    assert (cache.seen, cache.batch_size, cache.is_initialized) == (0, -1, False)
    with pytest.raises(ValueError, match=r"DynamicCache holds keys and values, and a memory has none"):
        model(ids, cache=transformers.DynamicCache())
    with pytest.raises(ValueError, match=r"attention_mask has the shape \[3, 5\], and 3 rows of 8 tokens are read"):
        model(ids, attention_mask=torch.ones(3, 5))


@pytest.mark.parametrize(
    ("how", "mode"),
    [
        ({"prompt_lookup_num_tokens": 3}, "assisted generation"),
        ({"assistant_model": True}, "assisted generation"),
        ({"penalty_alpha": 0.5, "top_k": 4}, "contrastive search"),
    ],
    ids=["lookup", "assistant", "contrastive"],
)
def test_what_takes_a_state_back_is_refused(how, mode) -> None:
    model = MnesisForCausalLM.from_network(network("gru"))
    if "assistant_model" in how:
        how = {"assistant_model": MnesisForCausalLM.from_network(network("gru", seed=1))}
    with pytest.raises(ValueError, match=rf"there is no {mode} here, since a state cannot be taken back"):
        model.generate(tokens(1, 5), max_new_tokens=3, **how)


class Counting(torch.utils.data.Dataset):
    """Numbers that go up by one."""

    def __len__(self) -> int:
        return 96

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        ids = torch.arange(index, index + 12) % VOCABULARY
        return {"input_ids": ids, "labels": ids}


def trained(name: str, folder: Path, steps: int, *, resume: bool | str = False, **more: Any) -> Trainer:
    told: dict[str, Any] = {
        "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "learning_rate": 1e-2, "use_cpu": True,
        "save_steps": steps // 2, "logging_steps": steps // 5, "disable_tqdm": True, "report_to": [], "seed": 1,
    }  # fmt: skip
    model = MnesisForCausalLM.from_network(network(name).float())
    arguments = TrainingArguments(output_dir=str(folder), max_steps=steps, **{**told, **more})
    trainer = Trainer(model, arguments, train_dataset=Counting())
    trainer.train(resume_from_checkpoint=resume or None)
    return trainer


@pytest.mark.parametrize(
    ("name", "steps"),
    [("gru", 20), *[pytest.param(name, 50, marks=pytest.mark.slow) for name in ("gru", "armt", "delta-rule")]],
)
def test_the_trainer_lowers_the_loss_and_resumes_exactly(name, steps, tmp_path) -> None:
    trainer = trained(name, tmp_path, steps)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < 0.5 * losses[0]
    again = trained(name, tmp_path, steps, resume=str(tmp_path / f"checkpoint-{steps // 2}"))
    for found, expected in zip(again.model.parameters(), trainer.model.parameters(), strict=True):
        assert torch.equal(found, expected)
    reloaded = MnesisForCausalLM.from_pretrained(tmp_path / f"checkpoint-{steps}")
    ids = tokens(1, 9)
    torch.testing.assert_close(reloaded(ids).logits, trainer.model.eval()(ids).logits, rtol=0, atol=1e-5)
    assert own_loss(trainer) == pytest.approx(trainer.evaluate(Counting())["eval_loss"], abs=1e-4)


@torch.no_grad()
def own_loss(trainer: Trainer) -> float:
    """The mean over tokens of what the network itself foretells."""
    data = Counting()
    ids = torch.stack([data[index]["input_ids"] for index in range(len(data))])
    logits, _ = trainer.model.network(ids)
    return float(torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()))


def test_a_loss_over_parts_of_a_batch_is_that_of_the_whole() -> None:
    """What gradient accumulation rests on."""
    model = MnesisForCausalLM.from_network(network("delta-rule")).train()
    ids, labels = tokens(4, 10), tokens(4, 10).clone()
    labels[0, :7] = -100
    count = (labels[:, 1:] != -100).sum()
    whole = model(ids, labels=labels)
    assert whole.cache is None
    whole.loss.backward()
    expected = [part.grad.clone() for part in model.parameters()]
    model.zero_grad()
    for rows in (slice(0, 1), slice(1, 4)):
        model(ids[rows], labels=labels[rows], num_items_in_batch=count).loss.backward()
    for part, grad in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(part.grad, grad, rtol=0, atol=1e-6)


def counted(run: Any, kept: dict[int, int], reader: Any, piece: Tensor, state: Any, **told: Any) -> Any:
    """What is handed to a piece is kept for the way back."""
    kept[-len(kept) - 1] = 0 if state is None else mnesis.nbytes(state)
    return run(reader, piece, state, **told)


def test_gradient_checkpointing_keeps_less_and_changes_nothing(name) -> None:
    model = MnesisForCausalLM.from_network(network(name)).train()
    ids, mask, positions = tokens(3, 50), torch.ones(3, 50), torch.arange(50).repeat(3, 1)
    mask[0, :13], positions[1, 30:] = 0, torch.arange(20)
    found = []
    for told in ({}, {"attention_mask": mask}, {"position_ids": positions}):
        for on in (False, True):
            kept: dict[int, int] = {}
            if on:
                model.activation_checkpointing_enable()
                model._gradient_checkpointing_func = partial(counted, model._gradient_checkpointing_func, kept)
            else:
                model.activation_checkpointing_disable()
            model.zero_grad()

            def keep(tensor: Tensor, kept: dict[int, int] = kept) -> Tensor:
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                loss = model(ids, labels=ids, **told).loss
            held = sum(kept.values())
            loss.backward()
            found.append((held, [part.grad.clone() for part in model.parameters()]))
        (whole, expected), (less, grads) = found[-2:]
        assert less < 0.3 * whole
        for grad, other in zip(grads, expected, strict=True):
            torch.testing.assert_close(grad, other, rtol=0, atol=1e-6)


def test_a_trainers_reentrant_checkpointing_is_not_taken() -> None:
    """It would lose the gradients of states, and the whole is recomputed all the same."""
    model, ids = MnesisForCausalLM.from_network(network("gru")).train(), tokens(2, 13)
    mask = torch.tensor([[0] * 4 + [1] * 9, [1] * 13])
    gradients = []
    for how in (None, True):
        if how is not None:
            model.activation_checkpointing_enable({"use_reentrant": how})
        model.zero_grad()
        model(ids, attention_mask=mask, labels=ids).loss.backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters()]))
    torch.testing.assert_close(*gradients)


def test_weights_of_an_earlier_save_are_not_opened(tmp_path) -> None:
    for number, size in enumerate(("5GB", "2KB", "5GB")):
        torch.manual_seed(number)
        model = MnesisForCausalLM.from_network(network("gru")).eval()
        model.save_pretrained(tmp_path, max_shard_size=size)
        whole, index = ((tmp_path / name).exists() for name in ("model.safetensors", "model.safetensors.index.json"))
        assert (whole, index) == (size == "5GB", size != "5GB")
        again = MnesisForCausalLM.from_pretrained(tmp_path)
        assert torch.equal(again.get_input_embeddings().weight, model.get_input_embeddings().weight)


def test_adapters_of_peft_train() -> None:
    peft = pytest.importorskip("peft")
    model = MnesisForCausalLM.from_network(network("delta-rule"))
    adapted = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", r=2))
    ids = tokens(2, 8)
    before = adapted(input_ids=ids, labels=ids).loss
    optimiser = torch.optim.Adam([part for part in adapted.parameters() if part.requires_grad], 1e-2)
    for _ in range(10):
        optimiser.zero_grad()
        loss = adapted(input_ids=ids, labels=ids).loss
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.9 * before.item()
    assert adapted.generate(input_ids=ids, max_new_tokens=3, do_sample=False).shape == (2, 11)


def test_a_vocabulary_grows(tmp_path) -> None:
    for name in ("gru", "rmt"):
        model = MnesisForCausalLM.from_network(network(name))
        before = model(tokens(1, 6)).logits
        model.resize_token_embeddings(40, mean_resizing=False)
        torch.testing.assert_close(model(tokens(1, 6)).logits[..., :VOCABULARY], before)
        model.save_pretrained(tmp_path / name)
        again = MnesisForCausalLM.from_pretrained(tmp_path / name)
        assert (again.config.vocab_size, again.network.vocabulary, load(tmp_path / name).vocabulary) == (40, 40, 40)
        assert again(torch.tensor([[39]]), labels=torch.tensor([[39]])).logits.shape == (1, 1, 40)


def edited(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_a_folder_that_does_not_fit_is_refused(tmp_path) -> None:
    model = MnesisForCausalLM.from_network(network("gru"))
    model.save_pretrained(tmp_path)
    described = model.config.specification

    def refused(match: str, **how: Any) -> None:
        with pytest.raises(ValueError, match=match):
            MnesisForCausalLM.from_pretrained(tmp_path, **how)

    edited(tmp_path, specification={**described, "arguments": {**described["arguments"], "dim": 32}})
    refused(r"model.safetensors does not fit the network of its config.json")
    edited(tmp_path, specification={**described, "arguments": {**described["arguments"], "dim": 200_000}})
    refused(r"numbers at once are asked for")
    edited(tmp_path, specification={**described, "arguments": {**described["arguments"], "memory": "os:system"}})
    refused(r"os:system.*trust")
    edited(tmp_path, specification={"network": "LanguageModle", "arguments": {}})
    refused(r"no network is called 'LanguageModle'; did you mean 'LanguageModel'")
    edited(tmp_path, specification=3)
    refused(r"specification=3 is not a mapping")
    edited(tmp_path, specification={**described, "arguments": {**described["arguments"], "depth": 3}})
    refused(r"does not fit the network of its config.json: it lacks reader\.body\.blocks\.2\.")
    edited(tmp_path, specification=described, revisions={"gru": 99})
    refused(r"is of revision 99 of gru, and this version of mnesis has")
    edited(tmp_path, revisions=None)
    tensors = load_file(tmp_path / "model.safetensors")
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    refused(r"that are not finite: the training diverged")
    assert MnesisForCausalLM.from_pretrained(tmp_path, allow_nan=True).config.vocab_size == VOCABULARY
    save(network("gru"), tmp_path / "own")
    with pytest.raises(ValueError, match=r"make a folder that it does with mnesis export .* --to huggingface"):
        MnesisForCausalLM.from_pretrained(tmp_path / "own")
    with pytest.raises(ValueError, match=r"Classifier is no language model"):
        MnesisForCausalLM.from_network(Classifier(4, 5, dim=8))
    with pytest.raises(ValueError, match=r"the configuration has no specification of a network"):
        MnesisForCausalLM(MnesisConfig())


OWN = """
from mnesis.memories.recurrent.gru import GRU

class Mine(GRU):
    pass
"""


def test_code_runs_only_where_it_is_trusted(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    own = LanguageModel(VOCABULARY, dim=8, depth=1, memory=f"{tmp_path}/mine.py:Mine").eval()
    export(own, tmp_path / "made")
    with pytest.raises(ValueError, match=r"trust"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "made")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "made", trust_remote_code=True)
    ids = tokens(1, 5)
    torch.testing.assert_close(again(ids).logits, own(ids)[0])
    with pytest.raises(ValueError, match=r"trust"):
        load(tmp_path / "made")
    torch.testing.assert_close(load(tmp_path / "made", trust=True)(ids)[0], own(ids)[0])


TEXT = "Mary moved to the office. \n\n  Caf\u00e9 \u6f22\u5b57 <|end|> \U0001f600 it's 42"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its tokens, exported."""
    place = tmp_path_factory.mktemp("exported") / "model"
    tokenizer = BPETokenizer.train(["Mary moved to the office. Where is John? "] * 9, 300)
    torch.manual_seed(0)
    made = LanguageModel(tokenizer.vocabulary, dim=16, depth=1, **MEMORIES["rmt"]).eval()
    export(made, place, tokenizer=tokenizer, run={"task": {"name": "words", "options": {}}})
    return place


@pytest.mark.parametrize("kind", ["pairs", "bytes"])
def test_tokenizers_say_the_same(kind, folder, tmp_path) -> None:
    own = load_tokenizer(folder) if kind == "pairs" else ByteTokenizer()
    fast = fast_tokenizer(own)
    fast.save_pretrained(tmp_path)
    for each in (fast, AutoTokenizer.from_pretrained(tmp_path)):
        ids = each(TEXT)["input_ids"]
        assert ids == own.encode(TEXT)
        assert each.decode([*ids, own.end], skip_special_tokens=True) == TEXT
        assert (each.eos_token_id, each.pad_token_id, each.bos_token_id, len(each)) == (
            own.end, own.end, None, own.vocabulary,
        )  # fmt: skip
        batch = each(["a", "Mary moved"], padding=True, return_tensors="pt")
        assert batch["attention_mask"][0, 0] == 0
    assert load_tokenizer(tmp_path).encode(TEXT) == own.encode(TEXT)


FOREIGN = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, elsewhere = sys.argv[1:]
assert "mnesis" not in sys.modules
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
given = tokenizer(["Where is John?", "Mary moved to the office. Where is Mary?"], padding=True, return_tensors="pt")
print(model.generate(**given, max_new_tokens=4, do_sample=False).tolist())
model.save_pretrained(elsewhere)
"""


def test_a_tool_that_knows_nothing_of_mnesis_opens_it(folder, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN, str(folder), str(tmp_path / "again")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
    )
    model, tokenizer = MnesisForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    given = tokenizer(["Where is John?", "Mary moved to the office. Where is Mary?"], padding=True, return_tensors="pt")
    assert json.loads(done.stdout) == model.generate(**given, max_new_tokens=4, do_sample=False).tolist()
    code = {path.name: path.read_text() for path in (tmp_path / "again").glob("*.py")}
    assert list(code) == ["modeling_mnesis.py"]
    assert len(code["modeling_mnesis.py"].splitlines()) == 3


def test_the_card_says_what_it_is(folder, tmp_path, monkeypatch) -> None:
    card = (folder / "README.md").read_text()
    network = load(folder)
    state = mnesis.nbytes(network.initial_state(1, device=torch.device("cpu"), dtype=torch.float32))
    for told in ("library_name: transformers", "- rmt", "Recurrent Memory Transformer", f"{state:,} bytes", "words"):
        assert told in card
    code = card.partition("```python\n")[2].partition("```")[0]
    known: dict[str, Any] = {"folder": str(folder)}
    exec(code, known)
    assert isinstance(known["model"], MnesisForCausalLM)

    model = MnesisForCausalLM.from_pretrained(folder)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == card
    (tmp_path / "README.md").write_text("My own words.")
    model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "My own words."

    sent: dict[str, str] = {}

    class Hub:
        def create_repo(self, repo_id: str, **told: Any) -> Any:
            return type("Repository", (), {"repo_id": repo_id})

        def create_commit(self, operations: list[Any], **told: Any) -> str:
            for each in operations:
                if each.path_in_repo.endswith((".md", ".py")):
                    sent[each.path_in_repo] = Path(each.path_or_fileobj).read_text()
            return "sent"

    def no_card(*args: Any, **told: Any) -> Any:
        from huggingface_hub import ModelCard, ModelCardData

        text = "This is a card. This model card has been automatically generated."
        return ModelCard.from_template(ModelCardData(library_name="transformers"), model_description=text)

    hub = sys.modules["transformers.utils.hub"]
    monkeypatch.setattr(hub, "hf_api", Hub)
    monkeypatch.setattr(hub, "create_and_tag_model_card", no_card)
    assert model.push_to_hub("somebody/reader") == "sent"
    assert sent["README.md"] == card
    assert "modeling_mnesis.py" in sent
