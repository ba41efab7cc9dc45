"""Compiled free runs against the ordinary ones: values and gradients of every model, and what cannot be compiled."""

from __future__ import annotations

import copy
import ctypes
import os
import platform
import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn

from ddl_dyn import Replicas, make_model, rollout
from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.engine.cpp import CannotCompileError, toolchain, write_program
from ddl_dyn.models import MODELS
from ddl_dyn.models.base import StepModel

pytestmark = pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler")

D, U, STEPS = 2, 1, 5
# More than one tile of the batch, the last one not full.
B = 70
WAYS = {
    "observed": {"lift": "linear", "carry": "observed"},
    "latent": {"lift": "identity", "carry": "latent"},
}
TRAINED = sorted(name for name, cls in MODELS.items() if not cls.closed_form)
QUICK = {("resnet", "observed"), ("lstm", "latent")}
AS_FOR_USERS = pytest.mark.usefixtures("compiled_as_for_users")
CASES = [
    pytest.param(name, way, marks=() if (name, way) in QUICK else pytest.mark.slow) for name in TRAINED for way in WAYS
]
OPTIONS = [
    ("ddl", {"generator": "branch", "rewrite": "untied", "directions": 2, "norm": True}),
    ("ddl", {"generator": "mlp", "gate": "tanh", "rewrite": "erase"}),
    ("ddl", {"generator": "constant", "gate": "fixed", "value": "constant"}),
    ("resnet", {"norm": "pre"}),
    ("neural_ode", {"second_order": True, "augment": 2, "layers": 2, "solver": "midpoint", "substeps": 2}),
]


def scrambled(name, seeds=(3, 1, 4), dtype=torch.float64, scale=0.2, **options):
    """Replicas moved off their deliberate start, so that no gradient vanishes by construction."""
    replicas = Replicas(lambda: make_model(name, state_dim=D, input_dim=U, **options), seeds).to(dtype=dtype)
    with torch.no_grad():
        for r, seed in enumerate(seeds):
            g = torch.Generator().manual_seed(seed)
            for p in replicas.parameters.values():
                p[r] += scale * torch.randn(p.shape[1:], generator=g, dtype=dtype)
    return replicas


def data(R=3, batch=B, steps=STEPS, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    x0, u, target = ((R, batch, D), (R, batch, steps, U), (R, batch, steps, D))
    return tuple(torch.randn(shape, generator=g, dtype=dtype) for shape in (x0, u, target))


def values_and_gradients(replicas, x0, u, target, kind="mse"):
    """States, losses, and the losses' gradients by the start and by each parameter."""
    with torch.no_grad():
        states = replicas.unroll(x0, u)
    x0 = x0.clone().requires_grad_()
    loss = replicas.loss(kind, x0, u, target)
    wanted = [x0, *replicas.parameters.values()]
    weight = 2.0 ** torch.arange(len(loss), dtype=loss.dtype)
    return states, (loss.detach(), *torch.autograd.grad(loss, wanted, weight, materialize_grads=True))


def assert_same(found, expected, rtol):
    """Values and gradients agree, each tensor to `rtol` of its largest number."""
    for a, b in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * float(b.abs().max()))


@pytest.mark.parametrize(("name", "way"), CASES)
def test_values_and_gradients_are_those_of_the_ordinary_model(name, way, request):
    if (name, way) in QUICK:
        request.getfixturevalue("compiled_as_for_users")
    replicas = scrambled(name, **WAYS[way])
    expected = values_and_gradients(replicas, *data())
    assert all(g.abs().max() > 0 for g in expected[1])
    assert replicas.compile(), replicas.why_eager
    # Rounding in float64, in another order; the Chebyshev series of the Kolmogorov–Arnold block stretch it by 1e3.
    rtol = 1e-8 if name == "rkan" else 1e-11
    assert_same(values_and_gradients(replicas, *data()), expected, rtol)
    replicas.checkpointing = True
    assert_same(values_and_gradients(replicas, *data()), expected, rtol)


@pytest.mark.parametrize("kind", ["mse", "cross_entropy"])
@pytest.mark.parametrize(
    ("name", "options"),
    [("resnet", WAYS["observed"]), ("lstm", WAYS["latent"]), ("invertible_resnet", {"lift": "identity"})],
)
def test_each_loss_and_its_flat_gradient_are_those_of_autograd(name, options, kind):
    # A step that holds every parameter, a lift beside the step, and parameters that act through their spectral norm.
    replicas = scrambled(name, **options)
    x0, u, target = data()
    target = torch.nn.functional.one_hot(target.argmax(-1), D).double() if kind == "cross_entropy" else target
    # Windows are cut with one state more than is compared: rows are then not side by side.
    target = torch.cat((target[..., :1, :], target), dim=-2)[..., 1:, :]
    expected = replicas.loss_and_gradient(kind, x0, u, target)
    states, (loss, *gradients) = values_and_gradients(replicas, x0, u, target, kind)
    assert torch.equal(loss, expected[0])
    assert replicas.compile(), replicas.why_eager
    assert_same(values_and_gradients(replicas, x0, u, target, kind), (states, (loss, *gradients)), 1e-11)
    loss, gradient = replicas.loss_and_gradient(kind, x0, u, target)
    torch.testing.assert_close(loss, expected[0], rtol=1e-12, atol=0)
    # Rounding, in another order.
    torch.testing.assert_close(gradient, expected[1], rtol=1e-10, atol=1e-11 * float(expected[1].abs().max()))
    assert gradient.abs().max() > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=[f"{n} {i}" for i, (n, _) in enumerate(OPTIONS)])
def test_every_kind_of_layer_is_written_out_rightly(name, options):
    replicas = scrambled(name, **options)
    expected = values_and_gradients(replicas, *data())
    assert replicas.compile(), replicas.why_eager
    assert_same(values_and_gradients(replicas, *data()), expected, 1e-11)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="registers of another kind")
@pytest.mark.parametrize("flags", ["-mno-avx512f", "-mno-avx512f -mno-avx2"])
@pytest.mark.parametrize("name", ["resnet", "rkan"])
def test_narrower_registers_give_the_same(name, flags, monkeypatch):
    # Comparisons, exchanges and the blocks of products depend on how many numbers a register holds.
    monkeypatch.setenv("CXXFLAGS", f"-O1 {flags}")
    replicas = scrambled(name, hidden_dim=37, **WAYS["observed"])
    expected = values_and_gradients(replicas, *data())
    assert replicas.compile(), replicas.why_eager
    assert_same(values_and_gradients(replicas, *data()), expected, 1e-8 if name == "rkan" else 1e-11)
    single = scrambled(name, dtype=torch.float32, hidden_dim=37, **WAYS["observed"])
    states = single.unroll(*data(dtype=torch.float32)[:2])
    assert single.compile(), single.why_eager
    assert torch.allclose(single.unroll(*data(dtype=torch.float32)[:2]), states, atol=1e-4)


@AS_FOR_USERS
def test_float32_follows_float64_over_the_whole_range():
    # tanh and the logistic function with arguments from 1e-3 to past saturation, in both directions.
    double = scrambled("lstm", scale=3.0, **WAYS["latent"])
    single = scrambled("lstm", scale=3.0, **WAYS["latent"])
    single.load_state_dict(double.state_dict())
    single.to(dtype=torch.float32)
    assert single.compile()
    x0, u, target = data()
    expected = values_and_gradients(double, x0, u, target)
    found = values_and_gradients(single, x0.float(), u.float(), target.float())
    eager = Replicas(lambda: make_model("lstm", state_dim=D, input_dim=U, **WAYS["latent"]), [3, 1, 4])
    eager.load_state_dict(single.state_dict())
    ordinary = values_and_gradients(eager, x0.float(), u.float(), target.float())
    for a, b, c in zip((found[0], *found[1]), (ordinary[0], *ordinary[1]), (expected[0], *expected[1]), strict=True):
        # Compiled arithmetic may round differently, but not worse than torch's own: a factor of 4 and one rounding.
        ours, theirs = ((t.double() - c).abs().max() for t in (a, b))
        assert ours <= 4 * theirs + 1e-6 * c.abs().max()


@AS_FOR_USERS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_replica_is_bit_for_bit_what_it_is_alone_on_any_number_of_threads(dtype):
    # Five tiles of 64 samples in float32, nine of 32 in float64, the last one not full.
    batch = 260
    many = scrambled("resnet", seeds=(3, 1, 4), dtype=dtype, **WAYS["observed"])
    assert many.compile()
    many.threads = 1
    together = values_and_gradients(many, *data(batch=batch, dtype=dtype))
    for many.threads in (2, 3, 40):
        again = values_and_gradients(many, *data(batch=batch, dtype=dtype))
        for a, b in zip((again[0], *again[1]), (together[0], *together[1]), strict=True):
            assert torch.equal(a, b)
    for r in range(3):
        alone = many.select([r])
        assert alone.threads == 40
        found = values_and_gradients(alone, *(t[r : r + 1] for t in data(batch=batch, dtype=dtype)))
        for a, b in zip((found[0], *found[1]), (together[0], *together[1]), strict=True):
            # The losses were weighed by 1, 2, 4 (see `values_and_gradients`).
            weight = 1.0 if b is together[0] or b is together[1][0] else 2.0**r
            assert torch.equal(a[0], b[r] / weight)


def test_copies_of_compiled_replicas_are_independent():
    replicas = scrambled("resnet", **WAYS["observed"])
    assert replicas.compile()
    other = copy.deepcopy(replicas)
    with torch.no_grad():
        before = replicas.unroll(*data()[:2])
        other.parameters["layers.0.branch.last.bias"].add_(1.0)
        assert torch.equal(replicas.unroll(*data()[:2]), before)
        assert not torch.allclose(other.unroll(*data()[:2]), before)


def test_a_state_that_is_not_finite_stays_so_and_spoils_no_other():
    replicas = scrambled("resnet", **WAYS["observed"])
    assert replicas.compile()
    x0 = data()[0]
    good = rollout(replicas, x0, 4, torch.zeros(B, 4, U, dtype=x0.dtype)).states
    x0[1, 0, 0] = torch.nan
    x0[2, 5, 1] = torch.inf
    bad = rollout(replicas, x0, 4, torch.zeros(B, 4, U, dtype=x0.dtype)).states
    hit = torch.zeros(3, B, dtype=torch.bool)
    hit[1, 0] = hit[2, 5] = True
    assert torch.isnan(bad[hit]).all(-1).all(-1).all()
    assert torch.equal(bad[~hit], good[~hit])


class Own(StepModel):
    """A user's own model, with what the registry's do not do: an input-dependent branch and a rectifier."""

    Config = ModelConfig
    equation, source = "h⁺ = h + …", "arXiv 0000.00000"

    def make_layer(self):
        return OwnLayer(self.latent_dim, self.input_dim)


class OwnLayer(nn.Module):
    def __init__(self, dim, inputs):
        super().__init__()
        self.map = nn.Linear(dim + inputs, 2 * dim)
        self.norm = nn.LayerNorm(dim)
        self.power = nn.Parameter(torch.ones(dim))
        self.register_buffer("mask", torch.arange(dim) % 2 == 0)

    def forward(self, h, u):
        a, b = torch.nn.functional.gelu(self.map(torch.cat((h, u), -1))).chunk(2, -1)
        kept = torch.where(h > 0, torch.relu(a), torch.sin(b) * self.power)
        return self.norm(h + torch.clamp(kept, max=1.5) + torch.softmax(b, -1))


@pytest.mark.slow  # a large source
def test_a_users_own_model_gets_the_speed_without_asking():
    replicas = Replicas(lambda: Own(D, ModelConfig(), input_dim=U), [0, 1, 2]).to(dtype=torch.float64)
    expected = values_and_gradients(replicas, *data())
    assert replicas.compile(), replicas.why_eager
    assert_same(values_and_gradients(replicas, *data()), expected, 1e-11)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet", {"sharing": "untied", "layers": 5}, "untied"),
        ("neural_ode", {"solver": "dopri5"}, "control flow"),
        ("neural_ode", {"time_dependent": True}, "cannot be captured"),
        ("analogue", {}, "detach"),
    ],
)
def test_what_cannot_be_compiled_says_why_and_runs_eagerly(name, options, message):
    replicas = Replicas(lambda: make_model(name, state_dim=D, **options), [0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not replicas.compile()
    assert message in replicas.why_eager
    assert rollout(replicas, torch.zeros(3, D), 2).states.shape == (2, 3, 3, D)


def test_a_step_that_decides_by_numbers_is_refused():
    def step(tensors, s, _):
        after = s * tensors[0] if bool(s.sum() > 0) else s
        return after, after

    with pytest.raises(CannotCompileError, match="cannot be captured"):
        write_program(step, lambda _, x: x, [torch.ones(())], [True], torch.ones(1, 2), torch.ones(1, 0))


def test_without_a_compiler_it_says_so_and_runs_eagerly(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    replicas = scrambled("resnet", **WAYS["observed"])
    with pytest.warns(RuntimeWarning, match=r"no C\+\+ compiler was found"):
        assert not replicas.compile()
    assert torch.isfinite(replicas.unroll(*data()[:2])).all()


def test_flags_of_the_users_come_last(monkeypatch):
    plain = toolchain.compile_libraries([("int one = 1;", toolchain.FAST)])
    monkeypatch.setenv("CXXFLAGS", "-O0 -D'one=other'")
    named = toolchain.compile_libraries([("int one = 1;", toolchain.FAST)])
    assert named != plain, "a library of other flags is another one"
    library = ctypes.CDLL(str(named[0]))
    assert ctypes.c_int.in_dll(library, "other").value == 1
    monkeypatch.setenv("CXXFLAGS", "-D'one")
    replicas = scrambled("ddl")
    with pytest.warns(RuntimeWarning, match=r"\$CXXFLAGS is no list of flags: No closing quotation"):
        assert not replicas.compile()


def test_a_compiler_that_fails_is_no_crash(monkeypatch, tmp_path):
    broken = tmp_path / "broken-cxx"
    broken.write_text("#!/bin/sh\necho out of order >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("DDL_DYN_CACHE", str(tmp_path / "cache"))
    replicas = scrambled("resnet", **WAYS["observed"])
    with pytest.warns(RuntimeWarning, match="out of order"):
        assert not replicas.compile()


@pytest.mark.slow  # a compiler at work, several processes
def test_libraries_are_kept_for_the_next_process(tmp_path):
    code = (
        "from ddl_dyn import Replicas, make_model\n"
        "r = Replicas(lambda: make_model('persistence', state_dim=2), [0]); assert r.compile()\n"
    )
    environment = os.environ | {"DDL_DYN_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        found = [(p.name, p.stat().st_mtime_ns) for p in tmp_path.iterdir()]
        # The step in float32, its twin in float64, the team of threads, a digest of each; and the verdict on the first.
        assert sorted(name.partition(".")[2] for name, _ in found) == [*["sha256"] * 3, *["so"] * 3, "txt"]
        assert found == [(p.name, p.stat().st_mtime_ns) for p in tmp_path.iterdir()]


def test_operations_are_known_that_something_else_has_dispatched_before():
    # Torch makes one object of an overload's first use; a table keyed by a second one would find nothing.
    code = (
        "import torch\n"
        "from torch.utils._python_dispatch import TorchDispatchMode\n"
        "class Seen(TorchDispatchMode):\n"
        "    def __torch_dispatch__(self, func, types, args=(), kwargs=None):\n"
        "        seen.append(func)\n"
        "        return func(*args, **kwargs or {})\n"
        "seen, x = [], torch.ones(2)\n"
        "with Seen():\n"
        "    for f in (torch.gt, torch.lt, torch.ge, torch.le, torch.eq, torch.ne):\n"
        "        f(x, 0.0), f(x, x)\n"
        "    x + x, x * 2, x / x, x ** 2, torch.tanh(x), torch.where(x > 0, x, x), x.floor(), x.fmod(2.0)\n"
        "from ddl_dyn.engine.cpp.pointwise import FORMS, MADE\n"
        "missing = [str(func) for func in seen if func not in FORMS and func not in MADE]\n"
        "assert len(seen) >= 20 and not missing, missing\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("solver", "layers", "substeps"), [("rk4", 1, 1), ("midpoint", 2, 3), ("euler", 1, 2)])
def test_evaluations_of_the_field_are_counted_compiled_or_not(solver, layers, substeps):
    replicas = scrambled("neural_ode", solver=solver, layers=layers, substeps=substeps)
    x0, u, target = data()
    counts = []
    for _ in range(2):
        replicas.model_on_call.nfe = 0
        replicas.loss("mse", x0, u, target)
        counts.append(replicas.model_on_call.nfe)
        assert replicas.compile()
    assert counts[0] == counts[1] == STEPS * layers * substeps * {"euler": 1, "midpoint": 2, "rk4": 4}[solver]
