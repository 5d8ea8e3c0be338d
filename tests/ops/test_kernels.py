"""GPU kernels: when they stand in, and that they say what our forms say."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from mnesis import create_memory, list_memories
from mnesis.memories import in_forms
from mnesis.memories.in_forms import MemoryInForms
from mnesis.nets import Stack
from mnesis.ops import kernels, recurrence
from mnesis.ops.gated_linear_attention import gated_linear_attention
from mnesis.ops.recurrence import Recurrence

from .test_gated_linear_attention import inputs

GPU = torch.device("cuda")


@pytest.fixture
def at_hand(monkeypatch) -> Iterator[None]:
    """As if the package were installed, and torch allowed to round."""
    monkeypatch.setattr(kernels, "is_installed", lambda: True)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("at_hand")
def test_stand_in_where_nothing_is_lost(monkeypatch) -> None:
    assert kernels.stand_in(GPU, torch.float32)
    assert kernels.stand_in(GPU, torch.bfloat16)
    assert not kernels.stand_in(GPU, torch.float64)
    assert not kernels.stand_in(torch.device("cpu"), torch.float32)
    torch.set_float32_matmul_precision("highest")
    assert not kernels.stand_in(GPU, torch.float32)
    torch.set_float32_matmul_precision("high")
    monkeypatch.setattr(kernels, "is_installed", lambda: False)
    kernels._tell_missing.cache_clear()
    with pytest.warns(UserWarning, match=r"pip install mnesis\[kernels\]"):
        assert not kernels.stand_in(GPU, torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not kernels.stand_in(GPU, torch.float32)


def test_stand_in_for_chunks_of_no_asked_size(monkeypatch) -> None:
    ran = []

    def kernel(*parts):
        ran.append(len(parts))
        return None if len(ran) == 2 else gated_linear_attention.chunk(*parts)

    attention = replace(gated_linear_attention, kernel=kernel)
    parts = inputs(20)
    attention("chunk", *parts)
    assert not ran, "there is no GPU here"
    monkeypatch.setattr(recurrence, "stand_in", lambda device, dtype: True)
    for form, chunk in (("naive", None), ("parallel", None), ("chunk", 4)):
        attention(form, *parts, chunk=chunk)
    assert not ran
    expected = gated_linear_attention("naive", *parts)
    for count in (1, 2):  # the second time it does not take them
        y, matrix = attention("chunk", *parts)
        assert len(ran) == count
        torch.testing.assert_close(y, expected[0])
        torch.testing.assert_close(matrix, expected[1])


IN_FORMS = [
    card.name for card in list_memories() if issubclass(card.load(), MemoryInForms) and "chunk" in card.load().forms
]


@pytest.mark.parametrize("name", IN_FORMS)
def test_backend_names_what_runs(name, monkeypatch) -> None:
    """A member says that it has a kernel exactly where one would be called."""
    called = []

    def stand_in(device: torch.device, dtype: torch.dtype) -> bool:
        called.append(dtype)
        return False

    monkeypatch.setattr(recurrence, "stand_in", stand_in)
    monkeypatch.setattr(in_forms, "stand_in", lambda device, dtype: True)
    card = next(card for card in list_memories() if card.name == name)
    memory = create_memory(name, **{**card.example, "form": "chunk", "chunk": None})
    assert isinstance(memory, MemoryInForms)
    memory(torch.randn(2, 9, card.example["dim"]))
    assert memory.backend == ("flash-linear-attention" if called else "torch")
    naive = create_memory(name, **{**card.example, "form": "naive"})
    assert naive.backend == "torch"


def test_backend_of_what_is_inside(monkeypatch) -> None:
    monkeypatch.setattr(in_forms, "stand_in", lambda device, dtype: True)
    assert Stack(8, memory="gla", depth=2, options={"heads": 2}).backend == "flash-linear-attention"
    both = Stack(8, memory=["gla", "min-gru"], depth=2)
    assert both.backend == "flash-linear-attention, torch"
    assert create_memory("lstm", dim=8).backend == "torch"


def test_wide_keys_are_left_to_torch() -> None:
    wide = torch.zeros(1, 2, 1, 257)
    assert kernels.delta_rule_kernel(wide, wide, wide, wide[..., 0], None, torch.zeros(1, 1, 257, 257)) is None


@pytest.mark.skipif(not kernels.is_installed(), reason="needs flash-linear-attention and triton")
def test_kernels_agree_with_the_equations() -> None:
    """In Triton's interpreter, which computes in float32 with all digits."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.ops.interpreted_kernels"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert len(found) == 8
    assert {name: worst for name, gaps in found.items() if (worst := max(gaps)) > 1e-5} == {}


@pytest.mark.skipif(
    not torch.cuda.is_available() or importlib.util.find_spec("fla") is None,
    reason="needs a GPU and flash-linear-attention",
)
@pytest.mark.parametrize("channels", [False, True], ids=["head", "channel"])
def test_on_a_gpu(channels) -> None:
    parts = [part.cuda() for part in inputs(200, dtype=torch.float32, channels=channels)]
    expected = Recurrence.compute(gated_linear_attention, "naive", *parts)
    assert gated_linear_attention.kernel is not None
    found = gated_linear_attention.kernel(*parts)
    for ours, theirs in zip(expected, found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2)
