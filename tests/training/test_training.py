"""Training: replicas stay independent, runs repeat, resume and report what fails."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, fit, make_model, rollout
from ddl_dyn.training.schedule import Windows, horizon_at, rate_shape
from ddl_dyn.training.series import data_sets
from ddl_dyn.training.trainer import Trainer


@dataclasses.dataclass
class Data:
    states: np.ndarray
    inputs: np.ndarray


def rotation(n=32, steps=30, angle=0.3, seed=0):
    """Exact trajectories of a plane rotation."""
    x0 = np.random.default_rng(seed).standard_normal((n, 2))
    t = np.arange(steps + 1)
    c, s = np.cos(angle * t), np.sin(angle * t)
    x = np.stack([c * x0[:, :1] - s * x0[:, 1:], s * x0[:, :1] + c * x0[:, 1:]], axis=-1)
    return Data(x, np.zeros((n, steps, 0)))


def config(**changes):
    return TrainConfig(**({"updates": 40, "batch": 16, "horizon": 8, "validate_every": 10, "compile": "off"} | changes))


def build(name="ddl", **options):
    return lambda: make_model(name, state_dim=2, **({"hidden_dim": 8} | options))


@pytest.mark.parametrize(("name", "options"), [("ddl", {}), ("resnet", {}), ("neural_ode", {"solver": "rk4"})])
def test_training_together_equals_training_alone(name, options):
    train, val = rotation(), rotation(seed=1)
    seeds = list(range(8))
    together = Replicas(build(name, **options), seeds).to(dtype=torch.float64)
    result = fit(together, train, val, config(updates=15))
    for r, seed in enumerate(seeds):
        alone = Replicas(build(name, **options), [seed]).to(dtype=torch.float64)
        single = fit(alone, train, val, config(updates=15))
        assert single.best_val[0] == pytest.approx(result.best_val[r], rel=1e-9)
        for key, value in alone.state_dict().items():
            # Fifteen Adam updates amplify the float64 rounding of differently shaped products.
            torch.testing.assert_close(value[0], together.state_dict()[key][r], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["ddl", "resnet", "highway", "neural_ode"])
def test_learns_a_rotation(name):
    train, val, test = rotation(), rotation(seed=1), rotation(seed=2)
    replicas = Replicas(build(name, carry="observed"), [0, 1])
    x0 = torch.as_tensor(test.states[:, 0], dtype=torch.float32)
    truth = torch.as_tensor(test.states, dtype=torch.float32)

    def error():
        return (rollout(replicas, x0, 10).states - truth[:, :11]).square().mean(dim=(1, 2, 3)).sqrt().median()

    before = error()
    fit(replicas, train, val, config(updates=200, lr=1e-2))
    assert error() < 0.3 * before


def test_same_seeds_same_numbers():
    results = []
    for _ in range(2):
        replicas = Replicas(build(), [0, 1])
        fit(replicas, rotation(), rotation(seed=1), config())
        results.append(replicas.state_dict())
    assert all(torch.equal(results[0][k], results[1][k]) for k in results[0])


@pytest.mark.parametrize("stop", [1, 10, 17])
def test_resumed_training_ends_bit_for_bit_the_same(stop, tmp_path):
    train, val = rotation(), rotation(seed=1)
    whole = Replicas(build(), [0, 1])
    expected = fit(whole, train, val, config())

    class Stop(Exception):  # noqa: N818
        pass

    def save_and_stop(trainer):
        if trainer.update == stop:
            torch.save(trainer.state_dict(), tmp_path / "state.pt")
            raise Stop

    with pytest.raises(Stop):
        fit(Replicas(build(), [0, 1]), train, val, config(), on_update=save_and_stop)
    resumed = Replicas(build(), [0, 1])
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    result = fit(resumed, train, val, config(), state=state)
    assert all(torch.equal(whole.state_dict()[k], v) for k, v in resumed.state_dict().items())
    assert np.array_equal(result.best_val, expected.best_val)
    assert [p.update for p in result.history] == [p.update for p in expected.history]
    assert all(np.array_equal(a.loss, b.loss) for a, b in zip(result.history, expected.history, strict=True))


def test_a_diverging_replica_is_frozen_and_the_others_go_on():
    train, val = rotation(), rotation(seed=1)
    replicas = Replicas(build("resnet"), [0, 1, 2])
    with torch.no_grad():
        for p in replicas.parameters.values():
            p[1].fill_(1e30)
    others = Replicas(build("resnet"), [0, 2])
    result = fit(replicas, train, val, config())
    expected = fit(others, train, val, config())
    assert result.diverged.tolist() == [False, True, False]
    assert not np.isfinite(result.best_val[1])
    np.testing.assert_allclose(result.best_val[[0, 2]], expected.best_val, rtol=1e-4)
    # Its parameters are those it had: no update after the first bad one moved them.
    assert all((p[1] == 1e30).all() for p in replicas.parameters.values())


def test_clipping_is_per_replica():
    train, val = rotation(), rotation(seed=1)
    loud = Data(train.states * 100, train.inputs)
    for clip in (1e-3, 1e9):
        replicas = Replicas(build("resnet"), [0, 1])
        trainer = Trainer(replicas, loud, val, config(clip=clip))
        trainer.step()
        norms = trainer.gradient.norm(dim=1)
        assert (norms <= 1.001e-3).all() if clip == 1e-3 else (norms > 1e-3).all()


def test_best_checkpoint_is_kept_and_loaded():
    train, val = rotation(), rotation(seed=1)
    replicas = Replicas(build(), [0, 1])
    result = fit(replicas, train, val, config(updates=60, lr=0.05, schedule="constant"))
    lowest = np.min([p.val for p in result.history[1:]], axis=0)
    np.testing.assert_array_equal(result.best_val, lowest)
    again = Trainer(replicas, train, val, config()).validate(0.0)
    np.testing.assert_allclose(again.val, result.best_val, rtol=1e-6)


def test_untrained_parameters_are_never_the_best():
    train, val = rotation(), rotation(seed=1)
    replicas = Replicas(build(), [0, 1])
    fit(replicas, train, val, config(updates=300, lr=1e-2))
    skilled = replicas.state_dict()
    # A rate that destroys what is there: every trained state is worse than the start.
    result = fit(replicas, train, val, config(updates=20, lr=0.1, schedule="constant"))
    assert result.failed_to_train.all()
    assert not result.untrained.any()
    assert (result.best_update > 0).all()
    assert (result.best_val > result.history[0].val).all()
    assert any(not torch.equal(skilled[k], v) for k, v in replicas.state_dict().items())
    nothing = fit(replicas, train, val, config(updates=0))
    assert not nothing.failed_to_train.any()
    assert not nothing.untrained.any()


def test_a_replica_that_diverges_at_once_has_no_trained_state():
    replicas = Replicas(build("resnet"), [0, 1])
    with torch.no_grad():
        for p in replicas.parameters.values():
            p[1].fill_(1e30)
    result = fit(replicas, rotation(), rotation(seed=1), config())
    assert result.untrained.tolist() == [False, True]
    assert result.failed_to_train.tolist() == [False, True]


def test_the_last_checkpoint_is_that_of_the_last_update_or_of_the_stop():
    train, val = rotation(), rotation(seed=1)
    constant = {"lr": 0.05, "schedule": "constant", "validate_every": 1}
    replicas = Replicas(build(), [0, 1])
    result = fit(replicas, train, val, config(updates=60, **constant))
    last = Replicas(build(), [0, 1])
    last.load_state_dict(result.last)
    np.testing.assert_array_equal(Trainer(last, train, val, config()).validate(0.0).val, result.history[-1].val)
    assert (result.best_update < 60).any(), "nothing to tell the best from the last"
    # With patience one each replica stops at its first validation without a gain, and keeps what it was then.
    stopped = fit(Replicas(build(), [0, 1]), train, val, config(updates=60, patience=1, **constant))
    last.load_state_dict(stopped.last)
    found = Trainer(last, train, val, config()).validate(0.0).val
    for r in range(2):
        at = int(stopped.best_update[r]) + 1
        assert found[r] == stopped.history[at].val[r]
        assert found[r] >= stopped.best_val[r]


def test_replicas_with_data_sets_of_their_own_are_those_of_single_runs():
    parts = [(rotation(angle=a, seed=s), rotation(angle=a, seed=9 + s)) for a, s in ((0.3, 0), (0.5, 1), (0.9, 2))]
    trains, vals = zip(*parts, strict=True)
    sets = [0, 0, 1, 1, 2, 2]
    together = Replicas(build(), range(6), sets)
    compiled = config(compile="on")
    result = fit(together, trains, vals, compiled)
    for r, g in enumerate(sets):
        alone = Replicas(build(), [r])
        single = fit(alone, trains[g], vals[g], compiled)
        np.testing.assert_array_equal([p.val[r] for p in result.history], [p.val[0] for p in single.history])
        np.testing.assert_array_equal([p.loss[r] for p in result.history], [p.loss[0] for p in single.history])
        assert all(torch.equal(together.state_dict()[k][r], v[0]) for k, v in alone.state_dict().items())
    # Data sets matter: the same seed on another one ends elsewhere.
    other = fit(Replicas(build(), [0]), trains[1], vals[1], compiled)
    assert other.best_val[0] != result.best_val[0]
    # Run eagerly, products of other shapes round otherwise, and updates amplify it.
    eager = fit(Replicas(build(), range(6), sets).to(dtype=torch.float64), trains, vals, config())
    alone = fit(Replicas(build(), [3]).to(dtype=torch.float64), trains[1], vals[1], config())
    assert eager.best_val[3] == pytest.approx(alone.best_val[0], rel=1e-9)


def test_closed_forms_are_solved_each_on_its_own_data_set():
    parts = [(rotation(angle=a), rotation(angle=a, seed=1)) for a in (0.3, 0.9)]
    trains, vals = zip(*parts, strict=True)
    replicas = Replicas(lambda: make_model("linear", state_dim=2, lift="identity"), range(4), [0, 0, 1, 1])
    replicas.to(dtype=torch.float64)
    assert (fit(replicas, trains, vals, config()).best_val < 1e-9).all()
    step = rollout(replicas, torch.tensor([[1.0, 0.0]]), 1).states[:, 0, 1]
    angles = torch.atan2(step[:, 1], step[:, 0])
    torch.testing.assert_close(angles, torch.tensor([0.3, 0.3, 0.9, 0.9], dtype=torch.float64))


def test_data_sets_have_to_fit_the_replicas():
    replicas = Replicas(build(), [0, 1], [0, 1])
    with pytest.raises(ValueError, match="2 data sets, got 1"):
        fit(replicas, rotation(), rotation(seed=1), config())
    with pytest.raises(ValueError, match="the same for all data sets"):
        fit(replicas, [rotation(), rotation(n=31)], [rotation(), rotation()], config())
    with pytest.raises(ValueError, match="one a seed"):
        Replicas(build(), [0, 1], [0])


def test_validation_runs_as_far_as_it_is_told():
    train, val = rotation(), rotation(seed=1)
    replicas = Replicas(build(), [0])
    near, far = (Trainer(replicas, train, val, config(validate_steps=n)).validate(0.0).val[0] for n in (2, 30))
    x0 = torch.as_tensor(val.states[:, 0], dtype=torch.float32)
    error = rollout(replicas, x0, 2).states - torch.as_tensor(val.states[:, :3], dtype=torch.float32)
    assert near == pytest.approx(error[:, :, 1:].square().mean().sqrt().item(), rel=1e-5)
    assert far > near


def test_early_stopping_stops_each_replica_by_itself():
    result = fit(
        Replicas(build(), [0, 1]),
        rotation(),
        rotation(seed=1),
        config(updates=200, lr=1e-12, schedule="constant", patience=2),
    )
    assert result.updates < 200
    assert not result.diverged.any()


def test_untied_stack_learns_one_layer_a_step():
    replicas = Replicas(build(sharing="untied", layers=8), [0])
    result = fit(replicas, rotation(), rotation(seed=1), config(updates=60))
    assert result.best_val[0] < result.history[0].val[0]
    with pytest.raises(ValueError, match="untied stack's 8 layers"):
        fit(replicas, rotation(), rotation(seed=1), config(horizon=9))


def test_windows_are_the_same_for_every_model_and_differ_between_seeds():
    data = rotation()

    def windows(*seeds):
        replicas = Replicas(build(), seeds).to(dtype=torch.float64)
        return Windows(data_sets(data, replicas, "train"), replicas, 4)

    both, alone = windows(3, 5), windows(5)
    for update in (0, 63, 64, 200):
        pair, one = both.draw(update, 6), alone.draw(update, 6)
        assert torch.equal(pair[0][1], one[0][0])
        assert torch.equal(pair[1][1], one[1][0])
        assert not torch.equal(pair[0][0], pair[0][1])
    x0, target, u = both.draw(0, 6)
    assert x0.shape == (2, 4, 2)
    assert target.shape == (2, 4, 6, 2)
    assert u.shape == (2, 4, 6, 0)
    # Every window is a piece of a trajectory: the rotation carries each state to the next.
    R = torch.tensor([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    torch.testing.assert_close(target[..., 1:, :], target[..., :-1, :] @ R.T)


def test_schedules():
    one = config(updates=100)
    rates = [rate_shape(one, i) for i in range(100)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == pytest.approx(1.0, rel=1e-3)
    assert int(np.argmax(rates)) == 30
    assert rates[-1] == pytest.approx(1e-4)
    cosine = config(updates=100, schedule="cosine")
    assert rate_shape(cosine, 0) == 1.0
    assert rate_shape(cosine, 99) == pytest.approx(0.0, abs=1e-12)
    assert rate_shape(config(schedule="constant"), 7) == 1.0
    growing = config(updates=100, horizon=20)
    assert [horizon_at(growing, i) for i in (0, 16, 17, 33, 34, 99)] == [5, 5, 10, 10, 20, 20]
    assert horizon_at(config(horizon=20, curriculum=False), 0) == 20


@pytest.mark.parametrize(("seeds", "message"), [([], "at least one"), ([1, 1], "distinct"), ([-1], "non-negative")])
def test_seeds_are_checked(seeds, message):
    with pytest.raises(ValueError, match=message):
        Replicas(build(), seeds)


def test_bad_data_is_refused():
    bad = rotation()
    bad.states[3, 4] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        fit(Replicas(build(), [0]), bad, rotation(), config())
    with pytest.raises(ValueError, match=r"lower train.horizon or raise data.steps"):
        fit(Replicas(build(), [0]), rotation(steps=5), rotation(), config())
    with pytest.raises(ValueError, match="must have shape"):
        fit(Replicas(build(), [0]), Data(np.zeros((3, 40, 3)), np.zeros((3, 39, 0))), rotation(), config())
