"""Text to values: what was typed or read from a file, by the types of a section's fields."""

from __future__ import annotations

import ast
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ddl_dyn.config.formats import joined
from ddl_dyn.config.hints import nearest_key
from ddl_dyn.config.settings_file import SETTINGS_FORMS, is_settings_file, read_settings

# A dot outside quotes: per_model."mine.py:Net".model_args.layers has four parts.
_DOT = re.compile(r"\.(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)")


_QUOTED, _PYTHONS_OWN = re.compile(r"'[^']*'|\"[^\"]*\""), re.compile(r"\d_\d|\b0[xob]", re.IGNORECASE)


class ConfigError(ValueError):
    """Everything that is wrong with a configuration.

    Args:
        problems: one line each.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = list(dict.fromkeys(line for text in problems for line in text.splitlines() if line))
        super().__init__("; ".join(self.problems))


def _is_plain(value: object) -> bool:
    """True for values that JSON has, and tuples of them."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


@dataclass(frozen=True)
class Typed:
    """A value from the command line: the text, from which each field takes the type it needs."""

    text: str

    @property
    def literal(self) -> Any:
        """The Python literal, or the text itself."""
        try:
            value = ast.literal_eval(self.text)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            return {"true": True, "false": False, "none": None, "null": None}.get(self.text.lower(), self.text)
        if value == 0 and isinstance(value, float) and re.search("[1-9]", self.text.lower().partition("e")[0]):
            # Too small for a number: zero is not what was asked for.
            return self.text
        # Python's own notation, in which 1_000 and 0x10 are numbers and {1, 2} a value, is nobody else's.
        return value if _is_plain(value) and not _PYTHONS_OWN.search(_QUOTED.sub("", self.text)) else self.text


def typed_text(value: object) -> str:
    """A setting as it is typed on the command line."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(typed_text, value))}]"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) and (not value or " " in value) else str(value)


def parse_updates(items: Sequence[str]) -> dict[str, Any]:
    """Nested updates from `key.sub=value` items and from files of a configuration; the last one wins.

    Raises:
        ConfigError: for an item that is neither, or a key that is both a value and a section.
    """
    updates: dict[str, object] = {}
    problems = []
    for item in items:
        path, equals, text = item.partition("=")
        try:
            if equals:
                _set(updates, path.strip(), Typed(text.strip()))
            elif item.strip():
                _merge(updates, _config_file(item))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return updates


def _config_file(name: str) -> dict[str, Any]:
    if not is_settings_file(name):
        expected = f"neither key=value nor a file in {joined(SETTINGS_FORMS, 'or')}"
        raise ConfigError([f"{name!r} is {expected}; write e.g. `with model=ddl seeds=5`"])
    try:
        return read_settings(name)
    except ValueError as error:
        raise ConfigError([str(error)]) from error


def _set(updates: dict[str, Any], path: str, value: object) -> None:
    *sections, last = (part.strip('"') for part in _DOT.split(path))
    if not all([*sections, last]):
        raise ConfigError([f"{path!r} is not a key; write e.g. train.lr=1e-3"])
    place = updates
    for i, name in enumerate(sections):
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise ConfigError([f"{'.'.join(sections[: i + 1])} is given both a value and the key {path!r}; keep one"])
    if isinstance(place.get(last), dict) and place[last]:
        raise ConfigError([f"{path} is given both a value and keys of its own; keep one"])
    place[last] = value


def _merge(updates: dict[str, Any], more: Mapping[str, object]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(updates.get(key), dict):
            _merge(updates[key], value)
        else:
            updates[key] = value


def as_type(value: object, annotation: object) -> Any:
    """A command-line value in the form that a field of this type expects; anything else passes unchanged."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        others = [argument for argument in arguments if argument is not type(None)]
        if isinstance(value, Typed) and value.literal is None and type(None) in arguments:
            return None
        return as_type(value, others[0]) if len(others) == 1 else as_type(value, None)
    if origin is tuple:
        items: object = value
        if isinstance(value, Typed):
            items = value.literal
            if not isinstance(items, (list, tuple)):
                items = [Typed(part.strip()) for part in value.text.strip("[]()").split(",") if part.strip()]
        inner = arguments[0] if len(arguments) == 2 and arguments[1] is Ellipsis else None
        return tuple(as_type(item, inner) for item in items) if isinstance(items, (list, tuple)) else items
    if isinstance(value, Typed):
        if annotation is str or (origin is typing.Literal and all(isinstance(item, str) for item in arguments)):
            return _unquoted(value)
        return value.literal
    return value


def _unquoted(value: Typed) -> str:
    literal = value.literal
    return literal if isinstance(literal, str) else value.text


def plain_values(value: object) -> Any:
    """Command-line values of free sections (task_args, model_args) as literals."""
    if isinstance(value, Typed):
        return value.literal
    if isinstance(value, Mapping):
        return {key: plain_values(item) for key, item in value.items()}
    return value


def shaped(schema: type[BaseModel], values: Mapping[str, object]) -> dict[str, Any]:
    """Nested updates with every value in the form its field expects; unknown keys are kept for the validator."""
    out: dict[str, object] = {}
    for key, value in values.items():
        field = schema.model_fields.get(key)
        annotation = field.annotation if field else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel) and isinstance(value, Mapping):
            out[key] = shaped(annotation, value)
        elif isinstance(value, Mapping):
            out[key] = plain_values(value)
        else:
            out[key] = as_type(value, annotation)
    return out


def keys_of(schema: type[BaseModel], prefix: str = "") -> list[str]:
    """Every key that a configuration accepts, dotted."""
    out = []
    for name, field in schema.model_fields.items():
        out.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            out += keys_of(field.annotation, f"{prefix}{name}.")
    return out


def explained(schema: type[BaseModel], error: ValidationError) -> list[str]:
    """Each problem as one line: the key, what was expected, what came."""
    valid = keys_of(schema)
    lines = []
    below = {problem["loc"][:-1] for problem in error.errors()}
    for problem in error.errors():
        if problem["type"] == "too_short" and problem["loc"] in below:
            # The list is short only because its items are wrong, which is said already.
            continue
        path = ".".join(str(part) for part in problem["loc"])
        message, came = problem["msg"].removeprefix("Value error, "), problem["input"]
        if problem["type"] == "extra_forbidden":
            section = path.rpartition(".")[0]
            known = [key for key in valid if key.rpartition(".")[0] == section]
            lines.append(f"unknown key {path!r}{nearest_key(path, valid)}; keys here: {', '.join(known)}")
        elif problem["type"] in ("model_type", "dict_type", "model_attributes_type"):
            example = next((key for key in valid if key.startswith(f"{path}.")), f"{path}.name")
            lines.append(f"{path} is a section, got {came!r}; set one of its keys, e.g. {example}=…")
        elif path and path not in message:
            lines.append(f"{path}: {message[:1].lower()}{message[1:]}, got {came!r}")
        else:
            lines.append(message)
    return lines


def merged(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, Any]:
    """Nested updates of both, the second's where they meet; neither is changed."""
    out = dict(first)
    for key, value in second.items():
        mine = out.get(key)
        out[key] = merged(mine, value) if isinstance(mine, Mapping) and isinstance(value, Mapping) else value
    return out


def nested(path: str, value: object) -> dict[str, Any]:
    """A value under its dotted key, as nested settings."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value  # type: ignore[return-value]


def flatten(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings with their dotted names; an empty mapping has none."""
    leaves: list[tuple[str, object]] = []
    _gather(value, prefix, leaves)
    return iter(leaves)


def _gather(value: Mapping[str, object], prefix: str, leaves: list[tuple[str, object]]) -> None:
    # Generators within generators took most of the time of reading thousands of runs.
    for key, item in value.items():
        if isinstance(item, (dict, Mapping)):
            _gather(item, f"{prefix}{key}.", leaves)
        else:
            leaves.append((f"{prefix}{key}", item))
