"""Layers of the kind that users write: compiled and equal to the ordinary path, eager with a reason, or refused."""

from __future__ import annotations

import warnings

import pytest
import torch

from ddl_dyn import Replicas
from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.engine.cpp import toolchain
from tests.helpers.user_layers import EAGER, LAYERS, REFUSED, H, U, model_of

pytestmark = [
    pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler"),
    # Torch maps some operations over replicas one by one, and says so.
    pytest.mark.filterwarnings("ignore:There is a performance drop"),
]

# A batch that fills no tile of 32 samples in float64.
R, B, STEPS = 2, 37, 3
QUICK = {"conv_circular", "attention", "topk", "straight_through", "detached"}
ACCEPTED = [name for name in LAYERS if name not in REFUSED]


def replicas_of(name, state_dim, **options):
    cls = model_of(name)
    config = ModelConfig(layers=1, **options)
    replicas = Replicas(lambda: cls(state_dim, config, input_dim=U), range(R)).to(dtype=torch.float64)
    with torch.no_grad():
        chance = torch.Generator().manual_seed(2)
        replicas.flat.add_(0.2 * torch.randn(replicas.flat.shape, generator=chance, dtype=torch.float64))
    return replicas


def outcome(replicas):
    D, chance = replicas.template.state_dim, torch.Generator().manual_seed(3)
    shapes = ((R, B, D), (R, B, STEPS, U), (R, B, STEPS, D))
    x0, inputs, target = (torch.randn(shape, generator=chance, dtype=torch.float64) for shape in shapes)
    x0.requires_grad_()
    loss = replicas.loss("mse", x0, inputs, target)
    gradients = torch.autograd.grad(loss.sum(), [x0, *replicas.parameters.values()], materialize_grads=True)
    with torch.no_grad():
        return [loss.detach(), replicas.unroll(x0.detach(), inputs), *gradients]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in ACCEPTED]
)
def test_a_layer_is_compiled_and_equal_or_eager_with_a_reason(name):
    # The state as it is, carried, so that kinks at zero are met; and lifted anew at each step.
    for state_dim, options in ((H, {"lift": "identity", "carry": "latent"}), (2, {"carry": "observed"})):
        replicas = replicas_of(name, state_dim, **options)
        expected = outcome(replicas)
        with warnings.catch_warnings():
            # What is found wrong is said, what cannot be compiled is not.
            warnings.simplefilter("ignore" if name == "straight_through" else "error", RuntimeWarning)
            compiled = replicas.compile()
        assert compiled == (name not in EAGER), replicas.why_eager
        assert EAGER.get(name, "") in replicas.why_eager
        largest = max(float(t.abs().max()) for t in expected)
        for a, b in zip(outcome(replicas), expected, strict=True):
            # Rounding in float64; torch's gradient of the hard sigmoid holds a sixth in float32.
            rtol = 1e-7 if name == "hardsigmoid" else 1e-10
            torch.testing.assert_close(a, b, rtol=0, atol=rtol * max(float(b.abs().max()), 1e-3 * largest))


def test_the_table_names_layers_and_most_of_them_compile():
    assert EAGER.keys() | REFUSED.keys() < LAYERS.keys()
    assert len(LAYERS) - len(EAGER) - len(REFUSED) >= 50


def test_code_that_is_found_wrong_runs_eagerly_and_says_so_each_time(tmp_path, monkeypatch):
    monkeypatch.setenv("DDL_DYN_CACHE", str(tmp_path))
    for _ in range(2):
        replicas = replicas_of("straight_through", 2)
        with pytest.warns(RuntimeWarning, match="away from the ordinary path's"):
            assert not replicas.compile()
    # Found once: the verdict lies beside the library.
    (verdict,) = tmp_path.glob("*.txt")
    assert "gradient" in verdict.read_text()
    # Negative control: what the library is trusted for is read from there.
    verdict.write_text("")
    assert replicas.compile()
