"""Correctness of a card: losses and gradients beside the processor's, kernels beside the ordinary code, waits.

Axes: R replicas, B batch, T steps, D state.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import torch

from benchmarks.throughput.cells import ROOT
from benchmarks.throughput.problem import Training
from ddl_dyn import Replicas, make_model
from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine import kernels
from ddl_dyn.models import MODELS
from ddl_dyn.training.trainer import Trainer

# Largest difference by the largest entry: sums of some hundred terms in another order, over a few steps.
LIMITS = {"float64": 1e-9, "float32": 1e-3}
# Updates whose waits are counted: past the end of a block of random numbers, which is the one transfer.
COUNTED = 70


def equalities(device: str, names: list[str]) -> list[dict[str, Any]]:
    """One row a model and precision: the largest relative difference of loss and gradient from the processor's.

    Args:
        device: "cuda" or "cpu".   names: of the models.
    """
    rows = []
    for name in names:
        for dtype, limit in LIMITS.items():
            expected, found = (_outcome(name, where, dtype) for where in ("cpu", device))
            off = max(
                float((a.cpu() - b).abs().max() / b.abs().max().clamp_min(1e-30))
                for a, b in zip(found, expected, strict=True)
            )
            rows.append({"model": name, "dtype": dtype, "difference": off, "right": off <= limit})
    return rows


def _outcome(name: str, device: str, dtype: str) -> tuple[torch.Tensor, torch.Tensor]:
    replicas = Replicas(lambda: make_model(name, state_dim=3), [0, 1])
    noise = torch.Generator().manual_seed(1)
    replicas.flat.add_(0.1 * torch.randn(replicas.flat.shape, generator=noise))
    replicas.to(device, getattr(torch, dtype))
    chance = torch.Generator().manual_seed(0)
    x0, target = (torch.randn(*shape, 3, generator=chance).to(replicas.flat) for shape in ((2, 16), (2, 16, 5)))
    return replicas.loss_and_gradient("mse", x0, x0.new_zeros(2, 16, 5, 0), target)


def kernel_faults(device: str) -> list[dict[str, Any]]:
    """One row a model that has kernels: what is wrong with them, or why they do not run here."""
    rows = []
    for name in ("ddl", "resnet"):
        for carry in ("observed", "latent"):
            model = make_model(name, state_dim=2, carry=carry)
            why = kernels.why_not(model, torch.device(device), torch.float32)
            fault = None
            if why is None:
                from ddl_dyn.engine.kernels.self_check import kernel_fault

                fault = kernel_fault(model, torch.device(device))
            rows.append({"model": name, "carry": carry, "not_run": why, "fault": fault})
    return rows


def waits(device: str, names: list[str]) -> list[dict[str, Any]]:
    """One row a model: how often the host waited in `COUNTED` updates of its training; None where there is no card."""
    states = np.sin(np.random.default_rng(0).uniform(0, 6, (8, 1, 3)) + 0.3 * np.arange(25)[None, :, None])
    series = Training.of(states)
    rows = []
    for name in names:
        replicas = Replicas(lambda name=name: make_model(name, state_dim=3), [0, 1]).to(device)  # type: ignore[misc]
        trainer = Trainer(replicas, series, series, TrainConfig(updates=10**6, horizon=5, batch=8, curriculum=False))
        for _ in range(5):
            trainer.step()
        rows.append({"model": name, "waits": _counted(trainer) if device == "cuda" else None})
    return rows


def _counted(trainer: Trainer) -> int:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for _ in range(COUNTED):
                trainer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(w.message) for w in caught)


def gpu_tests() -> dict[str, Any]:
    """Outcome of the project's tests that need a card: exit status and the last line."""
    # The folder's own settings ask for a plugin that a card's machine may lack.
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/engine", "tests/models", "tests/training"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    return {"status": done.returncode, "last": (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1]}


def trained_models(quick: bool) -> list[str]:
    """Models that are trained; a few of them for a quick look."""
    return ["ddl", "resnet", "lstm"] if quick else [name for name, cls in MODELS.items() if not cls.closed_form]
