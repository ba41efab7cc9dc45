"""The standard map: its two coordinate systems, area, circles, fixed points."""

from __future__ import annotations

import numpy as np
import pytest

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
