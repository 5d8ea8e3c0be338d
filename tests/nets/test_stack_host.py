"""A stack of recurrent blocks inside segment memories: their laws hold, and what it cannot do is refused."""

from __future__ import annotations

import pytest
import torch

from mnesis.core.catalog import card, create_memory
from mnesis.core.laws import check, laws_for
from mnesis.core.record import recording
from mnesis.core.state import clone, leaves, put, take, tree_map
from mnesis.measure.bench.baselines import CausalAttention
from mnesis.memories.segment.armt import ARMT
from mnesis.memories.segment.rmt import RMT
from mnesis.memories.segment.segments import SegmentMemory
from mnesis.nets import Block, Stack
from mnesis.nets.griffin import Griffin
from mnesis.nets.stack_host import StackHost
from mnesis.nets.xlstm import XLSTM

KINDS = {"gru": {}, "mlstm": {"heads": 2}, "gated-delta-rule": {"heads": 2}}
NOT_FRESH_IN_ZEROS = ["aaren", "agalite", "bilinear", "lattice", "mlstm", "mlstm-block", "slstm"]


def stack(kind: str, **options) -> Stack:
    return Stack(16, memory=kind, hidden=24, options=KINDS.get(kind, {}), **options)


def around(name: str, host: Stack) -> SegmentMemory:
    torch.manual_seed(0)
    if name == "rmt":
        return RMT(16, segment=8, memory_tokens=2, memory_mask="causal", host=host)
    return ARMT(16, segment=8, memory_tokens=2, memory_dim=16, host=host)


def broken(memory: SegmentMemory, laws: list[str]) -> list:
    return [gap for gap in check(memory, dtypes=[torch.float64], laws=laws) if not gap.holds]


@pytest.mark.slow
@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("name", ["rmt", "armt"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_segment_memory_around_a_stack_obeys_all_laws(name: str, kind: str) -> None:
    host = stack(kind, output_norm=name == "armt")  # what ARMT reads grows with what it writes, without norms between
    memory = around(name, host)
    assert not broken(memory, [law for law in laws_for(memory) if law != "compiles"])


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("kind", KINDS)
def test_a_segment_memory_around_a_stack_obeys_the_laws(kind: str) -> None:
    laws = ["shapes", "rows", "saved", "dtypes", "host", *(["padding"] if kind == "mlstm" else [])]
    assert not broken(around("armt", stack(kind, convolution=3, output_norm=True)), laws)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    "build",
    [lambda: Griffin(16, heads=2, window=5, blocks=2), lambda: XLSTM(16, heads=2, slstm_at=(1,))],
    ids=["griffin", "xlstm"],
)
def test_stacks_by_name_are_hosts_too(build) -> None:
    assert not broken(around("rmt", build()), ["shapes", "host"])


@pytest.mark.parametrize("kind", NOT_FRESH_IN_ZEROS)
def test_a_segment_starts_as_the_block_does_whatever_its_cache_holds(kind: str) -> None:
    torch.manual_seed(0)
    inner = create_memory(kind, **card("memories", kind).example)
    dim = inner.dim
    layer = Stack(dim, memory=[inner], convolution=3).as_host().layers[0].double()
    h = torch.randn(2, 1, dim, dtype=torch.float64)
    expected, after = layer.block(h)
    zeros = tree_map(torch.zeros_like, layer.initial_cache(2, 8, device=h.device, dtype=h.dtype))
    used = layer.block(torch.randn(2, 5, dim, dtype=torch.float64))[1]
    for cache in (zeros, used):
        for position in (0, torch.tensor([0, 0])):
            y, kept = layer(h, cache, position)
            torch.testing.assert_close([y, *leaves(kept)], [expected, *leaves(after)])
    assert not torch.allclose(layer(h, used, 5)[0], expected)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("kind", ["bilinear", "lattice"])
def test_a_learned_start_is_a_start_of_segments_too(kind: str) -> None:
    inner = create_memory(kind, **card("memories", kind).example)
    torch.manual_seed(0)
    memory = RMT(inner.dim, segment=8, memory_tokens=2, memory_mask="causal", host=Stack(inner.dim, memory=[inner]))
    assert not broken(memory, ["host"])


def test_rows_at_the_start_are_fresh_and_the_others_go_on() -> None:
    torch.manual_seed(0)
    layer = stack("mlstm", convolution=3, depth=1).as_host().layers[0].double()
    _, used = layer.block(torch.randn(2, 5, 16, dtype=torch.float64))
    h, before = torch.randn(2, 1, 16, dtype=torch.float64), clone(used)
    y, after = layer(h, used, torch.tensor([0, 5]))
    fresh, going_on = layer(h[:1], take(used, [0]), 0), layer(h[1:], take(used, [1]), 5)
    torch.testing.assert_close(y, torch.cat([fresh[0], going_on[0]]))
    torch.testing.assert_close(leaves(after), leaves(put(put(used, [0], fresh[1]), [1], going_on[1])))
    assert all(torch.equal(a, b) for a, b in zip(leaves(before), leaves(used), strict=True))


def test_the_cache_ends_after_the_real_units_of_each_row() -> None:
    torch.manual_seed(0)
    layer = stack("gru", convolution=3, depth=1).as_host().layers[0].double()
    h = torch.randn(2, 6, 16, dtype=torch.float64)
    _, before = layer.block(torch.randn(2, 4, 16, dtype=torch.float64))
    y, after = layer(h, before, 4, length=torch.tensor([6, 2]))
    rows = [layer(h[row : row + 1, :units], take(before, [row]), 4) for row, units in enumerate((6, 2))]
    torch.testing.assert_close(y[0], rows[0][0][0])
    torch.testing.assert_close(y[1, :2], rows[1][0][0])
    torch.testing.assert_close(leaves(after), leaves(put(put(before, [0], rows[0][1]), [1], rows[1][1])))


def test_nothing_is_kept_where_no_cache_was_given() -> None:
    layer = stack("gru", depth=1).as_host().layers[0]
    y, cache = layer(torch.randn(2, 3, 16))
    assert y.shape == (2, 3, 16)
    assert cache is None


def test_a_stack_stays_itself_and_shares_its_weights_with_the_host() -> None:
    own = stack("gru")
    memory = around("rmt", own)
    assert isinstance(memory.host, StackHost)
    assert memory.config["host"] is own
    assert {id(weight) for weight in memory.host.parameters()} == {id(weight) for weight in own.parameters()}
    assert (memory.dim, memory.vocabulary) == (16, None)
    x = torch.randn(2, 8, 16)
    assert torch.equal(memory.host.norm(_through(memory.host, x)), own(x)[0])
    memory(torch.randn(2, 20, 16))[0].square().sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in own.parameters())


def _through(host: StackHost, h: torch.Tensor) -> torch.Tensor:
    for layer in host.layers:
        h, _ = layer(h)
    return h


def test_what_was_read_many_segments_ago_passes_through_the_memory() -> None:
    memory = around("rmt", stack("gru"))
    x, other = torch.randn(1, 32, 16), torch.randn(1, 8, 16)
    y = memory(x)[0][:, 16:]
    changed = memory(torch.cat([other, x[:, 8:]], 1))[0][:, 16:]
    assert float((y - changed).detach().abs().max()) > 1e-4


def test_memory_tokens_that_see_later_ones_are_refused() -> None:
    with pytest.raises(ValueError, match=r"through attention, and layers of StackHost have none; .*='causal'"):
        RMT(16, segment=8, memory_tokens=2, host=stack("gru"))
    layer = stack("gru").as_host().layers[0]
    with pytest.raises(ValueError, match=r'both_ways=\(2, 0\): .* alone, .*; give RMT memory_mask="causal"'):
        layer(torch.randn(1, 4, 16), None, 0, (2, 0))


def test_nothing_reaches_into_attention_that_is_not_there() -> None:
    class Reaching(ARMT):
        def attend(self, layer, carried):
            return None

    with pytest.raises(ValueError, match="Reaching reaches into the attention of its host, and StackHost does not let"):
        Reaching(16, segment=8, memory_tokens=2, host=stack("gru"))
    layer = stack("gru").as_host().layers[0]
    assert layer.attention is None
    with pytest.raises(ValueError, match=r"attend= says how units read keys, and a recurrence has none; give a host"):
        layer(torch.randn(1, 4, 16), attend=lambda *given: given)


def test_blocks_with_a_grid_or_a_growing_state_are_refused() -> None:
    inner = create_memory("rmt", dim=16, segment=4, memory_tokens=2, heads=2)
    with pytest.raises(ValueError, match=r"block 1 of the stack, RMT, has a grid of 4 units, .*; give a stack of"):
        ARMT(16, host=Stack(16, memory=["gru", inner]))
    with pytest.raises(ValueError, match=r"block 0 of the stack, CausalAttention, has a state that grows, .*; give"):
        ARMT(16, host=Stack(16, memory=[Block(CausalAttention(16))]))
    with pytest.raises(ValueError, match="dim=32 is not the width of StackHost, 16; give ARMT dim=16"):
        ARMT(32, host=stack("gru"))


def test_losses_of_blocks_are_recorded_and_what_they_show_of_units_is_not() -> None:
    memory = around("armt", stack("mom", convolution=3))
    x, reset = torch.randn(2, 40, 16), torch.zeros(2, 40, dtype=torch.bool)
    with recording() as whole:
        memory(x)
    reset[0, 30] = True  # a row in pieces: one of them reads three segments, another one
    with recording() as in_pieces:
        memory(x, reset=reset)
    assert list(whole) == list(in_pieces) == ["loss/mom_balance"]
    assert all(loss.ndim == 0 and loss.requires_grad for loss in in_pieces["loss/mom_balance"])
