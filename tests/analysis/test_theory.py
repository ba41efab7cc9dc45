"""Theory's verdicts against systems that prove or refute them."""

from __future__ import annotations

import pytest
import torch

from ddl_dyn.analysis import predict, predict_for
from ddl_dyn.analysis.theory import DYNAMICS, OBSTRUCTIONS, STEEPEST
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.ddl_options import DDLConfig
from ddl_dyn.models.neural_ode import NeuralODE, NeuralODEConfig

IDENTITY = {"lift": "identity", "carry": "observed"}


def verdict(obstruction, dim=2, dynamics="map", **more):
    keywords = {name: more.pop(name) for name in ("lifted_dim", "recurrent", "rank") if name in more}
    return predict(obstruction, dim, dynamics=dynamics, options={**IDENTITY, **more}, **keywords).verdict


@pytest.mark.parametrize("obstruction", OBSTRUCTIONS[1:])
def test_a_flow_on_the_state_itself_can_do_none_of_the_obstructed(obstruction):
    dim = 1 if obstruction == "one_dimensional_nonmonotone" else 2
    assert verdict(obstruction, dim, "flow", layers=1) == "impossible"
    assert verdict("none", dim, "flow", layers=1) == "possible"
    assert verdict(obstruction, dim, "map") == "possible"
    assert verdict(obstruction, dim, "oracle") == "possible"
    assert verdict(obstruction, dim, "floor") == "no claim"


def field_of(weight: torch.Tensor, solver: str, **options) -> NeuralODE:
    """A neural ODE on the line whose field is w₂ tanh(w₁ x + b)."""
    model = NeuralODE(1, NeuralODEConfig(lift="identity", hidden_dim=len(weight), solver=solver, **options)).double()
    with torch.no_grad():
        (first,), last = model.layers[0].hidden, model.layers[0].last
        first.weight.copy_(weight[:, :1]), first.bias.copy_(weight[:, 1]), last.weight.copy_(weight[:, 2][None])
        last.bias.zero_()
    return model


def slopes(model: NeuralODE) -> torch.Tensor:
    """Increments of the step over a fine grid of the line."""
    x = torch.linspace(-3, 3, 2001, dtype=torch.float64)[:, None]
    with torch.no_grad():
        return model.step(x, 0, x.new_zeros(len(x), 0)).diff(dim=0)


@pytest.mark.parametrize("solver", STEEPEST)
def test_coarse_steps_of_a_steep_field_fold_and_those_of_a_flat_one_never(solver):
    """A discretised flow is no flow: the claim of impossibility is made for the exact one, and for adaptive solvers."""
    folded = 0
    for seed in range(20):
        weight = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        # |tanh'| ≤ 1, so Lip F ≤ Σ |w₁ w₂|.
        steepness = (weight[:, 0] * weight[:, 2]).abs().sum()
        flat = weight * torch.tensor([1.0, 1.0, 0.99 * STEEPEST[solver] / steepness], dtype=torch.float64)
        assert (slopes(field_of(flat, solver)) > 0).all()
        # Twice the field is within the bound of two steps.
        twice = flat * torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64)
        assert (slopes(field_of(twice, solver, substeps=2)) > 0).all()
        steep = weight * torch.tensor([4.0, 1.0, 4.0], dtype=torch.float64)
        folded += bool((slopes(field_of(steep, solver)) < 0).any())
        # The flow of the same field, followed closely, keeps the order of the line.
        assert (slopes(field_of(steep, "dopri5", rtol=1e-9, atol=1e-12)) > -1e-9).all()
    assert folded >= 5
    assert verdict("orientation_reversing", 1, "flow", solver=solver, substeps=1) == "possible, expected hard"
    assert verdict("orientation_reversing", 1, "flow", solver="dopri5", rtol=1e-5) == "impossible"


def test_time_dependence_frees_cycles_only_off_the_line():
    assert verdict("isolated_cycle", 2, "flow", layers=2) == "possible, expected hard"
    assert verdict("isolated_cycle", 2, "flow", layers=1, time_dependent=True) == "possible, expected hard"
    assert verdict("isolated_cycle", 1, "flow", layers=2) == "impossible"
    assert verdict("orientation_reversing", 2, "flow", layers=2) == "impossible"


def test_invertible_residual_networks():
    assert verdict("orientation_reversing", 3, "invertible") == "impossible"
    assert verdict("non_injective", 1, "invertible") == "impossible"
    assert verdict("isolated_cycle", 2, "invertible") == "possible"
    assert verdict("isolated_cycle", 1, "invertible") == "impossible"


def test_erase_only_with_a_small_gate():
    small = {"rewrite": "erase", "gate": "linear", "gate_max": 1.0, "generator": "mlp"}
    # Erasing with β < 2 never lengthens a state, and with β < 1 never turns space over at the origin.
    assert verdict("isolated_cycle", 2, **{**small, "gate_max": 2.0}) == "impossible"
    assert verdict("none", 2, **small, recurrent=True) == "impossible"
    assert verdict("none", 2, **small) == "possible"
    assert verdict("orientation_reversing", 2, **{**small, "gate_max": 2.0}) == "possible"
    assert verdict("orientation_reversing", 2, **{**small, "rewrite": "delta"}) == "possible"
    assert verdict("orientation_reversing", 2, **{**small, "gate": "fixed", "beta0": 2.0}, recurrent=True) == "possible"


def test_the_erase_only_claim_holds_on_random_networks():
    torch.manual_seed(0)
    for seed in range(10):
        torch.manual_seed(seed)
        model = DDL(3, DDLConfig(lift="identity", rewrite="erase", gate_max=1.0, beta0=0.9, layers=3)).double()
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p))
        zero = torch.zeros(0, dtype=torch.float64)

        def step(y, model=model, zero=zero):
            return model.step(y[None], 0, zero[None])[0]

        origin = torch.zeros(3, dtype=torch.float64)
        assert torch.linalg.det(torch.autograd.functional.jacobian(step, origin)) > 0
        x = torch.randn(3, dtype=torch.float64)
        assert step(x).norm() < x.norm()


def test_rank_needed_by_a_reflection_stack():
    constant = {"generator": "constant", "rewrite": "delta", "layers": 2, "directions": 1}
    assert verdict("orientation_reversing", 3, **constant, rank=3) == "impossible"
    assert verdict("none", 2, **constant, rank=2) == "possible"
    assert verdict("orientation_reversing", 3, **{**constant, "directions": 2}, rank=3) == "possible"


def test_a_lift_removes_obstructions():
    lift = {"lift": "linear", "layers": 1}
    for obstruction in OBSTRUCTIONS[1:]:
        assert verdict(obstruction, 1, "flow", **lift, carry="observed", lifted_dim=8) == "possible"
        assert verdict(obstruction, 1, "flow", **lift, carry="latent", lifted_dim=8) == "possible, expected hard"
    assert verdict("orientation_reversing", 2, "flow", **lift, carry="latent", lifted_dim=2) == "impossible"
    assert verdict("orientation_reversing", 2, "flow", **lift, carry="observed", lifted_dim=2) == "possible"
    assert verdict("non_injective", 2, "flow", **lift, carry="observed", lifted_dim=2) == "impossible"
    # Zeros appended under an identity lift are a lift too.
    assert verdict("orientation_reversing", 2, "flow", layers=1, carry="latent", lifted_dim=3).endswith("hard")


def test_scope_names_the_space_of_the_claim():
    on_state = predict("orientation_reversing", 2, dynamics="flow", options={**IDENTITY, "layers": 1})
    lifted = predict("orientation_reversing", 2, dynamics="flow", options={"lift": "linear"}, lifted_dim=8)
    assert "observed state" in on_state.scope
    assert "8 lifted" in lifted.scope
    assert on_state.reason
    assert "Arnold" in on_state.source


def test_every_combination_has_a_verdict():
    for obstruction in OBSTRUCTIONS:
        for dynamics in DYNAMICS:
            for lifted in (1, 2, 5):
                for carry in ("observed", "latent"):
                    p = predict(obstruction, 2, dynamics=dynamics, options={"carry": carry}, lifted_dim=lifted)
                    assert p.reason.endswith(".")


def test_prediction_from_a_task_and_a_model():
    from ddl_dyn.tasks import make_task

    henon = make_task("henon")
    flow = NeuralODE(2, NeuralODEConfig(lift="identity", solver="dopri5"))
    assert predict_for(henon, flow).verdict == "impossible"
    assert "dopri5 follows the flow to rtol = 1e-05" in predict_for(henon, flow).reason
    coarse = predict_for(henon, NeuralODE(2, NeuralODEConfig(lift="identity", solver="rk4", substeps=8, layers=2)))
    assert coarse.verdict == "possible, expected hard"
    assert "16 rk4 steps" in coarse.reason
    assert predict_for(make_task("van_der_pol"), NeuralODE(2, NeuralODEConfig(lift="identity"))).verdict == "possible"
    assert predict_for(henon, NeuralODE(2, NeuralODEConfig(lift="identity", augment=1))).verdict == "possible"
    assert predict_for(henon, DDL(2, DDLConfig(lift="identity"))).verdict == "possible"


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="obstruction must be one of"):
        predict("knot", 2, dynamics="flow", options={})
    with pytest.raises(ValueError, match="dynamics must be one of"):
        predict("none", 2, dynamics="stream", options={})


def test_no_claim_is_made_for_rewrites_that_add_up_or_run_along_a_longer_vector():
    """I − Σ β k kᵀ with two equal directions and β = .9 has the eigenvalue −.8, and so has β‖k‖² = 1.8."""
    small = {"rewrite": "erase", "gate_max": 1.0, "gate": "linear", "generator": "mlp"}
    assert verdict("orientation_reversing", 2, **small) == "impossible"
    for other in ({"order": "simultaneous", "directions": 2}, {"normalize_direction": False}):
        assert verdict("orientation_reversing", 2, **small, **other) == "possible"
        options = {"rewrite": "erase", "gate": "fixed", "beta0": 0.9, "generator": "constant", "layers": 1}
        model = DDL(2, DDLConfig(lift="identity", **options, **other)).double()
        layer = model.layers[0]
        long = 2.0**0.5 if "normalize_direction" in other else 1.0
        with torch.no_grad():
            layer.direction.bias.copy_(torch.tensor([long, 0.0], dtype=torch.float64).repeat(layer.config.directions))
        J = torch.autograd.functional.jacobian(
            lambda y, model=model: model.step(y[None], 0, y.new_zeros(1, 0))[0], torch.zeros(2, dtype=torch.float64)
        )
        assert torch.linalg.det(J).item() == pytest.approx(-0.8, abs=1e-9)
    # What a token chooses is constant while it acts: the rank claim holds for it too.
    tokens = {"generator": "input", "rewrite": "delta", "layers": 1, "directions": 1}
    assert verdict("none", 2, **tokens, rank=2) == "impossible"


def test_what_is_solved_for_is_claimed_for_what_it_is():
    from ddl_dyn import make_model
    from ddl_dyn.tasks import make_task

    henon = make_task("henon")
    verdicts = {
        (name, *options.values()): predict_for(henon, make_model(name, state_dim=2, **options)).verdict
        for name, options in (
            ("sindy", {}),
            ("sindy", {"form": "map"}),
            ("sindy", {"form": "flow"}),
            ("esn", {"carry": "latent"}),
            ("nvar", {}),
        )
    }
    # Four Runge–Kutta steps of a steep field may reflect, though no flow does.
    assert verdicts == {
        ("sindy",): "no claim",
        ("sindy", "map"): "possible",
        ("sindy", "flow"): "possible, expected hard",
        ("esn", "latent"): "possible",
        ("nvar",): "no claim",
    }


def test_copies_of_the_state_are_a_lift_and_a_memory_is_none():
    from ddl_dyn import make_model
    from ddl_dyn.tasks import make_task

    henon, identity = make_task("henon"), {"lift": "identity"}
    scopes = {
        name: predict_for(henon, make_model(name, state_dim=2, **identity)).scope
        for name in ("hyper_connections", "alrnn", "cornn", "lem", "shplrnn")
    }
    assert "8 lifted" in scopes.pop("hyper_connections")
    assert all("observed state" in scope for scope in scopes.values())
