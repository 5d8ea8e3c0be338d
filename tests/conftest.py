"""Shapes and types are checked at run time under test, and nowhere else; one thread, so that runs are alike."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from jaxtyping import install_import_hook

THREADS = int(os.environ.get("MNESIS_TEST_THREADS", "1"))
torch.set_num_threads(THREADS)
install_import_hook("mnesis", "beartype.beartype")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """A command sets the threads of its process; the next test must not inherit them."""
    yield
    if torch.get_num_threads() != THREADS:
        torch.set_num_threads(THREADS)
