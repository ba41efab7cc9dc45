"""Lyapunov spectrum of trained stacks: 8 replicas × 64 initial states at once, beside one orbit after another.

    python benchmarks/lyapunov.py [--steps 2000] [--sample 1]

Prints seconds for the batch, seconds for the loop (extrapolated from `--sample` orbits of `--steps` steps each) and
their ratio; exits with 1 when the batch costs a minute or more.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch

from ddl_dyn.analysis import from_replicas, lyapunov_spectrum
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.models.ddl import DDL
from ddl_dyn.models.ddl_options import DDLConfig

REPLICAS, STATES, DIM, LIMIT = 8, 64, 3, 60.0


def far_from_identity() -> DDL:
    """A stack whose weights have moved as far as training moves them, so that its Jacobians are not trivial."""
    model = DDL(DIM, DDLConfig(layers=2, hidden_dim=32))
    with torch.no_grad():
        for p in model.layers.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return model


def main() -> int:
    """Run both and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--sample", type=int, default=1, help="orbits that the loop really runs")
    args = parser.parse_args()
    stack = Replicas(far_from_identity, range(REPLICAS))
    x0 = np.random.default_rng(0).normal(size=(STATES, DIM))

    start, work = time.perf_counter(), time.process_time()
    batched = lyapunov_spectrum(stack, x0, args.steps)
    batch_seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - work

    start = time.perf_counter()
    for i in range(args.sample):
        alone = lyapunov_spectrum(from_replicas(stack.model(i % REPLICAS)), x0[i], args.steps)
        difference = float(np.abs(alone.per_trajectory[0] - batched.per_trajectory[i % REPLICAS, i]).max())
    loop_seconds = (time.perf_counter() - start) / args.sample * REPLICAS * STATES

    print(f"{REPLICAS} replicas x {STATES} initial states, D = {DIM}, {args.steps} steps")
    print(f"  batch {batch_seconds:8.1f} s ({cpu_seconds:.1f} s of processor time, {torch.get_num_threads()} threads)")
    print(f"  loop  {loop_seconds:8.1f} s (from {args.sample} of {REPLICAS * STATES} orbits)")
    print(f"  ratio {loop_seconds / batch_seconds:8.1f}   largest difference of an exponent {difference:.1e}")
    # On a machine that others use, processor time says what the work costs.
    return int(min(batch_seconds, cpu_seconds) >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
