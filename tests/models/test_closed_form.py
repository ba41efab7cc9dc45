"""Models that are solved, not trained: floors, classical forecasts, oracles; against closed forms and plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Normalizer, Replicas, TrainConfig, fit, make_model, rollout
from ddl_dyn.engine.rollout import Status
from ddl_dyn.models import MODELS, model_config, truth_of
from ddl_dyn.models.least_squares import regress
from ddl_dyn.tasks import Trajectories, make_task

SOLVED = sorted(name for name, cls in MODELS.items() if cls.closed_form)
CONFIG = TrainConfig(horizon=5, compile="off")


def linear_data(n=12, steps=9, inputs=0, seed=0, offset=0.0):
    """Trajectories of x⁺ = A x + B u + c, and the matrices."""
    rng = np.random.default_rng(seed)
    A, B, c = 0.5 * rng.standard_normal((3, 3)), rng.standard_normal((3, inputs)), offset * rng.standard_normal(3)
    x, u = [rng.standard_normal((n, 3))], rng.standard_normal((n, steps, inputs))
    for t in range(steps):
        x.append(x[-1] @ A.T + u[:, t] @ B.T + c)
    data = Trajectories(times=np.arange(steps + 1.0), states=np.stack(x, axis=1), inputs=u)
    return data, A, B, c


def solved(name, data, *, seeds=(0,), truth=None, **options):
    shape = {"state_dim": data.states.shape[-1], "input_dim": data.inputs.shape[-1]}
    replicas = Replicas(lambda: make_model(name, **shape, truth=truth, **options), seeds).to(dtype=torch.float64)
    return replicas, fit(replicas, data, data, CONFIG)


def run(replicas, data, steps=9):
    return rollout(replicas, torch.as_tensor(data.states[:, 0]), steps, torch.as_tensor(data.inputs[:, :steps])).states


def truth_for(name, task):
    return truth_of(task) if MODELS[name].dynamics == "oracle" else None


@pytest.mark.parametrize("name", SOLVED)
def test_fit_solves_validates_once_and_repeats_nothing(name):
    task = make_task("rotation", theta=0.7)
    data = task.simulate(np.random.default_rng(0).standard_normal((8, 2)), 9)
    replicas, result = solved(name, data, seeds=(3, 1), truth=truth_for(name, task))
    assert replicas.count_parameters() == 0
    assert result.updates == 0
    assert len(result.history) == 1
    assert np.isfinite(result.best_val).all()
    assert np.isfinite(result.history[0].loss).all()
    # But for a reservoir nothing is drawn at random: all seeds are one.
    assert (result.best_val[0] == result.best_val[1]) == (name != "esn")
    found = run(replicas, data)
    for r in range(2):
        alone = rollout(replicas.model(r), torch.as_tensor(data.states[:, 0]), 9)
        torch.testing.assert_close(alone.states, found[r], rtol=1e-12, atol=1e-12)
    other = Replicas(lambda: make_model(name, state_dim=2, truth=truth_for(name, task)), [3, 1]).to(dtype=torch.float64)
    other.load_state_dict(replicas.state_dict())
    torch.testing.assert_close(run(other, data), found, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["mean", "linear", "analogue", "nvar", "esn", "sindy"])
def test_an_unsolved_model_cannot_be_used_by_mistake(name):
    found = rollout(make_model(name, state_dim=2), torch.ones(3, 2), 2)
    assert (found.status == Status.DIVERGED).all()


@pytest.mark.parametrize("name", SOLVED)
@pytest.mark.parametrize(
    "option", [{"lift": "linear"}, {"sharing": "untied"}, {"layers": 2}, {"hidden_dim": 8}, {"decay": True}]
)
def test_options_that_could_change_nothing_are_refused(name, option):
    with pytest.raises(ValueError, match=next(iter(option))):
        model_config(name, **option)


def test_persistence_and_mean():
    data, *_ = linear_data()
    x0 = torch.as_tensor(data.states[:, :1])
    torch.testing.assert_close(run(solved("persistence", data)[0], data)[0], x0.expand(-1, 10, -1), rtol=0, atol=0)
    found = run(solved("mean", data)[0], data)[0, :, 1:]
    expected = torch.as_tensor(data.states.mean(axis=(0, 1))).expand_as(found)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("inputs", "offset"), [(0, 0.0), (2, 0.0), (0, 1.0), (2, 1.0)])
def test_linear_map_recovers_the_matrices(inputs, offset):
    data, A, B, c = linear_data(inputs=inputs, offset=offset)
    model = solved("linear", data)[0].model(0)
    # Noise-free least squares with a condition number below 1e3.
    np.testing.assert_allclose(model.rule.weight.numpy(), np.hstack([A, B]), atol=1e-11)
    np.testing.assert_allclose(model.rule.bias.numpy(), c, atol=1e-11)
    without = solved("linear", data, affine=False)[0].model(0)
    assert not without.rule.bias.any()
    assert np.allclose(without.rule.weight.numpy(), np.hstack([A, B]), atol=1e-11) == (offset == 0.0)


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 1.0])
def test_regression_equals_the_normal_equations_over_several_blocks(ridge):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9000, 5)), rng.standard_normal((9000, 2))
    found = regress(lambda z: z, torch.as_tensor(x), torch.as_tensor(y), ridge=ridge).numpy()
    np.testing.assert_allclose(found, np.linalg.solve(x.T @ x / 9000 + ridge * np.eye(5), x.T @ y / 9000), rtol=1e-10)


def test_regression_without_a_unique_answer_takes_the_shortest():
    x = np.random.default_rng(0).standard_normal((20, 2)) @ np.array([[1.0, 0, 1], [0, 1, 1]])
    y = x @ np.array([[1.0], [2.0], [3.0]])
    found = regress(lambda z: z, torch.as_tensor(x), torch.as_tensor(y), ridge=0.0).numpy()
    np.testing.assert_allclose(found, np.linalg.pinv(x) @ y, atol=1e-12)


def test_analogue_does_what_the_nearest_did():
    data, *_ = linear_data(inputs=1)
    pairs = np.concatenate([data.states[:, :-1], data.inputs], axis=-1).reshape(-1, 4)
    after = data.states[:, 1:].reshape(-1, 3)
    rng = np.random.default_rng(7)
    x, u = rng.standard_normal((6, 3)), rng.standard_normal((6, 1))
    for options, expected in (
        ({}, lambda near, x: 0 * x + after[near[0]]),
        ({"neighbours": 3}, lambda near, x: 0 * x + after[near[:3]].mean(axis=0)),
        ({"increments": True}, lambda near, x: x + after[near[0]] - pairs[near[0], :3]),
    ):
        model = solved("analogue", data, library=200, **options)[0].model(0)
        found = model.step(torch.as_tensor(x), 0, torch.as_tensor(u)).numpy()
        for i in range(6):
            near = np.argsort(((pairs - np.concatenate([x[i], u[i]])) ** 2).sum(-1))
            np.testing.assert_allclose(found[i], expected(near, x[i]), atol=1e-13)
    # A training trajectory is its own analogue.
    torch.testing.assert_close(run(solved("analogue", data)[0], data)[0], torch.as_tensor(data.states))


def test_analogue_needs_as_many_pairs_as_neighbours():
    data, *_ = linear_data(n=1, steps=6)
    with pytest.raises(ValueError, match="7 neighbours need as many training pairs, got 6"):
        solved("analogue", data, neighbours=7)
    with pytest.raises(ValueError, match="must not exceed library"):
        model_config("analogue", library=3, neighbours=4)


def test_nvar_recovers_a_polynomial_map():
    task = make_task("henon")
    data = task.simulate(np.random.default_rng(0).uniform(-0.3, 0.3, (20, 2)), 9)
    replicas, _ = solved("nvar", data, degree=2, ridge=0.0)
    features = [sorted(row) for row in replicas.model(0).rule.factors.T.tolist()]
    # x⁺ − x = 1 − 1.4x² + y − x and y⁺ − y = .3x − y; index 0 is the constant, 1 is x, 2 is y.
    expected = {(0, 0): (1, 0), (0, 1): (-1, 0.3), (0, 2): (1, -1), (1, 1): (-1.4, 0), (1, 2): (0, 0), (2, 2): (0, 0)}
    assert len(features) == len(expected)
    for row, weight in zip(features, replicas.model(0).rule.weight.numpy(), strict=True):
        np.testing.assert_allclose(weight, expected[tuple(row)], atol=1e-9)


def test_nvar_delays_remember_what_one_state_does_not_show():
    # Only x of a rotation: x_{t+1} = 2 cos θ x_t − x_{t−1}, a map of two delays and of no single state.
    t, phase = np.arange(30), np.linspace(0, 6, 16)[:, None]
    data = Trajectories(times=t.astype(float), states=np.cos(0.5 * t + phase)[..., None])
    blind = solved("nvar", data, degree=1)[1].best_val[0]
    replicas, result = solved("nvar", data, degree=1, delays=1, carry="latent", ridge=0.0)
    assert blind > 0.5
    # The first step cannot know the past: it starts from a repeated state, in training as in the free run.
    assert result.best_val[0] < blind
    model = replicas.model(0)
    h = torch.as_tensor(np.stack([data.states[:, 5, 0], data.states[:, 4, 0]], axis=-1))
    step = model.read(model.step(h, 0, torch.zeros(16, 0, dtype=torch.float64)))
    assert (step - torch.as_tensor(data.states[:, 6])).abs().max() < 0.2
    with pytest.raises(ValueError, match="set carry=latent"):
        model_config("nvar", delays=1)


def test_nvar_degree_is_bounded():
    assert make_model("nvar", state_dim=3).rule.factors.shape == (3, 20)
    assert make_model("nvar", state_dim=32).rule.factors.shape == (2, 561)
    with pytest.raises(ValueError, match="lower degree or delays"):
        make_model("nvar", state_dim=32, degree=6)


@pytest.mark.parametrize("mode", ["none", "isotropic"])
@pytest.mark.parametrize("task", ["mirror", "rotation", "kaczmarz", "flip", "rotoreflection", "overwrite"])
def test_oracles_follow_the_truth(task, mode):
    task = make_task(task)
    data = task.simulate(task.initial_states(8, rng=np.random.default_rng(0), split="train"), 9)
    # Centred elsewhere than on the mirrors, so that their shift is tested too.
    normalizer = Normalizer.fit(data.states + 0.7, mode)
    scaled = data.replace(states=normalizer.normalize(data.states))
    for name in ("exact_map", "householder_stack"):
        _, result = solved(name, scaled, truth=truth_of(task, normalizer))
        assert result.best_val[0] < 1e-12, name


def test_householder_stack_follows_in_single_precision_and_under_a_flow_only_where_it_exists():
    task = make_task("mirror", d=5)
    replicas = Replicas(lambda: make_model("householder_stack", state_dim=5, truth=truth_of(task)), [0])
    x = np.random.default_rng(0).standard_normal((4, 5))
    found = rollout(replicas, torch.as_tensor(x), 50).states[0].numpy()
    # 50 reflections, each with a rounding or two of float32.
    np.testing.assert_allclose(found, task.simulate(x, 50).states, atol=50 * 5e-7)
    with pytest.raises(ValueError, match="not made of constant reflections"):
        make_model("householder_stack", state_dim=2, truth=truth_of(make_task("van_der_pol")))
    oblique = Normalizer(np.zeros(2), np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"data\.normalize=isotropic"):
        make_model("householder_stack", state_dim=2, truth=truth_of(make_task("mirror"), oblique))


def test_exact_map_drives_inputs_and_lets_bad_states_pass():
    task = make_task("s3")
    rng = np.random.default_rng(0)
    u = task.inputs(4, 6, rng=rng, split="train")
    data = task.simulate(task.initial_states(4, rng=rng, split="train"), 6, u)
    model = make_model("exact_map", state_dim=task.state_dim, input_dim=task.input_dim, truth=truth_of(task))
    found = rollout(model, torch.as_tensor(data.states[:, 0]), 6, torch.as_tensor(u).float()).states
    np.testing.assert_array_equal(found.numpy(), data.states)
    henon = make_model("exact_map", state_dim=2, truth=truth_of(make_task("henon")))
    ended = rollout(henon, torch.tensor([[5.0, 5.0], [0.1, 0.1]]), 30)
    assert ended.status.tolist() == [Status.DIVERGED, Status.OK]


def test_the_true_map_has_no_answer_outside_its_domain_and_its_own_inside():
    task = make_task("billiard_d")
    x = task.initial_states(5, rng=np.random.default_rng(0), split="train")
    outside = x.copy()
    outside[[1, 4], : task.state_dim // 2] = 1e3
    model = make_model("exact_map", state_dim=task.state_dim, truth=truth_of(task)).double()
    none = torch.zeros(5, 0).double()
    whole, found = (model.step(torch.as_tensor(states), 0, none).numpy() for states in (x, outside))
    assert np.isfinite(whole).all()
    assert np.isnan(found[[1, 4]]).all()
    np.testing.assert_array_equal(found[[0, 2, 3]], whole[[0, 2, 3]])


def test_an_oracle_must_be_told_and_nobody_else_may_be():
    data, *_ = linear_data()
    for name in ("exact_map", "householder_stack"):
        with pytest.raises(ValueError, match="has to be told the truth"):
            solved(name, data)
    with pytest.raises(ValueError, match="is no oracle"):
        make_model("resnet", state_dim=2, truth=truth_of(make_task("mirror")))


def test_a_run_of_an_oracle_that_has_no_answer_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    from ddl_dyn.experiments.resolve import resolve_run
    from ddl_dyn.experiments.run import Launch, run

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"not made of constant reflections.*take model=exact_map"):
        run(resolve_run({"task": "henon", "model": "householder_stack"}), Launch())
    assert not list(tmp_path.iterdir())
