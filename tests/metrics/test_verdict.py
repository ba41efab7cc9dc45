"""Verdicts on constructed runs of each kind. Axes: T, D."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from ddl_dyn.metrics.verdict import VERDICTS, VerdictThresholds, verdict_shares, verdicts

TIME = 0.1 * np.arange(401)
SIGMA = np.array([2.0, 0.5]) / np.sqrt(2)


def orbit(omega: float = 1.0, size: float = 1.0, phase: float = 0.0, centre: float = 0.0) -> np.ndarray:
    angle = omega * TIME + phase
    return np.stack((2 * (centre + size * np.cos(angle)), -0.5 * size * np.sin(angle)), axis=-1)


def decaying(rate: float, omega: float = 1.0) -> np.ndarray:
    return orbit(omega) * np.exp(-rate * TIME)[:, None]


def judge(pred: np.ndarray, true: np.ndarray, sigma: np.ndarray = SIGMA) -> str:
    return str(verdicts(pred, true, sigma))


@pytest.mark.parametrize(
    ("pred", "verdict"),
    [
        (orbit(), "correct"),
        (orbit(1.01), "correct"),
        (orbit(1.02), "correct"),  # out of phase by .8 rad at the end: the right motion
        (orbit(1.2), "wrong_frequency"),
        (orbit(0.8), "wrong_frequency"),
        (orbit(-1.0), "wrong_frequency"),  # the same waves, turning the other way
        (np.random.default_rng(0).permutation(orbit(), axis=0), "wrong_frequency"),
        (orbit(size=1.6), "wrong_amplitude"),
        (orbit(size=0.5), "wrong_amplitude"),
        (orbit(centre=1.0), "wrong_amplitude"),
        (orbit() * np.exp(-np.maximum(TIME - 5, 0))[:, None], "mean_collapse"),
        (np.full_like(orbit(), 0.0), "mean_collapse"),
        (np.broadcast_to(orbit()[0], orbit().shape), "fixed_point_collapse"),
        (orbit() * np.exp(0.1 * TIME)[:, None], "divergence"),
        (np.where(TIME[:, None] < 39, orbit(), np.nan), "divergence"),
        (np.full_like(orbit(), 1e308), "divergence"),
    ],
)
def test_failures_of_a_limit_cycle(pred, verdict):
    assert judge(pred, orbit()) == verdict


@pytest.mark.parametrize(
    ("pred", "verdict"),
    [
        (decaying(0.3), "correct"),
        (decaying(0.35, 1.1), "correct"),
        (orbit(), "spurious_cycle"),
        (decaying(0.05), "wrong_amplitude"),  # still ringing, but dying out: the damping is wrong
        (np.broadcast_to(orbit()[0], orbit().shape), "fixed_point_collapse"),
    ],
)
def test_failures_of_a_damped_spiral(pred, verdict):
    assert judge(pred, decaying(0.3)) == verdict


def test_a_smaller_cycle_is_not_passed_for_being_small():
    # Amplitude .2 σ: standing still errs by less than .4 σ throughout, yet it is a collapse.
    small = orbit(size=0.2 / np.sqrt(2))
    assert judge(np.zeros_like(small), small) == "mean_collapse"
    assert judge(small, small) == "correct"


def lorenz(x0: list[float], rho: float = 28.0) -> np.ndarray:
    times = 10 + 0.02 * np.arange(3001)
    flow = solve_ivp(
        lambda _, x: [10 * (x[1] - x[0]), x[0] * (rho - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]],
        (0, times[-1]),
        x0,
        t_eval=times,
        method="DOP853",
        rtol=1e-8,
        atol=1e-8,
    )
    return flow.y.T


def test_another_run_of_the_same_chaos_is_correct_and_a_cycle_in_its_place_is_not():
    truth, sigma = lorenz([1.0, 1.0, 20.0]), lorenz([1.0, 1.0, 20.0]).std(axis=0)
    assert judge(truth, truth, sigma) == "correct"
    assert judge(lorenz([1.0, 1.0, 20.001]), truth, sigma) == "correct"
    # At ρ = 160 Lorenz63 has a stable symmetric cycle (Sparrow 1982); brought to the truth's centre and size.
    cycle = lorenz([1.0, 1.0, 150.0], rho=160.0)
    cycle = (cycle - cycle.mean(axis=0)) / cycle.std(axis=0) * sigma + truth.mean(axis=0)
    assert judge(cycle, truth, sigma) == "spurious_cycle"
    # The fixed point C⁺ of Lorenz63, where the truth's mean is (0, 0, 23.5).
    at_rest = np.broadcast_to([8.48528, 8.48528, 27.0], truth.shape)
    assert judge(at_rest, truth, sigma) == "fixed_point_collapse"
    assert judge(np.broadcast_to(truth.mean(axis=0), truth.shape), truth, sigma) == "mean_collapse"


def test_maps_two_cycle_and_flip():
    flip = np.where(np.arange(60) % 2 == 0, 1.0, -1.0)[:, None]
    one = np.ones(1)
    assert judge(flip, flip, one) == "correct"
    assert judge(-flip, flip, one) == "correct"  # the right cycle, half a period late
    assert judge(np.ones_like(flip), flip, one) == "fixed_point_collapse"
    assert judge(np.sin(np.arange(60.0))[:, None], flip, one) == "wrong_frequency"
    assert judge(flip * np.exp(-0.3 * np.arange(60.0))[:, None], flip, one) == "mean_collapse"


def test_verdicts_keep_leading_axes_and_ignore_units():
    pred = np.stack([orbit(), orbit(1.2), np.full_like(orbit(), np.nan)])[:, None]
    given = verdicts(np.broadcast_to(pred, (3, 4, *orbit().shape)), orbit(), SIGMA)
    assert given.shape == (3, 4)
    np.testing.assert_array_equal(given[:, 0], ["correct", "wrong_frequency", "divergence"])
    units = np.array([1e-6, 1e5])
    np.testing.assert_array_equal(verdicts(pred * units, orbit() * units, SIGMA * units), given[:, :1])


def test_thresholds_move_the_verdict():
    assert verdicts(orbit(1.03), orbit(), SIGMA, thresholds=VerdictThresholds(frequency=0.01)) == "wrong_frequency"
    assert verdicts(orbit(1.2), orbit(), SIGMA, thresholds=VerdictThresholds(frequency=0.5)) == "correct"
    assert verdicts(orbit(size=1.6), orbit(), SIGMA, thresholds=VerdictThresholds(escape=1.2)) == "divergence"


def test_shares_count_every_verdict():
    shares = verdict_shares([["correct", "divergence"], ["correct", "correct"]])
    assert tuple(shares) == VERDICTS
    assert shares["correct"] == 0.75
    assert sum(shares.values()) == 1
    with pytest.raises(ValueError, match="need verdicts"):
        verdict_shares(["fine"])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least 8"):
        verdicts(orbit()[:5], orbit()[:5], SIGMA)
    with pytest.raises(ValueError, match="truth must be finite"):
        verdicts(orbit(), orbit() * np.nan, SIGMA)


@pytest.mark.slow
def test_runs_of_one_chaotic_system_are_correct_by_one_another():
    starts = np.random.default_rng(4).normal(size=(6, 3)) * 5 + [0.0, 0.0, 25.0]
    runs = np.stack([lorenz(list(start)) for start in starts])
    given = np.concatenate([verdicts(np.delete(runs, i, 0), runs[i], runs[i].std(axis=0)) for i in range(6)])
    # The tail of 30 time units holds some 40 returns; 546 of 552 pairs agreed in a larger ensemble of this length.
    assert verdict_shares(given)["correct"] >= 0.9
