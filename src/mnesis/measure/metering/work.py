"""How much a network computes for every unit that it reads, counted while it runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ...core.memory import Memory
from ...core.task import Episode


class Work(NamedTuple):
    """Multiply-adds of reading one unit, without a backward pass.

    ``products`` are those of matrix products and convolutions, as torch's FlopCounterMode counts them (two operations
    each). ``elementwise`` are all others, which it counts as nothing though a recurrence may consist of them: one for
    each number that an elementwise function writes or a sum reads, four where complex numbers are multiplied,
    n log2 n for a Fourier transform of n. What only moves numbers counts as nothing here too.
    """

    products: float
    elementwise: float

    @property
    def multiply_adds(self) -> float:
        """Both."""
        return self.products + self.elementwise


@torch.no_grad()
def work(network: Memory[Any], episode: Episode) -> Work:
    """Count the work of reading an episode, by unit.

    Args:
        network: in the form that it was built in; forms differ, since chunks trade more products for fewer steps.
        episode: padding counts as read.

    Raises:
        NotImplementedError: an operation of torch that no rule here knows; it would count as nothing unnoticed.
    """
    was_training = network.training
    network.eval()
    rows, units = episode.inputs.shape[:2]
    with _Counter() as counter:
        network(episode.inputs, reset=episode.reset, length=episode.length)
    network.train(was_training)
    return Work(counter.products / (rows * units), counter.elementwise / (rows * units))


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.products, self.elementwise = 0.0, 0.0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name, packet = func._overloadpacket.__name__, func._overloadpacket
        if packet in flop_registry:
            flops = flop_registry[packet](*args, **(kwargs or {}), out_val=out)
            self.products += flops / 2 * (4 if _is_complex(out) else 1)
        elif name in PRODUCTS:
            self.products += PRODUCTS[name](args, out)
        elif name in MOVES or func.is_view or (torch.Tag.pointwise in func.tags and not _computes(out)):
            pass
        elif name == "aminmax" and not _computes(out):
            pass  # whether token ids are in their range
        elif name in FOURIER:
            size = args[0].shape[args[1][-1]] if name != "_fft_c2r" else args[3]
            self.elementwise += max(_count(args[0]), _count(out)) * math.log2(max(size, 2))
        elif name in READS:
            self.elementwise += _count(args[0])
        elif torch.Tag.pointwise in func.tags or name in WRITES:
            times = (4 if name in ("mul", "mul_", "div", "div_", "addcmul", "pow") else 2) if _is_complex(out) else 1
            self.elementwise += times * _count(out)
        else:
            raise NotImplementedError(f"no rule says what {packet} computes; add one to {__name__}")
        return out


def _first(out: Any) -> Any:
    return out[0] if isinstance(out, (tuple, list)) else out


def _count(out: Any) -> int:
    return _first(out).numel() if isinstance(_first(out), Tensor) else 0


def _computes(out: Any) -> bool:
    found = _first(out)
    return isinstance(found, Tensor) and (found.is_floating_point() or found.is_complex())


def _is_complex(out: Any) -> bool:
    found = _first(out)
    return isinstance(found, Tensor) and found.is_complex()


def _of_attention(args: tuple[Any, ...], out: Any) -> int:
    query, key, value = args[:3]
    return query.numel() * key.shape[-2] + query.shape[:-1].numel() * value.shape[-2] * value.shape[-1]


def _of_gated_layer(args: tuple[Any, ...], out: Any) -> int:
    x, into, hidden = args[:3]
    return x.shape[0] * x.shape[1] * (into.numel() + hidden.numel())


def _of_solving(args: tuple[Any, ...], out: Any) -> float:
    matrix = args[0]
    return _first(out).numel() * matrix.shape[-1] / 2  # a triangle of it


PRODUCTS: Mapping[str, Callable[[tuple[Any, ...], Any], float | int]] = {
    "_scaled_dot_product_flash_attention_for_cpu": _of_attention,
    "_scaled_dot_product_attention_math": _of_attention,
    "mkldnn_rnn_layer": _of_gated_layer,
    "linalg_solve_triangular": _of_solving,
    "_linalg_solve_ex": lambda args, out: args[0].numel() * args[0].shape[-1] / 3 + _first(out).numel() * 2,
    "dot": lambda args, out: args[0].numel(),
}
FOURIER = frozenset({"_fft_r2c", "_fft_c2r", "_fft_c2c"})
_READS = """
    sum mean prod cumsum cumprod amax amin aminmax max min topk sort logsumexp logcumsumexp linalg_vector_norm var
    _softmax _log_softmax native_layer_norm _weight_norm_interface glu log_sigmoid_forward embedding_renorm_
"""
WRITES = frozenset(("polar",))
_MOVES = """
    clone copy_ _to_copy _unsafe_view transpose_ cat stack repeat roll flip index index_select index_put index_put_
    gather scatter scatter_ constant_pad_nd tril triu unsafe_split complex embedding masked_fill where fill_ zero_
    arange eye full full_like linspace ones ones_like zeros zeros_like new_zeros new_full empty empty_like
    new_empty new_empty_strided empty_strided scalar_tensor lift_fresh _local_scalar_dense promote_types equal all
    any nonzero bincount argmax argmin searchsorted unique_consecutive _unique2 _linalg_check_errors is_same_size
    repeat_interleave resize_ one_hot _neg_view
"""
READS, MOVES = frozenset(_READS.split()), frozenset(_MOVES.split())
