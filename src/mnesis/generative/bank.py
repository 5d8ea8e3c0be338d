"""Banks of slots that a generative model reads: pictures handed in, or parameters that are learned with the model."""

from __future__ import annotations

import hashlib
import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..core.domain import Checked, Positive


class Bank:
    """Slots, with what is worked out once for all reads of them.

    Args:
        content: N slots, pictures or vectors.
        keys: of the slots, learned, or as a model that does not change any more has made them; None = made at every
            read.

    Raises:
        ValueError: no slots.
    """

    def __init__(self, content: Float[Tensor, "N ..."], keys: Float[Tensor, "slots E"] | None = None) -> None:
        if content.ndim < 2 or not len(content):
            raise ValueError(f"a bank of shape {tuple(content.shape)} has no slots to read; give [N, ...] with N >= 1")
        self.content, self.keys = content, keys
        self._digests: set[bytes] | None = None

    def __len__(self) -> int:
        return len(self.content)

    def inside(self, x: Float[Tensor, "B ..."]) -> Int[Tensor, " n"]:
        """Indices of the pictures that stand in the bank, exactly as they are."""
        if self._digests is None:
            self._digests = set(_digests(self.content))
        found = [index for index, digest in enumerate(_digests(x)) if digest in self._digests]
        return torch.tensor(found, dtype=torch.long)

    def warn_of(self, x: Float[Tensor, "B ..."]) -> None:
        """Warn where targets can simply be looked up: their likelihood would say nothing of others."""
        if x.shape[1:] == self.content.shape[1:] and len(found := self.inside(x)):
            shown = ", ".join(map(str, found[:5].tolist())) + (", ..." if len(found) > 5 else "")
            warnings.warn(
                f"{len(found)} of {len(x)} targets stand in the bank (rows {shown}); keep them apart, or say "
                "allow_targets=True where recall is what you measure",
                stacklevel=3,
            )


def as_bank(bank: Bank | Float[Tensor, "N ..."]) -> Bank:
    """A bank, whichever of the two was given."""
    return bank if isinstance(bank, Bank) else Bank(bank)


class LearnedBank(Checked, nn.Module):
    """Slots trained with the model that reads them: those drawn by what they say of x, all by how their keys fit.

    Slots are read as ``gain`` times parameters that start so many times smaller, so that an optimiser whose steps do
    not depend on the size of gradients, such as Adam, moves them so many times faster than the networks. With one rate
    for both (``gain=1``, as the text has it), z learns first what pictures are, nothing is left for the address to say,
    and slots die out. The gain is ours.

    Weight decay on the slots hurts (arXiv 1709.07116, section 4.2), so ``learn.fit`` leaves them out of it.

    Args:
        slots: N.
        shape: of a slot.
        match: E, to learn keys of their own for the slots too: an update then costs N E numbers for finding a slot and
            no embedding of N slots. None = keys are made from the slots.
        deviation: of the random start, as slots are read.
        gain: times their parameters.

    Raises:
        ValueError: no slots, or a gain that is not above 0.
    """

    def __init__(
        self,
        slots: int,
        shape: tuple[int, ...],
        *,
        match: int | None = None,
        deviation: float = 0.1,
        gain: Positive = 10.0,
    ) -> None:
        super().__init__()
        self.gain = gain
        self.scaled = nn.Parameter(deviation / gain * torch.randn(slots, *shape))
        self.keys = None if match is None else nn.Parameter(torch.randn(slots, match))
        for table in (self.scaled, self.keys):
            if table is not None:
                table.no_weight_decay = True  # pyright: ignore[reportAttributeAccessIssue]
        self.register_load_state_dict_pre_hook(_before_gains)

    @torch.no_grad()
    def start_from(self, content: Float[Tensor, "N ..."]) -> None:
        """Start training from these slots, such as pictures of the training set, instead of random ones. Ours.

        Raises:
            ValueError: other slots than the bank has.
        """
        if content.shape != self.scaled.shape:
            raise ValueError(
                f"slots of shape {tuple(content.shape)} do not start a bank of {tuple(self.scaled.shape)}; give as many"
            )
        self.scaled.copy_(content / self.gain)

    @property
    def content(self) -> Float[Tensor, "N ..."]:
        """The slots."""
        return self.gain * self.scaled

    def forward(self) -> Bank:
        return Bank(self.content, self.keys)


def _before_gains(bank: LearnedBank, tensors: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Banks that were saved before there were gains hold the slots themselves."""
    if (slots := tensors.pop(f"{prefix}content", None)) is not None:
        tensors[f"{prefix}scaled"] = slots / bank.gain


def _digests(rows: Tensor) -> list[bytes]:
    flat = rows.detach().to("cpu", torch.float32).flatten(1).contiguous().numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in flat]
