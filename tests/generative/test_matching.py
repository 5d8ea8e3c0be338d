"""Generative matching against its equations written out, sums over all pictures, integrals, and what it refuses."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor

from mnesis.generative.bank import Bank
from mnesis.generative.evaluation import know
from mnesis.generative.gaussian import DiagonalGaussian
from mnesis.generative.generation import Generation
from mnesis.generative.matching import GenerativeMatching, Match, Matching, Query, blend
from mnesis.generative.networks import ConvolutionNetworks, MLPNetworks, Networks
from mnesis.learn import Recipe, Stage, fit
from mnesis.tasks.images.glyphs import draw_glyphs
from mnesis.tasks.images.lessons import FewShotLessons

IMAGE = (6, 7)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int, seed: int = 0, image: tuple[int, int] = IMAGE) -> Tensor:
    return (torch.rand(n, *image, generator=seeded(seed)) < 0.3).double()


def networks(image: tuple[int, int] = IMAGE, *, family: str = "mlp", **options) -> Networks:
    torch.manual_seed(0)
    options = {"latent": 3, "match": 5, "channels": 1, "template": image, "addressed": False, **options}
    if family == "mlp":
        return MLPNetworks(image, **{"hidden": (16, 8), **options}).double()
    return ConvolutionNetworks(image, widths=(4, 4, 6), **options).double()


def matching(net: Networks | None = None, noise: float = 0.3, drawn: float = 1.0, **options) -> GenerativeMatching:
    torch.manual_seed(1)
    model = GenerativeMatching(net or networks(), **{"state": 7, "steps": 3, "prior_steps": 2, **options}).double()
    with torch.no_grad():  # nothing at rest: every term must count
        for parameter in model.parameters():
            parameter.mul_(drawn).add_(noise * torch.randn(parameter.shape, generator=seeded(1)))
    return model


def written_out(part: Matching, query: Query, features: Tensor, asked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Equation 6 for one query, slot by slot: the last weights, r and h."""
    keys = [*(part.key(feature) for feature in features), part.pseudo_key]
    content = [*features, part.pseudo_feature]
    h, weights, r = part.initial_state, torch.tensor(0.0), torch.tensor(0.0)
    for _ in range(part.steps):
        f = query.find(torch.cat([asked, h]))
        strength = query.log_strength(h).exp()
        scores = [(strength * torch.dot(f, key) / (f.norm() * key.norm())).exp() for key in keys]
        weights = torch.stack([score / sum(scores) for score in scores]).flatten()
        r = torch.stack([weight * value for weight, value in zip(weights, content, strict=True)]).sum(0)
        h = part.controller(r[None], h[None])[0]
    return weights, r, h


def test_the_passes_are_those_of_the_equations() -> None:
    model, bank, z = matching(), pictures(4, 1), torch.randn(2, 3, generator=seeded()).double()
    features = model.networks.key(bank)
    for part, query, asked in (
        (model.matching, model.likelihood_query, z),
        (model.matching, model.posterior_query, model.networks.key(pictures(2))),
        (model.prior_matching, model.prior_query, z[:, :0]),
    ):
        found = part(features, query, asked)
        for row in range(2):
            expected = Match(*written_out(part, query, features, asked[row]))
            for theirs, ours in zip(expected, found, strict=True):
                assert (theirs - ours[row]).abs().max() < 1e-12
    assert (model.weights(z, bank) - model.matching(features, model.likelihood_query, z).weights).abs().max() == 0


def test_the_weights_are_those_of_the_model() -> None:
    """One draw a picture: log p(z | X) + log p(x | z, X) - log q(z | x, X), each worked out by torch."""
    model, x, bank = matching(), pictures(2), pictures(4, 1)
    found = model._log_weights(x, Bank(bank), 1, seeded(5))[:, 0]
    prior, posterior = model._prior(Bank(bank)), model._posterior(x, Bank(bank))
    z = DiagonalGaussian(*(part[:, None] for part in posterior)).sample(seeded(5))[:, 0]
    match = model.matching(model.networks.key(bank), model.likelihood_query, z)
    template = model.networks.template(torch.cat([bank, model.pseudo_template[0].view(1, *IMAGE)]))
    blended = template.each(lambda leaf: match.weights @ leaf)  # the MLP reads pixels: a blend of them
    logits = model.networks.decode(z + model.latent_head(match.summary), blended)[:, 0]
    log_prob = [
        torch.distributions.Normal(part.mean, (part.log_variance / 2).exp()).log_prob(z).sum(1)
        for part in (prior, posterior)
    ]
    pixels = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum((1, 2))
    assert (found - (log_prob[0] - log_prob[1] + pixels)).abs().max() < 1e-10


def test_all_pictures_together_have_probability_one() -> None:
    # Small weights, or an untrained posterior is so far from the true one that single draws decide.
    model, bank = matching(networks((2, 2), latent=2), drawn=0.4), pictures(3, 1, (2, 2))
    bits = torch.arange(16)[:, None] >> torch.arange(4) & 1
    x = bits.double().view(16, 2, 2)
    log_prob = model.log_prob(x, bank, samples=20_000, allow_targets=True, generator=seeded())
    assert abs(float(log_prob.exp().sum()) - 1) < 0.01
    drawn = model.sample(bank, 20_000, generator=seeded()).x.flatten(1) @ torch.tensor([1.0, 2, 4, 8]).double()
    share = torch.bincount(drawn.long(), minlength=16) / 20_000
    assert (share - log_prob.exp()).abs().max() < 0.015  # four standard errors


def test_the_bound_reaches_the_likelihood() -> None:
    """With many samples the bound is the integral, worked out on a grid of a one-dimensional latent."""
    model, x, bank = matching(networks(latent=1)), pictures(2), pictures(3, 1)
    prior = model._prior(Bank(bank))
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None] * (prior.log_variance[0] / 2).exp()
    grid = prior.mean + grid
    output = model._decode(grid, Bank(bank))
    step = (grid[1] - grid[0]).log()
    exact = torch.stack(
        [(prior.log_prob(grid) + model.likelihood.log_prob(row, output)).logsumexp(0) + step for row in x]
    ).flatten()
    found = model.log_prob(x, bank, samples=100_000, generator=seeded())
    assert (found - exact).abs().max() < 0.02


def test_more_samples_are_a_tighter_bound() -> None:
    model, x, bank = matching(noise=0.1, drawn=0.4), pictures(3), pictures(4, 1)  # small weights, as above
    with torch.no_grad():
        one = torch.stack([model.objective(x, bank, samples=1, generator=seeded(i)).bound for i in range(200)]).mean(0)
    found = [model.log_prob(x, bank, samples=10_000, generator=seeded(seed)) for seed in (0, 1)]
    assert (found[0] > one).all()
    assert (found[0] - found[1]).abs().max() < 0.1


@pytest.mark.parametrize("family", ["mlp", "convolution"])
def test_the_order_of_the_bank_does_not_count(family) -> None:
    model, x, bank = matching(networks(family=family)), pictures(3), pictures(5, 1)
    order = torch.tensor([3, 0, 4, 2, 1])
    one, other = (model.objective(x, slots, generator=seeded()) for slots in (bank, bank[order]))
    for theirs, ours in zip(one, other, strict=True):
        assert (theirs - ours).abs().max() < 1e-10
    z = torch.zeros(1, 3).double()
    assert (model.weights(z, bank)[:, [*order, 5]] - model.weights(z, bank[order])).abs().max() < 1e-12


@pytest.mark.parametrize("family", ["mlp", "convolution"])
def test_the_decoder_reads_blended_features(family) -> None:
    """Weights that are all on one slot give that slot's features, others their mean."""
    model, bank = matching(networks(family=family)), pictures(4, 1)
    template, slots = model.networks.template(bank), model._slots(Bank(bank))
    one, half = torch.eye(5).double(), torch.tensor([[0.5, 0, 0.5, 0, 0]]).double()
    leaves = zip(*((made.vector, *made.levels) for made in (template, slots)), strict=True)
    for (own, leaf), pseudo in zip(leaves, model.pseudo_template, strict=True):
        assert (blend(one, leaf) - torch.cat([own, pseudo[None]])).abs().max() < 1e-12
        assert (blend(half, leaf)[0] - (own[0] + own[2]) / 2).abs().max() < 1e-12
        assert pseudo.no_weight_decay
    match = model.matching(model._keys(Bank(bank)), model.likelihood_query, z := torch.randn(6, 3).double())
    blended = slots.each(lambda leaf: torch.einsum("rn,n...->r...", match.weights, leaf))
    whole = model.networks.decode(z + model.latent_head(match.summary), blended)
    found = model._decode(z, Bank(bank))
    assert (found - whole).abs().max() < 1e-12
    weight = torch.randn_like(whole)
    gradients = [
        torch.autograd.grad((made * weight).sum(), list(model.pseudo_template), retain_graph=True)
        for made in (whole, found)
    ]
    for theirs, ours in zip(*gradients, strict=True):
        assert (theirs - ours).abs().max() < 1e-12 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("slots", [1, 2, 40])
def test_banks_have_any_size(slots) -> None:
    model, bank = matching(), pictures(slots, 1)
    assert model.objective(pictures(3), bank, samples=1).bound.isfinite().all()
    assert model.sample(bank, 6).x.shape == (6, *IMAGE)
    assert model.weights(torch.zeros(2, 3).double(), bank).sum(1).sub(1).abs().max() < 1e-12


@pytest.mark.parametrize("family", ["mlp", "convolution"])
def test_every_parameter_learns(family) -> None:
    model = matching(networks(family=family))
    found = model.objective(pictures(5), pictures(4, 1), samples=3, generator=seeded())
    (-found.objective.mean()).backward()
    silent = [name for name, part in model.named_parameters() if part.grad is None or not part.grad.any()]
    assert silent == []
    assert (found.latent_divergence > 0).all()
    assert (found.address_divergence == 0).all()


def test_prior_and_posterior_see_the_bank() -> None:
    model, x = matching(), pictures(2)
    for made in (lambda bank: model._prior(Bank(bank)), lambda bank: model._posterior(x, Bank(bank))):
        one, other = made(pictures(4, 1)), made(pictures(4, 2))
        assert (one.mean - other.mean).abs().max() > 1e-3
    with torch.no_grad():
        model.posterior_head.weight.zero_()
    found, alone = model._posterior(x, Bank(pictures(4, 1))), model.networks.posterior(x)
    assert (found.mean - alone.mean).abs().max() < 1e-12


def test_samples_come_without_addresses() -> None:
    drawn = matching().sample(pictures(4, 1), 2000, generator=seeded())
    assert drawn.x.shape == drawn.mean.shape == (2000, *IMAGE)
    assert (drawn.address == -1).all()
    assert (drawn.x.mean(0) - drawn.mean.mean(0)).abs().max() < 0.06


def test_evaluation_embeds_the_bank_once(monkeypatch) -> None:
    monkeypatch.setattr("mnesis.generative.model.ROWS", 10)
    model, rows = matching(), []
    model.networks.key.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    model.log_prob(pictures(3), pictures(4, 1), samples=40)
    assert rows.count(4) == 1
    known = know(model, [(pictures(3), pictures(4, 1))], samples=5)
    assert known.negative_log_likelihood.isfinite().all()


def test_it_trains(tmp_path) -> None:
    torch.manual_seed(0)
    net = MLPNetworks((26, 26), hidden=(32, 16), latent=4, match=8, channels=1, template=(26, 26), addressed=False)
    pupil = Generation(GenerativeMatching(net, state=16), samples=1)
    task = FewShotLessons(draw_glyphs(12, 8), classes=4, targets=3)
    stage = Stage(length=2, batch=2, steps=60)
    recipe = Recipe((stage,), learning_rate=3e-3, warm_up=2, log_every=1)
    fit(pupil, task, recipe, tmp_path / "run", progress=False)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert sum(losses[-10:]) / 10 < 0.85 * losses[0]
    assert all(map(math.isfinite, losses))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, b: m.objective(x), "reads a bank; give one"),
        (lambda m, x, b: m.objective(x / 2, b), "a Bernoulli likelihood is about pixels 0 and 1"),
        (lambda m, x, b: m.objective(x, b[:0]), "has no slots to read"),
        (lambda m, x, b: m.log_prob(x, b[:, :3]), r"slots of shape \(3, 7\) do not fit"),
        (lambda m, x, b: m.sample(None, 3), "GenerativeMatching reads a bank; give one"),
        (lambda m, x, b: GenerativeMatching(networks(addressed=True)), "addressed=False"),
        (lambda m, x, b: GenerativeMatching(networks(template=(11,))), "needs networks with pictures for slots"),
        (lambda m, x, b: GenerativeMatching(networks(template=None)), "needs networks with pictures for slots"),
        (
            lambda m, x, b: GenerativeMatching(networks(), prior_steps=0),
            "prior_steps=0 is not a whole number",
        ),
        (lambda m, x, b: GenerativeMatching(networks(), likelihood="normal"), "no likelihood is called 'normal'"),
    ],
)
def test_what_it_refuses(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call(matching(), pictures(3), pictures(4, 1))
