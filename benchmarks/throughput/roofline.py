"""Roofline (d): the matrix products of one update and nothing else, as batched products (`torch.bmm`).

Forward Y = X W and backward ∂X = ∂Y Wᵀ once a step, one after the other, as the recurrence forces; the weights'
gradients ∂W = Xᵀ∂Y gathered over all steps into one product, the cheapest way there is. Products that share their input
are one wider product. Axes: R replicas, B batch, A applications of the layer, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.throughput.loop import Flow, module
from benchmarks.throughput.problem import Data, Problem

# Field evaluations in a step of the 3/8 rule.
STAGES = 4


def products(problem: Problem) -> list[tuple[int, int]]:
    """(I, O) of the products in one application of the layer."""
    d, s = problem.dim, problem.hidden
    return {
        "ddl": [(d, s), (s, d // 2 + 2 + 1)],
        "resnet": [(d, s), (s, d)],
        "highway": [(d, s + d), (s, d)],
        "lstm": [(d + s, 4 * s), (s, d)],
        "neural_ode": [(d, s), (s, d)],
    }[problem.key]


def applications(problem: Problem, data: Data) -> int:
    """Applications of the layer in a free run; an adaptive solver's evaluations are counted on the data."""
    if problem.key != "neural_ode":
        return problem.steps
    if not problem.adaptive:
        return STAGES * problem.steps
    model = module(problem)
    assert isinstance(model, Flow)
    model.load_state_dict({name: torch.as_tensor(a) for name, a in data.one(0).items()})
    with torch.no_grad():
        model.to(getattr(torch, problem.dtype))(torch.as_tensor(data.x0[0]), problem.steps)
    return model.evaluations


class Roofline:
    """The products of R replicas' update.

    Args:
        problem: sizes.   data: weights and trajectories, from which an adaptive solver's work is counted.
    """

    def __init__(self, problem: Problem, data: Data) -> None:
        torch.set_num_threads(problem.threads)
        self.problem = problem
        self.per_update = problem.replicas
        self.applications = applications(problem, data)
        self.weights: list[Tensor] = []
        self.inputs: list[Tensor] = []
        self.errors: list[Tensor] = []
        like = {"dtype": getattr(torch, problem.dtype), "device": problem.device}
        rows = (problem.replicas, self.applications, problem.batch)
        for i, o in products(problem):
            self.weights.append(torch.randn(problem.replicas, i, o, **like))
            self.inputs.append(torch.randn(*rows, i, **like))
            self.errors.append(torch.randn(*rows, o, **like))

    def train(self, after_update: Callable[[], None]) -> None:
        """Multiply until `after_update` raises."""
        layers = list(zip(self.weights, self.inputs, self.errors, strict=True))
        while True:
            for a in range(self.applications):
                for weight, inputs, _ in layers:
                    torch.bmm(inputs[:, a], weight)
            for a in range(self.applications):
                for weight, _, errors in layers:
                    torch.bmm(errors[:, a], weight.mT)
            for _, inputs, errors in layers:
                torch.bmm(inputs.flatten(1, 2).mT, errors.flatten(1, 2))
            after_update()

    def wait(self) -> None:
        """Until the device has finished."""
        if self.problem.device == "cuda":
            torch.cuda.synchronize()
