"""Each model learns what it must be able to learn, and shows the failure that it must show. Minutes; small budgets.

Errors are root mean squares over test states in normalised units: the mean forecast scores about 1.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Normalizer, Replicas, TrainConfig, fit, make_model, rollout
from ddl_dyn.tasks import make_dataset, make_task

pytestmark = pytest.mark.slow
SEEDS = (0, 1, 2)
PLAIN = {"lift": "identity", "hidden_dim": 16}
CONSTANT = {"lift": "identity", "hidden_dim": 1, "generator": "constant", "gate": "constant"}


def trained(task, model, *, normalize="isotropic", n=128, steps=40, updates=300, horizon=10, lr=1e-2, **options):
    """Replicas trained on a task, and its test split in model units."""
    n_val = 32 if steps > 1 else 512
    data = make_dataset(task, n_train=n, n_val=n_val, n_test=128, n_ood=0, steps=steps, noise=0.0, seed=0)
    normalizer = Normalizer.fit(data.train.states, normalize)
    train, val, test = (p.replace(states=normalizer.normalize(p.states)) for p in (data.train, data.val, data.test))
    shape = {"state_dim": task.state_dim, "input_dim": task.input_dim, "dt": task.dt}
    replicas = Replicas(lambda: make_model(model, **shape, **options), SEEDS)
    config = TrainConfig(
        updates=updates, horizon=horizon, lr=lr, validate_every=max(updates // 5, 1), weight_decay=0.0, compile="off"
    )
    fit(replicas, train, val, config)
    return replicas, test


def errors(replicas, test, step):
    """(R,), error of the free run after so many steps."""
    truth = torch.as_tensor(test.states, dtype=torch.float32)
    run = rollout(replicas, truth[:, 0], step, torch.as_tensor(test.inputs[:, :step], dtype=torch.float32))
    return (run.states[:, :, step] - truth[:, step]).square().mean(dim=(1, 2)).sqrt().numpy()


def determinants(replicas, test):
    """(R, N), determinant of the learned map's Jacobian at the first test states, in float64."""
    x = torch.as_tensor(test.states[:, 0])
    out = []
    for r in range(replicas.size):
        model = replicas.model(r).double()
        advance = lambda z, model=model: model.advance(z[None], 0, z.new_zeros(1, 0))[0]  # noqa: E731
        out.append(torch.stack([torch.det(torch.autograd.functional.jacobian(advance, z)) for z in x[:32]]))
    return torch.stack(out).numpy()


ONE_STEP = {"steps": 1, "horizon": 1, "n": 2048, "normalize": "component", "updates": 600}
LEARNS = [
    # task, task's parameters, model, options, steps ahead, error allowed
    ("henon", {}, "resnet", ONE_STEP | PLAIN, 1, 0.12),
    ("logistic", {}, "rkan", ONE_STEP | {"lift": "identity", "hidden_dim": 4}, 1, 0.05),
    ("damped_spiral", {}, "neural_ode", PLAIN | {"updates": 150}, 20, 0.2),
    ("damped_spiral", {}, "invertible_resnet", PLAIN | {"updates": 100}, 20, 0.2),
    ("harmonic", {}, "lstm", PLAIN | {"carry": "latent"}, 20, 0.15),
    ("harmonic", {}, "gru", PLAIN | {"carry": "latent"}, 20, 0.15),
    ("harmonic", {}, "gated_residual", PLAIN | {"updates": 150}, 20, 0.2),
    ("rotation", {}, "ddl", PLAIN | {"updates": 400}, 10, 0.25),
    ("mirror", {}, "ddl", CONSTANT | {"rewrite": "erase", "layers": 1, "lr": 0.1, "horizon": 4}, 10, 0.25),
]


@pytest.mark.parametrize(
    ("task", "params", "model", "options", "ahead", "allowed"), LEARNS, ids=[f"{m}-{t}" for t, _, m, *_ in LEARNS]
)
def test_learns_what_it_must(task, params, model, options, ahead, allowed):
    replicas, test = trained(make_task(task, **params), model, **options)
    found = errors(replicas, test, ahead)
    # The worst of three seeds; the medians measured at this budget are half of what is allowed, or less.
    assert found.max() < allowed, found


@pytest.mark.parametrize("omega", [0.6, 1.5])
def test_ddl_finds_the_relaxation_of_kaczmarz(omega):
    """One row is one Delta update, and I − ω a aᵀ has one such factor: with constant k, β and v the gate must be ω."""
    task = make_task("kaczmarz", rows=1, omega=omega)
    options = ONE_STEP | CONSTANT | {"normalize": "none", "layers": 1, "value": "constant", "beta0": 1.0, "lr": 0.1}
    replicas, test = trained(task, "ddl", **options)
    assert errors(replicas, test, 1).max() < 0.01
    x = torch.as_tensor(test.states[:, 0], dtype=torch.float32).expand(3, -1, -1)
    trace = replicas.trace(x, 0, x.new_zeros(3, x.shape[1], 0))
    np.testing.assert_allclose(trace["beta"][:, 0, 0, 0].detach().numpy(), omega, rtol=0.01)
    row, target = task.system[0][0], task.system[1][0]
    k, v = (trace[name][:, 0, 0, 0].detach().numpy() for name in ("k", "v"))
    # k and −k with −v are one factor.
    sign = np.sign(k @ row)
    np.testing.assert_allclose(k * sign[:, None], np.tile(row, (3, 1)), atol=0.02)
    np.testing.assert_allclose(v[:, 0] * sign, target, atol=0.02)


def test_a_flow_on_the_line_cannot_flip():
    """Trajectories of a flow on the line keep their order, and of all increasing maps x → 0 is nearest to x → −x.

    The solver must be fine enough to be a flow: one Runge–Kutta step of a strong field is a map that may turn back.
    """
    options = PLAIN | {"solver": "rk4", "substeps": 8, "updates": 80, "horizon": 2}
    replicas, test = trained(make_task("flip"), "neural_ode", **options)
    assert (determinants(replicas, test) > 0).all()
    spread = np.sqrt(np.mean(test.states[:, 1] ** 2))
    # 2 %: the test states are a sample, symmetric about 0 on average only.
    assert (errors(replicas, test, 1) > 0.98 * spread).all()


@pytest.mark.parametrize(
    ("model", "options"),
    [("neural_ode", {"solver": "rk4", "substeps": 4, "updates": 80}), ("invertible_resnet", {"updates": 150})],
)
def test_what_preserves_orientation_does_not_learn_a_mirror(model, options):
    """A flow and a stack of contracting residual blocks have det J > 0 on their own space; a mirror has det J = −1."""
    replicas, test = trained(make_task("mirror"), model, **PLAIN, horizon=2, **options)
    assert (determinants(replicas, test) > 0).all()
    # The DDL stack with a gate in (0, 2) is below 0.03 on this task, see above.
    assert (errors(replicas, test, 1) > 0.3).all()


@pytest.mark.parametrize(("task", "ahead"), [("mirror", 1), ("rotation", 10)])
def test_a_gate_below_one_neither_reflects_nor_rotates(task, ahead):
    """With v = 0 and 0 < β < 1 an update shortens whatever it moves and turns nothing by a right angle or more.

    Holds for lift=identity and v = 0, constant or state-dependent k alike.
    """
    options = {"rewrite": "erase", "gate_max": 1.0, "beta0": 0.5, "horizon": 4, "updates": 200}
    for form in (CONSTANT | {"layers": 2, "lr": 0.1}, PLAIN | {"layers": 1}):
        replicas, test = trained(make_task(task), "ddl", **options, **form)
        assert (errors(replicas, test, ahead) > 0.5).all(), form


@pytest.mark.parametrize(
    ("directions", "gate_max", "learns"), [(2, 2.0, True), (1, 2.0, False), (2, 1.0, False)], ids=str
)
def test_s3_needs_two_reflections_and_the_whole_gate(directions, gate_max, learns):
    """A 3-cycle is two reflections: with v = 0 one update cannot turn, and below β = 1 none can reflect.

    Source: Siems et al. (2025), DeltaProduct, arXiv 2502.10297, the S₃ column of its state-tracking experiment.
    """
    options = {"generator": "input", "gate": "input", "rewrite": "erase", "carry": "latent", "layers": 1}
    sizes = {"latent_dim": 6, "value_dim": 2, "directions": directions, "gate_max": gate_max, "beta0": gate_max / 2}
    replicas, test = trained(
        make_task("s3"), "ddl", normalize="none", n=512, steps=20, horizon=12, updates=400, **options, **sizes
    )
    truth = torch.as_tensor(test.states, dtype=torch.float32)
    run = rollout(replicas, truth[:, 0], 20, torch.as_tensor(test.inputs, dtype=torch.float32))
    right = (run.states[..., 1:, :].argmax(-1) == truth[:, 1:].argmax(-1)).double().mean(dim=(1, 2)).numpy()
    # Chance is 1/6; the words tested are longer than the 12 tokens trained on.
    assert (right.max() > 0.95) if learns else (right.max() < 0.6), right
