"""The Delta audit on traces with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn.analysis import audit, mirror_angle, precision_card, recovered, rotation_of_pair, trace_orbit
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.ddl_options import DDLConfig

RNG = np.random.default_rng(0)


def traces(beta, k, *, values: int = 2):
    """Exact traces of successive rewrites of random states: beta (R, T, L, B, r), k (..., r, d)."""
    R, T, L, B, r = beta.shape
    d = k.shape[-1]
    v = RNG.normal(size=(R, T, L, B, r, values))
    X = RNG.normal(size=(R, B, d, values))
    before, after = np.empty_like(v), np.empty_like(v)
    for t in range(T):
        for l in range(L):
            for i in range(r):
                ki, bi, vi = k[:, t, l, :, i], beta[:, t, l, :, i], v[:, t, l, :, i]
                before[:, t, l, :, i] = np.einsum("rbd,rbdv->rbv", ki, X) - vi
                X = X - bi[..., None, None] * ki[..., :, None] * before[:, t, l, :, i][..., None, :]
                after[:, t, l, :, i] = np.einsum("rbd,rbdv->rbv", ki, X) - vi
    return {"beta": beta, "k": k, "v": v, "e_pre": before, "e_post": after}


def unit(*shape):
    k = RNG.normal(size=shape)
    return k / np.linalg.norm(k, axis=-1, keepdims=True)


def test_occupancy_law_and_counts():
    beta = np.empty((2, 3, 2, 4, 1))
    beta[:, :, 0] = 0.1
    beta[:, :, 1, :2], beta[:, :, 1, 2:] = 1.0, 1.9
    result = audit(traces(beta, unit(2, 3, 2, 4, 1, 5)))
    assert result.occupancy.shape == (2, 3, 2, 1, 3)
    assert (result.occupancy[:, :, 0, 0] == [1.0, 0.0, 0.0]).all()
    assert (result.occupancy[:, :, 1, 0] == [0.0, 0.5, 0.5]).all()
    # Exact algebra: rounding of a few float64 products.
    assert result.law_error.max() < 1e-13
    assert result.length_error.max() < 1e-14
    assert result.reversing[0, 0].tolist() == [0, 0, 1, 1]
    assert result.effective_reflections[0, 0] == pytest.approx([0.0, 0.0, 0.9, 0.9])
    # Everything is below the borders when they are raised.
    assert (audit(traces(beta, unit(2, 3, 2, 4, 1, 5)), borders=(2.0, 2.0)).occupancy[..., 0] == 1).all()


def test_spent_discrepancy_is_one_minus_the_frozen_eigenvalue():
    beta = np.full((1, 1, 3, 6, 1), 0.7)
    result = audit(traces(beta, unit(1, 1, 3, 6, 1, 4)))
    assert result.spent[0] == pytest.approx([0.7] * 3, abs=1e-12)
    over = audit(traces(np.full((1, 1, 1, 6, 1), 1.8), unit(1, 1, 1, 6, 1, 4)))
    assert over.spent[0] == pytest.approx([0.2], abs=1e-12)


def test_a_broken_law_shows():
    t = traces(np.full((1, 1, 1, 6, 1), 0.7), unit(1, 1, 1, 6, 1, 4))
    t["e_post"] = t["e_post"] + 0.01
    assert audit(t).law_error[0] == pytest.approx(0.01, abs=1e-12)


def test_mirrors_have_no_head():
    a, b = np.array([1.0, 0.0]), np.array([np.cos(0.4), np.sin(0.4)])
    assert mirror_angle(a, b) == pytest.approx(0.4, abs=1e-15)
    assert mirror_angle(a, -b) == pytest.approx(0.4, abs=1e-15)
    assert mirror_angle(3 * a, -2 * a) == 0.0
    # arccos of a dot product would lose this angle altogether.
    tiny = np.array([np.cos(1e-9), np.sin(1e-9)])
    assert mirror_angle(a, tiny) == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize(("b1", "b2"), [(2.0, 2.0), (1.9, 1.9), (1.99, 1.7), (0.3, 1.8), (0.2, 0.4), (1.0, 1.5)])
@pytest.mark.parametrize("angle", [0.05, 0.7, 1.5])
def test_rotation_of_a_pair_against_the_matrix(b1, b2, angle):
    k1, k2 = np.array([1.0, 0.0]), np.array([np.cos(angle), np.sin(angle)])
    A = (np.eye(2) - b2 * np.outer(k2, k2)) @ (np.eye(2) - b1 * np.outer(k1, k1))
    turn, modulus = rotation_of_pair(k1 @ k2, b1, b2)
    m = np.linalg.eigvals(A)
    largest = m[np.argmax(np.abs(m))]
    # A determinant near zero leaves half the digits of its root.
    assert abs(turn - abs(np.angle(largest))) < 1e-7
    assert modulus == pytest.approx(np.sqrt(abs(np.linalg.det(A))), abs=1e-12)


def test_two_full_mirrors_turn_by_twice_their_angle():
    turn, modulus = rotation_of_pair(np.cos(0.2), 2.0, 2.0)
    assert (turn, modulus) == (pytest.approx(0.4, abs=1e-14), pytest.approx(1.0))
    # REFERENCE §1: modulus |1 − β| per rotation, half-lives 6.6, 69 and 693 steps.
    for beta, half_life in ((1.9, 6.6), (1.99, 69), (1.999, 693)):
        _, modulus = rotation_of_pair(np.cos(0.2), beta, beta)
        assert np.log(0.5) / np.log(modulus) == pytest.approx(half_life, rel=5e-3)


@pytest.mark.parametrize("value_dim", [1, 3])
@pytest.mark.parametrize("directions", [1, 2])
def test_audit_of_a_real_stack_in_float32(value_dim, directions):
    options = DDLConfig(layers=2, hidden_dim=8, latent_dim=5, value_dim=value_dim, directions=directions, beta0=1.2)
    stack = Replicas(lambda: DDL(2, options), [0, 1, 2])
    t = trace_orbit(stack, RNG.normal(size=(7, 2)), 4)
    assert t["beta"].shape == (3, 4, 2, 7, directions)
    result = audit(t)
    # float32 rounding of numbers of order one, and ε² of the safe normalisation: the suite's bound is 1e-5.
    assert result.law_error.max() < 1e-5
    assert result.mirror_angle.shape == (3, 4 * 2 * directions - 1, 7)
    alone = trace_orbit(stack.model(1), RNG.normal(size=(7, 2)), 4)
    assert alone["k"].shape == (1, 4, 2, 7, directions, 5)
    # The control that never erases leaves the law.
    write = DDLConfig(layers=2, hidden_dim=8, beta0=1.2, rewrite="write")
    assert audit(trace_orbit(Replicas(lambda: DDL(2, write), [0]), RNG.normal(size=(7, 2)), 2)).law_error[0] > 1e-3


def test_traces_follow_the_free_run():
    stack = Replicas(lambda: DDL(2, DDLConfig(carry="latent", beta0=0.5)), [0])
    x0 = torch.as_tensor(RNG.normal(size=(3, 2)), dtype=torch.float32)
    t = trace_orbit(stack, x0, 3)
    h = stack.lift(x0[None])
    h = stack.step(stack.step(h, 0, torch.zeros(1, 3, 0)), 1, torch.zeros(1, 3, 0))
    assert t["k"][:, 2] == pytest.approx(stack.trace(h, 2, torch.zeros(1, 3, 0))["k"].detach().numpy(), abs=1e-6)


def test_recovered_constants():
    result = recovered([[0.88, 0.9, 0.92], [0.91, 0.93, np.nan]], truth=0.9)
    assert result.values == pytest.approx([0.9, 0.92])
    assert result.mean == pytest.approx(0.91)
    assert result.error == pytest.approx(0.01)
    assert result.spread == pytest.approx(0.02 / np.sqrt(2))
    assert np.isnan(recovered([[np.nan], [1.0]]).mean)


def test_precision_card():
    rows = {row.dtype: row for row in precision_card()}
    # 2 − ε is the nearest number below 2: ε = 2⁻⁵², 2⁻²³, 2⁻⁷, 2⁻¹⁰.
    for name, bits in (("float64", 52), ("float32", 23), ("bfloat16", 7), ("float16", 10)):
        assert 1 - rows[name].largest == 2.0**-bits
        assert rows[name].half_life == pytest.approx(np.log(2) * 2**bits, rel=0.01)
    # 2σ(g) rounds to 2 where e^−g < ε/4: within the rounding of each sigmoid.
    assert rows["float32"].saturation == pytest.approx(np.log(2) * 24, abs=1.0)
    assert rows["float64"].saturation == pytest.approx(np.log(2) * 53, abs=1.0)


def test_bad_input_is_named():
    good = traces(np.full((1, 1, 1, 6, 1), 0.7), unit(1, 1, 1, 6, 1, 4))
    with pytest.raises(ValueError, match="missing"):
        audit({})
    with pytest.raises(ValueError, match="borders"):
        audit(good, borders=(1.0, 0.5))
    with pytest.raises(ValueError, match="axes"):
        audit({**good, "k": good["k"][..., 0]})
    with pytest.raises(ValueError, match="inputs must have shape"):
        trace_orbit(Replicas(lambda: DDL(2, DDLConfig(), input_dim=1), [0]), np.zeros((2, 2)), 3)
