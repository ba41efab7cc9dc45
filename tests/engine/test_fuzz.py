"""Random options of every trained model, and every task's dimensions: compiled free runs equal the ordinary ones."""

from __future__ import annotations

import random

import pytest
import torch

from ddl_dyn import Replicas, make_model
from ddl_dyn.cli.facts import required_parameters
from ddl_dyn.engine.compile import program_of
from ddl_dyn.engine.cpp import toolchain
from ddl_dyn.models import MODELS
from ddl_dyn.tasks import TASKS, make_task

pytestmark = [
    pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler"),
]

TRAINED = [name for name, cls in MODELS.items() if not cls.closed_form]
# A user's file decides on its own dimensions.
SHAPES = sorted(
    {
        (t.state_dim, t.input_dim)
        for t in (make_task(name) for name, cls in TASKS.items() if not required_parameters(cls))
    }
)
DRAWS = 3
OWN = {
    "ddl": {
        "generator": ("mlp", "branch", "shared", "constant"), "rewrite": ("delta", "write", "erase", "untied"),
        "gate": ("linear", "tanh", "constant", "fixed"), "directions": (1, 2, 3), "norm": (True, False),
        "gate_max": (1.0, 2.0), "normalize_direction": (True, False), "value": ("state", "constant"),
    },
    "resnet": {"norm": ("none", "pre", "post"), "step_size": (1.0, 0.3)},
    "mlp": {"depth": (1, 2, 3)},
    "gated_residual": {"gate": ("state", "scalar")},
    "invertible_resnet": {"depth": (1, 2)},
    "rkan": {"degree": (1, 2, 5, 20)},
    "neural_ode": {
        "solver": ("euler", "midpoint", "rk4"), "substeps": (1, 2), "augment": (0, 1, 2), "second_order": (True, False),
    },
}  # fmt: skip


def drawn(name, chance):
    """Options and sizes (D, U, R, B, T) of a case; those that contradict each other are drawn again."""
    while True:
        lift = chance.choice(("linear", "identity"))
        options = {"lift": lift, "carry": chance.choice(("observed", "latent")), "layers": chance.choice((1, 1, 2, 3))}
        options["hidden_dim"] = chance.choice((1, 3, 8, 17))
        if lift == "linear":
            options["latent_dim"] = chance.choice((1, 2, 5, None))
        options |= {key: chance.choice(values) for key, values in OWN.get(name, {}).items()}
        if name == "ddl" and options["rewrite"] == "erase":
            del options["value"]
        if name == "ddl" and lift == "linear":
            options["value_dim"] = chance.choice((1, 2, 3))
        sizes = [chance.choice(n) for n in ((1, 1, 2, 3), (0, 0, 1, 2), (1, 2, 3), (1, 5, 32, 64, 70, 129), (1, 2, 5))]
        try:
            make_model(name, state_dim=sizes[0], input_dim=sizes[1], **options)
        except ValueError:
            continue
        return options, sizes


def outcome(replicas, x0, inputs, target):
    x0 = x0.clone().requires_grad_()
    loss = replicas.loss("mse", x0, inputs, target)
    gradients = torch.autograd.grad(loss.sum(), [x0, *replicas.parameters.values()], materialize_grads=True)
    with torch.no_grad():
        return [loss.detach(), replicas.unroll(x0.detach(), inputs), *gradients]


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        pytest.param(name, draw, marks=() if (name, draw) in (("ddl", 0), ("gru", 1)) else pytest.mark.slow)
        for name in TRAINED
        for draw in range(DRAWS)
    ],
)
def test_random_options_and_sizes(name, draw):
    options, (D, U, R, B, T) = drawn(name, random.Random(f"{name} {draw}"))
    replicas = Replicas(lambda: make_model(name, state_dim=D, input_dim=U, **options), range(R)).to(dtype=torch.float64)
    chance = torch.Generator().manual_seed(draw)
    with torch.no_grad():
        replicas.flat.add_(0.2 * torch.randn(replicas.flat.shape, generator=chance, dtype=torch.float64))
    shapes = ((R, B, D), (R, B, T, U), (R, B, T, D))
    given = [torch.randn(shape, generator=chance, dtype=torch.float64) for shape in shapes]
    expected = outcome(replicas, *given)
    assert replicas.compile(), replicas.why_eager
    for replicas.checkpointing in (False, True):
        found = outcome(replicas, *given)
        # A gradient that is zero by nature (of a direction with one row) has no size of its own to be off by.
        least = 1e-3 * max(float(t.abs().max()) for t in expected)
        for a, b in zip(found, expected, strict=True):
            # Rounding in float64, stretched by the steps of maps that may be chaotic.
            assert float((a - b).abs().max()) <= 1e-9 * max(float(b.abs().max()), least), (options, (D, U, R, B, T))


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("lift", ["linear", "identity"])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] == 1])
def test_every_trained_model_is_written_out_for_one_dimension(name, lift, shape):
    replicas = Replicas(lambda: make_model(name, state_dim=1, input_dim=shape[1], lift=lift), [0])
    assert "loss_and_gradient" in program_of(replicas.template, replicas._state).code


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"D={shape[0]}, U={shape[1]}")
@pytest.mark.slow
def test_every_trained_model_is_written_out_for_every_tasks_dimensions(name, shape):
    replicas = Replicas(lambda: make_model(name, state_dim=shape[0], input_dim=shape[1]), [0])
    assert "loss_and_gradient" in program_of(replicas.template, replicas._state).code


# One model for each of the dimensions, in turn: the C++ compiler takes seconds, and what it is given is tested above.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "name"), [(shape, TRAINED[i % len(TRAINED)]) for i, shape in enumerate(SHAPES)], ids=str
)
def test_what_is_written_out_for_a_tasks_dimensions_compiles(shape, name):
    assert (1, 0) in SHAPES
    replicas = Replicas(lambda: make_model(name, state_dim=shape[0], input_dim=shape[1]), [0])
    assert replicas.compile(), replicas.why_eager
