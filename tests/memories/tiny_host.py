"""The host of the golden arrays (tests/golden/README.md), as any stranger would hand one in."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Cache(NamedTuple):
    key: Tensor
    value: Tensor


class TinyLayer(nn.Module):
    def __init__(self, dim: int = 16, heads: int = 2, hidden: int = 32) -> None:
        super().__init__()
        self.heads, self.dim = heads, dim
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key, self.value, self.output = (nn.Linear(dim, dim) for _ in range(4))
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def initial_cache(self, batch, capacity, *, device, dtype):
        empty = torch.zeros(batch, capacity, self.dim, device=device, dtype=dtype)
        return Cache(empty, empty.clone())

    def forward(self, h, cache=None, position=0, both_ways=(0, 0), length=None):
        assert both_ways == (0, 0)
        x = self.norm1(h)
        key, value = self.key(x), self.value(x)
        if cache is not None:
            capacity = cache.key.shape[1]
            key = torch.cat([cache.key[:, :position], key], 1)
            value = torch.cat([cache.value[:, :position], value], 1)
            grown = [F.pad(t, (0, 0, 0, max(0, capacity - t.shape[1])))[:, :capacity] for t in (key, value)]
            if length is not None:
                real = (torch.arange(capacity)[None] < position + length[:, None])[..., None]
                grown = [torch.where(real, t, 0.0) for t in grown]
            cache = Cache(*grown)
        units, total = h.shape[1], key.shape[1]
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (self.query(x), key, value))
        sees = torch.ones(units, total, dtype=torch.bool).tril(total - units)
        weights = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~sees, float("-inf")).softmax(-1)
        h = h + self.output((weights @ v).transpose(1, 2).flatten(2))
        return h + self.down(F.gelu(self.up(self.norm2(h)))), cache


class TinyHost(nn.Module):
    def __init__(self, vocabulary: int = 17, dim: int = 16) -> None:
        super().__init__()
        self.dim = dim
        self.embedding = nn.Embedding(vocabulary, dim)
        self.layers = nn.ModuleList(TinyLayer(dim) for _ in range(2))
        self.final = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, vocabulary, bias=False)

    def embed(self, x):
        return self.embedding(x)

    def norm(self, h):
        return self.final(h)

    def head(self, h):
        return self.out(h)

    @staticmethod
    def own_name(golden: str) -> str:
        """The name here of a weight of the golden files."""
        return golden.replace("norm.", "final.").replace("head.", "out.") if not golden.startswith("layers") else golden
