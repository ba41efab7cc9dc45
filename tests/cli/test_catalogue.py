"""The catalogues: complete, compact, light, and true to the classes they describe."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ddl_dyn.cli import catalogue, facts, gallery
from ddl_dyn.cli.catalogue import WIDTH, draw_model, draw_task, print_models, print_tasks
from ddl_dyn.cli.facts import FOUND
from ddl_dyn.cli.main import main
from ddl_dyn.models import MODELS, make_model
from ddl_dyn.tasks import TASKS, make_task

ROOT = Path(__file__).parents[2]
# Half a unit of the fourth digit for a period, located by events to 1e-9; 2 % for an exponent of a chaotic orbit, whose
# 32,000 steps differ after a few dozen wherever one rounding differs.
PERIODS = {"van_der_pol", "fitzhugh_nagumo", "brusselator", "lotka_volterra", "van_der_pol_family", "ecg"} | {
    "cubic_spiral", "pendulum", "hardening_duffing", "sunspots"
}  # fmt: skip
SLOW = {"fitzhugh_nagumo", "brusselator", "lorenz63_family", "henon", "lozi", "ikeda", "duffing_map"}


def test_the_list_of_tasks_is_the_registry_in_compact_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_tasks(None)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    head, *lines = out.partition("\n\n")[0].splitlines()
    assert re.split(r"  +", head) == ["task", "D", "flow", "what it is"]
    told = {(cells := re.split(r"  +", line))[0]: cells[1:] for line in lines}
    assert list(told) == list(TASKS)
    assert told["harmonic"] == ["2", "yes", "Harmonic oscillator"]
    assert told["mirror"] == ["2", "no", "Reflection in one hyperplane"]
    assert told["observed"] == ["–", "–", "Any recorded series"]
    for name, (_, flow, title) in told.items():
        # The docstring is the one source; none is so long that it would be broken off in the middle.
        assert (TASKS[name].__doc__ or "").startswith(title)
        assert len(title) > 4
        assert flow == {"none": "yes", "unknown": "–"}.get(facts.obstruction_of(TASKS[name]), "no")


def test_a_title_ends_at_a_clause_or_is_seen_to_be_broken_off() -> None:
    class Ring:
        """Ring of n stations: all alike, coupled.

        Equations.
        """

    assert facts.short_title(Ring, 50) == "Ring of n stations: all alike, coupled"  # type: ignore[arg-type]
    assert facts.short_title(Ring, 30) == "Ring of n stations: all alike"  # type: ignore[arg-type]
    assert facts.short_title(Ring, 25) == "Ring of n stations"  # type: ignore[arg-type]
    assert facts.short_title(Ring, 10) == "Ring of n…"  # type: ignore[arg-type]


def test_the_list_of_tasks_integrates_nothing_and_stays_light() -> None:
    code = """
import sys
from ddl_dyn import tasks
from ddl_dyn.tasks import exponents, trust
from ddl_dyn.tasks.flows import cycles, population
from ddl_dyn.tasks.maps import line, plane
from ddl_dyn.cli.catalogue import print_tasks
def refuse(*args, **kwargs):
    raise AssertionError("the list integrates")
found = "solve_ivp cycle_period largest_exponent ensemble_exponents integrate iterate settle"
for module in (trust, cycles, population, line, plane, exponents):
    for name in found.split():
        if hasattr(module, name):
            setattr(module, name, refuse)
print_tasks(None)
heavy = {"torch", "matplotlib", "pandas", "sacred"} & set(sys.modules)
assert not heavy, heavy
# Negative control: what is refused is what a time scale calls.
for name in ("van_der_pol", "logistic", "henon", "lotka_volterra"):
    try:
        tasks.make_task(name).timescale
    except AssertionError:
        continue
    raise SystemExit(f"{name} found its time scale by another way")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in FOUND])
def test_what_the_list_takes_as_found_is_found_again(name: str) -> None:
    task = make_task(name)
    dim, timescale = FOUND[name]
    assert task.state_dim == dim
    assert task.timescale == pytest.approx(timescale, rel=5e-4 if name in PERIODS else 2e-2)


@pytest.mark.parametrize("name", ["henon", "cycle_navigation", "van_der_pol_family", "observed"])
def test_a_datasheet_says_everything_about_a_task(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_tasks(name)
    out = capsys.readouterr().out
    flat = " ".join(out.split())
    cls = TASKS[name]
    assert out.startswith(name)
    assert (cls.__doc__ or "").split("\n", 1)[0] in out
    assert f"source: {' '.join(cls.source.split())}" in flat
    assert f"obstruction to a flow: {facts.obstruction_of(cls)}. {cls.obstruction_reason}" in flat
    for parameter in catalogue.dataclasses.fields(cls):
        assert (f"task_args.{parameter.name} " in out) == parameter.init
    assert ("time scale: " in out) == (name != "observed")
    assert ("inputs: " in out) == (name in ("cycle_navigation", "van_der_pol_family"))


def test_a_datasheet_gives_ranges_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    print_tasks("van_der_pol")
    out = capsys.readouterr().out
    assert "  task_args.mu = 1.0  in (0, 20]  nonlinear damping, dimensionless" in out
    assert "  task_args.dt = 0.05  in (0, ∞)  sampling interval" in out
    assert "time scale: 6.663. Period of the limit cycle" in out
    print_tasks("standard_map")
    assert "task_args.coordinates = 'circle'  ('circle' | 'angle')" in capsys.readouterr().out


OWN_TASK = '''
from dataclasses import dataclass
from ddl_dyn.tasks import MapTask

@dataclass(frozen=True, kw_only=True)
class Halving(MapTask):
    """Halving."""
    state_names = ("x",)
    source = "nobody"
    equations = "x⁺ = x/2"
    family = "map"

    @property
    def timescale(self):
        """Half-life."""
        return self.dt

    def next_state(self, x):
        return x / 2

    def initial_states(self, n, *, rng, split):
        return rng.uniform(1, 2, (n, 1)) + (2 if split == "ood" else 0)
'''


def test_a_task_of_the_users_own_has_a_datasheet_and_a_portrait(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN_TASK)
    assert main(["tasks", f"{file}:Halving", "--out", str(tmp_path / "figures")]) == 0
    out = capsys.readouterr().out
    assert "equations: x⁺ = x/2" in out
    assert "time scale: 1 step. Half-life." in out
    path = Path(out.splitlines()[-1])
    assert path == tmp_path / "figures" / "Halving.png"
    assert path.stat().st_size > 1000


def test_a_portrait_shows_the_tasks_own_trajectories() -> None:
    figure = gallery.portrait_of_task("mirror")
    ax = figure.axes[0]
    assert ax.get_aspect() == 1.0
    lines = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) == 2]
    assert len(lines) == 6
    # x⁺ = x − 2k(kᵀx): what joins a state and its image is parallel to the normal k.
    normal = make_task("mirror").normal  # type: ignore[attr-defined]
    for start, image in lines:
        np.testing.assert_allclose(abs((image - start) @ normal), np.linalg.norm(image - start), rtol=1e-12)


def test_a_line_map_is_drawn_as_its_graph() -> None:
    ax = gallery.portrait_of_task("logistic").axes[0]
    for line in ax.lines:
        x, y = np.asarray(line.get_data())
        np.testing.assert_allclose(y, make_task("logistic").next_state(x), rtol=1e-12)  # type: ignore[attr-defined]


def test_views_and_examples_name_tasks_that_exist() -> None:
    assert set(gallery.VIEWS) <= set(TASKS)
    assert set(gallery.EXAMPLES) == {name for name, cls in TASKS.items() if facts.required_parameters(cls)} - {"dysts"}


def test_the_gallery_in_docs_says_what_the_registry_says() -> None:
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| <img")]
    named = [re.search(r"\*\*(\w+)\*\*", row).group(1) for row in rows]  # type: ignore[union-attr]
    # It is drawn anew with every release, and shows all tasks then.
    unreleased = "\n## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert set(named) <= set(TASKS) if unreleased else set(named) == set(gallery.drawn_tasks()), (
        "run `ddl-dyn tasks --gallery docs`"
    )
    for name, row in zip(named, rows, strict=True):
        path = re.search(r'src="([^"]+)"', row).group(1)  # type: ignore[union-attr]
        assert path == f"figures/tasks/{name}.png"
        assert 1_000 < (ROOT / "docs" / path).stat().st_size < 60_000
        # Five columns: every bar inside a cell is escaped.
        assert len(re.findall(r"(?<!\\)\|", row)) == 6
    figures = {path.stem for path in (ROOT / "docs" / "figures" / "tasks").iterdir()}
    assert figures == set(named)
    assert text == gallery.page_text([name for name in TASKS if name in named]), "run `ddl-dyn tasks --gallery docs`"


def test_the_list_of_models_is_the_registry_in_compact_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_models(None)
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(MODELS)
    assert max(map(len, lines)) <= WIDTH


def test_a_models_sheet_counts_its_parameters_and_names_its_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    print_models("resnet")
    out = capsys.readouterr().out
    count = sum(p.numel() for p in make_model("resnet", state_dim=2).parameters())
    assert f"parameters: {count:,} at these options and D = 2" in out
    assert "model_args.layers = 2  (≥ 1, ≤ 10000)" in out
    assert "model_args.carry = 'observed'  ('observed' | 'latent')" in out
    for option in MODELS["resnet"].Config.model_fields:
        assert f"model_args.{option} = " in out


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model_has_a_sheet(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_models(name)
    out = " ".join(capsys.readouterr().out.split())
    cls = MODELS[name]
    assert cls.equation in re.sub(r"\s+", " ", out) or " ".join(cls.equation.split()) in out
    assert f"source: {' '.join(cls.source.split())}" in out
    solved = "solved from the training data" in out or "told the truth" in out
    assert solved == cls.closed_form


def test_a_models_figure_shows_200_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ddl_dyn import plots

    shown = {}
    monkeypatch.setattr(plots, "save", lambda figure, path: shown.update(figure=figure) or (path, path))
    assert draw_model("resnet", tmp_path) == tmp_path / "resnet"
    for ax in shown["figure"].axes:
        assert ax.get_xlim() == (0, 200)
        # A residual stack starts as the identity: signal and gradient keep their level.
        curve = next(line for line in ax.lines if len(line.get_xdata()) == 201).get_ydata()
        np.testing.assert_allclose(curve, curve[0], rtol=1e-12)


def test_what_is_solved_has_no_start_to_draw(tmp_path: Path) -> None:
    assert draw_model("nvar", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_wants_a_parameter_is_drawn_from_its_example(tmp_path: Path) -> None:
    assert draw_task("observed", tmp_path) == tmp_path / "observed.png"


@pytest.mark.parametrize(
    "arguments",
    [["tasks", "--out", "x"], ["models", "--out", "x"], ["tasks", "henon", "--gallery", "x"], ["tasks", "hennon"]],
)
def test_options_without_effect_are_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [("henon", "map"), ("logistic_family", "map"), ("s3", "map"), ("van_der_pol_family", "flow"), ("lorenz63", "flow")],
)
def test_figures_know_whether_time_runs_in_steps(name: str, kind: str) -> None:
    from ddl_dyn.experiments.execute import drawing_facts
    from ddl_dyn.tasks import make_task

    assert drawing_facts(make_task(name))["kind"] == kind
