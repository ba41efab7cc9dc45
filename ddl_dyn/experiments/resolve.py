"""From what a user typed to a typed configuration, or to a list of everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ddl_dyn.config.parsing import ConfigError, explained, merged, shaped
from ddl_dyn.config.sections import DATA_SETS, LR_GRID, SEEDS, RunConfig

# Sacred hands the seed to numpy's global generator, which takes 32 bits.
SEED_LIMIT = 2**32


def resolve_run(updates: Mapping[str, object], *, compared: bool = False) -> RunConfig:
    """The whole configuration of a run, checked against the task and the model it names.

    Args:
        updates: nested; values are Python's own or `Typed` text from the command line.
        compared: whether the run is one of a comparison or a sweep, whose seeds, data sets and tuning are others where
            none are given.
    Returns:
        The configuration with the model's options completed by their defaults.
    Raises:
        ConfigError: with every problem found, one line each.
    """
    problems: list[str] = []
    if compared:
        updates = merged({"seeds": SEEDS, "train": {} if fixes_rate(updates) else {"lr_grid": LR_GRID}}, updates)
    values = shaped(RunConfig, updates)
    config: RunConfig | None = None
    try:
        config = RunConfig(**values)
    except ValidationError as error:
        problems += explained(RunConfig, error)
    chosen = {
        key: values.get(key, RunConfig.model_fields[key].get_default(call_default_factory=True))
        for key in ("task", "task_args", "model", "model_args")
    }
    task = _task(chosen["task"], chosen["task_args"], problems)
    options = _model_options(chosen["model"], updates.get("model_args", {}), problems)
    if config is not None and config.seed + config.seeds > SEED_LIMIT:
        problems.append(f"seed + seeds must not exceed {SEED_LIMIT}, got {config.seed} + {config.seeds}")
    if config is not None and task is not None:
        config = _with_data_sets(config, task, compared, problems)
        _check_horizon(config, task, problems)
    if not problems and config is not None and options is not None and task is not None:
        _try_model(config, options, task, problems)
    if problems or config is None:
        raise ConfigError(problems)
    return config.model_copy(update={"model_args": options})


def fixes_rate(settings: Mapping[str, object]) -> bool:
    """True where a learning rate is given and no grid of rates: it is not tuned then.

    Args:
        settings: nested, as far as they are given.
    """
    train = settings.get("train")
    return isinstance(train, Mapping) and "lr" in train and "lr_grid" not in train


def _with_data_sets(config: RunConfig, task: Any, compared: bool, problems: list[str]) -> RunConfig:
    """The configuration with the number of its data sets, which has to divide the seeds."""
    seeds, given = config.seeds, config.data.seeds
    most = DATA_SETS if compared and not task.recorded else 1
    number = given or max(n for n in range(1, most + 1) if seeds % n == 0)
    if seeds % number:
        problems.append(f"data.seeds must divide seeds = {seeds} into equal groups of replicas, got {number}")
    if number > 1 and task.recorded:
        problems.append(f"data.seeds = {number}, but {config.task} is a recorded series, of which there is one")
    return config.model_copy(update={"data": config.data.model_copy(update={"seeds": number})})


def _check_horizon(config: RunConfig, task: Any, problems: list[str]) -> None:
    """Free runs go as far as there is truth; a recorded series has what it has, and its notes say so."""
    if config.eval.long > config.data.steps and not task.recorded:
        problems.append(
            f"eval.long must not exceed data.steps = {config.data.steps}, the steps of the test trajectories, got "
            f"{config.eval.long}; lower eval.long or raise data.steps"
        )


def _task(name: object, params: object, problems: list[str]) -> Any:
    if not isinstance(name, str) or not isinstance(params, Mapping):
        return None
    from ddl_dyn.tasks import make_task
    from ddl_dyn.tasks.contract import check_task

    try:
        task = make_task(name, **params)
        check_task(task)
        return task
    except (ValueError, TypeError, OSError) as error:
        problems.append(f"task: {error}" if "task" not in str(error) else str(error))
    return None


def _model_options(name: object, params: object, problems: list[str]) -> dict[str, Any] | None:
    if not isinstance(name, str) or not isinstance(params, Mapping):
        return None
    from ddl_dyn.models import model_class, model_config

    try:
        return model_config(name, **shaped(model_class(name).Config, params)).model_dump(mode="json")
    except (ValueError, TypeError) as error:
        problems += str(error).splitlines()
    return None


def _try_model(config: RunConfig, options: Mapping[str, Any], task: Any, problems: list[str]) -> None:
    from ddl_dyn.models import model_class
    from ddl_dyn.models.check import complaints
    from ddl_dyn.training.budget import with_latent

    try:
        options = with_latent(config.model, options, config.budget.latent, task.state_dim)
    except ValueError as error:
        problems.append(str(error))
        return
    if options.get("sharing") == "untied" and config.eval.long > options["layers"]:
        problems.append(
            f"eval.long must not exceed model_args.layers = {options['layers']} with sharing=untied, whose layers are "
            f"the steps, got {config.eval.long}; lower eval.long or raise model_args.layers"
        )
    shape = (task.state_dim, task.input_dim, task.dt)
    problems += complaints(model_class(config.model), config.model, json.dumps(options, sort_keys=True), shape)
