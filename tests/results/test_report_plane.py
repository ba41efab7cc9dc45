"""The phase plane of a report's page: its grid, the error of iterating it, and for which runs there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.report.plane import PhasePlane, PlaneMap, cubic_weights, grid_error, phase_plane
from tests.helpers.synthetic_runs import rotation_arrays, write_run

OBSERVED = {"model_args": {"carry": "observed"}}


def pendulum(x: Array, friction: float) -> Array:
    """One step of a damped pendulum by Euler's rule: a map that is no polynomial."""
    angle, speed = x[..., 0], x[..., 1]
    return np.stack([angle + 0.2 * speed, (1 - friction) * speed - 0.2 * np.sin(2 * angle)], axis=-1)


def pendulum_arrays(friction: float, side: int = 41, replicas: int = 6) -> dict[str, Array]:
    """Stored arrays of replicas that learned a pendulum with some friction, where the truth has .1."""
    arrays = rotation_arrays(replicas, error=0.2, gates=False)
    axis = np.linspace(-1.5, 1.5, side)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    true = [arrays["test_true"][:, 0] * 0.9]
    pred = [true[0]]
    for _ in range(40):
        true.append(pendulum(true[-1], 0.1))
        pred.append(pendulum(pred[-1], friction))
    return arrays | {
        "portrait_grid": grid,
        "portrait_step_true": pendulum(grid, 0.1) - grid,
        "portrait_step": np.stack([pendulum(grid, friction) - grid] * replicas),
        "test_true": np.stack(true, axis=1),
        "test_pred": np.stack([np.stack(pred, axis=1)] * replicas),
    }


def plane_of(base: Path, **options: Any) -> PhasePlane | None:
    run = write_run(base, "1", config=OBSERVED, **{"arrays": pendulum_arrays(0.15), **options})
    (setting,) = group_runs([run])
    return phase_plane(setting, "plane")


def test_weights_reproduce_parabolas() -> None:
    t = np.linspace(0, 1, 7)
    weights = cubic_weights(t)
    for power in (0, 1, 2):
        np.testing.assert_allclose(weights @ np.array([-1.0, 0, 1, 2]) ** power, t**power, atol=1e-15)


def test_iterating_the_grid_is_iterating_the_map(tmp_path: Path) -> None:
    plane = plane_of(tmp_path)
    assert plane is not None
    truth, learned = plane.maps
    assert (truth.label, learned.label, learned.seed) == ("", "ddl", 0)
    assert learned.units.shape == (81, 81, 2)
    x = np.random.default_rng(0).uniform(-0.9, 0.9, (200, 2))
    for one, friction, error in zip(plane.maps, (0.1, 0.15), plane.errors, strict=True):
        states = one.iterate(x, 20)
        expected = x
        for _ in range(20):
            expected = pendulum(expected, friction)
        apart = np.abs(states[:, -1] - expected)
        assert np.isfinite(apart).all()
        # Cubic convolution at a spacing of .0375: third order, (.0375)³ a step; 16 bits add 3 × 10⁻⁵ of the step.
        assert apart.max() < 5e-4
        assert 0 < error.one[0] < 1e-4
        assert error.many is not None
        assert error.one[0] <= error.many[1] < 1e-3
    # Negative control: the two maps are told apart by far more than that.
    assert np.abs(truth.iterate(x, 20) - learned.iterate(x, 20)).max() > 0.05


def test_a_trajectory_ends_outside_the_plane(tmp_path: Path) -> None:
    plane = plane_of(tmp_path)
    assert plane is not None
    states = plane.maps[1].iterate(np.array([[1.49, 1.49], [0.0, 0.0], [1.6, 0.0]]), 3)
    assert np.isfinite(states[0, 1]).all()
    assert states[0, 1, 0] > 1.5
    assert np.isnan(states[0, 2]).all()
    np.testing.assert_allclose(states[1], 0, atol=1e-5)
    assert np.isnan(states[2, 1:]).all()


def test_the_error_sees_a_grid_of_another_map() -> None:
    axis = np.linspace(-1.0, 1.0, 21)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    corner = np.array([1.0, 1.0])

    def stored(factor: float) -> PlaneMap:
        step = (factor - 1.0) * grid
        scale = np.abs(step).max(axis=(0, 1)) / (2**15 - 1)
        return PlaneMap("a", "A", 0, -corner, corner, scale, np.rint(step / scale).astype(np.int16))

    starts = np.random.default_rng(1).uniform(-1, 1, (1, 30, 1, 2))
    runs = starts * 0.9 ** np.arange(31)[:, None]
    same, other = (grid_error(stored(factor), runs, np.ones(2)) for factor in (0.9, 0.8))
    assert same is not None
    assert other is not None
    assert same.one[1] < 1e-5
    assert other.one[0] > 0.001
    assert other.steps == 20
    assert grid_error(stored(0.9), runs + 5.0, np.ones(2)) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"config": {"model_args": {"carry": "latent"}}},
        {"arrays": {k: v for k, v in pendulum_arrays(0.15).items() if k != "portrait_step"}},
        # The stored free runs are those of another map than the one on the grid.
        {"arrays": pendulum_arrays(0.15) | {"portrait_step": pendulum_arrays(0.6)["portrait_step"]}},
        {"arrays": pendulum_arrays(0.15) | {"portrait_step": np.full((6, 41 * 41, 2), np.nan)}},
    ],
)
def test_there_is_no_plane_without_a_map_that_the_runs_iterate(tmp_path: Path, changed: dict[str, Any]) -> None:
    run = write_run(tmp_path, "1", **{"config": OBSERVED, "arrays": pendulum_arrays(0.15), **changed})
    assert phase_plane(group_runs([run])[0], "plane") is None


def test_a_model_without_a_map_is_named(tmp_path: Path) -> None:
    lacking = {k: v for k, v in pendulum_arrays(0.3).items() if k != "portrait_step"}
    runs = [
        write_run(tmp_path, "1", config=OBSERVED, arrays=pendulum_arrays(0.15)),
        write_run(tmp_path, "2", model="resnet", config=OBSERVED, arrays=lacking),
    ]
    (setting,) = group_runs(runs)
    plane = phase_plane(setting, "plane")
    assert plane is not None
    assert [one.name for one in plane.maps] == ["truth", "DDL"]
    assert plane.left_out == ("ResNet",)
