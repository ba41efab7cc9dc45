"""Questions of the study: each is one sweep file or several, `q3.toml`, `q3_words.toml`, ….

Order of running: the questions that decide most come first. `models` is no question: it is the table of docs/models.md.
"""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

from ddl_dyn.experiments.sweep.config import SweepConfig
from ddl_dyn.experiments.sweep.grid import Cell, resolve_sweep

FOLDER = Path(__file__).resolve().parent
ORDER = ("q3", "q4", "q6", "q2", "q5", "q1", "q7", "models")


def files(question: str) -> list[Path]:
    """The sweep files of a question.

    Raises:
        ValueError: where there is none.
    """
    found = sorted(path for path in FOLDER.glob(f"{question}*.toml") if path.stem.split("_")[0] == question)
    if not found:
        raise ValueError(f"expected a question of the study ({', '.join(ORDER)}), got {question!r}")
    return found


@functools.cache
def sweeps(question: str) -> tuple[tuple[SweepConfig, list[Cell]], ...]:
    """Configuration and cells of each sweep file of a question; their data are checked when they are run."""
    return tuple(resolve_sweep(tomllib.loads(path.read_text(encoding="utf-8")), data=False) for path in files(question))
