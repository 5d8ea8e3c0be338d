"""Memories that reach into their host: between its layers, into its attention, and before its first layer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mnesis.core.host import AttendingHost, AttendingLayer
from mnesis.core.laws import check
from mnesis.layers.segment_attention import attend_in_segment
from mnesis.layers.transformer import Transformer
from mnesis.memories.segment.armt import ARMT
from mnesis.memories.segment.rmt import RMT

from .tiny_host import TinyHost

PROVED = ["padding", "host"]


class Reaching(RMT):
    """An RMT whose units read, in every layer, what the layer's own projections make of the memory tokens, too."""

    def attend(self, layer, carried):
        stored = self.host.layers[layer].project(carried.memory.to(self.memory.dtype))

        def attend(layer, heads, cache, position, both_ways, length):
            own, cache = attend_in_segment(layer, heads, cache, position, both_ways, length)
            scores = torch.einsum("bthk,bmhk->bhtm", heads.query, stored.key) * layer.attention.scale
            read = torch.einsum("bhtm,bmhv->bthv", scores.softmax(-1), stored.value)
            return (own + read) / 2, cache

        return attend


class Behind(ARMT):
    """An ARMT that also adds, behind every layer, the mean of what is stored, bounded."""

    def after(self, layer, h, carried):
        return h + carried[layer].matrix.mean(1, keepdim=True).tanh().to(h.dtype)


class Placed(Transformer):
    """A host with learned positions."""

    def __init__(self, dim: int, **options) -> None:
        super().__init__(dim, rotary=False, **options)
        self.place_of = torch.nn.Embedding(32, dim)

    def place(self, h: Tensor, position):
        at = torch.arange(h.shape[1]) + (position[:, None] if isinstance(position, Tensor) else position)
        return h + self.place_of(at)


def reaching() -> Reaching:
    """The one that is also cut."""
    return Reaching(16, segment=8, memory_tokens=2, memory_mask="causal", convolution=3)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    "memory",
    [
        reaching,
        lambda: Reaching(16, segment=8, memory_tokens=2),
        lambda: Behind(16, segment=8, memory_tokens=2, memory_dim=4),
        lambda: RMT(16, segment=8, memory_tokens=2, host=Placed(16)),
        lambda: ARMT(16, segment=8, memory_tokens=2, memory_dim=4, host=Placed(16)),
    ],
    ids=["attend, convolution", "attend", "after", "place, RMT", "place, ARMT"],
)
def test_a_memory_that_reaches_into_its_host_obeys_the_laws(memory) -> None:
    torch.manual_seed(0)
    laws = ["cuts", *PROVED] if memory is reaching else PROVED
    gaps = list(check(memory(), dtypes=[torch.float64], laws=laws))
    assert not [gap for gap in gaps if not gap.holds]


def test_what_is_reached_for_arrives() -> None:
    torch.manual_seed(0)
    plain = RMT(16, segment=8, memory_tokens=2)
    other = Reaching(16, segment=8, memory_tokens=2)
    other.load_state_dict(plain.state_dict())
    x = torch.randn(1, 20, 16)
    assert not torch.allclose(plain(x)[0], other(x)[0])


def test_learned_positions_come_after_the_memory_tokens() -> None:
    memory = RMT(16, segment=8, memory_tokens=2, host=Placed(16))
    seen = []
    memory.host.place = lambda h, position: seen.append((h.shape[1], position)) or h
    memory(torch.randn(1, 11, 16))
    assert seen == [(2 + 8 + 2, 0), (2 + 3, 0)]
    memory(torch.randn(1, 5, 16), memory(torch.randn(1, 3, 16))[1])
    assert seen[-2:] == [(5, 2 + 3), (2, 2 + 8)]


def test_the_native_host_is_an_attending_one_and_a_strangers_need_not_be() -> None:
    host = Transformer(16)
    assert isinstance(host, AttendingHost)
    assert all(isinstance(layer, AttendingLayer) for layer in host.layers)
    assert not isinstance(TinyHost(), AttendingHost)
    with pytest.raises(ValueError, match="Reaching reaches into the attention of its host, and TinyHost does not let"):
        Reaching(16, segment=8, memory_tokens=2, host=TinyHost())


def test_a_host_of_another_width_or_of_shorter_segments_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dim=32 is not the width of TinyHost, 16; give RMT dim=16"):
        RMT(32, host=TinyHost())
    host = Transformer(16)
    host.longest = 20
    RMT(16, segment=16, memory_tokens=2, host=host)
    with pytest.raises(ValueError, match=r"are 21 units, and Transformer was trained on at most 20; give segment=16"):
        RMT(16, segment=17, memory_tokens=2, host=host)
    with pytest.raises(ValueError, match="are 21 units"):
        ARMT(16, segment=19, memory_tokens=2, host=host)
