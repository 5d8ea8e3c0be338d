"""Bilinear transitions: a state that inputs only ever multiply, so that it can track what a machine would be in."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...ops.associative_scan import associative_scan
from ...ops.decay import side_by_side
from ...ops.precision import without_autocast
from ...ops.recurrence import Passage, Recurrence, Summary, chunk_after_chunk
from ..in_forms import MemoryInForms

TRANSITIONS = ("full", "factored", "block", "rotation", "diagonal")
LARGEST_PRODUCTS = 16
"""Channels of a block up to which products of matrices, side by side, take less time than steps in a row."""


class BilinearState(NamedTuple):
    """What a bilinear recurrence carries, in float32 or wider."""

    hidden: Float[Tensor, "B E"]
    """h, of length 1 where ``normalised``."""


class Bilinear(MemoryInForms[BilinearState]):
    """A bilinear recurrent network (Ebrahimi and Memisevic 2025, arXiv 2505.21749).

    h_t = A(x_t) h_{t-1} with A_ij = sum_k W_ijk x_k, from a learned start, and nothing is added: no bias, no input; the
    output is a projection of h. The kinds of A form a hierarchy of what can be tracked: any finite automaton ("full",
    and "factored" and "block" as far as rank and blocks reach), sums modulo any number ("rotation"), parity
    ("diagonal"). As nothing is added, the length of h decides nothing, and h can be brought back to 1 at every unit.
    State: hidden numbers a row in float32.

    The paper leaves W's start open; here A keeps lengths on average for x of variance 1. It trains without norms and
    tests with them; a stream cannot tell the two apart, so one of them holds for both.

    A that all but maps h to 0 magnifies rounding once h is brought back to length 1. "full", "rotation" and "diagonal"
    are steady in float32; gradients of "block" and "factored" may differ between forms in the fourth digit there.

    Args:
        dim: width of inputs and outputs.
        hidden: E.
        transition: "full": W as it is, E^2 dim numbers; "factored": A = U diag(Z x) V^T, rank (2 E + dim) numbers;
            "block": full on blocks along the diagonal; "rotation": pairs of channels turn by angles linear in x;
            "diagonal": every channel alone.
        rank: of "factored"; None = E.
        block: channels in a block of "block".
        normalised: h has length 1 after every unit; without, long streams may leave the range of numbers.
        form: how a sequence is computed: "naive" unit by unit; "chunk" by products of matrices, in an associative scan
            of all chunks side by side, where blocks have up to 16 channels, as a product costs as many steps as a block
            has channels; else A of a whole chunk at once, which is made anew in the backward pass, and then unit by
            unit (a chunk as long as the sequence keeps all of them: a third faster, E^2 numbers a unit). There is no
            form without chunks: long products lose the digits of what they all but forget.
        chunk: units in a chunk; changes speed, not results. None = 16 of products, 128 of steps.

    Raises:
        ValueError: an unknown transition or form, channels that do not split into blocks or pairs, no channels, a rank
            below 1, or a chunk without units.
    """

    forms: ClassVar[tuple[str, ...]] = ("naive", "chunk")

    def __init__(
        self,
        dim: int,
        *,
        hidden: int = 256,
        transition: str = "full",
        rank: int | None = None,
        block: int = 2,
        normalised: bool = True,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if transition not in TRANSITIONS:
            raise ValueError(f"Bilinear has no transition {transition!r}; choose one of {', '.join(TRANSITIONS)}")
        self.rank = hidden if rank is None else rank
        sizes = {"full": hidden, "factored": hidden, "block": block, "rotation": 2, "diagonal": 1}
        self.transition, self.hidden, self.block, self.normalised = transition, hidden, sizes[transition], normalised
        if self.block < 1 or hidden % self.block:
            raise ValueError(
                f"hidden={hidden} does not split into blocks of {self.block}; make it a multiple of 1 or more channels"
            )
        coefficients = {"factored": self.rank, "rotation": hidden // 2}.get(transition, hidden * self.block)
        self.input, self.output = nn.Linear(dim, coefficients, bias=False), nn.Linear(hidden, dim, bias=False)
        # Entries of A get the variance 1 / block; those of diag(Z x), and angles, 1.
        entries = 1 if transition in {"factored", "rotation"} else self.block
        nn.init.normal_(self.input.weight, std=(dim * entries) ** -0.5)
        if transition == "factored":
            self.left = nn.Parameter(torch.randn(hidden, self.rank) * self.rank**-0.5)
            self.right = nn.Parameter(torch.randn(self.rank, hidden) * hidden**-0.5)
        self.start = nn.Parameter(torch.randn(hidden) * hidden**-0.5)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> BilinearState:
        start = self.start.to(device, torch.promote_types(dtype, torch.float32))
        return BilinearState(self._rescaled(start.repeat(batch, 1)))

    def read(self, x: Float[Tensor, "B T D"], state: BilinearState, form: str) -> tuple[Tensor, BilinearState]:
        recurrence = Recurrence(self._step, self._chunks, sequences=1, passage=Passage(self._product, self._moved))
        y, hidden = self.run(recurrence, form, x, state.hidden)
        return self.output(y.to(x.dtype)), BilinearState(hidden)

    def matrices(self, coefficients: Float[Tensor, "... C"]) -> Float[Tensor, "... n b b"]:
        """A, by the blocks on its diagonal."""
        if self.transition == "factored":
            left, right = self.left.to(coefficients.dtype), self.right.to(coefficients.dtype)
            return ((left * coefficients[..., None, :]) @ right)[..., None, :, :]
        if self.transition == "rotation":
            cos, sin = coefficients.cos(), coefficients.sin()
            return torch.stack([cos, -sin, sin, cos], -1).unflatten(-1, (2, 2))
        return coefficients.unflatten(-1, (-1, self.block, self.block))

    def _step(self, x: Float[Tensor, "B D"], hidden: Float[Tensor, "B E"]) -> tuple[Tensor, Tensor]:
        hidden = self._after(self.input(x), hidden)
        return hidden, hidden

    def _after(self, coefficients: Float[Tensor, "B C"], hidden: Float[Tensor, "B E"]) -> Float[Tensor, "B E"]:
        """h of the next unit."""
        with without_autocast(hidden.device):
            coefficients = coefficients.to(hidden.dtype)
            if self.transition == "factored":
                left, right = self.left.to(hidden.dtype), self.right.to(hidden.dtype)
                hidden = (coefficients * (hidden @ right.mT)) @ left.mT
            else:
                blocks = hidden.unflatten(-1, (-1, self.block, 1))
                hidden = (self.matrices(coefficients) @ blocks).flatten(1)
            return self._rescaled(hidden)

    def _chunks(
        self, x: Float[Tensor, "B T D"], hidden: Float[Tensor, "B E"], *, chunk: int | None = None
    ) -> tuple[Tensor, Tensor]:
        if self.block <= LARGEST_PRODUCTS:
            return self._by_products(x, hidden, chunk or 16)
        chunk = chunk or 128
        # Coefficients of "full" are many, those of "factored" few and its steps dear.
        anew = x.shape[1] > chunk and self.transition != "factored"
        return chunk_after_chunk(self._by_steps, [x], hidden, chunk, anew=anew)

    def _by_steps(self, x: Float[Tensor, "B T D"], hidden: Float[Tensor, "B E"]) -> tuple[Tensor, Tensor]:
        outputs = []
        for coefficients in self.input(x).unbind(1):
            hidden = self._after(coefficients, hidden)
            outputs.append(hidden)
        return torch.stack(outputs, 1), hidden

    def _by_products(
        self, x: Float[Tensor, "B T D"], hidden: Float[Tensor, "B E"], chunk: int
    ) -> tuple[Tensor, Tensor]:
        coefficients = self.input(x).to(hidden.dtype)
        with without_autocast(hidden.device):
            outputs = []
            for (products,) in side_by_side(self._products, [coefficients], chunk):
                held = products @ hidden[:, None].unflatten(-1, (-1, self.block, 1))
                outputs.append(self._rescaled(held.flatten(2)))
                hidden = outputs[-1][:, -1]
            return torch.cat(outputs, 1), hidden.clone()

    def _product(self, x: Float[Tensor, "B T D"], hidden: Float[Tensor, "B E"]) -> Float[Tensor, "B n b b"]:
        return self._products(self.input(x).to(hidden.dtype))[0][:, -1]

    def _moved(self, summary: Summary, carried: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        held = summary.decay @ carried[0].unflatten(-1, (-1, self.block, 1))
        return (self._rescaled(held.flatten(1)),)

    def _products(self, coefficients: Float[Tensor, "N C K"]) -> tuple[Float[Tensor, "N C n b b"]]:
        return (associative_scan(self._follow, self.matrices(coefficients)),)

    def _follow(self, earlier: Float[Tensor, "B T n b b"], later: Float[Tensor, "B T n b b"]) -> Tensor:
        product = later @ earlier
        # One factor for all blocks of a unit, which h's own length makes up for.
        return self._rescaled(product.flatten(2)).view_as(product)

    def _rescaled(self, x: Float[Tensor, "... E"]) -> Float[Tensor, "... E"]:
        return F.normalize(x, dim=-1) if self.normalised else x
