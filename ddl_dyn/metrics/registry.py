"""The registry of metrics: key, title, unit, direction, format and horizon of every number that a run is judged by.

Terminal, page, figures and files take from here what they call a number and how they print it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ddl_dyn.config.formats import decimal, number, percent

Group = Literal["error", "starts", "words", "motion", "failure", "gates", "size", "cost", "accuracy"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: its place in a result, its name and its printed form.

    Args:
        path: dotted path in result.json (of `accuracy`: in analysis.json); `{split}` and `{horizon}` are filled in.
        horizons: keys of the evaluation's settings that say over how many steps it is taken; without one it is taken to
            the end of the test.
        group: the table that shows it.   title: its printed name.   help: its definition in a phrase.
        unit: printed in brackets behind the title.   scale: factor from the stored unit to the printed one.
        better: which values are good; "" where neither are.
        digits: significant ones.   share: printed in per cent.
        over_seeds: how the seeds' values become one.
    """

    path: str
    group: Group
    title: str
    horizons: tuple[str, ...] = ()
    help: str = ""
    unit: str = ""
    scale: float = 1.0
    better: Literal["lower", "higher", ""] = "lower"
    digits: int = 3
    share: bool = False
    over_seeds: Literal["median", "largest"] = "median"

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} [{self.unit}]" if self.unit else self.title

    def found_at(self, *, split: str = "", horizon: str = "") -> str:
        """The dotted path of one split (`test`, `ood`) and horizon (`short`, `long`)."""
        return self.path.format(split=split, horizon=horizon)

    def text(self, value: Any) -> str:
        """A value for the terminal and for files; empty where there is none, `failed` where it is infinite."""
        value = self._scaled(value)
        return percent(value) if self.share and value is not None else number(value, self.digits)

    def page(self, value: Any) -> str:
        """A value for a page; a dash where there is none, `failed` where it is infinite."""
        value = self._scaled(value)
        return percent(value) if self.share and value is not None else decimal(value, self.digits)

    def _scaled(self, value: Any) -> Any:
        return value if value is None or self.scale == 1.0 else value * self.scale


METRICS: dict[str, Metric] = {
    "nrmse": Metric(
        path="{split}.nrmse_{horizon}",
        group="error",
        title="NRMSE",
        horizons=("short", "long"),
        help="root mean square error of free runs, pooled over starts, in units of the training standard deviation; "
        "about 1 for a mean forecast, about 1.41 for an independent copy of the motion",
    ),
    "start_median": Metric(
        path="{split}.start_median_{horizon}",
        group="starts",
        title="median over starts",
        horizons=("short", "long"),
        help="median over starts (initial states) of each start's NRMSE",
    ),
    "start_beyond": Metric(
        path="{split}.start_beyond_{horizon}",
        group="starts",
        title="starts beyond the threshold",
        horizons=("short", "long"),
        help="share of starts whose NRMSE exceeds eval.threshold",
        share=True,
    ),
    "token_error": Metric(
        path="{split}.token_error_{horizon}",
        group="words",
        title="token error",
        horizons=("short", "long"),
        help="share of tokens after which the state is wrong, 1 − token accuracy; 1 − 1/C for guessing among C states",
    ),
    "accuracy_trained": Metric(
        path="tracking.accuracy_trained",
        group="words",
        title="token accuracy",
        help="share of words whose state is right at the longest length trained on",
        better="higher",
        share=True,
    ),
    "accuracy_longest": Metric(
        path="tracking.accuracy_longest",
        group="words",
        title="token accuracy",
        help="share of words whose state is right at the longest length tested",
        better="higher",
        share=True,
    ),
    "vpt": Metric(
        path="{split}.vpt",
        group="motion",
        title="valid prediction time",
        help="time until the error exceeds the threshold, in the task's time scale",
        better="higher",
    ),
    "vpt_censored": Metric(
        path="{split}.vpt_censored",
        group="motion",
        title="not yet exceeded",
        help="share of free runs still below the threshold at the end of the test",
        better="higher",
        share=True,
    ),
    "period_error": Metric(
        path="{split}.period_error", group="motion", title="period error", help="relative error of the period"
    ),
    "amplitude_error": Metric(
        path="{split}.amplitude_error", group="motion", title="amplitude error", help="relative error of the amplitude"
    ),
    "diverged": Metric(path="{split}.diverged", group="failure", title="free runs left the finite range", share=True),
    "solver_failed": Metric(path="{split}.solver_failed", group="failure", title="the solver gave up", share=True),
    "reversing": Metric(
        path="gates.reversing",
        group="gates",
        title="rewrites with β > 1",
        help="per step, mean over the states visited",
        better="",
    ),
    "effective_reflections": Metric(
        path="gates.effective_reflections",
        group="gates",
        title="effective reflections",
        help="Σ max(0, β − 1) per step: a full reflection counts 1",
        better="",
    ),
    "law_error": Metric(
        path="gates.law_error",
        group="gates",
        title="max |e⁺ − (1 − β) e|",
        help="how far the trained layers break the law of the discrepancy",
        over_seeds="largest",
    ),
    "length_error": Metric(
        path="gates.length_error",
        group="gates",
        title="max |‖k‖ − 1|",
        help="how far the directions are from unit length",
        over_seeds="largest",
    ),
    "latent_dim": Metric(
        path="latent_dim", group="size", title="H", help="latent size: components of the latent state", better=""
    ),
    "parameters": Metric(
        path="parameters", group="cost", title="parameters", help="trainable numbers of one replica", better=""
    ),
    "flops_per_step": Metric(
        path="flops_per_step",
        group="cost",
        title="FLOPs per step",
        help="of one replica for one state and one sampling interval",
    ),
    "updates": Metric(path="training.updates", group="cost", title="updates", better=""),
    "seconds": Metric(
        path="training.seconds", group="cost", title="training", unit="s", help="wall-clock time for all seeds together"
    ),
    "milliseconds_per_update": Metric(
        path="training.milliseconds_per_update",
        group="cost",
        title="update",
        unit="ms",
        help="wall-clock time of one update of all seeds together",
    ),
    "milliseconds_per_step": Metric(
        path="milliseconds_per_step",
        group="cost",
        title="step",
        unit="ms",
        help="wall-clock time of one free-run step of all seeds on one batch",
    ),
    "memory": Metric(
        path="training.peak_memory_bytes",
        group="cost",
        title="memory",
        unit="MiB",
        scale=2.0**-20,
        help="that training needed at its highest, beyond what was in use before",
    ),
    "evaluations": Metric(
        path="training.nfe_total",
        group="cost",
        title="evaluations",
        help="evaluations of the vector field by the solver, where there is one",
    ),
    "smape": Metric(path="accuracy.smape", group="accuracy", title="sMAPE", unit="0–200", digits=4),
    "mase": Metric(path="accuracy.mase", group="accuracy", title="MASE", digits=4),
    "phase_drift": Metric(
        path="accuracy.phase_drift", group="accuracy", title="phase drift", unit="rad/time scale", digits=4
    ),
    "turning_timing": Metric(
        path="accuracy.turning_timing", group="accuracy", title="turning points off by", unit="time scales", digits=4
    ),
}
# The error that models are compared by, and the one where states are one-hot codes, whose distances say nothing.
PRIMARY, PRIMARY_OF_WORDS = METRICS["nrmse"], METRICS["token_error"]


def in_group(group: Group) -> Iterable[tuple[str, Metric]]:
    """Names and metrics of one table, in the order of its columns."""
    return ((name, metric) for name, metric in METRICS.items() if metric.group == group)
