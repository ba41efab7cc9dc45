"""Maps of the line and the plane against algebra and independent estimates of their exponents."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.base import SPLITS, Array, MapTask
from tasks.maps import FlipFlop
from tasks.planar_maps import Henon, inside_polygon

MAPS: list[MapTask] = [FlipFlop(), FlipFlop(c=0.9), Henon(), Henon(a=1.2, b=0.2)]


def name(task: MapTask) -> str:
    changed = {k: v for k, v in vars(task).items() if v != getattr(type(task)(), k)}
    return "-".join([task.key(), *(f"{k}={v}" for k, v in changed.items())])


def orbit(task: MapTask, x: Array, steps: int) -> Array:
    states = [x]
    for _ in range(steps):
        states.append(task.next_state(states[-1]))
    return np.stack(states, axis=1)


@pytest.mark.parametrize("task", MAPS, ids=name)
def test_orbits_from_every_split_stay_bounded(task: MapTask) -> None:
    for split in SPLITS:
        x = task.initial_states(64, rng=np.random.default_rng(3), split=split)
        assert x.shape == (64, task.state_dim)
        states = orbit(task, x, 3000)
        # An escaping orbit passes 1e3 within a dozen steps; the attractors here are smaller than 20.
        assert np.abs(states).max() < 20.0
        # Sensitivity of the check: a collapsed ensemble (everything at one point) would also be bounded.
        assert np.ptp(states[:, 0], axis=0).max() > 0.1


@pytest.mark.parametrize("task", MAPS, ids=name)
def test_rows_are_drawn_one_after_another(task: MapTask) -> None:
    for split in SPLITS:
        few = task.initial_states(7, rng=np.random.default_rng(5), split=split)
        many = task.initial_states(14, rng=np.random.default_rng(5), split=split)
        np.testing.assert_array_equal(few, many[:7])


@pytest.mark.parametrize("task", MAPS, ids=name)
def test_jacobian_is_the_derivative_of_the_map(task: MapTask) -> None:
    x = task.initial_states(50, rng=np.random.default_rng(1), split="train")
    analytic = task.jacobian(x)
    assert analytic is not None
    h = 1e-6
    columns = [(task.next_state(x + h * e) - task.next_state(x - h * e)) / (2 * h) for e in np.eye(task.state_dim)]
    # Central differences: h² f‴/6 ~ 1e-11 and rounding 1e-16/h = 1e-10 on entries of size up to 100.
    np.testing.assert_allclose(analytic, np.stack(columns, axis=-1), atol=1e-7)


class TestFlipFlop:
    def test_two_cycle_and_multiplier(self) -> None:
        task = FlipFlop()
        one = np.array([[1.0], [-1.0]])
        np.testing.assert_array_equal(task.next_state(one), -one)
        # (2c − 1)² = .16 at c = .3 by the chain rule.
        assert np.prod(task.slope(np.array([1.0, -1.0]))) == pytest.approx(0.16, abs=1e-15)

    @pytest.mark.parametrize("c", [0.1, 0.3, 0.9])
    def test_every_split_reaches_the_cycle(self, c: float) -> None:
        task = FlipFlop(c=c)
        for split in SPLITS:
            x = task.initial_states(500, rng=np.random.default_rng(0), split=split)
            end = orbit(task, x, 400)[:, -2:, 0]
            # The slowest multiplier is .64 per two steps (c = .1, .9), .8^400 is far below rounding.
            np.testing.assert_allclose(np.abs(end), 1.0, atol=1e-12)
            np.testing.assert_allclose(end.sum(axis=1), 0.0, atol=1e-12)

    def test_supports_are_disjoint(self) -> None:
        train = np.abs(FlipFlop().initial_states(4000, rng=np.random.default_rng(0), split="train"))
        ood = np.abs(FlipFlop().initial_states(4000, rng=np.random.default_rng(0), split="ood"))
        assert train.min() >= 0.3
        assert train.max() < 1.5
        assert (((ood >= 0.05) & (ood < 0.3)) | ((ood >= 1.5) & (ood < 1.7))).all()
        assert (ood < 0.3).any()
        assert (ood >= 1.5).any()


class TestHenon:
    def test_fixed_points(self) -> None:
        # Roots of a x² + (1 − b) x − 1 = 0 with y = b x.
        roots = np.roots([1.4, 0.7, -1.0])
        np.testing.assert_allclose(np.sort(roots), [-1.131354, 0.631354], atol=1e-6)
        x = np.stack([roots, 0.3 * roots], axis=1)
        np.testing.assert_allclose(Henon().next_state(x), x, atol=1e-14)

    def test_quadrilateral_is_carried_into_itself(self) -> None:
        corners = np.asarray(Henon.trapping_corners)
        weights = np.linspace(0, 1, 2001)[:, None, None]
        boundary = ((1 - weights) * corners + weights * np.roll(corners, -1, axis=0)).reshape(-1, 2)
        assert inside_polygon(Henon().next_state(boundary), corners).all()
        # The map leaves it when the fold is stronger, so the check can fail.
        assert not inside_polygon(Henon(a=1.5).next_state(boundary), corners).all()

    def test_supports_are_disjoint(self) -> None:
        corners = np.asarray(Henon.trapping_corners)
        train = Henon().initial_states(2000, rng=np.random.default_rng(0), split="train")
        ood = Henon().initial_states(2000, rng=np.random.default_rng(0), split="ood")
        assert inside_polygon(train, corners).all()
        assert not inside_polygon(ood, corners).any()

    def test_parameters_without_bounded_orbits_are_refused(self) -> None:
        with pytest.raises(ValueError, match="bounded orbits"):
            Henon(a=2.0, b=1.0).initial_states(8, rng=np.random.default_rng(0), split="train")

    def test_inverse(self) -> None:
        x = Henon().initial_states(20, rng=np.random.default_rng(0), split="train")
        image = Henon().next_state(x)
        u = image[:, 1] / 0.3
        np.testing.assert_allclose(np.stack([u, image[:, 0] - 1 + 1.4 * u**2], axis=1), x, atol=1e-14)
