"""A grid of runs: written down, each cell done once, on this machine or on a Ray cluster."""

from __future__ import annotations

from ddl_dyn.experiments.sweep.grid import Cell, SweepConfig, resolve_sweep
from ddl_dyn.experiments.sweep.record import Left, left_over
from ddl_dyn.experiments.sweep.sweep import sweep

__all__ = ["Cell", "Left", "SweepConfig", "left_over", "resolve_sweep", "sweep"]
