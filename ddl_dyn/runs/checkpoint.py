"""The checkpoint format: weights of finished runs, training states of unfinished ones. No other file knows it.

    {"version": of this format, "config": hash of the canonical configuration, "content": tensors and plain numbers,
     "digest": SHA-256 over names, types, shapes and values of all of that}

written by torch.save and read with weights only, so that reading executes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ddl_dyn.config.files import MEGABYTE, FileError, open_member
from ddl_dyn.runs.reading import RunError
from ddl_dyn.runs.run import Run
from ddl_dyn.runs.writer import RunWriter

FORMAT_VERSION = 1
# Most bytes of a checkpoint that is read.
LIMIT = 65536 * MEGABYTE
WEIGHTS = "checkpoint.pt"
# The last training state and the one before it, which a damaged last one leaves to go on from.
TRAINING = ("resume.pt", "resume.previous.pt")


def save_weights(writer: RunWriter, replicas: Mapping[str, Tensor]) -> None:
    """Keep the parameters of a finished run, name -> (R, …)."""
    _save(writer, WEIGHTS, {"replicas": dict(replicas)})


def save_training(writer: RunWriter, state: Mapping[str, object]) -> None:
    """Keep what an unfinished run continues from, beside the state kept before."""
    last, previous = (writer.directory / name for name in TRAINING)
    if last.exists():
        with writer.guard():
            os.replace(last, previous)
    _save(writer, TRAINING[0], state)


def drop_training(writer: RunWriter) -> None:
    """Remove the training states of a run that is complete."""
    for name in TRAINING:
        (writer.directory / name).unlink(missing_ok=True)


def load_weights(run: Run) -> dict[str, Tensor]:
    """Parameters of a finished run, name -> (R, …).

    Raises:
        RunError: when the checkpoint is missing, damaged, edited, of another version or of another configuration.
    """
    again = f"restore it from a copy, or train anew: `ddl-dyn run with {run.path / 'config.json'}`"
    weights: dict[str, Tensor] = _load(run.path / WEIGHTS, run.entry.get("config_hash"), again)["replicas"]
    return weights


def load_training(folder: Path, config_hash: str) -> dict[str, Any] | None:
    """The last training state of an unfinished run; None where none was kept.

    Args:
        folder: of the run.   config_hash: of the configuration that is to be continued.
    Raises:
        RunError: when the state is damaged, edited, of another version or of another configuration.
    """
    paths = [folder / name for name in TRAINING if (folder / name).exists()]
    if not paths:
        return None
    before = f"continue from the one before it, {paths[1].name}" if paths[1:] else "begin the run anew"
    return _load(paths[0], config_hash, f"delete it to {before}")


def _save(writer: RunWriter, name: str, content: Mapping[str, object]) -> None:
    record = {"version": FORMAT_VERSION, "config": writer.entry.get("config_hash"), "content": dict(content)}
    record["digest"] = _digest(record)
    writer.save_with(name, lambda file: torch.save(record, file))


def _load(path: Path, config_hash: str | None, remedy: str) -> dict[str, Any]:
    try:
        with open_member(path.parent, path.name, LIMIT) as file:
            record: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        digest = record.pop("digest")
        version, config = record["version"], record["config"]
        content: dict[str, Any] = record["content"]
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing: the run has not ended, or was copied without it; {remedy}") from error
    except FileError as error:
        raise RunError(f"{error}; or {remedy}") from error
    except Exception as error:
        # Damaged bytes end in any exception; torch's own text goes on to explain how to switch the protection off.
        raise RunError(f"{path} is torn or no checkpoint of ddl-dyn ({type(error).__name__}); {remedy}") from error
    if version != FORMAT_VERSION:
        raise RunError(
            f"{path} has version {version!r} of the checkpoint format, this ddl-dyn reads version {FORMAT_VERSION}; "
            f"use the ddl-dyn that wrote it, or {remedy}"
        )
    if digest != _digest(record):
        raise RunError(f"{path} is damaged or was edited: its content does not have its digest; {remedy}")
    if config != config_hash:
        raise RunError(
            f"{path} belongs to another configuration ({str(config)[:12]}…, expected {str(config_hash)[:12]}…): a "
            f"setting, or a file of data or code that it names, is not what it was trained with; {remedy}"
        )
    return content


def _digest(record: Mapping[str, object]) -> str:
    found = hashlib.sha256()
    _feed(found, record)
    return found.hexdigest()


def _feed(found: hashlib._Hash, value: object) -> None:
    if isinstance(value, Tensor):
        _feed(found, (str(value.dtype), tuple(value.shape)))
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        _feed(found, list(value.items()))
    elif isinstance(value, (list, tuple)):
        found.update(f"{len(value)}[".encode())
        for item in value:
            _feed(found, item)
    else:
        found.update(f"{value!r},".encode())
