"""Docstrings of public names: every public name has one, or overrides one that has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from tests.test_architecture import modules, parsed

Node = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


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


def test_every_public_name_has_a_docstring() -> None:
    names = public_names()
    assert len(names) > 1500, "the walk has lost its names"
    assert undocumented(names) == []


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
