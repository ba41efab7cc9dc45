"""The files that a step map leaves in: ONNX, torch.export, a module of plain numpy."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import pprint
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from ddl_dyn.config.files import replacing
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.results.portable.numpy_source import HELPERS, numpy_function
from ddl_dyn.results.portable.step_map import GRAPH_TOLERANCE, StepMap, make_step_map
from ddl_dyn.runs.atomic_files import write_text

SUFFIXES: dict[str, str] = {"onnx": ".onnx", "torch.export": ".pt2", "numpy": ".py"}


def write_step_map(setup: Setup, form: str, path: Path, seed: int | None = None) -> list[Path]:
    """Write one replica's step map.

    Args:
        setup: restored from a finished run.   form: one of `SUFFIXES`.   path: of the file; its ending may be left out.
        seed: of the replica; None takes the one with the median validation error.
    Returns:
        The files: that of the step, and beside it NAME.start.* where a latent state is carried, or NAME.npz for numpy.
    Raises:
        ValueError: for an unknown form, an ending of another, a missing library, or a step that cannot be exported.
        OSError: when a file cannot be written.
    """
    if form not in SUFFIXES:
        raise ValueError(f"form must be one of {', '.join(SUFFIXES)}; got {form!r}")
    suffix = SUFFIXES[form]
    path = path if path.suffix else path.with_name(path.name + suffix)
    if path.suffix != suffix:
        raise ValueError(f"a file of {form} ends in {suffix}, got {path.name!r}")
    if form == "onnx":
        _require_onnx()
    found = make_step_map(setup, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    if form == "numpy":
        return _write_numpy(found, path)
    write = _write_onnx if form == "onnx" else _write_program
    outputs = ["next_state", "observed"] if found.start is not None else ["next_state"]
    inputs = ["state", "inputs"] if found.inputs.shape[1] else ["state"]
    write(found.step, path, found, (inputs, outputs))
    if found.start is None:
        return [path]
    beside = path.with_name(f"{path.stem}.start{suffix}")
    write(found.start, beside, found, (["x"], ["state"]))
    return [path, beside]


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError("ONNX needs onnx and onnxscript: pip install 'ddl-dyn[onnx]'") from error


def _write_onnx(program: ExportedProgram, path: Path, found: StepMap, names: tuple[list[str], list[str]]) -> None:
    with _quietly():
        made = torch.onnx.export(program, input_names=names[0], output_names=names[1], dynamo=True, verbose=False)
    assert made is not None
    made.model.metadata_props.update({key: json.dumps(value) for key, value in found.facts.items()})
    with replacing(path) as file:
        file.write(made.model_proto.SerializeToString())


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Within the block torch's exporter tells nothing of its own stages."""
    logger = logging.getLogger("torch.onnx")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _write_program(program: ExportedProgram, path: Path, found: StepMap, _: tuple[list[str], list[str]]) -> None:
    whole = io.BytesIO()
    torch.export.save(program, whole, extra_files={"facts.json": json.dumps(found.facts)})
    with replacing(path) as file:
        file.write(whole.getvalue())


def _write_numpy(found: StepMap, path: Path) -> list[Path]:
    driven, latent = bool(found.inputs.shape[1]), found.start is not None
    step, numbers = numpy_function("step", found.step, ["state", "inputs"] if driven else ["state"])
    start = "def start(x):\n    return x\n"
    if found.start is not None:
        start, more = numpy_function("start", found.start, ["x"])
        numbers |= more
    beside = path.with_suffix(".npz")
    body = "\n\n".join(part.strip("\n") + "\n" for part in (HELPERS, start, step, _forecast(driven, latent)))
    _check_numpy(body, numbers, found)
    with replacing(beside) as file:
        np.savez(file, **numbers)  # type: ignore[arg-type]  # numpy's own keyword takes the name of an array here
    write_text(path, f"{_head(beside.name, found)}\n\n{body}")
    return [path, beside]


def _check_numpy(body: str, numbers: dict[str, Array], found: StepMap) -> None:
    """Refuse a module that does not give what the graph gives."""
    module: dict[str, Any] = {"np": np, "math": math, "NUMBERS": numbers}
    exec(compile(body, "<step map>", "exec"), module)  # written above, of names and numbers alone
    given = (found.state, found.inputs) if found.inputs.shape[1] else (found.state,)
    wanted, got = found.step.module()(*given), module["step"](*(tensor.numpy() for tensor in given))
    for a, b in zip(*((each if isinstance(each, tuple) else (each,)) for each in (wanted, got)), strict=True):
        if not np.allclose(
            a.numpy(), b, rtol=GRAPH_TOLERANCE, atol=GRAPH_TOLERANCE * (1.0 + np.nanmax(np.abs(b))), equal_nan=True
        ):
            raise ValueError("the module of numpy gives other numbers than the step; export to another form")


def _head(name: str, found: StepMap) -> str:
    # What a run's configuration names is written as data: it may come from elsewhere.
    facts = pprint.pformat(found.facts, width=100, sort_dicts=False)
    return f'''\
"""One step of a trained map, in physical units. Needs numpy alone; its numbers lie in {name} beside this file.

forecast(x0, ...) makes a free run; start(x) and step(state, ...) are its parts. Axes: B batch, T steps, D components.
"""

import math
from pathlib import Path

import numpy as np

FACTS = {facts}
with np.load(Path(__file__).with_name({name!r})) as _file:
    NUMBERS = dict(_file)
'''


def _forecast(driven: bool, latent: bool) -> str:
    given, over = (
        ("inputs", "np.moveaxis(np.asarray(inputs, dtype=np.float64), 1, 0)") if driven else ("steps", "range(steps)")
    )
    what = "inputs (B, T, U)" if driven else "T steps"
    call = "step(state, u)" if driven else "step(state)"
    after = f"state, x = {call}" if latent else f"state = x = {call}"
    return f'''\
def forecast(x0, {given}):
    """Free run from x0 (B, D) under {what}: (B, T + 1, D), the start first."""
    x = np.asarray(x0, dtype=np.float64)
    state, states = start(x), [x]
    for {"u" if driven else "_"} in {over}:
        {after}
        states.append(x)
    return np.stack(states, axis=1)
'''
