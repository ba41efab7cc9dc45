"""The Delta operator against dense float64 algebra, its spectrum, its laws and its derivatives."""

from __future__ import annotations

import itertools

import pytest
import torch

from ddl_dyn.models import delta

SHAPES = [((), 1, 1), ((), 5, 1), ((3,), 2, 3), ((2, 3), 7, 2), ((1, 4, 2), 3, 5)]


def draw(batch, d, dv, *, seed=0, unit=True):
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(*batch, d, dv, generator=g, dtype=torch.float64)
    k = torch.randn(*batch, d, generator=g, dtype=torch.float64)
    v = torch.randn(*batch, dv, generator=g, dtype=torch.float64)
    beta = 2 * torch.rand(batch, generator=g, dtype=torch.float64)
    return X, k / k.norm(dim=-1, keepdim=True) if unit else k, v, beta


def dense_update(X, k, v, beta):
    """The paper's first form, element by element with Python loops: shares no code with the library."""
    out = torch.empty_like(X)
    d, dv = X.shape[-2:]
    for idx in itertools.product(*(range(n) for n in X.shape[:-2])):
        for i in range(d):
            for j in range(dv):
                total = 0.0
                for m in range(d):
                    a = (1.0 if i == m else 0.0) - beta[idx].item() * k[idx][i].item() * k[idx][m].item()
                    total += a * X[idx][m, j].item()
                out[(*idx, i, j)] = total + beta[idx].item() * k[idx][i].item() * v[idx][j].item()
    return out


@pytest.mark.parametrize(("batch", "d", "dv"), SHAPES)
@pytest.mark.parametrize("unit", [True, False])
def test_update_equals_the_dense_reference(batch, d, dv, unit):
    X, k, v, beta = draw(batch, d, dv, unit=unit)
    # 1e-13: a few roundings of numbers of order ten.
    torch.testing.assert_close(delta.delta_update(X, k, v, beta), dense_update(X, k, v, beta), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("batch", "d", "dv"), SHAPES)
def test_operator_erase_and_write_agree(batch, d, dv):
    X, k, v, beta = draw(batch, d, dv)
    A = delta.delta_operator(k, beta)
    torch.testing.assert_close(delta.erase(X, k, beta), A @ X, rtol=1e-13, atol=1e-13)
    both = delta.erase(X, k, beta) + delta.write(X, k, v, beta) - X
    torch.testing.assert_close(both, delta.delta_update(X, k, v, beta), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 5, 16])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 1.7, 2.0])
def test_spectrum_and_determinant(d, beta):
    _, k, _, _ = draw((), d, 1, seed=d)
    A = delta.delta_operator(k, torch.tensor(beta, dtype=torch.float64))
    expected = torch.tensor(sorted([1.0] * (d - 1) + [1.0 - beta]), dtype=torch.float64)
    torch.testing.assert_close(torch.linalg.eigvalsh(A), expected, rtol=0, atol=1e-14)
    assert torch.det(A).item() == pytest.approx(1 - beta, abs=1e-14)


def test_length_of_k_sets_the_eigenvalue_when_it_is_not_unit():
    k = torch.tensor([0.6, 0.0, 0.9], dtype=torch.float64)
    A = delta.delta_operator(k, torch.tensor(1.5, dtype=torch.float64))
    assert torch.linalg.eigvalsh(A)[0].item() == pytest.approx(1 - 1.5 * (0.36 + 0.81), abs=1e-14)


def test_three_regimes():
    X, k, v, _ = draw((4,), 6, 3)
    gate = lambda value: torch.full((4,), value, dtype=torch.float64)  # noqa: E731
    assert torch.equal(delta.delta_update(X, k, v, gate(0.0)), X)
    overwritten = delta.delta_update(X, k, v, gate(1.0))
    torch.testing.assert_close(delta.project(overwritten, k), v, rtol=0, atol=1e-14)
    P = delta.delta_operator(k, gate(1.0))
    torch.testing.assert_close(P @ P, P, rtol=0, atol=1e-14)
    H = delta.delta_operator(k, gate(2.0))
    torch.testing.assert_close(H @ H, torch.eye(6, dtype=torch.float64).expand_as(H), rtol=0, atol=1e-14)
    reflected = delta.erase(X, k, gate(2.0))
    torch.testing.assert_close(reflected.norm(dim=-2), X.norm(dim=-2), rtol=1e-14, atol=0)


@pytest.mark.parametrize(("batch", "d", "dv"), SHAPES)
def test_discrepancy_shrinks_by_one_minus_beta(batch, d, dv):
    X, k, v, beta = draw(batch, d, dv)
    before = delta.discrepancy(X, k, v)
    after = delta.discrepancy(delta.delta_update(X, k, v, beta), k, v)
    torch.testing.assert_close(after, (1 - beta)[..., None] * before, rtol=0, atol=1e-13)
    # Negative control: the write-only step does not obey the law.
    written = delta.discrepancy(delta.write(X, k, v, beta), k, v)
    assert (written - (1 - beta)[..., None] * before).abs().max() > 1e-3


def test_two_mirrors_rotate_by_twice_their_angle():
    theta = 0.3
    k1 = torch.tensor([1.0, 0.0], dtype=torch.float64)
    k2 = torch.tensor([torch.cos(torch.tensor(theta / 2)), torch.sin(torch.tensor(theta / 2))], dtype=torch.float64)
    two = torch.tensor(2.0, dtype=torch.float64)
    R = delta.delta_operator(k2, two) @ delta.delta_operator(k1, two)
    # float32 cosines above: 1e-7.
    assert R[0, 0].item() == pytest.approx(torch.cos(torch.tensor(theta)).item(), abs=1e-6)
    assert torch.det(R).item() == pytest.approx(1.0, abs=1e-6)


def test_direction_of_zero_is_zero_and_differentiable():
    k = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    u = delta.unit_direction(k)
    u.sum().backward()
    assert torch.equal(u, torch.zeros_like(u))
    assert k.grad is not None
    assert torch.isfinite(k.grad).all()
    big = delta.unit_direction(torch.tensor([3.0, 4.0], dtype=torch.float64))
    torch.testing.assert_close(big, torch.tensor([0.6, 0.8], dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize(("batch", "d", "dv"), [((), 3, 1), ((2,), 4, 3)])
def test_gradients(batch, d, dv):
    args = tuple(a.requires_grad_() for a in draw(batch, d, dv))
    X, k, _, beta = args
    assert torch.autograd.gradcheck(delta.delta_update, args)
    assert torch.autograd.gradcheck(delta.erase, (X, k, beta))
    assert torch.autograd.gradcheck(delta.write, args)
    assert torch.autograd.gradcheck(delta.delta_operator, (k, beta))
    assert torch.autograd.gradcheck(delta.unit_direction, (k,))


def test_broadcasting_and_large_states_never_form_the_operator():
    X, k, v, beta = draw((), 3, 2)
    many = X.expand(5, 3, 2)
    torch.testing.assert_close(delta.delta_update(many, k, v, beta)[3], delta.delta_update(X, k, v, beta))
    # A (200000, 200000) operator would need 320 GB.
    wide = draw((), 200_000, 1)
    assert delta.delta_update(*wide).shape == (200_000, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"k": (5,)}, "k must have length d = 4"), ({"v": (5,)}, "v must have length d_v = 2"), ({"X": (4,)}, "X must")],
)
def test_wrong_shapes_are_named(change, message):
    shapes = {"X": (4, 2), "k": (4,), "v": (2,)} | change
    X, k, v = (torch.zeros(shapes[n]) for n in ("X", "k", "v"))
    with pytest.raises(ValueError, match=message):
        delta.delta_update(X, k, v, torch.tensor(1.0))
