"""A bank matched in several passes, from z and from the picture: the generative matching network.

Source: Bartunov and Vetrov 2016, arXiv 1612.02192, numbered as in its first version: p(x, z | X) = p(z | X) p(x | z, X)
with q(z | x, X), equation 4; the attention passes under a recurrent controller, equations 5 and 6; what the parts
share, section 3.2; the number of passes, section 4.1. The authors' programs (github.com/sbos/gmn) fill what the text
leaves open; where the two differ, it is said beside the line. Both have networks of their own; here encoders and
decoder are those of all models.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..ops.addressing import similarity
from .autoencoder import LatentFirst
from .bank import Bank, as_bank
from .gaussian import DiagonalGaussian
from .networks import Networks, Template


class Match(NamedTuple):
    """What a pass found, a row a query."""

    weights: Float[Tensor, "R slots"]
    """Of the slots; the pseudo-input's stands last."""
    found: Float[Tensor, "R E"]
    """r_k, their features in these shares."""
    state: Float[Tensor, "R H"]
    """h_(k + 1) of the controller."""

    @property
    def summary(self) -> Float[Tensor, "R S"]:
        """What the model reads of the last pass."""
        return torch.cat([self.found, self.state], -1)


class Query(nn.Module):
    """f of equation 6, linear as in the authors' programs, and the temperature that the controller sets.

    Args:
        asked: width of what is asked about; 0 = the state alone asks.
        state: width of the controller's state.
        match: width of keys.
    """

    def __init__(self, asked: int, state: int, match: int) -> None:
        super().__init__()
        self.find = nn.Linear(asked + state, match)
        # The text has cosines and leaves open how their temperature is set; the authors' programs have plain products,
        # times a clipped strength. A cosine lies within -1..1: from 1 on, no slot could be preferred by more than e^2.
        self.log_strength = nn.Linear(state, 1)
        nn.init.constant_(self.log_strength.bias, math.log(10.0))

    def forward(
        self, asked: Float[Tensor, "R Q"], state: Float[Tensor, "R H"], keys: Float[Tensor, "slots E"]
    ) -> Float[Tensor, "R slots"]:
        fit = similarity(self.find(torch.cat([asked, state], -1)), keys, "cosine")
        return self.log_strength(state).exp() * fit


class Matching(nn.Module):
    """Attention passes over features of slots, guided by a gated recurrent unit: equation 6.

    Keys g depend on the slots alone, as in the authors' programs; in the text they see the state too.

    Args:
        match: width of features and keys.
        state: width of the controller's state.
        steps: K, the number of passes.

    Raises:
        ValueError: no passes.
    """

    def __init__(self, match: int, state: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.key = nn.Sequential(nn.Linear(match, match), nn.ReLU())
        self.controller = nn.GRUCell(match, state)
        self.initial_state = nn.Parameter(torch.zeros(state))
        self.pseudo_feature = nn.Parameter(torch.zeros(match))
        # A key of length zero has no direction to learn from.
        self.pseudo_key = nn.Parameter(torch.randn(match) / math.sqrt(match))

    def forward(self, features: Float[Tensor, "N E"], query: Query, asked: Float[Tensor, "R Q"]) -> Match:
        keys = torch.cat([self.key(features), self.pseudo_key[None]])
        content = torch.cat([features, self.pseudo_feature[None]])

        def attend(state: Tensor) -> Match:
            weights = query(asked, state, keys).softmax(-1)
            found = weights @ content
            return Match(weights, found, self.controller(found, state))

        match = attend(self.initial_state.expand(len(asked), -1))
        for _ in range(self.steps - 1):
            match = attend(match.state)
        return match


class GenerativeMatching(LatentFirst):
    """p(x | X) = int p(z | X) p(x | z, X). The paper trains it with one sample: ``samples=1``.

    The features psi of slots, and of the picture that q(z | x, X) asks about, are ``networks.key``; those that the
    decoder reads are ``networks.template``, blended with the same weights. Likelihood and posterior share a controller,
    the prior has its own. A pseudo-input, learned, stands in every bank.

    Args:
        networks: encoders and decoder, not ``addressed``, with slots that are pictures.
        likelihood: of the pixels.
        steps: passes of the controller that likelihood and posterior share.
        prior_steps: passes of the prior's controller.
        state: width of the controllers' states, and of the prior's hidden layer.

    Raises:
        ValueError: networks that are addressed or whose slots are no pictures; no passes.
    """

    def __init__(
        self,
        networks: Networks,
        *,
        likelihood: str = "bernoulli",
        steps: int = 4,
        prior_steps: int = 1,
        state: int = 200,
    ) -> None:
        super().__init__(networks, likelihood=likelihood)
        if networks.addressed or networks.template_shape != networks.image:
            raise ValueError("generative matching needs networks with pictures for slots and addressed=False")
        match, latent = networks.match, networks.latent
        self.matching, self.prior_matching = Matching(match, state, steps), Matching(match, state, prior_steps)
        self.likelihood_query = Query(latent, state, match)
        self.posterior_query = Query(match, state, match)
        self.prior_query = Query(0, state, match)
        self.prior_head = nn.Sequential(nn.Linear(match + state, state), nn.ReLU(), nn.Linear(state, 2 * latent))
        # One linear map of features of x and of the summary gives the authors' posterior: this is its second part.
        self.posterior_head = nn.Linear(match + state, 2 * latent, bias=False)
        # Their decoder reads the summary beside z; ours has no place for it but z itself.
        self.latent_head = nn.Linear(match + state, latent, bias=False)
        with torch.no_grad():
            blank = networks.template(next(networks.parameters()).new_zeros(1, *networks.image))
        self.pseudo_template = nn.ParameterList(torch.zeros_like(leaf[0]) for leaf in (blank.vector, *blank.levels))
        for leaf in self.pseudo_template:
            leaf.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]

    def weights(self, z: Float[Tensor, "R Z"], bank: Bank | Float[Tensor, "N ..."]) -> Float[Tensor, "R slots"]:
        """How much of each slot the decoder's template for a z holds; the pseudo-input's share stands last."""
        return self.matching(self._keys(as_bank(bank)), self.likelihood_query, z).weights

    def _prior(self, bank: Bank | None) -> DiagonalGaussian:
        assert bank is not None
        features = self._keys(bank)
        # Nothing is asked: section 3.2 matches by the controller's state alone.
        match = self.prior_matching(features, self.prior_query, features.new_zeros(1, 0))
        return DiagonalGaussian.of(self.prior_head(match.summary))

    def _posterior(self, x: Float[Tensor, "B H W"], bank: Bank | None) -> DiagonalGaussian:
        assert bank is not None
        match = self.matching(self._keys(bank), self.posterior_query, self.networks.key(x))
        return DiagonalGaussian.of(self.networks.posterior_encoder(x) + self.posterior_head(match.summary))

    def _decode(self, z: Float[Tensor, "R Z"], bank: Bank | None) -> Float[Tensor, "R C H W"]:
        assert bank is not None
        match = self.matching(self._keys(bank), self.likelihood_query, z)
        slots, weights = self._slots(bank), match.weights
        return self.networks.decode(z + self.latent_head(match.summary), slots, lambda leaf: blend(weights, leaf))

    def _slots(self, bank: Bank) -> Template:
        """The features that the decoder reads; the pseudo-input's stand last."""
        template = self.networks.template(bank.content)
        vector, *levels = (
            torch.cat([leaf, pseudo[None]])
            for leaf, pseudo in zip((template.vector, *template.levels), self.pseudo_template, strict=True)
        )
        return Template(None, vector, tuple(levels))


def blend(weights: Float[Tensor, "R slots"], leaf: Float[Tensor, "slots ..."]) -> Float[Tensor, "R ..."]:
    """r of equation 5."""
    places = leaf.movedim(1, -1)  # maps lie pixel by pixel in memory, and stay so
    return (weights @ places.flatten(1)).unflatten(1, places.shape[1:]).movedim(-1, 1)
