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
    "optuna": ("experiments/search/trials.py",),
    "pymongo": ("experiments/tracking/",),
    "pyarrow": ("tasks/series/files.py",),
    "dysts": ("tasks/flows/dysts_systems.py",),
    "starlette": ("results/serve/site.py",),
    "uvicorn": ("results/serve/server.py",),
}
LIGHT = {"torch", "torchdiffeq", "matplotlib", "sacred", "pandas"}
LINES, FUNCTION_LINES, ENTRIES = 300, 60, 14
# Names that users' own files import from two places (docs/adding.md): models join tensors, tasks join arrays.
FOR_AUTHORS = {"join"}
# Libraries' names that come from their confined place, see CONFINED.
HANDED_ON = {"ddl_dyn.experiments.tracking.sacred"}


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


def defined(tree: ast.Module) -> set[str]:
    """Names that a module defines at its top level, in branches too."""
    found: set[str] = set()
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            pending += [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
    return found


def with_two_meanings(trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Public name -> the modules that define it, where they are several."""
    homes: dict[str, list[str]] = {}
    for module, tree in trees.items():
        for name in defined(tree):
            homes.setdefault(name, []).append(module)
    return {name: homes[name] for name in homes if len(homes[name]) > 1 and not name.startswith("_")}


def second_hand(known: dict[str, Path]) -> list[str]:
    """Imports of a name from a module that only imports it itself; a room's `__init__` is its face and may."""
    own = {name: defined(parsed(path)) for name, path in known.items() if path.name != "__init__.py"}
    return [
        f"{name} imports {target}"
        for name, path in known.items()
        for target in imported(parsed(path), name if path.name == "__init__.py" else name.rpartition(".")[0])
        for module, _, wanted in (target.rpartition("."),)
        if module in own and target not in known and wanted not in own[module] and module not in HANDED_ON
    ]


def test_a_public_name_has_one_meaning() -> None:
    found = with_two_meanings({name: parsed(path) for name, path in modules().items()})
    assert found.keys() == FOR_AUTHORS, found
    # Negative controls: a function and a constant in two modules; a method and private names may repeat.
    first = ast.parse("def f(): ...\nLIMIT = 1\n_own = 1\nclass A:\n    def run(self): ...\n")
    second = ast.parse("if True:\n    f = 1\nLIMIT: int = 2\n_own = 2\nclass B:\n    def run(self): ...\n")
    assert with_two_meanings({"a": first, "b": second}).keys() == {"f", "LIMIT"}


def test_every_name_is_imported_from_where_it_is_defined(tmp_path: Path) -> None:
    assert second_hand(modules()) == []
    for name, text in {"a": "X = 1\n", "b": "from p.a import X\n", "c": "from p.b import X\n"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert second_hand({f"p.{name}": tmp_path / f"{name}.py" for name in "abc"}) == ["p.c imports p.b.X"]


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
    # py.typed is an empty marker that PEP 561 wants just there.
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
