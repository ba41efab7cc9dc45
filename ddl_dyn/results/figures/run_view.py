"""View of a finished run for its figures: arrays, facts of its task, the replica that is shown, its trained map.

Axes: R replicas, N trajectories, T steps, D observed state, P grid points, G points a side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ddl_dyn.experiments.unsuitable import CODES, Unsuitable
from ddl_dyn.metrics.arrays import Array, Arrays
from ddl_dyn.runs import Run, read_json

if TYPE_CHECKING:
    from ddl_dyn.experiments.setup import Setup

# The trajectories that figures show.
SPLIT = "test"
# Written beside a run by `ddl-dyn analyse`.
ANALYSIS_FILE = "analysis.json"
# Steps of the long runs behind sections, spectra and return maps.
LONG = 2000


@dataclass(frozen=True)
class RunView:
    """View of a finished run for its figures.

    Args:
        run: a finished run.
        label: its name in a figure; that of its model where it is empty.
        stored_only: what would need the trained map is left out.
        narrow: drawn for a page, whose column may be a phone's: panels stand below one another.
        given: the setup with the trained replicas, to spare making it again.
        analysed: what `analyse` has found, in place of what lies beside the run.
    """

    run: Run
    label: str = ""
    stored_only: bool = False
    narrow: bool = False
    given: Setup | None = None
    analysed: Mapping[str, Any] | None = None

    @cached_property
    def setup(self) -> Setup:
        """The run's setup with its trained replicas; its data are simulated again."""
        # It brings torch along, which takes seconds, and most figures are drawn from stored arrays.
        from ddl_dyn.experiments.setup import restore_setup

        return self.given or restore_setup(self.run)

    @cached_property
    def long_runs(self) -> tuple[Array, Array]:
        """As `climate.long_runs`, the chosen replica first.

        Raises:
            Unsuitable: when there are none, or the truth has come to rest.
        """
        from ddl_dyn.results.inspection import climate

        pred, true = climate.long_runs(self.setup, LONG)
        if climate.at_rest(true):
            raise Unsuitable("the truth has come to rest before long")
        return pred[self.order], true

    @cached_property
    def analysis(self) -> Mapping[str, Any]:
        """Stored findings of `analyse`; empty for a run that was not analysed."""
        path = self.run.path / ANALYSIS_FILE
        return self.analysed or (read_json(path) if path.is_file() else {})

    @cached_property
    def spectrum(self) -> Mapping[str, Any] | None:
        """Lyapunov exponents as `dynamics.spectrum` gives them: as analysed, or worked out over as many steps."""
        if self.analysis or self.stored_only:
            return self.analysis.get("spectrum")
        from ddl_dyn.results.inspection import dynamics

        return None if self.setup.obstacle else dynamics.spectrum(self.setup)

    @cached_property
    def latent(self) -> Mapping[str, Any] | None:
        """The latent map as `latent.latent` gives it: as analysed, or worked out; None where there is none."""
        if "latent" in self.analysis or self.stored_only:
            return self.analysis.get("latent")
        from ddl_dyn.results.inspection import latent

        return None if self.no_latent else latent.latent(self.setup, LONG)

    @cached_property
    def no_latent(self) -> str:
        """Reason why `latent` is None, without working the map out; empty where there is one."""
        if "latent" in self.analysis:
            return ""
        if self.stored_only:
            unknown = "it was not analysed; `ddl-dyn analyse` measures its latent map"
            return str(self.analysis.get("skipped", {}).get("latent", unknown))
        from ddl_dyn.results.inspection import latent

        return latent.why_none(self.setup)

    @cached_property
    def arrays(self) -> Arrays:
        """Stored arrays by name."""
        return self.run.arrays

    @cached_property
    def task(self) -> dict[str, Any]:
        """Facts of the task that the drawing needs: state_names, kind, time_unit, isotropic."""
        resolved = self.run.entry.get("resolved")
        stored = resolved.get("task") if isinstance(resolved, dict) else None
        return stored if isinstance(stored, dict) else {}

    @property
    def model(self) -> str:
        """The run's name in a figure: its label, else its model's registry key."""
        return self.label or str(self.run.config["model"])

    @property
    def kind(self) -> Any:
        """`flow` or `map`."""
        return "map" if self.task.get("kind") == "map" else "flow"

    @property
    def categorical(self) -> bool:
        """True if the states are one-hot codes, of which only the largest component means anything."""
        return "tracking_accuracy" in self.arrays

    @property
    def codes(self) -> str:
        """Reason against distances between the states of a token task; empty for another task."""
        return CODES if self.categorical else ""

    @property
    def dim(self) -> int:
        """D."""
        return int(self.true.shape[-1])

    @property
    def sigma(self) -> Array:
        """σ (D,), or (R, D) with the chosen replica first where replicas have data sets of their own."""
        stored = self.arrays["sigma"]
        return stored[self.order] if stored.ndim > 1 else stored

    @property
    def time_unit(self) -> str:
        """Unit of time: the task's own, a step for a map without one, else "time"."""
        unit = str(self.task.get("time_unit", "time"))
        return "step" if unit == "time" and self.kind == "map" else unit

    @property
    def names(self) -> list[str]:
        """Names of the D components."""
        stored = self.task.get("state_names")
        known = [str(name) for name in stored] if isinstance(stored, list) else []
        dim = self.arrays[f"{SPLIT}_true"].shape[-1]
        return known if len(known) == dim else [f"x{i + 1}" for i in range(dim)]

    @property
    def title(self) -> str:
        """Model and task."""
        return f"{self.run.config['model']} on {self.run.config['task']}"

    @property
    def note(self) -> str:
        """The protocol, which is part of every claim."""
        options = self.run.config.get("model_args", {})
        return f"carry = {options.get('carry')}, lift = {options.get('lift')}; run {self.run.id}"

    @cached_property
    def chosen(self) -> int:
        """The replica shown strong: that with the median validation error."""
        return int(self.arrays.get("portrait_replica", np.asarray(0)))

    @property
    def order(self) -> list[int]:
        """The replicas, the chosen one first."""
        count = len(self.arrays[f"{SPLIT}_pred"])
        return [self.chosen, *(r for r in range(count) if r != self.chosen)]

    @cached_property
    def pred(self) -> Array:
        """(R, N, T+1, D) free runs, the chosen replica first."""
        return self.arrays[f"{SPLIT}_pred"][self.order]

    @property
    def true(self) -> Array:
        """(N, T+1, D)."""
        return self.arrays[f"{SPLIT}_true"]

    @property
    def plane_note(self) -> str:
        """The protocol, and where a plane lies in a space of more dimensions."""
        grid = self.arrays.get("portrait_grid", np.empty((0, 0)))
        if grid.shape[1] <= 2 or not len(grid):
            return self.note
        if grid.shape[1] > 5:
            return f"Plane through the training mean of the other {grid.shape[1] - 2} components. {self.note}"
        held = ", ".join(f"{name} = {value:.3g}" for name, value in zip(self.names[2:], grid[0, 2:], strict=True))
        return f"Plane {held}, the training mean. {self.note}"

    @property
    def field_note(self) -> str:
        """The protocol, where the plane lies, and the fixed points that a circle each could not show."""
        return f"{self._continuum}{self.plane_note}"

    @property
    def space_note(self) -> str:
        """The protocol, and the fixed points that a circle each could not show."""
        return f"{self._continuum}{self.note}"

    @property
    def _continuum(self) -> str:
        continuum = bool(self.arrays.get("fixed_points_continuum_true", False))
        return "The truth has a continuum of fixed points, not drawn. " if continuum else ""

    def square(self, values: Array) -> Array:
        """(P, …) on the portrait's plane as (G, G, …)."""
        side = round(len(values) ** 0.5)
        return values.reshape(side, side, *values.shape[1:])

    def fixed_points(self, suffix: str = "") -> list[tuple[Any, str]]:
        """Locations (D,) with their stability, of the chosen replica or (suffix `_true`) of the true map."""
        points = self.arrays.get(f"fixed_points{suffix}")
        if points is None:
            return []
        kinds = self.arrays[f"fixed_points_stability{suffix}"]
        owner = self.arrays[f"fixed_points_replica{suffix}"]
        mine = np.ones(len(points), dtype=bool) if suffix else owner == self.chosen
        return [(point, str(kind)) for point, kind in zip(points[mine], kinds[mine], strict=True)]

    @property
    def common(self) -> dict[str, Any]:
        """Title and note."""
        return {"title": self.title, "note": self.note}


def heading(views: tuple[RunView, ...], note: str = "") -> dict[str, Any]:
    """Title and note of runs drawn side by side: a single one's own, or which panel shows which run.

    Args:
        views: the runs.   note: of a single one in place of its own.
    """
    if len(views) == 1:
        return {"title": views[0].title, "note": note or views[0].note}
    runs = ", ".join(f"{view.model}: {view.run.id}" for view in views)
    return {"title": "", "note": f"Each panel: the replica with the median validation error. Runs {runs}"}
