"""What every page is made of: one style, figures inside the text, filters, and nothing from the network."""

from __future__ import annotations

import base64
import re
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from ..lengths import format_duration, format_length
from . import figures


def render(template: str, *, package: str = "mnesis.measure.pages", **values: Any) -> str:
    """A page's text.

    Args:
        template: name of a file in the package; it may include ``style.css.jinja`` and import ``macros.html.jinja``.
        package: that holds it.
        values: for the template.
    """
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("mnesis.measure.pages", "")]),
    )
    environment.filters |= {
        "length": format_length,
        "percent": lambda value: f"{value:.0%}",
        "bytes": format_bytes,
        "breakable": lambda text: Markup(re.sub(r"([._])", r"\1<wbr>", str(escape(text)))),
        "short": _short,
        "duration": lambda seconds: "" if seconds is None else format_duration(seconds),
    }
    colours = {"light": Markup(figures.palette(False)), "dark": Markup(figures.palette(True))}
    return environment.get_template(template).render(**colours, **values)


def inline(figure: Figure, name: str, label: str) -> Markup:
    """A figure as part of a page, with what it shows in words."""
    return Markup(figures.svg(figure, name).replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1))


def format_bytes(count: float | int) -> str:
    """Bytes as people read them: 512 B, 1.5 KiB, 22 MiB."""
    sign, count = "-" * (count < 0), abs(count)
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{sign}{count:.3g} {unit}" if count < 1000 else f"{sign}{count:.0f} {unit}"
        count /= 1024
    return f"{sign}{count:.3g} GiB"


def data_address(kind: str, content: bytes) -> str:
    """A file inside a page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _short(value: float | int | None) -> str:
    """A number with three digits that count: 1.2M, 45.6k, 0.123."""
    if value is None:
        return ""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"
