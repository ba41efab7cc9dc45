"""Compiled free runs of controls, presets and further models: values and gradients of the eager ones."""

from __future__ import annotations

import pytest
import torch

from ddl_dyn import Replicas, make_model
from ddl_dyn.engine.cpp import toolchain

pytestmark = [
    pytest.mark.skipif(toolchain.compiler() is None, reason="no C++ compiler"),
]

D, U, B, STEPS = 2, 1, 70, 4
LATENT = {"carry": "latent"}
QUICK = [("resnet", {"branch": "bilinear", "shortcut": "affine"} | LATENT)]
CASES = [
    ("resnet", {"branch": "glu"}),
    ("resnet", {"activation": "silu"} | LATENT),
    ("resnet", {"activation": "relu"}),
    ("highway", {"signed": True}),
    ("ddl", {"preset": "first_version"}),
    ("ddl", {"preset": "july_2026"}),
    ("ddl", {"generator": "input", "gate": "input", "rewrite": "erase"} | LATENT),
    ("ddl", {"order": "simultaneous", "directions": 3} | LATENT),
    ("shplrnn", {"clipped": True, "layers": 2}),
    ("alrnn", {"lift": "identity", "relu_units": 3} | LATENT),
    ("hyper_connections", {"dynamic": False, "copies": 2} | LATENT),
]


@pytest.mark.parametrize(
    ("name", "options"),
    [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in CASES)],
    ids=[f"{name} {' '.join(map(str, options.values()))}" for name, options in (*QUICK, *CASES)],
)
def test_values_and_gradients_are_those_of_the_eager_model(name, options):
    replicas = Replicas(lambda: make_model(name, state_dim=D, input_dim=U, **options), (3, 1)).to(dtype=torch.float64)
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in replicas.parameters.values():
            p += 0.2 * torch.randn(p.shape, generator=g, dtype=p.dtype)
    shapes = ((2, B, D), (2, B, STEPS, U), (2, B, STEPS, D))
    x0, u, target = (torch.randn(shape, generator=g, dtype=torch.float64) for shape in shapes)

    def run():
        with torch.no_grad():
            states = replicas.unroll(x0, u)
        return states, *replicas.loss_and_gradient("mse", x0, u, target)

    expected = run()
    assert expected[2].abs().max() > 0
    assert replicas.compile(), replicas.why_eager
    for found, wanted in zip(run(), expected, strict=True):
        # The same float64 sums in another order, to the size of each tensor's largest number.
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11 * float(wanted.abs().max()))
