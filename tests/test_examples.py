"""The scripts of examples/ run as they stand, in an empty folder, and find what they are there to show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.\d*", text)]


def test_each_script_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "first_portrait", "gates", "own_series", "recorded_series", "verdict",
    }  # fmt: skip


def test_first_portrait(tmp_path: Path) -> None:
    errors = numbers(run("first_portrait", tmp_path).partition("standard deviations:")[2])
    # A run that forgets everything has an error of √2; .4 is on the cycle and nearly in phase for all 100 steps.
    assert len(errors) == 3
    assert max(errors) < 0.4
    assert (tmp_path / "first_portrait.png").stat().st_size > 10_000


def test_own_series(tmp_path: Path) -> None:
    said = run("own_series", tmp_path)
    errors = {
        name: float(value) for name, value in re.findall(r"^(\w+) +error .*: ([\d.]+)$", said, flags=re.MULTILINE)
    }
    # The series carries noise of .02; persistence errs by its amplitude.
    assert 0.02 < errors["ddl"] < errors["linear"] < errors["persistence"]
    assert (tmp_path / "own_series.png").stat().st_size > 10_000


@pytest.mark.slow
def test_verdict(tmp_path: Path) -> None:
    said = run("verdict", tmp_path)
    found = dict(re.findall(r"^ddl against (\w+): (\w+)$", said, flags=re.MULTILINE))
    assert set(found) == {"resnet", "linear"}
    assert set(found.values()) <= {"win", "loss", "tie", "unresolved"}
    assert (tmp_path / "example_runs" / "1" / "index.html").exists()


@pytest.mark.slow
def test_gates(tmp_path: Path) -> None:
    said = run("gates", tmp_path)
    found = dict(re.findall(r"^(\w+): .* reversing in (\d+)% of the plane$", said, flags=re.MULTILINE))
    # The mirror reflects everywhere, the oscillator nowhere.
    assert int(found["twisted_mirror"]) > 50 > int(found["van_der_pol"])
    assert all((tmp_path / f"gates_{name}.png").stat().st_size > 10_000 for name in ("mirror", "van_der_pol"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_each_script_is_a_notebook_in_percent_format(path: Path) -> None:
    cells = re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert cells[0] == "", "nothing stands before the first cell"
    told = [cell.splitlines()[1:] for cell in cells if cell.startswith(" [markdown]")]
    assert told[0][0].startswith("# # "), "it begins with a title"
    assert len(told) >= 3
    assert all(line.startswith("#") or not line for cell in told for line in cell)
    assert len(cells) - 1 - len(told) >= 3, "and has code in cells"


@pytest.mark.slow
def test_recorded_series(tmp_path: Path) -> None:
    said = run("recorded_series", tmp_path)
    assert "train: gaps longer than 0.75: 1" in said
    # 70 % of 601 and of 581 samples; the gap lies behind the first 200, the first of which lacks a value.
    assert "training segments of 199, 207, 421 samples" in said
    errors = {name: float(value) for name, value in re.findall(r"^(\w+) over 5 steps: ([\d.]+)$", said, re.MULTILINE)}
    # A linear map has no limit cycle.
    assert errors["ddl"] < errors["linear"]
    assert (tmp_path / "sensors.png").stat().st_size > 10_000
    assert len(list((tmp_path / "sensor_runs").glob("*/series.npz"))) == 2
