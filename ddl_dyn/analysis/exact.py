"""The true map of a task as a DiscreteMap; whatever has a task's methods will do. Axes: B batch, D state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from ddl_dyn.analysis.maps import Chart, DiscreteMap
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import FlowTask, Task

RowField = Callable[[Array], Array]

# Round-off and truncation of a central difference balance near the cube root of the machine epsilon.
DIFFERENCE_STEP = float(np.finfo(np.float64).eps ** (1 / 3))


def from_task(task: Task, *, rtol: float = 1e-11, atol: float = 1e-12) -> DiscreteMap:
    """The exact map of a task over one sampling step dt.

    A map task gives Φ = next_state; a flow task gives the flow over dt (DOP853) with J from the variational equation
    V̇ = (∂f/∂x) V, V(0) = I; a task that can only be simulated gives one simulated step. Derivatives the task does not
    supply are central differences with relative step ε^(1/3), good to about 1e-9.

    Args:
        task: an object with `dt`, and `next_state`, `vector_field` or `simulate`.
        rtol, atol: tolerances of the flow's integration, for state and tangents alike.
    Raises:
        ValueError: when the object has none of the three, or needs inputs.
    """
    name = task.key() if hasattr(task, "key") else type(task).__name__
    if getattr(task, "input_dim", 0):
        raise ValueError(
            f"{name} is driven by inputs {getattr(task, 'input_names', ())}: it is a family of maps. Fix the parameter "
            "in the task itself and analyse each member"
        )
    if hasattr(task, "next_state"):
        phi = _map_of(task.next_state, _jacobian_or_difference(task, task.next_state), task, name)
        chart = getattr(task, "chart", None)
        return phi if chart is None else replace(phi, chart=_chart_of(task, chart))
    if hasattr(task, "vector_field"):
        return _flow_of(cast(FlowTask, task), name, rtol, atol)
    if hasattr(task, "simulate"):

        def one_step(x: Array) -> Array:
            flat = x.reshape(-1, x.shape[-1])
            return np.asarray(task.simulate(flat, 1).states)[:, -1].reshape(x.shape)

        return _map_of(one_step, lambda x: central_difference(one_step, x), task, name)
    raise ValueError(f"{name} has neither next_state, vector_field nor simulate, so it defines no map")


def central_difference(field: RowField, x: Array) -> Array:
    """Jacobian (..., D, D) of a row-wise field at x (..., D) by central differences.

    ∂f_i/∂x_j ≈ (f_i(x + h e_j) − f_i(x − h e_j)) / 2h,  h = ε^(1/3) max(1, |x_j|)
    """
    h = DIFFERENCE_STEP * np.maximum(1.0, np.abs(x))
    shift = h[..., None, :] * np.eye(x.shape[-1])
    up, down = x[..., None, :] + shift, x[..., None, :] - shift
    # The rounded distance between the two points, not the intended 2h, is what divides exactly.
    width = np.diagonal(up - down, axis1=-2, axis2=-1)
    columns = np.asarray(field(up)) - np.asarray(field(down))
    return np.swapaxes(columns / width[..., :, None], -1, -2)


def _jacobian_or_difference(task: Task, field: RowField, *leading: float) -> RowField:
    def jacobian(x: Array) -> Array:
        exact = task.jacobian(*leading, x) if hasattr(task, "jacobian") else None
        return central_difference(field, x) if exact is None else np.asarray(exact)

    return jacobian


def _map_of(step: RowField, jacobian: RowField, task: Task, name: str) -> DiscreteMap:
    def torch_step(x: Tensor) -> Tensor:
        with np.errstate(over="ignore", invalid="ignore"):
            return _tensor(step(_array(x)), x)

    def joint(x: Tensor) -> tuple[Tensor, Tensor]:
        points = _array(x)
        with np.errstate(over="ignore", invalid="ignore"):
            return _tensor(step(points), x), _tensor(jacobian(points), x)

    angles = tuple(getattr(task, "angular", ()))
    return DiscreteMap(step=torch_step, joint=joint, dim=task.state_dim, dt=float(task.dt), name=name, angles=angles)


def _chart_of(task: Any, chart: Task) -> Chart:
    return Chart(
        from_task(chart),
        embed=lambda a: _tensor(task.embed(_array(a)), a),
        coordinates=lambda x: _tensor(task.angles(_array(x)), x),
    )


def _flow_of(task: FlowTask, name: str, rtol: float, atol: float) -> DiscreteMap:
    field, variational = variational_field(task)
    dim, dt = int(task.state_dim), float(task.dt)

    def step(x: Tensor) -> Tensor:
        rows = _array(x).reshape(-1, dim)
        return _tensor(integrate_rows(field, rows, dt, rtol, atol), x).reshape(x.shape)

    def joint(x: Tensor) -> tuple[Tensor, Tensor]:
        rows = _array(x).reshape(-1, dim)
        tangents = np.broadcast_to(np.eye(dim).ravel(), (len(rows), dim * dim))
        y = _tensor(integrate_rows(variational, np.concatenate([rows, tangents], axis=1), dt, rtol, atol), x)
        return y[:, :dim].reshape(x.shape), y[:, dim:].reshape(*x.shape, dim)

    def path(x: Tensor, steps: int) -> Tensor:
        rows = _array(x).reshape(-1, dim)
        found = _integrate(field, rows, dt, rtol, atol, steps) if np.isfinite(rows).all() else None
        if found is None:
            # A row that blows up leaves the finite numbers at a step of its own.
            return single.orbit(x, steps)[1:]
        return _tensor(found, x).reshape(steps, *x.shape)

    single = DiscreteMap(step=step, joint=joint, dim=dim, dt=dt, name=name)
    return replace(single, path=path)


def variational_field(task: FlowTask) -> tuple[RowField, RowField]:
    """The field f of a flow task on rows (B, D), and the field of state and tangents (x, V) on rows (B, D + D²).

    ẋ = f(x),  V̇ = (∂f/∂x) V
    """

    def field(x: Array) -> Array:
        return np.asarray(task.vector_field(0.0, x))

    jacobian = _jacobian_or_difference(task, field, 0.0)

    def variational(y: Array) -> Array:
        # D + D² = columns: the state dimension is the positive root.
        dim = round((np.sqrt(1 + 4 * y.shape[1]) - 1) / 2)
        x, v = y[:, :dim], y[:, dim:].reshape(-1, dim, dim)
        return np.concatenate([field(x), (jacobian(x) @ v).reshape(len(x), -1)], axis=1)

    return field, variational


def integrate_rows(field: RowField, rows: Array, duration: float, rtol: float, atol: float) -> Array:
    """Integrate ẏ = field(y) for a whole batch as one system.

    DOP853's error norm is a root mean square over the batch, so tolerances are divided by √B: the worst row alone then
    still meets them.

    Args:
        field: (B, Y) -> (B, Y), row by row.
        rows: (B, Y).
        duration: time to pass.
        rtol, atol: tolerances of one row.
    Returns:
        (B, Y); NaN for a row that fails.
    Source: Hairer, Nørsett & Wanner (1993), Solving Ordinary Differential Equations I, section II.5.
    """
    good = np.isfinite(rows).all(axis=1)
    out = np.full_like(rows, np.nan)
    if good.any():
        out[good] = _integrate_or_halve(field, rows[good], duration, rtol, atol)
    return out


def _integrate_or_halve(field: RowField, rows: Array, duration: float, rtol: float, atol: float) -> Array:
    """As `integrate_rows`, for rows that are finite at the start."""
    found = _integrate(field, rows, duration, rtol, atol, 1)
    if found is not None:
        final: Array = found[0]
        return final
    if len(rows) == 1:
        return np.full_like(rows, np.nan)
    # One row that blows up stops the shared step size: halving the batch isolates it.
    half = len(rows) // 2
    parts = [_integrate_or_halve(field, part, duration, rtol, atol) for part in (rows[:half], rows[half:])]
    return np.concatenate(parts)


def _integrate(field: RowField, rows: Array, dt: float, rtol: float, atol: float, steps: int) -> Array | None:
    """States (steps, B, Y) after each dt; None where a row fails."""
    tighten = 1 / np.sqrt(len(rows))
    with np.errstate(over="ignore", invalid="ignore"):
        result = solve_ivp(
            lambda _, y: field(y.reshape(rows.shape)).ravel(),
            (0.0, steps * dt),
            rows.ravel(),
            method="DOP853",
            first_step=dt,
            # The end of a single step is the solver's own last state, which needs no interpolation.
            t_eval=dt * np.arange(1, steps + 1) if steps > 1 else None,
            rtol=max(rtol * tighten, 3e-14),
            atol=atol * tighten,
        )
    states = result.y.T[-steps:]
    return states.reshape(steps, *rows.shape) if result.success and np.isfinite(states).all() else None


def _array(x: Tensor) -> Array:
    return x.detach().cpu().numpy().astype(np.float64)


def _tensor(x: object, like: Tensor) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(x), dtype=torch.float64, device=like.device)
