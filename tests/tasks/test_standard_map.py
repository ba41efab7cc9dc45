"""The standard map: its two coordinate systems, area, circles, fixed points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy

from ddl_dyn.analysis import cycles
from ddl_dyn.tasks.base import SPLITS
from ddl_dyn.tasks.maps.standard import StandardMap
from tests.helpers.orbits import orbit


class TestStandardMap:
    def test_the_two_coordinates_are_one_map(self) -> None:
        circle, angle = StandardMap(K=10.0), StandardMap(K=10.0, coordinates="angle")
        x = angle.initial_states(200, rng=np.random.default_rng(0), split="train")
        y = circle.embed(x)
        np.testing.assert_array_equal(y, circle.initial_states(200, rng=np.random.default_rng(0), split="train"))
        for _ in range(8):
            x, y = angle.next_state(x), circle.next_state(y)
        # Rounding grows e^1.6-fold per step: 8 steps, 4e5 · 1e-15.
        np.testing.assert_allclose(circle.embed(x), y, atol=1e-8)
        np.testing.assert_allclose(circle.embed(circle.angles(y)), y, atol=1e-14)

    def test_angles_stay_wrapped(self) -> None:
        task = StandardMap(K=10.0, coordinates="angle")
        x = np.concatenate([task.initial_states(200, rng=np.random.default_rng(0), split=s) for s in SPLITS])
        states = orbit(task, x, 500)
        assert ((states >= 0) & (states < 2 * np.pi)).all()
        assert task.angles(np.array([[-1e-20, 2 * np.pi]])).tolist() == [[0.0, 0.0]]

    def test_area_is_preserved_and_circles_are_kept(self) -> None:
        angle, circle = StandardMap(coordinates="angle"), StandardMap()
        x = angle.initial_states(100, rng=np.random.default_rng(0), split="train")
        np.testing.assert_allclose(np.linalg.det(angle.jacobian(x)), 1.0, atol=1e-13)  # type: ignore[arg-type]
        radii = circle.invariants(orbit(circle, circle.embed(x), 1000))
        for radius in radii.values():
            # A thousand roundings of 1e-16, at worst all of one sign.
            np.testing.assert_allclose(radius, 1.0, atol=1e-12)

    def test_embedded_map_is_smooth_across_the_seam(self) -> None:
        circle = StandardMap()
        angles = np.array([[2 * np.pi - 1e-9, 2 * np.pi - 1e-9], [1e-9, 1e-9]])
        images = circle.next_state(circle.embed(angles))
        assert np.abs(images[0] - images[1]).max() < 1e-7
        jumps = StandardMap(coordinates="angle").next_state(angles)
        assert np.abs(jumps[0] - jumps[1]).max() > 6.0

    def test_fixed_points_and_trapped_motion(self) -> None:
        task = StandardMap(coordinates="angle")
        points = np.array([[0.0, 0.0], [np.pi, 0.0]])
        np.testing.assert_allclose(np.cos(task.next_state(points)), np.cos(points), atol=1e-14)
        # trace = 2 + K cos θ: saddle for K > 0 at 0, centre at π for K < 4.
        traces = np.trace(task.jacobian(points), axis1=1, axis2=2)  # type: ignore[arg-type]
        assert traces[0] > 2
        assert abs(traces[1]) < 2

    def test_unknown_coordinates_are_refused(self) -> None:
        with pytest.raises(ValueError, match="coordinates"):
            StandardMap(coordinates="polar")


def lifted_cycles(k: float, period: int) -> list[np.ndarray]:
    """Cycles of exactly this period by MINPACK on the map of the plane, one winding number at a time."""

    def defect(x, winding):
        theta, p = x
        for _ in range(period):
            p = p + k * np.sin(theta)
            theta = theta + p
        return theta - x[0] - 2 * np.pi * winding, p - x[1]

    found: list[np.ndarray] = []
    for winding in range(period):
        grid = itertools.product(np.linspace(0, 2 * np.pi, 12, endpoint=False), (0.9, 1.0, 1.1))
        for theta, share in grid:
            root = scipy.optimize.root(defect, (theta, 2 * np.pi * winding / period * share), (winding,), tol=1e-13)
            if not root.success or np.abs(defect(root.x, winding)).max() > 1e-10:
                continue
            orbit = [np.mod(root.x, 2 * np.pi)]
            for _ in range(period - 1):
                p = orbit[-1][1] + k * np.sin(orbit[-1][0])
                orbit.append(np.mod([orbit[-1][0] + p, p], 2 * np.pi))
            points = np.exp(1j * np.array(orbit))
            shorter = any(np.abs(points[d] - points[0]).max() < 1e-6 for d in range(1, period))
            if not shorter and not any(np.abs(points[0] - other).max(axis=1).min() < 1e-6 for other in found):
                found.append(points)
    return found


@pytest.mark.parametrize("coordinates", ["circle", "angle"])
@pytest.mark.parametrize("period", [1, 2, 3, 4])
def test_cycles_are_all_found_once_in_either_coordinates(coordinates: str, period: int) -> None:
    task = StandardMap(coordinates=coordinates)  # type: ignore[arg-type]
    starts = task.initial_states(16, rng=np.random.default_rng(0), split="train")
    found = cycles(task, period, starts=starts, box=[[-0.6, 6.9]] * 2 if coordinates == "angle" else None)
    # Poincaré–Birkhoff: two n-cycles for each winding number m/n in lowest terms; at K < 1 none has split yet.
    assert len(found) == {1: 2, 2: 2, 3: 4, 4: 4}[period]
    ours = [np.exp(1j * task.angles(cycle.points)) for cycle in found]
    theirs = lifted_cycles(task.K, period)
    assert len(theirs) == len(ours)
    for points in ours:
        assert min(np.abs(points[0] - other).max(axis=1).min() for other in theirs) < 1e-8
    assert all(cycle.isolated for cycle in found)
    # Each winding number has a saddle and a centre.
    assert [cycle.stability for cycle in found].count("saddle") == len(found) // 2


def test_multipliers_of_the_known_cycles() -> None:
    # Closed forms: trace 2 + K at (0, 0), 2 − K at (π, 0), 2 − K² on {(0, π), (π, π)}; determinant 1. On the circles
    # two radii are conserved besides: two more multipliers 1.
    task = StandardMap(K=0.5)
    saddle, centre = cycles(task, 1, starts=[[1.0, 0.0, 1.0, 0.0]])
    (two,) = (c for c in cycles(task, 2, starts=[[1.0, 0.0, -1.0, 0.0]]) if np.abs(c.points[:, 1]).max() < 1e-9)
    for cycle, trace in ((saddle, 2.5), (centre, 1.5), (two, 1.75)):
        pair = np.roots([1.0, -trace, 1.0])
        np.testing.assert_allclose(np.sort_complex(cycle.multipliers), np.sort_complex([*pair, 1.0, 1.0]), atol=1e-7)


def test_a_box_across_the_seam_holds_what_lies_there() -> None:
    task = StandardMap(coordinates="angle")
    (point,) = cycles(task, 1, box=[[6.0, 6.5], [-0.3, 0.3]])
    np.testing.assert_allclose(np.exp(1j * point.points), 1.0, atol=1e-9)
    assert cycles(task, 1, box=[[0.5, 2.5], [0.5, 2.5]]) == []
