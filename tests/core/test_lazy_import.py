"""``import mnesis`` needs no torch, and nobody can tell."""

from __future__ import annotations

import subprocess
import sys

HEAVY = "{'torch', 'numpy', 'matplotlib', 'accelerate'} & set(sys.modules)"


def python(code: str) -> None:
    """In a process of its own; the code's assertions are the test's."""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_the_catalog_is_read_without_torch() -> None:
    python(
        "import mnesis, sys\n"
        "from mnesis.core.catalog import bibtex, card, cards, papers\n"
        "assert len(mnesis.list_memories()) >= 47 and papers() and card('memories', 'gru').summary\n"
        "assert mnesis.list_tasks() and mnesis.list_claims() and list(bibtex(cards('memories'))) and dir(mnesis)\n"
        f"assert not {HEAVY}, {HEAVY}"
    )


USES = (
    "class My(mnesis.Memory): pass",
    "assert not isinstance(3, mnesis.Memory)",
    "from mnesis import *; assert Memory is mnesis.Memory and take is mnesis.take and Episode._fields",
    "import pickle; assert pickle.loads(pickle.dumps(mnesis.Memory)) is mnesis.Memory",
    "assert pickle.loads(pickle.dumps(mnesis.take)) is mnesis.take",
    "assert mnesis.core.state.take is mnesis.take and mnesis.core.memory.Memory is mnesis.Memory",
    "import copy; assert copy.copy(mnesis.create_memory('gru', dim=4)).config['dim'] == 4",
)


def test_names_are_what_they_were() -> None:
    python("\n".join(("import mnesis", *USES)))


def test_all_names_are_told_before_they_are_used() -> None:
    python(
        "import mnesis, rlcompleter\n"
        "assert set(mnesis.__all__) <= set(dir(mnesis))\n"
        "found = rlcompleter.Completer({'mnesis': mnesis}).complete('mnesis.Mem', 0)\n"
        "assert found.startswith('mnesis.Memory'), found\n"
        "assert [name for name in mnesis.__all__ if not hasattr(mnesis, name)] == []\n"
        "assert not hasattr(mnesis, 'Memori') and not hasattr(mnesis.core, 'memori')"
    )
