"""Bouncing ball: apices, energy, the moment of rest, and the two views against each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split
from ddl_dyn.tasks.hybrid.bouncing_ball import BouncingBall, BouncingBallFamily, BouncingBallImpacts, fly


def draw(task: BouncingBall, n: int = 20, split: Split = "train", seed: int = 0) -> Array:
    return task.initial_states(n, rng=np.random.default_rng(seed), split=split)


class TestBouncingBall:
    @pytest.mark.parametrize("e", [1.0, 0.9, 0.7])
    def test_apex_ratio(self, e: float) -> None:
        """Apices measured on a fine flow-view trajectory: the energy just before each impact, h = v²/2g + height."""
        task = BouncingBall(e=e, dt=0.01)
        states = task.simulate(np.array([[1.0, 0.0], [1.3, 0.8]]), 600).states
        apex = states[..., 0] + states[..., 1] ** 2 / (2 * 9.81)
        for row in apex:
            steps = np.flatnonzero(np.diff(row) < -1e-9)
            if e == 1.0:
                # Rounding of 600 steps.
                np.testing.assert_allclose(row, row[0], rtol=1e-12)
                continue
            # Between impacts the apex height is constant to rounding; at an impact it drops by e².
            # The first flights only: later ones are shorter than a step, which then holds several impacts.
            ratio = (row[steps + 1] / row[steps])[:5]
            assert len(ratio) == 5
            np.testing.assert_allclose(ratio, e**2, rtol=1e-8)

    @pytest.mark.parametrize("e", [1.0, 0.9, 0.7])
    def test_against_event_detection(self, e: float) -> None:
        """An independent integration that stops at each impact (DOP853 with a terminal event)."""
        task = BouncingBall(e=e, dt=0.05)
        state, t, end, expected = np.array([0.8, 0.6]), 0.0, 1.5, []
        samples = 0.05 * np.arange(31)

        def floor(_: float, y: Array) -> float:
            return float(y[0])

        floor.terminal, floor.direction = True, -1.0  # type: ignore[attr-defined]
        while t < end - 1e-12:
            solution = solve_ivp(
                lambda _, y: [y[1], -9.81],
                (t, end),
                state,
                "DOP853",
                events=floor,
                rtol=1e-12,
                atol=1e-13,
                dense_output=True,
            )
            inside = samples[(samples >= t) & (samples < solution.t[-1])]
            expected.extend(solution.sol(s) for s in inside)
            t, state = solution.t[-1], np.array([1e-14, -e * solution.y[1, -1]])
        expected.append(solution.y[:, -1])
        # The event is located to about 1e-11; velocities of 5 m/s times that.
        np.testing.assert_allclose(task.simulate(np.array([[0.8, 0.6]]), 30).states[0], expected, atol=1e-8)

    @pytest.mark.parametrize("e", [0.0, 0.3, 0.7, 0.9, 0.999, 1.0 - 1e-12, 1.0])
    def test_one_long_flight_equals_many_short_ones(self, e: float) -> None:
        task = BouncingBall(e=e)
        x = draw(task, 50, "ood")
        stepped = task.simulate(x, 1000).states
        exact = task.exact(x, 1000)
        # 1,000 steps of rounding 1e-16 on times that add up to 20 s, at speeds below 8 m/s.
        np.testing.assert_allclose(stepped, exact, atol=1e-10)
        assert stepped[..., 0].min() >= 0.0

    def test_zeno_point(self) -> None:
        task = BouncingBall(e=0.7, dt=1e-3)
        x = np.array([[1.0, 0.0]])
        fall, speed = np.sqrt(2 / 9.81), np.sqrt(2 * 9.81)
        # t₁ + Σ 2 e^n s/g = t₁ + 2 e s/(g (1 − e)), a geometric series.
        rest = fall + 2 * 0.7 * speed / (9.81 * 0.3)
        states = task.simulate(x, int(rest / 1e-3) + 50).states[0]
        at_rest = (states == 0.0).all(axis=1)
        assert int(np.argmax(at_rest)) == int(np.ceil(rest / 1e-3))
        assert at_rest[int(np.ceil(rest / 1e-3)) :].all()
        # Just before it hundreds of impacts fit into one step; the ball is still above the floor and slower than any
        # earlier bounce, and nothing has overflowed.
        assert np.isfinite(states).all()
        assert 0 < np.abs(states[int(rest / 1e-3) - 1]).max() < 0.05

    def test_grazing_starts_are_seen(self) -> None:
        # Flights of microseconds between samples of 20 ms.
        task = BouncingBall(e=1.0)
        x = np.array([[0.0, 1e-6], [1e-14, 0.0], [0.0, -1e-6], [1e-300, 0.0]])
        states = task.simulate(x, 1000).states
        energy = task.invariants(states)["energy"]
        np.testing.assert_allclose(energy, np.broadcast_to(energy[:, :1], energy.shape), rtol=1e-6, atol=1e-300)
        assert states[..., 0].min() >= 0
        assert states[..., 0].max() <= 1.01e-13

    def test_energy_is_kept_without_losses_and_lost_with_them(self) -> None:
        x = draw(BouncingBall(), 50)
        energy = BouncingBall(e=1.0).invariants(BouncingBall(e=1.0).simulate(x, 2000).states)["energy"]
        # 2,000 roundings of 1e-16, forty seconds.
        np.testing.assert_allclose(energy, np.broadcast_to(energy[:, :1], energy.shape), rtol=1e-11)
        assert BouncingBall(e=0.9).invariants(x) == {}
        assert BouncingBall(e=1.0).obstruction == "none"
        assert BouncingBall(e=0.9).obstruction == "non_injective"

    def test_reset_is_a_factor_of_gate_one_plus_e(self) -> None:
        task = BouncingBall(e=0.8, dt=1e-9)
        before = np.array([[1e-10, -2.0]])
        after = task.next_state(before)
        k = np.array([0.0, 1.0])
        # Position and gravity change by some 1e-9 during the step; the velocity is the update.
        np.testing.assert_allclose(after, before - (1 + 0.8) * (before @ k)[:, None] * k, atol=1e-8)

    def test_a_ball_below_the_floor_is_refused(self) -> None:
        with pytest.raises(ValueError, match="height must be at least 0, but row 1"):
            BouncingBall().simulate(np.array([[1.0, 0.0], [-0.1, 0.0]]), 3)

    def test_family_rows_have_their_own_restitution(self) -> None:
        task = BouncingBallFamily()
        x = task.initial_states(6, rng=np.random.default_rng(0), split="ood")
        inputs = task.inputs(6, 100, rng=np.random.default_rng(1), split="ood")
        states = task.simulate(x, 100, inputs).states
        for row in range(6):
            alone = BouncingBall(e=float(inputs[row, 0, 0])).simulate(x[row : row + 1], 100).states[0]
            np.testing.assert_allclose(states[row], alone, atol=1e-13)
        assert np.ptp(inputs[:, 0, 0]) > 0.05

    def test_impact_view_agrees_with_the_flow_view(self) -> None:
        impacts = BouncingBallImpacts(e=0.8).simulate(np.array([[4.0, 8.0 / 9.81]]), 5).states[0]
        times = np.concatenate([[0.0], np.cumsum(impacts[:5, 1])])
        # Just after each impact time the flow view shows the ball leaving at the speed of the impact view.
        height, velocity = fly(np.zeros(6), np.full(6, 4.0), times + 1e-9, g=np.array(9.81), e=np.array(0.8))
        np.testing.assert_allclose(velocity, impacts[:, 0], atol=1e-7)
        np.testing.assert_allclose(height, 0.0, atol=1e-8)
        np.testing.assert_allclose(np.diff(np.log(impacts[:, 0] ** 2 / (2 * 9.81))), 2 * np.log(0.8), atol=1e-8)
