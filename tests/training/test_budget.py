"""Budgets: widths that make counts equal, counts that agree with a closed form."""

from __future__ import annotations

import pytest
import torch

from ddl_dyn import MODELS, make_model
from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.config.sections import BudgetConfig, RunConfig
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.training import budget

SHAPE = {"state_dim": 2, "input_dim": 0, "dt": 0.1}


def run(model, kind="parameters", target=None, **options):
    return RunConfig(model=model, model_args=options, budget=BudgetConfig(kind=kind, target=target))


@pytest.mark.parametrize("model", ["ddl", "resnet", "highway", "neural_ode"])
@pytest.mark.parametrize("kind", ["parameters", "flops"])
@pytest.mark.parametrize("target", [3000, 6000])
def test_width_is_solved_to_within_five_percent(model, kind, target):
    found = budget.resolve(run(model, kind, target), **SHAPE)
    built = make_model(model, **SHAPE, **found.options)
    count = found.parameters if kind == "parameters" else budget.count_flops(built)
    assert found.met
    assert abs(count - target) <= 0.05 * target
    assert sum(p.numel() for p in built.parameters()) == found.parameters
    # The neighbouring widths are no nearer.
    for other in (-1, 1):
        near = make_model(model, **SHAPE, **(found.options | {"hidden_dim": found.options["hidden_dim"] + other}))
        measure = budget.count_parameters if kind == "parameters" else budget.count_flops
        assert abs(measure(near) - target) >= abs(count - target)


def test_default_target_is_ddl_of_the_same_protocol():
    for carry in ("observed", "latent"):
        ddl = budget.resolve(run("ddl", carry=carry), **SHAPE)
        other = budget.resolve(run("resnet", carry=carry), **SHAPE)
        assert ddl.options["hidden_dim"] == 32
        assert other.target == ddl.parameters
        assert abs(other.parameters - ddl.parameters) <= 0.05 * ddl.parameters


def test_target_out_of_reach_is_said():
    found = budget.resolve(run("resnet", target=3), **SHAPE)
    assert not found.met
    assert found.options["hidden_dim"] == 1


def test_without_a_budget_nothing_changes():
    found = budget.resolve(run("resnet", "none", hidden_dim=7), **SHAPE)
    assert found.options["hidden_dim"] == 7
    assert found.target is None


def test_flops_agree_with_the_closed_form():
    # ResNet: per layer two products H×W and W×H; lift and read-out D×H each; two operations a multiply-add.
    model = make_model("resnet", **SHAPE, latent_dim=8, hidden_dim=32, layers=3, carry="latent")
    assert budget.count_flops(model) == 3 * 2 * (8 * 32 + 32 * 8)
    observed = make_model("resnet", **SHAPE, latent_dim=8, hidden_dim=32, layers=3, carry="observed")
    assert budget.count_flops(observed) == 3 * 2 * (8 * 32 + 32 * 8) + 2 * 2 * (2 * 8)
    # A neural ODE by rk4 evaluates its field four times.
    ode = make_model("neural_ode", **SHAPE, latent_dim=8, hidden_dim=32, carry="latent")
    assert budget.count_flops(ode) == 4 * 2 * (8 * 32 + 32 * 8)


def latent(model, size, **options):
    config = RunConfig(model=model, model_args=options, budget=BudgetConfig(latent=size))
    return make_model(model, **SHAPE, **budget.resolve(config, **SHAPE).options)


def test_every_lifted_model_has_one_latent_size():
    trained = [name for name, model in MODELS.items() if not model.closed_form]
    assert {make_model(name, **SHAPE).latent_dim for name in trained} == {8}
    for name in trained:
        assert latent(name, 12).latent_dim == 12
    ddl = latent("ddl", 12, value_dim=4)
    assert (ddl.latent_dim, ddl.rows, ddl.value_dim) == (12, 3, 4)
    # Without a lift the latent state is the task's own, and a closed form has none to choose.
    assert latent("resnet", 2, lift="identity").latent_dim == 2
    assert latent("nvar", 12, lift="identity").latent_dim == 2
    # Equal parameters at equal latent sizes: the reference stack has that size too.
    both = RunConfig(model="resnet", budget=BudgetConfig(kind="parameters", latent=12))
    found = budget.resolve(both, **SHAPE)
    assert found.target == budget.count_parameters(make_model("ddl", **SHAPE, latent_dim=12))
    assert found.met


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lift": "identity"}, "the task's own 2 components"),
        ({"value_dim": 5}, "no multiple of ddl's model_args.value_dim = 5"),
        ({"latent_dim": 4}, "model_args.latent_dim 12, but 4 is given"),
    ],
)
def test_latent_sizes_that_contradict_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        latent("ddl", 12, **options)
    with pytest.raises(ConfigError, match=words) as caught:
        resolve_run({"model": "ddl", "model_args": options, "budget": {"latent": 12}})
    assert len(caught.value.problems) == 1


def test_counting_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    budget.resolve(run("resnet"), **SHAPE)
    assert torch.equal(before, torch.get_rng_state())


def test_flops_of_constant_directions_gates_and_targets_are_none():
    """Nothing of a constant rewrite is a product of an affine map; of inputs three are (3 to 4, 3 to 1 and 3 to 1)."""
    constant = {"lift": "identity", "generator": "constant", "value": "constant", "gate": "constant", "layers": 2}
    for inputs in (0, 3):
        assert budget.count_flops(make_model("ddl", state_dim=4, input_dim=inputs, **constant)) == 0
    driven = constant | dict.fromkeys(("generator", "value", "gate"), "input")
    assert budget.count_flops(make_model("ddl", state_dim=4, input_dim=3, **driven)) == 2 * 2 * 3 * (4 + 1 + 1)


@pytest.mark.parametrize("name", ["ddl", "sindy", "linear", "nvar", "esn", "analogue"])
def test_operations_do_not_depend_on_the_precision(name: str) -> None:
    model = make_model(name, state_dim=2)
    assert budget.count_flops(model) == budget.count_flops(model.double())
