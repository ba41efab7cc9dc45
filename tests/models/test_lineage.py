"""Features that set each architecture apart: contraction, Chebyshev series, memory, gates, the cross-entropy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import make_model
from ddl_dyn.engine.losses import choose_loss, free_run_error, mean_loss
from ddl_dyn.models.invertible_resnet import contracted, spectral_bound
from ddl_dyn.models.rkan import chebyshev_polynomials


@pytest.mark.parametrize("shape", [(1, 1), (2, 7), (7, 2), (16, 16), (33, 5)])
def test_spectral_bound_is_one_and_is_tight(shape):
    W = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    sigma = torch.linalg.matrix_norm(W.detach(), ord=2)
    bound = spectral_bound(W)
    # Six squarings leave at most n^(1/256).
    assert sigma * (1 - 1e-12) <= bound <= sigma * min(shape) ** (1 / 256) * (1 + 1e-12)
    assert torch.autograd.gradcheck(spectral_bound, (W,))
    assert torch.linalg.matrix_norm(contracted(W, 0.1), ord=2) <= 0.1 * (1 + 1e-12)
    small = 0.01 * W / sigma
    torch.testing.assert_close(contracted(small, 0.1), small)


def test_spectral_bound_of_nothing_has_a_gradient():
    W = torch.zeros(3, 4, requires_grad=True)
    contracted(W, 0.9).sum().backward()
    assert torch.equal(W.grad, torch.ones(3, 4))


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_invertible_blocks_contract_and_keep_orientation(scale):
    torch.manual_seed(0)
    model = make_model("invertible_resnet", state_dim=3, lift="identity", layers=3, lipschitz=0.95).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(scale * torch.randn_like(p))
    x, y = torch.randn(2, 500, 3, dtype=torch.float64)
    u = torch.zeros(500, 0, dtype=torch.float64)
    layer = model.layers[0]
    ratio = ((layer(x, u) - x) - (layer(y, u) - y)).norm(dim=-1) / (x - y).norm(dim=-1)
    assert ratio.max() < 0.95
    J = torch.vmap(torch.func.jacrev(lambda z: model.step(z[None], 0, z.new_zeros(1, 0))[0]))(x[:50])
    assert (torch.det(J) > 0).all()


def test_chebyshev_polynomials_are_cosines():
    x = torch.linspace(-1, 1, 101, dtype=torch.float64)
    for n, row in enumerate(chebyshev_polynomials(x, 9), start=1):
        # T_n(cos θ) = cos nθ; the recurrence loses a digit or two at the ends.
        torch.testing.assert_close(row, torch.cos(n * torch.arccos(x)), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_memory_is_carried_in_the_latent_state_only(name):
    torch.manual_seed(0)
    model = make_model(name, state_dim=2, lift="identity", carry="latent", hidden_dim=5)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.5)
    x = torch.randn(4, 2)
    u = torch.zeros(4, 0)
    after = model.step(model.lift(x), 0, u)
    # The same observed state, with and without its past.
    remembered, forgotten = model.step(after, 1, u), model.step(model.lift(model.read(after)), 1, u)
    assert (model.read(remembered) - model.read(forgotten)).abs().max() > 1e-2


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_recurrent_cells_equal_torchs_own(name):
    torch.manual_seed(0)
    model = make_model(name, state_dim=3, lift="identity", carry="latent", hidden_dim=4).double()
    cell, S = model.layers[0], 4
    x, s, c = (torch.randn(5, n, dtype=torch.float64) for n in (3, S, S))
    u = torch.zeros(5, 0, dtype=torch.float64)
    W, b = cell.gates.weight, cell.gates.bias
    if name == "lstm":
        # torch orders its gates i, f, candidate, o; ours are i, f, o, candidate.
        order = torch.cat([torch.arange(S) + k * S for k in (0, 1, 3, 2)])
        other = torch.nn.LSTMCell(3, S).double()
        weights = (W[order, :3], W[order, 3:], b[order], torch.zeros_like(b))
    else:
        # torch orders r, z and puts the reset gate after the product; equal where the candidate's product has none.
        order = torch.cat([torch.arange(S) + k * S for k in (1, 0)])
        with torch.no_grad():
            cell.candidate.weight[:, 3:] = 0.0
        other = torch.nn.GRUCell(3, S).double()
        weights = (
            torch.cat((W[order, :3], cell.candidate.weight[:, :3])),
            torch.cat((W[order, 3:], cell.candidate.weight[:, 3:])),
            torch.cat((b[order], cell.candidate.bias)),
            torch.zeros(3 * S, dtype=torch.float64),
        )
    with torch.no_grad():
        for p, value in zip((other.weight_ih, other.weight_hh, other.bias_ih, other.bias_hh), weights, strict=True):
            p.copy_(value)
    found = cell(torch.cat((x, s, c) if name == "lstm" else (x, s), dim=-1), u)
    expected = torch.cat(other(x, (s, c)), dim=-1) if name == "lstm" else other(x, s)
    torch.testing.assert_close(found[:, 3:], expected, rtol=1e-12, atol=1e-12)


def test_a_closed_gate_shuts_the_branch():
    x = torch.randn(6, 3)
    outputs = []
    for gate in ("state", "scalar"):
        for bias in (-30.0, 0.0):
            torch.manual_seed(0)
            model = make_model("gated_residual", state_dim=3, lift="identity", gate=gate, gate_bias=bias)
            for layer in model.layers:
                torch.nn.init.normal_(layer.branch.last.weight)
            outputs.append((model.step(x, 0, torch.zeros(6, 0)) - x).abs().max().item())
    assert outputs[0] < 1e-9 < 1e-2 < outputs[1]
    assert outputs[2] < 1e-9 < 1e-2 < outputs[3]


def test_loss_is_chosen_by_what_the_states_are():
    codes = np.eye(3)[np.random.default_rng(0).integers(3, size=(4, 5))]
    assert choose_loss("auto", codes) == "cross_entropy"
    assert choose_loss("mse", codes) == "mse"
    assert choose_loss("auto", codes + 0.1) == "mse"
    assert choose_loss("auto", np.ones((4, 5, 1))) == "mse"
    with pytest.raises(ValueError, match="one-hot codes"):
        choose_loss("cross_entropy", codes + 0.1)


def test_losses_against_torch_and_their_failures():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 3, generator=g, dtype=torch.float64)
    index = torch.randint(3, (4, 5), generator=g)
    target = torch.nn.functional.one_hot(index, 3).double()
    found = mean_loss("cross_entropy", logits, target)
    for r in range(2):
        expected = torch.nn.functional.cross_entropy(logits[r].flatten(0, 1), index.flatten())
        torch.testing.assert_close(found[r], expected, rtol=1e-13, atol=0)
        torch.testing.assert_close(mean_loss("mse", logits, target)[r], torch.nn.functional.mse_loss(logits[r], target))
    logits[1, 0, 0, 0] = torch.nan
    for loss in ("mse", "cross_entropy"):
        error = free_run_error(loss, logits, target)
        assert torch.isfinite(error[0])
        assert error[1] == torch.inf
