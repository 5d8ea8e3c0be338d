"""The laws of memory, as functions that return measured gaps.

``check(memory)`` runs all of them on any :class:`Memory`, ours or a stranger's, and yields one :class:`Gap` per law,
form and dtype. A gap is max|a - b| / max(1, max|a|); tolerances are 1e-9 in float64, 1e-4 in float32 and 3e-2 in
bfloat16 (outputs only). Before anything is measured every parameter is redrawn, because a zero-initialised write obeys
every law. What goes wrong inside a law breaks it, with the reason in one sentence, and the other laws go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from ..adapt import Adapted
from ..memory import Memory
from ..reason import reason_for
from ..record import silent
from .compiling import compiles
from .examining import Broken, NotOffered, shapes
from .hosting import host, wraps_a_host
from .reading import causality, cuts, forms, padding, remembers, resets, rows
from .rolling_back import rollback
from .states import bounded, dtypes, extremes, grows, late, purity, saved
from .subject import TOLERANCE, Subject, in_form


@dataclass(frozen=True)
class Gap:
    """How far a memory is from obeying one law."""

    memory: str
    law: str
    form: str
    dtype: str
    gap: float
    """Infinite where nothing could be measured, NaN where the memory does not offer what the law asks for."""
    tolerance: float
    reason: str = ""
    """Why it is broken or not offered, where that is known: one sentence."""

    @property
    def holds(self) -> bool | None:
        """None where the memory does not offer what the law asks for."""
        return None if math.isnan(self.gap) else self.gap <= self.tolerance


def check(
    memory: Memory,
    *,
    name: str | None = None,
    dtypes: Sequence[torch.dtype] = (torch.float64, torch.float32, torch.bfloat16),
    laws: Sequence[str] | None = None,
    forms: Sequence[str] | None = None,
    seed: int = 0,
) -> Iterator[Gap]:
    """Measure a memory against the laws.

    Args:
        memory: any memory; it is copied, never changed. One with ``forms`` is rebuilt in each of them.
        name: what to call it in the results; the class name if None.
        dtypes: where to measure the numeric laws; the others are measured in the first.
        laws: names out of ``LAWS``; all that apply to the memory if None.
        forms: names out of ``memory.forms``; all if None.
        seed: of parameters and inputs.

    Raises:
        ValueError: an unknown law or form, or a memory that does not say what it reads.
    """
    name = name or type(memory).__name__
    chosen = laws_for(memory) if laws is None else list(laws)
    if unknown := [law for law in chosen if law not in LAWS]:
        raise ValueError(f"no law is called {unknown[0]!r}; the laws are {', '.join(LAWS)}")
    memory.example(1, 1, torch.Generator())  # one that does not say what it reads is refused
    with silent():
        for form, variant in _forms(memory, forms):
            for law in chosen:
                spec = LAWS[law]
                for dtype in dtypes if spec.numeric else dtypes[:1]:
                    if dtype is torch.bfloat16 and not spec.coarse:
                        continue
                    gap, reason = _measured(law, variant, dtype, seed)
                    tolerance = TOLERANCE[dtype] if spec.numeric else 0.0
                    yield Gap(name, law, form, str(dtype).removeprefix("torch."), gap, tolerance, reason)


def laws_for(memory: Memory) -> list[str]:
    """Names of the laws that have something to ask of a memory."""
    return [law for law, spec in LAWS.items() if spec.applies(memory)]


def _measured(law: str, memory: Memory, dtype: torch.dtype, seed: int) -> tuple[float, str]:
    """A gap and its reason, whatever happens."""
    if isinstance(memory, Adapted) and law in memory.lacks:
        return math.nan, memory.lacks[law]
    try:
        gap, error = LAWS[law].measure(Subject(memory, dtype, seed)), None
    except NotOffered as lack:
        return math.nan, str(lack)
    except Broken as broken:
        return math.inf, str(broken)
    except Exception as raised:  # of somebody else's class, anything
        gap, error = math.inf, raised
    if not math.isinf(gap):
        return gap, ""
    try:  # A mistake that many laws stumble over has its sentence there.
        shapes(Subject(memory, dtype, seed))
    except Broken as broken:
        return gap, str(broken)
    except Exception as raised:
        error = error or raised
    return gap, f"it raises {reason_for(error)}; mend it there" if error else ""


def _forms(memory: Memory, chosen: Sequence[str] | None) -> Iterator[tuple[str, Memory]]:
    forms = getattr(memory, "forms", ())
    if unknown := [form for form in chosen or () if form not in forms]:
        raise ValueError(
            f"{type(memory).__name__} has no form {unknown[0]!r}; it has {', '.join(forms) or 'one form only'}"
        )
    if not forms:
        yield "scan", memory
    for form in forms if chosen is None else chosen:
        yield form, in_form(memory, form)


@dataclass(frozen=True)
class Law:
    """How a law is measured, and where."""

    measure: Callable[[Subject], float]
    numeric: bool
    """Measured in every dtype against its tolerance; otherwise in one, and the gap must be 0."""
    coarse: bool = True
    """Measured in bfloat16 too."""
    applies: Callable[[Memory], bool] = lambda memory: True
    """Whether it has anything to ask of a memory; where it has not, it is measured only if it is named."""


LAWS: dict[str, Law] = {
    "shapes": Law(shapes, numeric=True),
    "cuts": Law(cuts, numeric=True),
    "remembers": Law(remembers, numeric=False),
    "causality": Law(causality, numeric=True),
    "resets": Law(resets, numeric=True),
    "padding": Law(padding, numeric=True),
    "rollback": Law(rollback, numeric=True),
    "rows": Law(rows, numeric=True),
    "forms": Law(forms, numeric=True),
    "bounded": Law(bounded, numeric=False, applies=lambda memory: memory.bounded),
    "grows": Law(grows, numeric=False, applies=lambda memory: not memory.bounded),
    "saved": Law(saved, numeric=False),
    "purity": Law(purity, numeric=False),
    "dtypes": Law(dtypes, numeric=False),
    "late": Law(late, numeric=True, coarse=False),
    "extremes": Law(extremes, numeric=False),
    "compiles": Law(compiles, numeric=False, applies=lambda memory: memory.bounded),
    "host": Law(host, numeric=True, applies=wraps_a_host),
}
