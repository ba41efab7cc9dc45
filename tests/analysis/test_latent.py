"""The latent map off its manifold against linear maps with known parts, and steps far away against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, make_model
from ddl_dyn.analysis import (
    direction_span,
    far_field,
    latent_spectrum,
    lyapunov_spectrum,
    manifold_distance,
    trace_orbit,
)
from ddl_dyn.models.base import ResidualConfig, StepModel

D, H = 2, 5
RNG = np.random.default_rng(0)
X0 = RNG.normal(size=(3, D))


class LinearStep(StepModel):
    """h⁺ = M h with a fixed matrix."""

    Config = ResidualConfig
    equation, source = "h⁺ = M h", "closed form"

    def __init__(self, matrix, config):
        self._matrix = torch.as_tensor(matrix)
        super().__init__(D, config)

    def make_layer(self):
        layer = torch.nn.Linear(H, H, bias=False)
        layer.weight = torch.nn.Parameter(self._matrix.clone())
        return _Driven(layer)


class _Driven(torch.nn.Module):
    def __init__(self, map_):
        super().__init__()
        self.map = map_

    def forward(self, h, _):
        return self.map(h)


def linear_model(on, off, *, shear_in=0.0, shear_out=0.0, reencode=0.0):
    """A model whose map is (A, shear_in; shear_out, E) in the coordinates along the manifold and across it."""
    torch.manual_seed(0)
    config = ResidualConfig(carry="latent", latent_dim=H, layers=1, reencode=reencode)
    model = LinearStep(np.eye(H), config).double()
    with torch.no_grad():
        # An oblique read-out that undoes the lift only up to a matrix.
        model.lift_map.weight.normal_()
        model.read_map.weight.normal_()
        R = model.read_map.weight.numpy()
        L = model.lift_map.weight.numpy()
        kernel = np.linalg.svd(R)[2][D:].T
        S = np.hstack([L, kernel])
        block = np.block([[on, shear_in * RNG.normal(size=(D, H - D))], [shear_out * RNG.normal(size=(H - D, D)), off]])
        model.layers[0].map.weight.copy_(torch.as_tensor(S @ block @ np.linalg.inv(S)))
    return model


def rotation(angle, size=1.0):
    return size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


OFF = np.diag([1.0, 0.7, 0.2])


@pytest.mark.parametrize(("shear_in", "shear_out"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)])
def test_a_linear_map_has_the_exponents_of_its_two_parts(shear_in, shear_out):
    model = linear_model(rotation(0.4, 0.9), OFF, shear_in=shear_in, shear_out=shear_out)
    found = latent_spectrum(model, X0, 400, transient=400)
    on, off = np.log([0.9, 0.9]), np.log([1.0, 0.7, 0.2])
    # The rotation turns an oblique frame for ever: what is left of it is divided by the 400 steps.
    np.testing.assert_allclose(found.on, on, atol=1e-10)
    np.testing.assert_allclose(found.off, off, atol=1e-10)
    np.testing.assert_allclose(found.exponents, np.sort([*on, *off])[::-1], atol=0.01)
    assert found.neutral == 1
    assert found.valid.all()
    plain = lyapunov_spectrum(model, model.lift(torch.as_tensor(X0)).detach(), 400, transient=400)
    np.testing.assert_allclose(found.exponents, plain.exponents, atol=1e-6)


def test_parts_that_feed_each_other_are_told_apart_from_the_whole():
    """With both couplings the whole spectrum is that of the matrix, and the parts are those of its blocks."""
    model = linear_model(np.diag([0.9, 0.5]), OFF, shear_in=0.4, shear_out=0.4)
    found = latent_spectrum(model, X0, 600, transient=400)
    M = model.layers[0].map.weight.detach().numpy()
    np.testing.assert_allclose(found.exponents, np.sort(np.log(np.abs(np.linalg.eigvals(M))))[::-1], atol=0.02)
    np.testing.assert_allclose(found.on, np.log([0.9, 0.5]), atol=0.02)
    np.testing.assert_allclose(found.off, np.log([1.0, 0.7, 0.2]), atol=0.02)
    assert np.abs(np.sort([*found.on, *found.off])[::-1] - found.exponents).max() > 0.02


def test_re_encoding_contracts_across_the_manifold_alone():
    """h ← h + μ(L R h − h) multiplies what the read-out does not see by 1 − μ; here R L is the identity."""
    spectra = {}
    for mu in (0.0, 0.1):
        model = linear_model(rotation(0.3), np.eye(H - D), reencode=mu)
        with torch.no_grad():
            L = model.lift_map.weight
            model.read_map.weight.copy_(torch.linalg.pinv(L))
            model.lift_map.bias.zero_()
            model.read_map.bias.zero_()
            S = torch.cat((L, torch.linalg.svd(model.read_map.weight)[2][D:].T), dim=1)
            block = torch.block_diag(torch.as_tensor(rotation(0.3)), torch.eye(H - D, dtype=torch.float64))
            model.layers[0].map.weight.copy_(S @ block @ torch.linalg.inv(S))
        spectra[mu] = latent_spectrum(model, X0, 200, transient=400)
        np.testing.assert_allclose(spectra[mu].on, 0.0, atol=1e-10)
        np.testing.assert_allclose(spectra[mu].off, np.log(1 - mu), atol=1e-10)
    assert spectra[0.0].neutral == H
    assert spectra[0.1].neutral == D


@pytest.mark.parametrize("name", ["ddl", "lstm", "hyper_connections"])
def test_replicas_are_analysed_apart_and_curved_lifts_are_followed(name):
    replicas = Replicas(lambda: make_model(name, state_dim=D, hidden_dim=3, latent_dim=3, carry="latent"), (0, 1))
    with torch.no_grad():
        for p in replicas.parameters.values():
            p.add_(0.2 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    found = latent_spectrum(replicas, X0, 20)
    size = replicas.template.carried_dim
    assert found.exponents.shape == (2, size)
    assert found.on.shape == (2, D)
    assert found.off.shape == (2, size - D)
    for r in range(2):
        alone = latent_spectrum(replicas.model(r), X0, 20)
        np.testing.assert_allclose(found.exponents[r], alone.exponents, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(found.off[r], alone.off, rtol=1e-8, atol=1e-9)


def test_replicas_may_start_from_states_of_their_own():
    replicas = Replicas(lambda: make_model("ddl", state_dim=D, hidden_dim=3, carry="latent"), (0, 1))
    own = RNG.normal(size=(2, 3, D))
    exponents, distance = latent_spectrum(replicas, own, 10).exponents, manifold_distance(replicas, own, 5)
    for r in range(2):
        np.testing.assert_allclose(exponents[r], latent_spectrum(replicas.model(r), own[r], 10).exponents, atol=1e-10)
        np.testing.assert_allclose(distance[r], manifold_distance(replicas.model(r), own[r], 5), atol=1e-12)
    with pytest.raises(ValueError, match=rf"x0 must have shape \(B, {D}\) or \(2, B, {D}\), got \(3, 3, {D}\)"):
        latent_spectrum(replicas, np.zeros((3, 3, D)), 10)
    with pytest.raises(ValueError, match=rf"x0 must have shape \(B, {D}\), got"):
        manifold_distance(replicas.model(0), own, 5)


def test_what_left_the_finite_numbers_is_not_averaged():
    model = linear_model(np.diag([1e30, 1.0]), OFF)
    found = latent_spectrum(model, X0, 20)
    assert not found.valid.any()
    assert np.isnan(found.exponents).all()


def test_distance_from_the_manifold_of_a_linear_map_in_closed_form():
    model = linear_model(rotation(0.4, 0.9), OFF, shear_out=0.5)
    found = manifold_distance(model, X0, 12)
    M, (L, R) = (
        model.layers[0].map.weight.detach().numpy(),
        (m.weight.detach().numpy() for m in (model.lift_map, model.read_map)),
    )
    a, b = (m.bias.detach().numpy() for m in (model.lift_map, model.read_map))
    h = X0 @ L.T + a
    for t in range(13):
        np.testing.assert_allclose(found[:, t], np.linalg.norm(h - ((h @ R.T + b) @ L.T + a), axis=-1), rtol=1e-9)
        h = h @ M.T
    # Re-encoding wholly keeps the state on it, but for a read-out that does not undo the lift.
    aligned = linear_model(rotation(0.4), OFF, reencode=1.0)
    with torch.no_grad():
        aligned.read_map.weight.copy_(torch.linalg.pinv(aligned.lift_map.weight))
    np.testing.assert_allclose(manifold_distance(aligned, X0, 5), 0.0, atol=1e-12)


def test_distance_wants_a_latent_space_and_fitting_inputs():
    for options in ({"carry": "observed"}, {"carry": "latent", "lift": "identity"}):
        with pytest.raises(ValueError, match="no latent space beside the observed one"):
            manifold_distance(make_model("resnet", state_dim=D, **options), X0, 3)
    driven = make_model("resnet", state_dim=D, input_dim=1, carry="latent")
    with pytest.raises(ValueError, match=r"inputs must have shape \(3, 4, 1\)"):
        manifold_distance(driven, X0, 4)
    assert manifold_distance(driven, X0, 4, inputs=np.zeros((3, 4, 1))).shape == (3, 5)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        latent_spectrum(driven, X0, 0, inputs=[0.0])


def test_directions_in_a_plane_span_two_dimensions():
    angle = RNG.uniform(0, 2 * np.pi, size=(1, 4, 1, 500, 1))
    k = np.zeros((*angle.shape, 3))
    k[..., 0], k[..., 1] = np.cos(angle), np.sin(angle)
    traces = {"k": k, "beta": np.ones(angle.shape)}
    found = direction_span(traces)
    # 2000 angles: the share's standard error is .008.
    np.testing.assert_allclose(found.energies, [[0.5, 0.5, 0.0]], atol=0.04)
    assert found.dimension[0] == pytest.approx(2.0, abs=0.02)
    assert np.abs(found.directions[0, :, 2]) == pytest.approx([0.0, 0.0, 1.0], abs=1e-12)
    # Gates that erase along the first axis alone leave a span of one dimension.
    traces["k"] = np.where(np.arange(500)[:, None, None] % 2 == 0, np.eye(3)[0], np.eye(3)[1]) + 0 * k
    traces["beta"] = np.where(np.arange(500)[:, None] % 2 == 0, 1.5, 0.0) + 0 * angle
    np.testing.assert_allclose(direction_span(traces).energies, [[0.5, 0.5, 0.0]], atol=1e-12)
    np.testing.assert_allclose(direction_span(traces, weighted=True).energies, [[1.0, 0.0, 0.0]], atol=1e-12)
    with pytest.raises(ValueError, match="not a DDL stack"):
        direction_span({})


def test_the_span_of_a_trained_form_is_that_of_its_constant_direction():
    model = make_model("ddl", state_dim=3, lift="identity", layers=1, generator="constant")
    found = direction_span(trace_orbit(model, RNG.normal(size=(5, 3)), 4))
    k = model.layers[0].direction.bias.detach().numpy()
    np.testing.assert_allclose(np.abs(found.directions[0, :, 0] @ k), np.linalg.norm(k), rtol=1e-6)
    assert found.dimension[0] == pytest.approx(1.0, abs=1e-6)


RADII = (1e2, 1e4, 1e6)


def scrambled(name, **options):
    torch.manual_seed(0)
    model = make_model(name, state_dim=3, lift="identity", hidden_dim=6, layers=1, **options).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.5 * torch.randn_like(p))
    return model


def signs(linear, ray):
    """tanh of an affine map far along a ray."""
    return np.sign(linear.weight.detach().numpy() @ ray)


@pytest.mark.parametrize("name", ["resnet", "affine", "gated_residual", "highway", "signed", "mlp", "ddl", "flow"])
def test_far_along_a_ray_a_step_has_the_linear_part_of_its_shortcut(name):
    """Of a residual step I, of an affine shortcut A, of Highway diag(1 − T), of an MLP 0, of DDL I − β k kᵀ."""
    options = {
        "affine": ("resnet", {"shortcut": "affine"}),
        "signed": ("highway", {"signed": True}),
        "flow": ("neural_ode", {}),
    }.get(name, (name, {}))
    model = scrambled(options[0], **options[1])
    layer, ray = model.layers[0], RNG.normal(size=3)
    found = far_field(model, ray[None], RADII)
    if name in ("resnet", "gated_residual", "flow"):
        expected = np.eye(3)
    elif name == "affine":
        expected = layer.shortcut.weight.detach().numpy()
    elif name == "mlp":
        expected = np.zeros((3, 3))
    elif name in ("highway", "signed"):
        T = signs(layer.gate, ray) > 0
        expected = np.diag(1.0 - (2.0 if name == "signed" else 1.0) * T)
    else:
        context = signs(layer.encode[0], ray)

        def head(module):
            return module.weight.detach().numpy() @ context + module.bias.detach().numpy()

        k, beta = head(layer.direction), 2.0 / (1.0 + np.exp(-head(layer.gate)))
        k = k / np.sqrt(k @ k + 1e-12)
        expected = np.eye(3) - beta * np.outer(k, k)
    # At 1e6 the hyperbolic tangent is constant to rounding; the state itself is known to 1e-10.
    np.testing.assert_allclose(found.jacobians[-1, 0], expected, atol=1e-8)
    assert found.change[0] < 1e-8
    moduli = np.sort(np.abs(np.linalg.eigvals(expected)))[::-1]
    np.testing.assert_allclose(np.abs(found.eigenvalues[-1, 0]), moduli, atol=1e-7)


def test_far_fields_of_replicas_and_bad_radii():
    replicas = Replicas(lambda: make_model("resnet", state_dim=2, lift="identity"), (0, 1))
    found = far_field(replicas, np.eye(2), RADII)
    assert found.jacobians.shape == (3, 2, 2, 2, 2)
    assert found.eigenvalues.shape == (3, 2, 2, 2)
    assert found.change.shape == (2, 2)
    for radii in ([1.0], [2.0, 1.0], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="at least two growing numbers"):
            far_field(replicas, np.eye(2), radii)
