"""One of several processes: every memory that can reads a sequence in pieces, and as a whole to compare."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from mnesis.core.catalog import create_memory, list_memories
from mnesis.core.laws.subject import Subject
from mnesis.core.memory import Memory
from mnesis.core.state import leaves, take
from mnesis.memories.over_processes import read_over_processes
from mnesis.nets import LanguageModel

PIECES = (26, 37)


def readers() -> dict[str, Memory]:
    """In every form, and a language model of two blocks with convolutions."""
    found = {}
    for card in list_memories():
        if card.load().splits:
            for form in card.forms:
                found[f"{card.name}, {form}"] = create_memory(card.name, **{**card.example, "form": form})
    found["rg-lru as released"] = create_memory("rg-lru", dim=12, blocks=4, released=True)
    found["galite as released"] = create_memory("galite", dim=12, heads=2, width=3, expansion=2, joint=True)
    found["a language model"] = LanguageModel(11, dim=12, memory="gla", convolution=3, hidden=16, options={"heads": 2})
    return found


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(((a - b).abs().max() / a.abs().max().clamp_min(1)).detach()) if a.numel() else 0.0


def compare(memory: Memory) -> dict[str, float]:
    """Of outputs, state and gradients, between reading at once and in pieces."""
    torch.manual_seed(1)
    memory = Subject(memory, torch.float64).memory
    rank, time = dist.get_rank(), sum(PIECES)
    tokens = memory.dim is None
    x = torch.randint(11, (3, time)) if tokens else torch.randn(3, time, memory.dim, dtype=torch.float64)
    with torch.no_grad():
        _, state = memory(x.flip(1))  # where the sequence starts; the others hand in something else
        other = take(state, torch.tensor([2, 0, 1]))
    weights = list(memory.parameters())

    def backward(y: torch.Tensor, after: object, share: float) -> list[torch.Tensor]:
        loss = y.square().sum() + share * sum(leaf.square().sum() for leaf in leaves(after))
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        return [torch.zeros_like(w) if g is None else g.contiguous() for w, g in zip(weights, found, strict=True)]

    y, after = memory(x, state)
    gradients = backward(y, after, 1.0)
    piece = x.split(PIECES, 1)[rank]
    own, handed = read_over_processes(memory, piece, state if rank == 0 else other)
    parts = backward(own, handed, 1 / len(PIECES))
    for part in parts:
        dist.all_reduce(part)
    return {
        "outputs": gap(y.split(PIECES, 1)[rank], own),
        "state": max(map(gap, leaves(after), leaves(handed))),
        "gradients": max(map(gap, gradients, parts)),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    gaps = {name: compare(memory) for name, memory in readers().items()}
    Path(sys.argv[1], f"{dist.get_rank()}.json").write_text(json.dumps(gaps))
    dist.barrier()  # nobody leaves while another still talks
    dist.destroy_process_group()
