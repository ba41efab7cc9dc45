"""Docstrings: every public name has one, none begins with a question word, three parameters call for `Args:`.

A method may leave to the one that it overrides what that one says already.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.test_architecture import ROOT, modules, parsed

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
QUESTION = re.compile(r"(what|which|how|where|when|whether|why|who|whose)\b", re.IGNORECASE)


class Public(NamedTuple):
    """One public name: its module, its dotted name, its syntax, and the class it is a method of."""

    module: str
    name: str
    node: Node
    owner: str | None

    @property
    def docstring(self) -> str | None:
        return ast.get_docstring(self.node)


def inside(module: str, prefix: str, node: ast.Module | ast.ClassDef) -> Iterator[Public]:
    owner = node.name if isinstance(node, ast.ClassDef) else None
    for item in node.body:
        if isinstance(item, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not item.name.startswith("_"):
            yield Public(module, f"{prefix}.{item.name}", item, owner)
            if isinstance(item, ast.ClassDef):
                yield from inside(module, f"{prefix}.{item.name}", item)


def public_names() -> list[Public]:
    found = []
    for name, path in modules().items():
        tree = parsed(path)
        found += [Public(name, name, tree, None), *inside(name, name, tree)]
    return found


def is_stub(node: Node) -> bool:
    """Body of nothing but `...`: a member of a protocol, documented by its class."""
    return len(node.body) == 1 and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)


def undocumented(names: list[Public]) -> list[str]:
    # What overrides a documented method of another class does what that one says.
    methods = {
        each.node.name for each in names if each.owner and each.docstring and not isinstance(each.node, ast.Module)
    }
    return [
        each.name
        for each in names
        if not each.docstring
        and not is_stub(each.node)
        and not (each.owner and each.name.rpartition(".")[2] in methods)
    ]


def parameters(each: Public) -> int:
    """Number of parameters, the instance or class that a method is called on excluded."""
    assert isinstance(each.node, Function)
    given = each.node.args
    static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in each.node.decorator_list)
    named = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)
    return named + bool(given.vararg) + bool(given.kwarg) - bool(each.owner and not static)


def ancestors(bases: dict[str, list[str]], name: str) -> set[str]:
    found = set(bases.get(name, []))
    return found.union(*(ancestors(bases, base) for base in found))


def without_arguments(names: list[Public]) -> list[str]:
    """Functions of three parameters and more that do not say what these are, nor override a method that does."""
    bases = {
        each.node.name: [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in each.node.bases]
        for each in names
        if isinstance(each.node, ast.ClassDef)
    }
    functions = [each for each in names if isinstance(each.node, Function)]
    saying = {(each.owner, each.name.rpartition(".")[2]) for each in functions if "Args" in (each.docstring or "")}
    return [
        each.name
        for each in functions
        if each.docstring and parameters(each) >= 3
        for method in (each.name.rpartition(".")[2],)
        if (each.owner, method) not in saying
        and not (each.owner and any((base, method) in saying for base in ancestors(bases, each.owner)))
    ]


def asking(trees: Iterable[tuple[str, ast.AST]]) -> list[str]:
    """Docstrings, of private names too, that begin with a question word."""
    return [
        f"{name}: {docstring.splitlines()[0]}"
        for name, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, Node) and (docstring := ast.get_docstring(node)) and QUESTION.match(docstring)
    ]


def test_every_public_name_has_a_docstring() -> None:
    names = public_names()
    assert len(names) > 1500, "the walk has lost its names"
    assert undocumented(names) == []


def test_three_parameters_are_explained() -> None:
    assert without_arguments(public_names()) == []


def test_no_docstring_begins_with_a_question_word() -> None:
    beside = [
        path for folder in ("benchmarks", "studies", "docs/site") for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    paths = [*modules().values(), *beside]
    assert asking((str(path.relative_to(ROOT)), parsed(path)) for path in paths) == []


def test_the_walk_sees_what_it_should() -> None:
    # Negative controls: a class without, a method without, an override, a stub, and a private name.
    tree = ast.parse(
        "class A:\n"
        "    '''A.'''\n"
        "    def said(self):\n        '''Said.'''\n"
        "    def unsaid(self):\n        return 1\n"
        "class B(A):\n"
        "    def said(self):\n        return 2\n"
        "class P:\n"
        "    '''P.'''\n"
        "    def part(self): ...\n"
        "def _private(): pass\n"
    )
    assert undocumented(list(inside("m", "m", tree))) == ["m.A.unsaid", "m.B"]


def test_the_walk_sees_arguments_and_questions() -> None:
    tree = ast.parse(
        "class A:\n"
        "    def told(self, a, b, c):\n        '''T.\n\n        Args:\n            a, b, c: three.\n        '''\n"
        "    def silent(self, a, b, *, c):\n        '''Silent.'''\n"
        "    def short(self, a, b):\n        '''Short.'''\n"
        "class B(A):\n"
        "    def told(self, a, b, c):\n        '''Overrides one that tells.'''\n"
        "class C(B):\n"
        "    def told(self, a, b, c):\n        '''Overrides one further up.'''\n"
        "class D:\n"
        "    def told(self, a, b, c):\n        '''Overrides none.'''\n"
        "    @staticmethod\n"
        "    def static(a, b, *rest):\n        '''Has no instance.'''\n"
        "def _private():\n    '''Whether it is.'''\n"
        "def whatever():\n    '''Whatever it is, its first word asks nothing.'''\n"
    )
    assert without_arguments(list(inside("m", "m", tree))) == ["m.A.silent", "m.D.told", "m.D.static"]
    assert asking([("m", tree)]) == ["m: Whether it is."]
