"""A verdict on each free run: what kind of motion was learned, and how it fails.

Axes: R replicas, N trajectories, T steps, D state components. Lengths are in units of σ, the training standard
deviation of each component; "tail" is the second half of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from ddl_dyn.metrics.arrays import Array, aligned, positive_scale
from ddl_dyn.metrics.oscillation import upward_crossings

Verdict = Literal[
    "correct",
    "wrong_frequency",
    "wrong_amplitude",
    "spurious_cycle",
    "fixed_point_collapse",
    "mean_collapse",
    "divergence",
]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, kw_only=True)
class VerdictThresholds:
    """Thresholds between verdicts.

    error: NRMSE(t), relative to the truth's rms departure from its mean (at most 1), up to which a run is correct.
    escape: multiple of the truth's largest departure from its mean (at least 1 σ) beyond which a run has diverged.
    still: amplitude below which a tail stands still: σ for the truth, share of the truth's amplitude where that moves.
    near: rms distance over components, in the unit of `still`, within which a still tail is at the mean of the true run
        or, where the truth stands still too, at its resting point.
    frequency: relative error of the period, beyond the 95 % bounds of both median periods (an irregular motion has an
        uncertain one).
    amplitude: relative error of the amplitude of a component.
    offset: distance between the means of a component, as a share of its amplitude.
    sustained: last-quarter amplitude as a share of the quarter before, from which motion counts as a cycle.
    repeats: residual of the best repetition (0 exact, 1 none) up to which a tail is a cycle.
    aperiodic: residual from which the truth is not one.
    """

    error: float = 0.4
    escape: float = 5.0
    still: float = 0.05
    near: float = 0.1
    frequency: float = 0.05
    amplitude: float = 0.2
    offset: float = 0.5
    sustained: float = 0.8
    repeats: float = 0.1
    aperiodic: float = 0.3


def verdicts(
    pred: ArrayLike, true: ArrayLike, sigma: ArrayLike, *, thresholds: VerdictThresholds | None = None
) -> NDArray[np.str_]:
    """The verdict on each free run, in the order in which the kinds are tried:

    divergence (not finite, or far outside the truth's range); correct (small error at every step); fixed_point_collapse
    and mean_collapse (the tail stands still, away from or at the truth's mean); spurious_cycle (a sustained cycle where
    the truth stands still or never repeats); wrong_frequency (period, or sense of rotation); wrong_amplitude (size or
    centre of the motion, or its damping); otherwise correct: the right kind of motion, if not in phase. Where the truth
    is chaotic, let the tail hold some 20 returns: a shorter one differs from another of the same system by chance.

    Args:
        pred: (..., T+1, D), predicted states, with at least 8 samples.
        true: broadcasts to pred, reference states.
        sigma: (D,) or (R, D), as for `nrmse`.
        thresholds: see `VerdictThresholds`; None for those stated there.
    Returns:
        (...), entries of VERDICTS.
    Raises:
        ValueError: on shapes that do not match, a non-finite truth, a scale that is not positive or too short a run.
    """
    p, x = aligned(pred, true)
    s = np.broadcast_to(positive_scale(sigma, p.shape), p.shape)
    if p.shape[-2] < 8:
        raise ValueError(f"a verdict needs at least 8 samples, got {p.shape[-2]}")
    limits = thresholds or VerdictThresholds()
    out = np.empty(p.shape[:-2], dtype=f"<U{max(map(len, VERDICTS))}")
    for index in np.ndindex(p.shape[:-2]):
        with np.errstate(over="ignore"):
            scaled = p[index] / s[index]
        out[index] = _judge(scaled, x[index] / s[index], limits)
    return out


def verdict_shares(given: ArrayLike) -> dict[Verdict, float]:
    """Share of runs per verdict, over all axes, every verdict present."""
    names = np.asarray(given)
    if names.size == 0 or not np.isin(names, VERDICTS).all():
        raise ValueError(f"need verdicts from {', '.join(VERDICTS)}, got {np.unique(names).tolist()}")
    return {name: float(np.mean(names == name)) for name in VERDICTS}


def _judge(p: Array, x: Array, limits: VerdictThresholds) -> Verdict:
    centre = x.mean(axis=0)
    departure = np.abs(x - centre)
    if not np.isfinite(p).all():
        return "divergence"
    if (np.abs(p - centre) > limits.escape * np.maximum(departure.max(axis=0), 1.0)).any():
        return "divergence"
    size = min(1.0, float(np.sqrt(np.mean(departure**2))))
    if np.sqrt(np.mean((p - x) ** 2, axis=1)).max() <= max(limits.error * size, limits.still):
        return "correct"
    p, x = p[len(p) // 2 :], x[len(x) // 2 :]
    amplitude, ours = np.ptp(x, axis=0) / 2, np.ptp(p, axis=0) / 2
    largest = float(amplitude.max())
    truth_moves = largest > limits.still
    unit = largest if truth_moves else 1.0
    if ours.max() <= limits.still * unit:
        # The whole run gives the steadier mean of a motion, the tail alone the place where it has come to rest.
        home = centre if truth_moves else x.mean(axis=0)
        if np.sqrt(np.mean((p.mean(axis=0) - home) ** 2)) > limits.near * unit:
            return "fixed_point_collapse"
        return "mean_collapse" if truth_moves else "correct"
    if not truth_moves:
        return "spurious_cycle" if _cycles(p, int(ours.argmax()), limits) else "wrong_amplitude"
    return _compare_motion(p, x, amplitude, ours, limits)


def _compare_motion(p: Array, x: Array, amplitude: Array, ours: Array, limits: VerdictThresholds) -> Verdict:
    """The verdict where both tails move."""
    main = int(amplitude.argmax())
    intervals = np.diff(upward_crossings(x[:, main]))
    if not intervals.size and _cycles(p, main, limits):
        return "spurious_cycle"
    if _repetition(p) <= limits.repeats and _repetition(x) >= limits.aperiodic:
        return "spurious_cycle"
    if intervals.size:
        predicted = np.diff(upward_crossings(p[:, main]))
        if not predicted.size or _turns_backwards(p, x):
            return "wrong_frequency"
        (low, high), (least, most) = _median_bounds(intervals), _median_bounds(predicted)
        if least > high * (1 + limits.frequency) or most < low * (1 - limits.frequency):
            return "wrong_frequency"
    moving = amplitude > limits.still
    if (np.abs(ours - amplitude) > limits.amplitude * amplitude)[moving].any():
        return "wrong_amplitude"
    offset = np.abs(p.mean(axis=0) - x.mean(axis=0))
    return "wrong_amplitude" if (offset > limits.offset * amplitude)[moving].any() else "correct"


def _median_bounds(intervals: Array) -> tuple[float, float]:
    """Distribution-free 95 % bounds of a median: order statistics √n to either side of the middle."""
    ordered, n = np.sort(intervals), intervals.size
    reach = (n - 1) / 2 - np.sqrt(n) * 0.98
    low = max(0, int(np.floor(reach)))
    return float(ordered[low]), float(ordered[n - 1 - low])


def _cycles(p: Array, component: int, limits: VerdictThresholds) -> bool:
    """True where a component goes round at least twice without dying out."""
    quarter = len(p) // 2
    lasting = np.ptp(p[quarter:, component]) >= limits.sustained * np.ptp(p[:quarter, component])
    return bool(lasting) and upward_crossings(p[:, component]).size >= 3


def _turns_backwards(p: Array, x: Array) -> bool:
    """True where the prediction circulates against the truth in the plane of the truth's strongest circulation."""
    ours, truth = _circulation(p), _circulation(x)
    i, j = np.unravel_index(int(np.abs(truth).argmax()), truth.shape)
    # Below a tenth of an ellipse's worth the truth has no clear sense of rotation.
    return bool(abs(truth[i, j]) > 0.1 and ours[i, j] * truth[i, j] < 0 and abs(ours[i, j]) > 0.1)


def _circulation(x: Array) -> Array:
    """Σ_t (z_i ż_j − z_j ż_i) over the product of path lengths' scale, (D, D), antisymmetric, in [−1, 1]."""
    z = x - x.mean(axis=0)
    step = np.diff(z, axis=0)
    middle = (z[1:] + z[:-1]) / 2
    area = middle.T @ step - step.T @ middle
    scale = np.sqrt((middle**2).sum(axis=0)[:, None] * (step**2).sum(axis=0)[None, :])
    bound = scale + scale.T
    return np.where(bound > 0, area / np.where(bound > 0, bound, 1.0), 0.0)


def _repetition(x: Array) -> float:
    """Residual of the best repetition: min over lags of rms(z(t) − z(t − τ)) / (√2 rms z); 0 repeats exactly.

    Lags start where the series has left its own neighbourhood (a residual of ½).
    """
    z = x - x.mean(axis=0)
    half = len(z) // 2
    size = np.sqrt(2 * np.mean(np.sum(z**2, axis=1)))
    if size == 0:
        return 0.0
    last = z[half:]
    # |a − b|² = |a|² + |b|² − 2ab, the last term for all lags at once; entry k belongs to the lag half − k.
    products = signal.correlate(z, last, mode="valid", method="fft")[:, 0]
    energy = np.concatenate(([0.0], np.cumsum(np.sum(z**2, axis=1))))
    square = energy[-1] - energy[half] + energy[len(last) :] - energy[: half + 1] - 2 * products
    residual = np.sqrt(np.maximum(square[:half][::-1], 0.0) / len(last)) / size
    left = np.flatnonzero(residual > 0.5)
    return float(residual[left[0] :].min()) if left.size else 1.0
