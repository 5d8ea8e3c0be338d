"""Modules that have moved are found under their old names, with a hint, and are the same."""

from __future__ import annotations

import importlib
import sys

import pytest

from mnesis.core import moved


@pytest.mark.parametrize("old", sorted(moved.MOVED))
def test_an_old_name_is_the_same_module(old) -> None:
    new = importlib.import_module(moved.MOVED[old])
    spec = new.__spec__
    sys.modules.pop(old, None)
    with pytest.warns(FutureWarning, match=f"{old} is called {moved.MOVED[old]} now; import it there"):
        found = importlib.import_module(old)
    assert found is new
    assert found.__name__ == moved.MOVED[old]
    assert found.__spec__ is spec


def test_what_is_inside_a_moved_package_and_what_is_nowhere() -> None:
    with pytest.warns(FutureWarning, match="import it there"):
        from mnesis.tasks.babi.moving import simulate
    from mnesis.tasks.stories.babi import moving

    assert simulate is moving.simulate
    with pytest.raises(ModuleNotFoundError, match="babi"), pytest.warns(FutureWarning, match="nowhere"):
        importlib.import_module("mnesis.tasks.babi.nowhere")
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        importlib.import_module("mnesis.tasks.nowhere")
