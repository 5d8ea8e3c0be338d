"""Streaming evaluation, bits, intervals, speed, figures and the report. Sees only the contract."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .lengths import format_length, parse_lengths

if TYPE_CHECKING:
    from .pages.report import write_report
    from .streaming.stream import Evaluation, evaluate
    from .streaming.text_loss import text_loss

__all__ = ["Evaluation", "evaluate", "format_length", "parse_lengths", "text_loss", "write_report"]

_MODULES = {
    "Evaluation": "streaming.stream",
    "evaluate": "streaming.stream",
    "text_loss": "streaming.text_loss",
    "write_report": "pages.report",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """The others at their first use: lengths are parsed without torch."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
