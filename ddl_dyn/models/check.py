"""Check of a model's options before a run starts."""

from __future__ import annotations

import functools
import json
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ddl_dyn.models import make_model


@functools.lru_cache(maxsize=10_000)
def complaints(_: type, name: str, options: str, shape: tuple[int, int, float]) -> tuple[str, ...]:
    """Errors of building a model, a line each; cached, since a sweep's cells differ mostly in other things.

    Args:
        _: the model's class, as part of the cache's key: a user's file that has changed gives another one.
        name: as `make_model` takes it.   options: as JSON.   shape: state_dim, input_dim, dt.
    """
    state_dim, input_dim, dt = shape
    try:
        # On "meta" a model is built without its numbers, so even a very large one costs nothing.
        with torch.random.fork_rng(devices=[]), torch.device("meta"), Unfilled():
            make_model(name, state_dim=state_dim, input_dim=input_dim, dt=dt, **json.loads(options))
    except ValueError as error:
        return tuple(str(error).splitlines())
    return ()


class Unfilled(TorchFunctionMode):
    """Within it the functions of `torch.nn.init` leave a tensor as it is.

    Filling one on "meta" would load torch's compiler, which takes longer than all the rest of a start.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == nn.init.__name__ and func.__name__.endswith("_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
