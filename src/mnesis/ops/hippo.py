"""HiPPO: the coefficients of a polynomial that follows all of a signal, or its latest part, and how they change.

    dc/dt = A c + B f        (Gu et al. 2020, arXiv 2008.07669; A and B here carry the sign, so that A is stable)

A measure says which part of the past counts: "legs" all of it alike, "legt" a window (whose length is the unit of
time), "lagt" all of it, fading as exp(-age); "lmu" is "legt" in the coefficients of Legendre memory units (Voelker et
al. 2019). Everything is computed in float64 until it is asked for in another dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class ContinuousSystem(NamedTuple):
    """dc/dt = transition c + write f."""

    transition: Float[Tensor, "... N N"]
    write: Float[Tensor, "... N"]


def hippo(measure: str, order: int) -> ContinuousSystem:
    """A and B of ``order`` coefficients (appendix D of the paper), in float64; for "legs" still to be divided by t.

    Raises:
        ValueError: an unknown measure, or no coefficients.
    """
    if order < 1:
        raise ValueError(f"order={order}: a polynomial has at least one coefficient; give 1 or more")
    _check(measure)
    n = torch.arange(order, dtype=torch.float64, device="cpu")
    return SYSTEMS[measure](n[:, None], n)


def reconstruct(
    measure: str, coefficients: Float[Tensor, "... N"], ages: Float[Tensor, " P"]
) -> Float[Tensor, "... P"]:
    """The signal as the polynomial has it, so many units of time ago.

    Args:
        measure: whose coefficients these are.
        coefficients: c.
        ages: 0 is now; 1 is the end of the window or, for "legs", the beginning.

    Raises:
        ValueError: an unknown measure.
    """
    _check(measure)
    basis = POLYNOMIALS[measure](coefficients.shape[-1], ages.to(torch.float64))
    return coefficients @ basis.to(coefficients.dtype)


def discretize(system: ContinuousSystem, step: float | Tensor, method: str) -> ContinuousSystem:
    """c_t = A c_{t-1} + B f_t for units that far apart.

    Args:
        system: in continuous time.
        step: time between units; a tensor of steps gives as many systems.
        method: "zoh" (zero-order hold: the signal stays for a unit), "bilinear" or "euler".

    Raises:
        ValueError: an unknown method.
    """
    a, b = system
    step = torch.as_tensor(step, dtype=a.dtype, device=a.device)[..., None, None]
    one = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    if method == "euler":
        return ContinuousSystem(one + step * a, (step * b[..., None]).squeeze(-1))
    if method == "bilinear":
        both = torch.linalg.solve(one - step / 2 * a, torch.cat([one + step / 2 * a, step * b[..., None]], -1))
    elif method == "zoh":
        # The signal as one more state that does not change.
        whole = torch.cat([torch.cat([a, b[..., None]], -1), torch.zeros_like(a[..., :1, :1].expand(1, len(one) + 1))])
        both = torch.linalg.matrix_exp(step * whole)[..., :-1, :]
    else:
        raise ValueError(f"no method {method!r}; choose one of zoh, bilinear, euler")
    return ContinuousSystem(both[..., :-1], both[..., -1])


def legs_step(
    system: ContinuousSystem, f: Float[Tensor, "B M"], c: Float[Tensor, "B M N"], units: Float[Tensor, " B"]
) -> Float[Tensor, "B M N"]:
    """LegS read one more unit of M signals, bilinearly; so many units were read before.

    The first unit makes the polynomial constant. For unit number k from 0 on,
    c = (I - A / 2k)^-1 ((I + A / 2k) c + B f / k), where the paper has k and k + 1: as the authors' code does, so that
    the second unit divides by 1. A is triangular.
    """
    a, b = system
    k = units.clamp_min(1)[:, None, None]
    half = a / (2 * k)
    known = c + c @ half.mT + b * f[..., None] / k
    left = torch.eye(len(b), dtype=a.dtype, device=a.device) - half
    found = torch.linalg.solve_triangular(left, known.mT, upper=False).mT
    constant = torch.cat([f[..., None], torch.zeros_like(c[..., 1:])], -1)
    return torch.where(units[:, None, None] == 0, constant, found)


def _legs(row: Tensor, column: Tensor) -> ContinuousSystem:
    root = ((2 * row + 1) * (2 * column + 1)).sqrt()
    return ContinuousSystem(-root.tril(-1) - torch.diag(column + 1), (2 * column + 1).sqrt())


def _legt(row: Tensor, column: Tensor) -> ContinuousSystem:
    root = ((2 * row + 1) * (2 * column + 1)).sqrt()
    return ContinuousSystem(-root * torch.where(column <= row, 1.0, (-1) ** (row - column)), (2 * column + 1).sqrt())


def _lmu(row: Tensor, column: Tensor) -> ContinuousSystem:
    sign = torch.where(column <= row, (-1) ** (row - column), 1.0)
    return ContinuousSystem(-(2 * row + 1) * sign, (2 * column + 1) * (-1) ** column)


def _lagt(row: Tensor, column: Tensor) -> ContinuousSystem:
    return ContinuousSystem(-(row + column).new_ones(len(row), len(row)).tril(), torch.ones_like(column))


def _legendre(order: int, x: Float[Tensor, " P"]) -> Float[Tensor, "N P"]:
    """P_0 to P_(order - 1)."""
    found = [torch.ones_like(x), x]
    for n in range(1, order - 1):
        found.append(((2 * n + 1) * x * found[-1] - n * found[-2]) / (n + 1))
    return torch.stack(found[:order])


def _laguerre(order: int, x: Float[Tensor, " P"]) -> Float[Tensor, "N P"]:
    """L_0 to L_(order - 1)."""
    found = [torch.ones_like(x), 1 - x]
    for n in range(1, order - 1):
        found.append(((2 * n + 1 - x) * found[-1] - n * found[-2]) / (n + 1))
    return torch.stack(found[:order])


def _normalised_legendre(order: int, age: Float[Tensor, " P"]) -> Float[Tensor, "N P"]:
    """Orthonormal on ages from 1 to 0, which is from left to right."""
    n = torch.arange(order, dtype=age.dtype, device=age.device)
    return (2 * n[:, None] + 1).sqrt() * _legendre(order, 1 - 2 * age)


SYSTEMS: dict[str, Callable[[Tensor, Tensor], ContinuousSystem]] = {
    "legs": _legs,
    "legt": _legt,
    "lagt": _lagt,
    "lmu": _lmu,
}
POLYNOMIALS: dict[str, Callable[[int, Tensor], Tensor]] = {
    "legs": _normalised_legendre,
    "legt": _normalised_legendre,
    "lagt": _laguerre,
    "lmu": lambda order, age: _legendre(order, 2 * age - 1),
}


def _check(measure: str) -> None:
    if measure not in SYSTEMS:
        raise ValueError(f"HiPPO has no measure {measure!r}; choose one of {', '.join(SYSTEMS)}")
