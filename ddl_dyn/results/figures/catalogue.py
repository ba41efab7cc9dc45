"""Every figure that a finished run can have: those of its stored arrays, and those that need the trained map.

Axes: R replicas, N trajectories, T steps, D observed state.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ddl_dyn import plots
from ddl_dyn.experiments.setup import restore_setup
from ddl_dyn.results.figures import from_arrays
from ddl_dyn.results.figures.from_arrays import FIGURES, Scene
from ddl_dyn.results.figures.from_arrays_more import STORED
from ddl_dyn.results.figures.from_map import REBUILT
from ddl_dyn.results.figures.stage import Stage
from ddl_dyn.results.inspection.rebuild import CODES, Suited, Unsuitable
from ddl_dyn.runs import Run

ANIMATION = "animation"
MEANINGS: dict[str, str] = {
    "portrait": "phase portrait with the step field and fixed points",
    "portrait_3d": "phase portrait in three dimensions, as projections",
    "cobweb": "cobweb of a one-dimensional map",
    "trajectories": "components against time, with the seeds' band",
    "gates": "gate β over the phase plane",
    "eigenvalues": "layer spectra on the unit circle",
    "error": "error against horizon, with floors and Lyapunov slopes",
    "training": "training curves",
    "tracking": "state-tracking accuracy at every length",
    "nullclines": "where each component stays put",
    "recurrence": "recurrence plot of one run",
    "survival": "Kaplan–Meier curve of valid prediction times",
    "gate_time": "gate β over depth and time",
    "discrepancy": "share of the discrepancy that each rewrite spends",
    "forming": "the map at checkpoints of training (keep_portraits=K)",
    "directions": "directions k as a headless line field",
    "depth": "a grid of states after each layer",
    "growth": "singular values and gradient norms through the steps",
    "defects": "defects of symmetries and invariants",
    "drift": "drift of invariants along free runs",
    "basins": "basins of attraction in the plane, or a slice",
    "poincare": "Poincaré section of a flow",
    "spectra": "power spectra of long runs",
    "return_map": "successive maxima, or successive states of a map",
    "bifurcation": "orbit diagram of a family",
    ANIMATION: "a free run in the phase plane, as a GIF",
}


def draw(run: Run, what: Sequence[str] | None, folder: Path) -> list[Path]:
    """Write figures of a finished run; the paths written.

    Args:
        run: a completed run.
        what: names from `MEANINGS`, or `all`; by default those drawn from stored arrays at the end of a run.
        folder: where to.
    Raises:
        ValueError: for an unknown name, an unfinished run, or a figure asked for by name that means nothing here.
    """
    if what is None:
        return from_arrays.draw(run, None, folder)
    names = list(MEANINGS) if list(what) == ["all"] else list(what)
    _check(names)
    if all(name in FIGURES and name not in REBUILT for name in names):
        return from_arrays.draw(run, names, folder)
    from_arrays.check_drawable(run)
    paths: list[Path] = []
    for name, make in _makers(run):
        if name not in names:
            continue
        try:
            paths += make(folder)
        except Unsuitable as reason:
            if names != list(MEANINGS):
                raise ValueError(f"run {run.id} ({Scene(run).title}) has no {name}: {reason}") from reason
    return paths


def available(run: Run) -> Iterator[tuple[str, str, str]]:
    """(name, meaning, why not) of every figure; the last is empty where the run has it."""
    from_arrays.check_drawable(run)
    for name, make in _makers(run, dry=True):
        try:
            make(None)
            yield name, MEANINGS[name], ""
        except Suited:
            yield name, MEANINGS[name], ""
        except Unsuitable as reason:
            yield name, MEANINGS[name], str(reason)


def _makers(run: Run, *, dry: bool = False) -> Iterator[tuple[str, Callable[[Path | None], list[Path]]]]:
    """(name, writer) of every figure in order; a writer given no folder keeps nothing."""
    scene = Scene(run)
    stages: list[Stage] = []

    def stage() -> Stage:
        # Making the run whole simulates its data anew: once, and only for what needs it.
        if not stages:
            stages.append(Stage(restore_setup(run), dry=dry))
        return stages[0]

    def keep(name: str, figure: Any, folder: Path | None) -> list[Path]:
        if figure is None:
            raise Unsuitable("its task or model has none")
        return [] if folder is None else [*plots.save(figure, folder / name)]

    for name in MEANINGS:
        if name in FIGURES and name not in REBUILT:
            yield name, lambda folder, name=name: keep(name, FIGURES[name](scene), folder)  # type: ignore[misc]
        elif name in STORED:
            yield name, lambda folder, name=name: keep(name, STORED[name](scene), folder)  # type: ignore[misc]
        elif name in REBUILT:
            yield name, lambda folder, name=name: keep(name, REBUILT[name](stage()), folder)  # type: ignore[misc]
        else:
            yield name, lambda folder: _animate(scene, folder)


def _animate(scene: Scene, folder: Path | None) -> list[Path]:
    if scene.true.shape[-1] < 2 or scene.categorical:
        raise Unsuitable(CODES if scene.categorical else "a phase plane needs two components")
    if folder is None:
        return []
    path = plots.orbit_animation(
        folder / ANIMATION,
        scene.true[0, :, :2],
        {scene.model: scene.pred[0, 0, :, :2]},
        kind=scene.kind,
        state_names=scene.names[:2],
        title=scene.title,
    )
    return [path]


def _check(names: Sequence[str]) -> None:
    for name in names:
        if name not in MEANINGS:
            near = difflib.get_close_matches(name, MEANINGS, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"unknown figure {name!r}{hint}; there are {', '.join(MEANINGS)}, all and list")
