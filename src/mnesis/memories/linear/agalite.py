"""GaLiTe and AGaLiTe: outer products whose keys and values fade at gates of their own, whole or in a few cosines."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ...core.domain import Epsilon
from ...core.record import record
from ...ops.diagonal import diagonal
from ...ops.sequence_split import count_on
from ...ops.two_sided_gates import joint_gates, separate_gates
from ..in_forms import MemoryInForms

AGALITE_EPSILON = 1e-5
"""Added to what is divided by, as in the authors' code."""


class GaLiTeState(NamedTuple):
    """What GaLiTe carries, in float32 or wider."""

    matrix: Float[Tensor, "B H K V+1"]
    """C; the last column is the normaliser s."""


class AGaLiTeState(NamedTuple):
    """What AGaLiTe carries, in float32 or wider."""

    keys: Float[Tensor, "B H R+1 K"]
    """One row for each cosine; the last one, which does not oscillate, is the normaliser s."""
    values: Float[Tensor, "B H R V"]
    unit: Float[Tensor, " B"]
    """Where the clock stands in the cosines' common period."""


class GatedFeatures(nn.Module):
    """Queries, keys and values with gates: features of keys are outer products with a few more projections.

    Args:
        dim: width of the input.
        heads: how many.
        width: V of a head.
        expansion: K / V.
    """

    def __init__(self, dim: int, heads: int, width: int, expansion: int) -> None:
        super().__init__()
        self.heads = heads
        self.narrow, self.few = nn.Linear(dim, 5 * heads * width), nn.Linear(dim, 3 * heads * expansion)
        self.output = nn.Linear(heads * width, dim)
        for layer in (self.narrow, self.few, self.output):
            nn.init.orthogonal_(layer.weight, math.sqrt(2))
            nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "B T D"], wide: torch.dtype) -> tuple[Tensor, ...]:
        """phi_q, gamma phi_k and gamma [B T H K], beta v and beta [B T H V]."""
        narrow, few = (layer(x).to(wide).unflatten(-1, (self.heads, -1)) for layer in (self.narrow, self.few))
        k, q, v, value_gate, key_gate = narrow.chunk(5, -1)
        of_key, of_query, of_gate = few.chunk(3, -1)
        query, key = _outer(F.relu(of_query), F.relu(q)), _outer(F.relu(of_key), F.relu(k))
        gamma, beta = _outer(of_gate.sigmoid(), key_gate.sigmoid()), value_gate.sigmoid()
        record("galite/key_gate", gamma)
        record("galite/value_gate", beta)
        return query, gamma * key, gamma, beta * v, beta


class GaLiTe(MemoryInForms[GaLiTeState]):
    """Gated linear attention that gates element by element (Pramanik et al. 2023, arXiv 2310.15719; first named ReLiT).

    Each head keeps C_t = ((1 - gamma) (1 - beta)^T) * C_{t-1} + (gamma phi_k) (beta v)^T and
    s_t = (1 - gamma) s_{t-1} + gamma phi_k, and reads C^T phi_q / (s . phi_q); phi_k = vec(relu(p_1) relu(k)^T),
    phi_q likewise, gamma = vec(sigmoid(p_3) sigmoid(W x)^T), beta a sigmoid. Positions are not needed. State:
    heads width expansion (width + 1) numbers a row in float32. Observables: ``galite/key_gate`` (gamma) [B T H K] and
    ``galite/value_gate`` (beta) [B T H V]. What stands around it in the paper, norms and GTrXL's gates, is a block's.

    The authors' code makes queries by two maps, one after the other, which here are one.

    Args:
        dim: width of inputs and outputs.
        heads: matrices side by side.
        width: V of a head.
        expansion: eta, K / V.
        joint: C fades by 1 - gamma beta^T, as in the authors' code; s then fades faster than C, and their ratio is no
            average any more.
        epsilon: what is added to s . phi_q, which is often small: 1e-10 as in the authors' code.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks that are made anew in the backward
            pass, "parallel" in one chunk.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: fewer than one head or channel, an unknown form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        width: int = 64,
        expansion: int = 4,
        joint: bool = False,
        epsilon: Epsilon = 1e-10,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        self.features = GatedFeatures(dim, heads, width, expansion)
        self.width, self.expansion, self.joint, self.epsilon = width, expansion, joint, epsilon

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> GaLiTeState:
        sizes = (batch, self.features.heads, self.width * self.expansion, self.width + 1)
        return GaLiTeState(torch.zeros(sizes, device=device, dtype=torch.promote_types(dtype, torch.float32)))

    def read(self, x: Float[Tensor, "B T D"], state: GaLiTeState, form: str) -> tuple[Tensor, GaLiTeState]:
        query, key, gamma, value, beta = self.features(x, state.matrix.dtype)
        # The column of s holds the value 1, which no gate of values touches.
        value, beta = F.pad(value, (0, 1), value=1.0), F.pad(beta, (0, 1), value=float(self.joint))
        recurrence = joint_gates if self.joint else separate_gates
        y, matrix = self.run(recurrence, form, query, key, gamma, value, beta, state.matrix)
        y = y[..., :-1] / (y[..., -1:] + self.epsilon)
        return self.features.output(y.flatten(2).to(x.dtype)), GaLiTeState(matrix)


class AGaLiTe(MemoryInForms[AGaLiTeState]):
    """GaLiTe whose matrices are a few pairs of vectors (Pramanik et al. 2023, arXiv 2310.15719; first named AReLiT).

    Of each unit's outer product it keeps the factors, times R cosines of its place:
    v_t^j = (1 - beta) v_{t-1}^j + cos(omega_j t) beta v, k_t^j = (1 - gamma) k_{t-1}^j + cos(omega_j t) gamma phi_k and
    GaLiTe's s; it reads sum_j v^j (k^j . phi_q) / (2 R s . phi_q). Products of different units would cancel for many
    frequencies; the paper's R is 2. State: heads width (expansion (R + 1) + R) + 1 numbers a row in float32.
    Observables: as :class:`GaLiTe`.

    Frequencies are the authors' R from -pi to pi, ends included. So all cosines come back after 2 (R - 1) units (2 for
    R = 1), and where t stands in that period is all that is carried of it. Their clock calls the first unit 2, and so
    does ours; where it begins is seen from R = 4 on only, since up to R = 3 it changes signs that cancel. Theirs runs
    on at a reset, until float32 has no digits for it; here a reset sets it back. 1e-5 is added to what is divided by.

    Args:
        dim: width of inputs and outputs.
        heads: states side by side.
        width: V of a head.
        expansion: eta, K / V.
        cosines: R.
        first_tick: t of the first unit: 2 as in the authors' code, 1 to count units from 1.
        form: how a sequence is computed: "naive" unit by unit, "chunk" by chunks side by side, "parallel" by a scan.
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: fewer than one head, channel, cosine or tick, an unknown form, or a chunk without units.
    """

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        width: int = 64,
        expansion: int = 4,
        cosines: int = 2,
        first_tick: int = 2,
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__(dim, form, chunk)
        self.features = GatedFeatures(dim, heads, width, expansion)
        self.width, self.expansion, self.cosines = width, expansion, cosines
        self.common_period = 2 * max(cosines - 1, 1)
        self.before_first = (first_tick - 1) % self.common_period

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> AGaLiTeState:
        wide, heads = torch.promote_types(dtype, torch.float32), self.features.heads
        keys, values = (self.cosines + 1, self.expansion * self.width), (self.cosines, self.width)
        return AGaLiTeState(
            torch.zeros(batch, heads, *keys, device=device, dtype=wide),
            torch.zeros(batch, heads, *values, device=device, dtype=wide),
            torch.full((batch,), self.before_first, device=device, dtype=wide),
        )

    def read(self, x: Float[Tensor, "B T D"], state: AGaLiTeState, form: str) -> tuple[Tensor, AGaLiTeState]:
        query, key, gamma, value, beta = self.features(x, state.keys.dtype)
        begun, unit = count_on(state.unit.detach(), x.shape[1])
        place = begun[:, None] + torch.arange(1, x.shape[1] + 1, device=x.device)
        frequency = torch.linspace(-math.pi, math.pi, self.cosines, device=x.device, dtype=place.dtype)
        cosine = torch.cos((place % self.common_period)[..., None] * frequency)[:, :, None, :, None]  # B T 1 R 1
        written = torch.cat([cosine * key[..., None, :], key[..., None, :]], -2)
        keys, last_keys = self.run(diagonal, form, (1 - gamma)[..., None, :].expand_as(written), written, state.keys)
        written = cosine * value[..., None, :]
        kept = (1 - beta)[..., None, :].expand_as(written)
        values, last_values = self.run(diagonal, form, kept, written, state.values)
        found = (keys @ query[..., None]).squeeze(-1)  # B T H R+1
        y = (found[..., None, :-1] @ values).squeeze(-2) / (2 * self.cosines * found[..., -1:] + AGALITE_EPSILON)
        return self.features.output(y.flatten(2).to(x.dtype)), AGaLiTeState(
            last_keys, last_values, unit % self.common_period
        )


def _outer(a: Float[Tensor, "... M"], b: Float[Tensor, "... N"]) -> Float[Tensor, "... M*N"]:
    return (a[..., None] * b[..., None, :]).flatten(-2)
