"""The mLSTM between projections: the authors' layer, what leads around the cell, its state and its options."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from mnesis.core.state import nbytes
from mnesis.memories.linear.mlstm_block import MLSTMBlock

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "mlstm_block.safetensors"
NAMES = {"proj_up": "rise", "proj_down": "output", "q_proj": "query", "k_proj": "key", "v_proj": "value"}
NAMES |= {"mlstm_cell.igate": "input_gate", "mlstm_cell.fgate": "forget_gate", "conv1d.conv": "convolution"}


def ours(name: str, value: Tensor) -> tuple[str, Tensor]:
    """A golden weight's name and layout here."""
    if name == "learnable_skip":
        return "skip", value
    if name == "mlstm_cell.outnorm.weight":
        return "scale", 1 + value.unflatten(0, (2, -1))
    part, kind = name.rsplit(".", 1)
    if part.endswith("_proj"):
        value = value.mT
    if part == "conv1d.conv" and kind == "weight":
        value = value[:, 0].flip(-1).mT
    return f"{NAMES[part]}.{kind}", value


@pytest.mark.parametrize("form", MLSTMBlock.forms)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-7), (torch.float32, 1e-5)])
def test_golden(form, dtype, tolerance) -> None:
    golden = load_file(GOLDEN)
    memory = MLSTMBlock(8, heads=2, expansion=8.0, form=form, chunk=5)
    memory.load_state_dict(dict(ours(k.removeprefix("weight/"), v) for k, v in golden.items() if "weight/" in k))
    memory = memory.to(dtype)
    y, state = memory(golden["input/x"].to(dtype))
    assert (y - golden["output/y"]).abs().max() < tolerance * golden["output/y"].abs().max()
    # There the maximum starts at 0, which scales all that is kept alike.
    scale = (state.maximum.double() - golden["state/maximum"]).exp()[..., None, None]
    expected = torch.cat([golden["state/matrix"], golden["state/normaliser"][..., None]], -1)
    assert (state.matrix.double() * scale - expected).abs().max() < tolerance * expected.abs().max()
    y.square().sum().backward()
    parameters = dict(memory.named_parameters())
    for name in (k for k in golden if k.startswith("gradient/")):
        own, gradient = ours(name.removeprefix("gradient/"), golden[name])
        found = parameters[own].grad
        assert found is not None
        assert (found - gradient).abs().max() < 10 * tolerance * gradient.abs().max(), name


def test_what_leads_around_the_cell() -> None:
    """Where nothing may be written, what is left is the learned share of the convolved branch."""
    torch.manual_seed(0)
    memory, x = MLSTMBlock(8, heads=2).double(), torch.randn(2, 11, 8, dtype=torch.float64)
    torch.nn.init.zeros_(memory.value.weight)
    torch.nn.init.normal_(memory.skip)
    u, z = (x @ memory.rise.weight.mT).chunk(2, -1)
    c = F.silu(memory.convolution(u)[0])
    assert (memory(x)[0] - (memory.skip * c * F.silu(z)) @ memory.output.weight.mT).abs().max() < 1e-12


def test_it_starts_by_keeping_and_its_state_is_as_large_as_promised() -> None:
    memory = MLSTMBlock(16, heads=4).bfloat16()
    kept = memory.forget_gate(torch.randn(3, 96).bfloat16()).float().sigmoid()
    assert kept.min() > 0.94
    y, state = memory(torch.randn(2, 9, 16).bfloat16())
    assert y.dtype == torch.bfloat16
    assert state.matrix.dtype == torch.float32
    assert nbytes(state) == 2 * (4 * (32 * 32 // 4 + 32 + 4) + 2 * 32 * 3)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match=r"expansion=1\.5 makes 18 channels, which do not split into 4 heads"):
        MLSTMBlock(12, expansion=1.5)
    with pytest.raises(ValueError, match="width 1 sees no earlier unit"):
        MLSTMBlock(8, convolution=1)
