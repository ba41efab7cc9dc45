"""Start-up time of the command line: wall and processor seconds of `ddl-dyn --help` and `ddl-dyn tasks`.

    python benchmarks/start_up.py [--repeats 5] [--imports]

Each run is a process of its own, after one that is not counted. `--imports` prints, for each command, the packages
that cost most (`python -X importtime`). Exits with 1 when a median of processor seconds is over its limit.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

# Command -> seconds that it may take.
LIMITS = {("--help",): 0.4, ("tasks",): 1.0}
SHOWN = 12


def timed(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Wall and processor seconds of one process."""
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "ddl_dyn", *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    worked = after.children_user - before.children_user + after.children_system - before.children_system
    return time.perf_counter() - start, worked


def imports(arguments: tuple[str, ...]) -> list[tuple[float, str]]:
    """Seconds by package, counting what each module costs without those that it imports, dearest first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ddl_dyn", *arguments], check=True, capture_output=True, text=True
    )
    cost: dict[str, float] = {}
    for own, name in re.findall(r"^import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)$", done.stderr, re.MULTILINE):
        package = ".".join(name.split(".")[:2])
        cost[package] = cost.get(package, 0.0) + int(own) / 1e6
    return sorted(((seconds, name) for name, seconds in cost.items()), reverse=True)[:SHOWN]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="counted runs of each command")
    parser.add_argument("--imports", action="store_true", help="show what the imports cost")
    args = parser.parse_args()
    slow = False
    print(f"{'command':18s} {'limit':>6s} {'wall s':>8s} {'lowest':>8s} {'processor s':>12s} {'lowest':>8s}")
    for arguments, limit in LIMITS.items():
        timed(arguments)
        wall, worked = zip(*(timed(arguments) for _ in range(args.repeats)), strict=True)
        median = statistics.median(worked)
        slow |= median > limit
        print(
            f"{'ddl-dyn ' + ' '.join(arguments):18s} {limit:6.1f} {statistics.median(wall):8.3f} {min(wall):8.3f} "
            f"{median:12.3f} {min(worked):8.3f}"
        )
        if args.imports:
            for seconds, name in imports(arguments):
                print(f"    {seconds:8.3f} s  {name}")
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
