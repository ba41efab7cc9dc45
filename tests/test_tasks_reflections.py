"""Maps made of reflections against closed forms and exact geometry."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.reflections import TwistedMirror


class TestTwistedMirror:
    @pytest.mark.parametrize("tau", [0.3, 0.0, -2.0])
    def test_every_orbit_has_period_two(self, tau: float) -> None:
        task = TwistedMirror(tau=tau)
        x = task.initial_states(200, rng=np.random.default_rng(0), split="ood")
        image = task.next_state(x)
        np.testing.assert_allclose(task.next_state(image), x, atol=1e-14)
        # Negative control: the period is 2, not 1.
        assert np.abs(image - x).max() > 1.0

    def test_radius_is_conserved_and_orientation_reversed(self) -> None:
        task = TwistedMirror()
        x = task.initial_states(200, rng=np.random.default_rng(0), split="train")
        np.testing.assert_allclose(
            task.invariants(task.next_state(x))["radius"], task.invariants(x)["radius"], atol=1e-14
        )
        np.testing.assert_allclose(np.linalg.det(task.jacobian(x)), -1.0, atol=1e-13)

    def test_exact_agrees_with_iteration(self) -> None:
        task = TwistedMirror()
        x = task.initial_states(10, rng=np.random.default_rng(0), split="train")
        # 100 applications, each with a rounding error of about 1e-16.
        np.testing.assert_allclose(task.simulate(x, 100).states, task.exact(x, 100), atol=1e-13)

    def test_jacobian_against_differences(self) -> None:
        task = TwistedMirror(tau=1.7)
        x = task.initial_states(50, rng=np.random.default_rng(0), split="train")
        h = 1e-6
        numeric = np.stack(
            [(task.next_state(x + h * e) - task.next_state(x - h * e)) / (2 * h) for e in np.eye(2)], axis=-1
        )
        np.testing.assert_allclose(task.jacobian(x), numeric, atol=1e-8)

    def test_one_state_dependent_reflection(self) -> None:
        task = TwistedMirror()
        x = task.initial_states(50, rng=np.random.default_rng(0), split="train")
        half = (task.alpha + task.tau * np.linalg.norm(x, axis=1)) / 2
        k = np.stack([-np.sin(half), np.cos(half)], axis=1)
        np.testing.assert_allclose(x - 2 * k * (k * x).sum(axis=1, keepdims=True), task.next_state(x), atol=1e-14)
