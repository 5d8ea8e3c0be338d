"""Segment memories: what the engine does for all of them."""

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from mnesis.core.catalog import create_memory
from mnesis.core.laws import check
from mnesis.core.record import recording
from mnesis.memories.segment.armt import Associations, AssociativeLayer
from mnesis.ops.associative import dpfp

SIZES = {"dim": 16, "segment": 16, "memory_tokens": 2, "heads": 2}
OPTIONS = {"rmt": {}, "armt": {"memory_dim": 4, "gate_penalty": 0.1}}


def build(name: str, *, checkpoint: bool, **options: int):
    torch.manual_seed(0)
    return create_memory(name, **{**SIZES, **OPTIONS[name], **options}, checkpoint=checkpoint)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("time", [1, 16, 100, 400])
def test_recomputation_changes_nothing(name: str, time: int) -> None:
    results = []
    for checkpoint in (False, True):
        memory = build(name, checkpoint=checkpoint).double()
        x = torch.randn(2, time, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
        with recording() as observed:
            y, _ = memory(x)
        penalties = observed.get("loss/write_gate", [])
        (y.square().sum() + sum(penalties)).backward()
        gradients = [parameter.grad for parameter in memory.parameters() if parameter.grad is not None]
        results.append([y.detach(), x.grad, *gradients, *(penalty.detach() for penalty in penalties)])
    for plain, recomputed in zip(*results, strict=True):
        assert torch.allclose(plain, recomputed, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_training_memory_grows_with_the_square_root_of_depth(name: str) -> None:
    """Four times the segments: four times the memory, or about twice."""
    for checkpoint, least, most in ((False, 3.5, 4.5), (True, 1.0, 2.5)):
        memory = build(name, checkpoint=checkpoint, hidden=512)
        sizes = [peak(memory, torch.randn(1, 16 * segments, 16)) for segments in (32, 128)]
        assert least < sizes[1] / sizes[0] < most


def peak(memory: torch.nn.Module, x: torch.Tensor) -> int:
    """Most bytes that are allocated at a time in a forward and backward pass."""
    memory(x[:, :32])[0].sum().backward()  # the gradients themselves
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        memory(x)[0].sum().backward()
    assert profiled.profiler is not None
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def test_losses_of_pieces_that_read_unlike_many_segments_are_weighted_by_units() -> None:
    memory = build("armt", checkpoint=False)
    for layer in memory.associative:
        torch.nn.init.zeros_(layer.gate.weight)  # every write is penalised alike
    x, reset = torch.randn(2, 80, 16), torch.zeros(2, 80, dtype=torch.bool)
    reset[0, 60] = True
    with recording() as whole:
        memory(x)
    with recording() as in_pieces:
        memory(x, reset=reset)
    assert len(in_pieces["loss/write_gate"]) <= len(whole["loss/write_gate"])
    torch.testing.assert_close(in_pieces["loss/write_gate"][0], whole["loss/write_gate"][0])


@pytest.mark.usefixtures("without_type_checks")
def test_rmt_without_memory_tokens_is_its_host_cut_at_segments() -> None:
    memory = create_memory("rmt", dim=16, segment=8, memory_tokens=0, heads=2, hidden=24).double()
    x = torch.randn(2, 20, 16, dtype=torch.float64)
    alone = torch.cat([memory(piece)[0] for piece in x.split(8, 1)], 1)
    torch.testing.assert_close(memory(x)[0], alone, rtol=0, atol=1e-12)
    laws = ["cuts", "remembers", "padding"]
    broken = [gap.law for gap in check(memory, dtypes=[torch.float64], laws=laws) if not gap.holds]
    assert broken == ["remembers"]  # the baseline that it is meant to be


@pytest.mark.usefixtures("without_type_checks")
def test_associations_with_features_of_length_one() -> None:
    """What is read does not depend on the size of what it is asked by; the laws hold."""
    layer = AssociativeLayer(8, memory_dim=4, gate_bias=0.0, correction=True, penalty=0.0, features="unit").double()
    torch.nn.init.normal_(layer.value.weight)
    zero = Associations(torch.zeros(1, 24, 8).double(), torch.zeros(1, 24).double())
    h = torch.randn(1, 3, 8, dtype=torch.float64)
    stored = layer(h, zero, write=True)
    read = layer(h, stored) - h
    torch.testing.assert_close(layer(1000 * h, stored) - 1000 * h, read, rtol=1e-9, atol=1e-9)
    key = torch.nn.functional.normalize(dpfp(layer.key(h)), dim=-1)
    torch.testing.assert_close(stored.normaliser, key.sum(1))
    memory = create_memory("armt", dim=16, segment=8, memory_tokens=3, memory_dim=4, heads=2, features="unit")
    gaps = check(memory, dtypes=[torch.float64], laws=["cuts"])
    assert all(gap.holds for gap in gaps)
