"""Answers to the questions of the study: which cells each compares, its figure and its tables.

The comparisons of a question are fixed in its module, and p is corrected over all of them.
"""

from __future__ import annotations

from studies.answers.models import table_of_models
from studies.answers.q1 import question_1
from studies.answers.q2 import question_2
from studies.answers.q3 import question_3
from studies.answers.q4 import question_4
from studies.answers.q5 import question_5
from studies.answers.q6 import question_6
from studies.answers.q7 import question_7
from studies.answers.q8 import question_8
from studies.answers.repeats import second_runs

ANSWERS = {
    "q1": question_1, "q2": question_2, "q3": question_3, "q4": question_4, "q5": question_5, "q6": question_6,
    "q7": question_7, "models": table_of_models,
}  # fmt: skip
# Questions without cells of their own: their answer, and the questions whose cells it reads.
SECOND_READINGS = {"q8": (question_8, ("q3", "q5"))}

__all__ = ["ANSWERS", "SECOND_READINGS", "second_runs"]
