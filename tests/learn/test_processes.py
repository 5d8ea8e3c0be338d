import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mnesis.learn.checkpoint import read_tensors

from . import worker


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same trainings by two processes and by one."""
    two, one = tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("one")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    script = str(Path(worker.__file__))
    done = subprocess.run([*launch, script, str(two)], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    worker.train_together(one)
    return two, one


@pytest.mark.parametrize("file", ["replicated/{}/model", "replicated/{}/second", "sharded/{}/model"])
@pytest.mark.parametrize("name", list(worker.together()))
def test_two_processes_train_as_one(folders, name, file):
    """Resets, ragged rows, learned starts, truncation, odd rows and uneven questions; DDP's both copies, and FSDP.

    The sharded trainings were broken off once and resumed.
    """
    two, one = folders
    expected = read_tensors(one / name / "model.safetensors")
    found = read_tensors(two / f"{file.format(name)}.safetensors")
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=1e-5, rtol=1e-5, msg=lambda text, key=key: f"{key}: {text}")
