"""Streaming evaluation, bits, intervals, speed, figures and the report. Sees only the contract."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .lengths import format_length, parse_lengths

if TYPE_CHECKING:
    from .pages.report import write_report
    from .streaming.stream import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate", "format_length", "parse_lengths", "write_report"]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """The others at their first use: lengths are parsed without torch."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = "pages.report" if name == "write_report" else "streaming.stream"
        return getattr(import_module(f"{__name__}.{module}"), name)
