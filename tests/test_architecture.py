"""The one-way rule: which room may import which. Read from the source, so that no import can hide in a branch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "torchdiffeq", "matplotlib", "sacred", "pandas"}


def imported(path: Path, root: Path = ROOT) -> set[str]:
    """Absolute names of all modules that a file imports, at any depth of nesting."""
    package = list(path.relative_to(root).with_suffix("").parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def files(*patterns: str) -> list[Path]:
    found = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    assert found, f"nothing matches {patterns}: the rule below guards no file"
    return found


def offending(paths: list[Path], forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in sorted(imported(path))
        if any(name == bad or name.startswith(f"{bad}.") for bad in forbidden)
    ]


RULES = {
    "tasks know nothing of the library": (["tasks/**/*.py"], {"ddl_dyn", *HEAVY}),
    "the configuration needs pydantic alone": (["ddl_dyn/config.py"], {"ddl_dyn", "tasks", *HEAVY}),
    "operators and metrics stand alone": (
        ["ddl_dyn/delta.py", "ddl_dyn/normalizer.py", "ddl_dyn/metrics/*.py"],
        {"tasks", "matplotlib", "sacred", "ddl_dyn.models", "ddl_dyn.training", "ddl_dyn.runs", "ddl_dyn.plots"},
    ),
    "models know neither tasks nor training": (
        ["ddl_dyn/models/*.py"],
        {"tasks", "matplotlib", "sacred", "ddl_dyn.replicas", "ddl_dyn.training", "ddl_dyn.runs", "ddl_dyn.plots"},
    ),
    "the compiler knows steps, not models": (
        ["ddl_dyn/compiled/*.py"],
        {"tasks", "matplotlib", "sacred", "ddl_dyn.models", "ddl_dyn.replicas", "ddl_dyn.training", "ddl_dyn.config"},
    ),
    "training and analysis know neither tasks nor runs": (
        [
            "ddl_dyn/replicas.py", "ddl_dyn/free_run.py", "ddl_dyn/schedule.py", "ddl_dyn/training.py",
            "ddl_dyn/budget.py", "ddl_dyn/evaluation.py", "ddl_dyn/portrait_data.py", "ddl_dyn/portrait_series.py",
            "ddl_dyn/analysis/*.py", "ddl_dyn/kernels/*.py",
        ],
        {"tasks", "matplotlib", "sacred", "ddl_dyn.runs", "ddl_dyn.plots", "ddl_dyn.experiment"},
    ),
    "finished runs are analysed without a tracker": (
        ["ddl_dyn/analyse/*.py"],
        {"tasks", "matplotlib", "sacred", "ddl_dyn.experiment", "ddl_dyn.running", "ddl_dyn.training"},
    ),
    "figures are drawn from arrays": (
        ["ddl_dyn/plots/*.py"],
        {"tasks", "torch", "sacred", "ddl_dyn.models", "ddl_dyn.training", "ddl_dyn.replicas", "ddl_dyn.evaluation"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=list(RULES))
def test_no_arrow_runs_the_wrong_way(rule):
    patterns, forbidden = RULES[rule]
    assert offending(files(*patterns), forbidden) == []


def test_torchdiffeq_is_imported_in_one_place():
    others = [p for p in files("ddl_dyn/**/*.py") if p.name != "neural_ode.py"]
    assert offending(others, {"torchdiffeq"}) == []
    assert "torchdiffeq.odeint" in imported(ROOT / "ddl_dyn/models/neural_ode.py")


def test_triton_is_imported_by_the_kernels_alone():
    others = [p for p in files("ddl_dyn/**/*.py") if p.parent.name != "kernels"]
    # What is asked before a kernel runs must not need it.
    others += [ROOT / "ddl_dyn/kernels/support.py", ROOT / "ddl_dyn/kernels/__init__.py"]
    assert offending(others, {"triton", "ddl_dyn.kernels.tile", "ddl_dyn.kernels.ddl", "ddl_dyn.kernels.plan"}) == []
    assert "triton.language" in imported(ROOT / "ddl_dyn/kernels/tile.py")


def test_matplotlib_is_imported_by_plots_alone():
    others = [p for p in files("ddl_dyn/**/*.py") if p.parent.name != "plots"]
    assert offending(others, {"matplotlib"}) == []


def test_the_walk_sees_what_it_should(tmp_path):
    # Negative control: an arrow hidden inside a function is found, and a relative one is made absolute.
    package = tmp_path / "ddl_dyn" / "plots"
    package.mkdir(parents=True)
    hidden = package / "x.py"
    hidden.write_text(
        "def f():\n    from ddl_dyn.models import base\n    import torch.nn\n    from ..runs import load\n"
    )
    assert {"ddl_dyn.models.base", "torch.nn", "ddl_dyn.runs.load"} <= imported(hidden, tmp_path)


@pytest.mark.parametrize(
    ("module", "absent"),
    [("tasks", {"torch", "matplotlib", "sacred", "ddl_dyn"}), ("ddl_dyn", {"torch", "matplotlib", "sacred", "tasks"})],
)
def test_importing_a_package_loads_no_more_than_it_may(module, absent):
    code = f"import sys, {module}; print(*[name for name in {sorted(absent)} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
