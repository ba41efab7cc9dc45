"""Style, bands and saving: what every figure rests on.

Axes: R replicas.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from ddl_dyn.plots import MODEL_STYLES, model_style, save
from ddl_dyn.plots.bands import band, limits, log_limits, quantile, spread
from ddl_dyn.plots.style import caption_of, legend, new_figure, style


def test_every_architecture_has_its_own_colour_and_marker() -> None:
    models = {k: v for k, v in MODEL_STYLES.items() if not v.floor}
    assert len({v.colour for v in models.values()}) == len(models)
    assert len({v.marker for v in models.values()}) == len(models)


def test_floors_are_grey_and_models_are_not() -> None:
    for name, look in MODEL_STYLES.items():
        r, g, b = to_rgb(look.colour)
        assert (max(r, g, b) - min(r, g, b) < 0.01) == look.floor, name


@pytest.mark.parametrize("pair", [("ddl", "resnet"), ("ddl", "highway"), ("resnet", "highway"), ("ddl", "neural_ode")])
def test_main_architectures_differ_in_grey_print(pair: tuple[str, str]) -> None:
    # Line style and marker must differ where the luminance (Rec. 709) is too close to tell apart.
    a, b = (MODEL_STYLES[p] for p in pair)
    assert a.line != b.line
    assert a.marker != b.marker


def test_an_unknown_model_keeps_its_style_in_another_process() -> None:
    code = "from ddl_dyn.plots import model_style; print(model_style('my_model'))"
    seen = {subprocess.check_output([sys.executable, "-c", code], text=True)}
    assert seen == {f"{model_style('my_model')}\n"}
    assert len({model_style(f"user_{i}").colour for i in range(40)}) > 4


def test_importing_and_drawing_leave_pyplot_and_settings_alone() -> None:
    code = (
        "import sys, matplotlib as mpl\n"
        # Asking for the backend would itself import pyplot.
        "settings = lambda: {k: mpl.rcParams[k] for k in mpl.rcParams if k != 'backend'}\n"
        "before = settings()\n"
        "import numpy as np, ddl_dyn.plots as p\n"
        "f = p.cobweb(np.linspace(0, 1, 9), np.linspace(0, 1, 9), np.linspace(0, 1, 9))\n"
        "f.canvas.draw()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'tasks' not in sys.modules and 'sacred' not in sys.modules\n"
        "assert settings() == before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_style_sheet_governs_late_drawing_too() -> None:
    with style():
        figure = new_figure(3, 2)
        ax = figure.subplots()
    with mpl.rc_context({"xtick.major.size": 30.0}):
        figure.canvas.draw()
    assert ax.xaxis.get_major_ticks()[0].tick1line.get_markersize() == 2.5


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    def draw() -> object:
        figure = new_figure(3, 2, title="t", caption="a caption")
        ax = figure.subplots()
        ax.plot([0, 1], [0, 1], label="line")
        ax.fill_between([0, 1], [0, 1], [1, 2])
        legend(figure, ax)
        return figure

    a = save(draw(), tmp_path / "deep" / "a.b")  # type: ignore[arg-type]
    b = save(draw(), tmp_path / "b")  # type: ignore[arg-type]
    assert [p.name for p in a] == ["a.b.png", "a.b.svg"]
    for one, two in zip(a, b, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert b"dc:date" not in a[1].read_bytes()
    # 3 × 2 inches at no less than 150 dpi: width and height stand in bytes 16–24 of a PNG.
    width, height = np.frombuffer(a[0].read_bytes()[16:24], dtype=">u4")
    assert width >= 450
    assert height >= 300


def test_title_and_legend_do_not_overlap() -> None:
    with style():
        figure = new_figure(4, 2.5, title="A title", caption="what is shown")
        ax = figure.subplots()
        ax.plot([0, 1], [0, 1], label="line")
        legend(figure, ax)
    figure.draw_without_rendering()
    assert figure.get_suptitle() == ""
    assert figure.legends[0].get_title().get_text() == "A title"
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    box = figure.legends[0].get_window_extent(renderer)
    assert box.y0 >= ax.get_tightbbox(renderer).y1 - 1
    caption = figure._supxlabel.get_window_extent(renderer)  # type: ignore[attr-defined]
    assert caption.y1 <= ax.get_tightbbox(renderer).y0 + 1


def test_a_caption_joins_what_is_not_empty() -> None:
    assert caption_of("a", "", "b.", " c ") == "a. b. c."


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_quantile_agrees_with_numpy_where_all_is_finite(values: list[float], q: float) -> None:
    expected = np.quantile(np.array(values), q)
    for failed in ("infinite", "missing"):
        # The same linear interpolation, up to rounding of the weights.
        assert quantile(values, q, failed=failed) == pytest.approx(expected, rel=1e-9, abs=1e-6)  # type: ignore[arg-type]


def test_failed_replicas_count_as_infinite_or_are_left_out() -> None:
    values = [1.0, 2.0, np.nan, np.inf, 3.0]
    assert quantile(values, 0.5, failed="infinite") == 3.0
    assert quantile(values, 1.0, failed="infinite") == np.inf
    assert quantile(values, 0.5, failed="missing") == 2.0
    assert np.isnan(quantile([np.nan, np.nan], 0.5, failed="missing"))
    assert quantile([np.nan, np.nan], 0.5, failed="infinite") == np.inf
    # Half way between a finite and an infinite error there is no finite error.
    assert quantile([1.0, np.nan], 0.5, failed="infinite") == np.inf


def test_band_covers_the_share_it_states() -> None:
    median, low, high = band(np.arange(101.0)[:, None], 0.8)
    assert (median[0], low[0], high[0]) == pytest.approx((50.0, 10.0, 90.0))
    with pytest.raises(ValueError, match="level must lie in"):
        band([[1.0]], 0.0)


def test_limits_ignore_what_is_not_finite() -> None:
    assert limits([[0.0, 1.0, np.inf, np.nan]], pad=0.1) == pytest.approx((-0.1, 1.1))
    assert limits([[np.nan]]) == (-1.0, 1.0)
    low, high = limits([[2.0, 2.0]])
    assert low < 2.0 < high
    low, high = log_limits([[0.0, -1.0, 1e-30, 1.0, np.inf]], decades=3)
    assert 1e-4 < low < 1e-3
    assert 1.0 < high < 10.0
    assert log_limits([[0.0]]) == (0.1, 10.0)


def test_spread_takes_first_and_last() -> None:
    assert spread(10, 3).tolist() == [0, 4, 9]
    assert spread(2, 5).tolist() == [0, 1]
    assert spread(0, 5).size == 0
