"""Resources of the kernels on a multiprocessor, from their machine code for cards that need not be there.

Triton compiles for a capability that it is told, and NVIDIA's assembler says what it made of it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

# Of a multiprocessor: registers, resident threads, and bytes of shared memory by capability.
REGISTERS, THREADS = 65536, 2048
SHARED = {80: 164 * 1024, 90: 228 * 1024, 100: 228 * 1024}


@dataclass(frozen=True)
class Resources:
    """Needs of one program of a kernel.

    Args:
        registers: of a thread.   shared: bytes.   threads: of a program.
        spilled: bytes that a thread moves out of its registers, stored and loaded.
    """

    registers: int
    shared: int
    spilled: int
    threads: int

    def resident(self, capability: int) -> int:
        """Programs on a multiprocessor at once; registers are dealt out eight at a time."""
        registers = -(-max(self.registers, 1) // 8) * 8 * self.threads
        by_shared = SHARED[capability] // (self.shared + 1024)
        return max(min(REGISTERS // registers, by_shared, THREADS // self.threads), 1)


class AbsentCard:
    """Answers what Triton asks of a driver before it compiles, for a card that is not there."""

    def __init__(self, capability: int) -> None:
        from triton.backends.compiler import GPUTarget

        self.target = GPUTarget("cuda", capability, 32)

    def get_current_device(self) -> int:
        """The only one."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """The only one."""
        del device
        return 0

    def get_current_target(self) -> Any:
        """Target of the compiler."""
        return self.target


@contextmanager
def absent_card(capability: int) -> Iterator[None]:
    """As if a card of a capability were there, to Triton; what it compiles is dropped from its memory."""
    import triton

    from ddl_dyn.engine.kernels import rollout

    before = triton.runtime.driver._active
    kernels = (rollout.forward_kernel, rollout.backward_kernel)
    triton.runtime.driver._active = AbsentCard(capability)
    for kernel in kernels:
        kernel.device_caches.clear()
    try:
        yield
    finally:
        triton.runtime.driver._active = before
        for kernel in kernels:
            kernel.device_caches.clear()


def compiled_kernels(model: Any, capability: int) -> list[Any]:
    """The forward and the backward kernel of a model, as Triton compiles them for a capability."""
    from ddl_dyn.engine.kernels import rollout
    from ddl_dyn.engine.kernels.plan import plan

    chosen, f = plan(model), torch.float32
    common = {"O": chosen.options, "TILE": rollout.TILE, "num_warps": chosen.warps, "grid": (4, 2)}
    functions = (chosen.places, chosen.layer)
    with absent_card(capability):
        return [
            rollout.forward_kernel.warmup(f, f, f, 64, 50, *functions, **common),
            rollout.backward_kernel.warmup(*[f] * 6, 64, 50, *functions, chosen.backward, **common),
        ]


def resources(kernel: Any, capability: int) -> Resources:
    """Needs of a compiled kernel.

    Raises:
        RuntimeError: when NVIDIA's assembler says something else than it used to.
    """
    from triton.backends.nvidia.compiler import get_ptxas

    # From 9.0 on Triton's code needs the features of that very architecture.
    name = f"sm_{capability}" + ("a" if capability >= 90 else "")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(kernel.asm["ptx"])
        command = [get_ptxas(capability).path, "-v", f"--gpu-name={name}", str(source), "-o", f"{folder}/kernel"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    registers = re.search(r"Used (\d+) registers", said)
    if registers is None:
        raise RuntimeError(f"the assembler did not say how many registers it uses: {said[-300:]}")
    spilled = sum(int(n) for n in re.findall(r"(\d+) bytes spill", said))
    return Resources(int(registers.group(1)), kernel.metadata.shared, spilled, 32 * kernel.metadata.num_warps)
