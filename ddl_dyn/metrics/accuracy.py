"""Pointwise forecast accuracy: NRMSE, valid prediction time and its survival curve, sMAPE, MASE.

Axes: R replicas, N trajectories, T steps, D state components. Arrays have any leading axes, e.g. (R, N), before
(T+1, D); the truth broadcasts over the leading axes. Sample 0 is the given initial state.
A non-finite prediction scores as failed and is never dropped; a non-finite truth is a ValueError.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from ddl_dyn.metrics.arrays import Array, Mask, aligned, positive_scale


class PredictionTime(NamedTuple):
    """Valid prediction times and whether each is censored, both (...)."""

    time: Array
    censored: Mask


class SurvivalCurve(NamedTuple):
    """Kaplan–Meier curve: share of forecasts still valid just after each of `times`, with its bounds; all (K,)."""

    times: Array
    survival: Array
    low: Array
    high: Array


def forecast_window(pred: ArrayLike, true: ArrayLike, steps: int) -> tuple[Array, Array]:
    """Steps 1 … K of prediction and truth, (..., K, D); the given initial state is no forecast.

    Args:
        pred: (..., T+1, D).   true: broadcasts to pred; finite.
        steps: K, in 1 … T.
    Raises:
        ValueError: when steps is out of range, or as for `aligned`.
    """
    p, x = aligned(pred, true)
    if int(steps) != steps or not 1 <= steps <= p.shape[-2] - 1:
        raise ValueError(f"steps must be an integer in 1 … {p.shape[-2] - 1} (the steps there are), got {steps!r}")
    return p[..., 1 : int(steps) + 1, :], x[..., 1 : int(steps) + 1, :]


def _scaled_square(p: Array, x: Array, s: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        square = ((p - x) / s) ** 2
    return np.where(np.isfinite(p), square, np.inf)


def nrmse_curve(pred: ArrayLike, true: ArrayLike, sigma: ArrayLike) -> Array:
    """Normalised root-mean-square error of each trajectory at each step (dimensionless).

    NRMSE(t) = √((1/D) Σ_d (x̂_d(t) − x_d(t))² / σ_d²); the mean forecast scores ≈ 1, an independent copy of the
    attractor ≈ √2.

    Args:
        pred: (..., T+1, D), forecast states.
        true: broadcasts to pred, reference states.
        sigma: (D,), standard deviation of each component over the training split, in its unit; (R, D) where the first
            axis of pred is R replicas with training splits of their own.
    Returns:
        (..., T+1), in [0, ∞]; ∞ where any component of the prediction is not finite.
    Raises:
        ValueError: on shapes that do not match, a non-finite truth or a scale that is not positive.
    Source:
        Vlachas et al. (2020), Backpropagation algorithms and reservoir computing …, doi:10.1016/j.neunet.2020.02.016.
    """
    p, x = aligned(pred, true)
    s = positive_scale(sigma, p.shape)
    with np.errstate(over="ignore"):
        curve: Array = np.sqrt(_scaled_square(p, x, s).mean(axis=-1))
        return curve


def nrmse(pred: ArrayLike, true: ArrayLike, sigma: ArrayLike, steps: int) -> Array:
    """Normalised root-mean-square error pooled over trajectories, steps 1 … K and components (dimensionless).

    NRMSE = √( mean_{n, 1≤t≤K, d} (x̂ − x)² / σ_d² )

    Args:
        pred: (..., N, T+1, D) or (T+1, D), forecast states.
        true: broadcasts to pred, reference states.
        sigma: (D,), standard deviation of each component over the training split, in its unit; (R, D) where the first
            axis of pred is R replicas with training splits of their own.
        steps: K, between 1 and T.
    Returns:
        (...), the axes before N; ∞ where any pooled prediction is not finite.
    Raises:
        ValueError: as `nrmse_curve`, or when steps is not in 1 … T.
    """
    p, x = forecast_window(pred, true, steps)
    s = positive_scale(sigma, p.shape)
    axes = (-3, -2, -1) if p.ndim >= 3 else (-2, -1)
    with np.errstate(over="ignore"):
        error: Array = np.sqrt(_scaled_square(p, x, s).mean(axis=axes))
        return error


def valid_prediction_time(
    curve: ArrayLike, dt: float, threshold: float, *, trust_steps: ArrayLike | None = None
) -> PredictionTime:
    """Valid prediction time: when the error first exceeds a threshold, in the unit of dt, right-censored.

    VPT_θ = dt · min{t : NRMSE(t) > θ or not finite}

    Args:
        curve: (..., T+1), NRMSE(t) of each trajectory.
        dt: sampling interval in the unit wanted (dt / Lyapunov time gives Lyapunov times, dt / period gives periods).
        threshold: θ > 0, dimensionless.
        trust_steps: broadcasts to (...), the last step at which the truth is trusted; nothing is reported past it.
    Returns:
        time (...), at most the horizon; censored (...), true where the error has not exceeded θ up to the horizon.
    Raises:
        ValueError: on a dt or threshold that is not positive, or negative trust_steps.
    Source:
        Platt et al. (2022), A systematic exploration of reservoir computing …, arXiv:2201.08910.
    """
    c = np.asarray(curve, dtype=np.float64)
    if c.ndim < 1 or c.shape[-1] == 0:
        raise ValueError(f"curve must have shape (..., T+1), got {c.shape}")
    for name, value in (("dt", dt), ("threshold", threshold)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number, got {value!r}")
    last = np.full(c.shape[:-1], c.shape[-1] - 1)
    if trust_steps is not None:
        trusted = np.asarray(trust_steps)
        if not np.issubdtype(trusted.dtype, np.integer) or (trusted < 0).any():
            raise ValueError(f"trust_steps must be non-negative integers, got {trust_steps!r}")
        last = np.minimum(last, trusted)
    # NaN compares false with everything, so the complement also catches it.
    failed = ~(c <= threshold) & (np.arange(c.shape[-1]) <= last[..., None])
    censored = ~failed.any(axis=-1)
    first = np.where(censored, last, failed.argmax(axis=-1))
    return PredictionTime(dt * first.astype(np.float64), np.asarray(censored))


def _times(time: ArrayLike, censored: ArrayLike) -> tuple[Array, Mask]:
    t, c = np.asarray(time, dtype=np.float64), np.asarray(censored)
    if t.shape != c.shape or c.dtype != np.bool_ or t.size == 0:
        raise ValueError(f"time and censored (booleans) must share a non-empty shape, got {t.shape} and {c.shape}")
    if not np.isfinite(t).all() or (t < 0).any():
        raise ValueError("times must be finite and non-negative")
    return t.ravel(), c.ravel()


def survival_curve(time: ArrayLike, censored: ArrayLike) -> SurvivalCurve:
    """Kaplan–Meier estimate of the share of forecasts still valid after time t, with pointwise 95 % bounds.

    Ŝ(t) = Π_{tᵢ ≤ t} (1 − dᵢ/nᵢ), dᵢ failures among nᵢ at risk; bounds by the log(−log) transform of Greenwood's
    variance.

    Args:
        time: (...), valid prediction times; all axes are pooled.
        censored: (...), true where the forecast was still valid at `time`.
    Returns:
        times (K,), distinct and ascending; survival, low and high (K,), in [0, 1]. Before times[0] the survival is 1.
    Raises:
        ValueError: when the shapes differ or a time is not finite and non-negative.
    Source:
        Kaplan and Meier (1958), Nonparametric estimation from incomplete observations,
        doi:10.1080/01621459.1958.10501452.
    """
    t, c = _times(time, censored)
    sf = scipy.stats.ecdf(scipy.stats.CensoredData.right_censored(t, c)).sf
    times, survival = np.asarray(sf.quantiles), np.asarray(sf.probabilities)
    # The transform is undefined at Ŝ = 0 and 1, where the estimate carries no variance; the widest bounds stand there.
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = _greenwood_bounds(t, c, times, survival)
    return SurvivalCurve(times, survival, *interval)


def _greenwood_bounds(t: Array, c: Mask, times: Array, survival: Array) -> tuple[Array, Array]:
    at_risk = (t >= times[:, None]).sum(axis=1)
    deaths = ((t == times[:, None]) & ~c).sum(axis=1)
    variance = np.cumsum(deaths / (at_risk * (at_risk - deaths))) / np.log(survival) ** 2
    half_width = scipy.stats.norm.ppf(0.975) * np.sqrt(variance)
    low, high = survival ** np.exp(half_width), survival ** np.exp(-half_width)
    inside = (survival > 0) & (survival < 1)
    return np.where(inside, low, np.where(survival >= 1, 1.0, 0.0)), np.where(inside, high, survival)


def restricted_mean_time(time: ArrayLike, censored: ArrayLike, horizon: float | None = None) -> float:
    """Restricted-mean valid prediction time: the mean of min(VPT, τ), in the unit of `time`, censoring accounted for.

    RMST(τ) = ∫₀^τ Ŝ(t) dt with Ŝ the Kaplan–Meier curve; with every censoring at τ it is the plain mean.

    Args:
        time: (...), valid prediction times; all axes are pooled.
        censored: (...), true where the forecast was still valid at `time`.
        horizon: τ > 0, at most the longest observed time; None means the longest observed time.
    Returns:
        A number in [0, τ].
    Raises:
        ValueError: when the horizon lies beyond the data while some forecasts are still valid.
    Source:
        Royston and Parmar (2013), Restricted mean survival time, doi:10.1186/1471-2288-13-152.
    """
    t, c = _times(time, censored)
    tau = float(t.max()) if horizon is None else float(horizon)
    curve = survival_curve(t, c)
    if not tau >= 0 or (tau > t.max() * (1 + 1e-12) and curve.survival[-1] > 0):
        raise ValueError(f"horizon must lie in [0, {t.max():g}], the longest observed time, got {tau:g}")
    edges = np.concatenate(([0.0], np.minimum(curve.times, tau), [tau]))
    return float(np.sum(np.diff(edges) * np.concatenate(([1.0], curve.survival))))


def smape(pred: ArrayLike, true: ArrayLike, steps: int) -> Array:
    """Symmetric mean absolute percentage error over steps 1 … K and components, on [0, 200].

    sMAPE = 200 · mean |x − x̂| / (|x| + |x̂|), with 0/0 = 0

    Args:
        pred: (..., T+1, D), forecast states.
        true: broadcasts to pred, reference states.
        steps: K, between 1 and T.
    Returns:
        (...), per trajectory; a non-finite prediction contributes 200.
    Raises:
        ValueError: as `nrmse`.
    Source:
        Makridakis (1993), Accuracy measures, doi:10.1016/0169-2070(93)90079-3.
    """
    p, x = forecast_window(pred, true, steps)
    finite = np.isfinite(p)
    p = np.where(finite, p, 0.0)
    # Halving both keeps the sum of two huge numbers finite.
    total = np.abs(x) / 2 + np.abs(p) / 2
    ratio = np.abs(x / 2 - p / 2) / np.where(total > 0, total, 1.0)
    error: Array = 200.0 * np.where(finite, ratio, 1.0).mean(axis=(-2, -1))
    return error


def mase(pred: ArrayLike, true: ArrayLike, train: ArrayLike, steps: int) -> Array:
    """Mean absolute scaled error with seasonality m = 1 over steps 1 … K, averaged over components (dimensionless).

    MASE = mean_{t,d} |x̂ − x| / q_d,  q_d = mean |x_d(t) − x_d(t−1)| over the training data

    Args:
        pred: (..., T+1, D), forecast states.
        true: broadcasts to pred, reference states.
        train: (..., T'+1, D), training states; differences are taken within each trajectory.
        steps: K, between 1 and T.
    Returns:
        (...), per trajectory, in [0, ∞]; ∞ for a non-finite prediction and for an error in a component that is
        constant in training.
    Raises:
        ValueError: as `nrmse`, or on training data that are not finite or hold no step.
    Source:
        Hyndman and Koehler (2006), Another look at measures of forecast accuracy, doi:10.1016/j.ijforecast.2006.03.001.
    """
    p, x = forecast_window(pred, true, steps)
    data = np.asarray(train, dtype=np.float64)
    if data.ndim < 2 or data.shape[-1] != p.shape[-1] or data.shape[-2] < 2 or not np.isfinite(data).all():
        raise ValueError(f"train must be finite and of shape (..., ≥2, {p.shape[-1]}), got {data.shape}")
    naive = np.abs(np.diff(data, axis=-2)).reshape(-1, p.shape[-1]).mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = np.abs(p - x)
        scaled = np.where(error == 0, 0.0, error / naive)
        mean: Array = np.where(np.isfinite(p), scaled, np.inf).mean(axis=(-2, -1))
        return mean
