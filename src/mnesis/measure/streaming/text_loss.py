"""What a text costs a language model, by a token's place in its segment, with its state carried on or made fresh."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ...core.memory import Memory


@torch.no_grad()
def text_loss(
    network: Memory, tokens: Int[Tensor, " T"], segment: int, *, fresh: bool = False, batch: int = 8
) -> Float[Tensor, " S"]:
    """Nats a token of a text, by place in the segment: a memory that is used makes the first places cheap.

    Every token but the first is foretold from the one before it, also across the border of a segment. What does not
    fill a segment at the end is left out.

    Args:
        network: token ids in, logits out.
        tokens: of the text.
        segment: tokens in a segment; of a memory between segments its own.
        fresh: forget at the border of every segment, as a model does whose window is a segment; else the state is
            carried on through the text.
        batch: segments that are read side by side where nothing is carried.

    Returns:
        Means over the segments: [segment], float32.

    Raises:
        ValueError: a text of less than a segment and one token.
    """
    segments = (len(tokens) - 1) // segment
    if segments < 1:
        raise ValueError(
            f"a text of {len(tokens)} tokens fills no segment of {segment} and the token behind it; give at least "
            f"{segment + 1} tokens"
        )
    units = segments * segment
    read, told = (part.reshape(segments, segment) for part in (tokens[:units], tokens[1 : units + 1]))
    device = next((parameter.device for parameter in network.parameters()), tokens.device)
    total, state = torch.zeros(segment, dtype=torch.float64), None
    was_training = network.training
    network.eval()
    try:
        for inputs, targets in zip(*(part.split(batch if fresh else 1) for part in (read, told)), strict=True):
            logits, after = network(inputs.to(device), state)
            losses = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten().to(device), reduction="none")
            total += losses.view(-1, segment).sum(0).double().cpu()
            state = None if fresh else after
    finally:
        network.train(was_training)
    return (total / segments).float()
