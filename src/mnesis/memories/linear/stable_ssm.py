"""StableSSM: channels that fade at rates whose parameters can be moved without harm, however slow they are."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.record import record
from ...ops.diagonal import diagonal
from ..in_forms import MemoryInForms

PARAMETERIZATIONS = ("direct", "exp", "softplus", "best")
ACTIVATIONS = {"tanh": torch.tanh, "hardtanh": F.hardtanh, "linear": lambda h: h}
MARGIN = 1e-7
"""How far "direct" stays from 1."""


class StableSSMState(NamedTuple):
    """What a StableSSM carries, in float32 or wider."""

    hidden: Float[Tensor, "B N"]


class StableSSM(MemoryInForms[StableSSMState]):
    """A real diagonal state space with a nonlinearity behind its state (Wang and Li 2023, arXiv 2311.14495).

    h_t = lambda h_{t-1} + U x_t + b and y_t = C s(h_t); each of N channels fades by its own lambda = f(w). A memory
    that decays slower than exponentially needs lambda near 1, where with f(w) = w the least change of w changes
    everything. Stable parameterizations lift that curse, and f'(w) / (1 - f(w))^2 bounds gradients of w up to a factor:

    - "direct": w, held inside (-1, 1), as the authors' code does while training;
    - "exp": exp(-exp(w)), and "softplus": exp(-log(1 + exp(w)));
    - "best": 1 - 1 / (w^2 + 1/2), for which that bound is 2 w.

    State: states numbers a row in float32. Observable: ``stable_ssm/kept`` (lambda), [N].

    These are the paper's equations. The authors' layer for images is S4D with the real part of A parameterized alike
    (best: -1 / (w^2 + 1/10)). As there, all parameterizations start from the same rates: log lambda = -d / 2 with d
    log-uniform. That rows of U start scaled by sqrt(1 - lambda^2), so that no channel saturates s, is a choice made
    here.

    Args:
        dim: width of inputs and outputs.
        states: N.
        parameterization: f.
        activation: s, "tanh", "hardtanh" or "linear".
        least_pace: d starts from here; the longer the memory should be, the smaller.
        most_pace: to here.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no states, an unknown parameterization, activation or form, paces out of order, or a chunk without
            units.
    """

    def __init__(
        self,
        dim: int,
        *,
        states: int = 64,
        parameterization: str = "best",
        activation: str = "tanh",
        least_pace: float = 0.001,
        most_pace: float = 0.1,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        if parameterization not in PARAMETERIZATIONS:
            raise ValueError(
                f"StableSSM has no parameterization {parameterization!r}; choose one of {', '.join(PARAMETERIZATIONS)}"
            )
        if activation not in ACTIVATIONS:
            raise ValueError(f"StableSSM has no activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}")
        if not 0 < least_pace <= most_pace:
            raise ValueError(f"least_pace={least_pace}, most_pace={most_pace}: paces need 0 < least <= most")
        self.states, self.parameterization, self.activation = states, parameterization, ACTIVATIONS[activation]
        rate = 0.5 * torch.empty(states).uniform_(math.log(least_pace), math.log(most_pace)).exp()
        self.decay = nn.Parameter(parameter_of(rate, parameterization))
        self.input, self.output = nn.Linear(dim, states), nn.Linear(states, dim, bias=False)
        with torch.no_grad():
            self.input.weight.mul_((-torch.expm1(-2 * rate)).sqrt()[:, None])

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> StableSSMState:
        wide = torch.promote_types(dtype, torch.float32)
        return StableSSMState(torch.zeros(batch, self.states, device=device, dtype=wide))

    def kept(self, dtype: torch.dtype) -> Float[Tensor, " N"]:
        """lambda, of that dtype."""
        kept = kept_of(self.decay.to(dtype), self.parameterization)
        return kept.clamp(MARGIN - 1, 1 - MARGIN) if self.parameterization == "direct" else kept

    def read(self, x: Float[Tensor, "B T D"], state: StableSSMState, form: str) -> tuple[Tensor, StableSSMState]:
        kept, written = self.kept(state.hidden.dtype), self.input(x)
        record("stable_ssm/kept", kept)
        h, last = self.run(diagonal, form, kept.expand_as(written), written.to(kept.dtype), state.hidden)
        return self.output(self.activation(h).to(written.dtype)), StableSSMState(last)


def parameter_of(rate: Float[Tensor, " N"], parameterization: str) -> Float[Tensor, " N"]:
    """w, where lambda is exp(-rate)."""
    if parameterization == "direct":
        return (-rate).exp()
    if parameterization == "exp":
        return rate.log()
    if parameterization == "softplus":
        return rate.expm1().log()
    return (-1 / torch.expm1(-rate) - 0.5).sqrt()


def kept_of(parameter: Float[Tensor, "*R N"], parameterization: str) -> Float[Tensor, "*R N"]:
    """lambda = f(w); "direct" is not held inside (-1, 1) here."""
    if parameterization == "direct":
        return parameter
    if parameterization == "exp":
        return (-parameter.exp()).exp()
    if parameterization == "softplus":
        return (-parameter).sigmoid()
    return 1 - 1 / (parameter * parameter + 0.5)
