"""Trained models as maps: the same numbers as a free run, for every carry and lift, apart for each replica."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn.analysis import as_map, fixed_points, from_replicas, learned_family, lyapunov_spectrum
from ddl_dyn.engine.normalizer import Normalizer
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.engine.rollout import rollout
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.ddl_options import DDLConfig
from ddl_dyn.models.neural_ode import NeuralODE, NeuralODEConfig

X0 = np.random.default_rng(0).normal(size=(4, 3))
UNITS = Normalizer(np.array([1.0, -2.0, 3.0]), np.array([2.0, 0.5, 10.0]))


def replicas(seeds=(0, 1), *, input_dim: int = 0, **options) -> Replicas:
    def build() -> DDL:
        model = DDL(3, DDLConfig(**{"layers": 2, "hidden_dim": 8, **options}), input_dim=input_dim, dt=0.1)
        with torch.no_grad():
            for p in model.layers.parameters():
                p.add_(0.3 * torch.randn_like(p))
        return model

    return Replicas(build, seeds)


def test_iterating_the_map_is_the_free_run():
    stack = replicas(lift="linear", carry="observed")
    phi = from_replicas(stack)
    run = rollout(stack.to(dtype=torch.float64), torch.as_tensor(X0).expand(2, 4, 3), 5)
    ours = phi.orbit(phi.states(X0), 5).permute(1, 2, 0, 3)
    assert torch.allclose(ours, torch.as_tensor(run.states), atol=1e-12)
    assert (phi.dim, phi.dt, phi.replicas) == (3, 0.1, 2)


def test_latent_carry_is_a_map_of_the_latent_space():
    stack = replicas(carry="latent", latent_dim=4, value_dim=2)
    phi = from_replicas(stack)
    assert phi.dim == 8
    double = stack.to(dtype=torch.float64)
    h = double.lift(torch.as_tensor(X0).expand(2, 4, 3))
    assert torch.equal(phi.step(h), double.step(h, 0, torch.zeros(2, 4, 0, dtype=torch.float64)))


def test_identity_lift_keeps_physical_units_under_either_carry():
    for carry in ("observed", "latent"):
        stack = replicas(carry=carry, lift="identity")
        assert from_replicas(stack, normalizer=UNITS).dim == 3


def test_physical_units_conjugate_the_map_and_keep_exponents():
    stack = replicas(lift="identity")
    plain, physical = from_replicas(stack), from_replicas(stack, normalizer=UNITS)
    z = plain.states(X0)
    assert torch.allclose(physical.step(UNITS.denormalize(z)), UNITS.denormalize(plain.step(z)), atol=1e-12)
    a = lyapunov_spectrum(plain, X0, 40, transient=20)
    b = lyapunov_spectrum(physical, UNITS.denormalize(X0), 40, transient=20)
    # Equal in the limit; after T steps they differ by at most ln(cond of the scaling)/(T dt).
    assert np.abs(a.exponents - b.exponents).max() < np.log(20) / 4
    assert a.exponents.shape == (2, 3)


def test_each_replica_is_its_own_model():
    stack = replicas()
    together = from_replicas(stack)
    value, j = together.step_and_jacobian(together.states(X0))
    for r in range(2):
        alone = from_replicas(stack.model(r))
        x = alone.states(X0)
        assert torch.allclose(alone.step(x), value[r], atol=1e-13)
        whole = torch.stack([torch.autograd.functional.jacobian(lambda y, f=alone: f.step(y[None])[0], p) for p in x])
        assert torch.allclose(whole, j[r], atol=1e-12)


def test_the_analysed_model_is_left_as_it_was():
    stack = replicas()
    before = {name: t.clone() for name, t in stack.state_dict().items()}
    lyapunov_spectrum(stack, X0, 5)
    assert stack.dtype == torch.float32
    assert all(torch.equal(before[name], t) for name, t in stack.state_dict().items())


def test_a_linear_stack_has_the_fixed_point_algebra_says():
    # A write-only layer with constant direction and gate at its start writes nothing: Φ = 1, every state is fixed.
    stack = Replicas(lambda: DDL(3, DDLConfig(lift="identity", layers=1)), [0])
    found = fixed_points(stack, starts=X0)
    assert len(found) == 4
    assert not any(c.isolated for c in found)


def test_a_neural_ode_is_a_map_that_preserves_orientation():
    model = NeuralODE(2, NeuralODEConfig(lift="identity", hidden_dim=8, substeps=4), dt=0.1).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p, generator=None))
    phi = as_map(model)
    assert (torch.linalg.det(phi.jacobian(phi.states(X0[:, :2]))) > 0).all()


def test_inputs_are_held_and_untied_stacks_need_an_index():
    driven = replicas(input_dim=1)
    with pytest.raises(ValueError, match="takes 1 inputs"):
        from_replicas(driven)
    with pytest.raises(ValueError, match="shape"):
        from_replicas(driven, inputs=[1.0, 2.0])
    family = learned_family(driven)
    x = family(0.0).states(X0)
    assert torch.equal(family(0.5).step(x), from_replicas(driven, inputs=[0.5]).step(x))
    assert not torch.allclose(family(0.5).step(x), family(-0.5).step(x))
    untied = replicas(sharing="untied")
    with pytest.raises(ValueError, match="index"):
        from_replicas(untied)
    assert not torch.allclose(from_replicas(untied, index=0).step(x), from_replicas(untied, index=1).step(x))


@pytest.mark.parametrize("carry", ["observed", "latent"])
def test_exponents_of_a_model_need_no_starts(carry):
    stack = replicas(carry=carry, latent_dim=4, value_dim=1)
    result = lyapunov_spectrum(stack, steps=20, normalizer=UNITS)
    dim = 4 if carry == "latent" else 3
    assert result.per_trajectory.shape == (2, 16, dim)
    # The starts are typical in the model's own units: mean 0 and variance 1 before the lift.
    z = torch.randn(16, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    start = stack.to(dtype=torch.float64).lift(z.expand(2, 16, 3)) if carry == "latent" else UNITS.denormalize(z)
    by_hand = lyapunov_spectrum(stack, start.detach(), 20, transient=5, normalizer=UNITS)
    assert result.exponents == pytest.approx(by_hand.exponents, abs=1e-12)
