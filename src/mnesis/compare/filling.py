"""A cell filled, whatever becomes of it: what its memory raises is a finding, what the library refuses is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.machine import fast_products
from .cell import Broken, run_cell
from .place import Place, Told
from .ways import Interrupted


def fill(place: Place, tell: Callable[[Told], object] | bool = False, trackers: Sequence[str] = ()) -> tuple[str, Any]:
    """What becomes of a cell, for whoever asked in another process.

    Returns:
        ("filled", the cell), ("broken", what its memory raised), or ("raised", the error that ends all of it).
    """
    try:
        with fast_products(place.setting.dim):
            return "filled", run_cell(*place.cell, doublings=place.doublings, progress=tell, trackers=trackers)
    except Broken as reason:
        return "broken", str(reason)
    except (ValueError, OSError, Interrupted) as error:
        return "raised", error
