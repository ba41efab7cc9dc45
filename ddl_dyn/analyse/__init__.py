"""What the trained map of a finished run does, beside the true one: numbers, a table, and figures that need the map.

Like `execution`, this package knows both the tasks and the models, as it makes a run whole again.
"""

from __future__ import annotations

from ddl_dyn.analyse.subject import Subject, rebuild
from ddl_dyn.analyse.work import SECTIONS, analyse, write_analysis

__all__ = ["SECTIONS", "Subject", "analyse", "rebuild", "write_analysis"]
