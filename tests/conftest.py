"""Shapes and types are checked at run time under test, and nowhere else; one thread, so that runs are alike."""

from __future__ import annotations

import os

import torch
from jaxtyping import install_import_hook

torch.set_num_threads(int(os.environ.get("MNESIS_TEST_THREADS", "1")))
install_import_hook("mnesis", "beartype.beartype")
