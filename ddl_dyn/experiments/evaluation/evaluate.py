"""One finished model on one dataset: plain numbers, and the arrays that every figure needs.

Axes: R replicas, N trajectories, T steps, D observed state, E validations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.experiments.evaluation.free_runs import (
    errors,
    failure_shares,
    free_run,
    horizons,
    pooled_curve,
    score,
    shared_errors,
)
from ddl_dyn.experiments.evaluation.phase_space import describe_map
from ddl_dyn.experiments.evaluation.probes import gate_audit, theory_numbers, token_errors, word_tracking
from ddl_dyn.experiments.evaluation.radii import radius_numbers
from ddl_dyn.experiments.evaluation.windows import window_intervals
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.arrays import Array, Arrays
from ddl_dyn.models import make_model
from ddl_dyn.runs.result import FLOORS
from ddl_dyn.runs.stored_result import (
    EvaluationNumbers,
    FurtherScores,
    RunFacts,
    SpecialScores,
    SplitScores,
    SplitSize,
    TrainingCost,
)
from ddl_dyn.tasks.base import SPLITS
from ddl_dyn.tasks.dataset import Dataset
from ddl_dyn.tasks.trajectories import Trajectories
from ddl_dyn.training.budget import count_flops
from ddl_dyn.training.result import FitResult
from ddl_dyn.training.timing import milliseconds_per_step
from ddl_dyn.training.trainer import fit


@dataclass(frozen=True)
class Evaluation:
    """Numbers for tables and arrays for figures.

    Args:
        numbers: nested; a list has one entry per replica.   arrays: name -> array, states in physical units.
    """

    numbers: EvaluationNumbers
    arrays: Arrays


def evaluate(setup: Setup, result: FitResult) -> Evaluation:
    """Free runs on the test and out-of-distribution sets and at radii, errors and the floors', and the map's portrait.

    Args:
        setup: its replicas trained.   result: of `fit`.
    Returns:
        `Evaluation`; a free run that fails scores infinite errors, and its share is reported.
    """
    parts = [setup.of_data_set(g) for g in range(len(setup.data_sets))] if setup.others else [setup]
    categorical = setup.task.state_kind == "categorical"
    floors = [(part, fit_floors(part)) for part in parts] if setup.task.state_kind == "continuous" else []
    last = _last(setup, result)
    # Before the free runs, whose evaluations of the field are not training's.
    facts = _facts(setup, result)
    scores: dict[str, SplitScores] = {}
    further: FurtherScores = {}
    words: FurtherScores = {}
    arrays: Arrays = history_arrays(result) | {"sigma": setup.sigma, "dt": np.asarray(setup.task.dt)}
    for split in ("test", "ood"):
        truth = getattr(setup.data, split)
        if truth is None:
            continue
        steps = horizons(setup.config.eval, truth.steps)["long"]
        run = free_run(setup, truth, steps, failed=result.untrained)
        true = truth.states[:, : steps + 1]
        scores[split] = _scores(setup, run, true)
        if last is not None:
            pred = free_run(last, truth, steps, failed=result.untrained)["pred"]
            further.setdefault("last", {})[split] = errors(last, pred, true)
        arrays |= _run_arrays(split, setup, truth, run)
        for name in FLOORS if floors else ():
            preds = [(p, free_run(replace(p, replicas=fitted[name]), truth, steps)["pred"]) for p, fitted in floors]
            each = [score(part, pred, true) for part, pred in preds]
            further.setdefault("floors", {}).setdefault(name, {})[split] = shared_errors(each)
            curves = [pooled_curve(pred, true, part.sigma)[0] for part, pred in preds]
            arrays[f"{split}_nrmse_{name}"] = np.median(curves, axis=0)
    test = scores["test"]
    if categorical:
        words["tracking"], tracked = word_tracking(setup, _longest_window(setup, result))
        arrays |= tracked
    gates, audited = gate_audit(setup)
    described = describe_map(setup, chosen_replica(result))
    numbers: EvaluationNumbers = {
        **facts,
        "test": test,
        **further,
        "ood": scores.get("ood"),
        "radii": radius_numbers(setup, floors, result.untrained),
        "theory": theory_numbers(setup, test["token_error_short"] if categorical else test["nrmse_short"]),
        **words,
        "gates": gates,
        **described.numbers,
    }
    return Evaluation(numbers, arrays | audited | described.arrays)


def _facts(setup: Setup, result: FitResult) -> RunFacts:
    """Sizes, cost, training and data of a run."""
    replicas, data = setup.replicas, setup.data
    return {
        "parameters": replicas.count_parameters(),
        "latent_dim": replicas.template.latent_dim,
        "carried_dim": replicas.template.carried_dim,
        "flops_per_step": count_flops(replicas.model(0)),
        "milliseconds_per_step": milliseconds_per_step(replicas, setup.config.train.batch),
        "training": training_numbers(result, replicas),
        "data": {"trust_steps": int(data.trust_steps), "notes": _notes(setup), "splits": _sizes(data)},
    }


def _scores(setup: Setup, run: Arrays, true: Array) -> SplitScores:
    """Scores of a split's free runs against the truth (N, T+1, D) in physical units."""
    special: SpecialScores = {}
    if setup.task.state_kind == "categorical":
        tokens = token_errors(setup, run["pred"], true)
        special["token_error_short"] = tokens["token_error_short"]
        special["token_error_long"] = tokens["token_error_long"]
    if setup.task.recorded:
        special["windows"] = window_intervals(setup, run["pred"], true)
    return {**score(setup, run["pred"], true), **failure_shares(run["status"]), **special}


def _run_arrays(split: str, setup: Setup, truth: Trajectories, run: Arrays) -> Arrays:
    """Free runs of a split beside the truth, as figures need them."""
    pred = run["pred"]
    times, true = truth.times[: pred.shape[-2]], truth.states[:, : pred.shape[-2]]
    # Beyond single precision a forecast is infinite, and stored as that.
    with np.errstate(over="ignore"):
        found: Arrays = {"times": times, "true": true, "pred": pred.astype(np.float32), "status": run["status"]}
    found["nrmse"] = pooled_curve(pred, true, setup.sigma)
    return {f"{split}_{name}": values for name, values in found.items()}


def _notes(setup: Setup) -> list[str]:
    """Departures of the data and of the test's horizons from the request."""
    asked, notes = setup.config.eval, list(setup.data.notes)
    held = horizons(asked, setup.data.test.steps)
    for name, steps in (("short", held["short"]), ("long", held["long"])):
        if steps < getattr(asked, name):
            notes.append(f"test: free runs of {steps} steps instead of eval.{name} = {getattr(asked, name)}")
    return notes


def _sizes(data: Dataset) -> dict[str, SplitSize]:
    """Trajectories and steps of each split; a recorded series may give fewer than were asked for."""
    parts = {name: getattr(data, name) for name in SPLITS}
    return {name: {"trajectories": len(part), "steps": part.steps} for name, part in parts.items() if part is not None}


def _last(setup: Setup, result: FitResult) -> Setup | None:
    """The setup with the last checkpoint instead of the best; None where nothing was trained by updates."""
    if not result.updates:
        return None
    replicas = setup.replicas.select(range(setup.replicas.size))
    replicas.load_state_dict(result.last)
    return replace(setup, replicas=replicas)


def _longest_window(setup: Setup, result: FitResult) -> int:
    """Steps of the longest window that training saw; the whole training split where it was solved at once."""
    return max(row.horizon for row in result.history) if result.updates else setup.data.train.steps


def fit_floors(setup: Setup) -> dict[str, Replicas]:
    """The floors, solved on the training split of the same data."""
    train, val, task = setup.scaled("train"), setup.scaled("val"), setup.task
    shape: dict[str, Any] = {"state_dim": task.state_dim, "input_dim": task.input_dim, "dt": task.dt}
    found = {}
    for name in FLOORS:
        replicas = Replicas(lambda name=name: make_model(name, **shape, lift="identity"), [0])  # type: ignore[misc]
        replicas.to(dtype=torch.float64)
        fit(replicas, train, val, TrainConfig(updates=0, horizon=1, compile="off"))
        found[name] = replicas
    return found


def training_numbers(result: FitResult, replicas: Replicas) -> TrainingCost:
    """Cost and end of training, per replica where it differs."""
    return {
        "seconds": result.seconds,
        "updates": result.updates,
        "milliseconds_per_update": 1e3 * result.history[-1].seconds / result.updates if result.updates else 0.0,
        "peak_memory_bytes": result.peak_memory_bytes,
        "compiled": result.compiled,
        "best_val": [float(v) for v in result.best_val],
        "best_update": [int(v) for v in result.best_update],
        "diverged": [bool(v) for v in result.diverged],
        "failed_to_train": [bool(v) for v in result.failed_to_train],
        "nfe_total": int(getattr(replicas.model_on_call, "nfe", 0)),
    }


def history_arrays(result: FitResult) -> Arrays:
    """Training curves: history_update, _horizon and _lr (E,), history_loss and history_val (E, R)."""
    rows = result.history
    return {
        "history_update": np.array([p.update for p in rows]),
        "history_loss": np.array([p.loss for p in rows], dtype=np.float64),
        "history_val": np.array([p.val for p in rows], dtype=np.float64),
        "history_horizon": np.array([p.horizon for p in rows]),
        "history_lr": np.array([p.lr for p in rows]),
    }


def chosen_replica(result: FitResult) -> int:
    """The replica shown where only one can be: the one with the median validation error."""
    return int(np.argsort(result.best_val, kind="stable")[(len(result.best_val) - 1) // 2])
