"""The registry of a run's figures: each is registered once, where it is drawn.

Modules of `stored/` draw from a run's arrays alone, those of `trained/` also from its trained map, which brings torch
along. Whatever lies there is found: a new figure is one function under `@figure` in one file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ddl_dyn.plots import style
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.run_view import RunView

Needs = Literal["stored", "trained"]
Predicate = Callable[[RunView], str]
Build = Callable[..., Drawing]


@dataclass(frozen=True, kw_only=True)
class RunFigure:
    """One kind of figure that a finished run can have.

    Args:
        name: on the command line, and of the file.   shows: in a phrase, for lists.   alt: what stands for it where it
            cannot be seen.
        needs: the run's stored arrays, or its trained map.
        by_default: drawn where no figure is named, and on a report's page if it needs stored arrays alone.
        together: takes several runs side by side; on a page, all models of a task.
        instead_of: another figure, which a page leaves out where it has this one.
        unless: why it means nothing for a run; "" where it does.
        build: makes the figure, or an animation, of a view (of several where `together`).
    """

    name: str
    shows: str
    alt: str
    needs: Needs
    by_default: bool
    together: bool
    instead_of: str
    unless: Predicate
    build: Build

    def draw(self, *views: RunView) -> Drawing:
        """The figure of a run, or of several side by side.

        Args:
            views: one, or where `together` more.
        Raises:
            Unsuitable: when it turns out to mean nothing for the run.
        """
        with style.style():
            return self.build(*views)


FIGURES: dict[str, RunFigure] = {}


def never(_: RunView) -> str:
    """Predicate of a figure that every run has."""
    return ""


def figure(
    name: str,
    shows: str,
    *,
    alt: str = "",
    unless: Predicate = never,
    by_default: bool = False,
    together: bool = False,
    instead_of: str = "",
) -> Callable[[Build], Build]:
    """Register the function that draws a kind of figure.

    Args:
        name, shows, unless, by_default, together, instead_of: as of `RunFigure`.   alt: `shows` where it is left out.
    Raises:
        ValueError: when the name is taken.
    """

    def register(build: Build) -> Build:
        if name in FIGURES:
            raise ValueError(f"the figure {name!r} is registered twice")
        needs: Needs = "trained" if ".trained." in build.__module__ else "stored"
        FIGURES[name] = RunFigure(
            name=name, shows=shows, alt=alt or shows, needs=needs, by_default=by_default, together=together,
            instead_of=instead_of, unless=unless, build=build,
        )  # fmt: skip
        return build

    return register


def known_figures(needs: Needs = "trained") -> dict[str, RunFigure]:
    """Figures by name, those drawn by default first, then those of stored arrays.

    Args:
        needs: "stored" leaves out those of the trained map, and what they import.
    """
    for folder in ("stored", "trained") if needs == "trained" else ("stored",):
        _import_all(f"{__package__}.{folder}")
    found = [one for one in FIGURES.values() if needs == "trained" or one.needs == "stored"]
    return {one.name: one for one in sorted(found, key=lambda one: (not one.by_default, one.needs, one.name))}


def on_page(*, together: bool) -> list[RunFigure]:
    """Figures that a report shows, in the order in which they stand in their files.

    Args:
        together: those that take the models of a task side by side, or those of one run each.
    """
    shown = [one for one in known_figures("stored").values() if one.by_default and one.together is together]
    return sorted(shown, key=lambda one: (one.build.__module__, one.build.__code__.co_firstlineno))


def figures_side_by_side(view: RunView) -> list[RunFigure]:
    """Figures of a run that a report draws for all models of its task: those that mean something, none twice."""
    suited = [one for one in on_page(together=True) if not one.unless(view)]
    replaced = {one.instead_of for one in suited}
    return [one for one in suited if one.name not in replaced]


def _import_all(package: str) -> None:
    for module in _modules(package):
        importlib.import_module(module)


def _modules(package: str) -> Iterator[str]:
    found = importlib.import_module(package)
    return (f"{package}.{module.name}" for module in pkgutil.iter_modules(found.__path__))
