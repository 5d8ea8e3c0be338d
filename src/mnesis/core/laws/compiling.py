"""The law ``compiles``: a memory is tensor operations from end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._dynamo.exc import TorchDynamoException

from ..pieces import map_leaves
from ..reason import reason_for
from .examining import Broken
from .subject import Subject, difference


def compiles(subject: Subject) -> float:
    """``scan`` at phase 0 and ``step`` compile whole (fullgraph), with at most 3 compilations over 32 steps."""
    graphs = 0

    def count(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        nonlocal graphs
        graphs += 1
        return graph.forward

    memory = subject.memory
    x = subject.draw(2, 32)
    torch.compiler.reset()
    try:
        with torch.no_grad():
            scan = torch.compile(lambda x, state: memory.scan(x, state), backend=count, fullgraph=True)
            gap = difference(list(scan(x, subject.fresh(2))), list(memory.scan(x, subject.fresh(2))))
            graphs = 0
            step = torch.compile(lambda x, state: memory.step(x, state), backend=count, fullgraph=True)
            state = expected = subject.fresh(2)
            for t in range(32):
                unit = map_leaves(x, lambda leaf, t=t: leaf[:, t].clone())
                y, state = step(unit, state)
                y_expected, expected = memory.step(unit, expected)
                gap = max(gap, difference(y, y_expected))
    except TorchDynamoException as error:
        raise Broken(
            f"it does not compile whole: {reason_for(error)}; keep scan and step to tensor operations"
        ) from None
    finally:
        torch.compiler.reset()
    if gap > subject.tolerance:
        return gap
    return float(max(0, graphs - 3))
