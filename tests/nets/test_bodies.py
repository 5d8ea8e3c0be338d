"""Griffin's and xLSTM's bodies: which memories stand where, written out from their parts, and inside networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mnesis.memories.bank.window import Window
from mnesis.memories.linear.mlstm_block import MLSTMBlock
from mnesis.memories.linear.rg_lru import RGLRU
from mnesis.memories.recurrent.slstm import SLSTM
from mnesis.nets import LanguageModel
from mnesis.nets.griffin import Griffin
from mnesis.nets.stack import Block, Stack
from mnesis.nets.xlstm import XLSTM


def blocks(stack: Stack) -> list[Block]:
    return [cast(Block, block) for block in stack.blocks]


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight


def layer_norm(x: Tensor, weight: Tensor) -> Tensor:
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight


def written_out(stack: Stack, x: Tensor, norm: Callable[[Tensor, Tensor], Tensor] = rms_norm) -> Tensor:
    """From the memories alone."""
    for block in blocks(stack):
        x = x + block.memory(norm(x, block.memory_norm.weight))[0]
        if block.mlp is not None:
            assert block.mlp_norm is not None
            h, mlp = norm(x, block.mlp_norm.weight), block.mlp
            x = x + (F.gelu(h @ mlp.gate.weight.mT) * (h @ mlp.rise.weight.mT)) @ mlp.fall.weight.mT
    return norm(x, stack.final_norm.weight)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_griffin() -> None:
    torch.manual_seed(0)
    griffin = Griffin(12, layers=5, heads=2, window=7, blocks=4).double()
    assert [type(block.memory) for block in blocks(griffin)] == [RGLRU, RGLRU, Window, RGLRU, RGLRU]
    x = draw(2, 30, 12)
    assert (griffin(x)[0] - written_out(griffin, x)).abs().max() < 1e-12
    window = blocks(griffin)[2].memory
    assert isinstance(window, Window)
    assert window.key_value_heads == 1
    assert blocks(griffin)[0].mlp.rise.out_features == 36


def test_xlstm() -> None:
    torch.manual_seed(0)
    xlstm = XLSTM(12, layers=3, slstm_at=(1,), heads=2).double()
    assert [type(block.memory) for block in blocks(xlstm)] == [MLSTMBlock, SLSTM, MLSTMBlock]
    assert [block.mlp is None for block in blocks(xlstm)] == [True, False, True]
    assert blocks(xlstm)[1].mlp.rise.out_features == 16
    x = draw(2, 20, 12)
    assert (xlstm(x)[0] - written_out(xlstm, x, layer_norm)).abs().max() < 1e-12
    with pytest.raises(ValueError, match=r"slstm_at=\[3\]: there are blocks 0 to 2"):
        XLSTM(12, layers=3, slstm_at=(3,))


@pytest.mark.parametrize("memory", ["griffin", "xlstm"])
def test_a_language_model_has_one_as_its_body(memory) -> None:
    torch.manual_seed(0)
    model = LanguageModel(11, dim=12, memory=memory, depth=3, hidden=20, options={"heads": 2})
    assert len(model.reader.body.blocks) == 3
    tokens = torch.randint(11, (2, 30))
    (whole, _), (start, state) = model(tokens), model(tokens[:, :13])
    assert torch.allclose(torch.cat([start, model(tokens[:, 13:], state)[0]], 1), whole, atol=1e-5)
    with pytest.raises(ValueError, match=f"{memory} is a whole stack with MLPs of its own, so mlp='geglu'"):
        LanguageModel(11, dim=12, memory=memory, mlp="geglu")


@pytest.mark.parametrize("kind", ["geglu", "swiglu", None])
def test_blocks_have_other_mlps(kind) -> None:
    torch.manual_seed(0)
    stack, x = Stack(6, memory="min-gru", depth=1, hidden=10, mlp=kind).double(), draw(1, 9, 6)
    block = blocks(stack)[0]
    y = x + block.memory(rms_norm(x, block.memory_norm.weight))[0]
    if kind:
        assert block.mlp_norm is not None
        h, act = rms_norm(y, block.mlp_norm.weight), F.gelu if kind == "geglu" else F.silu
        y = y + (act(h @ block.mlp.gate.weight.mT) * (h @ block.mlp.rise.weight.mT)) @ block.mlp.fall.weight.mT
    assert (stack(x)[0] - rms_norm(y, stack.final_norm.weight)).abs().max() < 1e-12
    with pytest.raises(ValueError, match="there is no MLP 'relu'; choose one of gelu, geglu, swiglu"):
        Stack(6, mlp="relu")
