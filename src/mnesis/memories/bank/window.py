"""Sliding window: the keys and values of the last few units, forgotten all at once."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...core.domain import Share
from ...core.memory import Memory
from ...layers.short_convolution import ShortConvolution
from ...ops.window_attention import push, unfilled, window_attention_block, window_attention_naive
from ..in_forms import switched


class WindowState(NamedTuple):
    """The units that a later one can still see, the latest last; zero where there are none yet."""

    key: Float[Tensor, "B W-1 G K"]
    """Of each key head, not rotated."""
    value: Float[Tensor, "B W-1 G K"]
    tail: Float[Tensor, "B C-1 D"]
    """Of the short convolution; C = 1 without one."""
    position: Int[Tensor, " B"]
    """Units read."""


class Window(Memory[WindowState]):
    """Sliding-window attention (Child et al. 2019, arXiv 1904.10509; Beltagy et al. 2020, arXiv 2004.05150).

    Every unit attends to the last W, itself included: y_t = W_o sum_j softmax_j(R q_t . R k_j / sqrt(K)) v_j over
    j = t-W+1..t, with rotary positions R relative to the window. A unit is remembered exactly for W-1 more and then
    not at all. The state is 2 (W - 1) dim key_value_heads / heads numbers; a step costs as much as W keys.

    Args:
        dim: width of inputs and outputs.
        heads: attention heads.
        window: W, at least 2. (RecurrentGemma's code counts without the unit itself: its 2,048 is 2,049 here.)
        key_value_heads: G, of keys and values, each shared by as many query heads (Shazeer 2019, arXiv 1911.02150, has
            1; Ainslie et al. 2023, arXiv 2305.13245); None = heads.
        convolution: width of a causal convolution before the projections; None = without.
        rotary_fraction: share of every head's channels, the first, that R turns, an even number of them; its
            wavelengths go over these (RecurrentGemma 0.5). 0 = no positions.
        output_bias: whether the output map has one.
        form: "block" attends block by block, linear in time; "naive" is its twin with one dense mask.

    Raises:
        ValueError: dim does not split into heads, key heads that do not divide them, a window without an earlier unit,
            a share of channels that is no even number, or an unknown form.
    """

    forms: ClassVar[tuple[str, ...]] = ("naive", "block")
    native_length: ClassVar[bool] = True

    def __init__(
        self,
        dim: int,
        *,
        heads: int = 4,
        window: int = 512,
        key_value_heads: int | None = None,
        convolution: int | None = None,
        rotary_fraction: Share = 1.0,
        output_bias: bool = False,
        form: str = "block",
    ) -> None:
        super().__init__()
        if dim % heads or dim // heads % 2:
            raise ValueError(
                f"dim={dim} does not split into {heads} heads of even width; make dim a multiple of {2 * heads}"
            )
        turned = round(dim // heads * rotary_fraction)
        if turned % 2 or not math.isclose(turned, dim // heads * rotary_fraction):
            raise ValueError(
                f"rotary_fraction={rotary_fraction} turns {dim // heads * rotary_fraction:g} of a head's "
                f"{dim // heads} channels, which turn in pairs; give dim, heads or a share that make it even"
            )
        shared = heads if key_value_heads is None else key_value_heads
        if shared < 1 or heads % shared:
            raise ValueError(f"key_value_heads={shared} do not divide {heads} heads; give a divisor of heads")
        if window < 2:
            raise ValueError(f"window={window} sees no earlier unit and remembers nothing; give at least 2")
        if form not in self.forms:
            raise ValueError(f"no form {form!r}; choose one of {', '.join(self.forms)}")
        self.dim, self.heads, self.key_value_heads, self.window, self.form = dim, heads, shared, window, form
        self.width, self.turned = dim, turned
        self.convolution = ShortConvolution(dim, convolution) if convolution else None
        self.query_key_value = nn.Linear(dim, dim + 2 * shared * (dim // heads), bias=False)
        self.output = nn.Linear(dim, dim, bias=output_bias)

    def in_form(self, form: str) -> Window:
        """A copy that attends in that form."""
        return switched(self, form)

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> WindowState:
        shape = (batch, self.window - 1, self.key_value_heads, self.width // self.heads)
        width = self.convolution.width if self.convolution else 1
        return WindowState(
            torch.zeros(shape, device=device, dtype=dtype),
            torch.zeros(shape, device=device, dtype=dtype),
            torch.zeros(batch, width - 1, self.width, device=device, dtype=dtype),
            torch.zeros(batch, dtype=torch.long, device=device),
        )

    def scan(
        self,
        x: Float[Tensor, "B T D"],
        state: WindowState | None,
        phase: int = 0,
        *,
        length: Int[Tensor, " B"] | None = None,
        keep: bool = True,
    ) -> tuple[Tensor, Any]:
        tail = None if state is None else state.tail
        if self.convolution is not None:
            x, tail = self.convolution(x, tail, length)
        units = self.query_key_value(x).unflatten(-1, (self.heads + 2 * self.key_value_heads, -1))
        query, key, value = units.split((self.heads, self.key_value_heads, self.key_value_heads), 2)
        if state is None:  # nothing stands before
            keys, values, filled = key[:, :0], value[:, :0], torch.zeros_like(x[:, 0, 0], dtype=torch.long)
        else:
            filled, empty = state.position, unfilled(state.position, self.window - 1)
            slots = torch.arange(1 - self.window + empty, 0, device=x.device)
            real = (slots >= -filled[:, None])[..., None, None]
            # Chosen, not multiplied: what stands in an empty slot reaches no output and gets no gradient.
            keys, values = (torch.where(real, slot[:, empty:], torch.zeros_like(slot[:, empty:])) for slot in state[:2])
        attend = window_attention_block if self.form == "block" else window_attention_naive
        context = attend(
            query,
            torch.cat([keys.to(key.dtype), key], 1),
            torch.cat([values.to(value.dtype), value], 1),
            filled,
            self.window,
            self.turned,
        )
        y = self.output(context.flatten(2))
        if not keep:
            return y, None
        if state is None:
            state = self._fresh(x.shape[0], x)
            keys, values = state.key, state.value
        elif keys.shape[1] < self.window - 1:  # a pad of nothing would copy them
            keys, values = (F.pad(slot, (0, 0, 0, 0, self.window - 1 - slot.shape[1], 0)) for slot in (keys, values))
        tail = state.tail if tail is None else tail.to(state.tail.dtype)
        position = filled + (x.shape[1] if length is None else length)
        return y, WindowState(push(keys, key, length), push(values, value, length), tail, position)
