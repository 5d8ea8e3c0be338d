"""Outer products that fade on both sides: every key channel at a gate of its own, and every value channel too.

    C_t = ((1 - g_t) (1 - b_t)^T) * C_{t-1} + k_t v_t^T     (GaLiTe, Pramanik et al. 2023, arXiv 2310.15719)
    y_t = C_t^T q_t

Gates lie in [0, 1], and 1 forgets all that came before: so a reset inside a sequence is written. ``joint_gates`` keeps
1 - g_t b_t^T instead, as the authors' code does, and forgets all where both gates are 1. Everything is computed in the
dtype of C (float32 or wider, also under autocast) and returned in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .decay import halves
from .diagonal import diagonal_chunk
from .precision import without_autocast
from .recurrence import Passage, Recurrence, chunk_after_chunk
from .transforms import readable


def _kept(
    joint: bool, key_gate: Float[Tensor, "... K"], value_gate: Float[Tensor, "... V"]
) -> Float[Tensor, "... K V"]:
    if joint:
        return 1 - key_gate[..., None] * value_gate[..., None, :]
    return (1 - key_gate)[..., None] * (1 - value_gate)[..., None, :]


def _step(
    joint: bool, query: Tensor, key: Tensor, key_gate: Tensor, value: Tensor, value_gate: Tensor, matrix: Tensor
) -> tuple[Float[Tensor, "B H V"], Float[Tensor, "B H K V"]]:
    with without_autocast(matrix.device):
        parts = (query, key, key_gate, value, value_gate)
        query, key, key_gate, value, value_gate = (part.to(matrix.dtype) for part in parts)
        kept = _kept(joint, key_gate, value_gate)
        matrix = torch.addcmul(kept * matrix, key[..., None], value[..., None, :])
        return (query[..., None, :] @ matrix).squeeze(-2), matrix


def _joint_piece(
    query: Tensor, key: Tensor, key_gate: Tensor, value: Tensor, value_gate: Tensor, matrix: Tensor
) -> tuple[Float[Tensor, "B C H V"], Float[Tensor, "B H K V"]]:
    written, kept = key[..., None] * value[..., None, :], _kept(True, key_gate, value_gate)
    held, matrix = diagonal_chunk(kept, written, matrix, chunk=key.shape[1])
    return (query[..., None, :] @ held).squeeze(-2), matrix


def _separate_piece(
    query: Tensor, key: Tensor, key_gate: Tensor, value: Tensor, value_gate: Tensor, matrix: Tensor
) -> tuple[Float[Tensor, "B C H V"], Float[Tensor, "B H K V"]]:
    """Without a matrix for each unit: what unit s wrote has faded by a_st b_st^T for unit t, products of its own gates.

    So t reads sum_s (q_t . a_st k_s) b_st v_s. The chunk is put together from halves, as in :mod:`~mnesis.ops.decay`:
    a pair on two sides of a boundary fades from s to the boundary and from there to t. No gate is divided by, and no
    logarithm taken, whose derivative is infinite where a gate is 1.
    """
    batch, size, heads = query.shape[:3]
    missing = (1 << (size - 1).bit_length()) - size
    parts = (query, key, 1 - key_gate, value, 1 - value_gate)
    # [B H, blocks, units of a block, channels]; units that are added at the end write nothing and fade nothing.
    query, key, whole, value, up_to = (
        F.pad(x.transpose(1, 2).flatten(0, 1), (0, 0, 0, missing), value=end)[:, :, None]
        for x, end in zip(parts, (0.0, 0.0, 1.0, 0.0, 1.0), strict=True)
    )
    y = (query * key).sum(-1, keepdim=True) * value
    query = whole * query  # faded from a block's start, as y is by up_to; key and value until its end
    while key.shape[1] > 1:
        (early, late), (written, later) = halves(query), halves(key)
        (whole_early, whole_late), (up_early, up_late) = halves(whole), halves(up_to)
        (value_early, value_late), (y_early, y_late) = halves(value), halves(y)
        y = torch.cat([y_early, torch.addcmul(y_late, up_late, (late @ written.mT) @ value_early)], 2)
        query = torch.cat([early, whole_early * late], 2)
        key = torch.cat([whole_late * written, later], 2)
        value = torch.cat([up_late[:, :, -1:] * value_early, value_late], 2)
        up_to = torch.cat([up_early, up_early[:, :, -1:] * up_late], 2)
        whole = whole_early * whole_late
    found, query, key, value, up_to, whole = (x[:, 0] for x in (y, query, key, value, up_to, whole))
    begun = matrix.flatten(0, 1)
    found = torch.addcmul(found, up_to, query @ begun)[:, :size]
    matrix = torch.baddbmm(whole.mT * up_to[:, -1:] * begun, key.mT, value)
    return found.unflatten(0, (batch, heads)).transpose(1, 2), matrix.unflatten(0, (batch, heads))


def _chunks(
    one: Callable[..., tuple[Tensor, Tensor]], *parts: Tensor, chunk: int
) -> tuple[Float[Tensor, "B T H V"], Float[Tensor, "B H K V"]]:
    """What a chunk needs besides the matrix that it started from is made anew in the backward pass."""
    *sequences, matrix = parts
    with without_autocast(matrix.device):
        return chunk_after_chunk(one, [part.to(matrix.dtype) for part in sequences], matrix, chunk)


def _decay(
    joint: bool, query: Tensor, key: Tensor, key_gate: Tensor, value: Tensor, value_gate: Tensor, matrix: Tensor
) -> Float[Tensor, "B H K V"]:
    key_gate, value_gate = key_gate.to(matrix.dtype), value_gate.to(matrix.dtype)
    if joint:
        return _kept(joint, key_gate, value_gate).prod(1)
    return (1 - key_gate).prod(1)[..., None] * (1 - value_gate).prod(1)[..., None, :]


def _check_gates(query: Tensor, key: Tensor, key_gate: Tensor, value: Tensor, value_gate: Tensor, _: Tensor) -> None:
    """Raises ValueError where something would grow, change its sign, or is not a number."""
    for name, gate in (("key_gate", key_gate), ("value_gate", value_gate)):
        if gate.device.type == "cpu" and readable(gate):
            low, high = (float(end) for end in gate.detach().aminmax())
            if not (low >= 0 and high <= 1):
                raise ValueError(f"{name} reaches from {low:g} to {high:g}: a gate lies in [0, 1]; give sigmoid(x)")


separate_gates, joint_gates = (
    Recurrence(
        partial(_step, joint),
        partial(_chunks, piece, chunk=chunk),
        sequences=5,
        passage=Passage(partial(_decay, joint)),
        domain=_check_gates,
    )
    for joint, piece, chunk in ((False, _separate_piece, 64), (True, _joint_piece, 16))
)
