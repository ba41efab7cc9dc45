"""The canonical form of a configuration, the same however it was written, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ddl_dyn.config.files import CODE_LIMIT, read_input
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.runs.atomic_files import plain
from ddl_dyn.runs.run import REMARKS


def canonical(config: RunConfig) -> dict[str, Any]:
    """The configuration with every default filled in, without tags and note.

    Args:
        config: a resolved configuration (`resolve.resolve_run`), whose model options are complete.
    Returns:
        nested, in JSON's types; 2.0 is 2; files of data and of a user's classes stand by the digest of their content.
    Raises:
        ValueError: when the task cannot be made.
    """
    from ddl_dyn.tasks import make_task

    task = make_task(config.task, **config.task_args)
    record = config.model_dump(mode="json", exclude=set(REMARKS))
    record["task_args"] = plain(task.parameters())
    contents = {"data": task.content_key(), "task": _digest(config.task), "model": _digest(config.model)}
    found: dict[str, Any] = _whole({**record, "contents": contents})
    return found


def config_hash(config: RunConfig) -> str:
    """Hexadecimal SHA-256 of the canonical configuration, in sorted keys."""
    text = json.dumps(canonical(config), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(name: str) -> str:
    """SHA-256 of the file in `path/to/file.py:Class`; empty for a name of the registries."""
    path, _, _ = name.rpartition(":")
    return hashlib.sha256(read_input(path, CODE_LIMIT)).hexdigest() if path.endswith(".py") else ""


def _whole(value: object) -> Any:
    if isinstance(value, Mapping):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
