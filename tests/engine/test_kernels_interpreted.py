"""The rollout kernels' arithmetic, in Triton's interpreter on a CPU.

Triton decides when it is imported whether it interprets, so these tests run in a process of their own, which the two
tests at the end start; asked for directly: TRITON_INTERPRET=1 pytest tests/engine/test_kernels_interpreted.py.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, fit, make_model
from ddl_dyn.engine import kernels
from tests.helpers import kernel_reference

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
interpreted = pytest.mark.skipif(not INTERPRETED, reason="run in the interpreting process that the last tests start")

LATENT = {"lift": "linear", "carry": "latent"}
OBSERVED = {"lift": "linear", "carry": "observed"}
IDENTITY = {"lift": "identity", "carry": "latent"}
# model, D, B, T, R, options: odd widths, a batch that is no multiple of the tile, one replica, one step, one component.
QUICK = [
    ("ddl", 3, 3, 2, 2, IDENTITY | {"layers": 2, "hidden_dim": 5}),
    ("resnet", 2, 3, 2, 2, OBSERVED | {"layers": 1, "hidden_dim": 5, "latent_dim": 3}),
]
SLOW = [
    # A single row has no direction to turn, hence no gradient of a unit k.
    ("ddl", 1, 2, 1, 1, IDENTITY | {"layers": 1, "hidden_dim": 1, "normalize_direction": False}),
    ("ddl", 2, 17, 2, 2, LATENT | {"layers": 1, "hidden_dim": 20, "latent_dim": 5, "value_dim": 3}),
    ("ddl", 2, 3, 2, 1, OBSERVED | {"layers": 2, "hidden_dim": 5, "latent_dim": 3, "value_dim": 2}),
    ("ddl", 20, 2, 2, 1, IDENTITY | {"layers": 1, "hidden_dim": 3, "gate_max": 1.0}),
    ("ddl", 2, 3, 2, 1, LATENT | {"layers": 1, "latent_dim": 3, "rewrite": "write", "normalize_direction": False}),
    ("ddl", 2, 3, 2, 1, LATENT | {"layers": 1, "latent_dim": 3, "rewrite": "erase", "directions": 2}),
    ("ddl", 2, 3, 2, 1, LATENT | {"layers": 1, "latent_dim": 3, "rewrite": "untied", "directions": 2}),
    ("ddl", 2, 3, 2, 1, LATENT | {"layers": 1, "latent_dim": 3, "gate": "fixed", "beta0": 1.3}),
    ("ddl", 2, 3, 2, 1, LATENT | {"layers": 1, "latent_dim": 3, "rewrite": "untied", "gate": "fixed", "beta0": 0.7}),
    ("resnet", 1, 17, 1, 1, IDENTITY | {"layers": 2, "hidden_dim": 20}),
    ("resnet", 3, 3, 3, 2, LATENT | {"layers": 2, "hidden_dim": 16, "latent_dim": 16, "step_size": 0.5}),
]


def label(case):
    name, D, B, T, R, options = case
    return f"{name} D{D} B{B} T{T} R{R} " + " ".join(f"{k}={v}" for k, v in options.items())


def build(case):
    """Replicas with every parameter moved off its start, x0 (R, B, D) and a weight of each state in a loss."""
    name, D, B, T, R, options = case

    def scrambled():
        model = make_model(name, state_dim=D, **options)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.3 * torch.randn(p.shape))
        return model

    g = torch.Generator().manual_seed(1)
    return Replicas(scrambled, range(R)), torch.randn(R, B, D, generator=g), torch.randn(R, B, T, D, generator=g)


def relative(found, truth):
    return float((found.detach().double() - truth.detach()).abs().max() / truth.detach().abs().max().clamp(min=1e-12))


def agree(case):
    """Values and gradients beside the ordinary implementation in float64 and beside the numpy reference."""
    replicas, x0, weight = build(case)
    R, _, T, _ = weight.shape
    x = x0.clone().requires_grad_()
    states = kernels.fused_unroll(replicas.template, replicas.parameters, x, T)
    gradients = torch.autograd.grad((states * weight).sum(), [*replicas.parameters.values(), x])
    replicas.to(dtype=torch.float64)
    x = x0.double().requires_grad_()
    truth = replicas.call("unroll", x, x.new_zeros(*x.shape[:2], T, 0))
    exact = torch.autograd.grad((truth * weight).sum(), [*replicas.parameters.values(), x])
    # A few float32 roundings a step: 1e-6 of the largest entry was seen, 1e-5 leaves room for other sums.
    assert relative(states, truth) < 1e-5
    for name, found, wanted in zip([*replicas.parameters, "x0"], gradients, exact, strict=True):
        assert found.shape == wanted.shape
        assert wanted.abs().max() > 1e-6, f"{name} has no gradient in this case"
        assert relative(found, wanted) < 1e-5, name
    rng = np.random.default_rng(0)
    for r in range(R):
        one = {name: t[r].numpy() for name, t in replicas.state_dict().items()}

        def loss(weights, r=r):
            run = kernel_reference.unroll(replicas.template, weights, x0[r].double().numpy(), T)
            return (run * weight[r].double().numpy()).sum()

        assert loss(one) == pytest.approx(float((states[r].detach().double() * weight[r]).sum()), rel=1e-4, abs=1e-4)
        for name, found in zip(replicas.parameters, gradients, strict=False):
            along = rng.standard_normal(one[name].shape)
            slope = kernel_reference.gradient_along(loss, one, name, along)
            # The sum over a parameter's entries cancels, so the error is told in terms of the gradient's length.
            scale = float(found[r].norm()) * np.linalg.norm(along)
            assert abs(slope - float((found[r].double() * torch.from_numpy(along)).sum())) < 1e-5 * scale + 1e-7, name


@interpreted
@pytest.mark.parametrize("case", QUICK, ids=label)
def test_values_and_gradients(case):
    agree(case)


@interpreted
@pytest.mark.slow
@pytest.mark.parametrize("case", SLOW, ids=label)
def test_values_and_gradients_of_every_option_and_odd_shape(case):
    agree(case)


@interpreted
@pytest.mark.parametrize("K", [8, 16])
def test_products_and_tanh(K):
    # Short sums and dots take different ways.
    from tests.helpers.kernel_pieces import curve, product

    a, b = torch.randn(16, K), torch.randn(K, 8)
    out = torch.empty(16, 8)
    product[(1,)](a, b, out, K)
    # float32 sums of K terms of order one.
    torch.testing.assert_close(out.double(), a.double() @ b.double(), rtol=1e-5, atol=1e-5)
    x = torch.cat((torch.logspace(-30, 2, 500), torch.linspace(0.29, 0.31, 12)))
    x, y = torch.cat((x, -x)), torch.empty(1024)
    curve[(1,)](x, y)
    # Two units in the last place of float32, near 0 and far from it; no overflow at either end.
    torch.testing.assert_close(y.double(), torch.tanh(x.double()), rtol=2.5e-7, atol=0.0)


@interpreted
@pytest.mark.parametrize(("d", "values"), [(2, 1), (5, 3)])
def test_the_single_update(d, values):
    from benchmarks.single_update import check, operands
    from benchmarks.update_kernel import fused_update

    args = operands(700, d, values, "cpu")
    check(fused_update, args)
    with pytest.raises(AssertionError):
        check(lambda X, k, v, beta: fused_update(X, k, -v, beta), args)


class Series:
    """Six trajectories of a slow rotation."""

    def __init__(self):
        angle = 0.1 * np.arange(5)[None, :] + np.arange(6)[:, None]
        self.states, self.inputs = np.stack((np.cos(angle), np.sin(angle)), axis=-1), np.zeros((6, 4, 0))


def trained(name, monkeypatch, *, fused):
    """Replicas after three updates, and how often the kernels ran."""
    from ddl_dyn.engine.kernels import rollout

    runs, launch = [], rollout.launch_unroll
    monkeypatch.setattr(rollout, "launch_unroll", lambda *args: (runs.append(args[-1]), launch(*args))[1])
    if not fused:
        monkeypatch.delenv("TRITON_INTERPRET")
    replicas = Replicas(lambda: make_model(name, state_dim=2, layers=1, hidden_dim=4, latent_dim=3), [0, 1])
    config = TrainConfig(updates=3, batch=3, horizon=2, curriculum=False, validate_every=3, compile="off")
    fit(replicas, Series(), Series(), config)
    monkeypatch.undo()
    return replicas.state_dict(), runs


@interpreted
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ddl", "resnet"])
def test_training_through_the_kernels_is_training(name, monkeypatch):
    ordinary, none = trained(name, monkeypatch, fused=False)
    fused, runs = trained(name, monkeypatch, fused=True)
    # The trial of two steps, three updates of two, two validations of four.
    assert none == []
    assert runs == [2, 4, 2, 2, 2, 4]
    for key in ordinary:
        # Adam divides a gradient by its own size, so that the rounding of one near 0 moves a weight by up to 3e-3, the
        # rate; none of these is so near.
        torch.testing.assert_close(fused[key], ordinary[key], rtol=1e-3, atol=1e-4, msg=key)


@interpreted
@pytest.mark.slow
def test_kernels_that_fail_their_trial_are_left_alone(monkeypatch):
    from ddl_dyn.engine.kernels import rollout

    launch = rollout.launch_unroll

    def raising(*_):
        raise RuntimeError("out of resources")

    def gradients_lost(model, parameters, x0, steps):
        return launch(model, {name: p.detach() for name, p in parameters.items()}, x0, steps) + 0 * sum(
            p.sum() for p in parameters.values()
        )

    x = torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(0))
    for broken, words in (
        (raising, "out of resources"),
        (lambda *args: 1.001 * launch(*args), "the states came out"),
        (gradients_lost, "the gradient of"),
    ):
        replicas = Replicas(lambda: make_model("resnet", state_dim=2, layers=1, hidden_dim=3, lift="identity"), [0])
        ordinary = replicas.call("unroll", x, x.new_zeros(1, 3, 2, 0))
        monkeypatch.setattr(rollout, "launch_unroll", broken)
        with pytest.warns(RuntimeWarning, match=words):
            assert torch.equal(replicas.unroll(x, x.new_zeros(1, 3, 2, 0)), ordinary)
        # Once is enough: warnings are errors here.
        assert torch.equal(replicas.unroll(x, x.new_zeros(1, 3, 2, 0)), ordinary)
        monkeypatch.undo()
    assert kernels.usable(replicas.template, torch.device("cpu"), torch.float32) is False


@interpreted
@pytest.mark.slow
def test_what_diverged_stays_in_its_replica_and_equal_inputs_give_equal_bits():
    replicas, x0, weight = build(("ddl", 2, 17, 2, 2, IDENTITY | {"layers": 1, "hidden_dim": 3}))
    x0[1, 3] = torch.inf
    found = []
    for _ in range(2):
        states = kernels.fused_unroll(replicas.template, replicas.parameters, x0, 2)
        found.append((states, *torch.autograd.grad((states * weight).sum(), list(replicas.parameters.values()))))
    for first, second in zip(*found, strict=True):
        assert torch.equal(first.nan_to_num(), second.nan_to_num())
        assert torch.isfinite(first[0]).all()
    assert not torch.isfinite(found[0][0][1, 3]).any()
    assert torch.isfinite(found[0][0][1, :3]).all()
    assert torch.isfinite(found[0][0][1, 4:]).all()
    assert not all(torch.isfinite(t[1]).all() for t in found[0][1:])


def in_an_interpreting_process(marker):
    pytest.importorskip("triton", reason="Triton is made for Linux only")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", marker, __file__],
        env=os.environ | {"TRITON_INTERPRET": "1", "PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


if not INTERPRETED:

    def test_the_interpreter_agrees():
        in_an_interpreting_process("not slow")

    @pytest.mark.slow
    def test_the_interpreter_agrees_on_every_option():
        in_an_interpreting_process("slow")
