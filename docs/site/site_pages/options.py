"""Options of a configuration's section: their defaults, their bounds, what they mean."""

from __future__ import annotations

import inspect
from itertools import groupby

from ddl_dyn.cli.catalogue import bounds_text
from ddl_dyn.config.sections import BudgetConfig, DataConfig, EvalConfig, RunConfig, Section, TrainConfig
from site_pages.markdown import code, escaped, items_of

# Sections of a run, by the word before the dot of their options.
SECTIONS: dict[str, type[Section]] = {
    "": RunConfig,
    "data": DataConfig,
    "train": TrainConfig,
    "eval": EvalConfig,
    "budget": BudgetConfig,
}


def meanings(section: type[Section]) -> tuple[str, dict[str, str]]:
    """Text of a section's docstring on the section, and on each of its options."""
    said: list[str] = []
    of_option: dict[str, str] = {}
    for filled, lines in groupby((inspect.getdoc(section) or "").splitlines(), key=lambda line: bool(line.strip())):
        paragraph = list(lines)
        if paragraph[0].startswith("Example:"):
            break
        if items := items_of(paragraph) if filled else None:
            of_option |= {name: text for names, text in items for name in names.split(", ")}
        elif filled:
            said.append(escaped(" ".join(paragraph)))
    return "\n\n".join(said), of_option


def own_options(section: type[Section]) -> list[str]:
    """Options that a section declares itself, those that it declares anew among them."""
    return [name for name in vars(section).get("__annotations__", {}) if name in section.model_fields]


def options(section: type[Section], *, prefix: str) -> str:
    """A list of the options that a section declares itself, each with its default, bounds and meaning.

    Args:
        section: of a run's configuration.   prefix: words before an option's name, such as `train.`.
    """
    _, said = meanings(section)
    entries = []
    for name in own_options(section):
        field = section.model_fields[name]
        default = field.get_default(call_default_factory=True)
        # A section within a section has a heading of its own.
        if not isinstance(default, Section):
            term = f"{code(f'{prefix}{name} = {default!r}')} {escaped(bounds_text(field).strip())}".strip()
            entries.append(f"* {term}{': ' if name in said else ''}{escaped(said.get(name, ''))}")
    return "\n".join(entries)


def settings_page() -> str:
    """The page of a run's settings."""
    parts = [
        "# Settings of a run\n\n"
        "What `ddl-dyn run with` takes as `key=value`, and `compare` and `sweep` too, with the defaults of a single "
        "run. `task_args.` is followed by a parameter of the [task](tasks.md), `model_args.` by an option of the "
        "[model](catalogue.md)."
    ]
    for key, section in SECTIONS.items():
        said, _ = meanings(section)
        parts.append(f"## {key or 'run'}\n\n{said}\n\n" + options(section, prefix=f"{key}." if key else ""))
    return "\n\n".join(parts) + "\n"
