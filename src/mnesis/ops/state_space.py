"""Time-invariant state spaces: one linear system for every unit, as a recurrence and as the convolution that it is.

    h_t = A h_{t-1} + B u_t,    y_t = Re(C h_t)      for each of D channels by itself

A is a diagonal (complex, as in S4D) or a matrix (as in LSSL and LMU). What a unit adds to an output j units later is
C A^j B; a chunk of outputs is then a product with a triangle of these numbers, plus what the h before it still says.
The whole sequence at once is a convolution by FFT. A complex h counts as twice as many real numbers, so that everything
but the powers of A is real. Everything is computed in the dtype of h (float32 or wider, also under autocast).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from .precision import without_autocast
from .recurrence import Passage, Recurrence, Summary, check_complex


class LinearSystem(NamedTuple):
    """A, B and C of D systems, discrete in time."""

    transition: Shaped[Tensor, "D N"] | Shaped[Tensor, "D N N"]
    """A: a diagonal, or a matrix."""
    write: Shaped[Tensor, "D N"]
    read: Shaped[Tensor, "D M N"]
    """C: M outputs of each system."""


def state_space(system: LinearSystem) -> Recurrence:
    """The recurrence of this system: of u ``[B T D]``, from h ``[B D N]``, to y ``[B T D M]`` and h."""
    return Recurrence(
        partial(state_space_step, system),
        partial(state_space_chunk, system),
        sequences=1,
        parallel=partial(state_space_parallel, system),
        passage=Passage(partial(_over, system), _moved),
        domain=lambda u, h: check_complex(h, transition=system.transition, write=system.write, read=system.read),
    )


def state_space_step(
    system: LinearSystem, u: Float[Tensor, "B D"], h: Shaped[Tensor, "B D N"]
) -> tuple[Float[Tensor, "B D M"], Shaped[Tensor, "B D N"]]:
    """One unit: output and h."""
    with without_autocast(h.device):
        system = _of(system, h)
        h = _apply(system.transition, h) + system.write * u.to(h.dtype)[..., None]
        return _real((system.read @ h[..., None]).squeeze(-1)), h


def state_space_chunk(
    system: LinearSystem, u: Float[Tensor, "B T D"], h: Shaped[Tensor, "B D N"], *, chunk: int = 64
) -> tuple[Float[Tensor, "B T D M"], Shaped[Tensor, "B D N"]]:
    """All chunks side by side: products of matrices, and h handed from one chunk to the next."""
    with without_autocast(h.device):
        system, time = _of(system, h), u.shape[1]
        rest, response, outputs = time % chunk, _response(system, min(chunk, time)), []
        for piece in u.to(response.impulse.dtype).split([size for size in (time - rest, rest) if size], 1):
            y, h = _chunks(system, response, piece.unflatten(1, (-1, min(chunk, piece.shape[1]))), h)
            outputs.append(y)
        return torch.cat(outputs, 1), h


def state_space_parallel(
    system: LinearSystem, u: Float[Tensor, "B T D"], h: Shaped[Tensor, "B D N"]
) -> tuple[Float[Tensor, "B T D M"], Shaped[Tensor, "B D N"]]:
    """One convolution by FFT; the powers of A take memory of T D N numbers."""
    with without_autocast(h.device):
        system, time = _of(system, h), u.shape[1]
        response = _response(system, time)
        u = u.to(response.impulse.dtype)
        y = long_convolution(u[..., None], response.impulse.permute(2, 0, 1))
        y = y + torch.einsum("bds,dtms->btdm", _flat(h), response.echo)
        return y, _apply(_power(system.transition, time), h) + _added(response, u[:, None], h.is_complex())[:, 0]


def long_convolution(u: Float[Tensor, "B T ..."], kernel: Float[Tensor, "L ..."]) -> Float[Tensor, "B T ..."]:
    """y_t = sum over j of kernel_j u_{t-j}, by FFT of twice the length: the end must not reach the beginning."""
    time = u.shape[1]
    size = time + min(time, len(kernel))
    spectrum = torch.fft.rfft(u, size, dim=1) * torch.fft.rfft(kernel[:time], size, dim=0)
    return torch.fft.irfft(spectrum, size, dim=1)[:, :time]


class _Response(NamedTuple):
    """What a system does with one unit, and with what it holds, over the units that follow; h is S real numbers."""

    impulse: Float[Tensor, "D M L"]
    """C A^j B."""
    held: Float[Tensor, "D L S"]
    """A^j B."""
    echo: Float[Tensor, "D L M S"]
    """C A^(j+1), to be multiplied with h."""


def _response(system: LinearSystem, units: int) -> _Response:
    held = _powers(system.transition, system.write[:, None], units).squeeze(2)
    backward = system.transition.mT if system.transition.ndim == 3 else system.transition
    echo = _powers(backward, _follow(backward, system.read), units)
    impulse = _real(torch.einsum("dmn,dln->dml", system.read, held))
    # Re(c h) is the product of (Re c, -Im c) with (Re h, Im h).
    return _Response(impulse, _flat(held), _flat(echo.conj() if echo.is_complex() else echo))


def _chunks(
    system: LinearSystem, response: _Response, u: Float[Tensor, "B n C D"], h: Shaped[Tensor, "B D N"]
) -> tuple[Float[Tensor, "B T D M"], Shaped[Tensor, "B D N"]]:
    size, starts = u.shape[2], []
    over = _power(system.transition, size)
    for own in _added(response, u, h.is_complex()).unbind(1):
        starts.append(h)
        h = _apply(over, h) + own
    # triangle[d, m, t, s] = impulse[d, m, t - s], and 0 above the diagonal.
    triangle = F.pad(response.impulse[..., :size], (size - 1, 0)).unfold(-1, size, 1).flip(-1)
    y = torch.einsum("bnsd,dmts->bntdm", u, triangle)
    y = y + torch.einsum("bnds,dtms->bntdm", _flat(torch.stack(starts, 1)), response.echo[:, :size])
    return y.flatten(1, 2), h


def _added(response: _Response, u: Float[Tensor, "B n C D"], is_complex: bool) -> Shaped[Tensor, "B n D N"]:
    """What C units leave in an h that was empty before."""
    added = torch.einsum("bncd,dcs->bnds", u, response.held[:, : u.shape[2]].flip(1))
    return torch.view_as_complex(added.unflatten(-1, (-1, 2)).contiguous()) if is_complex else added


def _powers(
    transition: Shaped[Tensor, "D N"] | Shaped[Tensor, "D N N"], start: Shaped[Tensor, "D M N"], count: int
) -> Shaped[Tensor, "D L M N"]:
    """A^j of every start, j below ``count``: what is there doubles until there are enough."""
    found = start[:, None]
    while found.shape[1] < count:
        further = _follow(transition, found.flatten(1, 2)).unflatten(1, found.shape[1:3])
        found, transition = torch.cat([found, further], 1), _squared(transition)
    return found[:, :count]


def _power(transition: Tensor, exponent: int) -> Tensor:
    """A^exponent, exponent >= 1."""
    if exponent == 1:
        return transition
    half = _power(_squared(transition), exponent // 2)
    if exponent % 2 == 0:
        return half
    return transition @ half if transition.ndim == 3 else transition * half


def _over(system: LinearSystem, u: Float[Tensor, "B T D"], h: Shaped[Tensor, "B D N"]) -> Tensor:
    """A^T, which is the same in every row."""
    return _power(_of(system, h).transition, u.shape[1])


def _moved(summary: Summary, carried: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (_apply(summary.decay, carried[0]) + summary.update[0],)


def _squared(transition: Tensor) -> Tensor:
    return transition @ transition if transition.ndim == 3 else transition * transition


def _follow(transition: Tensor, rows: Shaped[Tensor, "D M N"]) -> Shaped[Tensor, "D M N"]:
    """A of several h of each system."""
    return rows @ transition.mT if transition.ndim == 3 else rows * transition[:, None]


def _apply(transition: Tensor, h: Shaped[Tensor, "B D N"]) -> Shaped[Tensor, "B D N"]:
    return (transition @ h[..., None]).squeeze(-1) if transition.ndim == 3 else transition * h


def _flat(h: Tensor) -> Tensor:
    return torch.view_as_real(h.resolve_conj()).flatten(-2) if h.is_complex() else h


def _real(y: Tensor) -> Tensor:
    return y.real if y.is_complex() else y


def _of(system: LinearSystem, h: Tensor) -> LinearSystem:
    return LinearSystem(*(part.to(h.dtype) for part in system))
