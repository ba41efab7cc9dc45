"""Billiards: conserved quantities, grazing and corner hits, geometry, and the two views against each other."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split
from ddl_dyn.tasks.hybrid.billiard_tables import TABLES, enter_circle
from ddl_dyn.tasks.hybrid.billiards import Billiard, BilliardCollisions, BilliardTable
from ddl_dyn.tasks.hybrid.events import reflect

SHAPES = tuple(TABLES)


def draw(task: BilliardTable, n: int = 20, split: Split = "train", seed: int = 0) -> Array:
    return task.initial_states(n, rng=np.random.default_rng(seed), split=split)


class TestBilliards:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_thousand_bounces_keep_the_speed(self, shape: str) -> None:
        task = BilliardCollisions(shape=shape)
        x = draw(task, 50, "ood")
        states = task.simulate(x, 1000).states
        for key, value in task.invariants(states).items():
            assert np.abs(value - value[:, :1]).max() <= 1e-12, key
        # On the wall after every collision, to rounding.
        np.testing.assert_allclose(task.table.gap(states[..., :2], task.ratio), 0.0, atol=1e-13)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_flow_view_passes_through_the_collisions(self, shape: str) -> None:
        flow, map_ = Billiard(shape=shape, dt=0.25), BilliardCollisions(shape=shape)
        x = draw(map_, 10)
        hits = map_.simulate(x, 8).states
        flights = np.linalg.norm(np.diff(hits[..., :2], axis=1), axis=-1)
        times = np.concatenate([np.zeros((10, 1)), np.cumsum(flights, axis=1)], axis=1)
        states = flow.simulate(x, 20).states
        for row in range(10):
            for step in range(21):
                last = int(np.searchsorted(times[row], 0.25 * step, side="right")) - 1
                if last == 8 or np.abs(times[row] - 0.25 * step).min() < 1e-9:
                    continue
                place = hits[row, last, :2] + hits[row, last, 2:] * (0.25 * step - times[row, last])
                # Chaos of eight collisions at most: e^8 · 1e-16 and more in the Sinai billiard.
                np.testing.assert_allclose(states[row, step], [*place, *hits[row, last, 2:]], atol=1e-8)

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("split", ["train", "ood"])
    def test_nothing_ever_leaves_the_table(self, shape: str, split: Split) -> None:
        task = Billiard(shape=shape)
        x = draw(task, 100, split)
        states = task.simulate(x, 1000).states
        assert np.isfinite(states).all()
        assert task.table.gap(states[..., :2], task.ratio).min() > -1e-12

    @pytest.mark.parametrize("shape", ["sinai", "stadium"])
    def test_mean_free_path(self, shape: str) -> None:
        task = BilliardCollisions(shape=shape)
        states = task.simulate(draw(task, 100), 2000).states
        mean = np.linalg.norm(np.diff(states[..., :2], axis=1), axis=-1).mean(axis=1)
        # π A/|∂Q| (Santaló; Chernov & Markarian 2006, §2.12) in ergodic tables; over 100 orbits, four standard errors.
        error = mean.std(ddof=1) / 10
        assert mean.mean() == pytest.approx(task.mean_free_path, abs=4 * error)
        assert error < 0.01 * task.mean_free_path

    def test_circle_turns_by_a_constant_angle(self) -> None:
        task = BilliardCollisions()
        states = task.simulate(draw(task, 20), 50).states
        incidence = np.arcsin(task.invariants(states)["sin_incidence"])
        place = np.unwrap(np.arctan2(states[..., 1], states[..., 0]), axis=1)
        turn = np.abs(np.mod(np.diff(place, axis=1) + np.pi, 2 * np.pi) - np.pi)
        np.testing.assert_allclose(turn, np.pi - 2 * incidence[:, 1:], atol=1e-12)
        flights = np.linalg.norm(np.diff(states[..., :2], axis=1), axis=-1)
        np.testing.assert_allclose(flights, 2 * np.cos(incidence[:, 1:]), atol=1e-12)

    def test_rectangle_unfolds_into_straight_lines(self) -> None:
        task = Billiard(shape="rectangle", proportion=0.7)
        x = draw(task, 30)
        states = task.simulate(x, 400).states
        # Reflections unfold: the position is a triangle wave of the free flight.
        half, t = np.array([1.0, 0.7]), 0.1 * np.arange(401)[None, :, None]
        free = x[:, None, :2] + x[:, None, 2:] * t
        folded = np.abs(np.mod(free + half, 4 * half) - 2 * half) - half
        np.testing.assert_allclose(states[..., :2], -folded, atol=1e-12)

    def test_grazing_disc_is_hit_and_missed_to_the_last_digit(self) -> None:
        # Offsets from tangency of 1e-15 … 1e-3 radii, either side.
        offset = np.concatenate([10.0 ** -np.arange(3, 16), -(10.0 ** -np.arange(3, 16))])
        x = np.stack([np.full(26, -0.9), 0.5 * (1 - offset)], axis=1)
        time, _ = enter_circle(x, np.tile([1.0, 0.0], (26, 1)), 0.5)
        hit = np.isfinite(time)
        # The offset survives in y itself to 1e-16, so that the largest 25 of the 26 are decided rightly.
        np.testing.assert_array_equal(hit[:12], True)
        np.testing.assert_array_equal(hit[13:25], False)
        # −x − √(r² − y²) with r² − y² = r² (2δ − δ²).
        expected = 0.9 - 0.5 * np.sqrt(2 * offset[:10] - offset[:10] ** 2)
        np.testing.assert_allclose(time[:10], expected, atol=1e-10)

    def test_grazing_flights_in_stadium_and_circle(self) -> None:
        # Launched almost along the wall, across the junctions of straight sides and caps.
        for shape in ("stadium", "circle"):
            task = BilliardCollisions(shape=shape)
            angle = np.array([1e-3, 1e-4, 1e-5])
            y = np.full(3, -1.0)
            x = np.stack([np.zeros(3), y, np.cos(angle), np.sin(angle)], axis=1)
            states = task.simulate(x, 3000).states
            assert np.isfinite(states).all()
            assert np.abs(task.table.gap(states[..., :2], task.ratio)).max() < 1e-12
            assert np.abs(task.invariants(states)["speed"] - 1).max() < 1e-12

    def test_corners(self) -> None:
        task = Billiard(shape="rectangle", proportion=1.0, dt=0.5)
        x = np.array([[0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)]])
        states = task.simulate(x, 40).states[0]
        # Into the corner and straight back: the ball stays on the diagonal.
        np.testing.assert_allclose(states[:, 0], states[:, 1], atol=1e-13)
        assert np.abs(states[:, :2]).max() <= 1 + 1e-12
        assert (states[:, 2] < 0).any()

    def test_collision_is_the_update_with_gate_two(self) -> None:
        for shape in SHAPES:
            task = BilliardCollisions(shape=shape)
            x = draw(task, 100)
            _, after, normal = task.to_wall(x)
            np.testing.assert_allclose(np.linalg.norm(normal, axis=1), 1.0, atol=1e-14)
            np.testing.assert_allclose(after[:, 2:], reflect(x[:, 2:], normal), atol=1e-15)
            # From the wall inwards: before the collision against the normal, after it along it.
            assert ((x[:, 2:] * normal).sum(axis=1) <= 0).all()
            assert ((after[:, 2:] * normal).sum(axis=1) >= 0).all()

    def test_time_reversal(self) -> None:
        for shape in SHAPES:
            task = Billiard(shape=shape)
            x = draw(task, 20, seed=1)
            end = task.simulate(x, 50).states[:, -1] * np.array([1, 1, -1, -1])
            back = task.simulate(end, 50).states[:, -1] * np.array([1, 1, -1, -1])
            # Five time units back and forth; the Sinai billiard amplifies roundings some thousandfold per unit.
            np.testing.assert_allclose(back, x, atol=1e-6)

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("view", [Billiard, BilliardCollisions])
    def test_rows_and_supports(self, shape: str, view: type[BilliardTable]) -> None:
        task = view(shape=shape)
        few, many = draw(task, 5), draw(task, 10)
        np.testing.assert_array_equal(few, many[:5])
        train, ood = draw(task, 500), draw(task, 500, "ood")
        if shape == "circle":
            key = "sin_incidence"
            assert task.invariants(train)[key].max() < 0.6 + 1e-9
            assert task.invariants(ood)[key].min() > 0.65 - 1e-9
        elif shape == "rectangle":
            assert np.abs(train[:, 2]).max() < 0.9
            assert np.abs(ood[:, 2]).min() > 0.92
        else:
            assert train[:, 0].max() < 0
            assert ood[:, 0].min() > 0.05
        np.testing.assert_allclose(np.hypot(train[:, 2], train[:, 3]), 1.0, atol=1e-14)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"shape": "triangle"}, "shape must be one of .circle., .rectangle."),
            ({"shape": "circle", "proportion": 0.5}, "a circle has none"),
            ({"shape": "sinai", "proportion": 0.99}, "proportion of a sinai must be in"),
            ({"shape": "stadium", "proportion": -1.0}, "proportion must lie in"),
        ],
    )
    def test_bad_tables_are_refused(self, arguments: dict[str, float], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            Billiard(**arguments)  # type: ignore[arg-type]

    @pytest.mark.parametrize("state", [[2.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    def test_bad_states_are_refused(self, state: list[float]) -> None:
        with pytest.raises(ValueError, match="inside the table and move, but row 0"):
            Billiard().simulate(np.array([state]), 2)

    def test_proportion_changes_the_table(self) -> None:
        x = np.array([[0.8, 0.1, 0.6, 0.8]])
        ends = [Billiard(shape="sinai", proportion=p).simulate(x, 40).states[0, -1] for p in (0.3, 0.5)]
        assert np.abs(ends[0] - ends[1]).max() > 0.1
