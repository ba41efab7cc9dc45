"""The look that all figures share: one style sheet, one colour and marker per architecture, captions, saving.

Figures are built without pyplot, so that drawing leaves no global state behind and works without a display.
"""

from __future__ import annotations

import functools
import hashlib
import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import matplotlib as mpl
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from ddl_dyn.config.files import replacing
from ddl_dyn.config.labels import model_label

STYLE_SHEET = Path(__file__).with_name("ddl_dyn.mplstyle")
PAGE_WIDTH = 7.2  # inches: the text width of a two-column journal page
COLUMN_WIDTH = 3.5
TRUE_COLOUR = "#1a1a1a"
UNDERLAY = "#c4c4c4"
FIELD_TRUE = "#9a9a9a"

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class ModelStyle:
    """Style of one architecture in every figure: colour, marker, line style and printed name."""

    colour: str
    marker: Any
    line: Any
    label: str
    floor: bool = False


_DASH, _DOT, _DASHDOT = (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5))
_LONG = (0, (9, 2))

# Okabe–Ito first, then Tol's muted scheme: distinct under the common colour deficiencies; markers and dashes carry the
# difference in grey print.
_LOOKS: dict[str, tuple[str, Any, Any]] = {
    "ddl": ("#0072B2", "o", "-"),
    "resnet": ("#D55E00", "s", _DASH),
    "highway": ("#E69F00", "^", _DASHDOT),
    "neural_ode": ("#009E73", "D", _LONG),
    "augmented_neural_ode": ("#44AA99", "d", _DOT),
    "lstm": ("#CC79A7", "v", _DASH),
    "gru": ("#882255", "<", _DASHDOT),
    "rkan": ("#332288", "P", _DOT),
    "mlp": ("#999933", "X", _LONG),
    "write_only": ("#56B4E9", "h", _DOT),
    "gated_residual": ("#AA4499", "p", _DASH),
    "invertible_resnet": ("#661100", "H", _DASHDOT),
    "nvar": ("#997700", "8", _LONG),
    "hyper_connections": ("#AA3377", (8, 1, 0), _LONG),
    "shplrnn": ("#EE6677", "*", _DASH),
    "alrnn": ("#DDAA33", (3, 1, 0), _DASHDOT),
    "cornn": ("#4477AA", (4, 1, 0), _DOT),
    "lem": ("#66CCEE", (6, 1, 0), _LONG),
    "esn": ("#228833", (4, 1, 45), _DASHDOT),
    "sindy": ("#BB5566", (3, 1, 180), _DOT),
    "householder_stack": ("#117733", ">", _DASH),
    "exact_map": ("#2b2b2b", "|", (0, (1.2, 2.4))),
    "persistence": ("#4d4d4d", "|", _DASH),
    "mean": ("#8c8c8c", "|", _DOT),
    "linear": ("#6e6e6e", "|", _DASHDOT),
    "analogue": ("#a6a6a6", "|", "-"),
    "noise": ("#b8b8b8", "|", _LONG),
}
_FLOORS = ("exact_map", "persistence", "mean", "linear", "analogue", "noise")
MODEL_STYLES: dict[str, ModelStyle] = {
    name: ModelStyle(*look, model_label(name), floor=name in _FLOORS) for name, look in _LOOKS.items()
}

_SPARE_COLOURS = ("#88CCEE", "#6699CC", "#CC6677", "#994455", "#004488", "#EE8866")
_SPARE_MARKERS = ("*", "P", "X", "d", "p", "h")
_SPARE_LINES = ("-", _DASH, _DASHDOT, _LONG, _DOT)


def model_style(name: str) -> ModelStyle:
    """Colour, marker and line of a model; a name outside the suite gets a stable one from its hash.

    Args:
        name: registry key of a model or floor, or any name a user chose.
    Returns:
        the same style for the same name in every figure and every process.
    """
    if name in MODEL_STYLES:
        return MODEL_STYLES[name]
    digest = hashlib.sha256(name.encode()).digest()
    return ModelStyle(
        _SPARE_COLOURS[digest[0] % len(_SPARE_COLOURS)],
        _SPARE_MARKERS[digest[1] % len(_SPARE_MARKERS)],
        _SPARE_LINES[digest[2] % len(_SPARE_LINES)],
        model_label(name),
    )


@functools.cache
def _style_sheet() -> Any:
    return mpl.rc_params_from_file(STYLE_SHEET, use_default_template=False)


@contextmanager
def style() -> Iterator[None]:
    """The style sheet over matplotlib's own defaults, whatever the user's matplotlibrc says."""
    with matplotlib.style.context(["default", _style_sheet()]):
        yield


class StyledFigure(Figure):
    """A Figure that keeps the style sheet when it is drawn later: ticks are made, and sized, at drawing time.

    Logarithmic axes that span little have ticks in plain decimals.
    """

    def draw(self, renderer: Any) -> None:
        """Draw under the style sheet."""
        for ax in self.axes:
            _plain_ticks(ax.xaxis, ax.get_xlim())
            _plain_ticks(ax.yaxis, ax.get_ylim())
        with style():
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=150)
        return buffer.getvalue()


def _plain_ticks(axis: Axis, ends: tuple[float, float]) -> None:
    """Ticks at 1, 2 and 5 of each power of ten, or at 1 and 3, written as decimals, on less than three decades."""
    low, high = sorted(ends)
    if axis.get_scale() != "log" or not isinstance(axis.get_major_formatter(), LogFormatter) or low <= 0:
        return
    if high / low > 1000 or low < 1e-4 or high > 1e5:
        axis.set_minor_formatter(NullFormatter())
        return
    if high / low < 4:
        # Steps of a power of ten are too wide apart.
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    else:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 30 else (1.0, 3.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.set_minor_locator(NullLocator())


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Build a figure under the style sheet, leaving the caller's settings as they were."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with style():
            return function(*args, **kwargs)

    return wrapper


def new_figure(width: float, height: float, *, title: str = "", caption: str = "") -> StyledFigure:
    """An empty figure with room for its axes between title and caption.

    Args:
        width, height: inches.   title: above the axes; empty for none.   caption: below them, wrapped; empty for none.
    """
    figure = StyledFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, x=0.01, ha="left")
    if caption:
        # 6.5-point text: about 22 characters an inch.
        lines = textwrap.fill(caption, max(int(21.5 * width), 20))
        figure.supxlabel(lines, x=0.01, ha="left", fontsize=6.5, color="#555555", linespacing=1.25)
    return figure


def caption_of(*parts: str) -> str:
    """A caption of those of its sentences that are not empty, each ended by a full stop."""
    return " ".join(p if p.endswith((".", "!", "?")) else p + "." for p in (q.strip() for q in parts) if p)


def legend(
    figure: Figure, axes: Axes | Iterable[Axes] = (), *, handles: Iterable[Any] = (), columns: int | None = None
) -> None:
    """One legend above the panels, under the figure's title: each label once, in order of first appearance.

    Args:
        axes: panels whose labelled artists enter.
        handles: labelled artists that enter after them.
        columns: entries in a row; as many as fit when None.
    """
    entries: dict[str, Any] = {}
    for ax in [axes] if isinstance(axes, Axes) else axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    for handle in handles:
        entries.setdefault(handle.get_label(), handle)
    if not entries:
        return
    ncols = min(columns or _columns_that_fit(list(entries), figure.get_figwidth()), len(entries))
    title = figure.get_suptitle()
    # Title and legend would both claim the top edge, so the legend carries the title.
    if title:
        figure.suptitle("")
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside upper left",
        ncols=ncols,
        title=title or None,
        title_fontproperties={"weight": "bold", "size": mpl.rcParams["figure.titlesize"]},
        alignment="left",
    )


def _columns_that_fit(labels: Sequence[str], width: float) -> int:
    """Most legend columns within a width in inches; a legend is filled column by column."""
    # 7-point text: about 19 characters an inch, and 0.58 inches for the handle and the gaps.
    inches = [len(label) / 19.0 + 0.58 for label in labels]
    for ncols in range(len(labels), 1, -1):
        rows = -(-len(labels) // ncols)
        columns = [inches[i : i + rows] for i in range(0, len(inches), rows)]
        if sum(max(c) for c in columns) <= width - 0.1:
            # Rows of equal length look better than a full one and a stray entry.
            return -(-len(labels) // rows)
    return 1


class Writable(Protocol):
    """A figure with a file format of its own, such as an animation."""

    def write(self, stem: Path) -> tuple[Path, ...]:
        """Write to files whose name without suffix is given; their paths."""


# What draws a figure returns one of these.
Drawing = Figure | Writable


def save(figure: Drawing, path: Path | str) -> tuple[Path, ...]:
    """Write a figure as PNG and as SVG, or an animation as GIF; the same figure gives the same bytes.

    Args:
        figure: to be written.   path: file name without suffix; missing folders are made.
    Returns:
        paths of the files, the PNG first.
    """
    stem = Path(path)
    stem.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(figure, Figure):
        return figure.write(stem)
    png, svg = (stem.with_name(stem.name + suffix) for suffix in (".png", ".svg"))
    layout = figure.get_layout_engine()
    with style():
        with replacing(png) as file:
            figure.savefig(file, format="png")
        # The places are found: looking for them again takes longer than drawing.
        figure.set_layout_engine("none")
        with replacing(svg) as file:
            figure.savefig(file, format="svg", metadata={"Date": None})
    figure.set_layout_engine(layout)
    return png, svg
