"""Existence of what the documents name: files, modules, functions, commands, targets, tests; and the version is one."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

import ddl_dyn
from tests.test_architecture import ROOMS, modules, parsed

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
)
# Names that a document uses for something of the reader's own.
READERS_OWN = re.compile(r"path/to/|DIR/|FOLDER/|(^|/)NAME|my_|build/|demo/|runs/|shared/|report/|bootstrap\.")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def test_there_are_documents() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md", "docs/adding.md"} <= set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    here = (ROOT / document).parent
    for target in re.findall(r"\]\(((?!https?:)[^)#\s]+)", text_of(document)):
        assert (here / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_in_code_exist(document: str) -> None:
    here = (ROOT / document).parent
    spans = re.findall(r"`([^`\n]+)`", text_of(document))
    named = {match for span in spans for match in re.findall(r"(?:[\w.]+/)+[\w.-]*", span) if "://" not in span}
    # `models/delta` is a module of the package, `sweep/` in the table of rooms a folder of its room.
    bases = (ROOT, ROOT / "ddl_dyn", *(ROOT / "ddl_dyn").iterdir(), here)
    missing = [
        name
        for name in sorted(named)
        if not READERS_OWN.search(name) and not any((b / name).exists() or (b / f"{name}.py").exists() for b in bases)
    ]
    assert missing == []


@cache
def names_in(module: str) -> set[str]:
    """Names that a module defines or imports, read from its source."""
    tree = parsed(modules()[module])
    found = set(ddl_dyn.__all__) if module == "ddl_dyn" else set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def unresolved(text: str) -> list[str]:
    """Dotted names of the package in a text that lead nowhere."""
    wrong = []
    for dotted in sorted(set(re.findall(r"\bddl_dyn(?:\.[A-Za-z]\w*)+", text))):
        parts = dotted.split(".")
        depth = max(n for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in modules())
        rest = parts[depth:]
        if rest and rest[0] not in names_in(".".join(parts[:depth])) and rest != ["mplstyle"]:
            wrong.append(dotted)
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS)
def test_dotted_names_in_documents_resolve(document: str) -> None:
    assert unresolved(text_of(document)) == []


def test_dotted_names_in_the_code_resolve() -> None:
    files = [
        path for folder in ("ddl_dyn", "tasks", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.py")
    ]
    wrong = {}
    for path in files:
        # A logger's name looks like a module's.
        text = re.sub(r"getLogger\(.*?\)", "", path.read_text(encoding="utf-8"))
        if found := unresolved(text):
            wrong[path.name] = found
    assert wrong == {}
    assert unresolved("`ddl_dyn.compiled.lower`, `ddl_dyn.fit` and `ddl_dyn.models.base`") == ["ddl_dyn.compiled.lower"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_and_targets_exist(document: str) -> None:
    from ddl_dyn.cli.commands import COMMANDS
    from ddl_dyn.cli.launch import LAUNCHERS

    text = text_of(document)
    # In indented code or at the start of a code span; `--runs DIR` and the like may stand before the command.
    begins = r"(?:^ {4}|`|&& )"
    program = r"(?:python -m ddl_dyn|(?:\.venv/bin/)?ddl-dyn)(?: --\w+ \S+)* "
    commands = set(re.findall(begins + program + r"([a-z]\w*)", text, flags=re.MULTILINE))
    assert commands <= {*COMMANDS, *LAUNCHERS}
    targets = set(re.findall(begins + r"make ([a-z]\w*)", text, flags=re.MULTILINE))
    assert targets <= set(re.findall(r"^(\w+):", text_of("Makefile"), flags=re.MULTILINE))
    parts = set(re.findall(begins + r"\.ci/run ([a-z]\w*)", text, flags=re.MULTILINE))
    assert parts <= set(re.findall(r"^    (\w+)\)", text_of(".ci/run"), flags=re.MULTILINE))


def test_commands_are_seen() -> None:
    # Of all documents together, so that none of the searches above is empty everywhere.
    text = "\n".join(text_of(document) for document in DOCUMENTS)
    assert {"compare", "resume", "replay"} <= set(re.findall(r"ddl-dyn (\w+)", text))
    assert {"demo", "test", "lint"} <= set(re.findall(r"make (\w+)", text))


def test_the_workflows_call_parts_of_the_check() -> None:
    called = {}
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        named = re.findall(r"run: \.ci/run (\w+)$", text, flags=re.MULTILINE)
        named += re.findall(r"\w+", "".join(re.findall(r"part: \[(.*)\]", text)))
        called[path.stem] = named
    assert called == {"test": ["demo", "quick", "slow"], "lint": ["lint"], "docs": ["docs"]}


def test_an_unknown_part_is_refused() -> None:
    done = subprocess.run([ROOT / ".ci" / "run", "slwo"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: .ci/run takes demo, quick, lint, docs, site, dysts or slow, got 'slwo'\n"


def test_the_version_is_one() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "ddl_dyn.__version__"}
    assert f"\nversion: {ddl_dyn.__version__}\n" in text_of("CITATION.cff")
    assert re.search(
        r"^## \[(Unreleased|" + re.escape(ddl_dyn.__version__) + r")\]", text_of("CHANGELOG.md"), re.MULTILINE
    )


def test_everything_that_is_read_at_run_time_travels_in_a_wheel() -> None:
    assert (ROOT / "ddl_dyn" / "py.typed").read_text() == ""
    packages = tomllib.loads(text_of("pyproject.toml"))["tool"]["setuptools"]["package-data"]
    matched = set()
    for package, patterns in packages.items():
        for pattern in patterns:
            found = set((ROOT / package.replace(".", "/")).resolve().glob(pattern))
            assert found, f"{package}: {pattern} matches nothing"
            matched |= found
    files = {path for folder in ("ddl_dyn", "tasks") for path in (ROOT / folder).rglob("*") if path.is_file()}
    assert {path for path in files if path.suffix not in (".py", ".pyc")} == matched


def test_every_test_dependency_is_pinned() -> None:
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]
    wanted = [
        *extras["dependencies"],
        *extras["optional-dependencies"]["dev"],
        *extras["optional-dependencies"]["site"],
    ]
    names = {re.match(r"[\w.-]+", each)[0].lower() for each in wanted}  # type: ignore[index]
    pinned = {line.partition("==")[0].lower() for line in text_of("constraints.txt").splitlines()}
    assert names <= pinned


def test_the_table_of_rooms_names_their_modules() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", text_of("docs/architecture.md"), flags=re.MULTILINE)
    assert [room for room, _ in rows] == list(ROOMS)
    for room, cell in rows:
        folder = ROOT / "ddl_dyn" / room
        named = set(re.findall(r"`([\w/]+)`", cell))
        there = {f"{path.name}/" if path.is_dir() else path.stem for path in folder.iterdir()}
        assert named <= there, room


def unproven(text: str) -> list[str]:
    """Promises without a test, and tests that do not exist."""
    bullets = [" ".join(part.split()) for part in re.findall(r"^\* (.*?)(?=^\* |^#|\n\n|\Z)", text, re.M | re.S)]
    problems = [f"no test: {bullet[:60]}" for bullet in bullets if not re.search(r"\(`tests/[^)]*`\)\.?$", bullet)]
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        path = ROOT / file
        if not path.exists() or f"\ndef {name}(" not in path.read_text(encoding="utf-8"):
            problems.append(f"no such test: {file}::{name}")
    return problems


def test_every_promise_of_security_has_its_test() -> None:
    text = text_of("docs/security.md")
    assert len(re.findall(r"^\* ", text, re.M)) > 15
    assert unproven(text) == []
    # Controls: a promise without a test, and one with a test that nobody wrote.
    assert unproven("* All is well.\n") == ["no test: All is well."]
    assert unproven("* Yes (`tests/test_docs.py::test_nowhere`).\n") == [
        "no such test: tests/test_docs.py::test_nowhere"
    ]
