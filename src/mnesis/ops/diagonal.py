"""Diagonal recurrences: every channel with its own decay, which may change from unit to unit and may be complex.

    h_t = a_t h_{t-1} + b_t

Gated cells, state spaces and moving averages are this with different a and b. A decay of exactly 0 forgets all that
came before: so a reset inside a sequence is written. All forms stay in linear space; logarithms (Heinsen 2023, arXiv
2311.06281) lose four digits of float32 in 8,192 units and have no signs. Everything is computed in the dtype of h
(float32 or wider, also under autocast) and returned in it.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from .associative_scan import associative_scan
from .precision import without_autocast
from .recurrence import Passage, Recurrence, check_complex
from .transforms import apply


def diagonal_step(
    decay: Shaped[Tensor, "B ..."], update: Shaped[Tensor, "B ..."], h: Shaped[Tensor, "B ..."]
) -> tuple[Shaped[Tensor, "B ..."], Shaped[Tensor, "B ..."]]:
    """One unit: h, as output and as what is carried."""
    with without_autocast(h.device):
        h = torch.addcmul(update.to(h.dtype), decay.to(h.dtype), h)
        return h, h


def diagonal_parallel(
    decay: Shaped[Tensor, "B T ..."], update: Shaped[Tensor, "B T ..."], h: Shaped[Tensor, "B ..."]
) -> tuple[Shaped[Tensor, "B T ..."], Shaped[Tensor, "B ..."]]:
    """By a work-efficient scan over the pairs (a, b); few long steps, for hardware with more lanes than channels."""
    with without_autocast(h.device):
        decays, updates = associative_scan(_follow, (decay.to(h.dtype), update.to(h.dtype)))
        held = torch.addcmul(updates, decays, h[:, None])
        return held, held[:, -1].clone()


def diagonal_chunk(
    decay: Shaped[Tensor, "B T ..."],
    update: Shaped[Tensor, "B T ..."],
    h: Shaped[Tensor, "B ..."],
    *,
    chunk: int = 32,
) -> tuple[Shaped[Tensor, "B T ..."], Shaped[Tensor, "B ..."]]:
    """All chunks side by side, twice: first to sum each one up, then, from the h that it starts with, for its outputs.

    The backward pass is the same recurrence from the end, and keeps a, h and nothing else.
    """
    with without_autocast(h.device):
        decay, update = torch.broadcast_tensors(decay.to(h.dtype), update.to(h.dtype))
        held = apply(_Scan, decay, update, h, chunk)
        return held, held[:, -1].clone()


diagonal = Recurrence(
    diagonal_step,
    diagonal_chunk,
    sequences=2,
    parallel=diagonal_parallel,
    passage=Passage(lambda decay, update, h: decay.to(h.dtype).prod(1)),
    domain=lambda decay, update, h: check_complex(h, decay=decay, update=update),
)


def _follow(earlier: tuple[Tensor, Tensor], later: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return earlier[0] * later[0], torch.addcmul(later[1], later[0], earlier[1])


class _Scan(torch.autograd.Function):
    """h_t = a_t h_{t-1} + b_t from ``start``."""

    @staticmethod
    def forward(decay: Tensor, update: Tensor, start: Tensor, chunk: int) -> Tensor:
        return _sweep(decay, update, start, chunk, 1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        decay, _, start, ctx.chunk = inputs
        ctx.save_for_backward(decay, start, output)
        ctx.save_for_forward(decay, start, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        decay, start, held = ctx.saved_tensors
        due = apply(_Transposed, decay.conj(), gradients[0], ctx.chunk)
        of_start = decay[:, 0].conj() * due[:, 0] if ctx.needs_input_grad[2] else None
        before = torch.cat([start[:, None], held[:, :-1]], 1) if ctx.needs_input_grad[0] else None
        return None if before is None else due * before.conj(), due, of_start, None

    @staticmethod
    def jvp(ctx: Any, *turns: Any) -> Tensor:
        (decay, start, held), (of_decay, of_update, of_start, _) = ctx.saved_tensors, turns
        update = torch.addcmul(of_update, of_decay, torch.cat([start[:, None], held[:, :-1]], 1))
        return apply(_Scan, decay, update, of_start, ctx.chunk)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *parts: Any) -> tuple[Tensor, int]:
        *tensors, chunk = parts
        places = zip(tensors, in_dims[:3], (2, 2, 1), strict=True)
        return apply(_Scan, *(_behind(*place, info.batch_size) for place in places), chunk), 2


class _Transposed(torch.autograd.Function):
    """h_t = b_t + a_{t+1} h_{t+1} from the end: what every h of the recurrence owes to all later ones."""

    @staticmethod
    def forward(decay: Tensor, update: Tensor, chunk: int) -> Tensor:
        nothing = torch.zeros_like(update[:, :1])
        # The decay that leads into the next unit; nothing comes after the last one.
        return _sweep(torch.cat([decay[:, 1:], nothing], 1), update, nothing[:, 0], chunk, -1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        decay, _, ctx.chunk = inputs
        ctx.save_for_backward(decay, output)
        ctx.save_for_forward(decay, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        decay, held = ctx.saved_tensors
        nothing = torch.zeros_like(held[:, :1])
        due = apply(_Scan, decay.conj(), gradients[0], nothing[:, 0], ctx.chunk)
        return torch.cat([nothing, due[:, :-1]], 1) * held.conj(), due, None

    @staticmethod
    def jvp(ctx: Any, *turns: Any) -> Tensor:
        (decay, held), (of_decay, of_update, _) = ctx.saved_tensors, turns
        later = torch.cat([of_decay[:, 1:] * held[:, 1:], torch.zeros_like(held[:, :1])], 1)
        return apply(_Transposed, decay, of_update + later, ctx.chunk)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *parts: Any) -> tuple[Tensor, int]:
        *tensors, chunk = parts
        places = zip(tensors, in_dims[:2], (2, 2), strict=True)
        return apply(_Transposed, *(_behind(*place, info.batch_size) for place in places), chunk), 2


def _behind(part: Tensor, axis: int | None, place: int, size: int) -> Tensor:
    """The axis that vmap maps over, made if there is none, where a recurrence has the elements of a unit."""
    if axis is not None:
        return part.movedim(axis, place)
    return part.unsqueeze(place).expand(*part.shape[:place], size, *part.shape[place:])


def _sweep(
    decay: Shaped[Tensor, "B T ..."],
    update: Shaped[Tensor, "B T ..."],
    h: Shaped[Tensor, "B ..."],
    chunk: int,
    turn: int,
) -> Shaped[Tensor, "B T ..."]:
    """All h, chunks side by side; ``turn`` = -1 goes from the end."""
    rest = update.shape[1] % chunk
    sizes = [size for size in (update.shape[1] - rest, rest) if size]
    pieces, swept = list(zip(decay.split(sizes, 1), update.split(sizes, 1), strict=True)), []
    for piece in pieces[::turn]:
        a, b = (x.unflatten(1, (-1, min(chunk, x.shape[1]))) for x in piece)
        held, h = _sweep_chunks(a, b, h, turn)
        swept.append(held.flatten(1, 2))
    return torch.cat(swept[::turn], 1) if len(swept) > 1 else swept[0]


def _sweep_chunks(
    decay: Shaped[Tensor, "B n C ..."], update: Shaped[Tensor, "B n C ..."], h: Shaped[Tensor, "B ..."], turn: int
) -> tuple[Shaped[Tensor, "B n C ..."], Shaped[Tensor, "B ..."]]:
    """All h of n chunks, and the one that leaves the last of them."""
    decays, updates = decay.unbind(2)[::turn], update.unbind(2)[::turn]
    before = h[:, None]
    if decay.shape[1] > 1:
        whole, own = decays[0].clone(), updates[0].clone()
        for a, b in zip(decays[1:], updates[1:], strict=True):
            whole.mul_(a)
            torch.addcmul(b, a, own, out=own)
        starts = []
        for a, b in zip(whole.unbind(1)[::turn], own.unbind(1)[::turn], strict=True):
            starts.append(h)
            h = torch.addcmul(b, a, h)
        before = torch.stack(starts[::turn], 1)
    held = []
    for a, b in zip(decays, updates, strict=True):
        before = torch.addcmul(b, a, before)
        held.append(before)
    return torch.stack(held[::turn], 2), before[:, -1 if turn == 1 else 0]
