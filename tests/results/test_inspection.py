"""The analysis of finished runs: what it says of an exact stack, what it writes, draws and refuses.

Axes: R replicas, N trajectories, T steps, D observed state, K kept portraits.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from ddl_dyn import analysis
from ddl_dyn.cli.main import main
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import restore_setup
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.results.figures.catalogue import available_figures, draw_figures
from ddl_dyn.results.figures.registry import known_figures
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.figures.trained.long_runs import _crossings, _maxima
from ddl_dyn.results.inspection import climate, constants, dynamics, latent, table
from ddl_dyn.results.inspection.sections import SECTIONS, analyse, rows
from ddl_dyn.results.inspection.table import over_seeds
from ddl_dyn.runs import Run, RunError
from ddl_dyn.tasks import make_task
from tests.helpers.exact_runs import DATA, exact, exact_map, stored
from tests.helpers.figure_structure import caption


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def henon(base: Path) -> Run:
    train = {"updates": 20, "validate_every": 10, "horizon": 3, "compile": "off"}
    options = {"lift": "identity", "layers": 2}
    return stored(base, "henon", task="henon", model_args=options, train=train, keep_portraits=3)


@pytest.fixture(scope="module")
def found(henon: Run) -> dict:
    return analyse(henon, steps=80)


def test_the_run_is_made_whole(henon: Run) -> None:
    """The rebuilt replicas make the free runs that the run has stored."""
    subject = restore_setup(henon)
    z = torch.as_tensor(subject.normalizer.normalize(subject.data.test.states[:, 0]))
    from ddl_dyn.engine.rollout import rollout

    states = subject.normalizer.denormalize(rollout(subject.replicas, z, 5).states.double().numpy())
    # The arrays are kept in float32.
    np.testing.assert_allclose(states[:, :, 1:], henon.arrays["test_pred"][:, :, 1:6], rtol=1e-5, atol=1e-5)


def test_the_truth_beside_the_trained_is_the_known_one(found: dict) -> None:
    spectrum = found["spectrum"]["true"]
    # det J = −b everywhere, so the sum is ln .3 on any orbit of any length.
    assert spectrum["sum"] == pytest.approx(np.log(0.3), abs=1e-9)
    periods = found["cycles"]["periods"]
    points = sorted(cycle["points"][0][0] for cycle in periods["1"]["true"])
    # x = (−(1−b) ± √((1−b)² + 4a))/2a at a = 1.4, b = .3.
    root = np.sqrt(0.7**2 + 4 * 1.4)
    np.testing.assert_allclose(points, [(-0.7 - root) / 2.8, (-0.7 + root) / 2.8], atol=1e-9)
    # Hénon (1976) at a = 1.4: one 2-cycle, no 3-cycle and one 4-cycle.
    assert [len(periods[n]["true"]) for n in "1234"] == [2, 1, 0, 1]
    assert found["local"]["reversed_share_true"] == 1.0


def test_every_section_is_there_or_says_why_not(found: dict) -> None:
    assert set(found["skipped"]) == {"limit_cycle", "symmetries", "invariants", "tracking", "constants", "latent"}
    assert set(SECTIONS) - set(found["skipped"]) <= set(found)
    assert len(found["spectrum"]["trained"]["exponents"]) == len(found["seeds"]) == 2
    assert max(found["laws"]["law_error"]) <= 1e-5
    # Float64 products of order one, differentiated two ways.
    assert max(found["laws"]["jacobian_gap"]) <= 1e-12
    assert all(sum(shares.values()) == pytest.approx(1) for shares in found["verdicts"])


def test_the_floor_is_that_of_independent_true_runs(henon: Run) -> None:
    subject = restore_setup(henon)
    pred, true = climate.long_runs(subject, 200)
    assert pred.shape == (2, 6, 201, 2)
    part = climate.distances(subject, true[None, 1:], true)
    # The truth's own runs in place of a model's: their distance is the floor, to the last digit.
    assert part["d_stsp"][0] == pytest.approx(part["d_stsp_floor"]["mean"], rel=1e-12)
    assert part["d_h"][0] == pytest.approx(part["d_h_floor"]["mean"], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "params", "values"),
    [
        ("kaczmarz", {"omega": 1.5}, {"relaxation, from det J": 1.5}),
        ("kaczmarz", {"omega": 0.6, "rows": 3}, {"relaxation, from det J": 0.6}),
        ("kaczmarz", {"omega": 1.7, "rows": 3}, {"relaxation, from det J": 1.7}),
        ("mirror", {"d": 3}, {"gate of the mirror, from J": 2.0, "tilt of the mirror, rad": 0.0}),
        ("rotation", {"theta": 0.7, "d": 3}, {"angle, rad": 0.7}),
        ("rotoreflection", {}, {"angle, rad": make_task("rotoreflection").theta}),
        ("flip", {"rho": 0.9, "d": 2}, {"ratio": 0.9}),
    ],
)
def test_constants_of_an_exact_stack_are_the_tasks(name: str, params: dict, values: dict) -> None:
    read = constants.constants(exact(name, **params))
    for label, truth in values.items():
        assert read[label]["truth"] == pytest.approx(truth)
        np.testing.assert_allclose(read[label]["values"], truth, atol=1e-7)


def test_restitution_of_the_true_ball_is_exact() -> None:
    """The energy falls by e² at an impact and by nothing else, whatever the step."""
    task = make_task("bouncing_ball", e=0.8)
    subject = exact_map(task)
    read = constants.constants(subject)["restitution, from the energy"]
    np.testing.assert_allclose(read["values"], 0.8, atol=1e-12)


def test_an_exact_stack_agrees_with_its_task() -> None:
    subject = exact("kaczmarz")
    local = dynamics.local(subject)
    # The stack keeps its factors in float32.
    assert max(local["jacobian_error"]) < 1e-6
    assert local["orientation_agreement"] == [1.0, 1.0]
    one = dynamics.compare_cycles(subject)["periods"]["1"]
    assert one["recall"] == one["precision"] == [1.0, 1.0]
    np.testing.assert_allclose(one["trained"][0][0]["points"][0], subject.task.system[2], atol=1e-6)
    found = dynamics.spectrum(subject, 60)
    np.testing.assert_allclose(found["trained"]["exponents"][0], found["true"]["exponents"], atol=1e-6)


def test_the_limit_cycle_of_the_exact_flow() -> None:
    """Stuart–Landau: period 2π/ω, radius √μ and multiplier exp(−2μT), all in closed form."""
    subject = exact_map(make_task("stuart_landau", mu=0.2, dt=0.25))
    part = dynamics.compare_limit_cycle(subject, 200)
    for side, pick in (("true", lambda v: v), ("trained", lambda v: v[0])):
        got = part[side]
        assert pick(got["period"]) == pytest.approx(5.0, rel=1e-6)
        # The extremes of a circle are met to half a sampling step: 1 − cos(π·dt/T) = 1.2 %.
        np.testing.assert_allclose(pick(got["amplitude"]), np.sqrt(0.2), rtol=1.3e-2)
        np.testing.assert_allclose(pick(got["multipliers"]), [1.0, np.exp(-2.0)], rtol=1e-3)
    # Negative control: a centre attracts nothing.
    with pytest.raises(Unsuitable, match="no attracting limit cycle"):
        dynamics.compare_limit_cycle(exact_map(make_task("harmonic", dt=0.5)), 200)


def test_a_latent_carry_has_exponents_but_no_points(base: Path) -> None:
    train = {"updates": 2, "horizon": 2, "compile": "off"}
    made = stored(
        base, "latent", task="harmonic", model_args={"carry": "latent", "latent_dim": 4, "value_dim": 1}, train=train
    )
    subject = restore_setup(made)
    assert np.shape(dynamics.spectrum(subject, 40)["trained"]["exponents"]) == (2, 4)
    with pytest.raises(Unsuitable, match="4 dimensions of its own"):
        dynamics.compare_cycles(subject)


def test_a_latent_carry_has_a_latent_map_in_numbers_rows_and_a_figure(base: Path) -> None:
    train = {"updates": 2, "horizon": 2, "compile": "off"}
    options = {"carry": "latent", "latent_dim": 5, "layers": 1}
    made = stored(base, "manifold", task="harmonic", model_args=options, train=train)
    assert "`ddl-dyn analyse` measures its latent map" in known_figures()["latent"].unless(
        RunView(made, stored_only=True)
    )
    subject = restore_setup(made)
    part = latent.latent(subject, 40)
    assert [np.shape(part[name]) for name in ("exponents", "on", "off", "energies")] == [(2, 5), (2, 2), (2, 3), (2, 5)]
    assert np.shape(part["drift"]) == (2, 201)
    assert np.shape(part["far"]) == (2, len(part["radii"]), 5)
    np.testing.assert_allclose(np.sum(part["energies"], axis=1), 1.0, rtol=1e-12)
    # Independent: the same numbers from the analysis itself.
    z = subject.normalizer.normalize(subject.starts(8))
    apart = analysis.manifold_distance(subject.replicas, z, 3)
    np.testing.assert_allclose(np.array(part["drift"])[:, 3], np.quantile(apart[..., 3], 0.5, 1, method="inverted_cdf"))
    titles = [name for name, _, _ in table.latent_rows(part, {})]
    along, across = (f"largest exponent {where} [1/step]" for where in ("along the manifold", "across it"))
    assert titles[:3] == [along, across, "neutral directions"]
    view = RunView(made, given=subject, analysed={"latent": part})
    assert known_figures()["latent"].unless(view) == ""
    assert "Exponents over 40 steps" in caption(known_figures()["latent"].draw(view))


def test_an_observed_carry_has_no_latent_map(henon: Run) -> None:
    with pytest.raises(Unsuitable, match="the observed state is carried"):
        latent.latent(restore_setup(henon), 40)
    assert "the observed state is carried" in known_figures()["latent"].unless(RunView(henon))


def test_analyse_writes_and_prints(
    henon: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The search for cycles takes longest, and the fixture above has it.
    monkeypatch.delitem(SECTIONS, "cycles")
    assert main(["--runs", str(henon.path.parent), "analyse", "henon", "--steps", "60", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for words in ("λ1", "Σλ", "D_stsp", "orientation agreement", "float32", "without limit_cycle"):
        assert words in out
    kept = json.loads((tmp_path / "analysis.json").read_text())
    assert kept["task"] == "henon"
    figures = {f"{name}.{suffix}" for name in ("survival", "error") for suffix in ("png", "svg")}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == figures
    assert main(["--runs", str(henon.path.parent), "analyse", "henon", "--steps", "3"]) == 1
    assert "steps must be at least 40" in capsys.readouterr().err


def test_the_table_counts_failures_apart() -> None:
    assert over_seeds([1.0, 3.0, 2.0]) == "2 [1, 3]"
    assert over_seeds([1.0, float("nan")]) == "1, 1 of 2 none"
    assert over_seeds([float("nan")]) == "–"
    assert over_seeds([float("inf"), -1.5, 2.0]) == "2 [−1.5, inf]"


def test_every_row_of_the_table_has_three_cells(found: dict) -> None:
    table = list(rows(found))
    assert len(table) > 15
    assert all(len(row) == 3 and all(isinstance(cell, str) for cell in row) for row in table)


def test_other_data_are_refused(henon: Run) -> None:
    other = Run(henon.path)
    vars(other)["entry"] = henon.entry | {"data_hash": "0" * 64}
    with pytest.raises(RunError, match="trained on other data"):
        restore_setup(other)


def test_list_says_what_can_be_drawn(henon: Run, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {name: why_not for name, _, why_not in available_figures(henon)}
    assert list(answers) == list(known_figures())
    no = {name for name, why_not in answers.items() if why_not}
    assert no == {"portrait_3d", "cobweb", "tracking", "poincare", "bifurcation", "defects", "drift", "radius"} | {
        "latent", "attractor",
    }  # fmt: skip
    assert main(["--runs", str(henon.path.parent), "portrait", "henon", "--what", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(known_figures())


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("bifurcation", "has no bifurcation: a bifurcation diagram needs a family"),
        ("poincare", "has no poincare: a Poincaré section is taken of a flow"),
        ("cobweb", "has no cobweb"),
        ("nullcline", "unknown figure 'nullcline' (did you mean 'nullclines'?)"),
    ],
)
def test_an_unsuitable_figure_is_one_clear_error(
    henon: Run, what: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs", str(henon.path.parent), "portrait", "henon", "--what", what]) == 1
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert words in err


def test_figures_that_need_the_map_are_drawn(henon: Run, tmp_path: Path) -> None:
    names = ["nullclines", "directions", "depth", "forming"]
    paths = draw_figures(henon, names, tmp_path)
    assert {path.name for path in paths} == {f"{name}.{suffix}" for name in names for suffix in ("png", "svg")}
    assert all(path.stat().st_size > 5000 for path in paths)


def test_portraits_are_kept_while_the_map_forms(henon: Run) -> None:
    kept = henon.arrays
    assert kept["kept_update"].tolist() == [0, 10, 20]
    assert kept["kept_step"].shape == (3, 2, len(kept["portrait_grid"]), 2)
    # The map moved between any two of them, for each seed.
    assert (np.abs(np.diff(kept["kept_step"], axis=0)).max(axis=(2, 3)) > 1e-3).all()
    # The best checkpoint is the first, a middle or the last one, and its portrait is the run's own.
    gaps = np.abs(kept["kept_step"] - kept["portrait_step"]).max(axis=(2, 3)).min(axis=0)
    np.testing.assert_allclose(gaps, 0, atol=1e-5)


def test_portraits_of_a_driven_map_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="driven by inputs"):
        run(
            resolve_run({"task": "parity", "keep_portraits": 2, "data": DATA, "eval": {"short": 5, "long": 20}}),
            Launch(base=tmp_path / "runs"),
        )
    assert not (tmp_path / "runs").exists()


def test_crossings_and_maxima_of_a_known_series() -> None:
    t = np.linspace(0, 4 * np.pi, 401)
    circle = np.stack([np.cos(t), 2 + 0 * t, np.sin(t)], axis=-1)[None]
    # sin rises through ½ where cos = √¾; linear interpolation errs by the square of the step.
    np.testing.assert_allclose(_crossings(circle, 0.5), [[np.sqrt(0.75), 2.0]] * 2, atol=1e-3)
    np.testing.assert_allclose(_maxima(np.sin(t)[None])[0], [1.0, 1.0], atol=1e-6)
