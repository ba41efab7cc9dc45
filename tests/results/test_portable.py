"""A model leaves: its step map, loaded by numpy, torch or onnxruntime alone, makes the free runs that it made here."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ddl_dyn import MODELS, fit, open_run, rollout
from ddl_dyn.cli.main import main
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import Setup, make_setup
from ddl_dyn.results.portable import numpy_source
from ddl_dyn.results.portable.files import write_step_map
from ddl_dyn.results.portable.step_map import make_step_map
from ddl_dyn.runs import RunError
from tests.helpers.exact_runs import stored
from tests.helpers.run_folders import make_run

STEPS, SEED = 5, 1
DATA = {"n_train": 16, "n_val": 4, "n_test": 6, "n_ood": 0, "steps": 20}
EVAL = {"short": 5, "long": 20}
TASK = {"householder_stack": "mirror"}
# Elsewhere neither torch nor this package is there.
LOADER = """
import sys
sys.modules.update(dict.fromkeys(["torch", "ddl_dyn", "scipy", "pandas"]))
import importlib.util
import numpy as np
spec = importlib.util.spec_from_file_location("model", sys.argv[1])
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)
given = np.load(sys.argv[2])
how = given["inputs"] if model.FACTS["input_names"] else given["inputs"].shape[1]
np.save(sys.argv[3], model.forecast(given["x0"], how))
"""


def setup_of(model: str, task: str = "van_der_pol", **options: Any) -> Setup:
    """A setup whose replicas are off their start, or solved, as if restored from a finished run."""
    settings = {"task": task, "model": model, "seeds": 2, "data": DATA, "eval": EVAL, "model_args": options}
    setup = make_setup(resolve_run(settings | {"train": {"updates": 0, "compile": "off"}}))
    if MODELS[model].closed_form:
        fit(setup.replicas, *setup.scaled("train"), *setup.scaled("val"), setup.config.train)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for values in setup.replicas.parameters.values():
            values.add_(0.2 * torch.randn(values.shape, generator=generator))
    return replace(setup, stored=SimpleNamespace(arrays={"portrait_replica": 0}, id="1"))  # type: ignore[arg-type]


def starts_of(setup: Setup) -> tuple[np.ndarray, np.ndarray]:
    """x0 (B, D) and inputs (B, T, U)."""
    return setup.data.test.states[:, 0], setup.data.test.inputs[:, :STEPS]


def expected(setup: Setup) -> np.ndarray:
    """The replica's free runs in float64, (B, T+1, D), in physical units, by the suite's own rollout."""
    r = setup.replicas.seeds.index(SEED)
    alone = setup.replicas.select([r]).to("cpu", torch.float64)
    x0, inputs = starts_of(setup)
    normalizer = setup.normalizer.of_replica(r)
    run = rollout(alone, torch.as_tensor(normalizer.normalize(x0)), STEPS, torch.as_tensor(inputs))
    return normalizer.denormalize(run.states[0].numpy())


def by_numpy(setup: Setup, folder: Path) -> np.ndarray:
    paths = write_step_map(setup, "numpy", folder / "model", SEED)
    assert [path.name for path in paths] == ["model.py", "model.npz"]
    x0, inputs = starts_of(setup)
    np.savez(folder / "given.npz", x0=x0, inputs=inputs)
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADER, paths[0], folder / "given.npz", folder / "found.npy"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "no warning either"
    found: np.ndarray = np.load(folder / "found.npy")
    return found


def stepped(setup: Setup, start: Any, step: Any) -> np.ndarray:
    """A free run by maps of arrays."""
    x0, inputs = starts_of(setup)
    state, states = start(x0), [x0]
    for t in range(STEPS):
        after = step(state, inputs[:, t]) if inputs.shape[2] else step(state)
        state, x = after if len(after) == 2 else (after[0], after[0])
        states.append(x)
    return np.stack(states, axis=1)


def by_torch(setup: Setup, folder: Path) -> np.ndarray:
    paths = write_step_map(setup, "torch.export", folder / "model", SEED)
    extra = {"facts.json": ""}
    programs = [torch.export.load(paths[0], extra_files=extra), *map(torch.export.load, paths[1:])]
    assert json.loads(extra["facts.json"])["state_names"] == list(setup.task.state_names)

    def call(program: Any) -> Any:
        def run(*given: np.ndarray) -> list[np.ndarray]:
            found = program.module()(*map(torch.as_tensor, given))
            return [part.numpy() for part in (found if isinstance(found, tuple) else (found,))]

        return run

    return stepped(setup, (lambda x: call(programs[1])(x)[0]) if programs[1:] else lambda x: x, call(programs[0]))


def by_onnx(setup: Setup, folder: Path) -> np.ndarray:
    onnxruntime = pytest.importorskip("onnxruntime")
    paths = write_step_map(setup, "onnx", folder / "model.onnx", SEED)
    sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in paths]
    facts = sessions[0].get_modelmeta().custom_metadata_map
    assert json.loads(facts["seed"]) == SEED
    assert json.loads(facts["dt"]) == setup.task.dt

    def call(session: Any) -> Any:
        names = [each.name for each in session.get_inputs()]
        return lambda *given: session.run(None, dict(zip(names, given, strict=True)))

    return stepped(setup, (lambda x: call(sessions[1])(x)[0]) if sessions[1:] else lambda x: x, call(sessions[0]))


WAYS = {"numpy": by_numpy, "torch.export": by_torch, "onnx": by_onnx}
EVERY = [(name, carry) for name in MODELS if name != "exact_map" for carry in ("observed", "latent")]
DRIVEN = [("ddl", "observed"), ("lstm", "latent"), ("analogue", "observed"), ("esn", "latent")]
CASES = [(name, carry, TASK.get(name, "van_der_pol")) for name, carry in EVERY]
CASES += [(name, carry, "van_der_pol_family") for name, carry in DRIVEN]


def check(way: str, folder: Path, model: str, carry: str, task: str) -> None:
    setup = setup_of(model, task, carry=carry)
    want, got = expected(setup), WAYS[way](setup, folder)
    assert np.isfinite(want).all()
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6 * np.abs(want).max())


# Each model once, its carry in turn; the others are slow by their number.
QUICK = {*CASES[::4], *CASES[3::4], *CASES[-4:]}


@pytest.mark.parametrize(
    ("model", "carry", "task"),
    [pytest.param(*case, marks=[] if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_numpy_alone_makes_the_same_free_runs(tmp_path: Path, model: str, carry: str, task: str) -> None:
    check("numpy", tmp_path, model, carry, task)


@pytest.mark.parametrize("way", ["torch.export", "onnx"])
@pytest.mark.parametrize(("model", "carry", "task"), [("ddl", "latent", "van_der_pol_family"), CASES[4]])
def test_torch_and_onnxruntime_make_the_same_free_runs(
    way: str, tmp_path: Path, model: str, carry: str, task: str
) -> None:
    check(way, tmp_path, model, carry, task)


@pytest.mark.slow  # three to twelve seconds a model, most of them in torch's exporter
@pytest.mark.parametrize("way", ["torch.export", "onnx"])
@pytest.mark.parametrize(("model", "carry", "task"), CASES)
def test_every_model_leaves_in_every_form(way: str, tmp_path: Path, model: str, carry: str, task: str) -> None:
    check(way, tmp_path, model, carry, task)


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        ("ddl", {"sharing": "untied", "layers": 20}, "an untied stack is another map at every step"),
        ("exact_map", {}, "its step is no fixed graph of tensor operations"),
        ("neural_ode", {"solver": "dopri5"}, "with fixed steps, model_args.solver=rk4"),
        ("neural_ode", {"time_dependent": True, "carry": "latent"}, "its step depends on the time"),
    ],
)
def test_what_is_no_one_graph_is_refused_in_a_line(
    tmp_path: Path, model: str, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        write_step_map(setup_of(model, **options), "numpy", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_what_is_asked_for_wrongly_is_refused(tmp_path: Path) -> None:
    setup = setup_of("resnet")
    for form, name, seed, reason in (
        ("jax", "model", None, "form must be one of onnx, torch.export, numpy; got 'jax'"),
        ("onnx", "model.pt2", None, r"a file of onnx ends in \.onnx, got 'model.pt2'"),
        ("numpy", "model", 7, "seed must be one of the run's, 0, 1; got 7"),
    ):
        with pytest.raises(ValueError, match=reason):
            write_step_map(setup, form, tmp_path / name, seed)
    assert list(tmp_path.iterdir()) == []


def test_an_operation_that_numpy_lacks_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(numpy_source._WRITERS, "tanh")
    with pytest.raises(ValueError, match="the operation 'tanh' is not written in numpy; export to onnx"):
        write_step_map(setup_of("lstm"), "numpy", tmp_path / "model")


def test_a_module_that_errs_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(numpy_source._WRITERS, "tanh", "np.sin({})".format)
    with pytest.raises(ValueError, match="gives other numbers than the step"):
        write_step_map(setup_of("lstm"), "numpy", tmp_path / "model")


def test_the_operations_of_numpy_are_those_of_torch() -> None:
    # What no model of the suite uses yet: a model of the user's may.
    class Several(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            f = torch.nn.functional
            parts = [
                *(f.gelu(x), f.silu(x), f.elu(x), f.leaky_relu(x), f.softplus(x), f.hardtanh(x), f.mish(x)),
                *(torch.softmax(x, -1), x.clamp(-0.3, 0.4), x.clamp(min=0.1), torch.erf(x), x.abs().sqrt(), x.sin()),
                *(2.0 - x, x**3, 2.0**x, torch.maximum(x, x.cos()), torch.where(x > 0, x, x.exp()), (x > 0).double()),
                *(x.roll(1, -1), x.flip(-1), x.amax(-1, keepdim=True).expand(-1, 3), x.mean(1, keepdim=True) + x),
                *(
                    x.T.mT,
                    x[:, 1:2] * x,
                    x[:, None].squeeze(1),
                    torch.ones_like(x) / (1 + x * x),
                    x.square().cumsum(-1),
                ),
                *(f.layer_norm(x, (3,)), x.topk(2, -1).values.sum(-1, keepdim=True) + x, torch.atan2(x, x + 2)),
            ]
            return torch.cat(parts, dim=-1)

    from ddl_dyn.results.portable.step_map import _graph

    x = torch.randn(64, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    source, numbers = numpy_source.numpy_function("step", _graph(Several(), (x,), "several"), ["state"])
    module: dict[str, Any] = {"np": np, "NUMBERS": numbers}
    exec("import math\n" + numpy_source.HELPERS + source, module)
    # The error function and the logistic function are written in other forms: a few roundings.
    np.testing.assert_allclose(module["step"](x.numpy()), Several()(x).numpy(), rtol=1e-12, atol=1e-14)


def test_a_stored_run_exports_the_seed_that_is_shown(tmp_path: Path) -> None:
    stored(tmp_path / "runs", "1", task="henon", model="resnet", train={"updates": 5, "compile": "off"})
    run = open_run("1", tmp_path / "runs")
    paths = run.export("numpy", tmp_path / "henon")
    assert [path.name for path in paths] == ["henon.py", "henon.npz"]
    assert make_step_map(run.setup).facts["seed"] == run.replicas.seeds[run.setup.chosen]
    x0, inputs = starts_of(run.setup)
    np.savez(tmp_path / "given.npz", x0=x0, inputs=inputs)
    subprocess.run(
        [sys.executable, "-I", "-c", LOADER, paths[0], tmp_path / "given.npz", tmp_path / "found.npy"], check=True
    )
    # Float32 at home: 2⁻²² relative to the largest state, as of stored forecasts, grown over five steps.
    home = run.predict(x0, STEPS).states[run.setup.chosen]
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), home, rtol=0, atol=1e-5 * np.abs(home).max())
    make_run(tmp_path / "runs", "2", status="FAILED")
    with pytest.raises(RunError, match="is FAILED; only a completed run"):
        open_run("2", tmp_path / "runs").export("numpy", tmp_path / "none")


def test_the_command_writes_beside_the_run_or_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stored(tmp_path / "runs", "1", task="henon", model="linear", train={"updates": 5, "compile": "off"})
    words = ["--runs", str(tmp_path / "runs"), "convert", "1", "--to", "numpy"]
    assert main(words) == 0
    assert capsys.readouterr().out.split() == [str(run.path / "step.py"), str(run.path / "step.npz")]
    assert main([*words, "--out", str(tmp_path / "away" / "henon.py"), "--seed", "1"]) == 0
    assert {path.name for path in (tmp_path / "away").iterdir()} == {"henon.py", "henon.npz"}
    capsys.readouterr()
    assert main([*words, "--seed", "5"]) == 1
    assert capsys.readouterr().err == "error: seed must be one of the run's, 0, 1; got 5\n"
