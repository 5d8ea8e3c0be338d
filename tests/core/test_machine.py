"""What makes a process fast beside others: seen in processes of their own, since none of it can be undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psutil
import pytest
import torch

from mnesis.core import machine
from mnesis.nets import LanguageModel

TUNED = """
import json, os, sys
{before}
import mnesis
done = mnesis.tune()
import torch
told = os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT")
print(json.dumps([*done, told, torch.get_float32_matmul_precision()]))
"""
MAPPED = """
import numpy, sys
from mnesis.core.machine import keep_memory
if sys.argv[1] == "kept":
    assert keep_memory()
numpy.ones(2**26).sum()
faults = lambda: __import__("resource").getrusage(0).ru_minflt
before = faults()
for _ in range(4):
    numpy.ones(2**26).sum()
print(faults() - before)
"""


def run(text: str, *arguments: str, **environment: str) -> str:
    own = {key: value for key, value in os.environ.items() if key not in machine._WAITING}
    command = [sys.executable, "-c", text, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=own | environment).stdout


@pytest.mark.parametrize(
    ("before", "environment", "waiting", "policy"),
    [
        ("", {}, "threads sleep when they have waited for a moment", ("PASSIVE", "1000")),
        ("import torch", {}, "it cannot be changed any more; call tune() before it is", ("PASSIVE", "1000")),
        ("", {"OMP_WAIT_POLICY": "ACTIVE"}, "threads wait as the environment says", ("ACTIVE", None)),
        ("", {"GOMP_SPINCOUNT": "0"}, "threads wait as the environment says", (None, "0")),
    ],
)
def test_tune_says_what_it_did(before, environment, waiting, policy) -> None:
    told, memory, products, found, precision = json.loads(run(TUNED.format(before=before), **environment))
    assert told.endswith(waiting)
    assert tuple(found) == policy
    assert ("as before" in products) == (precision == "highest")
    if sys.platform == "linux":
        assert memory == "freed memory is kept"


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_kept_memory_is_not_mapped_anew() -> None:
    anew, kept = int(run(MAPPED, "as it is")), int(run(MAPPED, "kept"))
    assert kept < anew / 4


def test_as_many_threads_as_are_free_and_at_most_two(monkeypatch) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda: 8)
    monkeypatch.setattr(machine, "cores", lambda: 6)
    for busy, free in ((0.0, 6), (50.0, 4), (95.0, 1), (100.0, 1)):
        monkeypatch.setattr(psutil, "cpu_percent", lambda interval, busy=busy: busy)
        assert machine.free_cores() == free
        assert machine.prepare(None) == torch.get_num_threads() == min(free, 2)
    assert machine.prepare(3) == torch.get_num_threads() == 3


def test_products_are_as_before_after_it() -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(RuntimeError), machine.fast_products(256):
        raise RuntimeError
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(("gain", "amx", "taken"), [(2.0, False, True), (1.1, False, False), (2.0, True, False)])
def test_products_go_the_way_that_is_faster_in_full_precision(monkeypatch, gain, amx, taken) -> None:
    monkeypatch.setattr(machine, "_gain", lambda width: gain)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    with machine.fast_products(64):
        assert torch.get_float32_matmul_precision() == ("medium" if taken else "highest")


def test_timing_products_leaves_no_trace() -> None:
    torch.manual_seed(0)
    drawn = torch.get_rng_state()
    machine._gain.cache_clear()
    assert machine._gain(32) > 0
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_width_of_a_network_is_that_of_most_weights() -> None:
    assert machine.width(LanguageModel(20, dim=24, memory="gru", depth=2)) == 24
    assert machine.width(torch.nn.LayerNorm(24)) == 1
