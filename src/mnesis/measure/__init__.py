"""Streaming evaluation, bits, intervals, speed, figures and the report. Sees only the contract."""

from .lengths import format_length, parse_lengths
from .report import write_report
from .stream import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate", "format_length", "parse_lengths", "write_report"]
