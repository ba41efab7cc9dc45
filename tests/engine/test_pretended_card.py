"""The whole path on a card that is not there: no tensor on the wrong device, no wait within an update, the same numbers.

A card of one's own is not needed: see `tests.helpers.pretend_card`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, TrainConfig, fit, make_model, rollout
from ddl_dyn.models import MODELS
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
    settings = {"updates": 8, "validate_every": 4, "validate_steps": 6, "batch": 4, "horizon": 6, "curriculum": False}
    return TrainConfig(**{**settings, "compile": "off", "lr": 1e-2, **options})


def build(name, **options):
    return Replicas(lambda: make_model(name, state_dim=D, input_dim=U, **options), [0, 1])


def trained(name, device, options, settings):
    replicas = build(name, **options).to(device)
    result = fit(replicas, Data(), Data(1), config(**settings))
    return {n: t.cpu() for n, t in replicas.state_dict().items()}, result.best_val


def assert_same(found, expected):
    for name, value in expected[0].items():
        assert torch.equal(found[0][name], value), name
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("carry", CARRIES)
@pytest.mark.parametrize("name", TRAINED)
def test_training_on_a_card_is_the_processors_and_waits_for_nothing(name, carry, monkeypatch):
    expected = trained(name, "cpu", {"carry": carry}, {})
    with pretend_card(monkeypatch) as card:
        found = trained(name, "cuda", {"carry": carry}, {})
        # Warm up three times, then replay.
        assert [graph.replays for graph in Graph.made] == ([] if MODELS[name].joint else [5])
        trainer = Trainer(build(name, carry=carry).to("cuda"), Data(), Data(1), config())
        card.waits.clear()
        for _ in range(5):
            trainer.step()
        assert not card.waits
    assert_same(found, expected)


WAYS = [
    ("ddl", {}, {"checkpointing": True}),
    ("resnet", {"carry": "latent"}, {"checkpointing": True}),
    ("ddl", {"sharing": "untied", "layers": 6}, {}),
    ("ddl", {"carry": "latent", "reencode": 0.1}, {"forcing": 0.2, "forcing_interval": 2}),
    ("resnet", {}, {"curriculum": True, "schedule": "one_cycle", "clip": 0.1}),
    ("ddl", {"directions": 2, "rewrite": "untied", "norm": True}, {}),
    ("neural_ode", {"solver": "dopri5"}, {"updates": 2, "validate_every": 2}),
    ("neural_ode", {"solver": "dopri5", "carry": "latent", "adjoint": True}, {"updates": 2, "validate_every": 2}),
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
