"""Jacobians of layers and through depth: closed forms against autograd, spectra against the Delta operator's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import make_model
from ddl_dyn.analysis import closed_form_jacobian, delta_layer_jacobian, depth_profile, layer_maps, layer_spectra
from ddl_dyn.analysis.jacobians import frozen_operator
from ddl_dyn.analysis.spectra import eigenvalues, singular_values, solve_least_squares
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.ddl_options import DDLConfig
from tests.helpers.analysis_systems import linear_map


def trained_like(seed: int = 0, dim: int = 3, **options) -> DDL:
    """A DDL whose weights are far from their start, in float64."""
    torch.manual_seed(seed)
    model = DDL(dim, DDLConfig(**{"lift": "identity", "layers": 2, "hidden_dim": 8, **options})).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.5 * torch.randn_like(p))
    return model


@pytest.mark.parametrize("dim", [1, 2, 3, 7])
@pytest.mark.parametrize("options", [{}, {"norm": True}, {"generator": "branch"}, {"normalize_direction": False}])
def test_closed_form_equals_autograd_on_a_layer(dim, options):
    layer = trained_like(dim, dim, **options).layers[0]
    h = torch.randn(5, dim, dtype=torch.float64)
    u = torch.zeros(5, 0, dtype=torch.float64)
    ours = delta_layer_jacobian(layer, h, u)
    theirs = torch.stack([torch.autograd.functional.jacobian(lambda y: layer(y[None], u[:1])[0], row) for row in h])
    # Sums of at most 7 products of order one in float64.
    assert torch.allclose(ours, theirs, atol=1e-12, rtol=1e-12)


def test_constant_direction_gives_a_rank_one_change_and_the_stated_determinant():
    g = torch.Generator().manual_seed(3)
    x, k, db, dv = (torch.randn(4, generator=g, dtype=torch.float64) for _ in range(4))
    k = k / k.norm()
    beta, v = torch.tensor(1.3, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    J = closed_form_jacobian(x, k, beta, v, torch.zeros(4, 4, dtype=torch.float64), db, dv)
    s = torch.linalg.svdvals(J - torch.eye(4, dtype=torch.float64))
    assert s[1] < 1e-14
    expected = 1 - beta + (v - k @ x) * (k @ db) + beta * (k @ dv)
    assert torch.linalg.det(J) == pytest.approx(float(expected), abs=1e-13)


def test_the_closed_form_refuses_what_it_does_not_cover():
    layer = trained_like(directions=2).layers[0]
    with pytest.raises(ValueError, match="one direction"):
        delta_layer_jacobian(layer, torch.zeros(1, 3, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64))


def test_layer_maps_compose_to_the_step():
    model = trained_like(lift="linear", latent_dim=4, value_dim=2)
    x = torch.randn(6, 3, dtype=torch.float64)
    h = model.lift(x)
    out = h
    for phi in layer_maps(model):
        out = phi.step(out)
    assert torch.allclose(out, model.step(h, 0, torch.zeros(6, 0, dtype=torch.float64)), atol=1e-14)


def test_frozen_spectrum_is_not_the_jacobian_spectrum():
    model = trained_like()
    x = np.random.default_rng(0).normal(size=(5, 3))
    spectra = layer_spectra(model, x)
    trace = model.trace(torch.as_tensor(x), 0, torch.zeros(5, 0, dtype=torch.float64))
    k2 = trace["k"][..., 0, :].square().sum(-1)
    last = (1 - trace["beta"][..., 0] * k2).detach().numpy()
    ours = np.sort(spectra.operator_eigenvalues.real, axis=-1)
    expected = np.sort(np.stack([last, np.ones_like(last), np.ones_like(last)], axis=-1), axis=-1)
    assert ours == pytest.approx(expected, abs=1e-12)
    assert np.abs(spectra.operator_eigenvalues.imag).max() == 0
    assert np.abs(spectra.eigenvalues - spectra.operator_eigenvalues).max() > 0.05
    assert spectra.states.shape == (3, 5, 3)
    # The layers' Jacobians multiply to that of the step.
    whole = torch.autograd.functional.jacobian(
        lambda y: model.step(y[None], 0, torch.zeros(1, 0, dtype=torch.float64))[0], torch.as_tensor(x[0])
    )
    assert spectra.jacobians[1, 0] @ spectra.jacobians[0, 0] == pytest.approx(whole.numpy(), abs=1e-12)


def test_two_full_reflections_make_a_rotation_by_twice_their_angle():
    angle = 0.3
    k = torch.tensor([[1.0, 0.0], [np.cos(angle), np.sin(angle)]], dtype=torch.float64)
    A = frozen_operator(k, torch.full((2,), 2.0, dtype=torch.float64))
    c, s = np.cos(2 * angle), np.sin(2 * angle)
    assert A.numpy() == pytest.approx(np.array([[c, -s], [s, c]]), abs=1e-15)


def test_simultaneous_rewrites_have_the_operator_of_their_sum():
    options = {"directions": 2, "generator": "constant", "gate": "constant", "value": "constant", "value_dim": 1}
    for order in ("successive", "simultaneous"):
        torch.manual_seed(0)
        model = make_model("ddl", state_dim=3, lift="identity", layers=1, order=order, beta0=1.5, **options).double()
        spectra = layer_spectra(model, np.zeros((1, 3)))
        # With constant k, β and v the frozen operator is the layer's Jacobian. ε² = 1e-12 in the direction's length.
        assert spectra.operator_eigenvalues[0, 0] == pytest.approx(spectra.eigenvalues[0, 0], abs=1e-10)


def test_depth_profile_of_a_linear_map():
    A = np.diag([1.1, 0.5])
    profile = depth_profile([linear_map(A)] * 10, np.ones((3, 2)))
    t = np.arange(11)
    assert profile.singular_values[:, 0, 0] == pytest.approx(1.1**t, rel=1e-13)
    assert profile.singular_values[:, 0, 1] == pytest.approx(0.5**t, rel=1e-13)
    # ‖A^(10−t)‖_F / √2.
    assert profile.gradient_norms[:, 2] == pytest.approx(np.sqrt((1.1 ** (2 * (10 - t)) + 0.25 ** (10 - t)) / 2))


def test_depth_profile_agrees_with_backpropagated_random_gradients():
    model = trained_like(layers=3)
    maps = layer_maps(model)
    x = torch.randn(1, 3, dtype=torch.float64)
    profile = depth_profile(maps, x)
    h = x.clone().requires_grad_()
    out = h
    for phi in maps:
        out = phi.step(out)
    g = torch.randn(20000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    g = g / g.norm(dim=1, keepdim=True)
    J = torch.stack([torch.autograd.grad(out[0, i], h, retain_graph=True)[0][0] for i in range(3)])
    # 20,000 draws: relative standard error below 1 %.
    assert profile.gradient_norms[0, 0] == pytest.approx(float((g @ J).square().sum(1).mean().sqrt()), rel=0.03)
    assert profile.gradient_norms[-1, 0] == pytest.approx(1.0)


def test_spectra_of_non_finite_matrices_are_nan_and_leave_the_others_alone():
    batch = torch.stack([torch.diag(torch.tensor([2.0, -3.0])), torch.full((2, 2), torch.nan)]).double()
    assert eigenvalues(batch)[0].real.tolist() == [-3.0, 2.0]
    assert torch.isnan(eigenvalues(batch)[1].real).all()
    assert singular_values(batch)[0].tolist() == pytest.approx([3.0, 2.0])
    assert torch.isnan(singular_values(batch)[1]).all()
    assert torch.isnan(solve_least_squares(batch, torch.ones(2, 2).double())[1]).all()
    singular = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]).double()
    assert solve_least_squares(singular, torch.tensor([[2.0, 5.0]]).double())[0].tolist() == pytest.approx(
        [2.0, 0.0], abs=1e-14
    )


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="at least one map"):
        depth_profile([], np.ones((1, 2)))
    with pytest.raises(ValueError, match="no layers"):
        layer_maps(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="inputs of shape"):
        layer_maps(trained_like(), inputs=[1.0])
