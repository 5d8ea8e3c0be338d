"""Where decays start: rates and time steps."""

from __future__ import annotations

import pytest
import torch

from mnesis.layers.time_step import initial_log_rate
from mnesis.memories.linear.mamba2 import Mamba2
from mnesis.memories.plastic.delta_product import DeltaProduct
from mnesis.memories.plastic.gated_delta_rule import GatedDeltaRule
from mnesis.memories.plastic.mom import MoM

STARTS = {
    "gated-delta-rule": (lambda: GatedDeltaRule(8, heads=1000, width=1), 0.0),
    "delta-product": (lambda: DeltaProduct(8, heads=1000, width=1, gated=True), 0.0),
    "mom": (lambda: MoM(8, heads=1000, width=1), 0.0),
    "mamba2": (lambda: Mamba2(500, width=1, states=1), 1.0),
}


@pytest.mark.parametrize("name", STARTS)
def test_rates_of_heads_are_spread_evenly(name) -> None:
    torch.manual_seed(0)
    make, slowest = STARTS[name]
    rate = make().log_rate.detach().exp()
    assert len(rate) == 1000
    assert slowest <= rate.min() < slowest + 0.1 < 15.9 < rate.max() <= 16
    # Sixteenths of the range hold 62 or 63 rates, give or take 5 standard deviations of 7.7.
    assert float((rate.histc(16, slowest, 16) - 62.5).abs().max()) < 39


def test_a_draw_of_0_becomes_a_rate_that_can_be_trained(monkeypatch) -> None:
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, low, high: self.fill_(low))
    assert torch.allclose(initial_log_rate(3, 0.0).exp(), torch.tensor(1e-6))
    assert torch.equal(initial_log_rate(3, 1.0), torch.zeros(3))
