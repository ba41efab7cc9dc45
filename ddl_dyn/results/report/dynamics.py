"""Table of what `ddl-dyn analyse` measured on the trained maps of a setting, beside the true one."""

from __future__ import annotations

from collections.abc import Mapping

from ddl_dyn.results.comparison.groups import Setting, spoken
from ddl_dyn.results.report.document import ReportTable, text_cells, text_columns
from ddl_dyn.runs import Run, RunError, read_json

FILE = "analysis.json"


def analysis_table(setting: Setting) -> ReportTable | None:
    """One row a quantity (exponents, dimensions, periods, defects of symmetries and invariants), one column a model.

    Args:
        setting: whose runs may have been analysed.
    Returns:
        None where none of them has.
    """
    found = {c.label: part for c in setting.entries if (part := _quantities(c.run))}
    if not found:
        return None
    names = list(dict.fromkeys(name for part in found.values() for name in part))
    rows = []
    for name in names:
        true = next((part[name][0] for part in found.values() if name in part and part[name][0]), "")
        rows.append(text_cells(name, true, *(part[name][1] if name in part else "" for part in found.values())))
    columns = text_columns("quantity", "true system", *map(spoken, found))
    missing = [spoken(c.label) for c in setting.entries if c.label not in found]
    note = "Median over seeds [lowest, highest seed]; measured on the trained map by ddl-dyn analyse." + (
        f" Not analysed: {', '.join(missing)}." if missing else ""
    )
    return ReportTable("What the trained maps do", columns, tuple(rows), note)


def _quantities(run: Run) -> dict[str, tuple[str, str]]:
    """Quantity -> true and trained value in words; empty where the run has no analysis that can be read."""
    path = run.path / FILE
    if not path.is_file():
        return {}
    # It brings torch along, which a report of runs without an analysis does not need.
    from ddl_dyn.results.inspection.sections import rows

    try:
        stored: Mapping[str, object] = read_json(path)
        return {name: (true, trained) for name, true, trained in rows(dict(stored))}
    except (RunError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        # From another version, or damaged.
        return {}
