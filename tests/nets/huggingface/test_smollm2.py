"""SmolLM2-135M, where `make host` has put it: real weights say the same with a memory around them and without."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", minversion="5.24")

from mnesis.nets import HostedLanguageModel
from mnesis.nets.huggingface import HuggingFaceHost, open_model, open_tokenizer

FOLDER = Path(__file__).resolve().parents[3] / "hosts" / "smollm2"
TEXT = (
    " It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it"
    " was the epoch of belief, it was the epoch of incredulity, it was the season of Light"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (FOLDER / "model.safetensors").is_file(), reason="`make host` has not run"),
]


@pytest.fixture(scope="module")
def own():
    return open_model(FOLDER)


@pytest.fixture(scope="module")
def ids():
    return torch.tensor([open_tokenizer(FOLDER).encode(TEXT)])


@torch.no_grad()
def test_logits_are_the_models_own(own, ids) -> None:
    host, expected = HuggingFaceHost(own), own(ids).logits
    assert host.gap is not None
    assert host.gap < 1e-5
    assert float((host(ids) - expected).abs().max() / expected.abs().max()) < 1e-5


@torch.no_grad()
def test_a_new_memory_says_what_the_model_says(own, ids) -> None:
    """Greedily, within a segment; an ARMT adds nothing before it is trained."""
    hosted = HostedLanguageModel(FOLDER, memory="armt", segment=256, options={"memory_tokens": 4})
    generated, _ = hosted.generate(ids, tokens=40)
    theirs = own.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False)
    assert torch.equal(generated[0, : theirs.shape[1] - ids.shape[1]], theirs[0, ids.shape[1] :])
