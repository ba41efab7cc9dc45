"""Parameters of tasks: converted to their declared types, held to their bounds, refused in one line."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ddl_dyn.tasks import TASKS, make_task
from ddl_dyn.tasks.fields import Bounds, bounds_of, field_types
from ddl_dyn.tasks.series.bundled import DATA

ABSURD = [
    "nan", "fast", float("nan"), float("inf"), 1e200, 1e-310, -1e300, (1, 2, 3), [[1]], {"a": 1}, 10**400,
    "1" * 10_000, [1.0], b"x", 1j,
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in TASKS if name != "dysts"])
def test_no_parameter_takes_an_absurd_value(name: str) -> None:
    needs = {"path": str(DATA / "sunspots_yearly.csv")} if name == "observed" else {}
    for field in dataclasses.fields(TASKS[name]):
        for value in ABSURD if field.init else []:
            if value == (1, 2, 3) and field_types(TASKS[name])[field.name] == tuple[int, ...]:
                continue
            if value in ((1, 2, 3), [1.0]) and field.name == "missing_values":
                continue
            with pytest.raises(ValueError, match=r"^[^\n]{10,400}$") as error:
                make_task(name, **(needs | {field.name: value}))
            # A column or file may be called anything; the message then names the file.
            assert field.name in str(error.value) or "csv" in str(error.value) or "CSV" in str(error.value)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        (
            "van_der_pol",
            {"mu": (1, 2)},
            "mu must be a number, got (1, 2); a run takes one value, a sweep takes several",
        ),
        ("gauss", {"b": [[1]]}, "b must be a number, got [[1]]; a run takes one value, a sweep takes several"),
        ("lorenz63", {"dt": float("nan")}, "dt must lie in (0, ∞), got nan"),
        ("pendulum", {"theta0": 3.2}, "theta0 must lie in (0, 3.1], got 3.2"),
        ("lorenz96", {"n": 5.5}, "n must be an integer, got 5.5"),
        ("lorenz96", {"n": 10**9}, "n must lie in [4, 1024], got 1000000000"),
        ("hardening_duffing", {"amplitude": 1e200}, "amplitude must be 0 or between 1e-12 and 1e+12 in magnitude"),
        ("hardening_duffing", {"amplitude": 1e-310}, "amplitude must be 0 or between 1e-12 and 1e+12 in magnitude"),
        ("standard_map", {"coordinates": "polar"}, "coordinates must be one of 'circle', 'angle', got 'polar'"),
        ("logistic_family", {"gap": (3.1,)}, "gap must be a tuple of 2 numbers, got (3.1,)"),
        ("billiard", {"proportion": "half"}, "proportion must be a number or None, got 'half'"),
        ("observed", {"path": 2020}, "path must be a text of at most 1000 characters, got 2020"),
        ("sunspots", {"dt": "nan"}, "dt must be a number, got 'nan'"),
    ],
)
def test_the_message_says_what_was_expected_and_what_came(name: str, params: dict, message: str) -> None:
    with pytest.raises(ValueError, match=r"^") as error:
        make_task(name, **params)
    assert message in str(error.value)


def test_values_take_the_declared_type() -> None:
    chain = make_task("spring_chain", n=4.0, stiffness=2)
    assert (type(chain.n), type(chain.stiffness)) == (int, float)
    assert chain == make_task("spring_chain", n=4, stiffness=2.0)
    assert make_task("logistic_family", gap=[3.1, 3.2]).gap == (3.1, 3.2)
    path = str(DATA / "sunspots_yearly.csv")
    assert make_task("observed", path=path, value_columns="sunspot_number").value_columns == ("sunspot_number",)
    assert make_task("pendulum", theta0=np.float32(0.5)).theta0 == 0.5


def test_a_family_hands_one_number_a_trajectory_to_its_member() -> None:
    member = make_task("logistic_family").at(np.array([3.0, 3.5]))
    np.testing.assert_array_equal(member.r, [3.0, 3.5])
    with pytest.raises(ValueError, match=r"r must lie in \(0, 4\]"):
        make_task("logistic_family").at(np.array([3.0, 4.5]))


def test_bounds_read_as_intervals() -> None:
    assert [str(b) for b in (Bounds(), Bounds(0.0, None, True), Bounds(1, 2))] == ["(−∞, ∞)", "(0, ∞)", "[1, 2]"]
    fields = {field.name: field for field in dataclasses.fields(TASKS["pendulum"])}
    assert bounds_of(fields["dt"]) == Bounds(0.0, None, True)
    assert bounds_of(fields["theta0"]) == Bounds(0.0, 3.1, True)
    assert field_types(TASKS["observed"])["delay"] == int | None
