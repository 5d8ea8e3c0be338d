"""The cost of a text by place in the segment."""

import pytest
import torch
import torch.nn.functional as F

from mnesis.measure import text_loss
from mnesis.nets import LanguageModel


def _network(memory: str) -> LanguageModel:
    torch.manual_seed(0)
    options = {"segment": 8, "memory_tokens": 2, "heads": 2} if memory == "rmt" else {}
    return LanguageModel(11, dim=16, memory=memory, depth=1, options=options).train()


@pytest.mark.parametrize("memory", ["rmt", "gru"])
def test_what_is_carried_and_what_is_fresh_by_place(memory: str) -> None:
    network, tokens = _network(memory), torch.randint(11, (45,))
    logits, _ = network(tokens[None, :40])
    each = F.cross_entropy(logits[0], tokens[1:41], reduction="none").view(5, 8)
    torch.testing.assert_close(text_loss(network, tokens, 8), each.mean(0))
    rows = tokens[:40].view(5, 8)
    each = F.cross_entropy(network(rows)[0].flatten(0, 1), tokens[1:41], reduction="none").view(5, 8)
    for batch in (1, 2, 8):
        torch.testing.assert_close(text_loss(network, tokens, 8, fresh=True, batch=batch), each.mean(0))
    assert network.training
    assert not torch.allclose(text_loss(network, tokens, 8)[0], each.mean(0)[0])


def test_a_text_without_a_whole_segment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a text of 8 tokens fills no segment of 8 .* give at least 9 tokens"):
        text_loss(_network("gru"), torch.zeros(8, dtype=torch.long), 8)
