"""The README's Python is run as it stands, and what it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_python_of_the_readme_runs_and_draws(tmp_path):
    code, _ = blocks("python")
    # Fewer updates: the test is of the code, not of the fit.
    quick = re.sub(r"updates=\d+", "updates=20", code)
    assert quick != code
    done = subprocess.run([sys.executable, "-c", quick], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "van_der_pol.png").stat().st_size > 10_000


def test_the_readme_opens_a_stored_run(tmp_path):
    _, code = blocks("python")
    small = (
        "task=van_der_pol model=resnet seeds=2 train.updates=5 data.n_train=8 data.n_val=4 data.n_test=4 data.n_ood=0"
    )
    done = subprocess.run([sys.executable, "-m", "ddl_dyn", "run", "with", *small.split()], cwd=tmp_path, check=False)
    assert done.returncode == 0
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(4, 201, 2) (4, 201, 2)\n"
    assert (tmp_path / "error.png").stat().st_size > 10_000


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)", README))))
def test_links_and_figures_of_the_readme_exist(target):
    assert (ROOT / target).exists()


def test_commands_of_the_readme_are_commands():
    from ddl_dyn.cli.commands import COMMANDS
    from ddl_dyn.cli.launch import LAUNCHERS

    named = set(re.findall(r"ddl-dyn (\w+)", README))
    assert named
    assert named <= {*COMMANDS, *LAUNCHERS}


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make (\w+)`?", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
