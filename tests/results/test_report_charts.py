"""Charts that a page draws itself: axes, paths, values for the pointer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ddl_dyn.results.report.charts import ChartAxis, ChartCurve, LineChart, curve_of_model, drawn

X = np.arange(1.0, 5.0)


def chart(*curves: ChartCurve, **options: bool) -> LineChart:
    return LineChart("c", "title", "steps", "error", "alt", curves, **options)


def test_axes_place_values_and_ticks() -> None:
    linear, logarithmic = ChartAxis(0.0, 10.0, 50.0, 150.0), ChartAxis(0.01, 100.0, 200.0, 0.0, log=True)
    np.testing.assert_allclose(linear.place(np.array([0.0, 5.0, 10.0])), [50, 100, 150])
    np.testing.assert_allclose(logarithmic.place(np.array([0.01, 1.0, 100.0])), [200, 100, 0], atol=1e-12)
    assert np.isnan(logarithmic.place(np.array([0.0, -1.0, np.inf]))).all()
    assert linear.ticks == [(50.0, "0"), (70.0, "2"), (90.0, "4"), (110.0, "6"), (130.0, "8"), (150.0, "10")]
    assert [text for _, text in logarithmic.ticks] == ["0.01", "0.1", "1", "10", "100"]
    assert [text for _, text in ChartAxis(0.04, 0.6, 0, 1, log=True).ticks] == ["0.05", "0.1", "0.2", "0.5"]


def test_a_model_is_its_median_and_a_failed_one_a_gap() -> None:
    values = np.array([[1.0, 1.0, np.inf, np.inf], [2.0, 3.0, 4.0, np.inf], [3.0, 5.0, np.inf, np.inf]])
    curve = curve_of_model("ddl", "DDL", X, values, level=0.8)
    (one,) = drawn(chart(curve, log_y=True)).curves
    assert json.loads(one.values) == [2.0, 3.0, None, None]
    assert one.line.count("M") == 1
    assert one.line.count("L") == 1
    missing = curve_of_model("ddl", "DDL", X, values, level=0.8, missing=True)
    assert json.loads(drawn(chart(missing)).curves[0].values) == [2.0, 3.0, 4.0, None]


def test_a_floor_that_is_exact_does_not_press_the_models_together() -> None:
    model = ChartCurve("DDL", "ddl", "model", X, np.array([0.5, 0.6, 0.7, 0.8]))
    floor = ChartCurve("persistence", "", "floor", X, np.array([1e-12, 1.0, 1e-12, 1.0]))
    assert drawn(chart(model, floor, log_y=True)).y_axis.low > 0.1
    assert drawn(chart(model, floor, log_y=True)).y_axis.high > 1.0


def test_paths_follow_the_axes() -> None:
    result = drawn(chart(ChartCurve("DDL", "ddl", "model", X, np.array([1.0, 2.0, 3.0, 4.0]))))
    numbers = [float(part) for part in result.curves[0].line.replace("M", " ").replace("L", " ").split()]
    places = np.array(numbers).reshape(-1, 2)
    assert places[:, 0] == pytest.approx(json.loads(result.places), abs=0.06)
    assert (np.diff(places[:, 1]) < 0).all(), "larger values stand higher"
    np.testing.assert_allclose(places[:, 1], result.y_axis.place(np.array([1.0, 2.0, 3.0, 4.0])), atol=0.06)
