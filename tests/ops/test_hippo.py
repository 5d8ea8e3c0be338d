"""HiPPO's matrices, what they do to a signal, and the authors' numbers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mnesis.ops.hippo import ContinuousSystem, discretize, hippo, legs_step, reconstruct

GOLDEN = Path(__file__).parents[1] / "golden" / "hippo.safetensors"


def signal(t: Tensor) -> Tensor:
    return torch.sin(t / 70) + 0.5 * torch.cos(t / 33)


def follow(measure: str, units: int, window: int, order: int = 48, method: str = "zoh") -> Tensor:
    system, c = hippo(measure, order), torch.zeros(1, 1, order, dtype=torch.float64)
    fixed = discretize(system, 1 / window, method)
    for k, f in enumerate(signal(torch.arange(units, dtype=torch.float64))):
        if measure == "legs":
            c = legs_step(system, f[None, None], c, torch.full((1,), float(k), dtype=torch.float64))
        else:
            c = c @ fixed.transition.mT + fixed.write * f
    return c[0, 0]


def test_golden_matrices() -> None:
    golden = load_file(GOLDEN)
    # The authors' "legt" has a window of length 2, and their "lagt" is tilted by half.
    for measure, scale, tilt in (("legs", 1.0, 0.0), ("legt", 0.5, 0.0), ("lmu", 1.0, 0.0), ("lagt", 1.0, 0.5)):
        a, b = hippo(measure, 6)
        assert (scale * a + tilt * torch.eye(6) - golden[f"output/{measure}/A"]).abs().max() < 1e-13
        assert (scale * b - golden[f"output/{measure}/B"]).abs().max() < 1e-13


def test_golden_steps() -> None:
    golden = load_file(GOLDEN)
    a, b = discretize(hippo("legt", 4), 0.05, "zoh")
    assert (a - torch.eye(4) - golden["weight/legt_cell/discrete.A"]).abs().max() < 1e-7
    assert (b - golden["weight/legt_cell/discrete.B"][:, 0]).abs().max() < 1e-7
    # Divisors 1 to 4: what one step makes of each coefficient, and of a signal.
    divisors = torch.arange(1, 5, dtype=torch.float64)
    nothing, one = torch.zeros(4, 1, dtype=torch.float64), torch.ones(4, 1, dtype=torch.float64)
    rows = torch.eye(4, dtype=torch.float64).expand(4, 4, 4)
    after = legs_step(hippo("legs", 4), nothing.expand(4, 4), rows, divisors)
    assert (after.mT - torch.eye(4) - golden["weight/legs_cell/discrete.A"]).abs().max() < 1e-6
    written = legs_step(hippo("legs", 4), one, torch.zeros(4, 1, 4, dtype=torch.float64), divisors)
    assert (written[:, 0] - golden["weight/legs_cell/discrete.B"][..., 0]).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("measure", "window", "error"), [("legs", 2000, 1e-4), ("legt", 500, 2e-4), ("lmu", 500, 2e-4), ("lagt", 100, 1e-3)]
)
def test_the_past_can_be_read_from_the_coefficients(measure, window, error) -> None:
    ages = torch.linspace(0.02, 0.98, 50, dtype=torch.float64)
    found = reconstruct(measure, follow(measure, 2000, window), ages)
    expected = signal(2000 - ages * window)
    assert (found - expected).square().mean() / expected.square().mean() < error


def test_legs_does_not_know_the_pace() -> None:
    """A signal read at half the pace leaves the same coefficients (proposition 3 of the paper)."""
    system, found = hippo("legs", 16), []
    for units in (1000, 2000):
        c = torch.zeros(1, 1, 16, dtype=torch.float64)
        for k in range(units):
            f = torch.tensor([[torch.sin(torch.tensor(12.0 * k / units)).item()]], dtype=torch.float64)
            c = legs_step(system, f, c, torch.full((1,), float(k), dtype=torch.float64))
        found.append(c)
    assert (found[0] - found[1]).abs().max() < 0.02 * found[0].abs().max()


def test_discretizations_agree_for_short_steps() -> None:
    system = hippo("legt", 6)
    exact = discretize(system, 1e-4, "zoh")
    for method, order in (("euler", 1), ("bilinear", 2)):
        for step in (1e-2, 5e-3):
            near, half = (discretize(system, s, method).transition for s in (step, step / 2))
            truth, other = (discretize(system, s, "zoh").transition for s in (step, step / 2))
            ratio = (near - truth).abs().max() / (half - other).abs().max()
            assert 2 ** (order + 0.7) < ratio < 2 ** (order + 1.3)  # the error of one step falls as step^(order + 1)
    several = discretize(system, torch.tensor([1e-4, 1e-3], dtype=torch.float64), "bilinear")
    assert several.transition.shape == (2, 6, 6)
    assert (several.transition[0] - exact.transition).abs().max() < 1e-7
    scalar = discretize(ContinuousSystem(-torch.ones(1, 1).double(), torch.ones(1).double()), 0.5, "zoh")
    assert abs(float(scalar.write[0]) - (1 - math.exp(-0.5))) < 1e-14


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="HiPPO has no measure 'fourier'; choose one of legs, legt, lagt, lmu"):
        hippo("fourier", 4)
    with pytest.raises(ValueError, match="order=0: a polynomial has at least one coefficient"):
        hippo("legs", 0)
    with pytest.raises(ValueError, match="no method 'tustin'"):
        discretize(hippo("legs", 2), 0.1, "tustin")
