"""An update as one CUDA graph: hundreds of launches become one, and the host waits for nothing.

Written for CUDA devices and checked there by tests that other machines skip, and on a pretended card by all; it has not
been run on a real one yet.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Real updates made eagerly before a capture, so that libraries have set themselves up and caches are filled.
WARM_UP = 3


class GraphedUpdate:
    """Replays an update that was recorded once for each horizon.

    Args:
        update: (uniform random numbers, horizon) -> None; works in place on tensors that stay where they are, and never
            looks at a number.
        example: the random numbers of one update, on a CUDA device.
        model: whose evaluations of a vector field (`nfe`) a replay, which runs no Python, counts as well.
    """

    def __init__(self, update: Callable[[Tensor, int], None], example: Tensor, model: object = None) -> None:
        self._update, self._given, self._model = update, torch.empty_like(example), model
        self._evaluations: dict[int, int] = {}
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._made: dict[int, int] = {}
        self._stream = torch.cuda.Stream(example.device)

    def __call__(self, uniform: Tensor, horizon: int) -> None:
        """One update, eager for the first few of a horizon."""
        self._given.copy_(uniform, non_blocking=True)
        made = self._made[horizon] = self._made.get(horizon, 0) + 1
        if made <= WARM_UP:
            # On the stream of the capture, as CUDA wants it.
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                self._update(self._given, horizon)
            torch.cuda.current_stream().wait_stream(self._stream)
            return
        if horizon in self._graphs:
            if each := self._evaluations[horizon]:
                vars(self._model)["nfe"] += each
        else:
            before = getattr(self._model, "nfe", 0)
            graph = torch.cuda.CUDAGraph()
            # Recording executes nothing: the replay below makes the update.
            with torch.cuda.graph(graph, stream=self._stream):
                self._update(self._given, horizon)
            self._graphs[horizon] = graph
            self._evaluations[horizon] = getattr(self._model, "nfe", 0) - before
        self._graphs[horizon].replay()
