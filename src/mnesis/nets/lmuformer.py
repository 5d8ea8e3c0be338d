"""LMUFormer: a Transformer whose attention is a Legendre memory unit, with ordinary or with spiking neurons."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..core.memory import Memory
from ..core.record import record
from ..memories.in_forms import switched
from ..memories.linear.parallel_lmu import ParallelLMU, ParallelLMUState, Polynomials
from ..ops.spiking import Surrogate, leaky_integrate_and_fire

EARLY = 0.5
"""Threshold of a layer's first neurons, which the authors found better than 1."""


class LayerState(NamedTuple):
    """What one layer carries, in float32 or wider."""

    memory: ParallelLMUState
    membranes: tuple[Float[Tensor, "B N"], ...]
    """Of all its neurons, in their order; none without spikes."""


class SpikingUnit(nn.Module):
    """What neurons of the layer stand between: the linear maps of a unit, and the polynomials that remember.

    Args:
        dim: width of inputs and outputs.
        order: coefficients of the one signal.
        window, form, chunk: of :class:`~mnesis.memories.linear.parallel_lmu.ParallelLMU`.
    """

    def __init__(self, dim: int, *, order: int, window: float, form: str, chunk: int | None) -> None:
        super().__init__()
        self.memory = Polynomials(1, order=order, window=window, form=form, chunk=chunk)
        self.input, self.output = nn.Linear(dim, 1), nn.Linear(order + dim, dim)


class LMUFormerLayer(nn.Module):
    """x + norm(linear(LMU(x))), and then as much of an MLP; see :class:`LMUFormer`."""

    def __init__(
        self,
        dim: int,
        *,
        hidden: int,
        window: float,
        spiking: bool,
        surrogate: Surrogate,
        form: str,
        chunk: int | None,
    ) -> None:
        super().__init__()
        self.surrogate: Surrogate = surrogate
        order = 2 * dim if spiking else dim
        unit = SpikingUnit if spiking else ParallelLMU
        self.unit = unit(dim, order=order, window=window, form=form, chunk=chunk)
        self.projection, self.rise, self.fall = nn.Linear(dim, dim), nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        # Of what is heard, the coefficients, the unit's output, the projection and the MLP's two layers.
        widths = (dim, order, dim, dim, dim, hidden) if spiking else (dim, hidden, dim)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)
        self.neurons = (dim, 1, order, dim, dim, hidden) if spiking else ()

    def forward(
        self, x: Float[Tensor, "B T D"], state: LayerState, *, step: bool = False
    ) -> tuple[Float[Tensor, "B T D"], LayerState]:
        """Read some units; with ``step``, a single one as steps are read."""
        if self.neurons:
            return self._spiking(x, state, step)
        y, memory = _remember(self.memory, x, state.memory, step)
        x = x + self.norms[0](self.projection(y))
        h = F.gelu(self.norms[1](self.rise(x)))
        return x + F.relu(self.norms[2](self.fall(h))), LayerState(memory, ())

    @property
    def memory(self) -> Polynomials:
        """What remembers; a whole unit where no neurons stand inside it."""
        return cast(Polynomials, self.unit.memory if self.neurons else self.unit)

    def _spiking(self, x: Float[Tensor, "B T D"], state: LayerState, step: bool) -> tuple[Tensor, LayerState]:
        """The same from spikes alone: every linear map reads nothing else."""
        membranes, narrow = list(state.membranes), x.dtype
        heard_norm, kept_norm, unit_norm, out_norm, *mlp_norms = self.norms
        heard = self._fire(heard_norm(x), membranes, EARLY).to(narrow)
        m, memory = _remember(self.memory, self._fire(self.unit.input(heard), membranes), state.memory, step)
        kept = self._fire(kept_norm(m.to(narrow)), membranes).to(narrow)
        y = self._fire(unit_norm(self.unit.output(torch.cat([kept, heard], -1))), membranes).to(narrow)
        x = x + out_norm(self.projection(y))
        first = self._fire(mlp_norms[0](x), membranes).to(narrow)
        h = self._fire(mlp_norms[1](self.rise(first)), membranes).to(narrow)
        record("lmuformer/spikes", torch.cat([heard, kept, y, h], -1))
        return x + self.fall(h), LayerState(memory, tuple(membranes))

    def _fire(
        self, heard: Float[Tensor, "B T N"], membranes: list[Tensor], threshold: float = 1.0
    ) -> Float[Tensor, "B T N"]:
        """Spikes of the neurons whose membrane comes first of ``membranes``; what becomes of it is put last."""
        before = membranes.pop(0)
        spikes, after = leaky_integrate_and_fire(
            heard.to(before.dtype), before, threshold=threshold, surrogate=self.surrogate
        )
        membranes.append(after)
        return spikes


def _remember(
    memory: Polynomials, x: Float[Tensor, "B T W"], state: ParallelLMUState, step: bool
) -> tuple[Float[Tensor, "B T E"], ParallelLMUState]:
    if not step:
        return memory(x, state, phase=0)
    y, state = memory(x.squeeze(1), state, step=True)
    return y.unsqueeze(1), state


class LMUFormer(Memory[tuple[LayerState, ...]]):
    """LMUFormer's layers (Liu et al. 2024, arXiv 2402.04882).

    Each is x + norm(linear(LMU(x))) and then x + relu(norm(linear(gelu(norm(linear(x)))))), with the parallel Legendre
    memory unit (:class:`~mnesis.memories.linear.parallel_lmu.ParallelLMU`) of one signal a layer. With ``spiking`` all
    linear maps read spikes of leaky neurons, which stand behind the norms (the authors' order that lets x pass by), the
    unit has twice the coefficients, and every membrane is carried. State: dim numbers a layer in float32; 6 dim + 1 +
    hidden + dim with spikes, of which 2 dim are the unit's. Observable: ``lmuformer/spikes`` of every spiking layer,
    [B T 4 dim + hidden].

    Ours: the paper normalises every channel over rows and time, which lets a row see others and the future while it
    trains; here each unit is normalised over its channels, and the one signal, which is a channel alone, not at all.
    The paper's convolutions before the first layer, which shorten the input, are a matter of the input. Gradients pass
    through a spike as through an arctangent of slope 1; in the authors' code (zeyuliu1037/LMUFormer) as through
    sigmoid(4 v), spikingjelly's default, which ``surrogate="sigmoid"`` takes.

    Measured: with spikes the one signal of a layer is silent at the start, and training wakes it; without, its ReLU may
    be dead from the start where inputs take few values.

    Args:
        dim: width of inputs and outputs.
        layers: how many.
        hidden: width of the MLPs; 4 dim if None.
        window: units that the units of memory span; 128 in the paper.
        spiking: with spiking neurons. What is near a threshold may fall to either side of it: outputs of other cuts
            are the same to the last digit in float64, while in float32 a spike may now and then differ.
        surrogate: of spiking neurons, what gradients pass through, "sigmoid" as in the authors' code, or "arctangent".
        form: how the units of memory are computed: "naive" unit by unit, "chunk" by chunks, "parallel" by one
            convolution (FFT).
        chunk: units in a chunk; changes speed, not results.

    Raises:
        ValueError: no layers, a window without units, an unknown form, or a chunk without units.
    """

    forms: ClassVar[tuple[str, ...]] = ParallelLMU.forms

    def __init__(
        self,
        dim: int,
        *,
        layers: int = 2,
        hidden: int | None = None,
        window: float = 128.0,
        spiking: bool = False,
        surrogate: Surrogate = "sigmoid",
        form: str = "chunk",
        chunk: int | None = None,
    ) -> None:
        super().__init__()
        self.dim, self.form = dim, form
        self.layers = nn.ModuleList(
            LMUFormerLayer(
                dim,
                hidden=hidden or 4 * dim,
                window=window,
                spiking=spiking,
                surrogate=surrogate,
                form=form,
                chunk=chunk,
            )
            for _ in range(layers)
        )

    def in_form(self, form: str) -> LMUFormer:
        """A copy whose units of memory are computed in that form."""
        return switched(self, form)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> tuple[LayerState, ...]:
        wide = torch.promote_types(dtype, torch.float32)
        found = []
        for layer in self.layers:
            layer = cast(LMUFormerLayer, layer)
            membranes = tuple(torch.zeros(batch, width, device=device, dtype=wide) for width in layer.neurons)
            found.append(LayerState(layer.memory.initial_state(batch, device=device, dtype=dtype), membranes))
        return tuple(found)

    def scan(
        self, x: Float[Tensor, "B T D"], state: tuple[LayerState, ...], phase: int = 0
    ) -> tuple[Tensor, tuple[LayerState, ...]]:
        return self._read(x, state, step=False)

    def step(self, x: Float[Tensor, "B D"], state: tuple[LayerState, ...]) -> tuple[Tensor, tuple[LayerState, ...]]:
        y, state = self._read(x[:, None], state, step=True)
        return y.squeeze(1), state

    def _read(self, x: Tensor, state: tuple[LayerState, ...], *, step: bool) -> tuple[Tensor, tuple[LayerState, ...]]:
        carried = []
        for layer, own in zip(self.layers, state, strict=True):
            x, own = layer(x, own, step=step)
            carried.append(own)
        return x, tuple(carried)
