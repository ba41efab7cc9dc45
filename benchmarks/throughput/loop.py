"""Contestant (b): the plain loop that a user would write. One `nn.Module` a seed, eager, one seed after the other.

Written from the equations and independent of the suite's models. Axes: B batch, T steps, D state, S hidden state.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from benchmarks.throughput.problem import ATOL, CLIP, LEARNING_RATE, RTOL, WEIGHT_DECAY, Data, Problem

Array = np.ndarray
# Replicas whose gradients are compared; each takes as long as a whole update of one seed.
CHECKED = 4


class Free(nn.Module):
    """A free run of `step` from x0 (B, D): (B, T, D)."""

    def forward(self, x: Tensor, steps: int) -> Tensor:
        out = []
        for _ in range(steps):
            x = self.step(x)
            out.append(x)
        return torch.stack(out, dim=1)

    def step(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class Delta(Free):
    """X⁺ = X + β k (vᵀ − kᵀX)."""

    def __init__(self, dim: int, hidden: int, columns: int = 2) -> None:
        super().__init__()
        self.rows, self.columns = dim // columns, columns
        self.encode, self.direction = nn.Linear(dim, hidden), nn.Linear(hidden, self.rows)
        self.value, self.gate = nn.Linear(hidden, columns), nn.Linear(hidden, 1)

    def step(self, x: Tensor) -> Tensor:
        context = torch.tanh(self.encode(x))
        k = self.direction(context)
        k = k / torch.sqrt((k * k).sum(-1, keepdim=True) + 1e-12)
        beta = 2 * torch.sigmoid(self.gate(context))
        X = x.view(-1, self.rows, self.columns)
        missing = self.value(context) - (k.unsqueeze(-1) * X).sum(1)
        return (X + (beta * k).unsqueeze(-1) * missing.unsqueeze(1)).reshape(x.shape)


class Residual(Free):
    """h⁺ = h + W₂ tanh(W₁ h)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def step(self, x: Tensor) -> Tensor:
        return x + self.last(torch.tanh(self.hidden(x)))


class Gated(Free):
    """h⁺ = (1 − T) h + T F(h)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.hidden, self.last, self.gate = nn.Linear(dim, hidden), nn.Linear(hidden, dim), nn.Linear(dim, dim)

    def step(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return (1 - gate) * x + gate * self.last(torch.tanh(self.hidden(x)))


class Memory(nn.Module):
    """c⁺ = f c + i tanh(a), s⁺ = o tanh(c⁺), h⁺ = h + W s⁺."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.initial = nn.Linear(dim, 2 * hidden)
        self.gates, self.output = nn.Linear(dim + hidden, 4 * hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor, steps: int) -> Tensor:
        s, c = torch.tanh(self.initial(x)).chunk(2, -1)
        out = []
        for _ in range(steps):
            i, f, o, a = self.gates(torch.cat((x, s), -1)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(a)
            s = torch.sigmoid(o) * torch.tanh(c)
            x = x + self.output(s)
            out.append(x)
        return torch.stack(out, dim=1)


class Flow(nn.Module):
    """ḣ = W₂ tanh(W₁ h), one call of torchdiffeq for the whole free run."""

    def __init__(self, dim: int, hidden: int, *, adaptive: bool) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.adaptive, self.evaluations = adaptive, 0

    def field(self, t: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002
        self.evaluations += 1
        return self.last(torch.tanh(self.hidden(x)))

    def forward(self, x: Tensor, steps: int) -> Tensor:
        times = torch.arange(steps + 1, dtype=x.dtype, device=x.device)
        if self.adaptive:
            states = odeint(self.field, x, times, rtol=RTOL, atol=ATOL, method="dopri5")
        else:
            states = odeint(self.field, x, times, method="rk4")
        return states[1:].transpose(0, 1)


def module(problem: Problem) -> nn.Module:
    """One seed's model."""
    if problem.key == "neural_ode":
        return Flow(problem.dim, problem.hidden, adaptive=problem.adaptive)
    cls = {"ddl": Delta, "resnet": Residual, "highway": Gated, "lstm": Memory}[problem.key]
    return cls(problem.dim, problem.hidden)


class Loop:
    """R modules, each with its own optimiser.

    Args:
        problem: sizes.   data: weights and trajectories.
    """

    per_update = 1

    def __init__(self, problem: Problem, data: Data) -> None:
        torch.set_num_threads(problem.threads)
        self.problem, self.data = problem, data
        dtype = getattr(torch, problem.dtype)
        self.models = []
        for r in range(problem.replicas):
            model = module(problem).to(device=problem.device, dtype=dtype)
            model.load_state_dict({name: torch.as_tensor(a) for name, a in data.one(r).items()})
            self.models.append(model)
        self.states = torch.as_tensor(data.states, dtype=dtype, device=problem.device)

    def gradients(self) -> tuple[Array, dict[str, Array]]:
        """Loss and gradients of the first replicas on the windows that all share."""
        losses, rows = [], []
        for model, x0, target in zip(self.models[:CHECKED], self.data.x0, self.data.target, strict=False):
            target = torch.as_tensor(target).to(self.states)
            loss = (model(torch.as_tensor(x0).to(self.states), self.problem.steps) - target).square().mean()
            losses.append(loss.item())
            rows.append(torch.autograd.grad(loss, list(model.parameters())))
        names = [name for name, _ in self.models[0].named_parameters()]
        return np.array(losses), {
            name: torch.stack([row[i] for row in rows]).cpu().numpy() for i, name in enumerate(names)
        }

    def train(self, after_update: Callable[[], None]) -> None:
        """Train until `after_update` raises, which is called after each seed's update."""
        optimisers = [
            torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY) for model in self.models
        ]
        offsets = torch.arange(self.problem.steps + 1, device=self.states.device)
        n, length = self.states.shape[:2]
        while True:
            for model, optimiser in zip(self.models, optimisers, strict=True):
                which = torch.randint(n, (self.problem.batch, 1), device=self.states.device)
                start = torch.randint(length - self.problem.steps, which.shape, device=self.states.device)
                window = self.states[which, start + offsets]
                loss = (model(window[:, 0], self.problem.steps) - window[:, 1:]).square().mean()
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), CLIP)
                optimiser.step()
                after_update()

    def wait(self) -> None:
        """Until the device has finished."""
        if self.problem.device == "cuda":
            torch.cuda.synchronize()
