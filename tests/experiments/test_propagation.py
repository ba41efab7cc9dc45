"""Signal and gradient through untrained stacks: closed forms, an explicit Jacobian, and what the lineage is about."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, make_model
from ddl_dyn.experiments.evaluation.propagation import propagation


@pytest.mark.parametrize("name", ["resnet", "gated_residual", "invertible_resnet", "rkan", "neural_ode"])
def test_a_stack_that_starts_as_the_identity_passes_both_unchanged(name):
    found = propagation(name, state_dim=3, depth=6, seeds=[0, 1], lift="identity", hidden_dim=4)
    assert found.layers.tolist() == list(range(7))
    assert found.state_std.shape == found.gradient_norm.shape == (2, 7)
    np.testing.assert_allclose(found.gradient_norm, 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.state_std, found.state_std[:, :1].repeat(7, axis=1), rtol=1e-12)


def test_gradient_norm_is_that_of_the_jacobians_product():
    found = propagation("ddl", state_dim=3, depth=4, seeds=[5], lift="identity", beta0=1.0)
    replicas = Replicas(
        lambda: make_model("ddl", state_dim=3, sharing="untied", layers=4, lift="identity", beta0=1.0), [5]
    )
    model = replicas.to(dtype=torch.float64).model(0)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, 3, generator=generator, dtype=torch.float64)
    w = torch.nn.functional.normalize(torch.randn(256, 3, generator=generator, dtype=torch.float64), dim=-1)

    def run(row):
        for layer in model.layers:
            row = layer(row, row.new_zeros(0))
        return row

    J = torch.vmap(torch.func.jacfwd(run))(x)
    expected = torch.einsum("bi,bij->bj", w, J).square().sum(-1).mean().sqrt()
    assert found.gradient_norm[0, 0] == pytest.approx(expected.item(), rel=1e-12)


def test_an_erasing_gate_shrinks_the_signal_as_its_spectrum_says():
    # Constant unit k, v = 0 and β = 1/2 in one dimension: every layer halves the state and the gradient.
    options = {"generator": "constant", "rewrite": "erase", "gate": "fixed", "beta0": 0.5, "lift": "identity"}
    found = propagation("ddl", state_dim=1, depth=5, seeds=[0], **options)
    # ε² = 1e-12 in the direction's length.
    np.testing.assert_allclose(found.gradient_norm[0], 0.5 ** np.arange(5, -1, -1.0), rtol=1e-9)
    np.testing.assert_allclose(found.state_std[0] / found.state_std[0, 0], 0.5 ** np.arange(6.0), rtol=1e-9)


def test_without_a_shortcut_the_gradient_vanishes_and_the_carousel_keeps_it():
    # Hochreiter (1991): the product of the Jacobians of squashing layers dies out exponentially.
    plain, gated = (propagation(name, state_dim=4, depth=60, seeds=[0, 1], hidden_dim=8) for name in ("mlp", "lstm"))
    assert (plain.gradient_norm[:, 0] < 1e-15).all()
    assert (gated.gradient_norm[:, 0] > 1e-2).all()


def test_a_solved_model_has_no_start():
    with pytest.raises(ValueError, match="solved, not trained"):
        propagation("mean", state_dim=2, depth=3, seeds=[0], sharing="tied", layers=1)
