"""The report as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import functools
import hashlib
import math
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ddl_dyn.config.formats import percent
from ddl_dyn.results.report.document import Report, ReportFigure

TEMPLATES = Path(__file__).with_name("templates")
# Drawn for a journal's page; a screen is read from further away.
ENLARGED = 1.2
# Resolution at which the suite saves its PNG files.
PNG_DPI = 200
_SVG_SIZE = re.compile(r' (width|height)="(\d+\.?\d*)pt"')
_MEDIA = {"svg": "image/svg+xml", "png": "image/png"}


def data_uri(picture: ReportFigure) -> str:
    """A picture as an address that holds its bytes."""
    return f"data:{_MEDIA[picture.suffix]};base64,{base64.b64encode(picture.data).decode('ascii')}"


def size(picture: ReportFigure) -> tuple[int, int] | None:
    """Width and height on the page in CSS pixels, so that it does not jump while it loads; None where unknown."""
    if picture.suffix == "png":
        pixels = (int.from_bytes(picture.data[i : i + 4], "big") / PNG_DPI for i in (16, 20))
        width, height = pixels if len(picture.data) > 24 else (0.0, 0.0)
    else:
        found = dict(_SVG_SIZE.findall(picture.data[:1000].decode("utf-8", "replace")))
        width, height = (float(found.get(name, 0)) / 72 for name in ("width", "height"))
    scale = 96 * ENLARGED
    return (round(width * scale), round(height * scale)) if width > 0 and height > 0 else None


def order(value: float | str) -> str:
    """Sort key of a cell, in the form that the page's script reads."""
    if isinstance(value, str):
        return value
    return f"{'-' if value < 0 else ''}Infinity" if math.isinf(value) else repr(float(value))


def digest(text: str) -> str:
    """The digest by which a content security policy lets exactly this script or style through."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": data_uri, "size": size, "order": order, "percent": percent}
    return environment


def render_page(report: Report) -> str:
    """The page's source. Whatever a user named is escaped, and the page's own policy refuses every other script."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{digest(style)}'; script-src '{digest(script)}'"
    # Both files are the project's own; escaping them would break them.
    return (
        _environment()
        .get_template("page.html")
        .render(report=report, style=Markup(style), script=Markup(script), policy=Markup(policy))
    )
