import json
import os
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist

from mnesis.core.catalog import create_memory, list_memories
from mnesis.memories.over_processes import read_over_processes

from .split_worker import readers


@pytest.fixture(scope="module")
def gaps(tmp_path_factory):
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("split")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, "-m", "tests.memories.split_worker", str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("name", readers())
def test_two_processes_read_as_one(gaps, name) -> None:
    for found in gaps:
        assert max(found[name].values()) < 1e-9, found[name]


def test_what_has_no_summary_is_refused() -> None:
    x = torch.randn(1, 4, 12)
    for card in list_memories():
        if not card.load().splits and card.example.get("dim") == 12:
            with pytest.raises(ValueError, match="cannot be read by several processes at once"):
                read_over_processes(create_memory(card.name, **card.example), x)


def test_one_process_alone(tmp_path) -> None:
    memory = create_memory("gla", dim=12, heads=2, convolution=3)
    x = torch.randn(2, 9, 12)
    with pytest.raises(ValueError, match="there are no processes to split over"):
        read_over_processes(memory, x)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        for a, b in zip(read_over_processes(memory, x), memory(x), strict=True):
            torch.testing.assert_close(a, b)
        with pytest.raises(ValueError, match="a piece of 1 units is shorter than the 2 that a convolution looks back"):
            read_over_processes(memory, x[:, :1])
    finally:
        dist.destroy_process_group()
