"""Formulas in LaTeX as MathML, which browsers set without a script: what stands in ``math`` fences of a page."""

from __future__ import annotations

from typing import Any

from math_core import LatexToMathML

_TO_MATHML = LatexToMathML(annotation=True)


def fence(source: str, *_: Any, **__: Any) -> str:
    """The HTML of a fence, as pymdownx.superfences asks for it.

    Raises:
        LatexError: a formula that is no LaTeX, with the place in it.
    """
    formula = _TO_MATHML.convert_with_local_state(source, displaystyle=True)
    return f'<div class="formula" data-search-exclude>{formula}</div>'
