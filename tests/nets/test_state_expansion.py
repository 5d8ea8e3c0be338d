"""Larger states for trained networks: which layers, what is kept, what is fresh, and that training goes on."""

from __future__ import annotations

import pytest
import torch

from mnesis.core.state import leaves
from mnesis.memories.linear.gla import GLA
from mnesis.memories.linear.mamba2 import Mamba2
from mnesis.nets import LanguageModel, Stack
from mnesis.nets.state_expansion import expand_states


def mamba(groups: int = 1, **options) -> Mamba2:
    torch.manual_seed(0)
    memory = Mamba2(8, states=3, width=4, groups=groups, **options)
    for parameter in memory.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return memory


def test_gla_heads_become_one() -> None:
    torch.manual_seed(0)
    model = LanguageModel(11, dim=16, memory="gla", depth=5, options={"heads": 4})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sizes = [len(list(model.parameters())), sum(p.numel() for p in model.parameters())]
    names = expand_states(model, every=3)
    assert names == ["reader.body.blocks.0.memory", "reader.body.blocks.3.memory"]
    layers = [block.memory for block in model.reader.body.blocks]
    assert [layer.heads for layer in layers] == [1, 4, 4, 1, 4]
    # Only the norm's scale is as long as a head is wide.
    assert sum(p.numel() for p in model.parameters()) == sizes[1] + 2 * (16 - 4)
    assert len(list(model.parameters())) == sizes[0]
    now = model.state_dict()
    kept = {name for name in now if name in before and torch.equal(now[name], before[name])}
    assert all(name.startswith(tuple(names)) for name in now.keys() - kept)
    assert "reader.body.blocks.0.memory.output.weight" not in kept
    _, state = model(torch.randint(11, (2, 9)))
    assert max(leaf.numel() for leaf in leaves(state)) == 2 * 8 * 16
    model(torch.randint(11, (2, 9)))[0].sum().backward()
    assert layers[0].output.weight.grad is not None


def test_gla_inherits_all_but_its_norm() -> None:
    torch.manual_seed(0)
    stack = Stack(8, memory="gla", depth=1, options={"heads": 2})
    before = stack.blocks[0].memory.state_dict()
    expand_states(stack, inherit=True)
    new = stack.blocks[0].memory
    assert isinstance(new, GLA)
    assert all(torch.equal(value, before[name]) for name, value in new.state_dict().items() if name != "scale")


@pytest.mark.parametrize("groups", [1, 2])
def test_mamba_that_inherits_starts_as_it_was(groups) -> None:
    stack = Stack(8, memory=[mamba(groups).double()]).double()
    x = torch.randn(2, 20, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected, small = stack(x)
    assert expand_states(stack, factor=2, inherit=True) == ["blocks.0.memory"]
    y, large = stack(x)
    assert (y - expected).abs().max() < 1e-12
    assert large.blocks[0].memory.matrix.shape == (2, 4, 6, 4)
    assert (large.blocks[0].memory.matrix[:, :, :3] - small.blocks[0].memory.matrix).abs().max() < 1e-12
    y.square().sum().backward()
    gradient = stack.blocks[0].memory.input.weight.grad
    assert gradient[32 + 6 * groups :][: 6 * groups].abs().sum(1).min() > 0  # new queries learn


def test_mamba_afresh() -> None:
    old = mamba()
    stack = Stack(8, memory=[old])
    expand_states(stack, factor=4)
    new = stack.blocks[0].memory
    assert torch.equal(new.input.weight[:32], old.input.weight[:32])
    assert torch.equal(new.input.weight[-4:], old.input.weight[-4:])
    assert not torch.equal(new.input.weight[32:35], old.input.weight[32:35])
    assert torch.equal(new.convolution.weight[:, :16], old.convolution.weight[:, :16])
    assert torch.equal(new.output.weight, old.output.weight)
    assert torch.equal(new.log_rate.exp().round(), torch.arange(1.0, 5))
    assert torch.equal(new.norm, torch.ones(16))
    assert new.input.weight.shape[0] == old.input.weight.shape[0] + 2 * 9


def test_bad_requests() -> None:
    with pytest.raises(ValueError, match="no GLA of several heads and no Mamba-2 is inside Stack"):
        expand_states(Stack(8, memory="gru"))
    with pytest.raises(ValueError, match="every=0, factor=4: give every >= 1"):
        expand_states(Stack(8, memory="gla"), every=0)
