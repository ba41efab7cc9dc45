"""Place that `tasks` is imported from: never from the working directory, and from inside the package in a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ddl_dyn.tasks import TASKS

ROOT = Path(__file__).parents[2]
# Names of the package's own rooms, and of files that task runners and users commonly have.
HOSTILE = ("tasks", "models", "config", "plots", "runs", "metrics", "engine", "training", "analysis", "results", "cli")
TINY_RUN = [
    *("task=van_der_pol", "model=resnet", "seeds=2", "train.updates=4", "train.validate_every=2", "train.horizon=3"),
    *("train.batch=4", "train.compile=off", "data.n_train=8", "data.n_val=4", "data.n_test=4", "data.n_ood=0"),
    *("data.steps=12", "eval.short=5", "eval.long=10"),
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    for name in HOSTILE:
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the working directory was imported')\n")
    return folder


def in_folder(folder: Path, *arguments: str, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import ddl_dyn.tasks; print(len(ddl_dyn.tasks.TASKS))"),
        ("-c", "from ddl_dyn import TASKS, make_model, make_task; print(make_task('henon').key())"),
        ("-m", "ddl_dyn", "tasks"),
        ("-m", "ddl_dyn", "models"),
        ("-m", "ddl_dyn", "run", "with", *TINY_RUN),
        ("-m", "ddl_dyn", "list"),
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_files_of_the_working_directory_are_not_imported(hostile: Path, arguments: tuple[str, ...]) -> None:
    done = in_folder(hostile, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was imported" not in done.stdout + done.stderr


def test_the_hostile_files_would_be_imported_by_their_names(hostile: Path) -> None:
    assert "tasks.py of the working directory was imported" in in_folder(hostile, "-c", "import tasks").stderr


@pytest.mark.slow
def test_a_wheel_holds_the_tasks_and_their_data_inside_the_package(tmp_path: Path) -> None:
    source, out, unpacked = tmp_path / "source", tmp_path / "out", tmp_path / "unpacked"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("ddl_dyn", "tasks", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    pip = ("-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--quiet", "-w", str(out), str(source))
    done = in_folder(tmp_path, *pip)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(unpacked)
    inside = {name for name in names if ".dist-info/" not in name and ".data/" not in name}
    assert {name.partition("/")[0] for name in inside} == {"ddl_dyn"}
    beside = {name.partition(".data/data/")[2] for name in names - inside}
    assert {"share/doc/ddl-dyn/results.md", "share/doc/ddl-dyn/benchmarks/architectures.toml"} <= beside
    for path in sorted((ROOT / "tasks").rglob("*")):
        if path.is_file() and path.suffix in (".py", ".csv"):
            assert f"ddl_dyn/tasks/{path.relative_to(ROOT / 'tasks')}" in names
    code = (
        "import ddl_dyn.tasks as tasks; print(tasks.__file__);"
        "data = tasks.make_dataset(tasks.make_task('sunspots'), n_train=4, n_val=1, n_test=1, steps=5);"
        "print(len(tasks.TASKS), data.train.states.shape)"
    )
    done = in_folder(tmp_path, "-c", code, path=unpacked)
    assert done.stdout.split("\n")[0].startswith(str(unpacked)), done.stdout + done.stderr
    assert done.stdout.split("\n")[1] == f"{len(TASKS)} (4, 6, 3)"
