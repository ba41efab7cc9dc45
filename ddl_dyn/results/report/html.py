"""The report as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ddl_dyn.config.formats import decimal, percent
from ddl_dyn.results.report.charts import CHART_HEIGHT, CHART_LEFT, CHART_WIDTH, ChartAxis, drawn, svg_dots, svg_line
from ddl_dyn.results.report.document import Report, ReportFigure, TableColumn
from ddl_dyn.results.report.figures import ENLARGED
from ddl_dyn.results.report.plane import PhasePlane

TEMPLATES = Path(__file__).with_name("templates")
# Size of a phase plane in the units of its drawing; its margins, the lower one with ticks and label.
_WIDTH, _MARGIN, _BOTTOM = 520, 12, 42
# Height of its frame over the width of the widest, at most.
_TALLEST = 0.85
# A figure wider than this, in CSS pixels, scrolls in its own box on a phone.
_SCROLLED = 420
# Resolution at which the suite saves its PNG files.
PNG_DPI = 200
_SVG_SIZE = re.compile(r' (width|height)="(\d+\.?\d*)pt"')
_MEDIA = {"svg": "image/svg+xml", "png": "image/png", "webp": "image/webp"}


def data_uri(picture: ReportFigure) -> str:
    """A picture as an address that holds its bytes."""
    return f"data:{_MEDIA[picture.suffix]};base64,{base64.b64encode(picture.data).decode('ascii')}"


def size(picture: ReportFigure) -> tuple[int, int] | None:
    """Width and height on the page in CSS pixels, so that it does not jump while it loads; None where unknown."""
    if picture.size is not None:
        return picture.size
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


def column_groups(columns: Sequence[TableColumn]) -> list[tuple[str, int]]:
    """Neighbouring columns of one group: its name and their number; a column without a group stands alone."""
    found: list[tuple[str, int]] = []
    for column in columns:
        if found and column.group and found[-1][0] == column.group:
            found[-1] = column.group, found[-1][1] + 1
        else:
            found.append((column.group, 1))
    return found


@dataclass(frozen=True)
class DrawnPlane:
    """A phase plane in the units of its drawing: axes, true orbits as paths, and what the page's script reads."""

    width: int
    height: int
    x_axis: ChartAxis
    y_axis: ChartAxis
    orbits: str
    data: str


def drawn_plane(plane: PhasePlane) -> DrawnPlane:
    """The frame of a phase plane, with its maps as JSON (grids in base64)."""
    (left, bottom), (right, top) = plane.low, plane.high
    ratio = (top - bottom) / (right - left) if plane.isotropic else _TALLEST
    frame = (_WIDTH - CHART_LEFT - _MARGIN) * min(1.0, _TALLEST / ratio)
    height = round(frame * ratio) + _BOTTOM + _MARGIN
    x_axis = ChartAxis(float(left), float(right), CHART_LEFT, CHART_LEFT + frame)
    y_axis = ChartAxis(float(bottom), float(top), height - _BOTTOM, _MARGIN)
    places = [(x_axis.place(orbit[:, 0]), y_axis.place(orbit[:, 1])) for orbit in plane.orbits]
    draw = svg_line if plane.kind == "flow" else svg_dots
    maps = [
        {"label": one.label, "name": one.name, "scale": one.scale.tolist(), "units": one.encoded} for one in plane.maps
    ]
    data = {
        "low": plane.low.tolist(), "high": plane.high.tolist(), "side": len(plane.maps[0].units), "maps": maps,
        "start": plane.start.tolist(), "kind": plane.kind, "names": plane.state_names,
        "frame": [x_axis.start, x_axis.end, y_axis.start, y_axis.end],
    }  # fmt: skip
    width = round(CHART_LEFT + frame + _MARGIN)
    return DrawnPlane(width, height, x_axis, y_axis, "".join(draw(x, y) for x, y in places), json.dumps(data))


@functools.cache
def page_environment() -> Environment:
    """Templates of the report, in which every value is escaped, with the filters that they use."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"data_uri": data_uri, "size": size, "order": order, "percent": percent, "drawn": drawn}
    environment.filters |= {"drawn_plane": drawn_plane, "column_groups": column_groups, "decimal": decimal}
    environment.globals |= {"SCROLLED": _SCROLLED}
    environment.globals |= {"CHART_WIDTH": CHART_WIDTH, "CHART_HEIGHT": CHART_HEIGHT}
    return environment


def _style_and_script() -> tuple[str, str]:
    style, *scripts = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "charts.js", "page.js"))
    return style, "".join(scripts)


def page_policy() -> str:
    """The content security policy of a report's page: its own style and script alone, pictures within it."""
    style, script = map(digest, _style_and_script())
    return f"default-src 'none'; img-src data:; style-src '{style}'; script-src '{script}'"


def render_page(report: Report) -> str:
    """The page's source. Whatever a user named is escaped, and the page's own policy refuses every other script."""
    style, script = _style_and_script()
    # Both are the project's own; escaping them would break them.
    return (
        page_environment()
        .get_template("page.html")
        .render(report=report, style=Markup(style), script=Markup(script), policy=Markup(page_policy()))
    )
