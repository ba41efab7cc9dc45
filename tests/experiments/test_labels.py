"""Labels of printed numbers: horizon, seeds and coverage are those of the stored arrays, on all tasks and both carries.

Axes: R replicas, N starts, T steps, D components.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ddl_dyn.config.formats import percent
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.metrics.accuracy import nrmse
from ddl_dyn.metrics.decisions import attained_coverage
from ddl_dyn.metrics.starts import start_errors
from ddl_dyn.metrics.tracking import token_correct
from ddl_dyn.metrics.windows import window_overlap
from ddl_dyn.results import report
from ddl_dyn.results.comparison import records, terminal
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import Run, find_run
from ddl_dyn.tasks import TASKS
from ddl_dyn.tasks.series.bundled import DATA

# The long horizon is more than the windows of the sunspots' test segment have.
SHORT, LONG, HORIZON = 4, 40, 5
TINY: dict[str, Any] = {
    "seeds": 2,
    "data": {"n_train": 4, "n_val": 2, "n_test": 6, "n_ood": 2, "steps": LONG},
    "train": {"updates": 3, "horizon": HORIZON, "batch": 8, "validate_steps": 5, "compile": "off"},
    "eval": {"short": SHORT, "long": LONG, "bootstrap": 100},
}
PLACES = {"in": "test", "out of": "ood"}
NUMBER = r"(\S+) \((\S+) to (\S+) covers (\S+) %, (\d+) seeds\)"
# A share that is not quite nothing is printed as `< 1 %`.
SHARES = r"(.+) % \((.+) % to (.+) % covers (\S+) %, (\d+) seeds\)"


def trained(base: Path, task: str, model: str, carry: str) -> Run:
    own = {"path": str(DATA / "sunspots_yearly.csv")} if task == "observed" else {}
    options = {"carry": carry, "layers": 1, "hidden_dim": 4}
    name = f"{task}-{model}-{carry}"
    config = TINY | {"task": task, "task_args": own, "model": model, "model_args": options}
    run(resolve_run(config), Launch(base=base, options={"--id": name}))
    return find_run(name, base)


def value(text: str) -> float:
    return np.inf if text == "failed" else float(text)


class Labels:
    """Check of every claim in a run's printed lines against its stored arrays.

    Args:
        of: the run.
    """

    def __init__(self, of: Run) -> None:
        self.run, self.arrays = of, of.arrays
        self.told: list[str] = []

    def split(self, place: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return tuple(self.arrays[name] for name in (f"{place}_pred", f"{place}_true", "sigma"))  # type: ignore[return-value]

    def horizon(self, steps: str, place: str) -> int:
        """Steps that a label names; they must be the short horizon or all steps that were run."""
        assert int(steps) in (SHORT, self.arrays[f"{place}_true"].shape[1] - 1)
        return int(steps)

    def over_seeds(self, parts: tuple[str, ...], expected: np.ndarray) -> None:
        """Median, range of two seeds, coverage and number of seeds."""
        middle, low, high, covered, seeds = parts
        assert int(seeds) == len(expected) == TINY["seeds"]
        assert float(covered) == 100 * attained_coverage([len(expected)])
        # Predictions are stored in single precision, three digits are printed.
        for text, number in ((middle, np.median(expected)), (low, expected.min()), (high, expected.max())):
            assert value(text) == pytest.approx(number, rel=6e-3, abs=1e-6)

    def error(self, metric: str, steps: str, place: str, *parts: str) -> None:
        place = PLACES[place]
        pred, true, sigma = self.split(place)
        n = self.horizon(steps, place)
        self.told.append(f"{place} {n}")
        wrong = 1 - token_correct(pred, true)[..., :n].mean(axis=(1, 2)) if metric == "token error" else None
        self.over_seeds(parts, nrmse(pred, true, sigma, n) if wrong is None else wrong)

    def starts(self, steps: str, place: str, median: str, beyond: str, threshold: str, few: str) -> None:
        pred, true, sigma = self.split(PLACES[place])
        n = self.horizon(steps, PLACES[place])
        found = start_errors(pred, true, sigma, n, float(threshold))
        assert float(threshold) == self.run.config["eval"]["threshold"]
        middle, pooled = np.median(found.median), np.median(nrmse(pred, true, sigma, n))
        assert value(median) == pytest.approx(middle, rel=6e-3, abs=1e-6)
        assert beyond == percent(float(np.median(found.beyond)))
        assert bool(few) == bool(middle != pooled and (pooled > 3 * middle or middle > 3 * pooled))

    def windows(self, steps: str, place: str, told: str) -> None:
        true = self.arrays[f"{PLACES[place]}_true"]
        assert TASKS[self.run.config["task"]].recorded
        block = window_overlap(true[:, : self.horizon(steps, PLACES[place]) + 1])
        if len(true) < 2 * block:
            assert told == f"none (fewer than two blocks of {block} overlapping windows)"
        elif block > 1:
            assert told.endswith(f" over blocks of {block} overlapping windows")
        else:
            assert told.endswith(f" over {len(true)} windows that do not overlap")

    def accuracy(self, tokens: str, *parts: str) -> None:
        curve = self.arrays["tracking_accuracy"]
        assert int(tokens) in (HORIZON, curve.shape[1])
        assert self.arrays["history_horizon"].max() == HORIZON
        self.told.append(f"accuracy {tokens}")
        *numbers, covered, seeds, chance = parts
        assert (int(seeds), float(covered)) == (len(curve), 100 * attained_coverage([len(curve)]))
        at = curve[:, int(tokens) - 1]
        for text, number in zip(numbers, (np.median(at), at.min(), at.max()), strict=True):
            assert f"{text} %" == percent(float(number))
        assert f"{chance} %" == percent(1 / self.arrays["test_true"].shape[-1])

    def check(self) -> None:
        """Each line is one of the known ones and tells the truth, and none is missing."""
        place = r"over (\d+) steps, (in|out of) distribution"
        forms: dict[str, Callable[..., None]] = {
            rf"(NRMSE|token error) {place}: {NUMBER}": self.error,
            rf"  median over starts, {place}: (\S+), (.+ %) of starts beyond (\S+)(; few starts .*)?": self.starts,
            rf"  interval over windows, {place}: (.+)": self.windows,
            rf"token accuracy after (\d+) tokens: {SHARES}, (.+) % by chance": self.accuracy,
            r"NRMSE is pooled over starts: the primary score": lambda: None,
        }
        for line in result_lines(self.run):
            (found,) = [(call, m.groups()) for form, call in forms.items() if (m := re.fullmatch(form, line))]
            found[0](*found[1])
        splits = [name for name in ("test", "ood") if f"{name}_true" in self.arrays]
        ends = {name: self.arrays[f"{name}_true"].shape[1] - 1 for name in splits}
        wanted = [f"{name} {n}" for name in splits for n in (SHORT, ends[name])]
        if "tracking_accuracy" in self.arrays:
            wanted += [f"accuracy {n}" for n in (HORIZON, self.arrays["tracking_accuracy"].shape[1])]
        assert self.told == wanted


# A flow, a map, a group task and a recorded series.
QUICK = ("harmonic", "henon", "parity", "sunspots")


@pytest.mark.parametrize(
    "task", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in TASKS if name != "dysts"]
)
def test_every_printed_number_bears_its_own_label(tmp_path: Path, task: str) -> None:
    for carry in ("observed", "latent"):
        found = trained(tmp_path, task, "ddl", carry)
        assert f"carry = {carry}" in records.comparison_rows([found])[0]["protocol"]
        Labels(found).check()


def test_a_comparison_says_the_same_in_the_terminal_the_csv_and_the_page(tmp_path: Path) -> None:
    runs = [trained(tmp_path, task, model, "latent") for task in ("henon", "sunspots") for model in ("ddl", "resnet")]
    rows = records.comparison_rows(runs)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal.as_table(rows))
    printed, found = console.export_text(), list(csv.DictReader(io.StringIO(records.as_csv(rows))))
    page = report.write_report(runs, tmp_path / "page.html").read_text(encoding="utf-8")
    plain = " ".join(re.sub(r"<style>.*?</style>|<script>.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL).split())
    # Of the arrays: what every label must be.
    steps = {run.config["task"]: run.arrays["test_true"].shape[1] - 1 for run in runs}
    assert steps == {"henon": LONG, "sunspots": 26}
    assert {(row["task"], row["horizon"]) for row in found} == {
        (task, f"{n} steps") for task, end in steps.items() for n in (SHORT, end)
    }
    for task, end in steps.items():
        block = printed.partition(f"{task}, carry = latent")[2].partition("\n\n")[0]
        head = " ".join(block.split("─")[0].split())
        assert {int(n) for n in re.findall(r"(\d+) steps", head)} == {SHORT, end}
        assert f"In distribution, {SHORT} steps:" in plain
        assert f"In distribution, {end} steps (exploratory):" in plain
    # The table of a task has its own horizons at its head.
    for end in steps.values():
        assert f" model H {SHORT} steps {end} steps " in plain
    # Seeds, and the coverage that two of them attain.
    models = [row for row in found if row["run"]]
    assert {(row["seeds"], row["coverage"]) for row in models} == {("2", str(attained_coverage([2])))}
    assert "median over 2 seeds on 1 data set, its 50 % interval below" in printed
    assert "median over 2 seeds on 1 data set, which covers at most 50 %" in plain
    # Latent size.
    for one in runs:
        size, task, name = one.result["latent_dim"], one.config["task"], one.config["model"]
        assert {row["latent_dim"] for row in models if row["run"] == one.id} == {str(size)}
        block = printed.partition(f"{task}, carry = latent")[2].partition("\n\n")[0]
        assert re.search(rf"^ {name} .* {size} +{one.result['parameters']} *$", block, flags=re.MULTILINE)
        assert f" {'DDL' if name == 'ddl' else 'ResNet'} {task} {size} " in plain
