"""Training replicas on windows of trajectories: no I/O, no tracking, resumable from a plain state.

Axes: R replicas, B batch, N trajectories, T steps, D observed state, U inputs, E validations.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.cuda_graph import GraphedUpdate
from ddl_dyn.engine.losses import choose_loss, free_run_error
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.engine.rollout import rollout
from ddl_dyn.models.closed_form import ClosedForm
from ddl_dyn.training.adamw import AdamW
from ddl_dyn.training.memory import peak_memory
from ddl_dyn.training.result import FitResult, Progress
from ddl_dyn.training.schedule import Series, Windows, horizon_at, learning_rate

# Compiling costs seconds, an eager step with its gradient a quarter of a millisecond or more: below this many steps of
# training it cannot pay.
COMPILE_ABOVE = 20_000


class Trainer:
    """State of a training run between two updates; `fit` drives it.

    Args:
        replicas: trained in place.   train, val: in model units.   config: see `TrainConfig`.
        factors: (R,), multiples of the scheduled learning rate, one a replica; None trains all at the rate itself.
    Raises:
        ValueError: when the horizon does not fit the trajectories or the stack.
    """

    def __init__(
        self,
        replicas: Replicas,
        train: Series,
        val: Series,
        config: TrainConfig,
        factors: Sequence[float] | None = None,
    ) -> None:
        _check(replicas, train, val, config)
        self.replicas, self.config = replicas, config
        self.loss = choose_loss(config.loss, train.states)
        device, dtype = replicas.device, replicas.dtype
        self.windows = Windows(train, replicas.seeds, config.batch, device, dtype)
        self.val_states = torch.as_tensor(np.asarray(val.states), dtype=dtype).to(device)
        self.val_inputs = torch.as_tensor(np.asarray(val.inputs), dtype=dtype).to(device)
        limit = min((n for n in (replicas.max_steps, config.validate_steps) if n is not None), default=None)
        if limit is not None:
            self.val_states, self.val_inputs = self.val_states[:, : limit + 1], self.val_inputs[:, :limit]
        self.updates = 0 if replicas.template.closed_form else config.updates
        replicas.checkpointing = config.checkpointing
        self.optimizer = AdamW(replicas.flat, config.weight_decay, factors)
        self.gradient = torch.zeros_like(replicas.flat)
        self._graph: GraphedUpdate | None = None
        R = replicas.size
        self.update = 0
        self.alive = torch.ones(R, dtype=torch.bool, device=device)
        self.diverged = torch.zeros_like(self.alive)
        self.best_val = torch.full((R,), torch.inf, dtype=dtype, device=device)
        self.best_update = torch.zeros(R, dtype=torch.int64, device=device)
        self.best = replicas.state_dict()
        self.loss_sum = torch.zeros(R, dtype=dtype, device=device)
        self.loss_count = 0
        self.history: list[Progress] = []

    def compile(self) -> bool:
        """Let the replicas' step be compiled where the configuration asks for it or where it is worth its time."""
        config = self.config
        wanted = config.compile == "on" or (config.compile == "auto" and self.updates * config.horizon > COMPILE_ABOVE)
        compiled = wanted and self.replicas.compile()
        if config.compile == "on" and not compiled:
            warnings.warn(f"train.compile=on: free runs stay eager: {self.replicas.why_eager}", stacklevel=2)
        return compiled

    def step(self) -> None:
        """One update of all replicas that are alive, without waiting for the device."""
        self.optimizer.prepare(learning_rate(self.config, self.update))
        uniform, horizon = self.windows.uniform(self.update), horizon_at(self.config, self.update)
        if self._graph is None and uniform.is_cuda and not self.replicas.template.joint:
            self._graph = GraphedUpdate(self._update, uniform)
        (self._graph or self._update)(uniform, horizon)
        self.loss_count += 1
        self.update += 1

    def _update(self, uniform: Tensor, horizon: int) -> None:
        """Windows, losses, clipped gradients and the optimiser's update, in place: nothing here looks at a number."""
        x0, target, inputs = self.windows.cut(uniform, horizon)
        loss, gradient = self.replicas.loss_and_gradient(self.loss, x0, inputs, target)
        norm = torch.linalg.vector_norm(gradient, dim=1)
        finite = loss + norm < torch.inf
        self.diverged |= self.alive & ~finite
        self.alive &= finite
        factor = (self.config.clip / norm.clamp(min=1e-12)).clamp(max=1.0)
        self.gradient = torch.where(self.alive[:, None], gradient * factor[:, None], 0.0)
        self.optimizer.apply(self.gradient)
        self.loss_sum += loss

    @torch.no_grad()
    def solve(self, train: Series) -> None:
        """Solve a model in closed form from the whole training set, in float64; its loss on one batch of windows stands
        for a training loss.
        """
        states, inputs = (torch.as_tensor(np.asarray(a), dtype=torch.float64) for a in (train.states, train.inputs))
        rows = []
        for r in range(self.replicas.size):
            model = self.replicas.model(r).cpu()
            assert isinstance(model, ClosedForm)
            model.solve(states, inputs)
            rows.append(model.state_dict())
        self.replicas.load_state_dict({name: torch.stack([row[name] for row in rows]) for name in rows[0]})
        self.best = self.replicas.state_dict()
        self.loss_sum += self.window_loss(self.config.horizon)
        self.loss_count += 1

    def window_loss(self, horizon: int) -> Tensor:
        """Loss (R,) on the windows of the present update."""
        x0, target, inputs = self.windows.draw(self.update, horizon)
        return self.replicas.loss(self.loss, x0, inputs, target)

    @torch.no_grad()
    def validate(self, seconds: float) -> Progress:
        """Free-run error on the validation set; keeps each replica's best parameters."""
        run = rollout(self.replicas, self.val_states[:, 0], self.val_states.shape[1] - 1, self.val_inputs)
        error = free_run_error(self.loss, run.states[..., 1:, :], self.val_states[:, 1:])
        better = self.alive & (error < self.best_val)
        self.best_val = torch.where(better, error, self.best_val)
        self.best_update = torch.where(better, self.update, self.best_update)
        if self.config.patience is not None:
            since = self.update - self.best_update
            self.alive &= since < self.config.patience * self.config.validate_every
        now = self.replicas.state_dict()
        for name, value in now.items():
            shape = (-1, *[1] * (value.ndim - 1))
            self.best[name] = torch.where(better.view(shape), value, self.best[name])
            # The optimiser's momentum still moves a replica that has stopped: put it back.
            now[name] = torch.where(self.alive.view(shape), value, self.best[name])
        self.replicas.load_state_dict(now)
        progress = Progress(
            update=self.update,
            updates=self.updates,
            horizon=horizon_at(self.config, max(self.update - 1, 0)),
            lr=learning_rate(self.config, max(self.update - 1, 0)),
            seconds=seconds,
            loss=(self.loss_sum / max(self.loss_count, 1)).cpu().numpy().copy(),
            val=error.cpu().numpy().copy(),
            alive=self.alive.cpu().numpy().copy(),
        )
        self.loss_sum.zero_()
        self.loss_count = 0
        self.history.append(progress)
        return progress

    def restore_best(self) -> None:
        """Load each replica's best checkpoint."""
        self.replicas.load_state_dict(self.best)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next update depends on, as tensors and plain numbers (loads with weights_only=True)."""
        return {
            "replicas": self.replicas.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "history": [progress.to_plain() for progress in self.history],
            **{name: getattr(self, name) for name in CARRIED},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Raises:
            ValueError: when the state belongs to other replicas.
        """
        self.replicas.load_state_dict(state["replicas"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = {name: t.clone() for name, t in state["best"].items()}
        for name in CARRIED:
            value = state[name]
            if isinstance(value, Tensor):
                getattr(self, name).copy_(value)
            else:
                setattr(self, name, value)
        self.history = [Progress.from_plain(row) for row in state["history"]]


CARRIED = ("update", "alive", "diverged", "best_val", "best_update", "loss_sum", "loss_count")


def fit(
    replicas: Replicas,
    train: Series,
    val: Series,
    config: TrainConfig,
    *,
    factors: Sequence[float] | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
    on_update: Callable[[Trainer], None] | None = None,
    state: dict[str, Any] | None = None,
) -> FitResult:
    """Train all replicas in place and leave each with its best checkpoint by validation free-run error.

    A model in closed form is solved from the training set instead, and validated once.

    Args:
        replicas: on the device and in the dtype they are to be trained in.
        train, val: anything with `.states` (N, T+1, D) and `.inputs` (N, T, U) in model units.
        config: see `TrainConfig`; `device` and `dtype` are the caller's to apply, with `Replicas.to`.
        factors: (R,), multiples of the scheduled learning rate, one a replica (see `tuning`).
        on_epoch: called after each validation.   on_update: called after each update, for checkpoints.
        state: a `Trainer.state_dict()` to continue from.
    Returns:
        `FitResult`. A replica that diverges stops and is reported; the others go on.
    Raises:
        ValueError: when the horizon does not fit the trajectories or the stack.
    Example:
        >>> from ddl_dyn import Replicas, TrainConfig, fit, make_dataset, make_model, make_task
        >>> data = make_dataset(make_task("rotation"), n_train=8, n_val=4, n_test=4, n_ood=0, steps=20)
        >>> replicas = Replicas(lambda: make_model("linear", state_dim=2), seeds=[0])
        >>> bool(fit(replicas, data.train, data.val, TrainConfig()).best_val[0] < 1e-6)
        True
    """
    if replicas.device.type == "cpu" and config.threads:
        torch.set_num_threads(config.threads)
    torch.backends.cuda.matmul.allow_tf32 = config.tf32
    began = time.perf_counter()
    trainer = Trainer(replicas, train, val, config, factors)
    if state is not None:
        trainer.load_state_dict(state)
    elif replicas.template.closed_form:
        trainer.solve(train)
    before = trainer.history[-1].seconds if trainer.history else 0.0
    compiled = trainer.compile()
    with peak_memory(replicas.device) as peak:
        _drive(trainer, lambda: before + time.perf_counter() - began, on_epoch, on_update)
    trainer.restore_best()
    return FitResult(
        history=trainer.history,
        best_val=trainer.best_val.cpu().numpy(),
        best_update=trainer.best_update.cpu().numpy(),
        diverged=trainer.diverged.cpu().numpy(),
        seconds=before + time.perf_counter() - began,
        updates=trainer.update,
        compiled=compiled,
        peak_memory_bytes=peak.bytes,
    )


def _drive(
    trainer: Trainer,
    seconds: Callable[[], float],
    on_epoch: Callable[[Progress], None] | None,
    on_update: Callable[[Trainer], None] | None,
) -> None:
    """Updates and validations until the last update, or until no replica is alive."""
    every = trainer.config.validate_every
    while True:
        due = trainer.update % every == 0 or trainer.update >= trainer.updates
        if due and not (trainer.history and trainer.history[-1].update == trainer.update):
            progress = trainer.validate(seconds())
            if on_epoch is not None:
                on_epoch(progress)
            if not progress.alive.any():
                break
        if trainer.update >= trainer.updates:
            break
        trainer.step()
        if on_update is not None:
            on_update(trainer)


def _check(replicas: Replicas, train: Series, val: Series, config: TrainConfig) -> None:
    for name, series in (("train", train), ("val", val)):
        shape = np.shape(series.states)
        if len(shape) != 3 or shape[-1] != replicas.template.state_dim:
            raise ValueError(f"{name}.states must have shape (N, T+1, {replicas.template.state_dim}), got {shape}")
        if not np.isfinite(np.asarray(series.states)).all():
            raise ValueError(f"{name}.states holds numbers that are not finite; clean the data first")
    steps = np.shape(train.states)[1] - 1
    limit = replicas.max_steps
    if config.horizon > steps:
        raise ValueError(
            f"train.horizon = {config.horizon} needs training trajectories of at least that many steps, got {steps}; "
            "lower train.horizon or raise data.steps"
        )
    if limit is not None and config.horizon > limit:
        raise ValueError(
            f"train.horizon = {config.horizon} exceeds the untied stack's {limit} layers; "
            "lower train.horizon or add layers"
        )
