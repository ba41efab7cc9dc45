"""Initial states at multiples of the training radius, over the whole registry."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.tasks import TASKS, make_task
from ddl_dyn.tasks.contract import separated

RADII = (1.5, 2.0, 4.0, 8.0)
SIMULATED = [name for name in TASKS if not TASKS[name].recorded]


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
