"""A process of its own: the GPU kernels in Triton's interpreter on the CPU, beside our naive forms; prints the gaps."""

from __future__ import annotations

import builtins
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ["TRITON_INTERPRET"] = "1"

import torch
from torch import Tensor
from triton.runtime import autotuner  # pyright: ignore[reportMissingImports]

from mnesis.ops.delta_rule import delta_rule, unit_length
from mnesis.ops.gated_linear_attention import gated_linear_attention


class Index(int):
    """The interpreter's loops count in plain integers, which lack what the compiler's have."""

    def to(self, *_: Any) -> Index:
        return self


def counted(*ends: Any) -> Iterator[Index]:
    return map(Index, builtins.range(*(int(end) for end in ends)))


def prepare() -> None:
    """There is no GPU to time configurations on, so that any will do."""
    import fla.ops.gated_delta_rule  # pyright: ignore[reportMissingImports]
    import fla.ops.gla  # pyright: ignore[reportMissingImports]
    import fla.ops.kda  # pyright: ignore[reportMissingImports]
    import fla.ops.simple_gla  # pyright: ignore[reportMissingImports]  # noqa: F401

    autotuner.Autotuner._bench = lambda self, *args, **meta: [1.0, 1.0, 1.0]
    autotuner.Autotuner.do_bench = None
    for name, module in list(sys.modules.items()):
        if name.startswith("fla.ops"):
            module.__dict__["range"] = counted


def gaps(recurrence: Any, parts: list[Tensor | None]) -> list[float]:
    """Of outputs, what is carried on, and all gradients, each as a share of the largest number in it."""
    found = []
    for run in (recurrence.kernel, lambda *parts: recurrence.compute("naive", *parts)):
        own = [None if part is None else part.clone().requires_grad_() for part in parts]
        results = run(*own)
        generator = torch.Generator().manual_seed(1)
        loss = sum((part * torch.randn(part.shape, generator=generator)).sum() for part in results)
        assert isinstance(loss, Tensor)
        loss.backward()
        found.append([part.detach() for part in results] + [part.grad for part in own if part is not None])
    return [float((a - b).abs().max() / b.abs().max()) for a, b in zip(*found, strict=True)]


def main() -> None:
    prepare()
    torch.manual_seed(0)
    rows, time, heads, key, value = 2, 70, 2, 16, 32
    q, k = (torch.randn(rows, time, heads, key) for _ in range(2))
    v, matrix = torch.randn(rows, time, heads, value), torch.randn(rows, heads, key, value)
    strength = torch.rand(rows, time, heads)
    decays: dict[str, Tensor | None] = {
        "none": None,
        "heads": -torch.rand(rows, time, heads),
        "channels": -torch.rand(rows, time, heads, key),
    }
    found = {}
    for name, decay in decays.items():
        found[f"attention, {name}"] = gaps(gated_linear_attention, [q, k, v, decay, matrix])
        found[f"delta rule, {name}"] = gaps(delta_rule, [q, unit_length(k), v, strength, decay, matrix])
    forgetting = decays["heads"]
    assert forgetting is not None
    forgetting = forgetting.clone()
    forgetting[:, [5, 40]] = -torch.inf
    with torch.no_grad():
        for name, recurrence, rates in (
            ("attention", gated_linear_attention, [forgetting]),
            ("delta rule", delta_rule, [strength, forgetting]),
        ):
            parts = [q, unit_length(k), v, *rates, matrix]
            ours, theirs = recurrence.compute("naive", *parts), recurrence.kernel(*parts)
            found[f"{name}, resets"] = [
                float((a - b).abs().max() / b.abs().max()) for a, b in zip(theirs, ours, strict=True)
            ]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
