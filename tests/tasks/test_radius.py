"""Initial states at multiples of the training radius, over the whole registry."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.cli.facts import required_parameters
from ddl_dyn.tasks import TASKS, make_dataset, make_task
from ddl_dyn.tasks.contract import separated
from ddl_dyn.tasks.maps.line import FlipFlop
from ddl_dyn.tasks.radii import STARTS

RADII = (1.5, 2.0, 4.0, 8.0)
SIMULATED = [name for name, cls in TASKS.items() if not cls.recorded and not required_parameters(cls)]


def at(name: str, radius: float, n: int = 64, seed: int = 0):
    return make_task(name).states_at_radius(n, rng=np.random.default_rng(seed), radius=radius)


HAVE = [name for name in SIMULATED if at(name, 1.5, n=2) is not None]


@pytest.mark.parametrize("name", SIMULATED)
def test_the_datasheet_defines_the_radius_of_those_that_have_one(name: str) -> None:
    assert ("Radius:" in (TASKS[name].__doc__ or "")) == (name in HAVE)


def test_most_flows_have_a_radius_and_bounded_maps_have_none() -> None:
    assert {"harmonic", "van_der_pol", "lorenz63", "ueda", "twisted_mirror", "bouncing_ball"} <= set(HAVE)
    # Orbits from far out leave the basin (henon, rossler), or the states are all there are (standard_map, grover).
    assert not {"henon", "logistic", "rossler", "standard_map", "grover", "billiard", "s3"} & set(HAVE)


@pytest.mark.parametrize("name", HAVE)
def test_states_at_a_radius_are_drawn_row_by_row_outside_the_training_support(name: str) -> None:
    task = make_task(name)
    train = task.initial_states(400, rng=np.random.default_rng(5), split="train")
    seen = [train]
    for radius in RADII:
        states = at(name, radius)
        if states is None:
            continue
        assert states.dtype == np.float64
        assert states.shape == (64, task.state_dim)
        # Equal but for the last bit that vector units may round differently at the end of an array.
        np.testing.assert_allclose(at(name, radius, n=20), states[:20], rtol=1e-9, atol=1e-12)
        for other in seen:
            known = (task.invariants(part) for part in (other, states))
            kept = [np.column_stack(list(values.values())) if values else np.zeros((2, 1)) for values in known]
            assert separated(other, states) or separated(*kept), (radius, "meets a smaller one")
        assert np.isfinite(task.simulate(states[:8], 50).states).all()
        seen.append(states)
    assert len(seen) > 1
    assert not separated(train[::2], train[1::2]), "the test must be able to fail"


SIZES = {
    # name -> what the datasheet calls the radius, as a function of a state, and its largest training value.
    "harmonic": (lambda x: np.hypot(*x.T), 1.5),
    "torus": (lambda x: np.hypot(x[:, 2], x[:, 3]), 1.5),
    "van_der_pol": (lambda x: np.hypot(*x.T), 3.0),
    "stuart_landau": (lambda x: np.hypot(*x.T), 1.5),
    "spring_chain": (lambda x: np.linalg.norm(x, axis=1), 1.5),
    "fitzhugh_nagumo": (lambda x: np.maximum(np.abs(x[:, 0]) / 2, np.abs(x[:, 1] - 0.5) / 1.1), 1.0),
    "brusselator": (lambda x: x[:, 1], 4.0),
    "lotka_volterra": (lambda x: x[:, 0], 1.6),
    "ricker": (lambda x: x[:, 0], 5.0),
    "gauss": (lambda x: np.abs(x[:, 0]), 0.4),
    "mirror": (lambda x: np.linalg.norm(x, axis=1), 1.5),
    "bouncing_ball": (lambda x: x[:, 0], 1.5),
    "bouncing_ball_impacts": (lambda x: x[:, 0], 5.0),
    # Energy of the amplitude A at β = 1: A²/2 + A⁴/4.
    "hardening_duffing": (
        lambda x: np.sqrt(np.sqrt(1 + 4 * make_task("hardening_duffing").invariants(x)["energy"]) - 1),
        1.0,
    ),
    "beating": (lambda x: make_task("beating").invariants(x)["A2"], 1.0),
    "chirp": (lambda x: make_task("chirp").invariants(x)["A"], 1.0),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_radius_is_what_the_datasheet_says(name: str) -> None:
    size, largest = SIZES[name]
    train = make_task(name).initial_states(4000, rng=np.random.default_rng(1), split="train")
    # 4,000 uniform draws come within half a percent of the edge of their support.
    assert largest * 0.995 < size(train).max() <= largest * (1 + 1e-12)
    for radius in RADII:
        np.testing.assert_allclose(size(at(name, radius)), radius * largest, rtol=1e-9)


def test_the_radius_of_an_attractor_is_the_half_width_of_its_box() -> None:
    task = make_task("lorenz63")
    orbit = task.simulate(task.initial_states(8, rng=np.random.default_rng(3), split="train"), 2000).states
    low, high = orbit.reshape(-1, 3).min(axis=0), orbit.reshape(-1, 3).max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    # The box is that of 1,024 states, whose extremes fall short of an orbit of 16,000 by some percent.
    reach = (np.abs(at("lorenz63", 4.0) - middle) / half).max(axis=1)
    np.testing.assert_allclose(reach, 4.0, rtol=0.15)
    phases = at("ueda", 2.0)[:, 2:]
    np.testing.assert_allclose(np.hypot(*phases.T), 1.0, rtol=1e-12)


def test_a_radius_beyond_the_basin_is_none() -> None:
    assert at("flip_flop", 1.5) is not None
    # The basin ends at √(1 + 2/.3) = 2.77, the pendulum turns over at π.
    assert at("flip_flop", 2.0) is None
    assert at("pendulum", 3.0) is not None
    assert at("pendulum", 4.0) is None


def build(task="van_der_pol", **changes):
    made = make_task(task) if isinstance(task, str) else task
    return make_dataset(
        made, **{"n_train": 4, "n_val": 2, "n_test": 2, "n_ood": 6, "steps": 8, "radii": RADII, **changes}
    )


def test_a_dataset_holds_trajectories_at_every_radius_and_no_other_split_changes() -> None:
    data, plain = build(), build(radii=())
    assert plain.radii == {}
    assert data.content_hash == plain.content_hash
    for split in ("train", "val", "test", "ood"):
        np.testing.assert_array_equal(getattr(data, split).states, getattr(plain, split).states)
    assert list(data.radii) == list(RADII)
    for radius, part in data.radii.items():
        assert part.states.shape == (6, 9, 2)
        np.testing.assert_allclose(np.hypot(*part.states[:, 0].T), 3.0 * radius, rtol=1e-12)
        np.testing.assert_array_equal(part.states, data.task.simulate(part.states[:, 0], 8).states)
        # The same directions at every radius.
        np.testing.assert_allclose(part.states[:, 0] / radius, data.radii[1.5].states[:, 0] / 1.5, rtol=1e-9)
        assert not np.allclose(part.states[:2, 0] / radius, data.test.states[:, 0])


def test_starts_at_a_radius_keep_the_prefix_rule_and_the_seed_of_the_test() -> None:
    data, more, one = build(), build(n_ood=200), build(radii=(4.0,))
    assert len(more.radii[2.0]) == STARTS
    np.testing.assert_allclose(more.radii[2.0].states[:6, 0], data.radii[2.0].states[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(one.radii[4.0].states, data.radii[4.0].states)
    same, other = build(seed=7, test_seed=0), build(seed=7)
    np.testing.assert_array_equal(same.radii[8.0].states, data.radii[8.0].states)
    assert not np.array_equal(other.radii[8.0].states, data.radii[8.0].states)
    assert build(n_ood=0).radii == {}


@pytest.mark.parametrize("name", ["henon", "s3"])
def test_a_task_without_a_radius_has_no_trajectories_there_and_no_note(name: str) -> None:
    data = build(name)
    assert (data.radii, data.notes) == ({}, ())


def test_radii_without_bounded_orbits_are_noted() -> None:
    data = build("pendulum")
    assert list(data.radii) == [1.5, 2.0]
    assert data.notes == ("radius 4, 8: none, the task has no bounded orbits that far out",)


def test_a_truth_that_fails_at_a_radius_is_left_out_and_noted() -> None:
    class Brittle(FlipFlop):
        def states_at_radius(self, n, *, rng, radius):  # noqa: ARG002
            if radius == 2.0:
                raise ValueError("no such place")
            return radius * (1.0 + np.arange(n)[:, None])

        def simulate(self, x0, steps, inputs=None):
            found = super().simulate(x0 / 100, steps, inputs)
            states = found.states.copy()
            # Beyond 20 an orbit is lost at once.
            states[np.abs(x0[:, 0]) > 20.0, 1:] = np.inf
            return found.replace(states=states)

    data = build(Brittle(), radii=(1.5, 2.0, 4.0, 30.0))
    assert {radius: len(part) for radius, part in data.radii.items()} == {1.5: 6, 4.0: 5}
    assert data.notes == (
        "radius 2: left out, no such place",
        "radius 4: 1 of 6 trajectories leave the finite numbers and are left out",
        "radius 30: 6 of 6 trajectories leave the finite numbers and are left out",
    )
    np.testing.assert_array_equal(
        data.radii[4.0].states, data.task.simulate(data.task.states_at_radius(5, rng=None, radius=4.0), 8).states
    )


@pytest.mark.parametrize("radii", [(1.0,), (0.5, 2.0), (2.0, 2.0), (float("nan"),), (float("inf"),)])
def test_radii_that_are_none_are_refused(radii: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="radii must be different finite numbers above 1"):
        build(radii=radii)
