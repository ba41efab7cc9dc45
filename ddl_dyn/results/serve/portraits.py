"""Portraits of a map while it trains, from the states that training keeps to continue from."""

from __future__ import annotations

from dataclasses import dataclass

from ddl_dyn.runs import Run


@dataclass(frozen=True)
class FormingPortraits:
    """Placeholder."""

    def of(self, run: Run, status: str) -> None:
        """None yet."""
