"""The whole path on a card that is not there: no tensor on another device, no wait within an update, the same numbers.

A card of one's own is not needed: see `tests.helpers.pretend_card`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, make_model
from ddl_dyn.analysis import from_replicas, lyapunov_spectrum
from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.models import MODELS
from ddl_dyn.training import timing
from ddl_dyn.training.trainer import Trainer
from tests.helpers.pretend_card import Graph, pretend_card

D, U = 2, 1
TRAINED = sorted(name for name, cls in MODELS.items() if not cls.closed_form)
CARRIES = ("observed", "latent")


class Data:
    """Smooth random series."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        t = np.arange(13)[None, :, None]
        self.states = np.sin(rng.uniform(0.2, 1.0, (6, 1, D)) * t + rng.uniform(0, 6, (6, 1, D)))
        self.inputs = rng.standard_normal((6, 12, U))


def config(**options):
    settings = {"updates": 5, "validate_every": 5, "validate_steps": 4, "batch": 3, "horizon": 3, "curriculum": False}
    return TrainConfig(**{**settings, "compile": "off", "lr": 1e-2, **options})


def build(name, **options):
    return Replicas(lambda: make_model(name, state_dim=D, input_dim=U, **options), [0, 1])


def trained(name, device, options, settings, waits=()):
    """Parameters and validation errors after training; no update may add to `waits`."""
    trainer = Trainer(build(name, **options).to(device), Data(), Data(1), config(**settings))
    if trainer.replicas.template.closed_form:
        trainer.solve()
    before = dict(waits)
    for _ in range(trainer.updates):
        trainer.step()
    assert dict(waits) == before
    trainer.validate(0.0)
    return {n: t.cpu() for n, t in trainer.best.items()}, trainer.history[-1].val


def assert_same(found, expected):
    for name, value in expected[0].items():
        assert torch.equal(found[0][name], value), name
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("carry", CARRIES)
@pytest.mark.parametrize("name", TRAINED)
def test_training_on_a_card_is_the_processors_and_waits_for_nothing(name, carry, monkeypatch):
    options = {"carry": carry, "layers": 1}
    expected = trained(name, "cpu", options, {})
    with pretend_card(monkeypatch) as card:
        found = trained(name, "cuda", options, {}, card.waits)
        # Three to warm up, then a recording, which executes nothing, and its replays.
        assert [graph.replays for graph in Graph.made] == [2]
    assert_same(found, expected)


WAYS = [
    ("ddl", {}, {"checkpointing": True}),
    ("resnet", {"carry": "latent"}, {"checkpointing": True}),
    ("ddl", {"sharing": "untied", "layers": 4}, {}),
    ("ddl", {"carry": "latent", "reencode": 0.1}, {"forcing": 0.2, "forcing_interval": 2}),
    ("resnet", {}, {"curriculum": True, "schedule": "one_cycle", "clip": 0.1}),
    ("ddl", {"directions": 2, "rewrite": "untied", "norm": True}, {}),
    ("neural_ode", {"solver": "dopri5"}, {"updates": 2}),
    ("neural_ode", {"time_dependent": True, "augment": 1}, {}),
]


@pytest.mark.parametrize(("name", "options", "settings"), WAYS, ids=str)
def test_other_ways_to_train_are_the_processors_too(name, options, settings, monkeypatch):
    expected = trained(name, "cpu", options, settings)
    with pretend_card(monkeypatch):
        found = trained(name, "cuda", options, settings)
    assert_same(found, expected)


@pytest.mark.parametrize("name", ["persistence", "mean", "linear", "analogue", "nvar", "esn", "sindy"])
def test_models_in_closed_form_are_solved_and_run_on_a_card(name, monkeypatch):
    expected = trained(name, "cpu", {}, {})
    with pretend_card(monkeypatch):
        found = trained(name, "cuda", {}, {})
    assert_same(found, expected)


# Clocks and the device's name; the rest of a run's record does not know where it was computed.
OF_THE_MACHINE = {"milliseconds_per_step", "seconds", "milliseconds_per_update", "peak_memory_bytes", "compiled"}


def executed(name, carry, device):
    """A run's record, arrays and exponents of its trained map."""
    own = {"carry": carry} | ({"layers": 1} if not MODELS[name].closed_form else {})
    plain = {
        # The stack of reflections exists for tasks that are made of them.
        "task": "rotoreflection" if name == "householder_stack" else "henon",
        "model": name,
        "seeds": 2,
        "model_args": {k: v for k, v in own.items() if k in MODELS[name].Config.model_fields},
        "data": {"n_train": 4, "n_val": 2, "n_test": 2, "n_ood": 2, "steps": 12},
        "train": config(device=device).model_dump(),
        "eval": {"short": 2, "long": 6},
    }
    setup = make_setup(resolve_run(plain))
    outcome = execute(setup, Callbacks())
    found = lyapunov_spectrum(from_replicas(setup.replicas), np.zeros((2, setup.learned.dim)) + 0.1, 5)
    return outcome, found.exponents


def same(found, expected, name=""):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected.keys() - OF_THE_MACHINE:
            same(found[key], expected[key], f"{name}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), name
        for one, other in zip(found, expected, strict=True):
            same(one, other, name)
    else:
        assert found == expected or (found != found and expected != expected), name


@pytest.mark.parametrize("carry", CARRIES)
@pytest.mark.parametrize(
    "name", [n if n in ("ddl", "linear") else pytest.param(n, marks=pytest.mark.slow) for n in MODELS]
)
def test_a_whole_run_on_a_card_is_the_processors(name, carry, monkeypatch):
    # Times are not numbers of the run, and each would be taken several times.
    monkeypatch.setattr(timing, "REPEATS", 1)
    expected, spectrum = executed(name, carry, "cpu")
    with pretend_card(monkeypatch):
        found, card_spectrum = executed(name, carry, "cuda")
    assert found.resolved["device"] == "cuda (a pretended card)"
    same(found.numbers, expected.numbers)
    for key, value in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[key], value, err_msg=key)
    np.testing.assert_array_equal(card_spectrum, spectrum)


def test_the_pretence_notices_what_a_card_would(monkeypatch):
    with pretend_card(monkeypatch) as card:
        a, b = torch.zeros(3, device="cuda"), torch.ones(3)
        with pytest.raises(RuntimeError, match="same device"):
            a + b
        with pytest.raises(RuntimeError, match="same device"):
            b.add_(a)
        with pytest.raises(TypeError, match="can't convert cuda"):
            a.numpy()
        with pytest.raises(RuntimeError, match="same device"):
            torch.index_select(a, 0, torch.tensor([0, 1]))
        assert not card.waits
        assert float(a.sum()) == 0.0
        a[a > 0]
        b.to("cuda")
        b.pin_memory().to("cuda", non_blocking=True)
        assert [name.partition("::")[2] for name in card.waits] == [
            "_local_scalar_dense",
            "index",
            "_to_copy between card and processor",
        ]
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=None):
            a += 1.0
            c = a * 2.0
            with pytest.raises(RuntimeError, match="capturing"):
                float(a[0])
        # Recording executes nothing; a replay uses what the memory holds then.
        assert a.tolist() == [0.0] * 3
        a.fill_(5.0)
        graph.replay()
        assert a.tolist() == [6.0] * 3
        assert c.tolist() == [12.0] * 3
