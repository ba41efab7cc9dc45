"""Per-sample adaptive stepping: torchode, in which every sample of every replica has steps of its own.

Axes: R replicas, B batch, T steps, D state, S hidden state.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torchode
from torch import Tensor

from benchmarks.throughput.problem import ATOL, CLIP, LEARNING_RATE, RTOL, WEIGHT_DECAY, Data, Problem

Array = np.ndarray


class Torchode:
    """R neural ODEs whose fields are batched products, solved as R·B problems at once.

    Args:
        problem: sizes.   data: weights and trajectories.
    """

    def __init__(self, problem: Problem, data: Data) -> None:
        torch.set_num_threads(problem.threads)
        self.problem, self.data = problem, data
        self.per_update = problem.replicas
        self.like = {"dtype": getattr(torch, problem.dtype), "device": problem.device}
        self.weights = {name: torch.as_tensor(a, **self.like).requires_grad_() for name, a in data.weights.items()}
        self.states = torch.as_tensor(data.states, **self.like)
        term = torchode.ODETerm(self.field)
        # Steps are chosen, not differentiated, as in the other contestants.
        self.solver = torchode.AutoDiffAdjoint(
            torchode.Dopri5(term=term),
            torchode.IntegralController(ATOL, RTOL, term=term),
            backprop_through_step_size_control=False,
        )
        self.times = torch.arange(problem.steps + 1, **self.like).expand(problem.replicas * problem.batch, -1)

    def field(self, t: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002
        """ẋ = W₂ tanh(W₁ x), (R·B, D) -> (R·B, D)."""
        w = self.weights
        h = x.view(self.problem.replicas, -1, x.shape[-1])
        h = torch.tanh(torch.baddbmm(w["hidden.bias"][:, None], h, w["hidden.weight"].mT))
        return torch.baddbmm(w["last.bias"][:, None], h, w["last.weight"].mT).flatten(0, 1)

    def loss(self, x0: Tensor, target: Tensor) -> Tensor:
        """Mean squared error (R,) for x0 (R, B, D) and target (R, B, T, D)."""
        solved = self.solver.solve(torchode.InitialValueProblem(y0=x0.flatten(0, 1), t_eval=self.times))
        return (solved.ys[:, 1:].view_as(target) - target).square().mean((1, 2, 3))

    def gradients(self) -> tuple[Array, dict[str, Array]]:
        """Loss (R,) and gradients on the windows that all share."""
        loss = self.loss(torch.as_tensor(self.data.x0, **self.like), torch.as_tensor(self.data.target, **self.like))
        grads = torch.autograd.grad(loss.sum(), list(self.weights.values()))
        return loss.detach().cpu().numpy(), {n: g.cpu().numpy() for n, g in zip(self.weights, grads, strict=True)}

    def train(self, after_update: Callable[[], None]) -> None:
        """Train until `after_update` raises."""
        weights = list(self.weights.values())
        optimiser = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        steps, device = self.problem.steps, self.states.device
        offsets = torch.arange(steps + 1, device=device)
        n, length = self.states.shape[:2]
        while True:
            which = torch.randint(n, (self.problem.replicas, self.problem.batch, 1), device=device)
            start = torch.randint(length - steps, which.shape, device=device)
            window = self.states[which, start + offsets]
            optimiser.zero_grad()
            self.loss(window[:, :, 0], window[:, :, 1:]).sum().backward()
            norm = torch.stack([w.grad.square().flatten(1).sum(1) for w in weights]).sum(0).sqrt()
            factor = (CLIP / norm.clamp(min=1e-12)).clamp(max=1.0)
            for w in weights:
                w.grad.mul_(factor.view(-1, *[1] * (w.ndim - 1)))
            optimiser.step()
            after_update()

    def wait(self) -> None:
        """Until the device has finished."""
        if self.problem.device == "cuda":
            torch.cuda.synchronize()
