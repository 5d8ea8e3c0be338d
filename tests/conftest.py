"""Shapes and types are checked at run time under test, and nowhere else; one thread, so that runs are alike."""

from __future__ import annotations

import os
from collections.abc import Iterator

import jaxtyping
import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is there: threads that spin slow all other work

import torch

THREADS = int(os.environ.get("MNESIS_TEST_THREADS", "1"))
torch.set_num_threads(THREADS)
install_import_hook("mnesis", "beartype.beartype")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """A command sets the threads of its process; the next test must not inherit them."""
    yield
    if torch.get_num_threads() != THREADS:
        torch.set_num_threads(THREADS)


@pytest.fixture
def without_type_checks() -> Iterator[None]:
    """Laws make hundreds of thousands of calls; a memory's own tests check its types."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
