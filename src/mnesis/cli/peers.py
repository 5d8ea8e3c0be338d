"""The best public PyTorch implementation of each mechanism that installs with pip and runs on a CPU, for the bench.

Named before anything is measured. Of a library that has the operation alone, our layer is measured with its operation
in place of ours; of one that has the layer, the layer at the same sizes. None of them is installed with mnesis.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from ..core.memory import Memory


@dataclass(frozen=True)
class Peer:
    """Another implementation of a catalogued memory.

    Args:
        package: what pip installs.
        name: of what is measured, within it.
        build: of our memory as benched, a function of x ``[B T D]`` with the same sizes.
    """

    package: str
    name: str
    build: Callable[[Any], nn.Module]

    @property
    def label(self) -> str:
        """As tables name it."""
        return f"{self.package}: {self.name}"


class Alone(Memory[tuple[()]]):
    """Somebody's layer, for training alone: what it carries, if anything, stays inside."""

    def __init__(self, dim: int, layer: nn.Module) -> None:
        super().__init__()
        self.dim, self.layer = dim, layer

    def initial_state(self, batch: int, *, device: torch.device, dtype: torch.dtype) -> tuple[()]:
        return ()

    def scan(self, x: Tensor, state: tuple[()], phase: int = 0) -> tuple[Tensor, tuple[()]]:
        return self.layer(x), ()


class _Ours(nn.Module):
    """Our layer around an operation that is not ours."""

    def __init__(self, memory: Any, operation: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.memory = copy.deepcopy(memory)
        self.memory.run_instead = lambda recurrence, form, *parts: operation(*parts)

    def forward(self, x: Tensor) -> Tensor:
        state = self.memory.initial_state(x.shape[0], device=x.device, dtype=x.dtype)
        return self.memory.read(x, state, "chunk")[0]


def is_installed(peer: Peer) -> bool:
    """Whether pip has installed its package."""
    try:
        importlib.metadata.version(peer.package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def build_peer(peer: Peer, memory: Memory[Any]) -> Memory[Any]:
    """The peer at the sizes of our memory."""
    assert memory.dim is not None, "peers read vectors"
    return Alone(memory.dim, peer.build(memory))


def _fla(operation: str) -> ModuleType:
    """fla.ops.OPERATION.naive, which runs without the GPU compiler that the package's __init__ asks for."""
    package = importlib.util.find_spec("fla")
    assert package is not None
    assert package.submodule_search_locations
    path = Path(package.submodule_search_locations[0]) / "ops" / operation / "naive.py"
    spec = importlib.util.spec_from_file_location(f"fla_{operation}_naive", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _linear_attention(memory: Any) -> nn.Module:
    function = _fla("linear_attn").naive_chunk_linear_attn
    return _Ours(memory, lambda q, k, v, decay, matrix: (function(q, k, v, scale=1.0), matrix))


def _scalar_decay(memory: Any) -> nn.Module:
    function = _fla("simple_gla").naive_chunk_simple_gla
    return _Ours(memory, lambda q, k, v, decay, matrix: (_first(function(q, k, v, decay, scale=1.0)), matrix))


def _gla(memory: Any) -> nn.Module:
    function = _fla("gla").naive_recurrent_gla

    def operation(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, matrix: Tensor) -> tuple[Tensor, ...]:
        return function(q * q.shape[-1] ** 0.5, k, v, decay)[0], matrix  # it scales queries itself

    return _Ours(memory, operation)


def _delta_rule(memory: Any) -> nn.Module:
    function = _fla("delta_rule").delta_rule_chunkwise

    def operation(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, decay: None, matrix: Tensor) -> tuple[Tensor, ...]:
        y = _first(function(*(part.transpose(1, 2) for part in (q, k, v, beta))))
        return y.transpose(1, 2), matrix

    return _Ours(memory, operation)


def _gated_delta_rule(memory: Any) -> nn.Module:
    function = _fla("gated_delta_rule").naive_chunk_gated_delta_rule

    def operation(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, decay: Tensor | None, matrix: Tensor):
        decay = torch.zeros_like(beta) if decay is None else decay
        return _first(function(q, k, v, decay, beta)), matrix

    return _Ours(memory, operation)


def _mlstm(memory: Any) -> nn.Module:
    from mlstm_kernels.torch.chunkwise.native import (  # pyright: ignore[reportMissingImports]
        mlstm_chunkwise__native_custbw,
    )

    def operation(q: Tensor, k: Tensor, v: Tensor, log_input: Tensor, log_kept: Tensor, *carried: Tensor):
        # It scales queries, takes forget gates before their sigmoid, and divides by the normaliser.
        gate = log_kept - torch.log(-torch.expm1(log_kept))
        parts = (part.transpose(1, 2).contiguous() for part in (q * q.shape[-1] ** 0.5, k, v, log_input, gate))
        h = mlstm_chunkwise__native_custbw(*parts).transpose(1, 2)
        one = torch.ones_like(h[..., :1])
        return torch.cat([h, one], -1), one.squeeze(-1), *carried

    return _Ours(memory, operation)


def _diagonal(memory: Any) -> nn.Module:
    from gateloop_transformer.associative_scan import associative_scan  # pyright: ignore[reportMissingImports]
    from gateloop_transformer.simplified_gate_loop import binary_operator  # pyright: ignore[reportMissingImports]

    def operation(decay: Tensor, update: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        held = associative_scan(binary_operator, (decay, update))[1]
        return held, held[:, -1]

    return _Ours(memory, operation)


def _s5(memory: Any) -> nn.Module:
    from s5 import S5  # pyright: ignore[reportMissingImports]

    return S5(memory.dim, 2 * memory.channels)


def _min_gru(memory: Any) -> nn.Module:
    from minGRU_pytorch import minGRU  # pyright: ignore[reportMissingImports]

    return minGRU(memory.dim, expansion_factor=memory.hidden / memory.dim, proj_out=True)


def _min_lstm(memory: Any) -> nn.Module:
    from minGRU_pytorch.minLSTM import minLSTM  # pyright: ignore[reportMissingImports]

    return minLSTM(memory.dim, expansion_factor=memory.hidden / memory.dim, proj_out=True)


def _mamba(memory: Any) -> nn.Module:
    from mambapy.mamba import MambaBlock, MambaConfig  # pyright: ignore[reportMissingImports]

    expansion = memory.channels // memory.dim
    return MambaBlock(MambaConfig(memory.dim, 1, d_state=memory.states, expand_factor=expansion))


def _mamba2(memory: Any) -> nn.Module:
    from transformers.models.mamba2.modeling_mamba2 import (  # pyright: ignore[reportMissingImports]
        Mamba2Config,
        Mamba2Mixer,
    )

    given = memory.config
    channels = given["expansion"] * memory.dim
    config = Mamba2Config(
        hidden_size=memory.dim,
        num_heads=channels // given["width"],
        head_dim=given["width"],
        state_size=given["states"],
        expand=given["expansion"],
        n_groups=given["groups"],
        conv_kernel=given["convolution"],
        chunk_size=64,
    )
    return Mamba2Mixer(config, layer_idx=0)


def _taylor(memory: Any) -> nn.Module:
    function = _fla("based").naive_chunk_based

    def operation(q: Tensor, k: Tensor, v: Tensor, decay: None, matrix: Tensor) -> tuple[Tensor, ...]:
        return function(*(part.transpose(1, 2) for part in (q, k, v))).transpose(1, 2), matrix

    ours = _Ours(memory, operation)
    ours.memory.features = lambda x: x  # it multiplies coordinates itself
    return ours


def _slstm(memory: Any) -> nn.Module:
    from xlstm.blocks.slstm.layer import sLSTMLayer, sLSTMLayerConfig  # pyright: ignore[reportMissingImports]

    convolution = memory.config["convolution"] or 0
    config = sLSTMLayerConfig(
        embedding_dim=memory.dim, num_heads=memory.heads, conv1d_kernel_size=convolution, backend="vanilla"
    )
    return sLSTMLayer(config)


def _tcn(memory: Any) -> nn.Module:
    from pytorch_tcn import TCN  # pyright: ignore[reportMissingImports]

    return TCN(memory.dim, [memory.output.in_features] * memory.levels, kernel_size=memory.kernel, input_shape="NLC")


def _torch(cell: Callable[..., nn.Module]) -> Callable[[Any], nn.Module]:
    return lambda memory: _Cell(cell(memory.dim, memory.dim, batch_first=True))


class _Cell(nn.Module):
    """A recurrent layer of torch, its outputs alone."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0]


def _first(found: Any) -> Tensor:
    return found[0] if isinstance(found, tuple) else found


_FLA, _GATELOOP = "flash-linear-attention", "gateloop-transformer"
PEERS: dict[str, Peer] = {
    "elman": Peer("torch", "nn.RNN", _torch(nn.RNN)),
    "lstm": Peer("torch", "nn.LSTM", _torch(nn.LSTM)),
    "gru": Peer("torch", "nn.GRU", _torch(nn.GRU)),
    "linear-attention": Peer(_FLA, "naive_chunk_linear_attn", _linear_attention),
    "retention": Peer(_FLA, "naive_chunk_simple_gla", _scalar_decay),
    "gla": Peer(_FLA, "naive_recurrent_gla", _gla),
    "gateloop": Peer(_GATELOOP, "associative_scan", _diagonal),
    "mlstm": Peer("mlstm-kernels", "mlstm_chunkwise__native_custbw", _mlstm),
    "mamba": Peer("mambapy", "MambaBlock", _mamba),
    "mamba2": Peer("transformers", "Mamba2Mixer", _mamba2),
    "min-gru": Peer("minGRU-pytorch", "minGRU", _min_gru),
    "min-lstm": Peer("minGRU-pytorch", "minLSTM", _min_lstm),
    "rg-lru": Peer(_GATELOOP, "associative_scan", _diagonal),
    "lru": Peer(_GATELOOP, "associative_scan", _diagonal),
    "ffm": Peer(_GATELOOP, "associative_scan", _diagonal),
    "s5": Peer("s5-pytorch", "S5", _s5),
    "taylor-attention": Peer(_FLA, "naive_chunk_based", _taylor),
    "slstm": Peer("xlstm", "sLSTMLayer, vanilla", _slstm),
    "delta-rule": Peer(_FLA, "delta_rule_chunkwise", _delta_rule),
    "gated-delta-rule": Peer(_FLA, "naive_chunk_gated_delta_rule", _gated_delta_rule),
    "delta-product": Peer(_FLA, "naive_chunk_gated_delta_rule", _gated_delta_rule),
    "tcn": Peer("pytorch-tcn", "TCN", _tcn),
}
"""By the name of the memory. No PyTorch implementation that installs so and runs on a CPU was found of Aaren, GaLiTe,
AGaLiTe, bilinear transitions, MoM, Lattice, MemMamba, S4D, LSSL, HiPPO, LMU, StableSSM, MultiresConv and FSMN."""
