"""Billiards and hard spheres in d dimensions against unfolding, the plane, closed forms and slow references."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import SPLITS
from ddl_dyn.tasks.hybrid.billiards import Billiard
from ddl_dyn.tasks.hybrid.events import advance, straight
from ddl_dyn.tasks.hybrid.hard_spheres import HardSpheres
from ddl_dyn.tasks.hybrid.many_dimensions import BilliardD

BILLIARDS = [BilliardD(shape=shape, d=d) for shape in ("ball", "box", "sinai") for d in (2, 3, 7)]  # type: ignore[arg-type]
SPHERES = [
    HardSpheres(),
    HardSpheres(n=4, d=1, radius=0.1),
    HardSpheres(n=3, d=3, radius=0.3),
    HardSpheres(n=5, d=2, radius=0.15),
]


def name(task) -> str:
    return "-".join(f"{key}={value}" for key, value in task.parameters().items() if key != "dt")


def draw(task, n: int = 32, split="train", seed: int = 0) -> Array:
    return task.initial_states(n, rng=np.random.default_rng(seed), split=split)


def reversed_in_time(x: Array) -> Array:
    half = x.shape[-1] // 2
    return np.concatenate([x[..., :half], -x[..., half:]], axis=-1)


@pytest.mark.parametrize("task", [*BILLIARDS, *SPHERES], ids=name)
def test_invariants_hold_and_time_runs_backwards(task) -> None:
    for split in SPLITS:
        x = draw(task, split=split)
        states = task.simulate(x, 60).states
        task.check_states(states.reshape(-1, task.state_dim), 0)
        for key, value in task.invariants(states).items():
            assert np.abs(value - value[:, :1]).max() < 1e-12, key
    # Six units of time with some six collisions each amplify rounding by a few hundred at most in the chaotic shapes.
    back = reversed_in_time(task.simulate(reversed_in_time(states[:, 30]), 30).states[:, -1])
    np.testing.assert_allclose(back, x, atol=1e-9)


@pytest.mark.parametrize("task", [*BILLIARDS, *SPHERES], ids=name)
def test_the_map_keeps_volume(task) -> None:
    x, h = draw(task, 4, seed=3), 1e-6
    columns = [(task.next_state(x + h * e) - task.next_state(x - h * e)) / (2 * h) for e in np.eye(task.state_dim)]
    # Differences of step 1e-6 across at most one curved collision; none of these rows has its collision within 1e-6.
    np.testing.assert_allclose(np.linalg.det(np.stack(columns, axis=-1)), 1.0, atol=1e-5)


@pytest.mark.parametrize("d", [2, 3, 8])
def test_a_ball_is_the_circle_in_the_plane_of_motion(d: int) -> None:
    task, circle = BilliardD(d=d), Billiard(shape="circle")
    x = draw(task)
    place, v = x[:, :d], x[:, d:]
    rest = place - (place * v).sum(axis=1, keepdims=True) * v
    other = rest / np.linalg.norm(rest, axis=1, keepdims=True)
    flat = np.stack([(place * v).sum(axis=1), (place * other).sum(axis=1), np.ones(32), np.zeros(32)], axis=1)
    plane = circle.simulate(flat, 80).states
    ours = task.simulate(x, 80).states
    back = plane[..., 0, None] * v[:, None] + plane[..., 1, None] * other[:, None]
    np.testing.assert_allclose(ours[..., :d], back, atol=1e-11)


def test_the_scatterer_of_the_plane_is_that_of_the_two_dimensional_task() -> None:
    ours, theirs = BilliardD(d=2, shape="sinai"), Billiard(shape="sinai")
    x = draw(ours)
    # Rounding grows by some e per collision: five units of time, five collisions.
    np.testing.assert_allclose(ours.simulate(x, 50).states, theirs.simulate(x, 50).states, atol=1e-9)
    assert ours.mean_free_path == pytest.approx(theirs.mean_free_path, rel=1e-14)


def collisions(task, x: Array, time: float) -> Array:
    """Number of events of every state within a time, (N,)."""
    count = np.zeros(len(x))
    left = np.full(len(x), time)
    while True:
        until, x = task.next_event(x)
        left -= until
        if (left < 0).all():
            return count
        count += left >= 0


@pytest.mark.parametrize("task", BILLIARDS, ids=name)
def test_the_mean_free_path_is_santalos(task: BilliardD) -> None:
    # Uniform states collide at the rate 1/path whatever the shape: the uniform measure is invariant.
    both = np.concatenate([draw(task, 4000, split=split, seed=5) for split in ("train", "ood")])
    if task.shape == "sinai":
        rate = collisions(task, both, 4.0).mean() / 4.0
        # The halves leave a slab of .05 out; standard error of 8,000 counts of some four, correlated: below 1 %.
        assert rate * task.mean_free_path == pytest.approx(1.0, abs=0.04)
    known = {("ball", 3): 4 / 3, ("ball", 2): np.pi / 2, ("box", 2): np.pi / 2, ("box", 3): 4 / 3}
    if (task.shape, task.d) in known:
        assert task.mean_free_path == pytest.approx(known[task.shape, task.d], rel=1e-14)
    if task.shape == "box":
        # Each coordinate meets a wall every 2/|vᵢ|.
        v = np.random.default_rng(0).standard_normal((200_000, task.d))
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        assert 2 / np.abs(v).sum(axis=1).mean() == pytest.approx(task.mean_free_path, rel=5e-3)


def test_incidence_splits_at_its_quantiles() -> None:
    for d in (2, 5, 32):
        task = BilliardD(d=d)
        train, ood = (task.invariants(draw(task, 2000, split=s))["sin_incidence"] for s in ("train", "ood"))
        assert train.max() < ood.min()
        # A uniform state, by rejection from a cube's directions: 60 % of them lie below the largest of training.
        rng = np.random.default_rng(1)
        place = rng.standard_normal((20_000, d))
        place *= rng.random((20_000, 1)) ** (1 / d) / np.linalg.norm(place, axis=1, keepdims=True)
        aside = np.linalg.norm(place[:, 1:], axis=1)
        assert (aside < train.max()).mean() == pytest.approx(0.6, abs=0.015)


def test_rods_on_a_line_are_points_that_pass_through_one_another() -> None:
    # Jepsen (1965), doi:10.1063/1.1704288: without their lengths the rods are points that exchange velocities.
    task = HardSpheres(n=4, d=1, radius=0.1)
    x = draw(task, 50)
    place, v = x[:, :4], x[:, 4:]
    order = place.argsort(axis=1)
    points = np.take_along_axis(place, order, axis=1) - 0.2 * np.arange(4) + 0.9
    width = 1.8 - 0.2 * 3
    states = task.simulate(x, 120).states
    for step in (1, 40, 120):
        free = points + np.take_along_axis(v, order, axis=1) * step * task.dt
        folded = np.abs(np.mod(free + width, 2 * width) - width)
        where = np.sort(folded, axis=1) + 0.2 * np.arange(4) - 0.9
        np.testing.assert_allclose(np.take_along_axis(states[:, step, :4], order, axis=1), where, atol=1e-10)


def test_a_collision_of_two_spheres_exchanges_what_the_conservation_laws_say() -> None:
    task = HardSpheres(n=2, d=3, radius=0.4)
    x = draw(task, 500)
    time, after = task.next_event(x)
    before = straight(x, time)
    met = np.abs(np.linalg.norm(before[:, :3] - before[:, 3:6], axis=1) - 0.8) < 1e-12
    assert 50 < met.sum() < 450
    v, w = (state.reshape(-1, 4, 3)[:, 2:] for state in (before, after))
    momentum = (w - v).sum(axis=1)
    np.testing.assert_allclose(momentum[met], 0.0, atol=1e-14)
    assert (np.abs(momentum[~met]).max(axis=1) > 1e-3).mean() > 0.9, "a wall does not keep the momentum"
    # In the frame of the two: the relative velocity is mirrored along the line of centres, k = (n, −n)/√2, β = 2.
    n = (before[met, :3] - before[met, 3:6]) / 0.8
    k = np.concatenate([n, -n], axis=1) / np.sqrt(2)
    both = before[met, 6:]
    np.testing.assert_allclose(after[met, 6:], both - 2 * k * (both * k).sum(axis=1, keepdims=True), atol=1e-14)


def test_hard_spheres_against_small_steps() -> None:
    # Independent: positions moved by 5e-5 and velocities changed when an overlap with approach is seen, error O(5e-5).
    task = HardSpheres(n=3, d=2, radius=0.2)
    x = draw(task, 4, seed=2)
    place, v, h = x[:, :6].reshape(4, 3, 2).copy(), x[:, 6:].reshape(4, 3, 2).copy(), 5e-5
    for _ in range(20_000):
        place += h * v
        v = np.where((np.abs(place) > 0.8) & (place * v > 0), -v, v)
        for i, j in ((0, 1), (0, 2), (1, 2)):
            gap, speed = place[:, i] - place[:, j], v[:, i] - v[:, j]
            closing = (np.linalg.norm(gap, axis=1) < 0.4) & ((gap * speed).sum(axis=1) < 0)
            normal = gap / np.linalg.norm(gap, axis=1, keepdims=True)
            push = np.where(closing[:, None], (speed * normal).sum(axis=1, keepdims=True) * normal, 0.0)
            v[:, i] -= push
            v[:, j] += push
    ours = task.simulate(x, 10).states[:, -1]
    # Up to three collisions in one unit of time, each amplifying the late reflection some ten times.
    np.testing.assert_allclose(ours, np.concatenate([place.reshape(4, 6), v.reshape(4, 6)], axis=1), atol=1e-3)


def test_collision_rate_of_two_rods() -> None:
    # Two rods of length 2r: the configurations are a right triangle of legs L = 2 − 4r, so the mean free path of the
    # point that stands for both is π area/perimeter = π L/(2 (2 + √2)), at the speed √2.
    task, r = HardSpheres(n=2, d=1, radius=0.2), 0.2
    rng = np.random.default_rng(0)
    place = rng.uniform(-0.8, 0.8, (20_000, 2))
    place = place[np.abs(place[:, 0] - place[:, 1]) > 2 * r]
    angle = rng.uniform(0, 2 * np.pi, len(place))
    x = np.column_stack([place, np.sqrt(2) * np.cos(angle), np.sqrt(2) * np.sin(angle)])
    rate = collisions(task, x, 5.0).mean() / 5.0
    assert rate == pytest.approx(np.sqrt(2) * 2 * (2 + np.sqrt(2)) / (np.pi * (2 - 4 * r)), rel=0.01)


def test_states_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        HardSpheres().simulate(np.array([[0.0, 0.0, 0.1, 0.0, 1.0, 0.0, 0.0, 1.0]]), 1)
    with pytest.raises(ValueError, match="inside the walls"):
        BilliardD().simulate(np.array([[2.0, 0.0, 0.0, 1.0, 0.0, 0.0]]), 1)
    with pytest.raises(ValueError, match="a box has none"):
        BilliardD(shape="box", radius=0.3)
    with pytest.raises(ValueError, match="hardly fit"):
        draw(HardSpheres(n=16, radius=0.45))


def test_endless_events_are_not_a_number() -> None:
    stuck = lambda x: (np.zeros(len(x)), x)  # noqa: E731
    states = advance(np.ones((2, 2)), 1.0, motion=straight, next_event=stuck)
    assert np.isnan(states).all()
