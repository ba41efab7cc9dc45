"""The DDL layer, option by option: against a dense reference written from the equations, and by what each changes."""

from __future__ import annotations

import itertools

import pytest
import torch

from ddl_dyn import make_model
from ddl_dyn.models import model_config
from ddl_dyn.models.ddl import DeltaLayer
from ddl_dyn.models.delta import delta_update, erase

OPTIONS = {
    "generator": ("mlp", "branch", "shared", "constant"),
    "rewrite": ("delta", "write", "erase", "untied"),
    "value": ("state", "constant"),
    "gate": ("linear", "tanh", "constant", "fixed"),
    "normalize_direction": (True, False),
    "norm": (True, False),
}
EVERY = [dict(zip(OPTIONS, values, strict=True)) for values in itertools.product(*OPTIONS.values())]
# Under "erase" there is no value to make constant.
COMBINATIONS = [row for row in EVERY if not (row["rewrite"] == "erase" and row["value"] == "constant")]
# What needs inputs, several rewrites or a norm, beside what it meets.
INPUTS = [dict(zip(("generator", "value", "gate"), row, strict=True)) for row in (
    ("input", "input", "input"), ("input", "state", "linear"), ("mlp", "input", "fixed"), ("shared", "state", "input"),
    ("input", "constant", "constant"), ("constant", "input", "tanh"),
)]  # fmt: skip
COMBINATIONS += [row | {"rewrite": rewrite} for row in INPUTS for rewrite in ("delta", "untied")]
COMBINATIONS += [{"generator": "input", "gate": "input", "rewrite": "erase"}]
COMBINATIONS += [
    {"order": "simultaneous", "generator": generator, "rewrite": rewrite}
    for generator in ("mlp", "branch", "shared", "constant")
    for rewrite in ("delta", "write", "erase", "untied")
]
COMBINATIONS += [{"value_bound": 4.0, "generator": generator} for generator in ("mlp", "branch", "shared", "constant")]
COMBINATIONS += [
    {"norm": True, "norm_eps": 0.3, "direction_eps": 0.2, "value_before_norm": True, "generator": generator} | extra
    for generator in ("mlp", "branch")
    for extra in ({}, {"value_bound": 0.5, "rewrite": "untied"})
]
ids = ["-".join(str(v) for v in combination.values()) for combination in COMBINATIONS]


def dense_layer(p, h, u, d, V, r, config):
    """One row h (d·V,) under u (U,) through the layer with matrices written out, from arXiv 2601.00417 and the options'
    datasheet; p holds the layer's parameters by name. Shares no code with the library.
    """
    X = torch.stack([torch.stack([h[i * V + j] for j in range(V)]) for i in range(d)])

    def affine(name, z):
        return p[f"{name}.weight"] @ z + p[f"{name}.bias"]

    def network(name, z):
        return affine(f"{name}.last", torch.tanh(affine(f"{name}.hidden.0", z)))

    context = torch.stack([(p["compress"][i] * X[i]).sum() for i in range(d)]) if config.generator == "branch" else h
    bare = torch.cat((context, u))
    if config.norm:
        context = context / torch.sqrt((context**2).mean() + config.norm_eps) * p["norm.gain"]
    context = torch.cat((context, u))
    if config.generator == "shared":
        context = torch.tanh(affine("encode.0", context))

    def given(name, kind):
        return p[f"{name}.bias"] + (p[f"{name}.weight"] @ u if kind == "input" else 0.0)

    if config.generator in ("constant", "input"):
        directions = given("direction", config.generator)
    elif config.generator == "shared":
        directions = affine("direction", context)
    else:
        directions = network("direction", context)
    if config.rewrite == "erase":
        targets = torch.zeros(r * V, dtype=h.dtype)
    elif config.value in ("constant", "input"):
        targets = given("value", config.value)
    else:
        seen = bare if config.value_before_norm else context
        targets = (affine if config.generator in ("branch", "shared") else network)("value", seen)
    if config.value_bound is not None:
        targets = config.value_bound / (1 + torch.exp(-targets))
    if config.gate == "fixed":
        gates = torch.full((2 * r,), config.beta0, dtype=h.dtype)
    else:
        if config.gate in ("constant", "input"):
            logits = given("gate", config.gate)
        elif config.gate == "linear":
            logits = affine("gate", context)
        else:
            logits = affine("gate.2", torch.tanh(affine("gate.0", context)))
        gates = config.gate_max / (1 + torch.exp(-logits))
        gates = gates if config.rewrite == "untied" else torch.cat((gates, gates))
    start, total = X, X
    for i in range(r):
        k = directions[i * d : (i + 1) * d, None]
        if config.normalize_direction:
            k = k / torch.sqrt((k**2).sum() + config.direction_eps**2)
        v, beta, beta_write = targets[i * V : (i + 1) * V, None], gates[i], gates[r + i]
        identity = torch.eye(d, dtype=h.dtype)
        A = identity if config.rewrite == "write" else identity - beta * k @ k.T
        X = A @ X + beta_write * k @ v.T
        if config.order == "simultaneous":
            total, X = total + X - start, start
    return (total if config.order == "simultaneous" else X).reshape(-1)


@pytest.mark.parametrize("options", COMBINATIONS, ids=ids)
def test_layer_equals_the_dense_reference_in_values_and_gradients(options):
    # Odd sizes throughout, and never two alike, so that no transposition can hide.
    sizes = [((5, 3, 2, 1), 2.0)]
    if "input" not in options.values() and "order" not in options:
        sizes.append(((3, 1, 1, 0), 1.0))
    for (d, V, r, U), gate_max in sizes:
        config = model_config("ddl", hidden_dim=7, directions=r, gate_max=gate_max, beta0=0.7, **options)
        torch.manual_seed(0)
        layer = DeltaLayer(d, V, U, config).double()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        h = torch.randn(3, d * V, dtype=torch.float64, requires_grad=True)
        u = torch.randn(3, U, dtype=torch.float64)
        names, tensors = zip(*layer.named_parameters(), strict=True)
        parameters = dict(zip(names, tensors, strict=True))
        got = layer(h, u)
        want = torch.stack([dense_layer(parameters, h[b], u[b], d, V, r, config) for b in range(3)])
        # 1e-12: some tens of float64 roundings of numbers of order ten.
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
        weight = torch.randn_like(got)
        sources = (h, *tensors)
        grads = [torch.autograd.grad((out * weight).sum(), sources, allow_unused=True) for out in (got, want)]
        for name, a, b in zip(("h", *names), *grads, strict=True):
            a, b = (torch.zeros(()) if g is None or not g.numel() else g for g in (a, b))
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11, msg=lambda m, name=name: f"{name}: {m}")


def layer_of(*, d=5, V=1, **options):
    """A layer with a constant direction, no target and a gate that depends on nothing, in float64."""
    torch.manual_seed(0)
    defaults = {"generator": "constant", "rewrite": "erase", "gate": "fixed", "beta0": 1.5}
    return DeltaLayer(d, V, 0, model_config("ddl", **(defaults | options))).double()


def matrix(layer, d=5):
    """The matrix of a layer that is linear."""
    return layer(torch.eye(d, dtype=torch.float64), torch.zeros(d, 0, dtype=torch.float64)).mT


def direction(layer):
    return layer.generate(torch.zeros(1, 5, dtype=torch.float64), torch.zeros(1, 0, dtype=torch.float64))[0][0]


@pytest.mark.parametrize("beta", [0.0, 0.4, 1.0, 1.5, 2.0])
def test_beta_sets_the_spectrum_and_the_sign_of_the_determinant(beta):
    A = matrix(layer_of(beta0=beta))
    spectrum = torch.linalg.eigvalsh(A)
    expected = torch.tensor(sorted([1 - beta] + [1.0] * 4), dtype=torch.float64)
    # ε² = 1e-12 in the direction's length shifts the last eigenvalue by that much.
    torch.testing.assert_close(spectrum, expected, rtol=0, atol=1e-11)
    assert torch.det(A).item() == pytest.approx(1 - beta, abs=1e-11)


def test_unnormalised_direction_sets_another_eigenvalue():
    layer = layer_of(normalize_direction=False, beta0=0.8)
    with torch.no_grad():
        layer.direction.bias.mul_(1.4 / layer.direction.bias.norm())
    assert torch.det(matrix(layer)).item() == pytest.approx(1 - 0.8 * 1.4**2, abs=1e-12)


@pytest.mark.parametrize("r", [1, 2, 3, 4])
def test_directions_are_the_rank_of_what_changes_and_the_parity_of_orientation(r):
    A = matrix(layer_of(directions=r, beta0=2.0))
    assert torch.linalg.matrix_rank(A - torch.eye(5, dtype=torch.float64), tol=1e-9) == r
    assert torch.det(A).item() == pytest.approx((-1) ** r, abs=1e-10)
    # A product of reflections is orthogonal.
    torch.testing.assert_close(A @ A.mT, torch.eye(5, dtype=torch.float64), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("gate_max", "reflects"), [(2.0, True), (1.0, False)])
def test_gate_max_bounds_the_gate_and_with_it_the_orientation(gate_max, reflects):
    torch.manual_seed(0)
    layer = DeltaLayer(5, 1, 0, model_config("ddl", generator="constant", rewrite="erase", gate_max=gate_max)).double()
    u = torch.zeros(1, 0, dtype=torch.float64)
    signs = []
    for logit in (-20.0, 20.0):
        torch.nn.init.zeros_(layer.gate.weight)
        torch.nn.init.constant_(layer.gate.bias, logit)
        beta = layer.generate(torch.randn(1, 5, dtype=torch.float64), u)[2]
        assert 0.0 < beta.item() <= gate_max
        signs.append(torch.det(matrix(layer)).item() < -0.5)
    assert signs == [False, reflects]


def test_write_never_erases_and_erase_never_writes():
    write, erasing, delta = (layer_of(rewrite=name) for name in ("write", "erase", "delta"))
    for layer in (write, delta):
        torch.nn.init.ones_(layer.value.last.bias)
    h = torch.randn(4, 5, dtype=torch.float64)
    u = torch.zeros(4, 0, dtype=torch.float64)
    k = direction(erasing)[0]
    # The write-only control moves every state by the same βv along k; erasing moves each by its own content.
    torch.testing.assert_close((write(h, u) - h) @ k, torch.full((4,), 1.5, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close((erasing(h, u) - h) @ k, -1.5 * h @ k, rtol=0, atol=1e-10)
    torch.testing.assert_close(delta(h, u), write(h, u) + erasing(h, u) - h, rtol=0, atol=1e-12)


def test_untied_gates_erase_and_write_by_different_amounts():
    layer = DeltaLayer(5, 1, 0, model_config("ddl", generator="constant", rewrite="untied")).double()
    torch.nn.init.zeros_(layer.gate.weight)
    with torch.no_grad():
        layer.gate.bias.copy_(torch.tensor([-30.0, 30.0]))
    torch.nn.init.ones_(layer.value.last.bias)
    h, u = torch.randn(4, 5, dtype=torch.float64), torch.zeros(4, 0, dtype=torch.float64)
    _, _, beta, beta_write = layer.generate(h, u)
    torch.testing.assert_close(
        (beta, beta_write), (torch.zeros_like(beta), 2 * torch.ones_like(beta)), rtol=0, atol=1e-9
    )
    torch.testing.assert_close(layer(h, u) - h, 2.0 * direction(layer).expand(4, 5), rtol=0, atol=1e-9)


@pytest.mark.parametrize("beta0", [0.1, 1.0, 1.9])
@pytest.mark.parametrize("gate", ["linear", "tanh", "constant", "fixed"])
def test_beta0_is_where_the_gate_starts(gate, beta0):
    torch.manual_seed(0)
    model = make_model("ddl", state_dim=3, gate=gate, beta0=beta0)
    beta = model.trace(model.lift(torch.randn(64, 3)), 0, torch.zeros(64, 0))["beta"]
    # Weights of 0.01 on a context of norm 6 or less move the logit by less than 0.1 (twice that, four deviations).
    assert (beta - beta0).abs().max() < 0.1
    assert bool((beta == beta[0, 0, 0]).all()) == (gate in ("constant", "fixed"))


CHANGES = [
    ({"generator": "mlp"}, {"generator": "branch"}),
    ({"generator": "mlp"}, {"generator": "shared"}),
    ({"generator": "mlp"}, {"generator": "constant"}),
    ({"gate": "linear"}, {"gate": "tanh"}),
    ({"gate": "linear"}, {"gate": "constant"}),
    ({"lift": "linear", "value_dim": 4}, {"channels": "repeated", "value_dim": 4}),
    ({"value": "state"}, {"value": "constant"}),
    ({"norm": False}, {"norm": True}),
    ({"value_dim": 2}, {"value_dim": 4}),
    ({"directions": 1}, {"directions": 2}),
    ({"layers": 1}, {"layers": 2}),
    ({"hidden_dim": 8}, {"hidden_dim": 9}),
    ({"latent_dim": 4}, {"latent_dim": 5}),
]


@pytest.mark.parametrize(("one", "other"), CHANGES, ids=[str(other) for _, other in CHANGES])
def test_every_switch_changes_the_layer(one, other):
    outputs, shapes = [], []
    for options in (one, other):
        torch.manual_seed(0)
        model = make_model("ddl", state_dim=3, beta0=1.0, **options)
        x = torch.linspace(-1, 1, 12).view(4, 3)
        outputs.append(model.read(model.step(model.lift(x), 0, torch.zeros(4, 0))))
        shapes.append([tuple(p.shape) for p in model.parameters()])
    assert shapes[0] != shapes[1]
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3


def test_normalised_context_does_not_see_the_amplitude():
    torch.manual_seed(0)
    u = torch.zeros(1, 0, dtype=torch.float64)
    h = torch.randn(1, 6, dtype=torch.float64)
    gates = {}
    for norm in (True, False):
        layer = DeltaLayer(3, 2, 0, model_config("ddl", norm=norm)).double()
        torch.nn.init.normal_(layer.gate.weight)
        gates[norm] = [layer.generate(c * h, u)[2].item() for c in (1.0, 5.0)]
    assert gates[True][0] == pytest.approx(gates[True][1], rel=1e-5)
    assert gates[False][0] != pytest.approx(gates[False][1], rel=1e-2)


def test_state_dependent_value_lets_a_half_open_gate_reflect():
    """With v = −3 kᵀx the gate β = 1/2 gives x − 2k kᵀx: claims about (0, 1) hold for constant v only."""
    k = torch.nn.functional.normalize(torch.randn(5, dtype=torch.float64), dim=0)
    X, half, full = torch.eye(5, dtype=torch.float64), torch.tensor(0.5), torch.tensor(2.0)
    torch.testing.assert_close(delta_update(X, k, -3 * k @ X, half), erase(X, k, full), rtol=0, atol=1e-14)


def test_contradicting_gate_options_are_refused():
    with pytest.raises(ValueError, match="strictly between 0 and gate_max"):
        model_config("ddl", gate_max=1.0, beta0=1.0)
    for options in ({"value": "constant"}, {"value_bound": 2.0}, {"value_init": "scaled"}):
        with pytest.raises(ValueError, match="nothing to say under rewrite=erase"):
            model_config("ddl", rewrite="erase", **options)
    for options in (
        {"value": "constant", "value_init": "scaled"},
        {"value_before_norm": True},
        {"value_before_norm": True, "norm": True, "generator": "shared"},
        {"norm_eps": 1e-3},
        {"direction_eps": 1e-3, "normalize_direction": False},
        {"gate": "constant", "gate_init": "scaled"},
        {"order": "simultaneous"},
    ):
        with pytest.raises(ValueError, match="no effect"):
            model_config("ddl", **options)
    for name in ("generator", "value", "gate"):
        with pytest.raises(ValueError, match=f"{name}=input needs a task with inputs"):
            make_model("ddl", state_dim=2, **{name: "input"})
    with pytest.raises(ValueError, match="beta0"):
        model_config("ddl", gate="fixed", beta0=2.5)


@pytest.mark.parametrize("gate_max", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("options", [{}, {"value": "constant"}, {"rewrite": "erase"}])
def test_every_cap_of_the_gate_is_reached_and_kept_under_every_target(gate_max, options):
    torch.manual_seed(0)
    layer = DeltaLayer(4, 1, 0, model_config("ddl", gate_max=gate_max, **options)).double()
    h, u = torch.randn(9, 4, dtype=torch.float64), torch.zeros(9, 0, dtype=torch.float64)
    for logit, expected in ((-40.0, 0.0), (40.0, gate_max)):
        torch.nn.init.zeros_(layer.gate.weight)
        torch.nn.init.constant_(layer.gate.bias, logit)
        beta = layer.generate(h, u)[2]
        torch.testing.assert_close(beta, torch.full_like(beta, expected), rtol=0, atol=1e-12)


def test_a_gate_that_is_held_at_one_projects():
    layer = layer_of(beta0=1.0)
    A = matrix(layer)
    # ε² = 1e-12 in the direction's length.
    torch.testing.assert_close(A @ A, A, rtol=0, atol=1e-11)


def test_a_token_has_a_direction_and_a_gate_of_its_own():
    """Three one-hot tokens: k, β and v follow from the token alone, whatever the state."""
    torch.manual_seed(0)
    options = {"generator": "input", "gate": "input", "value": "input"}
    layer = DeltaLayer(4, 1, 3, model_config("ddl", beta0=1.0, **options)).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.normal_()
    tokens = torch.eye(3, dtype=torch.float64)
    here, there = (layer.generate(torch.randn(3, 4, dtype=torch.float64), tokens) for _ in range(2))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a, b)
        assert all((a[i] - a[j]).abs().max() > 1e-3 for i, j in ((0, 1), (0, 2), (1, 2)))


def test_simultaneous_rewrites_add_up_to_another_operator_than_their_product():
    """I − Σ β k kᵀ against Π (I − β k kᵀ): equal for orthogonal directions, and of norm above 1 for parallel ones."""
    spectra = {}
    for order in ("successive", "simultaneous"):
        layer = layer_of(order=order, directions=2, beta0=1.5)
        with torch.no_grad():
            layer.direction.bias.copy_(torch.eye(2, 5, dtype=torch.float64).flatten())
        orthogonal = matrix(layer)
        torch.testing.assert_close(
            orthogonal, torch.diag(torch.tensor([-0.5, -0.5, 1, 1, 1], dtype=torch.float64)), rtol=0, atol=1e-11
        )
        with torch.no_grad():
            layer.direction.bias.copy_(torch.eye(1, 5, dtype=torch.float64).expand(2, 5).flatten())
        spectra[order] = torch.linalg.eigvalsh(matrix(layer))[[0, 4]].tolist()
    assert spectra["successive"] == pytest.approx([0.25, 1.0], abs=1e-11)
    assert spectra["simultaneous"] == pytest.approx([-2.0, 1.0], abs=1e-11)


@pytest.mark.parametrize("order", ["successive", "simultaneous"])
def test_the_discrepancy_of_a_rewrite_by_itself_obeys_its_law(order):
    torch.manual_seed(0)
    layer = DeltaLayer(4, 2, 0, model_config("ddl", directions=3, order=order, beta0=1.3)).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.5 * torch.randn_like(p))
    trace = layer.trace(torch.randn(7, 8, dtype=torch.float64), torch.zeros(7, 0, dtype=torch.float64))
    law = (1 - trace["beta"][..., None]) * trace["e_pre"]
    # ε² = 1e-12 in the direction's length.
    torch.testing.assert_close(trace["e_post"], law, rtol=0, atol=1e-10)
