"""The device that a run computes on."""

from __future__ import annotations


def choose_device(wanted: str) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU where there is one.

    Raises:
        ValueError: when a GPU is asked for and there is none.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("train.device=cuda, but torch finds no CUDA device; use train.device=cpu or auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """The device in words, e.g. `cuda (NVIDIA H200)`."""
    import torch

    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
