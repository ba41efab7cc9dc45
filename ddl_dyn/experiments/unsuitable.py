"""Refusal of a question that means nothing for a run; light, so that asking needs no torch."""

from __future__ import annotations

# Why distances between states say nothing of a token task.
CODES = "the states are one-hot codes: see the tracking accuracy"


class Unsuitable(ValueError):  # noqa: N818  # an answer to a question
    """A question that means nothing for this run; the message says why."""
