"""Generated pages: they hold every task, model, metric, setting and public name, and their links lead somewhere."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections import Counter
from typing import get_args

import pytest
from site_pages import api, entries, metrics, models, options, repository, tasks
from site_pages.markdown import escaped

import ddl_dyn
from ddl_dyn.cli.gallery import drawn_tasks
from ddl_dyn.metrics.registry import METRICS, Group
from ddl_dyn.models import MODELS
from ddl_dyn.tasks import TASKS


def test_every_task_has_its_datasheet() -> None:
    pages = {tasks.page_of_family(family): tasks.family_page(family) for family in tasks.families()}
    sheets = {
        name: sheet
        for page in pages.values()
        for name, sheet in re.findall(r"\{ #(\w+) \}\n(.*?)(?=\n## |\Z)", page, flags=re.DOTALL)
    }
    assert list(sheets)
    assert set(sheets) == set(TASKS)
    for name, sheet in sheets.items():
        assert {"Equations", "Source"} <= set(sheet.splitlines()), name
        assert (f"figures/tasks/{name}.png" in sheet) == (name in drawn_tasks())
        for field in dataclasses.fields(TASKS[name]):
            assert not field.init or f"| `{field.name}` |" in sheet, (name, field.name)
    links = re.findall(r"\]\((tasks/\w+\.md)#(\w+)\)", tasks.overview())
    assert [name for _, name in links] == [name for names in tasks.families().values() for name in names]
    assert all(f"{{ #{name} }}" in pages[page] for page, name in links)


def test_a_datasheet_states_reference_values() -> None:
    # Of the docstring, the class and its fields: period at μ = 1, range of ρ, the sum of the exponents.
    assert "period 6.66329 and amplitude 2.00862" in tasks.family_page("oscillator")
    chaotic = tasks.family_page("chaotic flow")
    assert "| `rho` | `28.0` | `[0, 350]` | reduced Rayleigh number |" in chaotic
    assert "their sum is −(σ + 1 + β) exactly" in chaotic


def test_every_model_and_option_is_in_the_catalogue() -> None:
    page = models.catalogue()
    for name, cls in MODELS.items():
        assert f"\n## {escaped(name)} {{ #{name} }}\n" in page
        assert f"{escaped(cls.equation)}\n{{ .equation }}" in page
        for key in cls.Config.model_fields:
            assert f"* `model_args.{key} = " in page or f"* <code>model&#95;args.{key}" in page, (name, key)
    for link in re.findall(r"\]\(#(\w+)\)", page):
        assert f"{{ #{link} }}" in page, link


def test_every_setting_of_a_run_is_listed() -> None:
    page = options.settings_page()
    for key, section in options.SECTIONS.items():
        for name in section.model_fields:
            assert name in options.SECTIONS or f"`{key}{'.' if key else ''}{name} = " in page, (key, name)
    assert "* `train.lr = 0.003` (&#62; 0)\n" in page
    assert "* `data.seed = 0` (≥ 0): of the training and validation split." in page


def test_every_metric_is_listed_and_defined() -> None:
    page = metrics.registry_page()
    assert set(metrics.TITLES) == set(get_args(Group))
    assert set(metrics.DEFINED) <= set(METRICS)
    for name, metric in METRICS.items():
        assert escaped(metric.heading) in page, name
        assert metric.path in page, name
    blocks = set(re.findall(r"^::: (\S+)$", metrics.definitions_page(), flags=re.MULTILINE))
    assert {f"ddl_dyn.metrics.{path}" for path in metrics.DEFINED.values()} <= blocks
    statistics = set(re.findall(r"^::: (\S+)$", metrics.statistics_page(), flags=re.MULTILINE))
    assert {"ddl_dyn.metrics.decisions.decide", "ddl_dyn.metrics.significance.holm"} <= statistics


def test_every_public_name_has_one_entry() -> None:
    pages = [api.room_page(room) for room in api.rooms()]
    blocks = Counter(path for page in pages for path in re.findall(r"^::: (\S+)$", page, flags=re.MULTILINE))
    assert blocks
    assert set(blocks.values()) == {1}
    for path in blocks:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name), path
    shown = {path.rpartition(".")[2] for path in blocks}
    assert set(ddl_dyn.__all__) - {"__version__", *api.REGISTRIES} <= shown
    # What `open_run` and `rollout` return is named by no `__all__`.
    assert {"OpenRun", "Rollout", "FitResult"} <= shown
    for room, page in zip(api.rooms(), pages, strict=True):
        named = {name for face in api.ROOMS[room] for name in getattr(importlib.import_module(face), "__all__", ())}
        constants = {name for name in api.constants(room) if f"| `{name}` |" in page}
        assert named - constants - set(api.REGISTRIES) <= shown, room


def test_fields_without_a_signature_are_shown() -> None:
    assert entries.entry("ddl_dyn.metrics.statistics.Interval").endswith("\n      show_if_no_docstring: true")
    assert "(../settings.md#train)" in entries.entry("ddl_dyn.config.sections.TrainConfig")
    assert entries.entry("ddl_dyn.metrics.significance.holm") == "::: ddl_dyn.metrics.significance.holm"


def test_the_readme_is_shown_whole() -> None:
    pages = {page: text for page, (source, text) in repository.documents().items() if source == "README.md"}
    whole = (repository.ROOT / "README.md").read_text(encoding="utf-8")
    assert pages["index.md"] + pages["guide.md"].replace("# Guide\n\n", "\n", 1) == whole


def test_links_follow_their_document() -> None:
    text = (
        "[a](docs/results.md#speed) [b](CITATION.cff) [c](examples) [d](https://x.y/z) [e](#e) ![f](docs/study/q3.png)"
    )
    moved, copies = repository.moved(text, "README.md", "index.md")
    assert moved == (
        "[a](results.md#speed) [b](files/CITATION.cff) [c](examples.md) [d](https://x.y/z) [e](#e) ![f](study/q3.png)"
    )
    assert copies == {"CITATION.cff"}
    moved, copies = repository.moved("[a](../README.md) [b](../tests/conftest.py)", "docs/adding.md", "adding.md")
    assert (moved, copies) == ("[a](index.md) [b](files/tests/conftest.py)", {"tests/conftest.py"})
    with pytest.raises(ValueError, match=r"README\.md: links must lead to files of the repository, got benchmarks"):
        repository.moved("[a](benchmarks)", "README.md", "index.md")
    with pytest.raises(
        ValueError, match=r"docs/adding\.md: links must lead to files of the repository, got \.\./gone\.py"
    ):
        repository.moved("[a](../gone.py)", "docs/adding.md", "adding.md")


def test_what_is_folded_away_stays_markdown() -> None:
    moved, _ = repository.moved("<details><summary>All</summary>\n\n| a |\n|---|\n</details>", "README.md", "index.md")
    assert moved == '<details markdown="1">\n<summary>All</summary>\n\n\n| a |\n|---|\n</details>'


def test_examples_are_cells() -> None:
    page, copies = repository.examples()
    assert len(copies) >= 5
    assert page.count("\n## ") == len(copies)
    assert not re.search(r"^# %%", page, flags=re.MULTILINE)
    assert all(f"]({repository.COPIES}/{path})" in page for path in copies)
