"""A stored run that names a file of code: what executes it, and only then."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ddl_dyn import open_run, runs
from ddl_dyn.cli.main import main
from ddl_dyn.experiments.rerun import resume
from ddl_dyn.results.comparison.records import conclude
from ddl_dyn.runs import atomic_files, trust
from tests.helpers.commands import ROOT

SMALL = [
    *("task=my_task.py:Selkov", "model=my_step.py:SineStep", "seeds=2", "train.updates=4", "train.validate_every=2"),
    *("train.horizon=3", "data.n_train=4", "data.n_val=2", "data.n_test=2", "data.n_ood=0", "data.steps=10"),
    *("eval.short=3", "eval.long=5", "train.device=cpu"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files of docs/adding.md, each leaving a mark when it is executed, and a run."""
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "adding.md").read_text(encoding="utf-8"), re.S):
        name = block.splitlines()[0].removeprefix("# ")
        mark = f"\n__import__('pathlib').Path({str(tmp_path / 'executed')!r}).write_text({name!r})\n"
        (tmp_path / name).write_text(block + mark, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trust, "_allowed", set())
    assert main(["run", "with", *SMALL]) == 0
    forget(tmp_path)
    return tmp_path


def forget(folder: Path) -> None:
    """As if another process had made the run."""
    import sys

    (folder / "executed").unlink(missing_ok=True)
    for name in [name for name in sys.modules if name.startswith(("ddl_dyn_user_", "tasks_user_"))]:
        del sys.modules[name]


def executed(folder: Path) -> bool:
    return (folder / "executed").exists()


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip()


AGAIN = [["replay", "1"], ["analyse", "1"], ["portrait", "1", "--what", "error"], ["resume", "1"]]


def unfinished(folder: Path) -> None:
    path = folder / "runs" / "1" / "run.json"
    atomic_files.write_json(path, runs.read_json(path) | {"status": "INTERRUPTED"})


@pytest.mark.parametrize("command", AGAIN, ids=lambda command: command[0])
def test_no_code_runs_unless_the_user_names_its_file(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if command[0] == "resume":
        unfinished(folder)
    capsys.readouterr()
    assert main(command) == 1
    assert said(capsys) == (
        "error: run 1 would execute my_task.py and my_step.py, which are no part of ddl-dyn; read them first, then add "
        "--trust my_task.py --trust my_step.py"
    )
    assert main([*command, "--trust", "my_step.py"]) == 1
    assert "would execute my_task.py, which is no part of ddl-dyn; read it first" in said(capsys)
    assert not executed(folder)


@pytest.mark.slow
def test_reading_and_drawing_what_is_stored_runs_no_code(folder: Path) -> None:
    for command in (["list"], ["show", "1"], ["export"], ["portrait", "1"], ["report"], ["watch", "--once"]):
        assert main(command) == 0
    assert not executed(folder)


def test_code_that_is_named_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--trust", "my_task.py", "--trust", str(folder / "my_step.py")]
    assert main(["replay", "1", "--tolerance", "0", *named]) == 0
    assert executed(folder)
    unfinished(folder)
    assert main(["resume", "1", *named]) == 0
    assert runs.find_run("1").status == "COMPLETED"
    assert "Traceback" not in said(capsys)


def test_code_that_has_changed_does_not_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "my_step.py"
    path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["replay", "1", "--trust", "my_task.py", "--trust", "my_step.py"]) == 1
    assert re.fullmatch(
        r"error: my_step\.py is not what run 1 was made with \(SHA-256 \w{12}…, then \w{12}…\); restore it, or start "
        r"a new run",
        said(capsys),
    )
    # A stranger's run.json may hold anything in the place of digests, and neither stops this.
    stored = folder / "runs" / "1" / "run.json"
    for value in (None, [], {}, {"my_step.py": 3}, "x"):
        atomic_files.write_json(stored, runs.read_json(stored) | {"code": value})
        assert main(["replay", "1", "--trust", "my_task.py", "--trust", "my_step.py"]) == 1
        assert "is not what run 1 was made with" in said(capsys)
    assert not executed(folder)


def test_what_is_named_must_exist_and_be_of_use(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    assert main(["replay", "1", "--trust", "none.py"]) == 1
    assert said(capsys) == f"error: --trust none.py: there is no such file (looked in {folder})"
    (folder / "other.py").write_text("")
    named = ["--trust", "my_task.py", "--trust", "my_step.py", "--trust", "other.py"]
    assert main(["replay", "1", *named]) == 1
    assert said(capsys) == f"error: --trust {folder}/other.py: run 1 executes no such file; leave it out"
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    with pytest.raises(
        runs.RunError, match=r"made with code from my_task\.py, which is not in .*; change to the folder"
    ):
        trust.check_code(runs.find_run("1", folder / "runs"))
    assert not executed(folder)


def test_a_stranger_cannot_bring_a_file_of_his_own(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # His folder names a file that lies in it, with the right digest.
    stored = runs.find_run("1", folder / "runs")
    evil = stored.path / "evil.py"
    evil.write_text(f"__import__('pathlib').Path({str(tmp_path / 'executed')!r}).write_text('x')\n")
    atomic_files.write_json(stored.path / "config.json", stored.config | {"model": f"{evil}:X", "task": "van_der_pol"})
    atomic_files.write_json(stored.path / "run.json", stored.entry | {"code": trust.digests({"model": f"{evil}:X"})})
    capsys.readouterr()
    for command in (["replay", "1"], ["replay", "1", "--trust", "my_step.py"]):
        assert main(command) == 1
        assert f"run 1 would execute {evil}" in said(capsys)
    assert not executed(folder)


def test_every_place_that_can_name_a_file_is_looked_at() -> None:
    config = {
        "tasks": ["van_der_pol", "a.py:T"],
        "models": ("b.py:M", "ddl", "b.py:N"),
        "per_task": {"a.py:T": {"model": "c.py:M"}},
        "per_model": {"ddl": {"task": "d.py"}},
    }
    assert trust.code_files(config) == ["a.py", "b.py", "c.py", "d.py"]
    assert trust.code_files({"task": 3, "model": None, "tasks": "x.py:T", "per_task": [1]}) == []


def test_a_run_of_the_suites_own_needs_no_naming(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = runs.find_run("1", folder / "runs")
    atomic_files.write_json(stored.path / "config.json", stored.config | {"model": "ddl", "task": "van_der_pol"})
    trust.check_code(runs.find_run("1", folder / "runs"))
    unfinished(folder)
    trust.allow(["my_task.py"])
    with pytest.raises(runs.RunError, match="run 1 executes no such file"):
        resume("1", folder / "runs", conclude)
    capsys.readouterr()


def test_python_names_the_files_for_one_run(folder: Path) -> None:
    with pytest.raises(runs.RunError, match=r"would execute my_task\.py and my_step\.py"):
        open_run("1").predict()
    named = open_run("1", trust=["my_task.py", "my_step.py"])
    assert not executed(folder), "opening a run executes nothing"
    # Another run that is opened beside it needs none of them, and is not refused for theirs.
    plain = [*SMALL[2:], "task=van_der_pol", "model=resnet"]
    assert main(["run", "with", *plain]) == 0
    other = open_run("2")
    assert named.predict().states.shape == (2, 2, 6, 2)
    assert executed(folder)
    assert other.predict().states.shape == (2, 2, 6, 2)
    with pytest.raises(ValueError, match=r"nowhere\.py"):
        open_run("1", trust=["nowhere.py"])


EVIL = {"run": '{"model": "evil.py:Evil"}', "compare": '{"models": ["ddl", "evil.py:Evil"]}'}
HIDDEN = (
    'models = ["evil.py:Evil"]',
    'per_model."evil.py:Evil".seeds = 2',
    '[per_task."van_der_pol"]\nmodel = "evil.py:Evil"',
    '[task_args]\nx = [["evil.py"]]',
)


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file that leaves a mark when it is executed."""
    (tmp_path / "evil.py").write_text(f"__import__('pathlib').Path({str(tmp_path / 'executed')!r}).write_text('x')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trust, "_allowed", set())
    return tmp_path


@pytest.mark.parametrize("settings", HIDDEN)
@pytest.mark.parametrize("command", [[], ["print_config"]], ids=["sweep", "print_config"])
def test_settings_in_toml_execute_no_code(
    stranger: Path, settings: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (stranger / "grid.toml").write_text(settings)
    assert main(["sweep", "grid.toml", *command]) == 1
    assert said(capsys) == (
        "error: the settings in a file would execute evil.py, which is no part of ddl-dyn; read it first, then add "
        "--trust evil.py"
    )
    assert not executed(stranger)


@pytest.mark.parametrize("kind", EVIL)
def test_settings_in_json_execute_code_that_is_trusted_or_typed_alone(
    stranger: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (stranger / "settings.json").write_text(EVIL[kind])
    key = "model" if kind == "run" else "models"
    words = [kind, "print_config", "with", "settings.json"]
    # Another file of that name is not this one.
    (stranger / "mine").mkdir()
    (stranger / "mine" / "evil.py").write_text("")
    assert main(words) == 1
    assert main([*words, "task_args.x=mine/evil.py:Evil", "note=evil.py:Evil is bad"]) == 1
    assert "would execute evil.py" in said(capsys)
    assert main([*words, f"{key}=ddl"]) == 0, "a value typed over the file's executes nothing of the file's"
    assert not executed(stranger)
    for more in ([f"{key}=./evil.py:Evil"], ["--trust", "evil.py"], ["--trust=evil.py"]):
        capsys.readouterr()
        (stranger / "executed").unlink(missing_ok=True)
        forget(stranger)
        assert main([*words, *more]) == 1
        assert "defines no 'Evil'" in said(capsys)
        assert executed(stranger)
        assert main(words) == 1
        assert "would execute evil.py" in said(capsys), "trust holds for one command"


def test_trust_without_need_is_refused(stranger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "print_config", "--trust", "evil.py"]) == 1
    assert said(capsys) == f"error: --trust {stranger}/evil.py: the settings name no such file; leave it out"
    assert main(["sweep", "print_config", "--trust"]) == 2
    assert "--trust needs a file of code" in said(capsys)
