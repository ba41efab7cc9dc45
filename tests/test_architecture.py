"""The rooms and their order, read from the source of every import, those inside functions too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The whole rule: a room may import those before it in this list, never those after it.
ROOMS = (
    "config", "metrics", "plots", "tasks", "models", "runs", "engine", "training", "analysis", "experiments", "results",
    "cli",
)  # fmt: skip
# Libraries that one place alone may import: their absence elsewhere is what keeps start-up and reading light.
CONFINED = {
    "matplotlib": ("plots/",),
    "sacred": ("experiments/tracking/sacred.py",),
    "torchdiffeq": ("models/neural_ode.py",),
    "triton": ("engine/kernels/",),
    "ray": ("experiments/sweep/ray.py",),
    "pymongo": ("experiments/tracking/",),
}
LIGHT = {"torch", "torchdiffeq", "matplotlib", "sacred", "pandas"}
LINES, FUNCTION_LINES, ENTRIES = 300, 60, 14


@cache
def modules() -> dict[str, Path]:
    """Module name -> file, for the package and for `tasks`, which is linked into it."""
    found = {}
    for folder, prefix in ((ROOT / "ddl_dyn", "ddl_dyn"), (ROOT / "tasks", "ddl_dyn.tasks")):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((prefix, *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Absolute dotted names that a module imports, at any depth of nesting; `from a import b` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def arrows(known: dict[str, Path]) -> dict[str, set[str]]:
    """Module -> the package's own modules that it imports."""
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        targets = set()
        for target in imported(parsed(path), package):
            if target.partition(".")[0] == "ddl_dyn":
                targets.add(target if target in known else target.rpartition(".")[0])
        found[name] = targets
    return found


def room(module: str) -> str:
    return [*module.split("."), ""][1]


def against_the_order(graph: dict[str, set[str]]) -> list[str]:
    return [
        f"{name} imports {target}"
        for name, targets in graph.items()
        for target in sorted(targets)
        if room(name) in ROOMS and room(target) in ROOMS and ROOMS.index(room(target)) > ROOMS.index(room(name))
    ]


def test_every_import_runs_up_the_list_of_rooms() -> None:
    graph = arrows(modules())
    assert against_the_order(graph) == []
    assert {room(name) for name in graph} == {*ROOMS, "", "__main__"}
    assert all(target in graph for targets in graph.values() for target in targets), "an import that resolves nowhere"


def test_no_circle() -> None:
    try:
        TopologicalSorter(arrows(modules())).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


def test_heavy_libraries_are_imported_in_their_place_alone() -> None:
    for library, places in CONFINED.items():
        users = {
            name.partition(".")[2].replace(".", "/") + ("/" if path.name == "__init__.py" else ".py")
            for name, path in modules().items()
            if any(target.partition(".")[0] == library for target in imported(parsed(path), name))
        }
        assert users, f"nobody imports {library}: the rule guards nothing"
        assert [user for user in users if not user.startswith(places)] == []


def test_the_walk_sees_what_it_should() -> None:
    # Negative controls: an arrow hidden in a function, a relative one, a wrong direction and a circle are all found.
    hidden = ast.parse(
        "def f():\n    from ddl_dyn.models import base\n    import torch.nn\n    from ..runs import run\n"
    )
    assert set(imported(hidden, "ddl_dyn.plots")) == {"ddl_dyn.models.base", "torch.nn", "ddl_dyn.runs.run"}
    wrong = {"ddl_dyn.config.a": {"ddl_dyn.cli.b"}, "ddl_dyn.cli.b": {"ddl_dyn.config.a"}}
    assert against_the_order(wrong) == ["ddl_dyn.config.a imports ddl_dyn.cli.b"]
    with pytest.raises(CycleError):
        TopologicalSorter(wrong).prepare()


def test_sizes() -> None:
    entries = {path.name for path in (ROOT / "ddl_dyn").iterdir()} - {"__pycache__", "py.typed"}
    assert len(entries) <= ENTRIES, entries
    long_files, long_functions = [], []
    for name, path in modules().items():
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > LINES:
            long_files.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(parsed(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    long_functions.append(f"{name}.{node.name}: {length} lines")
    assert long_files == []
    assert long_functions == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("ddl_dyn", LIGHT | {"numpy"}),
        ("ddl_dyn.tasks", LIGHT),
        ("ddl_dyn.config.sections", LIGHT | {"numpy"}),
        ("ddl_dyn.runs.run", {"torch", "matplotlib", "sacred"}),
        ("ddl_dyn.cli.main", LIGHT | {"numpy"}),
        ("ddl_dyn.results.opened", LIGHT),
        ("ddl_dyn.results.comparison.groups", {"torch", "matplotlib", "sacred"}),
        ("ddl_dyn.results.inspection.table", {"torch", "matplotlib", "sacred"}),
    ],
)
def test_importing_a_module_loads_no_more_than_it_may(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == []
