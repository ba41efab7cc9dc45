"""Long-run statistics of a free run: state-space divergence and spectral Hellinger distance, with their noise floors.

Axes: R replicas, N trajectories, T samples, D state components, M true replicates. Arrays have any leading axes before
(T, D); the truth broadcasts. To pool trajectories, reshape (N, T, D) to (N·T, D) before calling
`state_space_divergence`. Discard a transient before calling: nothing here does.
Both distances compare finite samples, so neither is 0 between two runs of one system: read them beside the floor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ddl_dyn.metrics.arrays import Array, aligned

# The definition of the state-space divergence; another choice is another metric.
BINS = 30
_SMOOTHING = 1e-5
_MARGIN = 0.1
MAX_DIMENSIONS = 3
MIN_REPLICATES = 5


class StateSpaceDivergence(NamedTuple):
    """`value` (...) in nats, the share of predicted points `outside` the truth's box (...), and the `length` T."""

    value: Array
    outside: Array
    length: int


class NoiseFloor(NamedTuple):
    """Mean and standard deviation of a distance between true runs of one length T over M replicates."""

    mean: float
    std: float
    replicates: int
    length: int


def state_space_divergence(pred: ArrayLike, true: ArrayLike) -> StateSpaceDivergence:
    """Kullback–Leibler divergence of the visited regions of state space, D_stsp, in nats.

    D_stsp = Σ_i p_i ln(p_i / q_i),  p_i = (n_i + α) / Σ_j (n_j + α) from the truth, q_i alike from the prediction,
    over 30 bins per dimension on [min − .1σ, max + .1σ] of the truth and one cell for all that lies outside; α = 1e-5.
    The grid is the default of Hess et al.'s code, and where no point lies outside it the values are the same. Their
    code drops predicted points outside; here these weigh in a cell of their own, so that a run which leaves the
    attractor is not judged by the part of it that stayed. On Brenner et al.'s grid, [−2σ, 2σ], values are others.

    Args:
        pred: (..., T, D), predicted states, D at most 3.
        true: broadcasts to pred, reference states; of the same length, because the value falls with T.
    Returns:
        StateSpaceDivergence; a run with any non-finite point scores ∞, and its non-finite points count as outside.
    Raises:
        ValueError: on shapes that do not match, a non-finite truth or more than three components.
    Source:
        Koppe et al. (2019), Identifying nonlinear dynamical systems …, doi:10.1371/journal.pcbi.1007263 (divergence);
        Hess et al. (2023), Generalized teacher forcing for learning chaotic dynamics, arXiv:2306.04406 (grid);
        Brenner et al. (2022), Tractable dendritic RNNs …, arXiv:2207.02542 (binned form).
    """
    p, x = aligned(pred, true)
    length, dim = p.shape[-2:]
    if dim > MAX_DIMENSIONS:
        raise ValueError(f"state-space divergence takes at most {MAX_DIMENSIONS} components, got {dim}; choose some")
    value, outside = np.empty(p.shape[:-2]), np.empty(p.shape[:-2])
    for index in np.ndindex(p.shape[:-2]):
        low, high = _box(x[index])
        truth, model = _histogram(x[index], low, high), _histogram(p[index], low, high)
        outside[index] = model[-1] / length
        a, b = truth + _SMOOTHING, model + _SMOOTHING
        a, b = a / a.sum(), b / b.sum()
        value[index] = np.sum(a * np.log(a / b)) if np.isfinite(p[index]).all() else np.inf
    return StateSpaceDivergence(value, outside, int(length))


def _box(x: Array) -> tuple[Array, Array]:
    margin = _MARGIN * x.std(axis=0)
    return x.min(axis=0) - margin, x.max(axis=0) + margin


def _histogram(x: Array, low: Array, high: Array) -> Array:
    """Counts per cell, (BINS^D + 1,); the last is all that lies outside or is not finite."""
    inside = ((x >= low) & (x <= high)).all(axis=1)
    # A constant component has a box of zero width: one bin.
    width = np.where(high > low, high - low, 1.0)
    cells = np.minimum((BINS * ((x[inside] - low) / width)).astype(np.int64), BINS - 1)
    size = BINS ** x.shape[1]
    flat = np.ravel_multi_index(tuple(cells.T), (BINS,) * x.shape[1])
    counts = np.bincount(flat, minlength=size + 1).astype(np.float64)
    counts[size] = x.shape[0] - inside.sum()
    return counts


def spectral_hellinger(pred: ArrayLike, true: ArrayLike, dt: float, width: float) -> Array:
    """Hellinger distance of the smoothed power spectra, D_H, averaged over components (dimensionless).

    D_H = (1/D) Σ_d √(1 − Σ_f √(p_d(f) q_d(f))),  p_d ∝ G_w * |rfft((x_d − x̄_d)/s_d)|²,  Σ_f p_d(f) = 1

    It ignores phase and the direction of time, so it never stands alone.

    Args:
        pred: (..., T, D), predicted states.
        true: broadcasts to pred, reference states.
        dt: sampling interval.
        width: standard deviation of the Gaussian G_w, in frequency units (cycles per unit of dt), non-negative.
    Returns:
        (...), in [0, 1]; a component that is not finite scores 1, and so does one that is constant where the truth is
        not (or the reverse).
    Raises:
        ValueError: on shapes that do not match, a non-finite truth, fewer than four samples, or dt and width out of
            range.
    Source:
        Mikhaeil et al. (2022), On the difficulty of learning chaotic dynamics with RNNs, arXiv:2110.07238.
    """
    p, x = aligned(pred, true)
    if p.shape[-2] < 4:
        raise ValueError(f"a spectrum needs at least 4 samples, got {p.shape[-2]}")
    if not (np.isfinite(dt) and dt > 0 and np.isfinite(width) and width >= 0):
        raise ValueError(f"need dt > 0 and width ≥ 0, both finite, got dt={dt!r}, width={width!r}")
    bins = width * dt * p.shape[-2]
    ours, truth = _spectrum(p, bins), _spectrum(x, bins)
    overlap = np.sqrt(ours * truth).sum(axis=-2)
    both_constant = (ours.sum(axis=-2) == 0) & (truth.sum(axis=-2) == 0) & np.isfinite(p).all(axis=-2)
    # Rounding can take the overlap of equal spectra past 1.
    distance = np.sqrt(np.clip(1.0 - overlap, 0.0, 1.0))
    mean: Array = np.where(both_constant, 0.0, distance).mean(axis=-1)
    return mean


def _spectrum(x: Array, bins: float) -> Array:
    """Normalised smoothed power, (..., F, D); all zero for a constant or non-finite component."""
    usable = np.isfinite(x).all(axis=-2, keepdims=True)
    # Scaling by the largest value first keeps the squares of a nearly diverged run finite.
    peak = np.abs(np.where(usable, x, 0.0)).max(axis=-2, keepdims=True)
    s = np.where(usable, x, 0.0) / np.where(peak > 0, peak, 1.0)
    s = s - s.mean(axis=-2, keepdims=True)
    spread = s.std(axis=-2, keepdims=True)
    moving = spread > 1e-12
    power = np.abs(np.fft.rfft(np.where(moving, s / np.where(moving, spread, 1.0), 0.0), axis=-2)) ** 2
    if bins > 0:
        # The spectrum of a real series is even about both ends, hence the mirror.
        power = ndimage.gaussian_filter1d(power, bins, axis=-2, mode="mirror")
    total = power.sum(axis=-2, keepdims=True)
    return np.where(total > 0, power / np.where(total > 0, total, 1.0), 0.0)


def _replicates(true: ArrayLike, replicates: ArrayLike) -> tuple[Array, Array]:
    x, copies = np.asarray(true, dtype=np.float64), np.asarray(replicates, dtype=np.float64)
    if x.ndim != 2 or copies.ndim != 3 or copies.shape[1:] != x.shape:
        raise ValueError(f"need true (T, D) and replicates (M, T, D) of the same T, got {x.shape} and {copies.shape}")
    if len(copies) < MIN_REPLICATES:
        raise ValueError(f"a noise floor needs at least {MIN_REPLICATES} independent replicates, got {len(copies)}")
    if not np.isfinite(copies).all():
        raise ValueError("true replicates must be finite; simulate them again")
    return x, copies


def _floor(values: Array, length: int) -> NoiseFloor:
    return NoiseFloor(float(values.mean()), float(values.std(ddof=1)), values.size, length)


def state_space_floor(true: ArrayLike, replicates: ArrayLike) -> NoiseFloor:
    """Noise floor of D_stsp: its mean over independent true replicates of the same length, in nats.

    Args:
        true: (T, D), reference run.
        replicates: (M, T, D), at least 5 runs of the true system from independent initial states.
    Returns:
        NoiseFloor.
    Raises:
        ValueError: on shapes that do not match, too few replicates or non-finite ones.
    """
    x, copies = _replicates(true, replicates)
    return _floor(state_space_divergence(copies, x).value, len(x))


def spectral_floor(true: ArrayLike, replicates: ArrayLike, dt: float, width: float) -> NoiseFloor:
    """Noise floor of D_H: its mean over independent true replicates of the same length.

    Args:
        true: (T, D), reference run.
        replicates: (M, T, D), at least 5 runs of the true system from independent initial states.
        dt: sampling interval.
        width: of the smoothing, in frequency units, as given to `spectral_hellinger`.
    Returns:
        NoiseFloor.
    Raises:
        ValueError: on shapes that do not match, too few replicates or non-finite ones.
    """
    x, copies = _replicates(true, replicates)
    return _floor(spectral_hellinger(copies, x, dt, width), len(x))
