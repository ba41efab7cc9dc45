"""Orientation, invariants, symmetries and basins of maps whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn.analysis import (
    DiscreteMap,
    basin_labels,
    basin_overlap,
    map_symmetry_defect,
    orbit_invariant_drift,
    orientation,
)
from ddl_dyn.analysis.geometry import map_jacobian_error, map_orientation_agreement
from tests.helpers.analysis_systems import henon, line_map, linear_map, logistic, lorenz

RNG = np.random.default_rng(0)


def test_orientation_of_known_maps():
    x = RNG.uniform(-1, 1, (50, 2))
    result = orientation(henon(), x)
    assert result.determinants == pytest.approx(np.full(50, -0.3), abs=1e-14)
    assert result.reversed_share == 1.0
    # The logistic map with r = 4 reverses where x > ½.
    grid = np.linspace(0.005, 0.995, 100)[:, None]
    assert orientation(logistic(4.0), grid).reversed_share == 0.5
    assert orientation(lorenz(), [[1.0, 2.0, 20.0]]).determinants == pytest.approx(np.exp(-0.02 * 41 / 3), abs=1e-8)
    k = np.array([0.6, 0.8])
    assert orientation(linear_map(np.eye(2) - np.outer(k, k)), x).signs.tolist() == [0.0] * 50


def test_orientation_agreement_and_jacobian_error():
    x = RNG.uniform(-1, 1, (20, 2))
    assert map_orientation_agreement(henon(), henon(), x) == 1.0
    assert map_orientation_agreement(linear_map(np.eye(2)), henon(), x) == 0.0
    assert map_jacobian_error(henon(), henon(), x) == 0.0
    assert map_jacobian_error(linear_map(np.zeros((2, 2))), henon(), x) == pytest.approx(1.0)
    broken = DiscreteMap(step=lambda y: y / (y - y), dim=2)
    assert map_jacobian_error(broken, henon(), x) == np.inf
    assert map_orientation_agreement(broken, henon(), x) == 0.0


def test_invariant_drift():
    t = np.linspace(0, 5, 60)
    radius = np.array([1.0, 2.0])[:, None]
    circle = np.stack([radius * np.cos(t), radius * np.sin(t)], axis=-1)
    energy = lambda x: (x**2).sum(-1)  # noqa: E731
    assert orbit_invariant_drift(circle, energy).max() < 1e-14
    # Energies 1 and 4: standard deviation 1.5; a 10 % growth of the radius adds .21 and .84.
    grown = circle * np.linspace(1, 1.1, 60)[:, None]
    assert orbit_invariant_drift(grown, energy) == pytest.approx([0.21 / 1.5, 0.84 / 1.5])
    grown[1, 30] = np.nan
    assert orbit_invariant_drift(grown, energy)[1] == np.inf


def test_symmetry_defect():
    x = RNG.normal(size=(40, 3)) * 5
    # Lorenz is symmetric under (x, y) → (−x, −y), not under (x, z) → (−x, −z).
    sigma = np.full(3, 5.0)
    assert map_symmetry_defect(lorenz(), np.diag([-1, -1, 1]), x, sigma) < 1e-9
    assert map_symmetry_defect(lorenz(), np.diag([-1, 1, -1]), x, sigma) > 0.1
    assert map_symmetry_defect(DiscreteMap(step=lambda y: y / 0, dim=3), np.eye(3), x, sigma) == np.inf
    # Φ = identity + 1 misses oddness by 2 in every component, and σ is the unit.
    assert map_symmetry_defect(DiscreteMap(step=lambda y: y + 1, dim=3), -np.eye(3), x, sigma) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="symmetry must be a matrix"):
        map_symmetry_defect(lorenz(), np.eye(2), x, sigma)


def test_basins_of_a_bistable_map():
    # x → x + .2 (x − x³): sinks ±1, border 0; starts beyond |x| = √11 overshoot and escape.
    bistable = line_map(lambda x: x + 0.2 * (x - x**3))
    grid = np.array([[-1.5], [-0.2], [0.0], [0.3], [2.0], [9.0]])
    labels = basin_labels(bistable, grid, [np.array([[-1.0]]), np.array([[1.0]])], steps=200, tolerance=1e-3)
    assert labels.tolist() == [0, 0, -1, 1, 1, -2]
    assert basin_overlap(labels, labels, 2).tolist() == [1.0, 1.0]
    flipped = basin_labels(bistable, -grid, [np.array([[-1.0]]), np.array([[1.0]])], steps=200, tolerance=1e-3)
    assert basin_overlap(flipped, labels, 2).tolist() == [0.0, 0.0]
    shifted = np.where(grid[:, 0] < 0.5, 0, 1)
    assert basin_overlap(shifted, labels, 2) == pytest.approx([2 / 4, 1 / 3])
    assert np.isnan(basin_overlap(labels, labels, 3)[2])


def test_basins_of_replicas():
    shift = torch.tensor([0.0, 0.3], dtype=torch.float64)[:, None, None]
    both = DiscreteMap(step=lambda x: x + 0.2 * ((x - shift) - (x - shift) ** 3), dim=1, replicas=2)
    grid = np.linspace(-0.95, 0.95, 20)[:, None]
    labels = basin_labels(both, grid, [np.array([[-1.0]]), np.array([[1.0]])], steps=300, tolerance=0.4)
    overlap = basin_overlap(labels, labels[0], 2)
    assert overlap[0].tolist() == [1.0, 1.0]
    # The border moves from 0 to .3, over three of the ten states on its right (.05, .15, .25).
    assert overlap[1] == pytest.approx([10 / 13, 7 / 10])


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="at least one attractor"):
        basin_labels(henon(), [[0.0, 0.0]], [], steps=1, tolerance=0.1)
    with pytest.raises(ValueError, match="same states"):
        basin_overlap([0, 1], [0, 1, 1], 2)
