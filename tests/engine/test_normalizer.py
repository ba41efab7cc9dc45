"""Normalisation: statistics, inverse, and what isotropic scaling preserves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Normalizer


def states(seed=0):
    g = np.random.default_rng(seed)
    return g.standard_normal((6, 11, 3)) * [1.0, 10.0, 0.1] + [5.0, -2.0, 0.0]


def test_component_mode_centres_and_scales_each():
    z = Normalizer.fit(states(), "component").normalize(states()).reshape(-1, 3)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-13)
    np.testing.assert_allclose(z.std(0), 1, rtol=1e-13)


def test_isotropic_mode_keeps_directions():
    n = Normalizer.fit(states(), "isotropic")
    assert len(set(n.scale)) == 1
    # Numbers from the textbook definition: the root mean square of the three deviations.
    expected = np.sqrt(np.mean(states().reshape(-1, 3).var(axis=0)))
    assert n.scale[0] == pytest.approx(expected, rel=1e-14)


def test_none_is_the_identity():
    n = Normalizer.fit(states(), "none")
    np.testing.assert_array_equal(n.normalize(states()), states())


@pytest.mark.parametrize("mode", ["component", "isotropic", "none"])
def test_denormalize_undoes_normalize_in_numpy_and_torch(mode):
    n, x = Normalizer.fit(states(), mode), states(1)
    np.testing.assert_allclose(n.denormalize(n.normalize(x)), x, rtol=1e-13)
    t = torch.as_tensor(x)
    torch.testing.assert_close(n.denormalize(n.normalize(t)), t, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(n.normalize(t), torch.as_tensor(n.normalize(x)), rtol=1e-13, atol=1e-13)


def test_constant_component_is_left_alone():
    x = states()
    x[..., 1] = 3.0
    n = Normalizer.fit(x, "component")
    assert n.scale[1] == 1.0
    assert np.isfinite(n.normalize(x)).all()


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="component, isotropic or none"):
        Normalizer.fit(states(), "zscore")  # type: ignore[arg-type]
