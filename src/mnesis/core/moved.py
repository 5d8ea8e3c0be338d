"""Modules that have moved: their old names work for one release, with a hint of the new one."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_ROOMS = {
    "tasks.recall": "associative_retrieval multi_query_recall induction needle set_disjointness",
    "tasks.copying": "copy selective_copy",
    "tasks.algorithms": "adding bit_windows formal_languages graphs list_ops list_ops_drawn state_tracking",
    "tasks.language": "text words plain_text tokenizer prose prose_grammar sentences background",
    "tasks.stories": "story scoring wording babi",
    "tasks.signals": "series spoken_digits polyphonic_music time_series timescale piecewise_stationary memory_capacity",
    "tasks.images": "sequential_images",
    "tasks.cognition": "working_memory working_memory_trials",
    "tasks.files": "opening matlab fetching",
    "measure.metering": "meter work",
    "measure.streaming": "stream reading asking records summary",
    "measure.bench": "speed baselines",
    "measure.pages": "page figures report runs drawing",
}
"""What stood in a folder itself, by the room that has it now."""

MOVED = {
    f"mnesis.{room.split('.')[0]}.{name}": f"mnesis.{room}.{name}"
    for room, names in _ROOMS.items()
    for name in names.split()
} | {
    "mnesis.core.subject": "mnesis.core.laws.subject",
    "mnesis.core.examination": "mnesis.core.laws.examining",
    "mnesis.core.host_law": "mnesis.core.laws.hosting",
    "mnesis.core.rollback_law": "mnesis.core.laws.rolling_back",
    "mnesis.tasks.babilong": "mnesis.tasks.stories.babilong.babilong",
    "mnesis.tasks.babilong_lives": "mnesis.tasks.stories.babilong.lives",
    "mnesis.tasks.babilong_sample": "mnesis.tasks.stories.babilong.sample",
    "mnesis.tasks.babilong_source": "mnesis.tasks.stories.babilong.source",
}
"""Old names of modules, and of packages with all that is in them, and their present ones."""


def present(name: str) -> str | None:
    """The name under which a module that has moved stands now; None of one that has not."""
    inside = next((old for old in MOVED if name == old or name.startswith(f"{old}.")), None)
    return None if inside is None else MOVED[inside] + name[len(inside) :]


class _Hints(MetaPathFinder, Loader):
    """Finds moved modules under their old names; asked first, or what is inside a moved package would be read twice."""

    def find_spec(self, fullname: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        new = present(fullname) if fullname.startswith("mnesis.") else None
        return None if new is None else ModuleSpec(fullname, self, origin=new)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself, under both names: its classes are the same."""
        new = str(spec.origin)
        warnings.warn(f"{spec.name} is called {new} now; import it there", FutureWarning, stacklevel=2)
        module = import_module(new)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to do but to leave the module's own spec as it was."""
        spec = module.__spec__
        assert spec is not None
        sys.modules[spec.name] = module
        module.__spec__ = spec.loader_state


def find_moved() -> None:
    """Let old names be found, once."""
    if not any(isinstance(finder, _Hints) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Hints())
