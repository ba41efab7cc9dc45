"""Entries of the interface: what mkdocstrings is asked to show of a public name."""

from __future__ import annotations

import importlib

from ddl_dyn.config.sections import Section


def entry(path: str) -> str:
    """The block of one class or function.

    Args:
        path: dotted path at which it is defined.
    """
    module, _, name = path.rpartition(".")
    value = getattr(importlib.import_module(module), name)
    block = f"::: {path}"
    if hasattr(value, "_fields"):
        # The fields of a named tuple have no docstrings of their own, and no signature lists them.
        block += "\n    options:\n      show_if_no_docstring: true"
    elif isinstance(value, type) and issubclass(value, Section):
        block += "\n    options:\n      members: false"
        block += "\n\nDefaults and bounds are among the [settings](../settings.md#train)."
    return block
