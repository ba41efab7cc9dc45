"""Refusals of a question about a run."""

from __future__ import annotations

from ddl_dyn.experiments.setup import Unsuitable

__all__ = ["CODES", "Suited", "Unsuitable"]
# Why distances between states say nothing of a token task.
CODES = "the states are one-hot codes: see the tracking accuracy"


class Suited(Exception):  # noqa: N818  # an answer, not an error
    """Raised instead of drawing where the question is only whether a figure could be drawn."""
