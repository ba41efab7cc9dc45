"""Trained maps as machine code: the same values, Jacobians and exponents as torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Normalizer, Replicas, make_model
from ddl_dyn.analysis import from_replicas, lyapunov_spectrum
from ddl_dyn.analysis.maps import CALLS_TO_COMPILE
from ddl_dyn.engine.cpp.toolchain import compiler

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="no C++ compiler"),
]


def scrambled(name, **options):
    def build():
        model = make_model(name, state_dim=2, **options)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.2 * torch.randn_like(p))
        return model

    return Replicas(build, [0, 1, 2])


WAYS = [
    ("ddl", {"carry": "observed"}),
    ("ddl", {"carry": "latent", "reencode": 0.1, "input_dim": 1}),
    ("resnet", {"lift": "identity", "carry": "latent"}),
]


@pytest.mark.parametrize(("name", "options"), WAYS, ids=str)
@pytest.mark.parametrize("alone", [False, True], ids=["replicas", "model"])
def test_machine_code_is_the_map(name, options, alone):
    replicas = scrambled(name, **options)
    each = [Normalizer(np.array([1.0, -2.0]) + r, np.array([2.0, 0.5 + r])) for r in range(3)]
    normalizer = each[1] if alone else Normalizer.of_replicas(each)
    inputs = [0.3] * options.get("input_dim", 0)
    phi = from_replicas(replicas.model(1) if alone else replicas, normalizer=normalizer, inputs=inputs)
    fast = phi.for_calls(CALLS_TO_COMPILE)
    assert fast is not phi
    x = phi.states(torch.randn(5, phi.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    for found, expected in zip(fast.step_and_jacobian(x), phi.step_and_jacobian(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(fast.step(x), phi.step(x), rtol=1e-12, atol=1e-12)


def test_a_spectrum_by_machine_code_is_torchs(monkeypatch):
    replicas, x0 = scrambled("ddl", lift="identity"), np.random.default_rng(0).normal(size=(4, 2))
    expected = lyapunov_spectrum(replicas, x0, 40)
    monkeypatch.setattr("ddl_dyn.analysis.maps.CALLS_TO_COMPILE", 0)
    found = lyapunov_spectrum(replicas, x0, 40)
    np.testing.assert_allclose(found.per_trajectory, expected.per_trajectory, rtol=0, atol=1e-10)


def test_few_calls_and_what_cannot_be_written_out_stay_torchs():
    phi = from_replicas(scrambled("resnet"))
    assert phi.for_calls(CALLS_TO_COMPILE - 1) is phi
    adaptive = from_replicas(make_model("neural_ode", state_dim=2, solver="dopri5"))
    assert adaptive.for_calls(CALLS_TO_COMPILE) is adaptive
