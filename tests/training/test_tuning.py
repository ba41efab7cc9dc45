"""Tuning: every seed at every rate in one batch equals each rate trained alone; validation chooses, never the test."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, fit, make_model
from ddl_dyn.training import tuning
from ddl_dyn.training.result import FitResult, Progress


@dataclasses.dataclass
class Data:
    states: np.ndarray
    inputs: np.ndarray


def rotation(seed, n=24, steps=20, angle=0.3):
    """Exact trajectories of a plane rotation."""
    x0 = np.random.default_rng(seed).standard_normal((n, 2))
    t = np.arange(steps + 1)
    c, s = np.cos(angle * t), np.sin(angle * t)
    x = np.stack([c * x0[:, :1] - s * x0[:, 1:], s * x0[:, :1] + c * x0[:, 1:]], axis=-1)
    return Data(x, np.zeros((n, steps, 0)))


def config(**changes):
    base = {"updates": 20, "batch": 8, "horizon": 6, "validate_every": 10, "compile": "off", "weight_decay": 0.1}
    return TrainConfig(**(base | changes))


def stack(seeds=(3, 4)):
    build = lambda: make_model("ddl", state_dim=2, hidden_dim=6)  # noqa: E731
    return Replicas(build, list(seeds)).to(dtype=torch.float64)


FACTORS = (0.25, 1.0, 4.0)


def test_each_candidate_is_what_training_at_its_rate_alone_gives():
    train, val = rotation(0), rotation(1)
    every, each = tuning.candidates(stack(), FACTORS)
    together = fit(every, train, val, config(), factors=each)
    for i, factor in enumerate(FACTORS):
        alone = stack()
        result = fit(alone, train, val, config(lr=3e-3 * factor))
        # One is the other up to the rounding of a learning rate applied before or after Adam's step.
        np.testing.assert_allclose(together.best_val[2 * i : 2 * i + 2], result.best_val, rtol=1e-9)
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(every.state_dict()[name][2 * i : 2 * i + 2], value, rtol=1e-7, atol=1e-10)


def test_the_rate_with_the_lowest_median_is_kept_for_all_seeds():
    train, val = rotation(0), rotation(1)
    every, each = tuning.candidates(stack(), FACTORS)
    result = fit(every, train, val, config(), factors=each)
    choice = tuning.choose(every, result, factors=FACTORS, lr=3e-3)
    medians = [np.median(result.best_val[2 * i : 2 * i + 2]) for i in range(3)]
    best = int(np.argmin(medians))
    assert choice.record["lr"] == pytest.approx(3e-3 * FACTORS[best], rel=1e-12)
    assert [row["median_val"] for row in choice.record["grid"]] == medians
    assert choice.replicas.seeds == (3, 4)
    assert choice.result.history[-1].val.shape == (2,)
    for name, value in choice.replicas.state_dict().items():
        torch.testing.assert_close(value, every.state_dict()[name][2 * best : 2 * best + 2], rtol=0, atol=0)


def outcome(best_val, diverged):
    best_val, diverged = np.array(best_val), np.array(diverged)
    row = Progress(0, 0, 1, 1e-3, 0.0, best_val, best_val, ~diverged)
    return FitResult([row], best_val, np.zeros(len(best_val), dtype=int), diverged, 1.0, 0, False, None)


@pytest.mark.parametrize(
    ("best_val", "diverged", "factor"),
    [
        ([3.0, 3.0, 1.0, 1.0, 2.0, 2.0], [False] * 6, 1.0),
        # A rate at which a seed diverged has an infinite mean of two: however good the other seed, it is not taken.
        ([3.0, 3.0, 0.1, 0.1, 2.0, 2.0], [False, False, True, False, False, False], 4.0),
        ([np.nan, np.inf, np.inf, np.inf, np.nan, np.nan], [True] * 6, 1.0),
        ([1.0] * 6, [False] * 6, 1.0),
    ],
)
def test_choice(best_val, diverged, factor):
    choice = tuning.choose(stack((0, 1, 2, 3, 4, 5)), outcome(best_val, diverged), factors=FACTORS, lr=1.0)
    assert choice.record["lr"] == factor


def test_selected_replicas_are_copies():
    source = stack()
    before = source.state_dict()
    copy = source.select([1, 1, 0])
    assert copy.seeds == (4, 4, 3)
    with torch.no_grad():
        for p in copy.parameters.values():
            p.add_(1.0)
    for name, value in source.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(p.requires_grad for p in copy.parameters.values())
