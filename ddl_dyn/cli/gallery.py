"""The gallery of tasks: one small portrait each, and docs/tasks.md that shows them all.

Axes: N trajectories, T steps, D state components.
"""

from __future__ import annotations

import html
import inspect
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ddl_dyn.cli.facts import obstruction_of, required_parameters, size_and_time
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots import task_portrait
from ddl_dyn.tasks import TASKS, FlowTask, MapTask, Task, make_task
from ddl_dyn.tasks.exponents import ChaoticFlow
from ddl_dyn.tasks.flows.dysts import Dysts
from ddl_dyn.tasks.series.bundled import DATA

_DPI = 100
# Orbits that `task_portrait` tells apart by colour.
_DRAWN = 6

# Parameters for tasks that cannot be built without any.
EXAMPLES: dict[str, dict[str, Any]] = {"observed": {"path": str(DATA / "sunspots_yearly.csv")}}


@dataclass(frozen=True, kw_only=True)
class View:
    """Choice of what a task's portrait shows.

    Args:
        trajectories: N drawn.   steps: T drawn; None follows the time scale.
        components: which of the state are drawn; None draws all.
        kind: "flow" joins the samples, "map" leaves them points, "return" draws x[t+1] against x[t]; None follows the
            task.
        angles: names of the angles whose cosine and sine the state lists in turn; empty where it holds none.
        params: of the task, for a finer picture.
    """

    trajectories: int | None = None
    steps: int | None = None
    components: tuple[int, ...] | None = None
    kind: Literal["flow", "map", "return"] | None = None
    angles: tuple[str, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)


VIEWS: dict[str, View] = {
    "torus": View(trajectories=1, steps=350, components=(0, 2)),
    "kuramoto": View(components=tuple(range(16)), steps=200),
    "spring_chain": View(components=tuple(range(8)), steps=400),
    "chirp": View(trajectories=1, components=(0,), kind="flow", steps=600),
    "beating": View(trajectories=1, components=(0,), kind="flow", steps=400),
    "overshoot": View(trajectories=3, components=(0,), kind="flow", steps=250),
    "lorenz63": View(steps=700),
    "ueda": View(trajectories=1, steps=2000, components=(0, 1)),
    "duffing": View(trajectories=1, steps=2000, components=(0, 1)),
    "lorenz96": View(steps=1000),
    "henon_heiles": View(trajectories=1, steps=2000, components=(0, 1)),
    "mackey_glass": View(trajectories=1, steps=1000, components=(0, 24)),
    "van_der_pol_family": View(trajectories=4, steps=400, kind="flow"),
    "lorenz63_family": View(trajectories=2, steps=350, kind="flow"),
    "logistic_family": View(trajectories=2, steps=40, kind="map"),
    "bouncing_ball_family": View(trajectories=2, steps=200, components=(0,), kind="flow"),
    "standard_map": View(trajectories=6, steps=800, angles=("theta", "p")),
    "bouncing_ball_impacts": View(components=(0,), kind="return"),
    "flip": View(steps=12),
    "mirror": View(trajectories=6, steps=1, kind="flow"),
    "twisted_mirror": View(trajectories=6, steps=1, kind="flow"),
    "grover": View(steps=50),
    "kaczmarz": View(steps=30, kind="flow", params={"d": 2}),
    "overwrite": View(trajectories=6, steps=1, kind="flow", params={"d": 2}),
    "bouncing_ball": View(trajectories=2, steps=200, components=(0,), kind="flow"),
    "billiard": View(trajectories=1, steps=2500, components=(0, 1), kind="flow", params={"dt": 0.02}),
    "billiard_collisions": View(trajectories=1, steps=60, components=(0, 1)),
    "billiard_d": View(trajectories=1, steps=1500, components=(0, 1, 2), kind="flow", params={"dt": 0.02}),
    "hard_spheres": View(trajectories=1, steps=2000, components=(0, 1), kind="flow", params={"dt": 0.01}),
    "householder_chain": View(trajectories=6, steps=200, components=(0, 1)),
    "permutation_map": View(steps=12),
    "sunspots": View(trajectories=1, steps=140, components=(0,), kind="flow"),
    "ecg": View(trajectories=1, steps=1440, components=(0,), kind="flow"),
    "observed": View(trajectories=1, steps=140, components=(0, 1), kind="flow"),
}


def portrait_of_task(name: str, **params: Any) -> Any:
    """The portrait of a task at its defaults, from true trajectories of its training split.

    Args:
        name: a key of `tasks.TASKS`, or `path/to/file.py:Class`.
        params: of the task, in place of its defaults.
    Returns:
        The figure.
    Raises:
        ValueError: for an unknown name, or a task that needs a parameter.
    """
    view = VIEWS.get(name, View())
    task = make_task(name, **EXAMPLES.get(name, {}), **view.params, **params)
    n, steps = view.trajectories or _count(task), view.steps or _steps(task)
    # An observed series wants a window of every split.
    rest = 1 if task.recorded else 0
    splits, _ = task.make_splits({"train": n, "val": rest, "test": rest, "ood": 0}, steps, seed=0)
    shown = splits["train"]
    assert shown is not None
    times, (states, names) = shown.times, _shown(task, shown.states, view)
    kind = view.kind or ("flow" if isinstance(task, FlowTask) else "map")
    if kind == "return" or (view.kind is None and kind == "map" and states.shape[2] == 1):
        states = np.concatenate([states[:, :-1], states[:, 1:]], axis=2).reshape(_DRAWN, -1, 2)
        times = np.arange(states.shape[1], dtype=float)
        names, kind = (f"{names[0]}[t]", f"{names[0]}[t+1]"), "map"
    changed = ", ".join(f"{key} = {value}" for key, value in (view.params | params).items() if key != "dt")
    figure = task_portrait(
        times,
        states,
        kind="flow" if kind == "flow" else "map",
        state_names=names,
        state_kind=task.state_kind,
        time_unit=task.time_unit,
        title=name.rpartition(":")[2] + (f" ({changed})" if changed else ""),
    )
    if task.isotropic and states.shape[2] == 2:
        # Angles and circles are to be seen as such.
        figure.axes[0].set_aspect("equal")
    return figure


def _shown(task: Task, states: Array, view: View) -> tuple[Array, tuple[str, ...]]:
    if view.angles:
        angle = np.arctan2(states[..., 1::2], states[..., 0::2])
        return angle, view.angles
    chosen = range(task.state_dim) if view.components is None else view.components
    return states[..., list(chosen)], tuple(task.state_names[i] for i in chosen)


def _count(task: Task) -> int:
    if isinstance(task, ChaoticFlow | Dysts):
        return 1
    if task.state_dim == 1:
        # Many short orbits show the whole graph of a line map, one long orbit its attractor alone.
        return 10 * _DRAWN
    return _DRAWN if isinstance(task, MapTask) else 4


def _steps(task: Task) -> int:
    if task.state_kind == "categorical":
        return 24
    if not isinstance(task, FlowTask):
        # A chaotic map needs many points to show its attractor; one with a period repeats them.
        return {1: 12, 2: 500}.get(task.state_dim, 60) if task.family == "map" else 60
    turns = 25 if isinstance(task, ChaoticFlow | Dysts) else 3
    return int(np.clip(turns * task.timescale / task.dt, 60, 3000))


def drawn_tasks() -> list[str]:
    """Names of the registry that the gallery shows: all but the systems of another package."""
    return [name for name, cls in TASKS.items() if not required_parameters(cls) or name in EXAMPLES]


def write_gallery(folder: Path) -> Iterator[Path]:
    """Write `tasks.md` and `figures/tasks/NAME.png` for every task of the registry; yields each path when written."""
    figures = folder / "figures" / "tasks"
    figures.mkdir(parents=True, exist_ok=True)
    for name in drawn_tasks():
        yield write_portrait(name, figures / f"{name}.png")
    page = folder / "tasks.md"
    page.write_text(page_text(drawn_tasks()), encoding="utf-8")
    yield page


def write_portrait(name: str, path: Path) -> Path:
    """Write one task's portrait as PNG; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # No version in the file: it is the same bytes wherever the same picture is drawn.
    portrait_of_task(name).savefig(path, dpi=_DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})
    return path


PREAMBLE = """\
# Tasks

The tasks of the suite with their portraits, drawn from reference trajectories of the training split at the default
parameters, or those its title names. White squares are initial states; a line map is shown as x[t+1] against x[t], a
one-hot code as a black cell a token, and three dimensions in perspective, nearer strokes darker.
`ddl-dyn tasks NAME` prints a task's full datasheet; `task_args.NAME=VALUE` sets a parameter.

Where a map cannot be the time-dt map of a flow in its own state space, the obstruction says why; a model whose step is
a flow then needs a lift. Time scales are periods, relaxation times or Lyapunov times.

This page is written by `ddl-dyn tasks --gallery docs`; do not edit it.
"""


DYSTS = """\
## Systems of the package dysts

`task=dysts task_args.system=Chen` takes a system of [dysts](https://github.com/GilpinLab/dysts) by its name there, in
an environment with the extra `dysts` (it wants pandas 2). Its right-hand side and parameters are the package's, the
integration is ours. `ddl-dyn tasks --dysts` lists the systems, with the reason where one is no task (delay equations,
right-hand sides that jump or depend on time itself, states that grow without bound); `ddl-dyn tasks --dysts Chen`
prints parameters, time scale, stored exponents and source. An angle that grows without bound is carried as its cosine
and sine.

The exponents that dysts stores come without errors and are to be taken with care. Of 19 systems drawn at random
(`python benchmarks/dysts_exponents.py`, 16 orbits over 30 periods, starts moved by up to a tenth of the attractor),
all ran end to end, and 13 have our largest exponent within three standard errors of one of the two stored values: 6 of
`maximum_lyapunov_estimated`, 8 of the first of `lyapunov_spectrum_estimated`, one of both. For the other six a second
way of ours, without tangents, agrees with the first within three standard errors of their difference:

| system | tangent QR | divergence of two orbits | stored maximum | stored spectrum |
|---|---|---|---|---|
| OscillatingFlow | 0.0935 ± 0.003 | 0.101 ± 0.003 | 0.135 | 0.427 |
| SprottS | 0.186 ± 0.006 | 0.196 ± 0.006 | 0.274 | 0.215 |
| YuWang | 1.44 ± 0.04 | 1.43 ± 0.03 | 1.85 | 2.46 |
| HyperRossler | 0.129 ± 0.01 | 0.120 ± 0.009 | 0.172 | 0.279 |
| HastingsPowell | 0.00698 ± 0.0002 | 0.00698 ± 0.0002 | 0.0125 | 0.00859 |
| HenonHeiles | 0.0137 ± 0.0007 | 0.0107 ± 0.001 | 0.0355 | 0.0268 |

Where volume is kept (HenonHeiles, OscillatingFlow) the exponent belongs to the orbit and not to the system, so that
other starts give other values; for the other four what is stored is off. Of the 13, the two ways disagree for Bouali2
alone (.023 ± .001 and .011 ± .002, from different starts), which is not explained.
"""


def page_text(names: Iterable[str]) -> str:
    """docs/tasks.md: one section a family, one row a task of those named."""
    built = {name: make_task(name, **EXAMPLES.get(name, {})) for name in names}
    parts = [PREAMBLE]
    for family in dict.fromkeys(task.family for task in built.values()):
        parts.append(f"## {family[:1].upper()}{family[1:]}\n")
        parts.append("| portrait | task | state | time scale | obstruction |\n|---|---|---|---|---|")
        parts += [_row(name, task) for name, task in built.items() if task.family == family]
        parts.append("")
    return "\n".join([*parts, DYSTS])


def _row(name: str, task: Task) -> str:
    title, equations = (inspect.getdoc(type(task)) or "").split("\n", 1)[0], task.equations
    what = f"**{name}**<br>{_cell(title)}<br>{_cell(equations)}<br><sub>{_cell(task.source)}</sub>"
    # The example's own dimension and time scale say nothing of another file.
    known, time = not required_parameters(type(task)), size_and_time(name, type(task))[1]
    state = _listed(task.state_names) + f"<br>D = {task.state_dim}" if known else "by the file"
    if task.input_dim:
        state += f"<br>U = {task.input_dim}"
    why = f"<br><sub>{_cell(task.obstruction_reason)}</sub>" if task.obstruction_reason else ""
    picture = f'<img src="figures/tasks/{name}.png" alt="{name}" width="220">'
    return f"| {picture} | {what} | {state} | {time} | {obstruction_of(task)}{why} |"


def _listed(names: tuple[str, ...]) -> str:
    shown = list(itertools.islice(names, 4))
    return _cell(", ".join([*shown, "…"] if len(names) > 4 else shown))


def _cell(text: str) -> str:
    """Text that neither Markdown nor HTML reads as its own."""
    escaped = html.escape(text, quote=False)
    for mark in "\\|*_[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped
