"""The latent map off the manifold of lifted states: exponents, drift, span of directions; the linear part far away.

Axes: R replicas (leading, only where the model has them), B states, T steps, D observed state, H latent state, L
layers, r directions of a layer, d rows, K radii. The manifold is lift(R^D), D-dimensional in R^H.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ddl_dyn.analysis.learned import Learned, from_replicas, in_float64
from ddl_dyn.analysis.maps import row_jacobian
from ddl_dyn.analysis.spectra import eigenvalues, finite_rows, singular_values
from ddl_dyn.analysis.systems import System, as_map
from ddl_dyn.metrics.arrays import Array

# An exponent per step above this counts as neutral: an error loses less than half of itself in 140 steps.
_NEUTRAL = -0.005


@dataclass(frozen=True, kw_only=True)
class LatentSpectrum:
    """Lyapunov exponents of a latent map, per step, largest first; means over the orbits that stayed finite.

    Args:
        exponents: (R?, H), of the whole map.
        on: (R?, D), of its action along the manifold.   off: (R?, H − D), of its action across it.
        neutral: (R?,), number of `exponents` above `_NEUTRAL`.
        valid: (R?, B), False where an orbit left the finite numbers.
    """

    exponents: Array
    on: Array
    off: Array
    neutral: NDArray[np.int64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class DirectionSpan:
    """Span of the directions k that a stack used: the eigenvalues of the mean of k kᵀ.

    Args:
        energies: (R, d), shares of the energy along the principal directions, largest first, summing to 1.
        directions: (R, d, d), the principal directions as columns.
        dimension: (R,), 1/Σ energies², from 1 (one direction) to d (all alike).
    """

    energies: Array
    directions: Array
    dimension: Array


@dataclass(frozen=True, kw_only=True)
class FarField:
    """Jacobian of a map along rays, at growing distance.

    Args:
        radii: (K,).   jacobians: (K, R?, B, D, D).
        eigenvalues: (K, R?, B, D), complex, largest modulus first.   singular_values: (K, R?, B, D).
        change: (R?, B), largest entry of the difference between the last two Jacobians: near 0 where the linear part
            has become constant.
    """

    radii: Array
    jacobians: Array
    eigenvalues: NDArray[np.complex128]
    singular_values: Array
    change: Array


def latent_spectrum(
    model: Any, x0: ArrayLike, steps: int, *, transient: int = 0, inputs: ArrayLike | None = None, seed: int = 0
) -> LatentSpectrum:
    """Lyapunov spectrum along the latent orbit, split into motion along the manifold and across it.

    With L = ∂lift, R = ∂read at the present state and N a basis of the kernel of R, the latent tangent space is the
    sum of the columns of L and of N. In these coordinates the Jacobian has blocks,

        (L N)⁻¹(t+1) J(t) (L N)(t) = (A B; C E),

    and the exponents on and off the manifold are those of the products of A and of E. Where the map leaves the manifold
    invariant (C = 0), or what is observed depends on what is observed alone (B = 0), they are together the whole
    spectrum; else they describe each part with the other one undisturbed.

    Args:
        model: StepModel or Replicas with carry="latent" and more latent than observed components.
        x0: (B, D), or (R, B, D) for replicas, in model units.
        steps: averaged steps.   transient: steps before; tangents are carried, uncounted, through half of them.
        inputs: (U,), held constant.   seed: of the first tangent frames.
    Raises:
        ValueError: when the model has no latent space beside the observed one, or steps < 1 or transient < 0.
    """
    if steps < 1 or transient < 0:
        raise ValueError(f"steps must be at least 1 and transient at least 0, got {steps} and {transient}")
    double, h = _lifted(model, x0)
    phi = from_replicas(model, inputs=inputs)
    H, D = phi.dim, _template(model).state_dim
    sizes = {"exponents": (0, H), "on": (0, D), "off": (D, H)}
    with torch.no_grad():
        for _ in range(transient - transient // 2):
            h = phi.step(h)
        frames = {name: _frame(h, last - first, seed) for name, (first, last) in sizes.items()}
        sums = {name: h.new_zeros(frame.shape[:-1]) for name, frame in frames.items()}
        basis = _basis(double, h)
        for t in range(-(transient // 2), steps):
            h, jacobian = phi.step_and_jacobian(h)
            after = _basis(double, h)
            blocks = torch.linalg.solve_ex(after, jacobian @ basis)[0]
            for name, (first, last) in sizes.items():
                part = jacobian if name == "exponents" else blocks[..., first:last, first:last]
                frames[name], logs = _growth(part @ frames[name])
                if t >= 0:
                    sums[name] += logs
            basis = after
    valid = torch.isfinite(h).all(-1)
    for total in sums.values():
        valid &= ~torch.isnan(total).any(-1)
    found = {name: _mean(total / steps, valid) for name, total in sums.items()}
    neutral = (found["exponents"] > _NEUTRAL).sum(axis=-1)
    return LatentSpectrum(**found, neutral=np.asarray(neutral), valid=valid.cpu().numpy())


def manifold_distance(model: Learned, x0: ArrayLike, steps: int, *, inputs: ArrayLike | None = None) -> Array:
    """Distance ‖h_t − lift(read h_t)‖ of a free latent run from the lift of its own read-out.

    Args:
        model: StepModel or Replicas with carry="latent" and more latent than observed components.
        x0: (B, D), or (R, B, D) for replicas, in model units.   steps: T.   inputs: (B, T, U), where the model has any.
    Returns:
        (R?, B, T+1), in model units of the latent space; NaN or infinite where a run is.
    Raises:
        ValueError: when the model has no latent space beside the observed one, or inputs do not fit.
    """
    double, h = _lifted(model, x0)
    width = _template(model).input_dim
    u = torch.zeros(h.shape[-2], steps, 0) if inputs is None else torch.as_tensor(np.asarray(inputs))
    if u.shape != (h.shape[-2], steps, width):
        raise ValueError(f"inputs must have shape ({h.shape[-2]}, {steps}, {width}), got {tuple(u.shape)}")
    out = []
    with torch.no_grad():
        for t in range(steps + 1):
            out.append(torch.linalg.vector_norm(h - double.lift(double.read(h)), dim=-1))
            if t < steps:
                h = double.advance(h, t, u[:, t].to(h).expand(*h.shape[:-1], width))
    return torch.stack(out, dim=-1).cpu().numpy()


def direction_span(traces: Mapping[str, ArrayLike], *, weighted: bool = False) -> DirectionSpan:
    """Principal directions of the k that Delta layers used along orbits.

    Args:
        traces: k (R, T, L, B, r, d) and beta (R, T, L, B, r), from `trace_orbit`.
        weighted: each direction counts by its β, the share of the state along it that is erased.
    Raises:
        ValueError: when there is no trace of directions.
    """
    if "k" not in traces or "beta" not in traces:
        raise ValueError("the span of directions needs traces k and beta: not a DDL stack")
    k, beta = (np.asarray(traces[name], dtype=np.float64) for name in ("k", "beta"))
    if weighted:
        k = k * np.sqrt(beta)[..., None]
    rows = k.reshape(len(k), -1, k.shape[-1])
    values, vectors = np.linalg.eigh(np.einsum("rni,rnj->rij", rows, rows))
    values = np.maximum(values[:, ::-1], 0.0)
    energies = values / values.sum(axis=-1, keepdims=True)
    return DirectionSpan(energies=energies, directions=vectors[..., ::-1], dimension=1.0 / (energies**2).sum(axis=-1))


def far_field(system: System, rays: ArrayLike, radii: ArrayLike, **options: object) -> FarField:
    """Jacobian of a map at the points radius · ray.

    With a bounded context, far from the data, the linear part of a residual step tends to its shortcut's.

    Args:
        system: DiscreteMap, task, model or replicas.
        rays: (B, D), in the map's coordinates; of any length.   radii: (K,), growing.
        options: for `as_map`, such as normalizer.
    Raises:
        ValueError: when there are fewer than two radii, or they do not grow.
    """
    phi, scale = as_map(system, **options), np.asarray(radii, dtype=np.float64)
    if scale.ndim != 1 or len(scale) < 2 or not (np.diff(scale) > 0).all():
        raise ValueError(f"radii must be at least two growing numbers, got {scale.tolist()}")
    start = phi.states(rays)
    with torch.no_grad():
        found = torch.stack([phi.jacobian(start * radius) for radius in scale])
    return FarField(
        radii=scale,
        jacobians=found.cpu().numpy(),
        eigenvalues=eigenvalues(found).cpu().numpy(),
        singular_values=singular_values(found).cpu().numpy(),
        change=(found[-1] - found[-2]).abs().amax(dim=(-2, -1)).cpu().numpy(),
    )


def _template(model: Any) -> Any:
    return model.template if hasattr(model, "seeds") else model


def _lifted(model: Any, x0: ArrayLike) -> tuple[Any, Tensor]:
    """The model in float64 and its lifted states, (R?, B, H)."""
    template = _template(model)
    if template.config.carry != "latent" or template.carried_dim <= template.state_dim:
        raise ValueError(
            f"there is no latent space beside the observed one (carry={template.config.carry}, {template.carried_dim} "
            f"carried components of {template.state_dim} observed ones); use carry=latent and a lift"
        )
    double = in_float64(model)
    device = next(iter(model.state_dict().values())).device
    x = torch.as_tensor(np.asarray(x0, dtype=np.float64), device=device)
    replicas = (model.size,) if hasattr(model, "seeds") else ()
    if x.ndim == 2:
        x = x.expand(*replicas, *x.shape)
    if x.shape[:-2] != replicas or x.shape[-1] != template.state_dim:
        each = f" or ({model.size}, B, {template.state_dim})" if replicas else ""
        raise ValueError(f"x0 must have shape (B, {template.state_dim}){each}, got {tuple(x.shape)}")
    with torch.no_grad():
        return double, double.lift(x)


def _basis(double: Any, h: Tensor) -> Tensor:
    """The matrix (L N), (..., H, H): columns along the manifold, and columns that the read-out does not see."""
    x, R = row_jacobian(double.read, h, constant=True)
    _, L = row_jacobian(double.lift, x, constant=True)
    good = finite_rows(R, 2)
    safe = torch.where(good[..., None, None], R, torch.zeros_like(R))
    # Of the complete factor the last columns are orthogonal to the rows of R.
    kernel = torch.linalg.qr(safe.mT, mode="complete")[0][..., R.shape[-2] :]
    return torch.cat((L, torch.where(good[..., None, None], kernel, torch.nan)), dim=-1)


def _frame(h: Tensor, size: int, seed: int) -> Tensor:
    """Random orthonormal columns, the same for every state, (..., size, size)."""
    generator = torch.Generator().manual_seed(seed)
    start = torch.linalg.qr(torch.randn(size, size, dtype=h.dtype, generator=generator))[0].to(h.device)
    frame: Tensor = start.expand(*h.shape[:-1], size, size)
    return frame


def _growth(product: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal factor of a matrix and log |R_ii|: −inf where nothing but round-off is left, NaN if not finite."""
    good, size = finite_rows(product, 2), product.shape[-1]
    safe = torch.where(good[..., None, None], product, torch.eye(size, dtype=product.dtype, device=product.device))
    q, r = torch.linalg.qr(safe)
    diagonal = r.diagonal(dim1=-2, dim2=-1).abs()
    rounding = size * torch.finfo(product.dtype).eps * torch.linalg.matrix_norm(safe)[..., None]
    logs = torch.where(diagonal <= rounding, -torch.inf, diagonal.clamp_min(1e-300).log())
    return q, torch.where(good[..., None], logs, torch.nan)


def _mean(exponents: Tensor, valid: Tensor) -> Array:
    """Mean over valid states of exponents that are ranked for each, (R?, B, n) -> (R?, n)."""
    ranked, mask = np.sort(exponents.cpu().numpy(), axis=-1)[..., ::-1], valid.cpu().numpy()[..., None]
    with np.errstate(invalid="ignore"):
        mean: Array = np.where(mask, ranked, 0.0).sum(axis=-2) / mask.sum(axis=-2)
        return mean
