"""Docstrings and plain text as Markdown: nothing is lost, nothing is taken for markup."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from site_pages.markdown import cited, code, datasheet, docstring, escaped, items_of, table


@given(st.text(alphabet="ab *_[]{}<>&#|~\\\n=^", max_size=60))
def test_escaped_text_is_the_text_and_holds_no_mark(text: str) -> None:
    shown = escaped(text)
    assert html.unescape(shown) == text
    assert not re.search(r"[\\*_\[\]{}<>|~]", shown)


def test_spans_of_code_stay_as_they_are() -> None:
    assert escaped("x_1 of `a_b[0]`") == "x&#95;1 of `a_b[0]`"
    assert code("a_b") == "`a_b`"
    # A bar would end the cell of a table.
    assert code("'a' | 'b'") == "<code>'a' &#124; 'b'</code>"
    assert table(("a", "b"), [("1", "2\n3")]) == "| a | b |\n| --- | --- |\n| 1 | 2 3 |"


def test_items_share_a_line_and_run_over_several() -> None:
    lines = ["x0: (B, D), starts.   steps: T ≥ 0.", "a, b: two of them,", "    of one kind."]
    expected = [("x0", "(B, D), starts."), ("steps", "T ≥ 0."), ("a, b", "two of them, of one kind.")]
    assert items_of(lines) == expected
    # Control: a line that begins no item and continues none is running text.
    assert items_of(["win: p < .05.   loss: p < .05.", "the ratio lies there."]) is None


def test_a_docstring_keeps_its_sections() -> None:
    text = """Free run of `steps` steps.

x⁺ = A x_t,   A (D × D)

Args:
    x0: (B, D), starts.   steps: T ≥ 0.
    rest: of the
        options.
Returns:
    (B, T+1, D); NaN where it fails.
Raises:
    ValueError: when it fails.
Source: Lorenz (1963), Flow, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2
Example:
    >>> rollout(1)
    2
"""
    shown = docstring(text)
    assert "x⁺ = A x&#95;t,\u2003A (D × D)" in shown
    assert "**Arguments**\n\n* `x0`: (B, D), starts.\n* `steps`: T ≥ 0.\n* `rest`: of the options.\n" in shown
    assert "**Returns** (B, T+1, D); NaN where it fails." in shown
    assert "**Raises**\n\n* `ValueError`: when it fails." in shown
    assert "(https://doi.org/10.1175/1520-0469%281963%29020%3C0130:DNF%3E2.0.CO;2)" in shown
    assert shown.endswith("**Example**\n\n```pycon\n>>> rollout(1)\n2\n```")


@pytest.mark.parametrize(
    ("source", "address"),
    [
        ("Hopf, doi:10.1007/b98868", "https://doi.org/10.1007/b98868"),
        ("(Hopf, doi:10.1007/b98868)", "https://doi.org/10.1007/b98868"),
        ("Hopf, doi:10.1016/S0006-3495(61)86902-6; more", "https://doi.org/10.1016/S0006-3495%2861%2986902-6"),
        ("DDL, arXiv 2601.00417v1, 2026", "https://arxiv.org/abs/2601.00417v1"),
        ("DDL, arXiv:2601.00417", "https://arxiv.org/abs/2601.00417"),
    ],
)
def test_numbers_of_sources_become_links(source: str, address: str) -> None:
    shown = cited(source)
    assert re.findall(r"\]\((.*?)\)", shown) == [address]
    assert html.unescape(re.sub(r"\[(.*?)\]\(.*?\)", r"\1", shown)) == source


def test_a_datasheet_falls_into_entries() -> None:
    sheet = "\nEquations: ẋ = y.\nState (x, y), same unit. a: rate,\nper time.\nRegime at the defaults: chaos.\n"
    assert datasheet(sheet) == [
        ("Equations", "ẋ = y."),
        ("State", "(x, y), same unit. a: rate, per time."),
        ("Regime at the defaults", "chaos."),
    ]
