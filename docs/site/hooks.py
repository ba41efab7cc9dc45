"""Steps of a build that mkdocs calls: generated pages, links, portraits, a check of the result."""

from __future__ import annotations

import logging
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from site_pages import api, metrics, models, options, repository, tasks
from site_pages.check import problems

log = logging.getLogger("mkdocs.hooks.site")
# A name of the package as code, which is no link yet.
_NAME = re.compile(r"(?<!\[)`(ddl_dyn(?:\.\w+)+)`")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the parts of the navigation that registries and rooms decide."""
    filled: dict[str, list[Any]] = {
        "Tasks": ["tasks.md", *({tasks.title_of(family): tasks.page_of_family(family)} for family in tasks.families())],
        "Interface": ["api/index.md", *({room: f"api/{room}.md"} for room in api.rooms())],
    }
    for entry in config.nav or []:
        for title in entry:
            entry[title] = filled.pop(title, entry[title])
    if filled:
        raise PluginError(f"mkdocs.yml: nav must have the entries {', '.join(filled)}")
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what is generated, and the documents and files of the repository that lie outside docs/.

    Raises:
        PluginError: for a document's link that leads to no file.
    """
    for uri, text in _generated().items():
        _put(files, File.generated(config, uri, content=text))
    try:
        copies = _documents(files, config)
    except ValueError as error:
        raise PluginError(str(error)) from error
    for path in sorted(copies):
        _put(files, File.generated(config, f"{repository.COPIES}/{path}", abs_src_path=str(repository.ROOT / path)))
    for name in tasks.drawn_tasks():
        _draw(name, files, config)
    return files


def _generated() -> dict[str, str]:
    """Place in the site -> text of every page that is made from the code."""
    return {
        "tasks.md": tasks.overview(),
        "catalogue.md": models.catalogue(),
        "settings.md": options.settings_page(),
        "metrics.md": metrics.registry_page(),
        "definitions.md": metrics.definitions_page(),
        "statistics.md": metrics.statistics_page(),
        "api/index.md": api.face_page(),
        **{tasks.page_of_family(family): tasks.family_page(family) for family in tasks.families()},
        **{f"api/{room}.md": api.room_page(room) for room in api.rooms()},
    }


def _documents(files: Files, config: MkDocsConfig) -> set[str]:
    """Bring the repository's documents in, their links as the site wants them; returns the files to be copied."""
    needed: set[str] = set()
    for file in [each for each in files.documentation_pages() if each.generated_by is None]:
        file.content_string, copies = repository.moved(file.content_string, f"docs/{file.src_uri}", file.src_uri)
        needed |= copies
    for page, (source, text) in repository.documents().items():
        shown, copies = repository.moved(text, source, page)
        _put(files, File.generated(config, page, content=shown))
        needed |= copies
    shown, scripts = repository.examples()
    _put(files, File.generated(config, repository.PAGES["examples"], content=shown))
    return needed.union(scripts)


def _put(files: Files, file: File) -> None:
    """Add a file, in the place of the one that has its name."""
    if there := files.get_file_from_path(file.src_uri):
        files.remove(there)
    files.append(file)


def _draw(name: str, files: Files, config: MkDocsConfig) -> None:
    """Draw the portrait of a task that has come since those of docs/figures were drawn."""
    uri = str(tasks.portrait(name))
    if files.get_file_from_path(uri) is None:
        from ddl_dyn.cli.gallery import write_portrait

        log.info("drawing the portrait of %s", name)
        with TemporaryDirectory() as folder:
            drawn = write_portrait(name, Path(folder, f"{name}.png")).read_bytes()
        files.append(File.generated(config, uri, content=drawn))


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Leave out marks of what a program fills in, link names of the package, give the room of an empty menu away."""
    if page.parent is None:
        page.meta["hide"] = ["navigation", "toc"] if page.is_homepage else ["navigation"]
    kept = "\n".join(line for line in markdown.split("\n") if not line.strip().startswith("<!--"))
    return _NAME.sub(lambda found: f"[{found[0]}][{found[1]}]" if found[1] in _documented() else found[0], kept)


@cache
def _documented() -> set[str]:
    """Dotted paths that have an entry on a page of the interface or of the metrics."""
    named = metrics.definitions_page() + metrics.statistics_page() + "".join(map(api.room_page, api.rooms()))
    return set(re.findall(r"^::: (\S+)$", named, flags=re.MULTILINE))


def on_post_build(*, config: MkDocsConfig) -> None:
    """Look at what was built: every link and anchor leads somewhere, and nothing is fetched from elsewhere.

    Raises:
        PluginError: with all that is wrong.
    """
    if found := problems(Path(config.site_dir)):
        raise PluginError("\n".join(["the site has faults:", *found]))
