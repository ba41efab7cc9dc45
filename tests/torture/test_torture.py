"""A seeded part of the torture: the whole of it is `make torture`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.synthetic_runs import write_run
from tests.torture import kills, settings, tables
from tests.torture.harness import Said, faults, one_line, torture

SEED = 20261126
QUICK = {"settings": 8, "tables": 8, "folders": 4}
SLOW = {"settings": range(100, 400), "tables": range(100, 200), "folders": range(100, 200)}
KILLS = {"run": 7, "compare": 4, "sweep": 5, "report": 4}


def test_a_few_cases_of_each_kind() -> None:
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda suite: torture(suite, SEED, range(QUICK[suite])), QUICK))
    assert [outcome.faults for outcome in found] == [{}, {}, {}]
    assert [outcome.judged for outcome in found] == list(QUICK.values())


@pytest.mark.slow
@pytest.mark.parametrize("suite", SLOW)
def test_more_cases(suite: str) -> None:
    outcome = torture(suite, SEED, SLOW[suite])
    assert outcome.faults == {}
    assert outcome.judged == len(SLOW[suite])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KILLS)
def test_a_command_killed_at_any_moment_ends_like_one_left_alone(kind: str, tmp_path: Path) -> None:
    tally = kills.chaos(kind, KILLS[kind], SEED, tmp_path)
    assert tally.faults == []
    assert tally.kills == KILLS[kind]


def test_a_seed_and_a_number_are_one_case() -> None:
    for suite in (settings, tables):
        assert [suite.make(SEED, n) for n in range(5)] == [suite.make(SEED, n) for n in range(5)]
        assert suite.make(SEED, 1) != suite.make(SEED, 2) != suite.make(SEED + 1, 2)


BROKEN_PROMISES = {
    "a traceback": Said(1, "", "Traceback (most recent call last):\nerror: x\n", 0.1),
    "an exit code of its own": Said(3, "", "error: x\n", 0.1),
    "an exception": Said(None, "", "", 0.1),
    "a warning": Said(0, "", "/lib/x.py:3: RuntimeWarning: overflow\n", 0.1),
    "an escape": Said(0, "\x1b[2J", "", 0.1),
    "no reason": Said(1, "", "", 0.1),
    "a library's error": Said(1, "", "error: KeyError: 'x'\n", 0.1),
    "too long": Said(0, "", "", 21.0),
}


@pytest.mark.parametrize("name", BROKEN_PROMISES)
def test_broken_promises_are_seen(name: str) -> None:
    assert faults(BROKEN_PROMISES[name])
    assert not faults(Said(1, "", "error: a clear line\n", 0.1))
    assert one_line(Said(1, "", "error: x\nand more\n", 0.1))
    assert one_line(Said(1, "printed", "error: x\n", 0.1))


@pytest.mark.parametrize(
    ("text", "stored", "same"),
    [
        ("1e3", 1000, True),
        ("1e3", 1001, False),
        ("0x10", 16, False),
        ("٣", 3, False),
        ("1_0", 10, False),
        ("1e308", int(1e308), False),
        ("0.1,0.2", [0.1, 0.2], True),
        ("[0.1]", [0.1], True),
        ("0.1", [], False),
        ("true", True, True),
        ("1", True, False),
        ("none", None, True),
        ("latent", "latent", True),
        ("latent", "observed", False),
    ],
)
def test_what_is_stored_is_what_was_asked(text: str, stored: object, same: bool) -> None:
    assert settings.means(text, stored) is same


def test_bad_tables_are_known_as_such() -> None:
    assert not tables.rows_of_numbers(b"t,x\n1,2\n2,3\n")
    assert tables.rows_of_numbers(b"t,x\n1,2\n2,3,4\n")
    assert tables.rows_of_numbers(b"t,t\n1,2\n2,3\n")
    assert not tables.odd_cell(b"t,x\n1,2\n2,3\n", ["t", "x"])
    assert tables.odd_cell(b"t,x\n1,2\n2,1_0\n", ["x"])
    assert not tables.odd_cell(b"t,x\n1,2\n2,1_0\n", ["t"])


def test_a_difference_after_a_kill_is_seen(tmp_path: Path) -> None:
    scores = {"a": 0.1, "b": 0.1, "c": 0.2, "d": 0.1}
    for name, score in scores.items():
        status = "DEAD" if name == "d" else "COMPLETED"
        entry = {"config_hash": "1", "status": "FAILED" if status == "DEAD" else status}
        write_run(tmp_path / name / "runs", "1", scores={("test", "short"): [score] * 3}, entry=entry)
    found = {name: list(kills.differences("sweep", tmp_path / "a", tmp_path / name)) for name in "cd"}
    assert found == {"c": ["1: other scores"], "d": ["1 is FAILED: None"]}
