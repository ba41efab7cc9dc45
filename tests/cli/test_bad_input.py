"""Input that was taken in silence, or refused in Python's words: one clear line each, and nothing written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from ddl_dyn.cli.main import main
from ddl_dyn.config.numerals import real, whole_number
from ddl_dyn.config.parsing import parse_updates
from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.sweep.grid import resolve_sweep
from ddl_dyn.models import make_model
from ddl_dyn.runs import atomic_files
from ddl_dyn.runs.run import config_digest
from tests.helpers.run_folders import make_run

LONG = "x" * 10_000
WORDS = {
    "train.updates=1_000": "train.updates: input should be a valid integer, got '1_000'",
    "train.updates=٣": "train.updates: input should be a valid integer, got '٣'",
    "data.n_ood=1e-400": "data.n_ood: input should be a valid integer, got '1e-400'",
    "train.tf32=-0.0": "train.tf32: input should be a valid boolean, got -0.0",
    "train.lr=0x10": "train.lr: input should be a valid number, got '0x10'",
    "train.batch=0b11": "train.batch: input should be a valid integer, got '0b11'",
    "train.updates=2.5": "train.updates: input should be a valid integer, got 2.5",
    "train.updates=1e308": "train.updates: input should be an integer of at most 9,007,199,254,740,992, got 1e+308",
    f"train.patience=1{'0' * 30}": "train.patience: input should be an integer of at most 9,007,199,254,740,992, got 1",
    "model_args.layers=1e16": "layers: input should be an integer of at most 9,007,199,254,740,992, got 1e+16",
    "task_args.mu=1_0": "mu must be a number, got '1_0'",
    "task_args.mu=1,2": "mu must be a number, got (1, 2); a run takes one value, a sweep takes several",
    "task_args.mu=[[1]]": "mu must be a number, got [[1]]",
    "task_args.mu={1:2}": "mu must be a number, got '{1:2}'",
    "task_args.mu=1j": "mu must be a number, got '1j'",
    "task_args.dt=nan": "dt must be a number, got 'nan'",
    "task_args.dt=1e400": "dt must lie in (0, ∞), got inf",
    "task_args.mu=1e-310": "mu must be 0 or between 1e-12 and 1e+12 in magnitude",
    "train.learning_rate=1": "(did you mean 'train.lr'?)",
    "learning_rate=1": "(did you mean 'train.lr'?)",
    "train.LR=1": "(did you mean 'train.lr'?)",
    "train.epochs=3": "(did you mean 'train.updates'?)",
    "train.batch_size=3": "(did you mean 'train.batch'?)",
    "model_args.width=3": "(did you mean 'hidden_dim'?)",
    "model_args.depth=3": "(did you mean 'layers'?)",
    "model=DDL": "(did you mean 'ddl'?)",
    "model=neural-ode": "(did you mean 'neural_ode'?)",
    "task=Henon": "(did you mean 'henon'?)",
    "task=VanDerPol": "(did you mean 'van_der_pol'?)",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 1) -> str:
    """The one line that a command is refused with."""
    assert main(words) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.strip().splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("typed", WORDS)
def test_what_is_typed(typed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert WORDS[typed] in refused(["run", "with", typed], capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["task", "model", "train.lr", "task_args.mu", "model_args.layers", f"train.{LONG}"])
def test_a_long_value_is_not_echoed_whole(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["run", "with", f"{key}={LONG}"], capsys)
    assert "xxx" in line
    assert len(line) < 1200


def test_settings_without_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert "(did you forget `with` before task=henon?)" in refused(["run", "task=henon"], capsys, 2)
    assert "(did you forget `with` before a=1?)" in refused(["run", "a=1", "b=2", "with", "seeds=3"], capsys, 2)
    assert "with" not in refused(["run", "prnt_config"], capsys, 2)


def test_integral_floats_are_integers_everywhere() -> None:
    typed = "train.updates=1e3 data.n_train=1e2 seeds=2.0 model_args.layers=3.0 train.patience=4.0 budget.latent=1e1"
    found = resolve_run(parse_updates(typed.split()))
    assert (found.train.updates, found.data.n_train, found.seeds) == (1000, 100, 2)
    assert (found.model_args["layers"], found.train.patience, found.budget.latent) == (3, 4, 10)
    assert all(isinstance(value, int) for value in (found.train.updates, found.model_args["layers"]))
    assert TrainConfig(updates=1e3).updates == 1000  # type: ignore[arg-type]
    assert make_model("ddl", state_dim=2, layers=2.0).config.layers == 2
    cells = resolve_sweep(parse_updates(["tasks=van_der_pol", "models=ddl", "train.updates=1e3,2e3", "jobs=2.0"]))[1]
    assert [cell.config.train.updates for cell in cells] == [1000, 2000]
    with pytest.raises(ValueError, match=r"layers: Input should be a valid integer, got 2\.5"):
        make_model("ddl", state_dim=2, layers=2.5)


def test_numbers_as_text() -> None:
    assert [real(text) for text in ("1", "-1.5", ".5", "5.", "1e3", " +2E-3 ")] == [1, -1.5, 0.5, 5, 1000, 0.002]
    assert [whole_number(text) for text in ("1e3", "-4", "7.0")] == [1000, -4, 7]
    for text in ("1_000", "٣", "1e400", "nan", "inf", "0x10", "", "1,5", "1 000", "１"):
        with pytest.raises(ValueError, match="in plain digits"):
            real(text)
    with pytest.raises(ValueError, match="whole number"):
        whole_number("2.5")


FILES = {
    "twice.json": ('{"train": {"lr": 0.1, "lr": 0.2}}', "the key 'lr' stands there twice"),
    "deep.json": ("[" * 5000, "cannot be read as JSON: it is nested too deeply"),
    "inf.json": ('{"train": {"lr": 1e400}}', "train.lr: input should be a finite number"),
    "deep.toml": ("x = " + "[" * 5000, "cannot be read as TOML: it is nested too deeply"),
    "deep.yaml": ("x: " + "[" * 600 + "]" * 600, "cannot be read as YAML: it is nested too deeply"),
    "bomb.yaml": ("a: &a [1, 1]\nb: [*a, *a]", "cannot be read as YAML: it repeats a part by *name"),
    "code.yaml": ("a: !!python/object/apply:os.getcwd []", "cannot be read as YAML: it gives a value the type"),
    "twice.yml": ("seeds: 1\nseeds: 2", "cannot be read as YAML: the key 'seeds' stands there twice"),
    "key.yaml": ("1: 2", "cannot be read as YAML: the key 1 is no text; put it in quotes"),
    "list.yaml": ("- task", "list.yaml should hold keys with values, such as those of print_config, got a list"),
    "torn.yaml": ("a: [1", "torn.yaml cannot be read as YAML: while parsing a flow sequence"),
    "empty.toml": ("[train]\nLR = {}", "unknown key 'train.LR'"),
    "nested.toml": ("[train]\ntf32 = {1 = {2 = 3}}", "train.tf32: input should be a valid boolean"),
    "inf.toml": ("[train]\nclip = 1e400", "train.clip: input should be a finite number"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_stands_in_a_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, words = FILES[name]
    (tmp_path / name).write_text(text)
    lines = {refused(words, capsys) for words in (["run", "with", name], ["sweep", name], ["sweep", "with", name])}
    assert any(words in line for line in lines)
    # One reader: what is wrong with the file itself is said in the same words everywhere.
    assert len(lines) == 1 or not name.startswith(("deep", "bomb", "code", "twice", "key", "list", "torn"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_keys_that_are_no_words_in_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["sweep", "with", "tasks=van_der_pol", "models=ddl", "train.tf32={1:{2:3}}"], capsys)
    assert line == "error: train.tf32: input should be a valid boolean, got '{1:{2:3}}'"


def test_a_section_that_is_a_value_in_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(["sweep", "with", "tasks=van_der_pol", "models=ddl", "model_args=3"], capsys)
    assert "model_args is a section, got 3" in line


LOOSE = '''
from dataclasses import dataclass
from typing import Any
from ddl_dyn.tasks.base import FlowTask, join

@dataclass(frozen=True, kw_only=True)
class Loose(FlowTask):
    """Parameters without a type of their own, one of them with one that does not exist."""

    state_names = ("x", "y")
    source = equations = "a test"
    family = "cycle"
    timescale = 6.28
    dt: float = 0.1
    b: Any = 1.0
    c: "Nowhere" = 1
    d: Any = None

    def vector_field(self, t, x):
        return join(x, x[..., 1], -x[..., 0] * self.b * self.c)

    def initial_states(self, n, *, rng, split):
        low, high = (1.6, 2.0) if split == "ood" else (0.2, 1.5)
        return rng.uniform(low, high, size=(n, 2))
'''


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("b=[[1]]", "b must be a number, got [[1]]"),
        ("b=1,2", "b must be a number, got (1, 2); a run takes one value, a sweep takes several"),
        ("c=x", "c must be an integer or a number, got 'x'"),
        ("dt=nan", "dt must be a number, got 'nan'"),
        ("dt=[1]", "dt must be a number, got [1]"),
        ("d=[[1]]", "parameters must be numbers, texts or tuples of them, got d = [[1]]"),
    ],
)
def test_parameters_of_a_users_own_task(
    typed: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(LOOSE)
    assert main(["run", "print_config", "with", "task=mine.py:Loose", "task_args.c=1.5"]) == 0
    capsys.readouterr()
    assert words in refused(["run", "with", "task=mine.py:Loose", f"task_args.{typed}"], capsys)


def series(value: Callable[[int], object], head: str = "t,x") -> str:
    return head + "\n" + "".join(f"{i},{value(i)}\n" for i in range(300))


SERIES = {
    "huge": (series(lambda i: 1e200 * math.sin(i)), "values must lie between 1e-70 and 1e+70 in magnitude"),
    "tiny": (series(lambda i: 1e-310 * math.sin(i)), "values must lie between 1e-70 and 1e+70 in magnitude"),
    "rounding": (series(lambda i: 1e17 + 16 * (i % 7)), "column 'x': constant in the training segment"),
    "constant": (series(lambda _: "5,0.1", "t,x,y"), "every value column: constant in the training segment"),
    "overflow": (series(lambda i: "1e400" if i == 5 else i % 7), "line 7, column 'x': expected a finite number"),
    "underscore": (series(lambda i: f"1_0{i % 7}"), "write it without separators between digits"),
    "arabic": (series(lambda i: "٣٤"[i % 2]), "expected a finite number, got '٣'"),
    "other dates": ("day,x\n" + "31/01/2020,3\n" * 9, "dates are read in the form 2020-01-31"),
    "same dates": ("day,x\n" + "2020-01-01,3\n" * 9, "line 3, column 'day': time must increase"),
    "no date": ("day,x\n2020-02-29,1\n2020-02-30,2\n", "'2020-02-30' is no date of the calendar"),
    "mixed zones": (
        "day,x\n2020-01-01T00:00,1\n2020-01-01T01:00Z,2\n",
        "line 3, column 'day': '2020-01-01T01:00Z' names an offset from UTC, and the first sample's "
        "'2020-01-01T00:00' lacks one",
    ),
    "headerless": ("1,3\n" * 9, "line 1: no header line, every cell is a value; give header=false"),
    "one column": ("x\n" + "1\n3\n" * 9, "a series without a time column takes its step in task_args.dt"),
    "fill": (series(lambda i: -999.9 if i == 20 else i % 7), "line 22, column 'x': -999.9 often stands for a missing"),
    "gap": ("t,x\n" + "".join(f"{i + 9 * (i > 40)},{i % 7}\n" for i in range(90)), "resample=STEP interpolates"),
}


@pytest.mark.parametrize("name", SERIES)
def test_a_series_that_cannot_be_learned(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, words = SERIES[name]
    (tmp_path / "table.csv").write_text(text)
    assert words in refused(["run", "with", "task=observed", "task_args.path=table.csv"], capsys)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("value_columns=[]", "value_columns is empty; name one of t, x, y, or leave it out for all"),
        ("value_columns=t", "value_columns names 't', which is the time column"),
        ("value_columns=x,y task_args.id_column=y", "value_columns names 'y', which is the id column"),
    ],
)
def test_columns_that_contradict_each_other(
    columns: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").write_text(series(lambda i: f"{i % 7},{i % 5}", "t,x,y"))
    typed = ["task=observed", "task_args.path=table.csv", *f"task_args.{columns}".split()]
    assert words in refused(["run", "with", *typed], capsys)


@pytest.mark.parametrize(
    "key", ["model_args", "task_args", "train", "data", "eval", "seeds", "task", "model", "budget"]
)
@pytest.mark.parametrize("value", ["a text", [1], None, 3.5, {"a": {"b": 1}}])
def test_a_stored_configuration_of_another_shape(
    key: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "runs", "1")
    config = json.loads((run / "config.json").read_text()) | {key: value}
    atomic_files.write_json(run / "config.json", config)
    entry = json.loads((run / "run.json").read_text()) | {"config_sha256": config_digest(config)}
    for status, commands in (
        ("COMPLETED", (["replay", "1"], ["analyse", "1"], ["portrait", "1"], ["report", "1"], ["show", "1"])),
        ("INTERRUPTED", (["resume", "1"], ["list"], ["show", "1"], ["watch", "--once"])),
    ):
        atomic_files.write_json(run / "run.json", entry | {"status": status})
        for words in commands:
            assert main(words) in (0, 1), words
            said = capsys.readouterr().err
            for fault in ("AttributeError", "TypeError", "KeyError", "IndexError", "Traceback"):
                assert fault not in said, words


@pytest.mark.parametrize("more", [["task=van_der_pol"], ["task=parity", "data.normalize=component"]])
def test_a_loss_that_the_states_do_not_allow_is_refused_beforehand(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(["run", "with", "train.loss=cross_entropy", "data.n_train=4", "data.n_val=2", *more], capsys)
    assert "train.loss=cross_entropy needs states that are one-hot codes" in line
    assert list(tmp_path.iterdir()) == []
