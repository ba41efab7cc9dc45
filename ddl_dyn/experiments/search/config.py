"""A search as it was asked for: settings that are fixed, ranges of the others, and how many trials."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from ddl_dyn.config.hints import nearest_key
from ddl_dyn.config.parsing import ConfigError, Typed, explained, flatten, merged, nested, shaped
from ddl_dyn.config.sections import RunConfig, Section, TrainConfig
from ddl_dyn.experiments.fingerprint import config_hash
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.search.ranges import EXPECTED, Range, as_range, as_value

# What trials are scored by must be the same for all: these change it.
_NEVER = ("train.loss", "train.validate_steps", "train.validate_every")


class SearchConfig(Section):
    """A search.

    trials: how many are to be finished; those of an earlier search with the same settings count.
    seed: of the proposals. One process proposes the same after an interruption as without one; several side by side
        propose from what has ended by then.
    prune: stop a trial whose median validation error lies above the median of the other trials at the same update,
        once five have ended and a third of the updates is done.
    """

    trials: int = Field(default=30, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0, lt=2**32)
    prune: bool = True


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """A search that has been checked.

    Args:
        fixed: nested settings of every trial, as typed or read.   spans: ranges by dotted key.
        search: number of trials, seed, pruning.   search_id: of its folder, from settings, ranges and seed.
    """

    fixed: Mapping[str, Any]
    spans: Mapping[str, Range]
    search: SearchConfig
    search_id: str

    def config_of(self, proposed: Mapping[str, object]) -> RunConfig:
        """The configuration of a trial, marked with the search's id.

        Raises:
            ConfigError: when the values contradict each other.
        """
        config = _resolve(self.fixed, {key: as_value(span, proposed[key]) for key, span in self.spans.items()})
        return config.model_copy(update={"tags": (*config.tags, self.search_id)})

    @property
    def prunes(self) -> bool:
        """True where trials can be stopped early: not where they differ in the number of their updates."""
        return self.search.prune and "train.updates" not in self.spans


def resolve_search(updates: Mapping[str, object]) -> SearchPlan:
    """Fixed settings and ranges, each end and choice checked like a run's.

    Args:
        updates: nested; values are Python's own or `Typed` text from the command line.
    Raises:
        ConfigError: with every problem found, one line each.
    """
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError(["search needs Optuna, which is not installed; `pip install 'ddl-dyn[search]'`"])
    search, problems = _section(updates.get("search", {}))
    fixed: dict[str, Any] = {}
    spans: dict[str, Range] = {}
    for key, value in flatten({name: part for name, part in updates.items() if name != "search"}):
        try:
            span = None if key in ("note", "tags") else as_range(key, value)
        except ValueError as error:
            problems.append(str(error))
            continue
        if span is None:
            fixed = merged(fixed, nested(key, value))
        else:
            spans[key] = span
    problems += list(_misplaced(spans))
    if not spans and not problems:
        problems.append(f"nothing to search: write e.g. train.lr=log(1e-4,1e-1); {EXPECTED}")
    if problems:
        raise ConfigError(problems)
    base = _check(fixed, spans)
    if "train.lr" in spans and base.train.lr_grid:
        raise ConfigError(["train.lr_grid tunes the rate that train.lr=… searches; leave one of them out"])
    told = [config_hash(base), {key: span.text for key, span in sorted(spans.items())}, search.seed]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:10]
    return SearchPlan(fixed=fixed, spans=spans, search=search, search_id=f"search-{digest}")


def _section(given: object) -> tuple[SearchConfig, list[str]]:
    if not isinstance(given, Mapping):
        said = given.text if isinstance(given, Typed) else given
        return SearchConfig(), [f"search is a section, got {said!r}; set one of its keys, e.g. search.trials=30"]
    try:
        return SearchConfig(**shaped(SearchConfig, given)), []
    except ValidationError as error:
        lines = explained(SearchConfig, error)
        return SearchConfig(), [
            line.replace("unknown key '", "unknown key 'search.") if line.startswith("unknown") else f"search.{line}"
            for line in lines
        ]


def _misplaced(spans: Mapping[str, Range]) -> Iterator[str]:
    for key, span in spans.items():
        if not key.startswith(("train.", "model_args.")):
            near = nearest_key(key, [f"train.{name}" for name in TrainConfig.model_fields])
            yield (
                f"{key}={span.text}: ranges are for train.… and model_args.…{near}; other keys change what trials are "
                "scored on"
            )
        elif key in _NEVER:
            yield f"{key}={span.text}: it changes the validation error that trials are scored by; give it one value"


def _check(fixed: Mapping[str, Any], spans: Mapping[str, Range]) -> RunConfig:
    """The configuration at the first end of each range; each other end and choice is tried in its place."""
    first = {key: span.probes[0] for key, span in spans.items()}
    base = _resolve(fixed, first)
    problems: list[str] = []
    for key, span in spans.items():
        for probe in span.probes[1:]:
            try:
                _resolve(fixed, first | {key: probe})
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(problems)
    return base


def _resolve(fixed: Mapping[str, Any], values: Mapping[str, object]) -> RunConfig:
    settings = dict(fixed)
    for key, value in values.items():
        settings = merged(settings, nested(key, value))
    return resolve_run(settings)
