"""The command line: what it prints, what it refuses, how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.config.parsing import ConfigError, parse_updates
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments.rerun import largest_difference, replay
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.sweep.grid import resolve_compare
from ddl_dyn.experiments.sweep.record import read_cells
from ddl_dyn.metrics.registry import PRIMARY
from ddl_dyn.results.comparison.verdicts import OUTCOMES
from ddl_dyn.runs import annotate
from tests.helpers import fake_runs
from tests.helpers.commands import (
    LONG_ARGUMENTS,
    ROOT,
    SMALL_ARGUMENTS,
    command,
    config,
    environment,
    records,
    spawn,
    wait_for,
)
from tests.helpers.run_folders import make_run


@pytest.fixture(autouse=True)
def _pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.pop("FAKE_FAIL", None)


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, list[str]]:
    printed = capsys.readouterr()
    return printed.out, printed.err.strip().splitlines()


# Bad input.

BAD = {
    "model=dll": "unknown model 'dll' (did you mean 'ddl'?)",
    "task=vanderpol": "unknown task 'vanderpol' (did you mean 'van_der_pol'?)",
    "modl=ddl": "unknown key 'modl' (did you mean 'model'?)",
    "updates=10": "unknown key 'updates' (did you mean 'train.updates'?)",
    "train.upates=10": "unknown key 'train.upates' (did you mean 'train.updates'?)",
    "model_args.layrs=2": "ddl has no option 'layrs' (did you mean 'layers'?)",
    "task_args.nu=2": "van_der_pol has no parameter 'nu'",
    "task_args.mu=-1": "van_der_pol: mu must lie in",
    "task_args.mu=many": "van_der_pol: mu must be a number, got 'many'",
    "seeds=0": "seeds: input should be greater than or equal to 1, got 0",
    "seeds=2.5": "seeds: input should be a valid integer, got 2.5",
    "seeds=True": "seeds: input should be a valid integer, got True",
    "seed=4294967295": "seed + seeds must not exceed 4294967296",
    "data.steps=-5": "data.steps: input should be greater than or equal to 1, got -5",
    "train.lr=fast": "train.lr: input should be a valid number, got 'fast'",
    "train.lr=nan": "train.lr: input should be a",
    "train.horizon=500": "train.horizon = 500 needs training trajectories of that many steps",
    "train=5": "train is a section, got 5; set one of its keys, e.g. train.updates=…",
    "train.lr.x=1": "train.lr: input should be a valid number",
    "eval.short=200": "eval.short must not exceed eval.long",
    "model_args.lift=identity model_args.latent_dim=8": "lift=identity needs a latent state",
    "seeds": "'seeds' is neither key=value nor a file in .json, .toml, .yaml or .yml",
    "config.pickle": "'config.pickle' is neither key=value nor a file in .json, .toml, .yaml or .yml",
    "=3": "'' is not a key",
    "train..lr=3": "'train..lr' is not a key",
    "train=1 train.lr=3": "train is given both a value and the key 'train.lr'",
    "train.device=cuda": "train.device=cuda, but torch finds no CUDA device",
    "model_args=3": "model_args is a section, got 3",
}


@pytest.mark.parametrize("typed", BAD)
def test_bad_input_is_one_clear_line_and_writes_nothing(
    typed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if typed == "train.device=cuda" and __import__("torch").cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert main(["run", "with", *typed.split()]) == 1
    out, errors = said(capsys)
    assert out == ""
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert BAD[typed] in errors[0]
    assert list(tmp_path.iterdir()) == []


def test_all_problems_are_listed_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["model=dll", "task=vanderpol", "seeds=0", "train.lr=-1", "bogus=1", "data.steps=-3"]
    assert main(["run", "with", *typed]) == 1
    _, errors = said(capsys)
    for words in ("'dll'", "'vanderpol'", "seeds:", "train.lr:", "'bogus'", "data.steps:"):
        assert sum(words in line for line in errors) == 1, words
    assert len(errors) == 6
    assert list(tmp_path.iterdir()) == []


def test_a_table_with_a_hole_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "holed.csv"
    table.write_text("t,x\n" + "".join(f"{i},{'' if i == 7 else i % 5}\n" for i in range(400)))
    columns = ["task_args.value_columns=x", "task_args.time_column=t"]
    assert main(["run", "with", "task=observed", f"task_args.path={table}", *columns]) == 1
    out, errors = said(capsys)
    assert (out, len(errors)) == ("", 1)
    assert "holed.csv" in errors[0]
    assert "9" in errors[0], "the hole is on line 9 of the file"
    assert [path.name for path in tmp_path.iterdir()] == ["holed.csv"]


def test_a_runs_folder_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["run", "with", "seeds=1", "--runs", str(tmp_path / "file" / "runs")]) == 1
    _, errors = said(capsys)
    assert len(errors) == 1
    assert "is not a folder; choose another with --runs DIR" in errors[0]
    # Not even root may make folders in /proc.
    if Path("/proc/self").exists():
        assert main(["run", "with", *SMALL_ARGUMENTS, "-F", "/proc/nowhere"]) == 1
        _, errors = said(capsys)
        assert len([line for line in errors if line.startswith("error:")]) == 1
        assert "Traceback" not in "\n".join(errors)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("show 7", "no run '7' in runs (there are: none yet)"),
        ("portrait last", "no runs in runs"),
        ("resume ../x", "no run '../x'"),
        ("replay 1", "no run '1'"),
        ("diff 1 2", "no run '1'"),
        ("tasks hennon", "unknown task 'hennon' (did you mean 'henon'?)"),
        ("models resnt", "unknown model 'resnt' (did you mean 'resnet'?)"),
        ("list --status DONE", "unknown status 'DONE'"),
        ("export", "no runs in runs"),
        ("compare with models=ddl,ddl", "models names 'ddl' twice"),
        ("compare with model_args.carry=latent", "model_args.carry is set by carries"),
        ("compare with tasks=henon per_task.hennon.seed=1", "per_task.hennon is not part of this comparison"),
        ("compare with tasks=henn", "unknown task 'henn' (did you mean 'henon'?)"),
        ("compare with carries=latant", "carries.0: input should be 'observed' or 'latent', got 'latant'"),
        ("compare with jobs=0", "jobs: input should be greater than or equal to 1"),
    ],
)
def test_other_commands_refuse_in_one_line(
    typed: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed.split()) == 1
    out, errors = said(capsys)
    assert (out, len(errors)) == ("", 1)
    assert words in errors[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("runn with model=ddl", "unknown command 'runn' (did you mean 'run'?)"),
        ("--rnus elsewhere list", "unknown option '--rnus' (did you mean '--runs'?)"),
        ("--rnus=elsewhere run with task=henon", "unknown option '--rnus' (did you mean '--runs'?)"),
        ("-x list", "unknown option '-x'"),
        ("show", "RUN"),
        ("list --bogus", "--bogus"),
        ("list --sort colour", "colour"),
        ("run -s sqlite:///x.db", "--sql is not offered"),
        ("run model=ddl", "unknown command 'model=ddl'"),
        ("run with model=ddl --runs", "--runs needs a folder"),
    ],
)
def test_usage_errors_exit_with_2(typed: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(typed.split()) == 2
    out, errors = said(capsys)
    assert (out, len(errors)) == ("", 1)
    assert words in errors[0]
    assert list(tmp_path.iterdir()) == []


# Values from the command line.


def test_values_take_the_type_of_their_field() -> None:
    typed = ["train.lr=1", "train.curriculum=false", "train.patience=none", "tags=a,b", "note=1e3", "seed=2"]
    typed.append("model_args.layers=3")
    found = resolve_run(parse_updates([*typed, "task_args.mu=2"]))
    assert (found.train.lr, found.train.curriculum, found.train.patience) == (1.0, False, None)
    assert (found.tags, found.note, found.model_args["layers"]) == (("a", "b"), "1e3", 3)
    assert found.task_args == {"mu": 2}
    assert resolve_run(parse_updates(["tags=['x','y']"])).tags == ("x", "y")


def test_a_name_with_dots_stands_in_quotes() -> None:
    found = parse_updates(['per_model."a/mine.py:Net".model_args.layers=3', 'per_model."a/mine.py:Net".seeds=1'])
    own = found["per_model"]["a/mine.py:Net"]
    assert (own["model_args"]["layers"].text, own["seeds"].text) == ("3", "1")
    with pytest.raises(ConfigError, match="is not a key"):
        parse_updates(['per_model."".seeds=1'])


def test_a_stored_configuration_can_be_run_again_with_changes(tmp_path: Path) -> None:
    run(config(seed=5), Launch(base=tmp_path))
    found = resolve_run(parse_updates([str(tmp_path / "1" / "config.json"), "train.lr=0.5"]))
    assert (found.seed, found.train.lr, found.train.updates) == (5, 0.5, 40)


def test_a_configuration_file_is_data_only(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.json"
    bomb.write_text(
        json.dumps({"note": {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": [f"touch {tmp_path}/x"]}]}})
    )
    with pytest.raises(ConfigError, match="note"):
        resolve_run(parse_updates([str(bomb)]))
    assert not (tmp_path / "x").exists()


def test_a_literal_is_never_more_than_a_literal() -> None:
    found = parse_updates(["note=__import__('os').getcwd()", "task_args.mu={'py/object': 'os.system'}"])
    assert resolve_run({"note": found["note"]}).note == "__import__('os').getcwd()"
    assert found["task_args"]["mu"].literal == {"py/object": "os.system"}


def test_members_of_a_comparison_are_paired_and_keep_their_own_options() -> None:
    typed = "tasks=henon,flip_flop models=ddl,resnet carries=observed,latent seeds=3 per_task.henon.train.lr=1"
    typed += " per_model.ddl.model_args.beta0=1"
    found = [cell.config for cell in resolve_compare(parse_updates(typed.split()))[1]]
    assert len(found) == 8
    assert {(cell.seed, cell.seeds, cell.data) for cell in found} == {(0, 3, found[0].data)}
    assert {cell.train.lr for cell in found if cell.task == "henon"} == {1.0}
    assert {cell.train.lr for cell in found if cell.task == "flip_flop"} == {0.003}
    assert [cell.model_args["beta0"] for cell in found if cell.model == "ddl"] == [1.0] * 4
    assert [cell.model_args["carry"] for cell in found[:4]] == ["observed", "observed", "latent", "latent"]


def test_cells_that_become_the_same_are_run_once() -> None:
    typed = "tasks=henon,flip_flop models=ddl carries=observed,latent per_task.henon.model_args.carry=observed"
    found = [cell.config for cell in resolve_compare(parse_updates(typed.split()))[1]]
    assert [(cell.task, cell.model_args["carry"]) for cell in found] == [
        ("henon", "observed"), ("flip_flop", "observed"), ("flip_flop", "latent"),
    ]  # fmt: skip


# Commands.


def test_run_then_list_show_diff_tag_note_export(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "with", *SMALL_ARGUMENTS, "tags=first", "-c", "words"]) == 0
    out, errors = said(capsys)
    assert "run 1 COMPLETED: runs/1" in out
    assert f"{PRIMARY.title} over 5 steps, in distribution" in out
    assert 1 <= len(errors) <= 4, "off a terminal a few plain lines at most"
    assert main(["--runs", "runs", "run", "with", *SMALL_ARGUMENTS, "model=resnet", "-n", "second"]) == 0
    assert main(["tag", "2", "new", "-first", "--", "other"]) in (0, 1)
    capsys.readouterr()
    assert main(["tag", "2", "new"]) == 0
    assert main(["note", "2", "a note"]) == 0
    capsys.readouterr()
    assert main(["list", "--json", "--model", "resnet"]) == 0
    line = json.loads(said(capsys)[0])
    assert (line["id"], line["status"], line["note"]) == ("2", "COMPLETED", "a note")
    assert "new" in line["tags"]
    assert main(["list", "--json", "--tag", "first"]) == 0
    assert json.loads(said(capsys)[0])["id"] == "1"
    assert main(["show", "last", "--output"]) == 0
    out, _ = said(capsys)
    assert "pretending to train resnet" in out
    assert "a note" in out
    assert main(["diff", "1", "2"]) == 0
    out, _ = said(capsys)
    assert "config.model" in out
    assert "config.seeds" not in out
    assert main(["export", "--columns", "id,model,config.train.lr"]) == 0
    assert said(capsys)[0] == "id,model,config.train.lr\n1,ddl,0.003\n2,resnet,0.003\n"
    assert main(["export", "--format", "latex", "--columns", "id,task"]) == 0
    assert r"1 & van\_der\_pol \\" in said(capsys)[0]
    # By default the errors are there, over the seeds.
    assert main(["export", "--format", "latex"]) == 0
    head, *lines = said(capsys)[0].splitlines()[2:]
    assert r"result.test.nrmse\_short" in head
    scores = sorted(runs.find_run("1").result["test"]["nrmse_short"])
    assert f"{scores[1]:.3g} ({scores[0]:.3g} to {scores[2]:.3g})" in lines[1]
    assert main(["export", "--columns", "modle"]) == 1
    assert "unknown column 'modle'" in said(capsys)[1][0]
    assert main(["report", "2", "--out", "page.html"]) == 0
    assert said(capsys)[0] == "page.html\n"
    assert "resnet" in Path("page.html").read_text().lower()
    assert main(["report", "9"]) == 1
    assert "no run '9'" in said(capsys)[1][0]


def test_a_running_run_cannot_be_annotated(tmp_path: Path) -> None:
    from ddl_dyn.runs import heartbeat

    make_run(tmp_path, "1", status="RUNNING", process=heartbeat.process_identity(), heartbeat=heartbeat.now())
    with pytest.raises(runs.RunError, match="run 1 is RUNNING"):
        annotate.set_note("1", tmp_path, "x")


def test_print_config_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "print_config", "with", "train.lr=1"]) == 0
    out, _ = said(capsys)
    assert "lr = 1" in out
    assert "beta0" in out
    assert main(["run", "print_config", "with", "train.lr=-1"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_exits_with_1_and_names_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    os.environ["FAKE_FAIL"] = "ddl"
    assert main(["run", "with", *SMALL_ARGUMENTS]) == 1
    _, errors = said(capsys)
    assert errors[-2] == "error: FloatingPointError: the pretence broke down"
    assert "runs/1/traceback.txt" in errors[-1]
    with pytest.raises(FloatingPointError):
        main(["run", "--debug", "with", *SMALL_ARGUMENTS])


def test_replay_reports_the_largest_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config(), Launch(base=tmp_path))
    monkeypatch.setattr("ddl_dyn.experiments.rerun.execute", fake_runs.execute)
    capsys.readouterr()
    assert replay("1", tmp_path, tolerance=0.0) == 0
    out, _ = said(capsys)
    assert "metrics: max |Δ| = 0 (" in out
    assert "arrays: max |Δ| = 0 (6 compared)" in out

    def shifted(*arguments: Any) -> Any:
        import dataclasses

        outcome = fake_runs.execute(*arguments)
        return dataclasses.replace(outcome, arrays={"test_pred": outcome.arrays["test_pred"] + 0.25})

    monkeypatch.setattr("ddl_dyn.experiments.rerun.execute", shifted)
    assert replay("1", tmp_path) == 0
    assert replay("1", tmp_path, tolerance=0.1) == 1
    assert "arrays: max |Δ| = 0.25 at test_pred (6 compared)" in said(capsys)[0]


def test_largest_difference_of_failures() -> None:
    import numpy as np

    inf, nan = np.inf, np.nan
    assert largest_difference({"a": np.array([inf, nan, 1])}, {"a": np.array([inf, nan, 1])}) == ("", 0.0, 3)
    assert largest_difference({"a": np.array([inf])}, {"a": np.array([1.0])})[:2] == ("a", inf)
    assert largest_difference({"a": np.array([nan])}, {"a": np.array([1.0])})[:2] == ("a", inf)
    assert largest_difference({"a": np.zeros(2)}, {"a": np.zeros(3)})[:2] == ("a", inf)
    assert largest_difference({"a": np.zeros(2)}, {})[:2] == ("a", inf)


def test_a_comparison_of_runs(tmp_path: Path) -> None:
    arguments = [
        "compare",
        "with",
        *SMALL_ARGUMENTS,
        "seeds=6",
        "tasks=henon",
        "models=ddl,resnet",
        "jobs=2",
        "--runs",
        str(tmp_path),
    ]
    done = command([*arguments, "-c", "pair"])
    assert done.returncode == 0, done.stderr
    assert "henon" in done.stdout
    assert "Traceback" not in done.stderr
    table = runs.load_runs(tmp_path)
    assert sorted(table["model"]) == ["ddl", "resnet"]
    assert set(table["status"]) == {"COMPLETED"}
    found = runs.scan(tmp_path)[0]
    assert (found.id, found.kind, found.status) == ("1", "compare", "COMPLETED")
    assert sorted(found.members) == sorted(table["id"])
    assert [cell["run"] for cell in read_cells(found)] == found.members
    rows = found.result["rows"]
    first = {row["model"]: row["first"] for row in rows if row["primary"]}
    assert first == {"ddl": None, "resnet": "ddl"}
    assert all(row["verdict"] in OUTCOMES for row in rows if row["first"])
    assert (found.path / "comparison.csv").read_text().startswith("task,protocol,split,horizon,model,median")
    assert (found.path / "figures" / "comparison.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "reason"),
    [("FAKE_FAIL", "FloatingPointError: the pretence broke"), ("FAKE_DIE", "its worker process died (exit code 9)")],
)
def test_a_failing_member_does_not_take_the_others_with_it(tmp_path: Path, how: str, reason: str) -> None:
    arguments = ["compare", "with", *SMALL_ARGUMENTS, "tasks=henon", "models=ddl,resnet,highway", "jobs=1"]
    done = command([*arguments, "--runs", str(tmp_path)], **{how: "ddl"})
    assert done.returncode == 1
    assert f"failed: henon ddl observed: {reason}" in done.stdout
    assert "Traceback" not in done.stderr
    statuses = dict(zip(*(runs.load_runs(tmp_path)[name] for name in ("model", "status")), strict=True))
    assert statuses["resnet"] == statuses["highway"] == "COMPLETED"
    assert statuses["ddl"] == ("FAILED" if how == "FAKE_FAIL" else "DEAD")
    # What is missing is said, and done by one word.
    found = runs.find_run("1", tmp_path)
    assert (found.status, found.entry["error"]) == ("FAILED", "1 of 3 runs are not complete: henon ddl observed")
    assert "comparison 1: 3 cells: 2 done, 0 reused, 1 failed\nnext: `ddl-dyn missing 1" in done.stdout
    said = command(["missing", "1", "--runs", str(tmp_path)]).stdout
    assert "compare 1: 1 of 3 cells are left" in said
    assert "henon ddl observed" in said
    again = command(["resume", "1", "--runs", str(tmp_path)])
    assert again.returncode == 0, again.stderr
    assert runs.find_run("1", tmp_path).status == "COMPLETED"
    assert {row["model"] for row in runs.find_run("1", tmp_path).result["rows"]} >= {"ddl", "resnet", "highway"}
    assert sorted(len(run.entry["attempts"]) for run in runs.scan(tmp_path)) == [1, 1, 2, 2]
    refused = command(["resume", "1", "--runs", str(tmp_path)])
    assert (refused.returncode, refused.stderr) == (1, "error: run 1 cannot be resumed: it is complete\n")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("group", [True, False])
def test_an_interrupt_stops_a_comparison_and_all_its_runs(tmp_path: Path, name: str, code: int, group: bool) -> None:
    arguments = ["compare", "with", *LONG_ARGUMENTS, "tasks=henon", "models=ddl,resnet", "jobs=2"]
    process = spawn([*arguments, "--runs", str(tmp_path)], FAKE_SECONDS="0.05")
    wait_for(lambda: sum(records(tmp_path, path.name) > 0 for path in tmp_path.glob("c*")) == 2)
    # Ctrl-C on a terminal reaches the whole group, a service manager's signal only the parent.
    (os.killpg if group else os.kill)(process.pid, getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert [found.status for found in runs.scan(tmp_path)] == ["INTERRUPTED"] * 3
    time.sleep(0.2)
    assert not any(_lives(found) for found in runs.scan(tmp_path))


def _lives(found: runs.Run) -> bool:
    from ddl_dyn.runs.heartbeat import process_lives

    return process_lives(found.entry["process"]["pid"], found.entry["process"]["pid_start"])


# Start-up.

LIGHT = """
import sys, io, contextlib
from ddl_dyn.cli.main import main
with contextlib.redirect_stdout(io.StringIO()):
    main({arguments!r})
print(sorted(set(sys.modules) & {heavy!r}))
"""


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], {"torch", "numpy", "scipy", "pandas", "sacred", "rich", "pydantic", "matplotlib"}),
        (["list"], {"torch", "scipy", "pandas", "sacred", "matplotlib"}),
        # scipy itself is light: it loads a part when that is used.
        (["tasks"], {"torch", "pandas", "sacred", "matplotlib", "scipy.special", "scipy.integrate", "scipy.spatial"}),
        # A shell waits for it at every press of Tab.
        (
            ["completion", "--answer", "ddl-dyn run with model=resnet model_args."],
            {"torch", "numpy", "scipy", "pandas", "sacred", "rich", "pydantic", "matplotlib"},
        ),
        (["show", "1"], {"torch", "pandas", "sacred", "matplotlib", "scipy.stats", "scipy.special"}),
        # torch's compiler, which a model that is only tried does not need.
        (["run", "print_config", "with", "model=ddl"], {"sympy", "torch._dynamo"}),
    ],
)
def test_light_commands_load_nothing_heavy(arguments: list[str], heavy: set[str], tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "1")
    code = LIGHT.format(arguments=arguments, heavy=heavy)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_module_and_version() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ddl_dyn", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    from ddl_dyn import __version__

    assert done.stdout == f"ddl-dyn {__version__}\n"


@pytest.mark.parametrize(("name", "entry"), [("tasks", "henon"), ("models", "nvar")])
def test_catalogues_list_and_describe(name: str, entry: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 0
    out, _ = said(capsys)
    assert any(line.split()[0] == entry for line in out.splitlines())
    assert main([name, entry]) == 0
    out, _ = said(capsys)
    assert out.startswith(entry)
    assert "source: " in out
    # The last line is the figure's path, or says why there is none.
    assert out.splitlines()[-1] == (
        "out/henon.png" if name == "tasks" else "no figure of its start: it is solved, not trained"
    )


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m ddl_dyn --help | head -1; {sys.executable} -m ddl_dyn tasks | head -1",
        shell=True, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
