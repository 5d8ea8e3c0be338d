"""Likelihoods against torch's own distributions, and against sums to one."""

from __future__ import annotations

import pytest
import torch

from mnesis.generative.gaussian import DiagonalGaussian
from mnesis.generative.likelihoods import LIKELIHOODS, DiscretisedLogistic


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_gaussians_agree_with_torch() -> None:
    p, q = (DiagonalGaussian.of(draw(5, 8, seed=seed)) for seed in (0, 1))
    ours, theirs = [p, q], [torch.distributions.Normal(g.mean, (g.log_variance / 2).exp()) for g in (p, q)]
    z = draw(5, 4, seed=2)
    assert (ours[0].log_prob(z) - theirs[0].log_prob(z).sum(-1)).abs().max() < 1e-12
    expected = torch.distributions.kl_divergence(*theirs).sum(-1)
    assert (p.divergence(q) - expected).abs().max() < 1e-12
    many = DiagonalGaussian(*(part.expand(20_000, 5, 4) for part in p)).sample(torch.Generator().manual_seed(0))
    assert (many.mean(0) - p.mean).abs().max() < 0.05
    assert (many.std(0) - (p.log_variance / 2).exp()).abs().max() < 0.05


def test_bernoulli_and_gaussian_agree_with_torch() -> None:
    x, output = (draw(3, 4, 5) > 0).double(), draw(3, 1, 4, 5, seed=1)
    expected = torch.distributions.Bernoulli(logits=output[:, 0]).log_prob(x).sum((1, 2))
    assert (LIKELIHOODS["bernoulli"].log_prob(x, output) - expected).abs().max() < 1e-12
    x, output = draw(3, 4, 5).sigmoid(), draw(3, 2, 4, 5, seed=1)
    expected = torch.distributions.Normal(output[:, 0], (output[:, 1] / 2).exp()).log_prob(x).sum((1, 2))
    assert (LIKELIHOODS["gaussian"].log_prob(x, output) - expected).abs().max() < 1e-10


@pytest.mark.parametrize("log_scale", [-9.0, -4.0, -1.0, 2.0])
@pytest.mark.parametrize("mean", [-0.3, 0.0, 0.5, 0.9998, 1.4])
def test_the_levels_of_a_discretised_logistic_sum_to_one(mean, log_scale) -> None:
    x = (torch.arange(256, dtype=torch.float64) / 255).reshape(256, 1, 1)
    output = torch.tensor([mean, log_scale], dtype=torch.float64).reshape(1, 2, 1, 1).expand(256, -1, -1, -1)
    output = output.clone().requires_grad_()
    log_prob = DiscretisedLogistic().log_prob(x, output)
    assert abs(float(log_prob.detach().exp().sum()) - 1) < 1e-9
    (gradient,) = torch.autograd.grad(log_prob[100:101].sum(), output)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_samples_have_the_mean_that_is_promised(name) -> None:
    likelihood = LIKELIHOODS[name]
    output = torch.stack([draw(4, 4) * 0.1 + 0.5, torch.full((4, 4), -4.0, dtype=torch.float64)])[: likelihood.channels]
    many = likelihood.sample(output.expand(4000, -1, -1, -1), torch.Generator().manual_seed(0))
    assert (many.mean(0) - likelihood.mean(output)).abs().max() < 0.05
    if name != "gaussian":
        likelihood.check(many)
