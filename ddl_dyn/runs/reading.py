"""Reading the files of a run, which may come from elsewhere: regular ones through no link, up to a size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ddl_dyn.config.files import MEGABYTE, FileError, read_member

# Most bytes that are read of a run's files, far above what a large run writes; of arrays, before compression.
JSON_LIMIT, TEXT_LIMIT = 256 * MEGABYTE, 64 * MEGABYTE
RECORDS_LIMIT, ARRAYS_LIMIT, PORTRAITS_LIMIT = 1024 * MEGABYTE, 16384 * MEGABYTE, 256 * MEGABYTE


class RunError(ValueError):
    """A run that is missing or cannot be read."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a run.

    Raises:
        RunError: when the file is missing, is not JSON or does not hold an object.
    """
    try:
        value = json.loads(read_member(path.parent, path.name, JSON_LIMIT))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing; expected a run written by `ddl-dyn run`") from error
    except FileError as error:
        raise RunError(str(error)) from error
    except RecursionError as error:
        raise RunError(f"{path} cannot be read as JSON: it is nested too deeply") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} should hold a JSON object, got {type(value).__name__}")
    return value


def read_text(path: Path, limit: int = TEXT_LIMIT) -> str:
    """Content of a text file of a run; empty where there is none.

    Args:
        path: of the file.   limit: its most bytes.
    Raises:
        RunError: when it is no regular file, longer, or a link.
    """
    try:
        return read_member(path.parent, path.name, limit).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise RunError(str(error)) from error
