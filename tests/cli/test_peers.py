"""Peers compute what our memories compute, where their operation stands in our layer; skipped where not installed."""

from __future__ import annotations

import pytest
import torch

from mnesis.cli.peers import PEERS, build_peer, is_installed
from mnesis.core.catalog import create_memory, list_memories

SAME = {
    "linear-attention": {},
    "retention": {},
    "gla": {},
    "gateloop": {},
    "mlstm": {},
    "rg-lru": {},
    "lru": {},
    "ffm": {},
    "taylor-attention": {"width": 8},
    "delta-rule": {},
    "gated-delta-rule": {},
    "delta-product": {"gated": True},
}


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_of_a_catalogued_memory(name) -> None:
    assert name in {card.name for card in list_memories()}
    assert PEERS[name].label.startswith(f"{PEERS[name].package}: ")


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_reads_and_trains(name) -> None:
    if not is_installed(PEERS[name]):
        pytest.skip(f"{PEERS[name].package} is not installed")
    torch.manual_seed(0)
    memory = create_memory(name, dim=64, **SAME.get(name, {}))
    peer = build_peer(PEERS[name], memory)
    x = torch.randn(2, 256, 64, requires_grad=True)
    y, _ = peer(x)
    y.square().sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert x.grad.isfinite().all()
    if name in SAME:
        torch.testing.assert_close(y, memory(x)[0], atol=1e-4, rtol=1e-4)
