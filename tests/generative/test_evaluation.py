"""Classes from addresses, knowledge in nats, use of a bank."""

from __future__ import annotations

import math

import pytest
import torch

from mnesis.generative.autoencoder import VariationalAutoencoder
from mnesis.generative.bank import Bank
from mnesis.generative.evaluation import classify, know, usage
from mnesis.tasks.images.glyphs import draw_glyphs

from .test_models import networks, pictures, vma


def test_classes_share_the_addresses_of_their_slots() -> None:
    model, x, bank = vma(), pictures(3), pictures(5, 1)
    label = torch.tensor([1, 0, 1, 2, 0])
    found = classify(model, x, bank, label).exp()
    address = model.address(x, bank).exp()
    expected = torch.stack([address[:, label == index].sum(1) for index in range(3)], 1)
    assert (found - expected).abs().max() < 1e-12


def test_importance_weights_come_to_the_true_posterior() -> None:
    """The class posterior is p(c) p(x | slots of c) over the whole, from log-likelihoods of one-slot banks."""
    model, x, bank = vma(prior="flat"), pictures(2), pictures(3, 1)
    label = torch.tensor([0, 1, 0])
    found = classify(model, x, bank, label, samples=3000, generator=torch.Generator().manual_seed(0))
    single = torch.stack(
        [
            model.log_prob(x, bank[index : index + 1], samples=20_000, generator=torch.Generator().manual_seed(1))
            for index in range(3)
        ],
        1,
    )
    joint = torch.stack([single[:, [0, 2]].logsumexp(1), single[:, 1]], 1)
    assert (found.exp() - joint.log_softmax(1).exp()).abs().max() < 0.03
    with pytest.raises(ValueError, match="3 slots have 2 classes"):
        classify(model, x, bank, label[:2])


def test_knowledge_is_a_number_a_picture() -> None:
    model, bank = vma(), pictures(4, 1)
    batches = [(pictures(3), bank), (pictures(2, 7), Bank(bank))]
    found = know(model, batches, samples=50, generator=torch.Generator().manual_seed(0))
    assert {len(values) for values in found} == {5}
    address = model.address(pictures(3), bank)
    exact = (address.exp() * (address - model.log_prior(bank))).sum(1)
    assert (found.address_divergence[:3] - exact).abs().max() < 1e-12
    assert found.summary()["nll"] == pytest.approx(float(found.negative_log_likelihood.mean()))
    plain = VariationalAutoencoder(networks(template=None, addressed=False))
    assert know(plain, [(pictures(3), None)], samples=5).summary()["kl_address"] == 0
    with pytest.raises(ValueError, match="no pictures"):
        know(model, [])


def test_usage_counts_slots() -> None:
    model, bank = vma(prior="flat"), pictures(4, 1)
    found = usage(model, pictures(50), bank)
    assert found.prior_entropy == pytest.approx(math.log(4))
    assert float(found.proposed.sum()) == pytest.approx(1)
    assert 0 < found.proposed_entropy <= math.log(4) + 1e-9


def test_a_few_steps_teach_the_address() -> None:
    """Glyphs recalled from a bank that holds them: the address must end as the picture's own."""
    from mnesis.generative.networks import MLPNetworks
    from mnesis.generative.variational_memory_addressing import VariationalMemoryAddressing

    torch.manual_seed(0)
    glyphs = draw_glyphs(8, 1).pixels.float()
    net = MLPNetworks((26, 26), hidden=(32, 32), latent=2, match=16, channels=1, template=(26, 26), addressed=True)
    model = VariationalMemoryAddressing(net)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        x = glyphs[torch.randint(8, (16,), generator=generator)]
        found = model.objective(x, glyphs, allow_targets=True, generator=generator)
        optimiser.zero_grad()
        (-found.objective.mean()).backward()
        optimiser.step()
    summary = know(model, [(glyphs, glyphs)], samples=50, allow_targets=True).summary()
    assert (model.address(glyphs, glyphs).argmax(1) == torch.arange(8)).all()
    assert summary["kl_address"] == pytest.approx(math.log(8), abs=0.1)
    assert summary["nll"] < math.log(8) + 5
