"""Bifurcations located on families whose values are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn.analysis import DiscreteMap, continue_cycle
from ddl_dyn.analysis.bifurcation import neimark_sacker_test
from tests.helpers.analysis_systems import henon, logistic


def kinds(branch):
    return [(b.kind, b.parameter) for b in branch.bifurcations]


def test_flips_of_the_logistic_map():
    # Fixed point at r = 3, 2-cycle at 1 + √6 (closed form).
    first = continue_cycle(logistic, [0.6], 2.8, period=1, bounds=(2.5, 3.3), step=0.03)
    ((kind, r),) = kinds(first)
    assert (kind, r) == ("flip", pytest.approx(3.0, abs=1e-9))
    assert first.complete
    assert first.points[:, 0] == pytest.approx(1 - 1 / first.parameters, abs=1e-9)
    ((kind, r),) = kinds(continue_cycle(logistic, [0.513], 3.2, period=2, bounds=(3.1, 3.6), step=0.03))
    assert (kind, r) == ("flip", pytest.approx(1 + np.sqrt(6), abs=1e-9))


def test_the_two_cycle_is_born_where_the_fixed_point_flips():
    branch = continue_cycle(logistic, [0.513], 3.2, period=2, bounds=(2.9, 3.3), direction=-1, step=0.03)
    kind, r = kinds(branch)[0]
    # The branch is a parabola there: its turning point is as sharp as the cube root of the rounding.
    assert (kind, r) == ("merger", pytest.approx(3.0, abs=1e-5))


def test_fold_of_the_three_cycle():
    # 1 + √8 (closed form); the curve turns there and goes on along the unstable 3-cycle.
    branch = continue_cycle(logistic, [0.1494], 3.84, period=3, bounds=(3.82, 3.845), direction=-1, step=0.05)
    assert ("fold", pytest.approx(1 + np.sqrt(8), abs=1e-9)) in kinds(branch)
    assert branch.complete
    assert branch.multipliers[-1].real > 1 or branch.multipliers[0].real > 1


def test_flip_and_fold_of_henon():
    # b = .3: flip at a = 3(1−b)²/4, fold at −(1−b)²/4 (closed form).
    branch = continue_cycle(henon, [0.9, 0.27], 0.3, period=1, bounds=(-0.1, 0.5), step=0.05)
    assert kinds(branch) == [("flip", pytest.approx(0.3675, abs=1e-9))]
    back = continue_cycle(henon, [0.9, 0.27], 0.3, period=1, bounds=(-0.2, 0.4), direction=-1, step=0.05, points=120)
    kind, a = kinds(back)[0]
    assert (kind, a) == ("fold", pytest.approx(-0.1225, abs=1e-9))


def test_neimark_sacker_of_the_delayed_logistic_map():
    # x⁺ = r x (1 − y), y⁺ = x: fixed point 1 − 1/r, multipliers e^{±iπ/3} at r = 2 (closed form).
    def delayed(r: float) -> DiscreteMap:
        return DiscreteMap(step=lambda x: torch.stack([r * x[..., 0] * (1 - x[..., 1]), x[..., 0]], -1), dim=2)

    branch = continue_cycle(delayed, [0.45, 0.45], 1.8, period=1, bounds=(1.6, 2.2), step=0.03)
    (found,) = branch.bifurcations
    assert (found.kind, found.parameter) == ("neimark_sacker", pytest.approx(2.0, abs=1e-9))
    assert np.abs(np.angle(found.multipliers)) == pytest.approx([np.pi / 3] * 2, abs=1e-8)


def test_branch_point_where_two_branches_cross():
    # x⁺ = r x (1 − x): 0 and 1 − 1/r exchange stability at r = 1.
    branch = continue_cycle(logistic, [0.0], 0.7, period=1, bounds=(0.5, 1.6), step=0.03)
    kind, r = kinds(branch)[0]
    assert (kind, r) == ("branch_point", pytest.approx(1.0, abs=1e-4))


def test_a_neutral_saddle_is_no_neimark_sacker_point():
    # Multipliers p and .5 multiply to 1 at p = 2, both real.
    def family(p: float) -> DiscreteMap:
        A = torch.diag(torch.tensor([p, 0.5], dtype=torch.float64))
        return DiscreteMap(step=lambda x: x @ A, dim=2)

    branch = continue_cycle(family, [0.0, 0.0], 1.7, period=1, bounds=(1.5, 2.5), step=0.1)
    assert branch.bifurcations == []
    assert neimark_sacker_test(np.diag([2.0, 0.5])) == pytest.approx(0.0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="no 2-cycle"):
        continue_cycle(lambda p: DiscreteMap(step=lambda x: x + p, dim=1), [0.3], 0.5, period=2, bounds=(0, 1))
    with pytest.raises(ValueError, match="starting parameter"):
        continue_cycle(logistic, [0.6], 5.0, period=1, bounds=(2, 4))
    with pytest.raises(ValueError, match="lower < upper"):
        continue_cycle(logistic, [0.6], 3.0, period=1, bounds=(4, 2))
