"""A comparison that takes no time, and its command."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

from mnesis.compare.setting import Budget, Setting

SMALL = Setting(
    task="copy",
    length=(1, 3),
    tests=(3, 6),
    budget=Budget("tokens", 600),
    task_options={"symbols": 4},
    dim=16,
    depth=1,
    batch=4,
    rates=(1e-3, 3e-3),
    seeds=2,
    sequences=8,
)


def without_clocks(found: list) -> list:
    """What does not depend on how fast a machine is."""
    text = json.dumps(found)
    return json.loads(re.sub(r'"(search_seconds|seconds|units_per_second)": [0-9.e-]+', '"clock": 0', text))


def compare(*arguments: str, folder: Path, **options):
    command = [sys.executable, "-m", "mnesis.cli", "compare", *arguments, "--folder", str(folder), "--quiet"]
    # A shell has what it runs in the background ignore interrupts, and its children after it.
    interrupted = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=600, preexec_fn=interrupted, **options
    )


ARGUMENTS = ("copy", "--memories", "gru,elman", "--dim", "16", "--depth", "1", "--batch", "4", "--sequences", "8")
ARGUMENTS += ("--seeds", "1", "--rates", "1e-3", "--budget", "tokens=600", "--length", "1-3")
