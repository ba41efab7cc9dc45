"""The optimiser of stacked replicas against torch's own."""

from __future__ import annotations

import pytest
import torch

from ddl_dyn.training.adamw import AdamW


@pytest.mark.parametrize("factors", [None, (1.0, 0.1, 3.0)])
def test_it_is_torchs_with_a_learning_rate_for_each_replica(factors):
    g = torch.Generator().manual_seed(0)
    start = torch.randn(3, 7, generator=g, dtype=torch.float64)
    gradients = torch.randn(20, 3, 7, generator=g, dtype=torch.float64)
    rates = [0.1 / (1 + i) for i in range(20)]
    flat = start.clone()
    ours = AdamW(flat, 0.05, factors)
    for lr, gradient in zip(rates, gradients, strict=True):
        ours.prepare(lr)
        ours.apply(gradient)
    for r, factor in enumerate(factors or (1.0, 1.0, 1.0)):
        row = start[r].clone().requires_grad_()
        theirs = torch.optim.AdamW([row], weight_decay=0.05)
        for lr, gradient in zip(rates, gradients, strict=True):
            theirs.param_groups[0]["lr"] = lr * factor
            row.grad = gradient[r]
            theirs.step()
        # The same arithmetic in another order.
        torch.testing.assert_close(flat[r], row.detach(), rtol=1e-12, atol=1e-14)


def test_it_continues_where_it_was_taken():
    g = torch.Generator().manual_seed(1)
    flat = torch.randn(2, 5, generator=g)
    gradients = torch.randn(6, 2, 5, generator=g)
    one, two = flat.clone(), flat.clone()
    whole, first = AdamW(one, 0.01), AdamW(two, 0.01)
    for i, gradient in enumerate(gradients):
        whole.prepare(0.1)
        whole.apply(gradient)
        if i == 2:
            second = AdamW(two, 0.01)
            second.load_state_dict(first.state_dict())
            first = second
        first.prepare(0.1)
        first.apply(gradient)
    assert torch.equal(one, two)
