"""The Delta audit: gates, directions and discrepancies that a trained stack uses.

Axes: R replicas, T steps, L layers, B states, r directions of a layer, d rows, V value channels,
N = T·L·r successive rewrites.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ddl_dyn.analysis.learned import Learned
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.metrics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class DeltaAudit:
    """Gates, directions and discrepancies of the Delta layers of R trained stacks along T steps at B states.

    Args:
        borders: β below the first is "skip", up to the second "overwrite", above it "over_relaxed".
        occupancy: (R, T, L, r, 3), shares of the states in the three regimes, summing to 1.
        beta_mean, beta_low, beta_high: (R, T, L, r), mean and 5 % and 95 % quantiles over states.
        law_error: (R,), max |e_post − (1 − β) e_pre|.
        law_error_relative: (R,), the same divided by max |e_pre|.
        length_error: (R,), max |‖k‖ − 1|.
        discrepancy_before, discrepancy_after: (R, N), root mean square of e over states and channels.
        spent: (R, N), share 1 − after/before of the discrepancy that each rewrite removes (negative: it grows).
        mirror_angle: (R, N−1, B), angle in [0, π/2] between the mirrors of consecutive rewrites.
        rotation_angle: (R, N−1, B), argument in [0, π] of the eigenvalues that the two frozen operators make together.
        rotation_modulus: (R, N−1, B), their modulus: |det|^½ = |(1−β_1)(1−β_2)|^½.
        reversing: (R, T, B), number of rewrites with β > 1 within one step.
        effective_reflections: (R, T, B), Σ max(0, β − 1): full reflections count 1, partial ones their share.
    """

    borders: tuple[float, float]
    occupancy: Array
    beta_mean: Array
    beta_low: Array
    beta_high: Array
    law_error: Array
    law_error_relative: Array
    length_error: Array
    discrepancy_before: Array
    discrepancy_after: Array
    spent: Array
    mirror_angle: Array
    rotation_angle: Array
    rotation_modulus: Array
    reversing: NDArray[np.int64]
    effective_reflections: Array


@dataclass(frozen=True)
class Recovered:
    """A physical constant read from a trained stack: per replica (R,), their mean, standard deviation, and the error
    of the mean against the truth (NaN where the truth is unknown)."""

    values: Array
    mean: float
    spread: float
    error: float


@dataclass(frozen=True)
class PrecisionRow:
    """Reach of a gate β = 2σ(g) in one floating-point type.

    largest: largest |1 − β| below 1.   half_life: steps in which such a reflection loses half of its amplitude.
    saturation: smallest logit g, to three digits, at which β rounds to 2 exactly.
    """

    dtype: str
    largest: float
    half_life: float
    saturation: float


def trace_orbit(model: Learned, x0: ArrayLike, steps: int, inputs: ArrayLike | None = None) -> dict[str, Array]:
    """Traces of every layer along a free run, in the precision the model was trained in.

    Args:
        model: StepModel or Replicas; one that shows nothing inside gives an empty dict.
        x0: (B, D), or (R, B, D) for replicas, in model units.
        steps: T.
        inputs: (B, T, U); None where the model takes none.
    Returns:
        name -> (R, T, L, B, …) (R = 1 for a single model).
    """
    template, replicas = (model.template, True) if isinstance(model, Replicas) else (model, False)
    like = next(iter(model.state_dict().values()))
    x = torch.as_tensor(np.asarray(x0)).to(like)
    x = x.expand(model.size, *x.shape) if isinstance(model, Replicas) and x.ndim == 2 else x
    width = int(template.input_dim)
    drive = torch.zeros(x.shape[-2], steps, 0) if inputs is None else torch.as_tensor(np.asarray(inputs))
    if drive.shape[1:] != (steps, width):
        raise ValueError(f"inputs must have shape (B, {steps}, {width}), got {tuple(drive.shape)}")
    rows: list[dict[str, torch.Tensor]] = []
    with torch.no_grad():
        h = model.lift(x)
        for t in range(steps):
            u = drive[:, t].to(like).expand(*h.shape[:-1], width)
            rows.append(model.trace(h, t, u))
            latent = template.config.carry == "latent"
            h = model.advance(h, t, u) if latent else model.lift(model.read(model.step(h, t, u)))
    axis = 1 if replicas else 0
    out = {name: torch.stack([row[name] for row in rows], dim=axis) for name in (rows[0] if rows else {})}
    return {name: (t if replicas else t.unsqueeze(0)).cpu().numpy() for name, t in out.items()}


def audit(traces: Mapping[str, ArrayLike], *, borders: tuple[float, float] = (0.5, 1.0)) -> DeltaAudit:
    """Gate occupancy, discrepancy law, mirrors and reflections of traced Delta layers.

    e_post = (1 − β) e_pre;   A_2 A_1 on the plane of k_1, k_2: trace 2 − β_1 − β_2 + β_1 β_2 (k_1·k_2)²,
    determinant (1 − β_1)(1 − β_2), so β = 2 twice rotates by 2∠(k_1, k_2)

    Args:
        traces: beta (R, T, L, B, r), k (…, r, d), e_pre and e_post (…, r, V), from `trace_orbit`; the axis T may be
            missing throughout (one step).
        borders: of the regimes, 0 ≤ first ≤ second ≤ 2.
    Raises:
        ValueError: when a trace is missing, shapes disagree or the borders are out of order.
    """
    beta, k, before, after = _traces(traces)
    low, high = borders
    if not 0 <= low <= high <= 2:
        raise ValueError(f"borders must satisfy 0 <= first <= second <= 2, got {borders}")
    replicas = len(beta)
    regimes = [beta < low, (beta >= low) & (beta <= high), beta > high]
    law = np.abs(after - (1 - beta[..., None]) * before).reshape(replicas, -1).max(axis=1)
    largest = np.abs(before).reshape(replicas, -1).max(axis=1)
    sequence_before, sequence_after = (_root_mean_square(e) for e in (before, after))
    with np.errstate(divide="ignore", invalid="ignore"):
        spent = 1 - sequence_after / sequence_before
        relative = law / largest
    unit = k / np.maximum(np.linalg.norm(k, axis=-1, keepdims=True), 1e-300)
    angle, turn, modulus = _pairs(_successive(unit), _successive(beta))
    return DeltaAudit(
        borders=borders,
        occupancy=np.stack([mask.mean(axis=3) for mask in regimes], axis=-1),
        beta_mean=beta.mean(axis=3),
        beta_low=np.quantile(beta, 0.05, axis=3),
        beta_high=np.quantile(beta, 0.95, axis=3),
        law_error=law,
        law_error_relative=relative,
        length_error=np.abs(np.linalg.norm(k, axis=-1) - 1).reshape(replicas, -1).max(axis=1),
        discrepancy_before=sequence_before,
        discrepancy_after=sequence_after,
        spent=spent,
        mirror_angle=angle,
        rotation_angle=turn,
        rotation_modulus=modulus,
        reversing=(beta > 1).sum(axis=(2, 4)),
        effective_reflections=np.maximum(beta - 1, 0).sum(axis=(2, 4)),
    )


def mirror_angle(a: ArrayLike, b: ArrayLike) -> Array:
    """Angle in [0, π/2] between the mirrors with normals a and b (..., d), where k and −k are the same mirror."""
    p, q = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    p = p / np.linalg.norm(p, axis=-1, keepdims=True)
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where((p * q).sum(-1, keepdims=True) < 0, -q, q)
    # Kahan's form keeps all digits of a small angle, which arccos loses.
    angle: Array = 2 * np.arctan2(np.linalg.norm(p - q, axis=-1), np.linalg.norm(p + q, axis=-1))
    return angle


def rotation_of_pair(cosine: ArrayLike, beta_1: ArrayLike, beta_2: ArrayLike) -> tuple[Array, Array]:
    """Argument in [0, π] and modulus of the eigenvalues of A_2 A_1 on the plane of two directions.

    Args:
        cosine: k_1·k_2.   beta_1, beta_2: gates. All broadcast.
    Returns:
        Argument (0 or π where the eigenvalues are real: that of the larger) and modulus |det|^½.
    """
    c, b1, b2 = (np.asarray(a, dtype=np.float64) for a in (cosine, beta_1, beta_2))
    half = (2 - b1 - b2 + b1 * b2 * c**2) / 2
    determinant = (1 - b1) * (1 - b2)
    complex_pair = half**2 < determinant
    turn = np.arctan2(np.sqrt(np.maximum(determinant - half**2, 0)), half)
    return np.where(complex_pair, turn, np.where(half < 0, np.pi, 0.0)), np.sqrt(np.abs(determinant))


def recovered(values: ArrayLike, truth: float | None = None) -> Recovered:
    """A constant read from each replica, held against its true value.

    Restitution is β − 1 at impacts, a relaxation factor is β, a mirror's misfit is `mirror_angle(k, normal)` (truth 0),
    a rotation is `rotation_angle` of the audit.

    Args:
        values: (R, …), averaged (median) over all further axes; NaN entries are left out.
        truth: the true value.
    """
    v = np.asarray(values, dtype=np.float64)
    rows = [row[~np.isnan(row)] for row in v.reshape(len(v), -1)]
    each = np.array([np.median(row) if row.size else np.nan for row in rows])
    mean = float(each.mean())
    spread = float(each.std(ddof=1)) if len(each) > 1 else math.nan
    return Recovered(each, mean, spread, math.nan if truth is None else mean - truth)


def precision_card(
    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32, torch.bfloat16, torch.float16),
) -> list[PrecisionRow]:
    """Largest |1 − β| below 1 that a gate β = 2σ(g) reaches in each floating-point type.

    The number below 2 nearest to it is 2 − ε, so |1 − β| = 1 − ε and half-lives end at ln 2/ε steps.
    """
    rows = []
    for dtype in dtypes:
        below = 2 * torch.nextafter(torch.ones(1, dtype=dtype), torch.zeros(1, dtype=dtype))
        largest = float((below.double() - 1).abs())
        logits = torch.arange(1.0, 60.0, 1e-3, dtype=torch.float64)
        full = 2 * torch.sigmoid(logits.to(dtype)) >= 2
        rows.append(
            PrecisionRow(
                dtype=str(dtype).removeprefix("torch."),
                largest=largest,
                half_life=math.log(0.5) / math.log1p(largest - 1),
                saturation=float(logits[full][0]),
            )
        )
    return rows


def _traces(traces: Mapping[str, ArrayLike]) -> tuple[Array, Array, Array, Array]:
    missing = [name for name in ("beta", "k", "e_pre", "e_post") if name not in traces]
    if missing:
        raise ValueError(
            f"the audit needs traces beta, k, e_pre and e_post, but {missing} are missing: not a DDL stack"
        )
    beta, k, before, after = (np.asarray(traces[n], dtype=np.float64) for n in ("beta", "k", "e_pre", "e_post"))
    if beta.ndim == 4:
        beta, k, before, after = (a[:, None] for a in (beta, k, before, after))
    if beta.ndim != 5 or any(a.shape[:5] != beta.shape or a.ndim != 6 for a in (k, before, after)):
        shapes = {n: np.shape(traces[n]) for n in ("beta", "k", "e_pre", "e_post")}
        raise ValueError(f"traces must have axes beta (R, T, L, B, r), others one more at the end, got {shapes}")
    return beta, k, before, after


def _successive(a: Array) -> Array:
    """(R, T, L, B, r, …) -> (R, N, B, …), rewrites in the order in which they act."""
    moved = np.moveaxis(a, 4, 3)
    return moved.reshape(a.shape[0], -1, a.shape[3], *a.shape[5:])


def _root_mean_square(e: Array) -> Array:
    size: Array = np.sqrt((_successive(e) ** 2).mean(axis=(2, 3)))
    return size


def _pairs(k: Array, beta: Array) -> tuple[Array, Array, Array]:
    angle = mirror_angle(k[:, :-1], k[:, 1:]) if k.shape[1] > 1 else np.zeros((len(k), 0, k.shape[2]))
    turn, modulus = rotation_of_pair(np.cos(angle), beta[:, :-1], beta[:, 1:])
    return angle, turn, modulus
