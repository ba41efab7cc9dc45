"""A CUDA device that is not there: its tensors hold their numbers on the processor and obey a card's rules.

    with pretend_card(monkeypatch) as card:
        replicas.to("cuda")

Every tensor operation passes through `Card`, which raises where a card would: operands on two devices, and, while a
CUDA graph is recorded, whatever makes the host wait or moves data. Elsewhere it counts them, with the line that asked.
A graph is what CUDA makes of it: recording executes nothing that lasts, and a replay runs the recorded operations again
on the tensors where they lay, with the numbers that the host had then.

The numbers are the processor's own, bit for bit: whatever differs from a run on the processor was done wrongly.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

aten = torch.ops.aten
CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
# What torch itself takes the card for: a build without CUDA runs autograd on no tensor that says it lies on one.
HIDDEN = torch.device("meta", 0)
# Operations that take indices from the processor, at the price of a transfer.
INDEXED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._unsafe_index.Tensor}
# Those whose result's size, whose Python number, or whose error depends on numbers: the host waits for them.
WAITING = {
    *("_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "_unique2", "unique_dim", "bincount"),
    *("_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "_linalg_eigvals", "linalg_eig", "linalg_lstsq"),
}


class CardTensor(Tensor):
    """A tensor that says it lies on a card; `host` holds its numbers."""

    host: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, host: Tensor) -> CardTensor:
        like = {"dtype": host.dtype, "layout": host.layout, "device": HIDDEN}
        place = {"strides": host.stride(), "storage_offset": host.storage_offset()}
        made = Tensor._make_wrapper_subclass(cls, host.size(), **place, **like)
        made.host = host
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """The card."""
        return CUDA

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """True."""
        return True

    def __repr__(self) -> str:
        return f"CardTensor({self.host})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} on a tensor of the pretended card after its end")


class Graph:
    """Stand-in of `torch.cuda.CUDAGraph`: operations on memory that stays where it is."""

    made: ClassVar[list[Graph]] = []

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.replays = 0
        Graph.made.append(self)

    def keep(self, func: Any, args: Any, kwargs: Any) -> None:
        """Remember what memory held that an operation writes to: recording executes nothing."""
        if func._schema.is_mutable:
            for t in tree_leaves((args, kwargs)):
                if isinstance(t, Tensor):
                    self.before.setdefault(t.data_ptr(), (t, t.clone()))

    def record(self, func: Any, args: Any, kwargs: Any, found: Any) -> None:
        """Keep one operation and the memory of its results."""
        views = any(a.alias_info is not None for a in func._schema.returns)
        results = [] if views else [t for t in tree_leaves(found) if isinstance(t, Tensor)]
        self.calls.append((func, args, kwargs, results))

    def end(self) -> None:
        """Put back what recording has changed."""
        for t, kept in reversed(self.before.values()):
            t.copy_(kept)

    def replay(self) -> None:
        """Run all operations again, on the memory of the recording."""
        self.replays += 1
        with torch.no_grad(), torch._C._DisableTorchDispatch():
            for func, args, kwargs, results in self.calls:
                found = [t for t in tree_leaves(func(*args, **kwargs)) if isinstance(t, Tensor)]
                for old, new in zip(results, found, strict=False):
                    old.copy_(new)


class Card(TorchDispatchMode):
    """Rules of the card, applied to every operation.

    `waits`: what made the host wait or moved data, with the place that asked -> how often.
    `graph`: the recording that is open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.graph: Graph | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        on_card, wanted = any(isinstance(t, CardTensor) for t in tensors), kwargs.get("device")
        to_card = on_card if wanted is None else torch.device(wanted) in (CUDA, HIDDEN, torch.device("cuda"))
        if func is aten.copy_.default:
            to_card = isinstance(args[0], CardTensor)
        if not (on_card or to_card):
            return func(*args, **kwargs)
        self.check(func, args, tensors, to_card)
        bare, named = tree_map_only(CardTensor, lambda t: t.host, (args, kwargs))
        if wanted is not None:
            named["device"] = CPU
        if self.graph is not None:
            self.graph.keep(func, bare, named)
        found = func(*bare, **named)
        if self.graph is not None:
            self.graph.record(func, bare, named, found)
        if func is aten.copy_.default:
            return args[0]
        if not to_card:
            return found
        wrapped = tree_map(lambda t: CardTensor(t) if isinstance(t, Tensor) else t, found)
        return return_and_correct_aliasing(func, args, kwargs, wrapped) if on_card else wrapped

    def check(self, func: Any, args: Any, tensors: list[Tensor], to_card: bool) -> None:
        """Raise where a card would, and count what makes the host wait.

        Args:
            func: the operation.   args: its positional arguments.   tensors: all that it reads.
            to_card: whether the result lies on the card.
        """
        host = [t for t in tensors if not isinstance(t, CardTensor)]
        if func in (aten._to_copy.default, aten.copy_.default):
            # What lies in pinned memory crosses while the host goes on.
            if to_card is not isinstance(tensors[-1], CardTensor) and not hasattr(tensors[-1], "pinned"):
                self.wait(f"{func._schema.name} between card and processor")
            return
        if func in INDEXED and host and isinstance(args[0], CardTensor):
            self.wait(f"{func._schema.name} by indices of the processor's")
        # A number of the host's is an argument of the launch.
        elif any(t.ndim for t in host) or (host and host[0] is args[0] and func._schema.is_mutable):
            shapes = [("card" if isinstance(t, CardTensor) else "cpu", tuple(t.shape)) for t in tensors]
            raise RuntimeError(f"Expected all tensors to be on the same device: {func} of {shapes}")
        masks = func in INDEXED and any(t is not None and t.dtype in (torch.bool, torch.uint8) for t in args[1])
        if masks or func._schema.name.removeprefix("aten::") in WAITING:
            self.wait(func._schema.name)

    def wait(self, what: str) -> None:
        """Count a wait of the host, or raise while a graph is recorded."""
        if self.graph is not None:
            raise RuntimeError(f"operation not permitted when stream is capturing: {what}")
        frames = [f for f in traceback.extract_stack() if "/ddl_dyn/" in f.filename]
        where = f"{frames[-1].filename.rpartition('/')[2]}: {frames[-1].name}" if frames else "the test"
        self.waits[f"{where}: {what}"] += 1


class Names(TorchFunctionMode):
    """Lets calls name the card, which torch's own parsing of arguments would look for."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map(lambda a: HIDDEN if _names_card(a) else a, (args, dict(kwargs or {})))
        if func is Tensor.pin_memory:
            pinned = args[0].clone()
            pinned.pinned = True
            return pinned
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == HIDDEN:
            # Read where the numbers are, and sent.
            return func(*args, **{**kwargs, "device": None}).to(HIDDEN)
        if args and isinstance(args[0], CardTensor):
            if func is Tensor.new_tensor:
                return torch.tensor(*args[1:], **{"dtype": args[0].dtype, **kwargs}).to(HIDDEN)
            if func is Tensor.__deepcopy__:
                with torch.no_grad():
                    again = args[0].clone()
                again._is_param = isinstance(args[0], torch.nn.Parameter)
                return args[1].setdefault(id(args[0]), again.requires_grad_(args[0].requires_grad))
            if func is Tensor.tolist:
                return args[0].cpu().tolist()
            if func in (Tensor.numpy, Tensor.__array__):
                raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        return func(*args, **kwargs)


def _names_card(a: Any) -> bool:
    return (isinstance(a, torch.device) and a.type == "cuda") or (isinstance(a, str) and a.partition(":")[0] == "cuda")


class Stream:
    """A stream that is always done."""

    def __init__(self, device: object = None) -> None:
        del device

    def wait_stream(self, other: Stream) -> None:
        """Nothing is to be waited for."""
        del other


@contextlib.contextmanager
def pretend_card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    """As if torch had found one card."""
    from ddl_dyn.engine.kernels import support

    card = Card()

    @contextlib.contextmanager
    def recording(graph: Graph, stream: Stream) -> Iterator[None]:
        del stream
        card.graph = graph
        try:
            yield
        finally:
            card.graph = None
            with torch._C._DisableTorchDispatch():
                graph.end()

    answers = {"is_available": True, "get_device_name": "a pretended card", "memory_allocated": 0}
    answers |= {"max_memory_allocated": 1, "current_stream": Stream()}
    # Autograd's own calls of Python pass `Names` by.
    answers |= dict.fromkeys(("synchronize", "reset_peak_memory_stats", "_lazy_init"))
    with monkeypatch.context() as patch:
        for name, answer in answers.items():
            patch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
        for name, stands in {"Stream": Stream, "CUDAGraph": Graph, "graph": recording}.items():
            patch.setattr(torch.cuda, name, stands)
        patch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
        # Kernels are for a card that is there.
        patch.setattr(support, "_installed", lambda: False)
        Graph.made.clear()
        with card, Names():
            yield card
