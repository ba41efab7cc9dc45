"""The echo state network and sparse identification, against plain numpy and against equations that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, fit, make_model, rollout
from ddl_dyn.engine.cpp import toolchain
from ddl_dyn.models import model_config
from ddl_dyn.models.least_squares import factorise
from ddl_dyn.tasks import Trajectories, make_dataset, make_task

CONFIG = TrainConfig(horizon=5, compile="off")


def solved(name, data, *, dt=1.0, seeds=(0,), **options):
    shape = {"state_dim": data.states.shape[-1], "input_dim": data.inputs.shape[-1], "dt": dt}
    replicas = Replicas(lambda: make_model(name, **shape, **options), seeds).to(dtype=torch.float64)
    return replicas, fit(replicas, data, data, CONFIG)


def driven(n=10, steps=30, inputs=1, seed=0):
    """A rotation that an input pushes."""
    rng = np.random.default_rng(seed)
    c, s = np.cos(0.4), np.sin(0.4)
    x, u = [rng.normal(size=(n, 2))], rng.normal(size=(n, steps, inputs))
    for t in range(steps):
        x.append(np.tanh(x[-1] @ np.array([[c, s], [-s, c]])) + 0.1 * u[:, t].sum(-1, keepdims=True))
    return Trajectories(times=np.arange(steps + 1.0), states=np.stack(x, axis=1), inputs=u)


@pytest.mark.parametrize("carry", ["latent", "observed"])
def test_an_echo_state_network_equals_plain_numpy(carry):
    data = driven()
    options = {"reservoir_dim": 15, "leak": 0.6, "warmup": 7, "ridge": 1e-6, "density": 0.5, "spectral_radius": 0.7}
    replicas, _ = solved("esn", data, carry=carry, **options)
    rule = replicas.model(0).rule
    A, V, b, W = (getattr(rule, name).numpy() for name in ("weight", "inward", "bias", "output"))
    assert np.abs(np.linalg.eigvals(A)).max() == pytest.approx(0.7, rel=1e-12)
    assert np.abs(V).max() <= 0.5

    def drive(r, x, u):
        return 0.4 * r + 0.6 * np.tanh(A @ r + V @ np.concatenate([x, u]) + b)

    def warm(x):
        r = np.zeros(15)
        for _ in range(7):
            r = drive(r, x, np.zeros(1))
        return r

    rows, targets = [], []
    for x, u in zip(data.states, data.inputs, strict=True):
        r = warm(x[0])
        for t in range(30):
            r = drive(r if carry == "latent" else warm(x[t]), x[t], u[t])
            rows.append(np.concatenate([[1.0], x[t], u[t], r]))
            targets.append(x[t + 1] - x[t])
    phi, y = np.stack(rows), np.stack(targets)
    expected = np.linalg.solve(phi.T @ phi / len(phi) + 1e-6 * np.eye(phi.shape[1]), phi.T @ y / len(phi))
    # The normal equations square a condition number of about 1e3.
    np.testing.assert_allclose(W, expected, rtol=1e-6, atol=1e-7)
    x, r = data.states[0, 0], warm(data.states[0, 0])
    run = rollout(replicas, torch.as_tensor(data.states[:1, 0]), 10, torch.as_tensor(data.inputs[:1, :10])).states
    for t in range(10):
        r = drive(r if carry == "latent" else warm(x), x, data.inputs[0, t])
        x = x + np.concatenate([[1.0], x, data.inputs[0, t], r]) @ W
        np.testing.assert_allclose(run[0, 0, t + 1].numpy(), x, rtol=1e-9, atol=1e-10)


def test_reservoirs_differ_by_their_seed_and_survive_a_checkpoint():
    data = driven()
    replicas, result = solved("esn", data, seeds=(0, 1), reservoir_dim=40, carry="latent")
    assert result.best_val[0] != result.best_val[1]
    assert replicas.count_parameters() == 0
    again = Replicas(lambda: make_model("esn", state_dim=2, input_dim=1, reservoir_dim=40, carry="latent"), (7, 8))
    again.to(dtype=torch.float64).load_state_dict(replicas.state_dict())
    x0, u = torch.as_tensor(data.states[:, 0]), torch.as_tensor(data.inputs)
    assert torch.equal(rollout(again, x0, 30, u).states, rollout(replicas, x0, 30, u).states)


def test_an_echo_state_network_remembers_what_one_state_does_not_show():
    # Only x of a rotation: x_{t+1} = 2 cos θ x_t − x_{t−1} is a map of two states and of no single one.
    t, phase = np.arange(60), np.linspace(0, 6, 16)[:, None]
    data = Trajectories(times=t.astype(float), states=np.cos(0.5 * t + phase)[..., None])
    errors = {}
    for carry in ("latent", "observed"):
        model = solved("esn", data, carry=carry, reservoir_dim=100)[0].model(0)
        states, u = torch.as_tensor(data.states), torch.zeros(16, 0, dtype=torch.float64)
        h = model.lift(states[:, 0])
        for l in range(40):
            # One step ahead under the true states; what is beside the state is remembered, or made anew.
            h = torch.cat((states[:, l], h[:, 1:]), dim=-1) if carry == "latent" else model.lift(states[:, l])
            h = model.step(h, l, u)
        errors[carry] = (model.read(h) - torch.as_tensor(data.states[:, 40])).abs().max().item()
    assert errors["latent"] < 0.01 < 0.1 < errors["observed"]


def test_sparse_identification_finds_the_lorenz_equations():
    """ẋ = 10(y − x), ẏ = x(28 − z) − y, ż = xy − 8z/3: seven terms, in physical units."""
    task = make_task("lorenz63", dt=0.002)
    data = task.simulate(task.initial_states(8, rng=np.random.default_rng(0), split="train"), 400)
    law = solved("sindy", data, dt=task.dt, form="flow", degree=3, threshold=0.1)[0].model(0).rule
    names = ["1", "x", "y", "z"]
    found = {}
    for row, weights in zip(law.factors.T.tolist(), law.weight.numpy(), strict=True):
        term = "".join(names[i] for i in row if i) or "1"
        for d, value in enumerate(weights):
            if value != 0.0:
                found["xyz"[d], term] = value
    expected = {
        ("x", "x"): -10.0, ("x", "y"): 10.0, ("y", "x"): 28.0, ("y", "y"): -1.0, ("y", "xz"): -1.0,
        ("z", "z"): -8.0 / 3.0, ("z", "xy"): 1.0,
    }  # fmt: skip
    assert set(found) == set(expected)
    for key, value in expected.items():
        # Differences of order dt⁴ = 2e-11 of a motion with time scales down to .03.
        assert found[key] == pytest.approx(value, rel=2e-3), key


def test_sparse_identification_finds_the_henon_map_and_tells_maps_from_flows():
    task = make_task("henon")
    data = task.simulate(np.random.default_rng(0).uniform(-0.3, 0.3, (20, 2)), 9)
    for form in ("map", "auto"):
        law = solved("sindy", data, form=form, degree=3, ridge=0.0)[0].model(0).rule
        assert law.flow == 0.0
        expected = {(0, 0, 0): (1, 0), (0, 0, 1): (-1, 0.3), (0, 0, 2): (1, -1), (0, 1, 1): (-1.4, 0)}
        for row, weight in zip(law.factors.T.tolist(), law.weight.numpy(), strict=True):
            # Exactly zero where a term is not in the map.
            np.testing.assert_allclose(weight, expected.get(tuple(row), (0, 0)), atol=1e-9, rtol=0)
            assert tuple(row) in expected or not weight.any()
    flow = make_task("van_der_pol")
    data = make_dataset(flow, n_train=32, n_val=1, n_test=1, n_ood=0, steps=100, noise=0.0, seed=0).train
    replicas, result = solved("sindy", data, dt=flow.dt)
    assert replicas.model(0).rule.flow == 1.0
    # The terms y, x²y and x of the oscillator: ẋ = y, ẏ = (1 − x²) y − x.
    assert int((replicas.model(0).rule.weight != 0).sum()) == 4
    assert result.best_val[0] < 0.02


def test_thresholding_equals_repeated_least_squares_on_what_is_left():
    rng = np.random.default_rng(0)
    phi, noise = rng.normal(size=(200, 6)), 0.01 * rng.normal(size=(200, 1))
    y = phi @ np.array([[1.0], [0.0], [0.05], [0.0], [-2.0], [0.005]]) + noise
    factor = factorise((torch.as_tensor(phi[i : i + 50]), torch.as_tensor(y[i : i + 50])) for i in range(0, 200, 50))
    kept = torch.tensor([True, False, True, False, True, False])
    found = factor.solve(ridge=1e-3, among=kept, output=0).numpy()
    part = phi[:, kept.numpy()]
    expected = np.linalg.solve(part.T @ part / 200 + 1e-3 * np.eye(3), part.T @ y / 200)
    np.testing.assert_allclose(found[kept.numpy()], expected, rtol=1e-11)
    assert not found[~kept.numpy()].any()
    assert not factor.solve(ridge=0.0, among=torch.zeros(6, dtype=torch.bool)).any()


def test_what_has_no_derivative_is_refused():
    data = driven()
    with pytest.raises(ValueError, match="use form=map"):
        solved("sindy", data, form="flow")
    replicas, _ = solved("sindy", data, form="auto")
    assert replicas.model(0).rule.flow == 0.0
    short = Trajectories(times=np.arange(4.0), states=data.states[:, :4])
    with pytest.raises(ValueError, match="five successive states, but trajectories have 4"):
        make_model("sindy", state_dim=2, form="flow").double().solve(
            *map(torch.as_tensor, (short.states, short.inputs))
        )
    with pytest.raises(ValueError, match="form"):
        model_config("sindy", form="weak")


@pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize(("name", "options"), [("esn", {"reservoir_dim": 12, "carry": "latent"}), ("sindy", {})])
def test_solved_models_run_compiled(name, options):
    data = driven(n=4, steps=10)
    replicas, _ = solved(name, data, **options)
    x0, u = torch.as_tensor(data.states[:, 0]), torch.as_tensor(data.inputs)
    expected = rollout(replicas, x0, 10, u).states
    assert replicas.compile(), replicas.why_eager
    # The same float64 sums in another order.
    torch.testing.assert_close(rollout(replicas, x0, 10, u).states, expected, rtol=1e-11, atol=1e-12)
