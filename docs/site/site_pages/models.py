"""The page of the models: the equation of each step, its options, its size and its source."""

from __future__ import annotations

import inspect
from typing import Any

from ddl_dyn.cli.catalogue import kind_text, size_text
from ddl_dyn.config.sections import Section
from ddl_dyn.models import MODELS
from site_pages.markdown import cited, docstring, escaped, table
from site_pages.options import meanings, options, own_options

INTRODUCTION = """\
# Catalogue of models

The equation of one step of every model in the registry, with its options. [Models](models.md) says which version of
Deep Delta Learning `ddl` is and which options make the controls; [adding](adding.md) how you write a model of your own.
A model's kind is what theory may assume of its step: any map, a flow, an invertible one, one with a memory beside the
state, one that is solved and not trained, or an oracle that is told the truth.
"""


def shared_sections() -> list[type[Section]]:
    """Sections of options that several models have in common, the most general last."""
    users: dict[type[Section], int] = {}
    for cls in MODELS.values():
        for base in _sections(cls):
            users[base] = users.get(base, 0) + 1
    return [base for base, count in users.items() if count > 1]


def _sections(cls: Any) -> list[type[Section]]:
    return [base for base in cls.Config.__mro__ if issubclass(base, Section) and own_options(base)]


def catalogue() -> str:
    """The page."""
    rows = [(f"[{escaped(name)}](#{name})", kind_text(cls), escaped(cls.equation)) for name, cls in MODELS.items()]
    parts = [INTRODUCTION, table(("model", "kind", "equation of a step"), rows)]
    parts += [_model(name, cls) for name, cls in MODELS.items()]
    parts.append("## Options that models share")
    for section in shared_sections():
        said, _ = meanings(section)
        parts.append(
            f"### {section.__name__} {{ #{section.__name__} }}\n\n{said}\n\n{options(section, prefix='model_args.')}"
        )
    return "\n\n".join(parts) + "\n"


def _model(name: str, cls: Any) -> str:
    shared = shared_sections()
    parts = [
        f"## {escaped(name)} {{ #{name} }}",
        docstring(inspect.getdoc(cls) or ""),
        f"{escaped(cls.equation)}\n{{ .equation }}",
        f"Kind: {kind_text(cls)}. Parameters: {escaped(size_text(name, cls))}.",
    ]
    for section in _sections(cls):
        if section not in shared:
            said, _ = meanings(section)
            parts += [said, options(section, prefix="model_args.")]
    links = ", ".join(f"[{base.__name__}](#{base.__name__})" for base in _sections(cls) if base in shared)
    parts += [f"Options shared with others: {links}.", f"Source: {cited(cls.source)}", f"    ddl-dyn models {name}"]
    return "\n\n".join(parts)
