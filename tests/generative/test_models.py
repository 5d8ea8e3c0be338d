"""The models against sums that can be written out, their networks' shapes, and what they refuse."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor

from mnesis.generative import model as model_module
from mnesis.generative import variational_memory_addressing as vma_module
from mnesis.generative.autoencoder import VariationalAutoencoder
from mnesis.generative.bank import Bank, LearnedBank
from mnesis.generative.gaussian import DiagonalGaussian
from mnesis.generative.model import find_likelihood
from mnesis.generative.networks import ConvolutionNetworks, MLPNetworks, Networks
from mnesis.generative.soft_attention import SoftAttention
from mnesis.generative.variational_memory_addressing import VariationalMemoryAddressing
from mnesis.ops.addressing import SampledRead, vimco

IMAGE = (6, 7)


def pictures(n: int, seed: int = 0) -> Tensor:
    return (torch.rand(n, *IMAGE, generator=torch.Generator().manual_seed(seed)) < 0.3).double()


def networks(
    *, template: tuple[int, ...] | None = IMAGE, addressed: bool = True, family: str = "mlp", **options
) -> Networks:
    torch.manual_seed(0)
    options = {"latent": 3, "match": 5, "channels": 1, "template": template, "addressed": addressed, **options}
    if family == "mlp":
        return MLPNetworks(IMAGE, **{"hidden": (16, 8), **options}).double()
    return ConvolutionNetworks(IMAGE, **{"widths": (4, 4, 6), **options}).double()


MODELS = {"addressed": VariationalMemoryAddressing, "soft": SoftAttention, "plain": VariationalAutoencoder}


def vma(**options) -> VariationalMemoryAddressing:
    model = VariationalMemoryAddressing(networks(), **options).double()
    with torch.no_grad():  # nothing flat: every term must count
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model


@pytest.mark.parametrize("image", [(26, 26), (28, 28), (15, 13)])
@pytest.mark.parametrize("widths", [(4, 6), (4, 4, 4, 6, 6), (4, 4, 4, 6, 6, 6)])
@pytest.mark.parametrize("template", [False, True])
def test_convolutions_come_back_to_the_size_of_the_picture(image, widths, template) -> None:
    net = ConvolutionNetworks(
        image, widths=widths, latent=3, match=5, channels=2, template=image if template else None, addressed=template
    )
    x = torch.rand(2, 3, *image)
    slot = x if template else None
    posterior = net.posterior(x, slot)
    assert posterior.mean.shape == (2, 3, 3)
    made = net.template(x.flatten(0, 1)).each(lambda leaf: leaf.unflatten(0, (2, 3))) if template else None
    assert net.decode(posterior.mean, made).shape == (2, 3, 2, *image)
    assert [name for name, _ in net.named_children() if name == "query"] == (["query"] if template else [])


@pytest.mark.parametrize("family", ["mlp", "convolution"])
def test_pictures_are_told_apart_before_any_training(family) -> None:
    """Through seven layers what differs between pictures keeps its size: torch's own start leaves 0.0002 of it."""
    torch.manual_seed(0)
    options = {"latent": 3, "match": 32, "channels": 1, "template": (26, 26), "addressed": True}
    made = MLPNetworks((26, 26), **options) if family == "mlp" else ConvolutionNetworks((26, 26), **options)
    query = made.query((torch.rand(50, 26, 26) < 0.15).float())
    assert 0.05 < query.std(0).mean() < 2


@pytest.mark.parametrize("family", ["mlp", "convolution"])
@pytest.mark.parametrize("kind", MODELS)
def test_every_parameter_learns(family, kind) -> None:
    torch.manual_seed(0)
    options = {"latent": 3, "match": 5, "channels": 1, "template": None if kind == "plain" else IMAGE}
    shape = {"hidden": (16, 8)} if family == "mlp" else {"widths": (4, 4, 6)}
    made = (MLPNetworks if family == "mlp" else ConvolutionNetworks)(
        IMAGE, addressed=kind == "addressed", **shape, **options
    )
    model = {"addressed": VariationalMemoryAddressing, "soft": SoftAttention, "plain": VariationalAutoencoder}[kind](
        made
    )
    bank = None if kind == "plain" else pictures(4, 1).float()
    found = model.objective(pictures(5).float(), bank, samples=3, generator=torch.Generator().manual_seed(0))
    (-found.objective.mean()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert found.bound.shape == found.latent_divergence.shape == (5,)
    assert (found.latent_divergence > 0).all()


@torch.no_grad()
def test_one_embedding_for_keys_and_queries() -> None:
    """As the paper tried: a picture in the bank is then its own best key."""
    torch.manual_seed(0)
    net = networks(tied=True)
    assert net.key is net.query
    assert sum(p.numel() for p in net.parameters()) < sum(p.numel() for p in networks().parameters())
    model, bank = VariationalMemoryAddressing(net, kind="cosine").double(), pictures(6)
    assert model.address(bank, bank).argmax(1).tolist() == list(range(6))
    with pytest.raises(ValueError, match=r"tied=True embeds pictures and slots alike, and slots are \(11,\)"):
        networks(template=(11,), tied=True)
    with pytest.raises(ValueError, match="tied=True embeds"):
        networks(addressed=False, tied=True)


@pytest.mark.parametrize("estimator", ["reweighted-wake-sleep", "exact"])
@torch.no_grad()
def test_three_terms_make_the_bound_of_one_sample(estimator) -> None:
    """Reconstruction less both divergences, addresses weighed by q whether they are drawn or all taken."""
    model, bank, rows = vma(), pictures(4, 1), 4000
    x = pictures(1).expand(rows, -1, -1)
    generator = torch.Generator().manual_seed(0)
    model.estimator = "reweighted-wake-sleep"
    found = model.objective(x, bank, samples=1, generator=generator)
    terms = found.reconstruction - found.address_divergence - found.latent_divergence
    error = float((found.bound - terms).std()) / math.sqrt(rows)
    assert abs(float((found.bound - terms).mean())) < 4 * error
    if estimator == "exact":
        model.estimator = "exact"
        whole = model.objective(x, bank, generator=generator)
        for name in ("reconstruction", "latent_divergence"):
            drawn, summed = getattr(found, name), getattr(whole, name)
            error = math.sqrt((float(drawn.var()) + float(summed.var())) / rows)
            assert abs(float(drawn.mean() - summed.mean())) < 4 * error + 1e-9, name
            assert summed.std() < drawn.std(), "less is left to chance"
    plain = VariationalAutoencoder(networks(template=None, addressed=False)).double()
    found = plain.objective(x, samples=1, generator=generator)
    terms = found.reconstruction - found.latent_divergence
    assert abs(float((found.bound - terms).mean())) < 4 * float((found.bound - terms).std()) / math.sqrt(rows)


def written_out(model: VariationalMemoryAddressing, x: Tensor, bank: Tensor, z: Tensor) -> Tensor:
    """log p(a) p(z | m_a) p(x | z, m_a) for one picture, each slot, and one z a slot."""
    net, values = model.networks, []
    keys = net.key(bank)
    assert model.prior_query is not None
    log_prior = (keys @ model.prior_query / keys.norm(dim=1)).log_softmax(0)
    for index, slot in enumerate(bank):
        template = net.template(slot[None])
        prior = torch.distributions.Normal(
            *(lambda g: (g.mean[0], (g.log_variance[0] / 2).exp()))(DiagonalGaussian.of(template.prior))
        )
        pixels = torch.distributions.Bernoulli(logits=net.decode(z[index][None], template)[0, 0])
        values.append(log_prior[index] + prior.log_prob(z[index]).sum() + pixels.log_prob(x).sum())
    return torch.stack(values)


def test_the_weights_are_those_of_the_equations() -> None:
    model, x, bank = vma(), pictures(1)[0], pictures(4, 1)
    read = vma_module.read_bank(model.address(x[None], bank), estimator="exact")
    log_prior = model.log_prior(bank)
    found = model._read(x[None], Bank(bank), read, log_prior, torch.Generator().manual_seed(5)).log_weight[0]
    posteriors = [model.networks.posterior(x[None], slot[None]) for slot in bank]
    stacked = DiagonalGaussian(*(torch.stack(parts, 1) for parts in zip(*posteriors, strict=True)))
    z = stacked.sample(torch.Generator().manual_seed(5))[0]
    query, keys = model.networks.query(x[None])[0], model.networks.key(bank)
    log_q = (keys @ query / keys.norm(dim=1)).log_softmax(0)
    latent = torch.stack(
        [
            torch.distributions.Normal(g.mean[0], (g.log_variance[0] / 2).exp()).log_prob(z[index]).sum()
            for index, g in enumerate(posteriors)
        ]
    )
    expected = written_out(model, x, bank, z) - log_q - latent
    assert (found - expected).abs().max() < 1e-10
    assert (model.address(x[None], bank)[0] - log_q).abs().max() < 1e-12


def test_the_bound_reaches_the_likelihood() -> None:
    """With many samples the bound is the integral, worked out on a grid of a one-dimensional latent."""
    torch.manual_seed(0)
    model = VariationalMemoryAddressing(networks(latent=1)).double()
    x, bank = pictures(2), pictures(3, 1)
    grid = torch.linspace(-12, 12, 2001, dtype=torch.float64)
    exact = []
    for picture in x:
        joint = []
        for index in range(3):
            template = model.networks.template(bank[index : index + 1]).each(lambda leaf: leaf.expand(2001, -1))
            prior = DiagonalGaussian.of(template.prior)
            log_pixels = model.likelihood.log_prob(picture[None], model.networks.decode(grid[:, None], template))
            joint.append((prior.log_prob(grid[:, None]) + log_pixels).logsumexp(0) + math.log(24 / 2000))
        exact.append((torch.stack(joint) + model.log_prior(bank)).logsumexp(0))
    found = model.log_prob(x, bank, samples=200_000, generator=torch.Generator().manual_seed(0))
    assert (found - torch.stack(exact)).abs().max() < 0.015  # four standard errors


@pytest.mark.parametrize("kind", MODELS)
def test_log_likelihoods_do_not_depend_on_how_they_are_cut(kind, monkeypatch) -> None:
    bank = None if kind == "plain" else pictures(4, 1)
    made = networks(template=None if kind == "plain" else IMAGE, addressed=kind == "addressed")
    model = {"addressed": VariationalMemoryAddressing, "soft": SoftAttention, "plain": VariationalAutoencoder}[kind](
        made
    )
    model = model.double()
    with (
        torch.no_grad()
    ):  # small weights, or an untrained posterior is so far from the true one that single draws decide
        for parameter in model.parameters():
            parameter.mul_(0.4)
    x = pictures(7)
    whole = model.log_prob(x, bank, samples=3000, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(model_module, "ROWS", 500)
    parts = model.log_prob(x, bank, samples=3000, generator=torch.Generator().manual_seed(0))
    assert (whole - parts).abs().max() < 0.2  # other draws of the same bound
    assert not whole.requires_grad


def test_keys_of_large_banks_are_embedded_in_parts(monkeypatch) -> None:
    model, x, bank = vma(), pictures(3), pictures(9, 1)
    whole = model.objective(x, bank, generator=torch.Generator().manual_seed(0))
    gradient = torch.autograd.grad(whole.objective.mean(), model.networks.key.layers[0].weight)[0]
    monkeypatch.setattr(model_module, "KEY_ROWS", 2)
    parts = model.objective(x, bank, generator=torch.Generator().manual_seed(0))
    assert (parts.objective - whole.objective).abs().max() < 1e-12
    again = torch.autograd.grad(parts.objective.mean(), model.networks.key.layers[0].weight)[0]
    assert (again - gradient).abs().max() < 1e-12
    with torch.no_grad():
        assert (model.address(x, bank).exp().sum(1) - 1).abs().max() < 1e-12


def test_templates_are_the_same_worked_out_by_slot_or_by_read() -> None:
    """With fewer slots than reads every slot is encoded once, with more every read: one slot more crosses over."""
    model, x, bank = vma(), pictures(1), pictures(5, 1)
    found = []
    for slots in (4, 5):
        given = Bank(bank[:slots])
        posterior, prior = model.address(x, given), model.log_prior(given)
        read = SampledRead(posterior, torch.arange(4)[None], vimco)
        weight = model._read(x, given, read, prior, torch.Generator().manual_seed(0)).log_weight
        found.append(weight - read.log_ratio(prior))
    assert (found[0] - found[1]).abs().max() < 1e-12


@pytest.mark.parametrize("kind", ["addressed", "soft"])
def test_evaluation_embeds_the_bank_once(kind, monkeypatch) -> None:
    monkeypatch.setattr(model_module, "ROWS", 10)
    model = MODELS[kind](networks(addressed=kind == "addressed")).double()
    calls = []
    model.networks.key.register_forward_hook(lambda *_: calls.append(1))
    model.log_prob(pictures(3), pictures(4, 1), samples=40)
    assert len(calls) == 1
    bank = model.keyed(pictures(4, 1))
    model.objective(pictures(3), bank)
    assert len(calls) == 2


@pytest.mark.parametrize("template", [IMAGE, None])
def test_a_decoder_is_the_layers_that_it_says(template) -> None:
    """Whatever it works out by slot: maps and levels side by side, through torch's own layers."""
    net = networks(family="convolution", template=template, addressed=template is not None, widths=(4, 4, 4, 6, 6))
    z, index = torch.randn(5, 3, dtype=torch.float64), torch.tensor([2, 0, 2, 1, 1])
    slots = None if template is None else net.template(pictures(3))
    each = None if slots is None else slots.each(lambda leaf: leaf[index])
    maps = net.rise(z if each is None else torch.cat([z, each.vector], 1)).unflatten(1, (6, 2, 2))
    levels = [] if each is None else list(each.levels)

    def beside(maps: Tensor) -> Tensor:
        return torch.cat([maps, levels.pop()], 1) if levels else maps

    for stage in net.stages:
        maps = stage.convolution(stage.transposed(beside(maps)).relu()).relu()
    expected = net.last(beside(maps))
    found = [net.decode(z, each)] + ([] if slots is None else [net.decode(z, slots, lambda leaf: leaf[index])])
    learned = [*net.rise.parameters(), *net.stages.parameters(), *net.last.parameters()]
    learned += [] if template is None else list(net.pyramid.parameters())
    weight = torch.randn_like(expected)
    gradients = [torch.autograd.grad((made * weight).sum(), learned, retain_graph=True) for made in (expected, *found)]
    for made, gradient in zip(found, gradients[1:], strict=True):
        assert (made - expected).abs().max() < 1e-12
        for theirs, ours in zip(gradients[0], gradient, strict=True):
            assert (theirs - ours).abs().max() < 1e-12 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("slots", [4, 200])
@pytest.mark.parametrize("family", ["mlp", "convolution"])
def test_what_several_reads_share_is_worked_out_once(family, slots, monkeypatch) -> None:
    """Value and gradients are those of networks that see every read by itself."""
    model, x, bank = VariationalMemoryAddressing(networks(family=family)).double(), pictures(3), pictures(slots, 1)
    bank.requires_grad_()
    net, rows = model.networks, {}
    encode, template_of = net.posterior_encoder, net.template
    hook = encode.register_forward_hook(lambda _, __, output: rows.update(posterior=output.shape[:-1].numel()))
    monkeypatch.setattr(net, "template", lambda slot: (rows.update(template=len(slot)), template_of(slot))[1])
    found = model.objective(x, bank, samples=50, generator=torch.Generator().manual_seed(0))
    hook.remove()
    learned = [bank, *model.parameters()]
    ours = torch.autograd.grad(found.objective.mean(), learned)
    generator = torch.Generator().manual_seed(0)
    log_posterior, log_prior = model.address(x, bank), model.log_prior(bank)
    index = vma_module.draw_addresses(log_posterior, 50, generator)
    pairs = len({(row, slot) for row, drawn in enumerate(index.tolist()) for slot in drawn})
    assert rows == {"posterior": pairs, "template": len(index.unique())}
    assert pairs <= 12 or slots == 200
    posterior = net.posterior(x[:, None].expand(-1, 50, -1, -1), bank[index])
    template = template_of(bank[index].flatten(0, 1)).each(lambda leaf: leaf.unflatten(0, (3, 50)))
    z = posterior.sample(generator)
    likelihood = model.likelihood.log_prob(x[:, None], net.decode(z, template))
    log_weight = DiagonalGaussian.of(template.prior).log_prob(z) - posterior.log_prob(z) + likelihood
    log_q = log_posterior.gather(1, index)
    bound = vimco(log_weight + log_prior[index] - log_q, log_q)
    assert (found.bound - bound.value).abs().max() < 1e-10
    for theirs, mine in zip(torch.autograd.grad(bound.objective.mean(), learned), ours, strict=True):
        assert (theirs - mine).abs().max() < 1e-12 * max(1.0, float(theirs.abs().max()))


def test_a_vector_can_be_a_slot() -> None:
    net = networks(template=(11,))
    assert net.strength is None  # no picture to lay over the output
    bank = LearnedBank(5, (11,)).double()
    model = VariationalMemoryAddressing(net, prior="flat").double()
    found = model.objective(pictures(4), bank())
    (-found.objective.mean()).backward()
    assert bank.scaled.grad is not None
    assert torch.allclose(model.log_prior(bank()).exp(), torch.full((5,), 0.2, dtype=torch.float64))


def test_keys_can_be_learned_beside_the_slots() -> None:
    model, calls = VariationalMemoryAddressing(networks(template=(11,))).double(), []
    model.networks.key.register_forward_hook(lambda *_: calls.append(1))
    bank = LearnedBank(5, (11,), match=model.networks.match).double()
    (-model.objective(pictures(4), bank()).objective.mean()).backward()
    assert calls == []
    assert bank.keys is not None
    assert bank.keys.grad is not None
    assert bank.keys.grad.abs().sum(1).gt(0).all()  # every address has a say in the normalisation
    with pytest.raises(ValueError, match=r"keys of shape \(5, 3\) do not fit; give 5 of width"):
        model.objective(pictures(4), LearnedBank(5, (11,), match=3).double()())


def test_a_gain_moves_slots_faster_and_reads_what_was_saved_before() -> None:
    """Adam's step is as large for every parameter, so that slots move gain times as far as with one rate."""
    moved = []
    for gain in (1.0, 10.0):
        torch.manual_seed(0)
        net = networks(template=(11,))
        bank = LearnedBank(5, (11,), gain=gain).double()
        model = VariationalMemoryAddressing(net, prior="flat").double()
        start = bank.content.detach().clone()
        assert 0.05 < start.std() < 0.2, "as they are read"
        optimiser = torch.optim.Adam(bank.parameters(), 1e-3)
        (-model.objective(pictures(4), bank()).objective.mean()).backward()
        optimiser.step()
        moved.append(float((bank.content.detach() - start).abs().max()))
    assert moved[1] / moved[0] == pytest.approx(10, rel=0.01)
    bank = LearnedBank(5, (11,)).double()
    slots = torch.randn(5, 11, dtype=torch.float64)
    bank.load_state_dict({"content": slots})
    assert torch.allclose(bank.content, slots)


def test_a_bank_starts_from_slots_as_they_are_read() -> None:
    bank, content = LearnedBank(5, (11,), gain=4.0).double(), torch.rand(5, 11, dtype=torch.float64)
    bank.start_from(content)
    assert (bank().content - content).abs().max() < 1e-15
    assert bank.scaled.requires_grad
    with pytest.raises(ValueError, match=r"slots of shape \(4, 11\) do not start a bank of \(5, 11\); give as many"):
        bank.start_from(content[:4])


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "discretised-logistic"])
@pytest.mark.parametrize("family", [MLPNetworks, ConvolutionNetworks])
def test_a_start_says_the_mean_picture(likelihood, family) -> None:
    """Of every latent and slot, nearly; pixel by pixel where the last layer has a bias for each."""
    torch.manual_seed(0)
    channels = find_likelihood(likelihood).channels
    sizes = {"hidden": (16, 8)} if family is MLPNetworks else {"widths": (4, 4)}
    net = family((5, 4), latent=3, match=4, channels=channels, template=None, addressed=False, **sizes).double()
    model = VariationalAutoencoder(net, likelihood=likelihood).double()
    x = (torch.rand(200, 5, 4, dtype=torch.float64) < torch.linspace(0.1, 0.9, 20).view(5, 4)).double()
    x = x if likelihood == "bernoulli" else 0.4 + 0.2 * x  # grey, where tails are not cut off
    weight = (net.decoder[-1] if family is MLPNetworks else net.last).weight.detach().clone()
    model.start_from(x)
    assert torch.allclose((net.decoder[-1] if family is MLPNetworks else net.last).weight, 0.1 * weight)
    said = model.likelihood.mean(net.decode(torch.zeros(1, 3, dtype=torch.float64)))[0]
    wanted = x.mean(0) if family is MLPNetworks else x.mean().expand(5, 4)
    assert (said - wanted).abs().max() < 0.05
    drawn = model.likelihood.sample(model.likelihood.constant(x).expand(20_000, -1, -1, -1))
    assert (drawn.mean(0) - x.mean(0)).abs().max() < 0.03
    assert (drawn.var(0) / x.var(0) - 1).abs().max() < 0.1
    with pytest.raises(ValueError, match="there are no pictures to start from"):
        model.start_from(x[:0])


@pytest.mark.parametrize("kind", ["inner", "memory-normalised", "cosine"])
def test_similarities_reach_the_model(kind) -> None:
    model = vma(kind=kind)
    address = model.address(pictures(3), pictures(4, 1))
    assert (address.exp().sum(1) - 1).abs().max() < 1e-12
    assert (model.log_scale is not None) == (kind == "cosine")


def test_samples_come_from_their_slots() -> None:
    model, bank = vma(), pictures(4, 1)
    drawn = model.sample(bank, 2000, generator=torch.Generator().manual_seed(0))
    assert drawn.x.shape == drawn.mean.shape == (2000, *IMAGE)
    assert set(drawn.x.unique().tolist()) <= {0.0, 1.0}
    share = torch.bincount(drawn.address, minlength=4) / 2000
    assert (share - model.log_prior(bank).exp()).abs().max() < 0.05
    assert (drawn.x.mean(0) - drawn.mean.mean(0)).abs().max() < 0.06


def test_targets_inside_the_bank_are_pointed_out() -> None:
    model, bank = vma(), pictures(6, 1)
    x = torch.cat([pictures(2), bank[3:4]])
    with pytest.warns(UserWarning, match=r"1 of 3 targets stand in the bank \(rows 2\)"):
        model.objective(x, bank)
    with pytest.warns(UserWarning, match="allow_targets=True"):
        model.log_prob(x, Bank(bank), samples=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.objective(x, bank, allow_targets=True)
        model.objective(x[:2], bank)
    assert Bank(bank).inside(x).tolist() == [2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, b: m.objective(x / 2, b), "a Bernoulli likelihood is about pixels 0 and 1, these have 0.5"),
        (lambda m, x, b: m.objective(255 * x, b), "pictures reach from 0 to 255; scale them to 0..1"),
        (lambda m, x, b: m.objective(x), "reads a bank; give one"),
        (lambda m, x, b: m.objective(x, b[:, :3]), r"slots of shape \(3, 7\) do not fit networks for \(6, 7\)"),
        (lambda m, x, b: m.objective(x, b[:0]), "has no slots to read"),
        (lambda m, x, b: m.objective(x, b, samples=1), "samples=1: vimco needs 2 or more"),
        (lambda m, x, b: m.sample(None, 3), "reads a bank; give one"),
    ],
)
def test_what_the_model_refuses(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call(vma(), pictures(3), pictures(4, 1))


def test_what_constructors_refuse() -> None:
    for build, message in (
        (lambda: VariationalMemoryAddressing(networks(addressed=False)), "build them with addressed=True"),
        (lambda: VariationalMemoryAddressing(networks(), prior="uniform"), "neither 'learned' nor 'flat'"),
        (lambda: VariationalMemoryAddressing(networks(), likelihood="normal"), "no likelihood is called 'normal'"),
        (lambda: SoftAttention(networks()), "addressed=False"),
        (lambda: networks(template=None, addressed=True), "an address leads to a slot"),
        (
            lambda: ConvolutionNetworks(
                IMAGE, widths=(4,), latent=2, match=2, channels=1, template=(9,), addressed=True
            ),
            "take MLPNetworks for it",
        ),
        (lambda: LearnedBank(0, (3,)), "slots=0"),
    ):
        with pytest.raises(ValueError, match=message):
            build()
    plain = VariationalAutoencoder(networks(template=None, addressed=False))
    with pytest.raises(ValueError, match="reads no bank"):
        plain.log_prob(pictures(2), pictures(3, 1))
