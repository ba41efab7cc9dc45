"""Run, tabulate, replay and report the study.

python -m studies run [q3 …]      all cells that stand in no table, in order; may be stopped and continued
python -m studies list [q3 …]     cells done and missing
python -m studies replay [N]      N cells drawn from the tables, done again; max |Δ| of their scores
python -m studies report          figures, tables and verdicts of docs/study.md and docs/models.md from the tables alone
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.experiments.run import Launch
from ddl_dyn.experiments.sweep.run_grid import run_grid
from ddl_dyn.runs import RunError
from ddl_dyn.runs.writer import StoreError
from studies import report, tables
from studies.questions import FOLDER, ORDER, sweeps
from studies.replay import replay

RESULTS = FOLDER / "results"


def run(questions: list[str], base: Path, jobs: int | None) -> int:
    """Do what is missing and add it to the tables, sweep file by sweep file."""
    failed = 0
    for question in questions:
        for config, cells in sweeps(question):
            wanted = [cell.digest for cell in cells]
            known = tables.done(RESULTS)
            missing = [cell for cell in cells if cell.digest[: tables.DIGITS] not in known]
            print(f"{question}: {len(cells) - len(missing)} of {len(cells)} cells are in the tables", flush=True)
            try:
                if missing:
                    own = config.model_copy(update={"jobs": jobs})
                    failed |= run_grid(own, missing, Launch(base=base))
            finally:
                # What is complete is kept, however this ends.
                print(f"{question}: {tables.add(question, base, wanted, RESULTS)} cells added", flush=True)
    return failed


def show(questions: list[str]) -> int:
    """Cells done and missing of each question."""
    for question in questions:
        cells = [cell for _, each in sweeps(question) for cell in each]
        known = tables.done(RESULTS)
        left = [cell for cell in cells if cell.digest[: tables.DIGITS] not in known]
        print(f"{question}: {len(cells) - len(left)} of {len(cells)} cells done")
        for cell in left[:5]:
            print(f"  missing: {cell.title}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0, or 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m studies", description=__doc__, allow_abbrev=False)
    parser.add_argument("command", choices=("run", "list", "replay", "report"))
    parser.add_argument("what", nargs="*", help="questions; for replay a number of cells")
    parser.add_argument("--runs", type=Path, default=Path("runs/study"), help="where runs are kept")
    parser.add_argument("--jobs", type=int, help="cells side by side")
    given = parser.parse_args(arguments)
    try:
        if given.command == "replay":
            return replay(int(given.what[0]) if given.what else 5, RESULTS)
        if given.command == "report":
            return report.main(RESULTS)
        questions = given.what or list(ORDER)
        return show(questions) if given.command == "list" else run(questions, given.runs, given.jobs)
    except (ConfigError, RunError, StoreError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
