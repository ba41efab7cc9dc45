"""The optimiser of stacked replicas against torch's own."""

from __future__ import annotations

import pytest
import torch

from ddl_dyn.training.adamw import AdamW


@pytest.mark.parametrize("rates", [(0.1,), (0.1, 0.01, 0.3)])
def test_it_is_torchs_with_a_learning_rate_for_each_replica(rates):
    g = torch.Generator().manual_seed(0)
    start = torch.randn(3, 7, generator=g, dtype=torch.float64)
    gradients = torch.randn(20, 3, 7, generator=g, dtype=torch.float64)
    shape = [1 / (1 + i) for i in range(20)]
    flat = start.clone()
    ours = AdamW(flat, 0.05, rates)
    for share, gradient in zip(shape, gradients, strict=True):
        ours.prepare(share)
        ours.apply(gradient)
    for r, rate in enumerate(rates if len(rates) == 3 else 3 * rates):
        row = start[r].clone().requires_grad_()
        theirs = torch.optim.AdamW([row], weight_decay=0.05)
        for share, gradient in zip(shape, gradients, strict=True):
            theirs.param_groups[0]["lr"] = rate * share
            row.grad = gradient[r]
            theirs.step()
        # The same arithmetic in another order.
        torch.testing.assert_close(flat[r], row.detach(), rtol=1e-12, atol=1e-14)


def test_a_replicas_rate_is_that_of_a_run_of_its_own():
    g = torch.Generator().manual_seed(2)
    start, gradients = torch.randn(3, 5, generator=g), torch.randn(9, 3, 5, generator=g)
    together, alone = start.clone(), start[1:2].clone()
    many, one = AdamW(together, 0.01, (1e-4, 3e-4, 1e-3)), AdamW(alone, 0.01, (3e-4,))
    for i, gradient in enumerate(gradients):
        many.prepare(0.3 + 0.05 * i)
        many.apply(gradient)
        one.prepare(0.3 + 0.05 * i)
        one.apply(gradient[1:2])
    assert torch.equal(together[1:2], alone)


def test_it_continues_where_it_was_taken():
    g = torch.Generator().manual_seed(1)
    flat = torch.randn(2, 5, generator=g)
    gradients = torch.randn(6, 2, 5, generator=g)
    one, two = flat.clone(), flat.clone()
    whole, first = AdamW(one, 0.01, [0.1]), AdamW(two, 0.01, [0.1])
    for i, gradient in enumerate(gradients):
        whole.prepare(1.0)
        whole.apply(gradient)
        if i == 2:
            second = AdamW(two, 0.01, [0.1])
            second.load_state_dict(first.state_dict())
            first = second
        first.prepare(1.0)
        first.apply(gradient)
    assert torch.equal(one, two)
