"""Predictions of theory before training: the task's map is possible or impossible for a class of models and a lift.

Axes: D observed state, H latent state. A prediction is about the exact map; how well it can be approximated or trained
is what the experiment measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ddl_dyn.models.base import StepModel
from ddl_dyn.tasks.base import Task

TheoryVerdict = Literal["possible", "impossible", "possible, expected hard", "no claim"]
OBSTRUCTIONS = ("none", "orientation_reversing", "non_injective", "isolated_cycle", "one_dimensional_nonmonotone")
DYNAMICS = ("map", "flow", "invertible", "recurrent", "floor", "oracle")

LIOUVILLE = "Liouville's formula: Arnold (1992), Ordinary Differential Equations, section 16"
AUGMENTED = "Dupont, Doucet & Teh (2019), Augmented Neural ODEs, arXiv 1904.01681"
EMBEDDING = "Zhang, Gao, Unterman & Arodz (2020), Approximation capabilities of neural ODEs, arXiv 1907.12998"
INVERTIBLE = "Behrmann et al. (2019), Invertible Residual Networks, arXiv 1811.00995"
DELTA = "Deep Delta Learning (2026), arXiv 2601.00417"
BANACH = "Banach's fixed-point theorem, as in Behrmann et al. (2019), arXiv 1811.00995"
CARTAN = "Cartan–Dieudonné theorem: Gallier (2011), Geometric Methods and Applications, chapter 8"

# A step x + h Φ(x) of a fixed-step solver is 1-to-1 and keeps orientation while Lip(hΦ) < 1. With z = h Lip F that is
# z for Euler, z(1 + z/2) for the midpoint rule and z(1 + z + z²/3 + z³/24) for torchdiffeq's rk4 (Kutta's 3/8 rule):
# below these z no field can fold or reflect. A learned field has no bound, so no number of steps rules it out.
STEEPEST = {"euler": 1.0, "midpoint": 0.732, "rk4": 0.585}


@dataclass(frozen=True)
class Prediction:
    """A verdict, the theorem behind it in one sentence, its source, and the space it is claimed for."""

    verdict: TheoryVerdict
    reason: str
    source: str
    scope: str


def predict(
    obstruction: str,
    state_dim: int,
    *,
    dynamics: str,
    options: Mapping[str, object],
    lifted_dim: int | None = None,
    recurrent: bool = False,
    rank: int | None = None,
) -> Prediction:
    """Predict from a task's label and a model's class and options that the model can or cannot represent the map.

    Args:
        obstruction: the task's label.
        state_dim: D.
        dynamics: the model's class: "map", "flow", "invertible", "recurrent", "floor" or "oracle".
        options: the model's options: lift, carry, and where it has them layers, sharing, time_dependent, solver,
            substeps, rtol, rewrite, gate, gate_max, beta0, generator, directions, order, normalize_direction. A flow
            without a solver is exact.
        lifted_dim: H, with augmentation; None means H = D.
        recurrent: the task's orbits keep moving (cycles, rotations, chaos) instead of settling on fixed points.
        rank: rank(R − I) of a linear task R, where it is one.
    Raises:
        ValueError: for an unknown label or class.
    """
    if obstruction not in OBSTRUCTIONS:
        raise ValueError(f"obstruction must be one of {', '.join(OBSTRUCTIONS)}, got {obstruction!r}")
    if dynamics not in DYNAMICS:
        raise ValueError(f"dynamics must be one of {', '.join(DYNAMICS)}, got {dynamics!r}")
    lifted = state_dim if lifted_dim is None else lifted_dim
    identity = options.get("lift", "linear") == "identity" and lifted == state_dim
    scope = f"the observed state, D = {state_dim}" if identity else f"{lifted} lifted dimensions for D = {state_dim}"
    if dynamics == "floor":
        return Prediction("no claim", "A floor is a yardstick, not a candidate.", "-", scope)
    if dynamics == "oracle":
        return Prediction("possible", "It is the exact map.", "-", scope)
    if identity:
        verdict, reason, source = _on_the_state_itself(obstruction, state_dim, dynamics, options, recurrent, rank)
    else:
        verdict, reason, source = _through_a_lift(obstruction, state_dim, lifted, dynamics, options)
    return Prediction(verdict, reason, source, scope)


def predict_for(task: Task, model: StepModel) -> Prediction:
    """`predict` from the label of a task and the class and options of a model."""
    # A memory is no part of the space in which a recurrent step is claimed to be general.
    lifted = int(model.latent_dim if model.claim == "recurrent" else model.carried_dim)
    return predict(
        task.obstruction,
        task.state_dim,
        dynamics=model.claim,
        options=model.config.model_dump(),
        lifted_dim=lifted,
    )


def _on_the_state_itself(
    obstruction: str, dim: int, dynamics: str, options: Mapping[str, Any], recurrent: bool, rank: int | None
) -> tuple[TheoryVerdict, str, str]:
    if dynamics == "flow":
        return _flow(obstruction, dim, options)
    if dynamics == "invertible":
        return _invertible(obstruction, dim)
    if dynamics == "map" and options.get("rewrite") == "erase":
        limited = _erase_only(obstruction, options, recurrent)
        if limited is not None:
            return limited
    if rank is not None and options.get("generator") in ("constant", "input"):
        rewrites = int(options.get("layers", 1)) * int(options.get("directions", 1))
        if rewrites < rank:
            reason = (
                f"Each rewrite with a constant direction changes the Jacobian by a matrix of rank one, and {rewrites} "
                f"of them cannot make rank(R − I) = {rank}."
            )
            return "impossible", reason, CARTAN
    if dynamics == "recurrent":
        return "possible", "A recurrent step with a carried hidden state is a general map.", "-"
    return "possible", "A residual map without a Lipschitz bound may fold, flip and reflect.", INVERTIBLE


def _flow(obstruction: str, dim: int, options: Mapping[str, Any]) -> tuple[TheoryVerdict, str, str]:
    """Verdict on the flow of a field, softened where its solver need not follow it."""
    verdict, reason, source = _exact_flow(obstruction, dim, options)
    solver = options.get("solver")
    if verdict != "impossible" or solver is None:
        return verdict, reason, source
    if solver not in STEEPEST:
        return verdict, f"{reason} ({solver} follows the flow to rtol = {options['rtol']:g}.)", source
    layers = int(options.get("layers", 1)) if options.get("sharing") != "untied" else 1
    steps = int(options.get("substeps", 1)) * layers
    taken = f"{steps} {solver} step{'s' if steps > 1 else ''} a sampling interval"
    reason = (
        f"Impossible for the exact flow, possible in principle by discretisation: {taken} can fold or reflect, though "
        f"only where Lip F exceeds {STEEPEST[solver] * steps:.3g} an interval. {reason}"
    )
    return "possible, expected hard", reason, BANACH


def _exact_flow(obstruction: str, dim: int, options: Mapping[str, Any]) -> tuple[TheoryVerdict, str, str]:
    autonomous = int(options.get("layers", 1)) == 1 and not options.get("time_dependent", False)
    if obstruction == "orientation_reversing":
        return "impossible", "The Jacobian of a flow map has determinant exp(∫ tr ∂f/∂x dt) > 0.", LIOUVILLE
    if obstruction == "non_injective":
        return (
            "impossible",
            "Trajectories of an ordinary differential equation never merge: flow maps are 1-to-1.",
            (AUGMENTED),
        )
    if obstruction == "one_dimensional_nonmonotone" or (obstruction == "isolated_cycle" and dim == 1):
        return "impossible", "Trajectories on a line keep their order, so a flow map on it increases.", AUGMENTED
    if obstruction == "isolated_cycle" and autonomous:
        reason = "A point of an n-cycle, n ≥ 2, of an autonomous flow map lies on a whole closed curve of such points."
        return "impossible", reason, AUGMENTED
    if obstruction == "isolated_cycle":
        return (
            "possible, expected hard",
            "Only a field that changes in time has isolated cycles of its flow map.",
            (EMBEDDING),
        )
    return "possible", "The map is the flow of some vector field, or no obstruction to one is known.", EMBEDDING


def _invertible(obstruction: str, dim: int) -> tuple[TheoryVerdict, str, str]:
    if obstruction == "orientation_reversing":
        reason = "det(I + sJ_F) never vanishes for 0 ≤ s ≤ 1 when Lip F < 1, so it stays positive as at s = 0."
        return "impossible", reason, INVERTIBLE
    if obstruction == "non_injective":
        return "impossible", "x + F(x) with Lip F < 1 is 1-to-1 by Banach's fixed-point theorem.", INVERTIBLE
    if obstruction == "one_dimensional_nonmonotone" or (obstruction == "isolated_cycle" and dim == 1):
        return "impossible", "On a line x + F(x) with |F'| < 1 increases.", INVERTIBLE
    return "possible", "Compositions of such layers have isolated cycles and no known obstruction here.", EMBEDDING


def _erase_only(obstruction: str, options: Mapping[str, Any], recurrent: bool) -> tuple[TheoryVerdict, str, str] | None:
    """Limits of x⁺ = x − β k (kᵀx) for whatever unit k(x) and β(x); None where none applies."""
    if options.get("order") == "simultaneous" or not options.get("normalize_direction", True):
        # A sum of rewrites, and one along a longer vector, may reflect and lengthen with any β.
        return None
    fixed = options.get("gate") == "fixed"
    upper = float(options.get("beta0", 0.0) if fixed else options.get("gate_max", 2.0))
    # A learned gate never reaches its upper end; a fixed one is at it.
    below_one = upper < 1.0 or (upper == 1.0 and not fixed)
    below_two = upper < 2.0 or not fixed
    if obstruction == "orientation_reversing" and below_one:
        reason = "Erasing alone fixes the origin with derivative Π(I − βkkᵀ), of determinant Π(1 − β) > 0 when β < 1."
        return "impossible", reason, DELTA
    if below_two and (recurrent or obstruction == "isolated_cycle"):
        reason = (
            "|x⁺|² = |x|² − β(2 − β)(kᵀx)²: with 0 < β < 2 the norm falls at every state that moves, so no orbit "
            "returns."
        )
        return "impossible", reason, DELTA
    if obstruction == "non_injective" and below_one and options.get("generator") == "constant" and fixed:
        return "impossible", "A constant shortcut with β < 1 is an invertible matrix.", DELTA
    return None


def _through_a_lift(
    obstruction: str, dim: int, lifted: int, dynamics: str, options: Mapping[str, object]
) -> tuple[TheoryVerdict, str, str]:
    observed = options.get("carry", "observed") == "observed"
    if lifted < dim and obstruction == "orientation_reversing" and observed:
        return "impossible", f"A map through {lifted} < {dim} dimensions has det J = 0 everywhere.", "-"
    if dynamics not in ("flow", "invertible") or obstruction == "none":
        return "possible", "The lifted step is a general map, or no obstruction is known.", EMBEDDING
    if lifted <= dim and not observed:
        verdict, reason, source = (
            _flow(obstruction, dim, options) if dynamics == "flow" else _invertible(obstruction, dim)
        )
        return verdict, f"The linear read-out conjugates the observed map to the latent one. {reason}", source
    if lifted <= dim:
        if obstruction in ("non_injective", "one_dimensional_nonmonotone"):
            return (
                "impossible",
                "Invertible lift, step and read-out of one dimension compose to a 1-to-1 map.",
                AUGMENTED,
            )
        reason = "The linear lift and read-out are part of every step and may turn space over once each."
        return "possible", reason, EMBEDDING
    if observed:
        reason = f"With {lifted} > {dim} dimensions the linear lift and read-out of every step may fold and reflect."
        return "possible", reason, EMBEDDING
    reason = f"{lifted} > {dim} dimensions leave room to turn by π or to pass over a fold; training must find it."
    return "possible, expected hard", reason, EMBEDDING
