"""Sweeps: the grid, the cells and their hashes, what is done, reused, continued and left."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ddl_dyn import runs
from ddl_dyn.cli.main import main
from ddl_dyn.config.parsing import ConfigError, parse_updates
from ddl_dyn.experiments import cell as cells_module
from ddl_dyn.experiments import run as running
from ddl_dyn.experiments import workers
from ddl_dyn.experiments.cell import Job, do_cell
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.sweep import run_grid as sweeping
from ddl_dyn.experiments.sweep.axes import split
from ddl_dyn.experiments.sweep.grid import resolve_compare, resolve_sweep
from ddl_dyn.experiments.workers import Ended
from ddl_dyn.runs import trust
from tests.helpers import fake_runs
from tests.helpers.commands import SMALL, SMALL_ARGUMENTS


def grid(*items: str) -> list[Any]:
    return resolve_sweep(parse_updates(["tasks=harmonic", "models=ddl", *SMALL_ARGUMENTS, *items]))[1]


# Axes and values.


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1,2,4", ["1", "2", "4"]),
        ("a", ["a"]),
        ("[1,2],[3]", ["[1,2]", "[3]"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("(1,(2,3)),4", ["(1,(2,3))", "4"]),
        ("", [""]),
        ("1,,2", ["1", "", "2"]),
    ],
)
def test_commas_outside_brackets_and_quotes_part(text: str, parts: list[str]) -> None:
    assert split(text) == parts


def test_a_list_spans_the_grid_and_a_list_in_a_list_is_one_value() -> None:
    found = grid("task_args.dt=0.1,0.2", "train.lr_grid=[0.5,1],[1,2]", "seeds=1,2")
    assert len(found) == 8
    assert {cell.config.train.lr_grid for cell in found} == {(0.5, 1.0), (1.0, 2.0)}
    one = grid("train.lr_grid=[0.5,1]")
    assert [cell.config.train.lr_grid for cell in one] == [(0.5, 1.0)]


def test_cells_come_by_task_carry_model_and_axis() -> None:
    _, found = resolve_sweep(
        parse_updates(
            [
                *("tasks=harmonic,logistic", "models=ddl,mlp", "carries=observed,latent", "model_args.layers=1,2"),
                *SMALL_ARGUMENTS,
            ]
        )
    )
    assert len(found) == 16
    assert [cell.title for cell in found[:3]] == [
        "harmonic ddl observed layers=1",
        "harmonic ddl observed layers=2",
        "harmonic mlp observed layers=1",
    ]
    assert found[4].config.model_args["carry"] == "latent"
    assert found[-1].config.task == "logistic"


def test_a_key_of_one_model_spans_the_grid_there_alone_and_equal_cells_come_once() -> None:
    found = grid("models=ddl,mlp", "per_model.ddl.model_args.layers=1,2,3", "carries=observed,latent")
    assert [cell.config.model for cell in found] == ["ddl"] * 3 + ["mlp"] + ["ddl"] * 3 + ["mlp"]
    same = grid("carries=observed,latent", "per_task.harmonic.model_args.carry=latent")
    assert len(same) == 1


def test_a_learning_rate_that_is_given_is_not_tuned() -> None:
    plain = [*("tasks=harmonic", "models=ddl,mlp"), "data.n_train=4", "data.n_val=4"]

    def rates(resolve: Callable[..., Any], *items: str) -> list[tuple[str, float, bool]]:
        _, found = resolve(parse_updates([*plain, *items]))
        return [(c.config.model, c.config.train.lr, bool(c.config.train.lr_grid)) for c in found]

    assert all(tuned for *_, tuned in rates(resolve_sweep))
    assert rates(resolve_sweep, "train.lr=0.1,0.2") == [
        *(("ddl", 0.1, False), ("ddl", 0.2, False), ("mlp", 0.1, False), ("mlp", 0.2, False))
    ]
    assert rates(resolve_compare, "train.lr=0.1") == [("ddl", 0.1, False), ("mlp", 0.1, False)]
    for resolve in (resolve_sweep, resolve_compare):
        (_, lr, tuned), (_, _, others) = rates(resolve, "per_model.ddl.train.lr=0.1")
        assert (lr, tuned, others) == (0.1, False, True)
    with pytest.raises(ConfigError, match="leave one of them out"):
        rates(resolve_sweep, "train.lr=0.1,0.2", "train.lr_grid=[0.1,0.2]")
    assert len(rates(resolve_sweep, "train.lr=0.1,0.2", "train.lr_grid=[]")) == 4


def test_a_toml_file_says_the_same_as_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(
        'tasks = ["harmonic"]\nmodels = ["ddl"]\nseeds = 3\n[model_args]\nlayers = [1, 2]\n'
        "[train]\nlr_grid = [[0.5, 1]]\nupdates = 40\nvalidate_every = 10\nhorizon = 5\n"
        "[data]\nn_train = 4\nn_val = 2\nn_test = 2\nn_ood = 0\nsteps = 10\n[eval]\nshort = 5\nlong = 10\n"
    )
    import tomllib

    _, found = resolve_sweep(tomllib.loads(path.read_text()))
    typed = grid("model_args.layers=1,2", "train.lr_grid=[0.5,1]")
    assert [cell.digest for cell in found] == [cell.digest for cell in typed]
    # What is typed beside the file stands; the settings are printed as the file would say them.
    assert main(["sweep", str(path), "print_config", "with", "model_args.layers=3,4"]) == 0
    said = capsys.readouterr().out
    assert "layers = [3, 4]" in said
    assert "lr_grid = [[0.5, 1]]" in said


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (["model_args.layers=1,,2"], ["model_args.layers has an empty entry"]),
        (["model_args.layers=[1,2]"], ["brackets make one value", "model_args.layers=1,2,4"]),
        (["train.lr_grid=0.5,1"], ["train.lr_grid is a list itself; write train.lr_grid=[…]"]),
        (["model_args.layers=1,1"], ["model_args.layers names 1 twice"]),
        (["train.lrr=1,2"], ["unknown key 'train.lrr'", "train.lr"]),
        (["task=harmonic"], ["unknown key 'task' (did you mean 'tasks'?)"]),
        (["sedes=1"], ["unknown key 'sedes' (did you mean 'seeds'?)"]),
        (["seeds=0,3", "model_args.layers=0"], ["seeds", "got 0", "layers"]),
        (["models=ddl,ddl"], ["models names 'ddl' twice"]),
        (["model_args.carry=latent"], ["carries=observed,latent"]),
        (["per_model.mlp.train.lr=1"], ["per_model.mlp is not part of this sweep"]),
        (["gpus=0.5", "retries=1", "address=auto"], ["gpus is for engine=ray", "retries is for", "address is for"]),
        (["engine=ray", "address=auto", "jobs=2"], ["jobs is for this machine alone"]),
        (["engine=ray", "train.device=cuda"], ["train.device=cuda on a Ray cluster needs gpus"]),
        (["train.horizon=5,11,12"], ["train.horizon = 11 needs", "train.horizon = 12 needs"]),
        (
            ["seed=" + ",".join(map(str, range(1001))), "data.seed=" + ",".join(map(str, range(1000)))],
            ["1001000 cells"],
        ),
    ],
)
def test_every_problem_is_told_and_nothing_written(
    items: list[str], words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["tasks=harmonic", "models=ddl", *SMALL_ARGUMENTS, *items, "--runs", str(tmp_path / "runs")]
    assert main(["sweep", "with", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    for word in words:
        assert word in said.err, said.err
    assert all(line.startswith("error: ") for line in said.err.splitlines())
    assert not (tmp_path / "runs").exists()


def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", str(tmp_path / "none.toml")]) == 1
    assert "none.toml cannot be read: No such file or directory" in capsys.readouterr().err
    (tmp_path / "bad.toml").write_text("layers = [1,")
    assert main(["sweep", str(tmp_path / "bad.toml")]) == 1
    assert "bad.toml cannot be read as TOML: " in capsys.readouterr().err


# The hash.


def digest(**updates: Any) -> str:
    return config_hash(resolve_run({"task": "harmonic", "model": "ddl", **updates}))


def test_what_is_the_same_has_one_hash_however_it_is_written() -> None:
    first = digest()
    assert first == digest(seeds=5, task_args={}, model_args={"layers": 2}, note="n", tags=["t"])
    assert digest(task_args={"dt": 1.0}) == digest(task_args={"dt": 1})
    from ddl_dyn.tasks import make_task

    assert first == digest(task_args={"dt": make_task("harmonic").dt})
    ordered = resolve_run({"model": "ddl", "seeds": 5, "task": "harmonic"})
    assert config_hash(ordered) == first


@pytest.mark.parametrize(
    "updates",
    [
        {"seeds": 6},
        {"seed": 1},
        {"model": "mlp"},
        {"model_args": {"layers": 3}},
        {"task_args": {"dt": 0.05}},
        {"train": {"lr": 1e-3}},
        {"data": {"seed": 1}},
        {"keep_portraits": 2},
    ],
)
def test_what_differs_has_another_hash(updates: dict[str, Any]) -> None:
    assert digest(**updates) != digest()


def test_a_file_counts_by_its_content(tmp_path: Path) -> None:
    def table(name: str, factor: float) -> str:
        path = tmp_path / name
        path.write_text("t,x\n" + "".join(f"{t},{factor * (t % 7)}\n" for t in range(400)))
        return str(path)

    paths = [table("a.csv", 1.0), table("b.csv", 1.0), table("c.csv", 2.0)]
    same, copy, other = (digest(task="observed", task_args={"path": path}) for path in paths)
    assert same == copy != other


# Doing a sweep. The cells run one after another in this process, with training replaced by something quick.


def in_this_process(work: Sequence[Job], launch: Launch, do: Any, *, on_end: Any, **_: Any) -> list[Ended]:
    ends = []
    for number, each in enumerate(work):
        error = None
        try:
            do(each, launch)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        ends.append(Ended(number=number, error=error))
        on_end(ends[-1])
    return ends


@pytest.fixture(autouse=True)
def _pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(running, "execute", fake_runs.execute)
    monkeypatch.setattr(sweeping, "run_all", in_this_process)
    yield
    for name in ("FAKE_FAIL", "FAKE_SECONDS"):
        os.environ.pop(name, None)


def sweep(base: Path, *items: str) -> int:
    return main(["sweep", "with", "tasks=harmonic", "models=ddl,mlp", *SMALL_ARGUMENTS, *items, "--runs", str(base)])


def test_a_sweep_does_each_cell_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(tmp_path, "model_args.layers=1,2") == 0
    said = capsys.readouterr().out
    assert "4 cells: 4 done, 0 reused, 0 failed\nnext: `ddl-dyn report --query 'task=harmonic model=ddl,mlp'" in said
    table = runs.load_runs(tmp_path)
    assert table["status"].tolist() == ["COMPLETED"] * 4
    assert sorted(zip(table["model"], table["config.model_args.layers"], strict=True)) == [
        *(("ddl", 1), ("ddl", 2), ("mlp", 1), ("mlp", 2))
    ]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert sweep(tmp_path, "model_args.layers=2,1", "note=again", "tags=a") == 0
    assert "4 cells: 0 done, 4 reused, 0 failed" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    # A wider grid is another sweep and takes what is there; so does a run that no sweep made.
    alone = {**SMALL, "task": "harmonic", "model": "ddl", "model_args": {"layers": 4}}
    single = run(resolve_run(alone, compared=True), Launch(base=tmp_path))
    assert sweep(tmp_path, "model_args.layers=1,2,3,4") == 0
    assert "8 cells: 3 done, 5 reused, 0 failed" in capsys.readouterr().out
    assert len(runs.load_runs(tmp_path, kind="sweep")) == 2
    assert single in (runs.scan(tmp_path)[-1].path / "cells.csv").read_text() + "".join(
        path.read_text() for path in tmp_path.glob("sweep-*/cells.csv")
    )
    assert main(["list", "--kind", "sweep", "--json", "--runs", str(tmp_path)]) == 0
    assert {json.loads(line)["model"] for line in capsys.readouterr().out.splitlines()} == {"ddl,mlp"}


def test_what_failed_is_told_and_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.environ["FAKE_FAIL"] = "mlp"
    assert sweep(tmp_path) == 1
    said = capsys.readouterr()
    assert "2 cells: 1 done, 0 reused, 1 failed\nnext: `ddl-dyn missing sweep-" in said.out
    assert f" --runs {tmp_path}` says what is left and why" in said.out
    assert "harmonic mlp observed: failed: FloatingPointError: the pretence broke down" in said.err
    assert main(["missing", "--runs", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "1 of 2 cells are left" in said.out
    assert "FAILED" in said.out
    assert "the pretence broke down" in " ".join(said.out.split())
    del os.environ["FAKE_FAIL"]
    assert sweep(tmp_path) == 0
    assert "2 cells: 1 done, 1 reused, 0 failed" in capsys.readouterr().out
    assert main(["missing", "last", "--runs", str(tmp_path)]) == 0
    assert "all 2 cells are complete" in capsys.readouterr().out


NET = "from ddl_dyn.models.resnet import ResNet\n\n\nclass Net(ResNet):\n    pass\n"


@pytest.mark.parametrize("command", ["sweep", "compare"])
def test_a_model_of_a_file_has_options_of_its_own_beside_others(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trust, "_allowed", set())
    (tmp_path / "net.py").write_text(NET)
    own = ["tasks=harmonic", "models=ddl,net.py:Net", *SMALL_ARGUMENTS, 'per_model."net.py:Net".model_args.layers=3']
    assert main([command, "print_config", "with", *own]) == 0
    assert "net.py:Net:" in capsys.readouterr().out
    assert main([command, "with", *own]) == 0
    table = runs.load_runs("runs")
    assert dict(zip(table["model"], table["config.model_args.layers"], strict=True)) == {"ddl": 2, "net.py:Net": 3}
    (stored,) = (run for run in runs.scan("runs") if run.kind == command)
    assert stored.config["per_model"] == {"net.py:Net": {"model_args": {"layers": 3}}}
    # What is lost is done again by its name alone, once the code is named.
    lost = stored.members[1]
    for path in (tmp_path / "runs" / lost).iterdir():
        path.unlink()
    capsys.readouterr()
    assert main(["resume", stored.id]) == 1
    assert "would execute net.py" in capsys.readouterr().err
    assert main(["resume", stored.id, "--trust", "net.py"]) == 0
    assert runs.find_run(lost).status == "COMPLETED"
    assert len(runs.load_runs("runs")) == 2


def test_a_file_of_a_sweep_names_a_model_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "grid.toml").write_text(
        'tasks = ["harmonic"]\nmodels = ["ddl", "net.py:Net"]\n[per_model."net.py:Net".model_args]\nlayers = [1, 3]\n'
    )
    assert main(["sweep", "grid.toml", "--trust", "net.py", "with", *SMALL_ARGUMENTS]) == 0
    table = runs.load_runs("runs")
    assert sorted(zip(table["model"], table["config.model_args.layers"], strict=True)) == [
        *(("ddl", 2), ("net.py:Net", 1), ("net.py:Net", 3))
    ]


@pytest.mark.parametrize("command", ["sweep", "compare"])
def test_a_folder_copied_elsewhere_is_resumed_there(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    monkeypatch.setenv("FAKE_FAIL", "mlp")
    arguments = ["with", "tasks=harmonic", "models=ddl,mlp", *SMALL_ARGUMENTS, "seed=3"]
    assert main([command, *arguments, "--runs", str(here)]) == 1
    (stored,) = (run for run in runs.scan(here) if run.kind == command)
    assert stored.status == "FAILED"
    # The first process still lives, here: so says the copy as well, of which nobody holds the lock.
    entry = stored.entry | {"status": "RUNNING"}
    shutil.copytree(here, there)
    (there / stored.id / "run.json").write_text(json.dumps(entry))
    assert runs.find_run(stored.id, there).status == "RUNNING"
    monkeypatch.delenv("FAKE_FAIL")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    assert main(["resume", stored.id, "--runs", str(there)]) == 0
    assert {run.status for run in runs.scan(there)} == {"COMPLETED"}
    assert set(runs.load_runs(there)["config.seed"]) == {3}
    attempts = {run.entry["model"]: len(run.entry["attempts"]) for run in runs.scan(there) if run.kind == "run"}
    assert attempts == {"ddl": 1, "mlp": 2}
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    capsys.readouterr()
    assert main(["resume", stored.id, "--runs", str(there)]) == 1
    assert "cannot be resumed: it is complete" in capsys.readouterr().err


def test_a_comparison_takes_what_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(tmp_path) == 0
    capsys.readouterr()
    arguments = ["tasks=harmonic", "models=ddl,mlp,gru", *SMALL_ARGUMENTS]
    assert main(["compare", "with", *arguments, "--runs", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "2 of 3 runs are complete already" in said.err
    assert all(name in said.out for name in ("ddl", "mlp", "gru"))
    assert [len(run.entry["attempts"]) for run in runs.scan(tmp_path)] == [1] * 5


def test_a_comparison_whose_runs_are_all_complete_concludes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(tmp_path) == 0
    # The real workers: with nothing to do there are none.
    monkeypatch.setattr(sweeping, "run_all", workers.run_all)
    assert main(["compare", "with", "tasks=harmonic", "models=ddl,mlp", *SMALL_ARGUMENTS, "--runs", str(tmp_path)]) == 0
    assert "2 of 2 runs are complete already" in capsys.readouterr().err
    (stored,) = (run for run in runs.scan(tmp_path) if run.kind == "compare")
    assert stored.status == "COMPLETED"


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DDL_DYN_THREADS", raising=False)
    monkeypatch.setattr(workers, "available_threads", lambda: 8)
    for count, share in ((1, "8"), (3, "2"), (8, "1"), (20, "1")):
        with workers._shared_cores(count):
            assert os.environ["DDL_DYN_THREADS"] == share
        assert "DDL_DYN_THREADS" not in os.environ


def test_missing_says_why_each_cell_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep(tmp_path, "model_args.layers=1,2,3") == 0
    (stored,) = tmp_path.glob("sweep-*")
    lines = (stored / "cells.csv").read_text().splitlines()
    names = [line.partition(",")[0] for line in lines[1:]]
    assert lines[1].endswith(",harmonic,ddl,observed,1")

    def change(name: str, **values: Any) -> None:
        path = tmp_path / name / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    change(names[0], status="RUNNING", process={"pid": 2**22 + 1, "machine": "x"}, heartbeat="2020-01-01T00:00:00Z")
    change(names[1], status="INTERRUPTED")
    change(names[2], status="FAILED", error="OSError: full")
    (tmp_path / names[3] / "run.json").write_text("{")
    for path in (tmp_path / names[4]).iterdir():
        path.unlink()
    capsys.readouterr()
    assert main(["missing", stored.name[:9], "--runs", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for word in ("5 of 6 cells", "DEAD", "process is gone", "INTERRUPTED", "at update 40 of 40", "OSError: full"):
        assert word in said
    assert "NEVER STARTED" in said
    assert "UNREADABLE" in said


def test_missing_without_a_sweep_and_with_a_stranger_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["missing", "--runs", str(tmp_path)]) == 1
    assert "no sweeps in" in capsys.readouterr().err
    assert sweep(tmp_path) == 0
    (stored,) = tmp_path.glob("sweep-*")
    (stored / "cells.csv").write_text("run,task\n../../etc,x\n")
    capsys.readouterr()
    assert main(["missing", "--runs", str(tmp_path)]) == 1
    assert "cells.csv is damaged" in capsys.readouterr().err
    assert main(["missing", next(tmp_path.glob("c*")).name, "--runs", str(tmp_path)]) == 1
    assert "is no sweep but a run" in capsys.readouterr().err


def test_an_interrupted_cell_continues_from_its_checkpoint(tmp_path: Path) -> None:
    config = resolve_run({**SMALL, "task": "harmonic", "model": "ddl"})
    each = Job(run_id="c" + config_hash(config)[:15], config=config.model_dump(mode="json"))

    def stop(now: Mapping[str, Any]) -> None:
        if now["update"] >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do_cell(each, Launch(base=tmp_path, on_account=stop))
    stored = runs.Run(tmp_path / each["run_id"])
    assert stored.status == "INTERRUPTED"
    seen: list[int] = []
    do_cell(each, Launch(base=tmp_path, on_account=lambda now: seen.append(now["update"])))
    again = runs.Run(stored.path)
    assert (again.status, len(again.entry["attempts"])) == ("COMPLETED", 2)
    # The pretended training starts at the update of its checkpoint.
    assert seen[0] >= 10
    do_cell(each, Launch(base=tmp_path))
    assert len(runs.Run(stored.path).entry["attempts"]) == 2


def test_a_cell_that_another_machine_runs_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = resolve_run({**SMALL, "task": "harmonic", "model": "ddl"})
    each = Job(run_id="c" + config_hash(config)[:15], config=config.model_dump(mode="json"))
    do_cell(each, Launch(base=tmp_path))
    path = tmp_path / each["run_id"] / "run.json"
    done = json.loads(path.read_text())
    from ddl_dyn.runs.heartbeat import now

    path.write_text(json.dumps(done | {"status": "RUNNING", "process": {"pid": 1, "machine": "x"}, "heartbeat": now()}))
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            path.write_text(json.dumps(done))

    monkeypatch.setattr(cells_module.time, "sleep", nap)
    do_cell(each, Launch(base=tmp_path))
    assert len(naps) == 3
    assert len(json.loads(path.read_text())["attempts"]) == 1


def test_the_default_comparison_has_rows_in_which_theory_can_fail():
    _, cells = resolve_compare({})
    lifts = {(cell.config.task, cell.config.model_args["lift"]) for cell in cells}
    assert lifts == {("van_der_pol", "linear"), ("twisted_mirror", "identity")}
    _, cells = resolve_compare({"tasks": ["twisted_mirror"]})
    assert {cell.config.model_args["lift"] for cell in cells} == {"linear"}
