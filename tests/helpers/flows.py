"""Facts and draws that several tests of flows share."""

from __future__ import annotations

import numpy as np


def draws(task, n=5, split="train", seed=0):
    return task.initial_states(n, rng=np.random.default_rng(seed), split=split)


SUMS = {
    "lorenz63": -41 / 3,
    "thomas": -0.54,
    "ueda": -0.05,
    "duffing": -0.3,
    "lorenz96": -5.0,
    "chen": -10.0,
    "sprott_b": -1.0,
}
