"""Largest Lyapunov exponents of systems of dysts drawn at random: ours, by two ways, beside the two that it stores.

Run: python benchmarks/dysts_exponents.py [--systems 20] [--seed 0] [--names Chen,Duffing]

Each system is trained on for a few updates, so that a run on it is known to end, and its exponent is averaged along 16
orbits over 30 periods: by the tangent QR of `lyapunov_spectrum`, and by the divergence of two orbits that are brought
together again after every step, which knows no tangents. Where these agree with each other and not with what is stored,
what is stored is off: dysts keeps the divergence of single orbits (`maximum`) and a spectrum from one short run (`QR`),
both without errors. It needs the extra `dysts`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from ddl_dyn import lyapunov_spectrum
from ddl_dyn.experiments.execute import Callbacks, execute
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.tasks import make_task
from ddl_dyn.tasks.contract import check_task
from ddl_dyn.tasks.flows.dysts import Dysts
from ddl_dyn.tasks.flows.dysts_systems import find_system, stored_facts
from ddl_dyn.tasks.integrators import integrate

# Steps a period, periods averaged over, orbits.
_STEPS, _PERIODS, _ORBITS = 10, 30, 16
# Distance to which two orbits are brought together, in units of the state's size.
_APART = 1e-6
TINY = {
    "model": "ddl",
    "data": {"n_train": 8, "n_val": 4, "n_test": 4, "n_ood": 4, "steps": 20},
    "train": {"updates": 3, "horizon": 3, "batch": 4, "compile": "off"},
    "eval": {"short": 2, "long": 5},
    "model_args": {"hidden_dim": 8},
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Largest exponents of one system, per unit time: tangent QR and divergence with standard errors, and as stored."""

    name: str
    tangent: tuple[float, float]
    divergence: tuple[float, float]
    maximum: float
    spectrum: float

    def within(self, value: float) -> bool:
        """True where a value lies within three standard errors of the tangent QR's."""
        return abs(value - self.tangent[0]) <= 3 * self.tangent[1]


def measure(name: str, *, periods: int = _PERIODS) -> Measured:
    """Train on a system for a few updates, and find its largest exponent by two ways.

    Args:
        name: in dysts.   periods: averaged over.
    Raises:
        ValueError: when it is no task, or does not keep a task's contract.
    """
    task = make_task("dysts", system=name)
    assert isinstance(task, Dysts)
    check_task(task)
    execute(make_setup(resolve_run({"task": "dysts", "task_args": {"system": name}} | TINY)), Callbacks())
    coarse = Dysts(system=name, dt=task.timescale / _STEPS)
    x0 = coarse.initial_states(_ORBITS, rng=np.random.default_rng(0), split="train")
    found = lyapunov_spectrum(coarse, x0, periods * _STEPS, transient=5 * _STEPS, rtol=1e-7, atol=1e-9)
    spectrum = task.found.spectrum
    return Measured(
        name=name,
        tangent=(float(found.exponents[0]), float(found.standard_error[0])),
        divergence=divergence(coarse, periods * _STEPS),
        maximum=task.found.exponent,
        spectrum=spectrum[0] if spectrum else float("nan"),
    )


def divergence(task: Dysts, steps: int) -> tuple[float, float]:
    """Largest exponent with its standard error from two orbits that are brought together after every step.

    λ = 1/(n dt) Σ ln(|x′ − x| / d),   x′ ← x + d (x′ − x)/|x′ − x|

    Args:
        task: a system.   steps: n; a sixth as many go before.
    Source: Benettin, Galgani, Strelcyn (1976), Kolmogorov entropy and numerical experiments,
        doi:10.1103/PhysRevA.14.2338.
    """
    rng = np.random.default_rng(1)
    x = task.initial_states(_ORBITS, rng=rng, split="train")
    apart = _APART * np.abs(x).max()
    gap = rng.standard_normal(x.shape)
    total, before = np.zeros(_ORBITS), steps // 6
    for step in range(before + steps):
        gap *= apart / np.linalg.norm(gap, axis=1, keepdims=True)
        ends = integrate(task.vector_field, np.concatenate([x, x + gap]), task.times(1))[:, 1]
        x, gap = ends[: len(x)], ends[len(x) :] - ends[: len(x)]
        # A start whose orbit runs away is left out.
        kept = np.isfinite(x).all(axis=1)
        x, gap, total = x[kept], gap[kept], total[kept]
        if step >= before:
            total += np.log(np.linalg.norm(gap, axis=1) / apart)
    each = total / (steps * task.dt)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def drawn(seed: int) -> list[str]:
    """All systems of dysts in random order."""
    names = sorted(stored_facts())
    return [names[i] for i in np.random.default_rng(seed).permutation(len(names))]


def row(found: Measured) -> str:
    """One line of the table."""
    which = [label for label, value in (("maximum", found.maximum), ("QR", found.spectrum)) if found.within(value)]
    ours = [f"{value:.4g} ± {error:.1g}" for value, error in (found.tangent, found.divergence)]
    stored = [f"{value:.4g}" for value in (found.maximum, found.spectrum)]
    return f"| {found.name} | {' | '.join(ours)} | {' | '.join(stored)} | {' and '.join(which) or 'neither'} |"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--systems", type=int, default=20, help="how many run (20)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument("--names", default="", help="these systems, with commas, in place of drawn ones")
    args = parser.parse_args()
    names = [name for name in args.names.split(",") if name] or drawn(args.seed)
    print("| system | tangent QR | divergence | stored maximum | stored QR | within 3 errors of the first |")
    print("|---|---|---|---|---|---|")
    done = 0
    for name in names:
        if done == args.systems:
            break
        try:
            find_system(name)
            print(row(measure(name)), flush=True)
            done += 1
        except ValueError as reason:
            print(f"<!-- {name}: {reason} -->", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
