"""Lyapunov exponents of the maps, estimated again and compared with exact or published values."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import MapTask
from ddl_dyn.tasks.maps.line import FlipFlop, Gauss, Logistic, Ricker, Tent
from ddl_dyn.tasks.maps.plane import DuffingMap, Henon, Ikeda, Lozi
from ddl_dyn.tasks.maps.standard import StandardMap


def name(task: MapTask) -> str:
    changed = {k: v for k, v in vars(task).items() if v != getattr(type(task)(), k)}
    return "-".join([task.key(), *(f"{k}={v}" for k, v in changed.items())])


def exponents(task: MapTask, *, orbits: int = 16, steps: int = 6000) -> tuple[Array, Array]:
    """Mean and standard error over orbits of all exponents: QR of *numerical* Jacobians, independent of `jacobian`."""
    x = task.initial_states(orbits, rng=np.random.default_rng(7), split="train")
    d, h = task.state_dim, 1e-6
    frame, total = np.broadcast_to(np.eye(d), (orbits, d, d)), np.zeros((orbits, d))
    for step in range(300 + steps):
        columns = [(task.next_state(x + h * e) - task.next_state(x - h * e)) / (2 * h) for e in np.eye(d)]
        frame, triangle = np.linalg.qr(np.stack(columns, axis=-1) @ frame)
        if step >= 300:
            total += np.log(np.abs(np.diagonal(triangle, axis1=1, axis2=2)) + 1e-300)
        x = task.next_state(x)
    total /= steps
    return total.mean(axis=0), total.std(axis=0, ddof=1) / np.sqrt(orbits)


# Largest exponent and where it comes from. [x] exact; [c] tangent QR ensembles made for this project, independent of
# these classes; [q] this very method with 16 × 20,000 steps, beside the value of Sprott (2003), Chaos and Time-Series
# Analysis, appendix A, which it agrees with to .003.
EXPONENTS = [
    (Logistic(r=4.0), np.log(2.0), "x"),
    (Logistic(r=3.2), 0.5 * np.log(0.16), "x"),
    (Logistic(), 0.4956, "c"),
    (Tent(), np.log(1.99), "x"),
    (Ricker(), 0.4159, "c"),
    (Gauss(), 0.3837, "c"),
    (Gauss(a=4.9), 0.1763, "c"),
    (FlipFlop(), np.log(0.4), "x"),
    (Henon(), 0.4188, "c"),
    (DuffingMap(), 0.4767, "c"),
    (StandardMap(K=10.0, coordinates="angle"), 1.619, "c"),
    (Lozi(), 0.4700, "q: .47023 in Sprott"),
    (Ikeda(), 0.5053, "q: .50760 in Sprott"),
]
SUMS = {"henon": np.log(0.3), "lozi": np.log(0.5), "ikeda": 2 * np.log(0.9), "duffing_map": np.log(0.2)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "value", "provenance"), EXPONENTS, ids=lambda v: name(v) if isinstance(v, MapTask) else ""
)
def test_exponents(task: MapTask, value: float, provenance: str) -> None:
    mean, error = exponents(task)
    # Four standard errors of this estimate, and the last digit quoted (or numerical differentiation) of the reference.
    assert mean[0] == pytest.approx(value, abs=4 * error[0] + (1e-3 if provenance != "x" else 1e-4))
    if task.key() in SUMS:
        # det J is constant, so the sum is free of sampling error; what is left is the difference quotient.
        assert mean.sum() == pytest.approx(SUMS[task.key()], abs=1e-6)


@pytest.mark.slow
def test_embedded_standard_map_adds_two_zero_exponents() -> None:
    mean, error = exponents(StandardMap(K=10.0), steps=3000)
    assert mean[0] == pytest.approx(1.619, abs=4 * error[0] + 1e-3)
    np.testing.assert_allclose(mean[1:3], 0.0, atol=1e-6)
    assert mean[3] == pytest.approx(-mean[0], abs=1e-6)


@pytest.mark.parametrize("task", [Logistic(), Henon(), Lozi()], ids=name)
def test_time_scale_is_the_lyapunov_time(task: MapTask) -> None:
    value = {"logistic": 0.4956, "henon": 0.4188, "lozi": 0.4700}[task.key()]
    # 16 orbits of 2,000 steps: a standard error near .003 on λ, i.e. below 1 %.
    assert task.timescale == pytest.approx(1 / value, rel=0.03)
