"""xLSTM's residual blocks beside the authors': a whole network, where it starts, and the norms between its memories."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mnesis.memories.linear.mlstm_block import MLSTMBlock
from mnesis.memories.recurrent.slstm import SLSTM
from mnesis.nets.stack import Block
from mnesis.nets.xlstm import XLSTM
from tests.memories.test_mlstm_block import ours as of_mlstm
from tests.memories.test_slstm import ours as of_slstm

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "xlstm.safetensors"
SLSTM_AT = (1,)


def ours(golden: dict[str, Tensor], folder: str, *, residual: float) -> dict[str, Tensor]:
    """Published weights, or their gradients, by name and layout here; norms there are differences from 1."""
    held = {name.removeprefix(folder): value for name, value in golden.items() if name.startswith(folder)}
    found = {"final_norm.weight": residual + held["post_blocks_norm.weight"]}
    for block in range(3):
        inside = {k.removeprefix(f"blocks.{block}."): v for k, v in held.items() if k.startswith(f"blocks.{block}.")}
        own = {"memory_norm.weight": residual + inside["xlstm_norm.weight"]}
        if block in SLSTM_AT:
            own |= {f"memory.{name}": value for name, value in of_slstm(inside, "xlstm.", 2).items()}
            own["memory.scale"] = residual + own["memory.scale"]
            own["mlp_norm.weight"] = residual + inside["ffn_norm.weight"]
            own["mlp.gate.weight"], own["mlp.rise.weight"] = inside["ffn.proj_up.weight"].chunk(2)
            own["mlp.fall.weight"] = inside["ffn.proj_down.weight"]
        else:
            cell = (of_mlstm(k.removeprefix("xlstm."), v) for k, v in inside.items() if k.startswith("xlstm."))
            own |= {f"memory.{name}": value for name, value in cell}
            if not residual:  # what is no gradient has been added to 1 already
                own["memory.scale"] = own["memory.scale"] - 1
        found |= {f"blocks.{block}.{name}": value for name, value in own.items()}
    return found


def published(form: str = "chunk") -> tuple[XLSTM, dict[str, Tensor]]:
    golden = load_file(GOLDEN)
    model = XLSTM(8, layers=3, slstm_at=SLSTM_AT, heads=2, hidden=11, chunk=5).double()
    model.load_state_dict(ours(golden, "weight/", residual=1.0))
    for module in model.modules():
        if isinstance(module, MLSTMBlock):
            module.form = form
    return model, golden


def blocks(model: XLSTM) -> list[Block]:
    return [cast(Block, block) for block in model.blocks]


@pytest.mark.parametrize("form", MLSTMBlock.forms)
def test_golden(form) -> None:
    model, golden = published(form)
    x = golden["input/x"].requires_grad_()
    y, _ = model(x)
    h = x
    for index, block in enumerate(blocks(model)):
        h, _ = block(h, None, phase=0)
        assert (h - golden[f"output/block.{index}"]).abs().max() < 1e-11
    assert (y - golden["output/y"]).abs().max() < 1e-11
    first, middle = model(x[:, :7])
    assert (torch.cat([first, model(x[:, 7:], middle)[0]], 1) - golden["output/y"]).abs().max() < 1e-11
    expected = ours(golden, "gradient/", residual=0.0) | {"x": golden["gradient/x"]}
    wanted = {"x": x, **dict(model.named_parameters())}
    assert expected.keys() == wanted.keys()
    found = torch.autograd.grad(y.square().sum(), tuple(wanted.values()))
    for name, gradient in zip(wanted, found, strict=True):
        # Theirs goes through the maximum too, which tells by the small term beside the mLSTM's denominator alone.
        assert (gradient - expected[name]).abs().max() < 1e-7 * expected[name].abs().max().clamp_min(1), name


@pytest.mark.parametrize(("case", "at", "layers"), [("all", (0, 1, 2, 3), 4), ("some", (1, 3), 4), ("one", (0,), 1)])
def test_forget_biases_start_by_block(case, at, layers) -> None:
    golden = load_file(GOLDEN)
    model = XLSTM(16, layers=layers, slstm_at=at, heads=2).double()
    for index in at:
        cell = blocks(model)[index].memory
        assert isinstance(cell, SLSTM)
        # Ours are computed in float32, of which 12 r^p keeps seven digits.
        assert (cell.bias[1] - golden[f"start/{case}/forget.{index}"]).abs().max() < 3e-6
        assert not cell.bias[[0, 2, 3]].any()


def test_matrices_start_as_published() -> None:
    torch.manual_seed(0)
    model = XLSTM(256, layers=4, slstm_at=(1, 3))
    narrow, back = (2 / (5 * 256)) ** 0.5, 2 / (4 * 256**0.5)
    for index, block in enumerate(blocks(model)):
        memory = block.memory
        if isinstance(memory, SLSTM):
            spread = {"input": narrow, "recurrent": 0.0}
            assert float(block.mlp.rise.weight.detach().std()) == pytest.approx(narrow, rel=0.02)
            assert float(block.mlp.gate.weight.detach().std()) == pytest.approx(narrow, rel=0.02)
            assert float(block.mlp.fall.weight.detach().std()) == pytest.approx(back, rel=0.02)
        else:
            spread = {"rise.weight": narrow, "output.weight": back}
        for name, expected in spread.items():
            assert float(memory.get_parameter(name).detach().std()) == pytest.approx(expected, rel=0.02), (index, name)


def test_norms() -> None:
    """What all channels share passes by the blocks in the residuals; one kind of norm sees it, the other does not."""
    x = torch.randn(2, 9, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved: list[float] = []
    for kind in ("layer", "rms"):
        torch.manual_seed(0)
        model = XLSTM(12, heads=2, slstm_at=(1,), norm=kind).double()
        moved.append(float((model(x)[0] - model(x + 1)[0]).detach().abs().max()))
        assert not [name for name, _ in model.named_parameters() if "norm.bias" in name]
    assert moved[0] < 1e-12
    assert moved[1] > 0.1
    with pytest.raises(ValueError, match="norm='batch'"):
        XLSTM(12, norm=cast(Any, "batch"))


def test_norms_keep_the_dtype_under_autocast() -> None:
    model = XLSTM(12, heads=2, slstm_at=(1,))
    with torch.autocast("cpu", torch.bfloat16):
        for x in (torch.randn(2, 9, 12), torch.randn(2, 9, 12).bfloat16()):
            assert model.final_norm(x).dtype == x.dtype
