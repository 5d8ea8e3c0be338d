"""A reader in the evaluation harness: contexts are read once, numbers are those of its own adapter for transformers."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("transformers", minversion="5.24")

from mnesis.nets import LanguageModel
from mnesis.nets.huggingface.folder import export
from mnesis.tasks.language.tokenizer import ByteTokenizer

CONTEXTS = ["Mary moved to the office. " * 9, "", "John went to the garden. ", "x"]
ANSWERS = [" office", "kitchen", " a", "b"]


def test_its_absence_is_told_with_the_command(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "lm_eval"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.delitem(sys.modules, "mnesis.nets.huggingface.lm_eval", raising=False)
    with pytest.raises(ImportError, match=r"the harness is not installed .*; pip install lm-eval$"):
        import mnesis.nets.huggingface.lm_eval  # noqa: F401


@pytest.fixture(params=["armt", "gru"])
def network(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(0)
    options = {"segment": 16, "memory_tokens": 2, "memory_dim": 8} if request.param == "armt" else None
    made = LanguageModel(257, dim=16, depth=1, memory=request.param, options=options).eval()
    with torch.no_grad():
        made.head.weight.mul_(20)
    return made


def asked(*args: Any) -> Any:
    return SimpleNamespace(args=args)


@torch.no_grad()
def by_hand(network: LanguageModel, context: list[int], answer: list[int]) -> tuple[float, bool]:
    logits, _ = network(torch.tensor([context + answer]))
    there = logits[0, len(context) - 1 : -1].log_softmax(-1)
    score = there.gather(1, torch.tensor(answer)[:, None]).sum()
    return float(score), there.argmax(-1).tolist() == answer


def test_scores_are_those_of_the_network(network, monkeypatch) -> None:
    pytest.importorskip("lm_eval")
    from mnesis.nets.huggingface import lm_eval as adapter

    monkeypatch.setattr(adapter, "CHUNK", 7)
    reader = adapter.MnesisLM(network, ByteTokenizer(), batch_size=3)
    read: list[int] = []
    hook = network.reader.register_forward_hook(
        lambda module, args, kwargs, out: read.append(int(kwargs["length"].sum())), with_kwargs=True
    )
    pairs = [(context, answer) for answer in ANSWERS for context in CONTEXTS]
    found = reader.loglikelihood([asked(*pair) for pair in pairs], disable_tqdm=True)
    hook.remove()
    once = sum(max(1, len(context.rstrip())) for context in CONTEXTS)
    assert once < sum(read) < once + 2 * sum(len(answer) for _, answer in pairs)
    for (context, answer), (score, greedy) in zip(pairs, found, strict=True):
        spaces = len(context) - len(context.rstrip())
        head, tail = (context[:-spaces], context[-spaces:]) if spaces else (context, "")
        own = by_hand(network, list(head.encode()) or [256], list((tail + answer).encode()))
        assert (score, greedy) == (pytest.approx(own[0], abs=1e-3), own[1])

    texts = [context for context in CONTEXTS if context]
    rolled = reader.loglikelihood_rolling([asked(text) for text in texts], disable_tqdm=True)
    for text, score in zip(texts, rolled, strict=True):
        assert score == pytest.approx(by_hand(network, [256], list(text.encode()))[0], abs=1e-3)


def test_texts_go_on_as_the_network_does(network) -> None:
    pytest.importorskip("lm_eval")
    from mnesis.nets.huggingface.lm_eval import MnesisLM

    tokenizer = ByteTokenizer()
    reader = MnesisLM(network, tokenizer, batch_size=3)
    whole = []
    for context in CONTEXTS:
        prompt = torch.tensor([list(context.encode()) or [256]])
        whole.append(tokenizer.decode(network.generate(prompt, tokens=9, end=256)[0][0].tolist()))
    told = {"until": ["\n\n"], "max_gen_toks": 9}
    assert reader.generate_until([asked(each, told) for each in CONTEXTS], disable_tqdm=True) == whole
    ends = [{"until": text[3], "max_gen_toks": 9} for text in whole]
    cut = reader.generate_until([asked(*pair) for pair in zip(CONTEXTS, ends, strict=True)], disable_tqdm=True)
    assert cut == [text[: text.index(text[3])] for text in whole]
    torch.manual_seed(0)
    sampled = {"max_gen_toks": 5, "temperature": 2.0, "do_sample": True}
    assert len(set(reader.generate_until([asked("x", sampled)] * 4, disable_tqdm=True))) > 1


def test_numbers_are_those_of_the_harness_on_the_exported_folder(network, tmp_path) -> None:
    pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM

    from mnesis.nets.huggingface.lm_eval import MnesisLM

    export(network, tmp_path / "made", tokenizer=ByteTokenizer())
    theirs = HFLM(str(tmp_path / "made"), trust_remote_code=True, device="cpu", batch_size=4)
    ours = MnesisLM(tmp_path / "made")
    pairs = [asked(context, answer) for context in CONTEXTS for answer in ANSWERS]
    for found, expected in zip(
        ours.loglikelihood(pairs, disable_tqdm=True), theirs.loglikelihood(pairs, disable_tqdm=True), strict=True
    ):
        assert found == (pytest.approx(expected[0], abs=1e-3), expected[1])


def test_what_is_no_reader_is_refused(network) -> None:
    pytest.importorskip("lm_eval")
    from mnesis.nets.huggingface.lm_eval import MnesisLM

    with pytest.raises(ValueError, match=r"a network alone reads no text; give its tokenizer"):
        MnesisLM(network)
    with pytest.raises(ValueError, match=r"batch_size='auto' is no number of rows"):
        MnesisLM(network, ByteTokenizer(), batch_size="auto")
    with pytest.raises(ValueError, match=r"there is no folder raeder .* did you mean 'reader'"):
        MnesisLM("raeder")
