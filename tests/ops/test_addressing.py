"""Addressing: every estimator against the gradient by enumeration, reads, similarities, divergence."""

from __future__ import annotations

import math

import pytest
import torch

from mnesis.claims.vma.enumeration import (
    NONE,
    SLOTS,
    Parts,
    drawn_gradients,
    expected_bound,
    expected_gradient,
    gradients,
    small_model,
)
from mnesis.ops.addressing import (
    ESTIMATORS,
    SIMILARITIES,
    SampledRead,
    address_divergence,
    draw_addresses,
    leave_one_out,
    read_bank,
    reweighted_wake_sleep,
    similarity,
    vimco,
)

from .forms import gap


def learnable() -> Parts:
    first, second, third = (part.requires_grad_() for part in small_model())
    return first, second, third


@pytest.mark.parametrize(
    ("estimator", "samples"), [("vimco", 2), ("vimco", 4), ("vimco-geometric", 4), ("rloo", 2), ("rloo", 4)]
)
def test_the_mean_of_many_draws_is_the_enumerated_gradient(estimator, samples) -> None:
    parts, rows = learnable(), 200_000
    bound, found = drawn_gradients(estimator, parts, rows, samples)
    value = expected_bound(parts, 1 if estimator == "rloo" else samples)
    exact = gradients(value, parts)
    z = (found.mean(0) - exact) / (found.std(0) / rows**0.5)
    assert z.abs().max() < 4.5
    assert abs(float((bound.mean() - value.detach()) / (bound.std() / rows**0.5))) < 4.5
    assert found.std(0).max() / rows**0.5 < 0.01  # the statement has power


@pytest.mark.parametrize("baseline", ["arithmetic", "geometric"])
@pytest.mark.parametrize("samples", [2, 3, 4])
def test_vimco_over_all_tuples_is_the_enumerated_gradient(baseline, samples) -> None:
    parts = learnable()
    exact = gradients(expected_bound(parts, samples), parts)
    assert gap(expected_gradient(parts, samples, baseline), exact) < 1e-8


def test_baselines_lower_the_variance() -> None:
    """Trace of the gradients' covariance at K = 4, against the same bound without a baseline."""
    found = {
        name: float(drawn_gradients(name, small_model(), 50_000, 4)[1].var(0).sum())
        for name in ("vimco", "vimco-geometric", NONE)
    }
    assert max(found["vimco"], found["vimco-geometric"]) < found[NONE] / 4


def test_enumeration_gives_the_likelihood_and_pulls_q_to_the_posterior() -> None:
    parts = learnable()
    posterior, prior, likelihood = parts[0].log_softmax(0), parts[1].log_softmax(0), parts[2]
    read = read_bank(posterior[None], estimator="exact")
    bound = read.bound(read.log_ratio(prior) + likelihood[None])
    log_likelihood = (prior + likelihood).logsumexp(0)
    assert gap(bound.value, log_likelihood[None]) < 1e-12
    q, p, x = torch.autograd.grad(bound.objective.sum(), parts, retain_graph=True)
    assert gap(p, torch.autograd.grad(log_likelihood, parts[1], retain_graph=True)[0]) < 1e-12
    assert gap(x, torch.autograd.grad(log_likelihood, parts[2], retain_graph=True)[0]) < 1e-12
    true = (prior + likelihood).log_softmax(0).detach()
    divergence = (posterior.exp() * (posterior - true)).sum()
    assert gap(q, -torch.autograd.grad(divergence, parts[0])[0]) < 1e-12


def test_wake_sleep_pulls_q_towards_the_weights_alone() -> None:
    weight = torch.tensor([[0.0, 1.0, 3.0]], dtype=torch.float64)
    logits = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    posterior = logits.log_softmax(1)
    bound = reweighted_wake_sleep(weight - posterior, posterior)
    (found,) = torch.autograd.grad(bound.objective.sum(), logits)
    assert gap(found, weight.softmax(1) - 1 / 3) < 1e-12
    assert gap(bound.value, weight.logsumexp(1)) < 1e-12  # every address once: the whole sum


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_finds_the_posterior(estimator) -> None:
    """Ascent on q alone; relaxed reads are biased and get as far as their temperature lets them."""
    _, prior, likelihood = small_model()
    prior = prior.log_softmax(0)
    content = torch.eye(SLOTS, dtype=torch.float64)
    logits = torch.zeros(SLOTS, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=0.05)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        posterior = logits.log_softmax(0)[None].expand(64, -1)
        read = read_bank(posterior, estimator=estimator, samples=4, temperature=0.5, generator=generator)
        bound = read.bound(read.log_ratio(prior) + read.take(content) @ likelihood)
        optimiser.zero_grad()
        (-bound.objective.mean()).backward()
        optimiser.step()
    true = (prior + likelihood).log_softmax(0)
    found = logits.detach().log_softmax(0)
    divergence = float((true.exp() * (true - found)).sum())
    assert divergence < (
        0.35 if estimator in ("gumbel-softmax", "straight-through", "vimco", "vimco-geometric") else 0.02
    )


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("shape", [(), (2, 4)])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_content_of_any_shape_is_taken(estimator, own, shape) -> None:
    generator = torch.Generator().manual_seed(0)
    bank = torch.randn(*((3, 7, *shape) if own else (7, *shape)), generator=generator)
    posterior = torch.randn(3, 7, generator=generator).log_softmax(1)
    read = read_bank(posterior, estimator=estimator, samples=2, generator=generator)
    taken = read.take(bank, own=own)
    count = 7 if estimator == "exact" else 2
    assert taken.shape == (3, count, *shape)
    assert read.log_ratio(torch.zeros(7).log_softmax(0)).shape == (3, count)
    if isinstance(read, SampledRead):
        for row in range(3):
            for k in range(2):
                slot = int(read.index[row, k])
                assert torch.equal(taken[row, k], bank[row, slot] if own else bank[slot])


def test_straight_through_reads_one_slot() -> None:
    posterior = torch.zeros(4, 6).log_softmax(1).requires_grad_()
    read = read_bank(posterior, estimator="straight-through", samples=3)
    taken = read.take(torch.eye(6))
    assert gap(taken, taken.round()) < 1e-6
    assert gap(taken.sum(-1), torch.ones(4, 3)) < 1e-6
    (gradient,) = torch.autograd.grad((taken * torch.arange(6)).sum(), posterior)
    assert gradient.abs().sum() > 0


def test_similarities() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (3, 6))
    inner = query @ key.T
    expected = {
        "inner": inner,
        "memory-normalised": inner / key.norm(dim=1),
        "cosine": inner / key.norm(dim=1) / query.norm(dim=1, keepdim=True),
    }
    assert set(expected) == set(SIMILARITIES)
    for kind, scores in expected.items():
        assert gap(similarity(query, key, kind), scores) < 1e-12
        assert gap(similarity(query, key[None].expand(3, -1, -1), kind), scores) < 1e-12
    assert similarity(query, 0 * key).isfinite().all()


def test_divergence_is_exact_and_finite_where_q_is_nought() -> None:
    posterior = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64).log()
    prior = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64).log()
    assert gap(address_divergence(posterior, prior), torch.tensor([math.log(2)], dtype=torch.float64)) < 1e-12
    logits = torch.tensor([[0.0, 0.0, -2000.0]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(address_divergence(logits.log_softmax(1), prior).sum(), logits)
    assert gradient.isfinite().all()


def test_draws_follow_the_probabilities() -> None:
    posterior = torch.tensor([[0.7, 0.2, 0.1, 0.0]]).log()
    index = draw_addresses(posterior, 100_000, torch.Generator().manual_seed(0))
    share = torch.bincount(index[0], minlength=4) / 100_000
    assert gap(share, posterior[0].exp()) < 0.01
    assert share[3] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "reinforce"}, "no estimator is called 'reinforce'; choose one of vimco"),
        ({"samples": 1}, "samples=1: vimco needs 2 or more"),
        ({"estimator": "gumbel-softmax", "temperature": 0.0}, "temperature=0.0 blends nothing"),
    ],
)
def test_bad_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_bank(torch.zeros(1, 3).log_softmax(1), **options)
    with pytest.raises(ValueError, match="no similarity is called 'dot'"):
        similarity(torch.zeros(1, 2), torch.zeros(3, 2), "dot")


def test_a_dominant_sample_cancels_nothing() -> None:
    weight = torch.tensor([[-1e4, 0.0, -1e4, -1e4]], dtype=torch.float64)
    probability = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    for bound in (vimco(weight, probability), leave_one_out(weight, probability)):
        (signal,) = torch.autograd.grad(bound.objective.sum(), probability)
        assert signal.isfinite().all()
    # log(1/K sum) - log(1/(K-1) sum of the others) = log(3/4) for the small ones
    (signal,) = torch.autograd.grad(vimco(weight, probability).objective.sum(), probability)
    assert gap(signal[0, [0, 2, 3]], torch.full((3,), math.log(3 / 4), dtype=torch.float64)) < 1e-9
