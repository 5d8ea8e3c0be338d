"""Data files made to run a reader out of time, memory or sense are refused in one sentence, before they do."""

from __future__ import annotations

import tracemalloc

import pytest

from mnesis.tasks.language.sentences import split_sentences
from tests.fuzz import hostile_pictures, hostile_texts
from tests.hostile import Hostile

SLOW = "a tar of headers"
"""Of which the memory is measured header by header."""


@pytest.mark.parametrize(
    "each",
    [
        pytest.param(h, id=h.label, marks=[pytest.mark.slow] if h.label == SLOW else [])
        for h in (*hostile_pictures.hostile(), *hostile_texts.hostile())
    ],
)
def test_hostile_files_are_one_sentence(each: Hostile, tmp_path) -> None:
    folder = each.make(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, FileNotFoundError), match=each.refusal) as refused:
            each.read(folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not isinstance(refused.value, UnicodeError)
    assert "\n" not in str(refused.value)
    assert "; " in str(refused.value)
    assert peak < 256 * 2**20


def test_no_run_of_marks_takes_quadratic_time() -> None:
    assert split_sentences("." * 300_000 + "A. B") == ["." * 300_000 + "A.", "B"]
    assert split_sentences('?" ' * 50_000) == [" ".join(['?"'] * 50_000)]
