"""The report of finished runs: who is compared with whom, what the sentences claim, what the page and Markdown hold."""

from __future__ import annotations

import math
import re
import shlex
from html.parser import HTMLParser

import numpy as np
import pytest

from ddl_dyn.config.formats import decimal, number, percent
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.results import report
from ddl_dyn.results.comparison import records
from ddl_dyn.results.comparison.groups import group_runs
from ddl_dyn.results.comparison.verdicts import contrasts, starred
from ddl_dyn.results.report import gates as audit
from ddl_dyn.results.report import headline, provenance, significance
from ddl_dyn.results.report.document import ReportFigure
from ddl_dyn.results.report.html import size
from ddl_dyn.runs import FAILED, Run
from ddl_dyn.runs.result import FLOORS
from tests.helpers.synthetic_runs import write_comparison, write_run

HOSTILE = '<img src=x onerror="document.title=1"> & "quoted" `code` |pipe|'
LOW, HIGH = [0.10, 0.11, 0.12, 0.13, 0.14, 0.15], [0.50, 0.51, 0.52, 0.53, 0.54, 0.55]
WIDE = [0.05, 0.10, 0.12, 0.50, 0.60, 0.70]
SHORT = ("test", "short")


def one_comparison(base, **scores):
    """The comparison over the short horizon of models with the given replica scores."""
    runs = [
        write_run(base, str(i), model=m, scores={SHORT: s}, arrays={}) for i, (m, s) in enumerate(scores.items(), 1)
    ]
    (setting,) = group_runs(runs)
    (comparison,) = setting.comparisons
    return comparison


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04444, "0.0444"), (12.345, "12.3"), (1234.5, "1,230"), (123456, "123,456"), (2.5e-5, "2.50 × 10⁻⁵"),
        (-0.5, "-0.500"), (0.0, "0"), (math.inf, "failed"), (math.nan, "–"), (None, "–"), (True, "yes"),
        (9.999, "10.0"),
    ],
)  # fmt: skip
def test_numbers_are_printed_with_three_significant_digits(value, text):
    assert decimal(value) == text


def test_numbers_of_terminals_and_files_are_plain():
    assert [number(value) for value in (0.12345, math.inf, -math.inf, math.nan, None, 7)] == [
        "0.123", "failed", "-failed", "", "", "7",
    ]  # fmt: skip
    assert number(math.nan, 4, missing="–") == "–"


def test_a_share_is_never_rounded_to_nothing_or_everything():
    assert [percent(share) for share in (0.0, 0.004, 0.5, 0.996, 1.0)] == ["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]


def test_runs_are_grouped_by_task_data_protocol_and_training(tmp_path):
    runs = [
        write_run(tmp_path, "1", arrays={}),
        write_run(tmp_path, "2", model="resnet", arrays={}),
        write_run(tmp_path, "3", config={"model_args": {"carry": "observed"}}, arrays={}),
        write_run(tmp_path, "4", config={"train": {"updates": 7}}, arrays={}),
        write_run(tmp_path, "5", entry={"data_hash": "cd" * 32}, arrays={}),
    ]
    found = {tuple(c.run.id for c in setting.entries): setting.protocol for setting in group_runs(runs)}
    assert set(found) == {("1", "2"), ("3",), ("4",), ("5",)}
    assert found["3",] == "carry = observed, lift = linear"
    assert "train.updates = 7" in found["4",]
    assert len(set(found.values())) == 4, "two settings of a task must not carry the same name"


def test_where_a_run_was_computed_does_not_part_it_from_the_others(tmp_path):
    runs = [
        write_run(tmp_path, "1", arrays={}),
        write_run(tmp_path, "2", model="resnet", config={"train": {"threads": 2, "device": "cpu"}}, arrays={}),
    ]
    assert len(group_runs(runs)) == 1


def test_twins_are_named_by_what_sets_them_apart_and_none_is_dropped(tmp_path):
    wide = {"model_args": {"carry": "latent", "layers": 4}}
    runs = [
        write_run(tmp_path, "1", arrays={}),
        write_run(tmp_path, "2", config=wide, arrays={}),
        write_run(tmp_path, "3", config=wide, arrays={}),
    ]
    (setting,) = group_runs(runs)
    assert [c.label for c in setting.entries] == [
        "ddl (layers = 2)", "ddl (layers = 4) [run 2]", "ddl (layers = 4) [run 3]",
    ]  # fmt: skip


def finding(comparison):
    return headline.finding(comparison, contrasts([comparison.setting]))


def test_a_win_is_said_only_where_the_decision_rule_gives_one(tmp_path):
    apart = one_comparison(tmp_path / "a", ddl=LOW, resnet=HIGH)
    judged = contrasts([apart.setting])
    assert starred(judged, apart, "ddl")
    assert not starred(judged, apart, "resnet")
    assert finding(apart).startswith("In distribution, 20 steps: DDL 0.125 [0.1")
    # Six of six: p = 2 · 2⁻⁶, alone in its family.
    assert re.search(r"against ResNet 0\.525 \[.*\]: win, ratio 0\.238 \[.*\], corrected p = 0\.0312", finding(apart))
    # The median is lower, yet not on every seed: no claim.
    overlapping = one_comparison(tmp_path / "b", ddl=WIDE, resnet=HIGH)
    assert overlapping.intervals["ddl"].estimate < overlapping.intervals["resnet"].estimate
    assert not starred(contrasts([overlapping.setting]), overlapping, "ddl")
    assert re.search(r"DDL 0\.310 \[.*: unresolved \(.* would resolve it\)", finding(overlapping))


def test_a_win_at_unequal_sizes_is_not_marked(tmp_path):
    runs = [
        write_run(tmp_path, "1", scores={SHORT: LOW}, arrays={}),
        write_run(tmp_path, "2", model="resnet", scores={SHORT: HIGH}, result={"parameters": 1051}, arrays={}),
    ]
    (setting,) = group_runs(runs)
    assert "win (parameters not matched)" in finding(setting.comparisons[0])
    assert not any(record["best"] for record in records.comparison_rows(runs))


def test_a_loss_of_ddl_is_told_like_a_win(tmp_path):
    comparison = one_comparison(tmp_path / "a", ddl=HIGH, resnet=LOW)
    assert re.search(r"DDL 0\.525 \[.*\] against ResNet 0\.125 \[.*\]: loss, ratio 4\.20", finding(comparison))
    lines = headline.headline([comparison.setting], contrasts([comparison.setting]))
    assert "DDL against ResNet: 0 wins, 1 loss, 0 ties and 0 unresolved." in lines
    three = one_comparison(tmp_path / "b", ddl=HIGH, resnet=LOW, highway=WIDE)
    lines = headline.headline([three.setting], contrasts([three.setting]))
    # Two in the family: six seeds resolve neither.
    assert "p corrected by Holm over all 2): 0 wins, 0 losses, 0 ties and 2 unresolved." in lines[0]


def test_a_model_above_the_floor_is_named(tmp_path):
    # The floor of these runs is 0.9.
    comparison = one_comparison(tmp_path, ddl=[1.0, 1.1, 1.2, 1.3, 1.4, 1.5], resnet=LOW)
    assert "; above the best floor (persistence, 0.900): DDL." in finding(comparison)
    told = headline.headline([comparison.setting], contrasts([comparison.setting]))
    assert not any("best floor" in line for line in told), "ResNet is below it"
    lost = one_comparison(tmp_path / "b", ddl=[1.0] * 6, resnet=[1.0] * 6)
    told = headline.headline([lost.setting], contrasts([lost.setting]))
    assert any("No model is clearly below the best floor in 1 test" in line for line in told)


def test_failed_replicas_count_and_are_listed(tmp_path):
    run = write_run(
        tmp_path,
        "1",
        scores={SHORT: [0.1, 0.1, math.inf, math.inf, math.inf, math.inf]},
        result={"training": {"diverged": [False, True] + [False] * 4}},
        arrays={},
    )
    found = group_runs([run])
    (comparison,) = found[0].comparisons
    assert math.isinf(comparison.intervals["ddl"].estimate)
    sentences, tables = provenance.failures([run], found, [])
    assert sentences == []
    assert "1 of 6 replicas" in {cell.text for row in tables[0].rows for cell in row}


def test_nothing_failed_is_said_only_when_nothing_failed(tmp_path):
    good = write_run(tmp_path, "1", arrays={})
    assert "Every run completed" in provenance.failures([good], group_runs([good]), [])[0][0]
    bad = write_run(tmp_path, "2", entry={"status": FAILED, "error": "ValueError: no"}, arrays={})
    sentences, tables = provenance.failures(
        [good, bad], group_runs([good, bad]), ["harmonic resnet latent: ValueError: no"]
    )
    assert sentences == [], "the comparison's line repeats what the table holds"
    assert [cell.text for cell in tables[0].rows[0]][-2:] == ["FAILED", "ValueError: no"]
    assert provenance.failures([good], group_runs([good]), ["a run that has no folder"])[0] == [
        "a run that has no folder"
    ]


def test_caveats_name_few_seeds_and_unequal_sizes(tmp_path):
    runs = [
        write_run(tmp_path, "1", scores={SHORT: [0.1, 0.2, 0.3]}, arrays={}),
        write_run(
            tmp_path, "2", model="resnet", scores={SHORT: [0.1, 0.2, 0.3]}, result={"parameters": 1051}, arrays={}
        ),
    ]
    found = group_runs(runs)
    text = " ".join(headline.caveats(found))
    # Three values span their median with probability 1 − 2^(1−3).
    assert "With 3 seeds" in text
    assert "75 %" in text
    assert "DDL 1,000 and ResNet 1,051" in text
    matched = one_comparison(tmp_path / "b", ddl=LOW, resnet=HIGH)
    assert headline.caveats([matched.setting]) == ["Some tasks have no out-of-distribution test."]


def test_the_page_agrees_with_the_comparison_in_the_terminal(tmp_path):
    scores = {(split, horizon): LOW for split in ("test", "ood") for horizon in ("short", "long")}
    worse = dict.fromkeys(scores, HIGH)
    runs = [
        write_run(tmp_path, "1", scores=scores, arrays={}),
        write_run(tmp_path, "2", model="resnet", scores=worse, arrays={}),
    ]
    (setting,) = group_runs(runs)
    judged = contrasts([setting])
    mine = {
        (c.split, f"{c.steps} steps", label): (i.estimate, i.low, i.high, starred(judged, c, label))
        for c in setting.comparisons
        for label, i in c.intervals.items()
    }
    theirs = {
        (r["split"], r["horizon"], r["model"]): (r["median"], r["low"], r["high"], r["best"])
        for r in records.comparison_rows(runs)
        if r["model"] not in FLOORS
    }
    assert mine == theirs
    assert len(mine) == 8


def test_paired_tests_need_the_same_seeds(tmp_path):
    comparison = one_comparison(tmp_path / "a", ddl=LOW, resnet=HIGH, highway=WIDE)
    judged = contrasts([comparison.setting])
    assert [(c.first.label, c.second.label) for c in judged] == [("ddl", "resnet"), ("ddl", "highway")]
    table = significance.paired_table(judged)
    place = {column.title: i for i, column in enumerate(table.columns)}
    row = [cell.text for cell in table.rows[0]]
    # Six wins of six: two-sided exact p = 2/2⁶, doubled by Holm for two rows.
    assert [row[place[name]] for name in ("first is lower", "p", "p, corrected")] == ["6 of 6", "0.0312", "0.0625"]
    runs = [
        write_run(tmp_path / "b", "1", arrays={}),
        write_run(tmp_path / "b", "2", model="resnet", config={"seed": 9}, arrays={}),
    ]
    (setting,) = group_runs(runs)
    assert significance.paired_table(contrasts([setting])) is None
    assert "other seeds or data sets" in finding(setting.comparisons[0])
    assert "none is tested against another" in headline.headline([setting], [])[0]


def test_occupancy_of_the_regimes():
    beta = np.array([0.0, 0.49, 0.5, 1.0, 1.01, 2.0, np.nan, 1.5])
    np.testing.assert_allclose(audit.occupancy(beta), [2 / 7, 2 / 7, 3 / 7], rtol=1e-15)


def test_gates_and_theory_are_left_out_where_no_run_has_any(tmp_path):
    runs = [write_run(tmp_path, "1", model="resnet", arrays={})]
    assert audit.gate_table(group_runs(runs)) is None
    assert audit.theory_table(group_runs(runs)) is None
    told = {
        "theory": {"verdict": "impossible", "scope": "D = 2", "reason": "a flow", "source": "somebody", "failed": True}
    }
    runs = [write_run(tmp_path, "2", result=told)]
    (row,) = audit.theory_table(group_runs(runs)).rows
    assert row[3].text == "32"
    assert row[4].text == "impossible (the prediction failed)"
    assert "below the best floor (0.900)" in row[6].text
    gates = audit.gate_table(group_runs(runs))
    assert [row[5].text for row in gates.rows] == ["1", "2"]
    # The synthetic gates are drawn around 0.3 and 1.6.
    assert gates.rows[0][8].text == ""
    assert gates.rows[0][9].order > 0.7
    assert gates.rows[1][11].order > 0.95


def test_visited_states_and_the_laws_of_the_layers_are_audited(tmp_path):
    # (R, T, L, B, r): layer 1 always skips, layer 2 overwrites in the first and reflects in the second half of time.
    beta = np.full((6, 4, 2, 3, 1), 0.1)
    beta[:, :2, 1], beta[:, 2:, 1] = 0.75, 2.0
    laws = {"gates": {"law_error": [1e-7] * 5 + [3e-7], "length_error": [0.0] * 6, "reversing": [1.0] * 6}}
    run = write_run(tmp_path, "1", arrays={"audit_beta": beta}, result=laws)
    rows = audit.gate_table(group_runs([run])).rows
    assert [row[4].text for row in rows] == ["states visited"] * 2
    assert [[cell.order for cell in row[9:]] for row in rows] == [[1, 0, 0], [0, 0.5, 0.5]]
    assert rows[1][8].shares == (0, 0.5, 0.5)
    (row,) = audit.law_table(group_runs([run])).rows
    assert [cell.text for cell in row[4:]] == ["1.00 [1.00,\u00a01.00]", "–", "3.00\u00a0×\u00a010⁻⁷", "0"]


def test_the_command_trains_the_same_configuration(tmp_path):
    run = write_run(tmp_path, "1", config={"note": "it's 5 o'clock, isn't it", "tags": ["a", "b"]}, arrays={})
    words = shlex.split(provenance.command(run))
    assert words[:3] == ["ddl-dyn", "run", "with"]
    import ast

    updates: dict = {}
    for item in words[3:]:
        name, _, text = item.partition("=")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        place = updates
        for part in name.split(".")[:-1]:
            place = place.setdefault(part, {})
        place[name.split(".")[-1]] = value
    assert resolve_run(updates).model_dump(mode="json") == run.config


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A comparison of two runs with hostile names, and its page and Markdown."""
    base = tmp_path_factory.mktemp("runs")
    options = {"entry": {"note": HOSTILE, "tags": [HOSTILE], "error": HOSTILE, "command_line": HOSTILE}}
    scores = {(split, horizon): LOW for split in ("test", "ood") for horizon in ("short", "long")}
    runs = [
        write_run(base, "1", scores=scores, config={"note": HOSTILE}, **options),
        write_run(base, "2", model="resnet", scores=dict.fromkeys(scores, HIGH)),
        write_run(base, "3", model="highway", entry={"status": FAILED, "error": HOSTILE}, arrays={}),
    ]
    whole = write_comparison(base, "4", runs, note=HOSTILE, tags=[HOSTILE])
    page = report.write_page(whole.path, [run.path for run in runs])
    text = report.write_report([whole], base / "supplement", markdown=True)
    return page, text


def test_the_page_is_whole_and_asks_for_nothing_else(made):
    source = made[0].read_text(encoding="utf-8")
    page = Page(source)
    assert made[0].name == "index.html"
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert re.match(r"data:|#", attributes.get(name, "#")), f"<{tag} {name}> leaves the page"
    assert "url(" not in source
    assert "@import" not in source
    assert "default-src 'none'" in source
    assert len(page.ids) == len(set(page.ids))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) >= 5
    assert all(len(attributes["alt"]) > 30 for attributes in images)
    links = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert links <= set(page.ids)


def test_the_page_says_what_it_should(made):
    words = " ".join(Page(made[0].read_text(encoding="utf-8")).words)
    for heading in (
        "At a glance",
        "Verdicts in full",
        "Settings",
        "Every number",
        "What the gates do",
        "Cost",
        "Failures",
    ):
        assert heading in words
    assert "Theory against result" not in words, "no run holds predictions"
    assert "How well do DDL and ResNet learn harmonic?" in words
    assert ": DDL wins against ResNet. Lowest median" in words
    assert "p corrected by Holm over this one): 1 win, 0 losses, 0 ties and 0 unresolved." in words
    assert "(other horizons and test sets, p not corrected): 3 wins" in words
    assert "carry = latent, lift = linear" in words
    assert "ab" * 32 in words


def test_tables_are_folded_and_grouped(made):
    page = Page(made[0].read_text(encoding="utf-8"))
    tags = [tag for tag, _ in page.tags]
    folded = [
        attributes for tag, attributes in page.tags if tag == "details" and "table" in attributes.get("class", "")
    ]
    assert tags.count("table") == len(folded) >= 6
    assert not any("open" in attributes for attributes in folded)
    groups = [attributes for tag, attributes in page.tags if tag == "th" and attributes.get("scope") == "colgroup"]
    assert [attributes["colspan"] for attributes in groups] == ["2", "2"]
    cells = [attributes.get("class", "") for tag, attributes in page.tags if tag == "td"]
    assert sum("number win" in text for text in cells) == 4, "ResNet's four errors, of which DDL wins each"
    assert page.words.count("✓ DDL wins") == 5, "the same in words, there and under its portrait"


def test_the_sections_follow_the_answer(made):
    page = Page(made[0].read_text(encoding="utf-8"))
    order = [name for name in page.ids if name in ("glance", "task-0", "result", "asked", "numbers", "cost", "origin")]
    assert order == ["glance", "task-0", "result", "asked", "numbers", "cost", "origin"]


def test_no_figure_is_heavy(made):
    sources = [attributes["src"] for tag, attributes in Page(made[0].read_text(encoding="utf-8")).tags if tag == "img"]
    assert all(source.startswith("data:image/webp") for source in sources)
    # Twice as many dots as the drawing has on the page; as PNG some are ten times as heavy.
    assert max(map(len, sources)) < 120_000
    assert made[0].stat().st_size < 1_000_000


def test_what_users_named_is_escaped(made):
    source = made[0].read_text(encoding="utf-8")
    page = Page(source)
    assert HOSTILE in "".join(page.words)
    assert "<img src=x" not in source
    assert not any(attributes.get("onerror") for _, attributes in page.tags)
    assert sum(tag == "script" for tag, _ in page.tags) == 1


def test_markdown_holds_tables_and_figures_that_exist(made):
    text = made[1].read_text(encoding="utf-8")
    assert made[1].name == "report.md"
    assert "<img" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace("\\<", "")
    targets = re.findall(r"!\[[^\n]*\]\(([^)]+)\)", text)
    assert len(targets) >= 5
    assert len(set(targets)) == len(targets)
    for target in targets:
        assert (made[1].parent / target).stat().st_size > 1000
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, "every row of a table has the same number of cells"


def test_a_report_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one run"):
        report.write_report([], tmp_path / "x.html")


def test_damaged_and_unfinished_runs_are_listed_not_fatal(tmp_path):
    (tmp_path / "runs" / "1").mkdir(parents=True)
    (tmp_path / "runs" / "1" / "run.json").write_text("{")
    odd = write_run(tmp_path / "runs", "2", model="resnet", arrays={"test_true": np.zeros(3), "test_pred": np.zeros(2)})
    out = report.write_report([Run(tmp_path / "runs" / "1"), odd], tmp_path / "page.html")
    words = " ".join(Page(out.read_text(encoding="utf-8")).words)
    assert "UNREADABLE" in words
    assert "cannot be drawn: expected predictions" in words
    assert str(tmp_path) not in words, "a page that is passed on tells nothing of this machine's folders"


def test_the_size_of_a_picture_on_the_page():
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36.0pt" viewBox="0 0 72 36">'
    # One inch is 96 CSS pixels, enlarged by 1.2.
    assert size(ReportFigure("a", "svg", svg, "")) == (115, 58)
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (200).to_bytes(4, "big") + (100).to_bytes(4, "big") + b"\0" * 8
    assert size(ReportFigure("a", "png", png, "")) == (115, 58)
    assert size(ReportFigure("a", "svg", b"<svg>", "")) is None
