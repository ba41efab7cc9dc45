"""Settings at random: any key of any section, task and model, with values that fit it and values that fit nothing.

A value that fits is trained with for a moment. One of absurd size is not: there all is real up to the first number that
would be computed, and what a run keeps of its configuration is looked at.
"""

from __future__ import annotations

import dataclasses
import json
import re
import string
import types
import typing
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ddl_dyn.cli.facts import required_parameters
from ddl_dyn.config.parsing import keys_of
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.models import MODELS, model_class
from ddl_dyn.runs import Run
from ddl_dyn.tasks import TASKS, make_task
from tests.torture.harness import Said, call, faults, one_line, tree

TINY = [
    *("seeds=1", "train.updates=2", "train.validate_every=1", "train.horizon=2", "train.batch=4", "data.n_train=4"),
    *("data.n_val=2", "data.n_test=2", "data.n_ood=0", "data.steps=8", "eval.short=2", "eval.long=4"),
    *("train.compile=off", "eval.bootstrap=100", "data.radii=[]"),
]
SECTIONS = ("data", "train", "eval", "budget")
NUMBERS = (
    *("0", "1", "2", "3", "-1", "1e3", "2.5", "-0.0", "0.5", "1.0", "nan", "inf", "-inf", "1e400", "1e-400", "1e308"),
    *("1e-310", "1e-12", "1_000", "٣", "１", "0x10", "1j", "1e18", "18446744073709551616", "4294967296", "2147483648"),
    *("-9223372036854775809", "1" + "0" * 30, "9" * 400, "1e5", "65536", "65537", "1000000000", "0.1", "1e-3", ".5"),
)
TEXTS = (
    *(
        "",
        "none",
        "null",
        "None",
        "true",
        "True",
        "false",
        "x",
        "'x'",
        '"x"',
        "ß",
        "𝔘",
        "\u202e",
        "\x1b[2J\x1b]0;x\x07",
    ),
    *("a" * 5000, "a b", " 1 ", "a=b", "a,b", "%s", "{0}", "${HOME}", "~", "../../etc/passwd", "/dev/zero", "\x00"),
    *("lambda: 0", "__import__('os').getcwd()", "auto", "on", "off", "ddl", "latent", "identity", "\ud800", "a\nb"),
)
SHAPES = (
    *("[]", "()", "{}", "[1]", "[1,2]", "1,2", "1,2,3", "(1,)", "{1:2}", "{'a':1}", "[[1]]", "[[1,2],[3]]", "[" * 200),
    *("[1e-3,1e-2]", "[0.1,0.1]", "[1.5,2]", "['a']", "[None]", "[true]", "{1,2}", "[nan]", "[1,'a']"),
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Case:
    """Words of a command, settings that must be in effect after it, and whether it trains."""

    words: list[str]
    asked: dict[str, str]
    trains: bool
    file: str | None = None


def _literals(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return [str(item) for item in typing.get_args(annotation)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [text for part in typing.get_args(annotation) for text in _literals(part)]
    return ["true", "false"] if annotation is bool else []


def _fields(model: str, task: str) -> dict[str, list[str]]:
    """Every key of a run of a model on a task -> its words, where it takes some."""
    found: dict[str, list[str]] = {}
    for key in keys_of(RunConfig):
        section, _, name = key.rpartition(".")
        schema: Any = RunConfig if not section else RunConfig.model_fields[section].annotation
        found[key] = _literals(schema.model_fields[name].annotation)
    for name, field in model_class(model).Config.model_fields.items():
        found[f"model_args.{name}"] = _literals(field.annotation)
    for part in dataclasses.fields(TASKS[task]):
        if part.init:
            found[f"task_args.{part.name}"] = []
    return found


def _value(rng: np.random.Generator, words: list[str]) -> tuple[str, bool]:
    """A text, and whether a training with it is short whatever it means."""
    kind = rng.random()
    if words and kind < 0.5:
        return str(rng.choice(words)), True
    if kind < 0.65:
        return str(rng.choice(["1", "2", "3", "0.5", "1e-3", "4", "0", "0.1", "1.5"])), True
    if kind < 0.75:
        return f"{rng.choice(['', '-'])}{rng.choice([1, 2, 3.7])}e{rng.integers(-330, 330)}", False
    if kind < 0.8:
        return "".join(rng.choice(list(string.printable + "αß٣\u200e"), rng.integers(1, 12))), False
    if kind < 0.9:
        return str(rng.choice(NUMBERS)), False
    return str(rng.choice(TEXTS) if kind < 0.95 else rng.choice(SHAPES)), False


def make(seed: int, number: int) -> Case:
    """The case of that number."""
    rng = np.random.default_rng([seed, number])
    task = str(rng.choice([name for name, cls in TASKS.items() if not required_parameters(cls)]))
    model = str(rng.choice(list(MODELS)))
    fields = _fields(model, task)
    names = [key for key in fields if key not in ("task", "model", "task_args", "model_args", *SECTIONS)]
    asked, trains = {"task": task, "model": model}, True
    for key in rng.choice(names, int(rng.integers(1, 4)), replace=False):
        asked[str(key)], short = _value(rng, fields[key])
        trains &= short
    # Seconds for a thousand monomials of many components are the model's own.
    trains &= model != "sindy" or make_task(task).state_dim <= 6
    odd = rng.random()
    if odd < 0.03:
        key = str(rng.choice(["task", "model", "task_args", "model_args", *SECTIONS]))
        asked[key], trains = _value(rng, [])[0], False
    elif odd < 0.06:
        asked[
            str(rng.choice(["", ".", "train.", "a.b.c", "train.Lr", "data.nois", "x" * 2000, "train.lr.x", "\x1b"]))
        ] = "1"
    command = str(rng.choice(["run", "run", "run", "run", "sweep", "compare"]))
    if command != "run":
        asked = {{"task": "tasks", "model": "models"}.get(key, key): value for key, value in asked.items()}
        trains = False
    typed = [f"{key}={value}" for key, value in asked.items()]
    taken = [word for word in TINY if word.partition("=")[0] not in asked]
    file = None
    if command == "run" and rng.random() < 0.25 and "" not in asked:
        file, typed = json.dumps(_nested(asked)), ["settings.json"]
    return Case([command, "with", *taken, *typed], asked, trains, file)


def _nested(asked: dict[str, str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, text in asked.items():
        *sections, last = key.split(".")
        place = out
        for name in sections:
            place = place[name] if isinstance(place.get(name), dict) else place.setdefault(name, {})
            if not isinstance(place, dict):
                break
        else:
            place[last] = _json(text)
    return out


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def means(text: str, stored: Any) -> bool:
    """True where a stored value is what a reader of the text would expect, told without the suite's own reader."""
    plain = text.strip()
    if isinstance(stored, bool):
        return plain.lower() == str(stored).lower()
    if stored is None:
        return plain.lower() in ("none", "null")
    if isinstance(stored, (int, float)):
        exact = Decimal if isinstance(stored, int) else float
        return bool(_NUMBER.fullmatch(plain)) and exact(plain) == stored
    if isinstance(stored, list):
        inner = plain[1:-1] if plain[:1] in "[(" and plain[-1:] in "])" else plain
        parts = [part for part in inner.split(",") if part.strip()]
        return len(parts) == len(stored) and all(map(means, parts, stored))
    clean = plain.encode("utf-8", "replace").decode()
    return isinstance(stored, str) and stored in (clean, clean.strip("'\""), text)


def judge(seed: int, number: int, folder: Path) -> list[str]:
    """Faults of one case."""
    case = make(seed, number)
    if case.file is not None:
        (folder / "settings.json").write_text(case.file, encoding="utf-8")
    before = tree(folder)
    cells: list[RunConfig] = []
    with pytest.MonkeyPatch.context() as patch:
        if not case.trains:
            _without_numbers(patch, cells)
        said = call(case.words)
    found = faults(said)
    if said.code == 0:
        found += _in_effect(case, folder, cells)
    elif said.code in (1, 2):
        found += _refused(said, folder, before)
    return [*found, repr(case), said.err[-1500:]] if found else []


def _refused(said: Said, folder: Path, before: dict[str, tuple[int, int, int]]) -> list[str]:
    kept = folder / "runs" / "1"
    # Numbers that leave every bound while they are computed are no bad input: the run says so and is kept.
    if (kept / "run.json").exists() and Run(kept).status == "FAILED":
        return [f"began and failed: {Run(kept).entry.get('error')}"]
    return one_line(said) + ["written by a command that was refused"] * (tree(folder) != before)


def _in_effect(case: Case, folder: Path, cells: list[RunConfig]) -> list[str]:
    if case.words[0] == "run":
        run = Run(folder / "runs" / "1")
        if run.status != "COMPLETED":
            return [f"exit code 0 of a run that is {run.status}"]
        configs = [run.config]
    else:
        configs = [json.loads(cell.model_dump_json()) for cell in cells]
    if not configs:
        return ["exit code 0 and no cells"]
    found = []
    for key, text in case.asked.items():
        name = {"tasks": "task", "models": "model"}.get(key, key)
        values = [_at(config, name) for config in configs]
        if key in ("carries", "jobs", "engine") or (name == "data.seeds" and text.lower() in ("none", "null")):
            continue
        if len(configs) == 1 and not means(text, values[0]):
            found.append(f"{key}={text!r} was asked for, and {values[0]!r} is stored")
    return found


_ABSENT = object()


def _at(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part, _ABSENT) if isinstance(value, dict) else _ABSENT
    return value


def _without_numbers(patch: pytest.MonkeyPatch, cells: list[RunConfig]) -> None:
    """Leave out what computes: a run's data and training, the cells of a grid."""
    from ddl_dyn.cli import launch
    from ddl_dyn.experiments import run as running
    from ddl_dyn.experiments.outcome import RunOutcome

    def execute(*_: object) -> RunOutcome:
        return RunOutcome(numbers={"test": {}}, arrays={"x": np.zeros(1)}, state={}, resolved={})

    def run_grid(_: object, found: list[Any], *__: object) -> int:
        cells.extend(cell.config for cell in found)
        return 0

    patch.setattr(running, "make_setup", lambda config: SimpleNamespace(config=config, task=None))
    patch.setattr(running, "execute", execute)
    patch.setattr(launch, "run_grid", run_grid)
