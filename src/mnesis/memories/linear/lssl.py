"""LSSL: every channel is filtered by a state space whose matrix is HiPPO's, or stays in its family while it learns."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...layers.constants import Constants
from ...ops.hippo import ContinuousSystem, discretize, hippo
from ...ops.precision import without_autocast
from ...ops.state_space import LinearSystem, state_space
from ..in_forms import MemoryInForms

MEASURES = ("legs", "legt", "lagt", "random")


class LSSLState(NamedTuple):
    """What an LSSL carries, in float32 or wider."""

    hidden: Float[Tensor, "B D N"]
    """h of each channel."""


class LSSL(MemoryInForms[LSSLState]):
    """The linear state-space layer (Gu et al. 2021, arXiv 2110.13985), with the layer around it.

    Each channel keeps h_t = A' h_{t-1} + B' u_t, the bilinear discretisation of h' = A h + B u at a pace d of its own,
    and reads ``outputs`` numbers C h_t + D u_t; then GELU and a map of all of them to the width. All channels share A
    and B, which are HiPPO's. By default they are fixed with d, the paper's LSSL-f, and C, D and the map alone learn.
    With ``learned`` A moves too, inside the family that HiPPO's belong to: A = -P (T^-1 + diag(c)) Q with a tridiagonal
    T and diagonals P and Q, and so do B and d (section 4.2). Nothing keeps such an A stable; the authors let A and B
    learn at 1e-4 and d at 1e-3, and ``state_parameters`` names all three. State: dim states numbers a row in float32.
    Observable: ``lssl/pace`` (d), [D].

    Powers of HiPPO's matrices lose digits in float32 as N grows, which is what S4 and S4D were made for; the default of
    64 states is ours for that reason (256 in the paper).

    Args:
        dim: width of inputs and outputs.
        states: N, of each channel.
        outputs: M, numbers read from each channel.
        measure: whose matrix A starts as: "legs", "legt", "lagt", or "random" (normal / N), which the paper shows to
            fail.
        learned: A, B and d learn as well.
        least_pace: d starts log-uniform from here; about one over the length that matters.
        most_pace: to here.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks, "parallel" by one convolution (FFT).
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no states or outputs, an unknown measure, paces out of order, a random matrix that should learn, an
            unknown form, or a chunk without units.
    """

    log_pace: Tensor
    transition: Tensor
    write: Tensor

    def __init__(
        self,
        dim: int,
        *,
        states: int = 64,
        outputs: int = 1,
        measure: str = "legs",
        learned: bool = False,
        least_pace: float = 0.001,
        most_pace: float = 0.1,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if measure not in MEASURES:
            raise ValueError(f"LSSL has no measure {measure!r}; choose one of {', '.join(MEASURES)}")
        if learned and measure == "random":
            raise ValueError("a random matrix has no family to stay in; give learned=False, or a measure of HiPPO")
        if not 0 < least_pace <= most_pace:
            raise ValueError(f"least_pace={least_pace}, most_pace={most_pace}: paces need 0 < least <= most")
        self.states, self.outputs, self.learned = states, outputs, learned
        log_pace = torch.empty(dim).uniform_(math.log(least_pace), math.log(most_pace))
        if learned:
            self.log_pace = nn.Parameter(log_pace)
            family = _family(measure, states)
            self.lower, self.diagonal, self.upper, self.shift, self.left, self.right = map(nn.Parameter, family)
            self.write = nn.Parameter(torch.ones(states))
        else:
            self.register_buffer("log_pace", log_pace)
            if measure == "random":
                self.register_buffer("transition", torch.randn(states, states) / states)
                self.register_buffer("write", torch.ones(states))
            else:
                self.fixed = Constants(lambda: hippo(measure, states))
        self.read_out = nn.Parameter(torch.randn(dim, outputs, states))
        self.skip = nn.Parameter(torch.randn(dim, outputs))
        self.output = nn.Linear(dim * outputs, dim)

    def state_parameters(self) -> list[str]:
        """Parameters of A, B and d, which learn at a lower rate; none where they are fixed."""
        return [name for name, _ in self.named_parameters() if name.split(".")[0] not in ("read_out", "skip", "output")]

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> LSSLState:
        wide = torch.promote_types(dtype, torch.float32)
        return LSSLState(torch.zeros(batch, *self.read_out.shape[::2], device=device, dtype=wide))

    def continuous(self, device: torch.device, dtype: torch.dtype) -> ContinuousSystem:
        """A and B."""
        if hasattr(self, "fixed"):
            return self.fixed.on(device, dtype)
        if not self.learned:
            return ContinuousSystem(self.transition.to(dtype), self.write.to(dtype))
        middle = torch.diag(self.diagonal) + torch.diag(self.lower, -1) + torch.diag(self.upper, 1)
        inverse = torch.linalg.inv(middle.to(dtype)) + torch.diag(self.shift.to(dtype))
        left, right = self.left.to(dtype), self.right.to(dtype)
        return ContinuousSystem(-left[:, None] * inverse * right, left * self.write.to(dtype))

    def system(self, device: torch.device, dtype: torch.dtype) -> LinearSystem:
        """The discrete system of each channel, of that dtype."""
        with without_autocast(device):
            pace = self.log_pace.to(dtype).exp()
            record("lssl/pace", pace)
            a, b = discretize(self.continuous(device, dtype), pace, "bilinear")
            return LinearSystem(a, b, self.read_out.to(dtype))

    def read(self, x: Float[Tensor, "B T D"], state: LSSLState, form: str) -> tuple[Tensor, LSSLState]:
        y, h = self.run(state_space(self.system(x.device, state.hidden.dtype)), form, x, state.hidden)
        y = y.to(x.dtype) + self.skip.to(x.dtype) * x[..., None]
        return self.output(F.gelu(y).flatten(2)), LSSLState(h.clone())


def _family(measure: str, states: int) -> tuple[Tensor, ...]:
    """Below, on and above the diagonal of T; then c, P and Q: HiPPO's matrix (lemma E.5 and after of the paper)."""
    n, beside = torch.arange(states), torch.ones(states - 1)
    root = (2 * n + 1).sqrt()
    if measure == "legs":
        return -beside, torch.ones(states), 0 * beside, -n / (2 * n + 1), root, root.clone()
    if measure == "lagt":
        return -beside, torch.ones(states), 0 * beside, torch.zeros(states), torch.ones(states), torch.ones(states)
    corners = torch.zeros(states)
    corners[0] += 0.5
    corners[-1] += 0.5
    return -beside / 2, corners, beside / 2, torch.zeros(states), root, root.clone()
