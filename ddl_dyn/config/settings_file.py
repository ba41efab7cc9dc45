"""Files of settings in JSON, TOML or YAML, read as plain values; a key that stands twice is an error in all of them.

YAML is read by the rules of its version 1.2 for numbers and truth values: `off` is a word and 1e-3 a number.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable
from typing import Any

from ddl_dyn.config.files import SETTINGS_LIMIT, read_input

SETTINGS_FORMS = {".json": "JSON", ".toml": "TOML", ".yaml": "YAML", ".yml": "YAML"}
# Plain scalars of YAML that are no texts.
_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile("|~|null|Null|NULL"), lambda _: None),
    (re.compile("true|True|TRUE"), lambda _: True),
    (re.compile("false|False|FALSE"), lambda _: False),
    (re.compile("[-+]?[0-9]+"), int),
    (re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"), float),
)
_CONTAINERS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


def is_settings_file(name: str) -> bool:
    """Recognise a file of settings by its ending."""
    return os.path.splitext(name)[1].lower() in SETTINGS_FORMS


def read_settings(name: str) -> dict[str, Any]:
    """The nested settings in a file.

    Args:
        name: of the file, which ends in one of `SETTINGS_FORMS`.
    Raises:
        ValueError: in one line, when the file cannot be read, is not of the form that its ending says, or holds
            something else than keys with values.
    """
    form = SETTINGS_FORMS[os.path.splitext(name)[1].lower()]
    try:
        value = _READERS[form](read_input(name, SETTINGS_LIMIT).decode())
    except RecursionError as error:
        raise ValueError(f"{name} cannot be read as {form}: it is nested too deeply") from error
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as {form}: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} should hold keys with values, such as those of print_config, got {_kind(value)}")
    return value


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two equal keys the readers of JSON and YAML would take the last and say nothing."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


def _yaml(text: str) -> Any:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if root is None else _plain(root, yaml.SafeLoader(""), set())
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _plain(node: Any, resolver: Any, seen: set[int]) -> Any:
    """Value of a node of a YAML document.

    Args:
        node: its root, or one below.   resolver: knows the tag that a node has where none is written.
        seen: nodes that have been read.
    """
    if id(node) in seen:
        # A few lines of such repetitions stand for more values than fit into memory.
        raise ValueError("it repeats a part by *name; write the values out")
    seen.add(id(node))
    if isinstance(node.value, list):
        if node.tag not in _CONTAINERS:
            raise _tagged(node)
        if node.tag == _CONTAINERS[1]:
            return [_plain(item, resolver, seen) for item in node.value]
        pairs = [(_plain(key, resolver, seen), _plain(value, resolver, seen)) for key, value in node.value]
        for key, _ in pairs:
            if not isinstance(key, str):
                raise ValueError(f"the key {key!r} is no text; put it in quotes")
        return _distinct(pairs)
    if node.tag != resolver.resolve(type(node), node.value, (node.style is None, node.style is not None)):
        raise _tagged(node)
    if node.style is None:
        for pattern, read in _SCALARS:
            if pattern.fullmatch(node.value):
                return read(node.value)
    return node.value


def _tagged(node: Any) -> ValueError:
    return ValueError(f"it gives a value the type {node.tag}; only plain values are read")


_READERS: dict[str, Callable[[str], Any]] = {"JSON": _json, "TOML": tomllib.loads, "YAML": _yaml}
