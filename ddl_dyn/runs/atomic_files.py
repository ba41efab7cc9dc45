"""Writing the files of a run so that a reader never meets half of one."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.config.files import open_appending, replacing


def plain(value: object) -> Any:
    """The value in JSON's own types; tuples become lists, numpy numbers become Python's.

    Args:
        value: nested mappings and sequences of numbers, strings, booleans and None.
    Raises:
        TypeError: for anything else, so that nothing is stored that cannot be read back without executing code.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    raise TypeError(f"expected numbers, strings, lists and mappings, got {type(value).__name__}; convert it first")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; what cannot be encoded (lone surrogates) is written as '?'."""
    with replacing(path) as file:
        file.write(text.encode("utf-8", "replace"))


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically; NaN and infinity are kept as NaN and Infinity, which Python's reader knows."""
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a compressed .npz atomically.

    Raises:
        TypeError: when an array holds Python objects, which only pickle could store.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"array {name!r} holds Python objects; expected numbers or fixed-length strings")
    with replacing(path) as file:
        np.savez_compressed(file, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})


def write_with(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Write atomically whatever `write` puts into the file it is given."""
    with replacing(path) as file:
        write(file)


def append_line(path: Path, value: object) -> None:
    """Append one JSON record as one line; a torn line left by a killed process is closed first."""
    line = json.dumps(plain(value), ensure_ascii=False) + "\n"
    with open_appending(path) as file:
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write(line.encode("utf-8", "replace"))
