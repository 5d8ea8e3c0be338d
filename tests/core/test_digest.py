"""A digest names the numbers in a module, whatever way they change."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable

import pytest
import torch
from torch import nn

import mnesis
from mnesis.core import digest as digests
from mnesis.core.digest import digest, digest_tensors


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def trained(module: nn.Module, **options: bool) -> None:
    """One step of AdamW; fused, it raises no version counter."""
    module(torch.randn(5, 4)).sum().backward()
    torch.optim.AdamW(module.parameters(), lr=0.1, **options).step()


def written(module: nn.Module) -> None:
    with torch.no_grad():
        module[0].weight[2, 1] += 1e-3


def past_the_counters(module: nn.Module) -> None:
    """As adapters are merged."""
    module[0].weight.data += 1e-3


def replaced(module: nn.Module) -> None:
    module[0].weight = nn.Parameter(module[0].weight.detach() + 1)


def renamed(module: nn.Module) -> None:
    module[0].heft = module[0].weight
    del module[0].weight


def reshaped(module: nn.Module) -> None:
    module[0].weight.data = module[0].weight.data.reshape(4, 3)


CHANGES: dict[str, Callable] = {
    "plain step": trained,
    "foreach step": lambda module: trained(module, foreach=True),
    "fused step": lambda module: trained(module, fused=True),
    "written": written,
    "past the counters": past_the_counters,
    "replaced": replaced,
    "renamed": renamed,
    "a buffer": lambda module: module[1].running_mean.add_(1),
    "dtype": lambda module: module.to(torch.bfloat16),
    "shape": reshaped,
    "one more": lambda module: module[0].register_parameter("adapter", nn.Parameter(torch.zeros(0))),
    "tied": lambda module: setattr(module[1], "bias", module[0].bias),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_module_has_another_digest(change) -> None:
    module = small()
    before = digest(module)
    assert len(before) == 64
    assert digest(module) == before == digest(small())
    change(module)
    assert digest(module) != before


def test_equal_bytes_of_other_dtypes_and_names_are_told_apart() -> None:
    zeros = [torch.zeros(2, dtype=dtype) for dtype in (torch.float32, torch.int32, torch.bfloat16, torch.int16)]
    assert len({digest_tensors([("a", each)]) for each in [*zeros, torch.zeros(2, 1), torch.zeros(1, 2)]}) == 6
    a, b = torch.ones(2), torch.ones(3)
    assert digest_tensors([("a", a), ("b", b)]) != digest_tensors([("b", b), ("a", a)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.complex64, torch.bool, torch.int8])
def test_strides_do_not_matter_and_nothing_is_refused(dtype) -> None:
    tensor = torch.randn(5, 3).to(dtype)
    turned = tensor.t().contiguous().t()
    assert not turned.is_contiguous()
    assert digest_tensors([("w", tensor)]) == digest_tensors([("w", turned)])
    assert digest_tensors([("w", tensor[0, 0])]) != digest_tensors([("w", tensor[:0])])


def test_asking_again_reads_nothing(monkeypatch) -> None:
    module = nn.Linear(300, 300)
    first = digest(module)
    monkeypatch.setattr(digests, "digest_tensors", lambda _: pytest.fail("the weights are read again"))
    assert digest(module) == first


def test_weights_are_hashed_where_they_stand() -> None:
    tensor = torch.randn(7)
    assert digests._bytes("w", tensor).__array_interface__["data"][0] == tensor.data_ptr()
    assert digests._bytes("w", tensor.bfloat16()).nbytes == 14
    assert hashlib.sha256(digests._bytes("w", tensor)).digest()


def test_what_stands_at_the_same_address_is_not_taken_for_what_stood_there() -> None:
    module = nn.Linear(64, 64, bias=False)
    seen = {digest(module)}
    for value in range(20):
        module.weight.data = torch.empty(0)  # lets go of the storage, whose place the next one gets
        module.weight.data = torch.full((64, 64), float(value))
        seen.add(digest(module))
    assert len(seen) == 21


def test_a_module_that_is_gone_is_forgotten() -> None:
    gc.collect()
    before = len(digests._REMEMBERED)
    module = small()
    digest(module)
    assert len(digests._REMEMBERED) == before + 1
    del module
    gc.collect()
    assert len(digests._REMEMBERED) == before


def test_inference_tensors_count_no_versions_and_are_read_each_time() -> None:
    with torch.inference_mode():
        module = small()
        first = digest(module)
        module[0].weight.add_(1)
        assert digest(module) != first


def test_weights_without_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0.weight is on the meta device, without numbers; load its weights first"):
        digest(nn.Sequential(nn.Linear(4, 3, bias=False, device="meta")))
    sparse = nn.Module()
    sparse.register_buffer("mask", torch.eye(3).to_sparse())
    with pytest.raises(ValueError, match=r"the bytes of mask, a Tensor of torch\.float32, cannot be read"):
        digest(sparse)


def test_memories_have_digests_too() -> None:
    memory = mnesis.create_memory("gru", dim=4)
    first = digest(memory)
    memory(torch.randn(1, 9, 4))
    assert digest(memory) == first
