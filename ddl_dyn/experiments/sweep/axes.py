"""Axes and values in nested settings: what a list means there."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from ddl_dyn.config.parsing import Typed
from ddl_dyn.config.sections import RunConfig

_CLOSING = {"[": "]", "(": ")", "{": "}"}


class List(tuple[Any, ...]):
    """A value that is itself a list."""


def settings(value: object) -> Any:
    """Nested settings in JSON's types, in which a list is an axis, from what was typed or read from a file."""
    if isinstance(value, Mapping):
        return {key: settings(item) for key, item in value.items()}
    if isinstance(value, Typed):
        parts = split(value.text)
        values = [_literal(part) for part in parts]
        return values[0] if len(values) == 1 and not isinstance(values[0], list) else values
    return value


def single(value: object) -> Any:
    """Nested settings in which every list is one value, none an axis."""
    if isinstance(value, Mapping):
        return {key: single(item) for key, item in value.items()}
    return [List(value)] if isinstance(value, (list, tuple)) else value


def split(text: str) -> list[str]:
    """The parts of a text between its commas, but for commas inside brackets or quotes."""
    parts, depth, quote, start = [], [""], "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _CLOSING:
            depth.append(_CLOSING[letter])
        elif letter == depth[-1]:
            depth.pop()
        elif letter == "," and len(depth) == 1:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def _literal(text: str) -> Any:
    value = Typed(text).literal
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str) and text[:1] in ("[", "(") and text[-1:] in ("]", ")"):
        # Words without quotes, as in [day,night].
        return [_literal(part) for part in split(text[1:-1])]
    return value


def axes(tree: Mapping[str, object], prefix: str = "") -> list[tuple[str, list[Any]]]:
    """Every leaf of nested settings with its dotted name and its choices, one where it is no list."""
    found = []
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            found += axes(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)):
            choices = [List(item) if isinstance(item, (list, tuple)) else item for item in value]
            found.append((prefix + key, choices))
        else:
            # An empty section too: whether there is such a one is for the run's own check to say.
            found.append((prefix + key, [value]))
    return found


def list_keys() -> set[str]:
    """Dotted names of the keys of a run whose values are lists."""
    return set(_list_keys(RunConfig, ""))


def _list_keys(schema: Any, prefix: str) -> list[str]:
    found = []
    for name, field in schema.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            found += _list_keys(field.annotation, f"{prefix}{name}.")
        elif typing.get_origin(field.annotation) is tuple:
            found.append(prefix + name)
    return found
