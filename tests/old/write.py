"""Writes ``reader`` and ``states``; run it with the sources of 8c606dd (README.md)."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

import mnesis
from mnesis.nets import LanguageModel, save

RMT = {"dim": 8, "layers": 1, "segment": 5, "memory_tokens": 2, "heads": 2, "hidden": 8}
GRU = {"dim": 8, "hidden": 6}


def main(folder: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = LanguageModel(16, dim=8, memory="gla", depth=2, hidden=8, convolution=2, options={"heads": 2}).eval()
    tokens, more = torch.randint(16, (2, 9)), torch.randint(16, (2, 4))
    with torch.no_grad():
        logits, state = model(tokens)
        later, _ = model(more, state)
    save(model, folder / "reader")
    numbers = {"tokens": tokens, "more": more, "logits": logits, "later": later}
    save_file(numbers, folder / "reader" / "numbers.safetensors")
    mnesis.save_state(state, folder / "reader" / "state.safetensors", about=model.describe())
    for name, options in (("rmt", RMT), ("gru", GRU)):
        memory = mnesis.create_memory(name, **options).eval()
        x, more = torch.randn(2, 8, 8), torch.randn(2, 4, 8)
        with torch.no_grad():
            y, state = memory(x)
            later, _ = memory(more, state)
        mnesis.save_state(state, folder / "states" / f"{name}.safetensors", about=memory.describe())
        numbers = {"x": x, "y": y, "more": more, "later": later}
        weights = {f"weight/{key}": value for key, value in memory.state_dict().items()}
        save_file(numbers | weights, folder / "states" / f"{name}.numbers.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
