"""The deterministic read that variational addressing is compared with: a blend of slots, chosen by z.

z ~ N(0, I) stands on top; the weights over slots depend on z alone, or the decoder would see x through them; x is
decoded from z and the blended slot (section 4.3 of Bornschein et al. 2017, arXiv 1709.07116). The latent must pay both
for finding the slot and for what the slot does not say.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from ..ops.addressing import similarity
from .autoencoder import LatentFirst
from .bank import Bank, as_bank
from .networks import Networks


class SoftAttention(LatentFirst):
    """p(x | M) = int p(z) p(x | z, sum_a w_a(z) m_a). The paper trains it with one sample: ``samples=1``.

    Args:
        networks: encoders and decoder, not ``addressed``.
        likelihood: of the pixels.
        kind: of the similarity between slots and f(z).
        hidden: width of f.

    Raises:
        ValueError: networks without a template, or addressed ones.
    """

    def __init__(
        self,
        networks: Networks,
        *,
        likelihood: str = "bernoulli",
        kind: str = "memory-normalised",
        hidden: int = 256,
    ) -> None:
        super().__init__(networks, likelihood=likelihood)
        if networks.template_shape is None or networks.addressed:
            raise ValueError("soft attention needs networks with a template shape and addressed=False")
        self.kind = kind
        self.finder = nn.Sequential(nn.Linear(networks.latent, hidden), nn.ReLU(), nn.Linear(hidden, networks.match))

    def weights(self, z: Float[Tensor, "R Z"], bank: Bank | Float[Tensor, "N ..."]) -> Float[Tensor, "R N"]:
        """How much of each slot the blend for a z holds."""
        return similarity(self.finder(z), self._keys(as_bank(bank)), self.kind).softmax(-1)

    def _decode(self, z: Float[Tensor, "R Z"], bank: Bank | None) -> Float[Tensor, "R C H W"]:
        assert bank is not None
        blended = self.weights(z, bank) @ bank.content.flatten(1)
        return self.networks.decode(z, self.networks.template(blended.unflatten(1, bank.content.shape[1:])))
