"""All of the torture: `python -m tests.torture [--seed N] [--only SUITE] [--case N] [--share X]`, as by `make torture`.

A fault is printed with its suite, seed and number: `--only SUITE --seed N --case NUMBER` repeats it alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from pathlib import Path

from tests.torture import kills
from tests.torture.harness import torture

COUNTS = {"settings": 2000, "tables": 500, "folders": 1000}
KILLS = {"run": 35, "compare": 20, "sweep": 25, "report": 15, "ray": 5}


def fuzz(suite: str, seed: int, numbers: range) -> bool:
    """Judge cases and print what came of them; True where there is no fault."""
    began = time.monotonic()
    outcome = torture(suite, seed, numbers)
    for number, found in outcome.faults.items():
        print(f"{suite}, seed {seed}, case {number}:")
        print("".join(f"    {line}\n" for text in found for line in text.splitlines()), flush=True)
    seconds = time.monotonic() - began
    print(
        f"{suite}: seed {seed}, {outcome.judged} cases, {len(outcome.faults)} with faults, {seconds:.0f} s", flush=True
    )
    return not outcome.faults


def kill(seed: int, share: float) -> bool:
    """Kill commands and print what came of them; True where everything is as if nobody had."""
    wanted = {kind: max(round(count * share), 1) for kind, count in KILLS.items()}
    if importlib.util.find_spec("ray") is None:
        wanted.pop("ray")
    fine = True
    with tempfile.TemporaryDirectory(prefix="torture_kills_") as place:
        for kind, count in wanted.items():
            tally = kills.chaos(kind, count, seed, Path(place))
            print(f"kills of {kind}: seed {seed}, {tally.kills} kills, {tally.ends} ends, {len(tally.faults)} faults")
            print("".join(f"    {line}\n" for text in tally.faults for line in text.splitlines()), end="", flush=True)
            fine &= not tally.faults
    return fine


def main() -> int:
    """Exit code: 0, or 1 where there are faults."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=(*COUNTS, "kills"))
    parser.add_argument("--case", type=int, help="this case alone")
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts")
    options = parser.parse_args()
    fine = True
    for suite, count in COUNTS.items():
        if options.only in (None, suite):
            whole = range(max(round(count * options.share), 1))
            numbers = whole if options.case is None else range(options.case, options.case + 1)
            fine &= fuzz(suite, options.seed, numbers)
    if options.only in (None, "kills") and options.case is None:
        fine &= kill(options.seed, options.share)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
