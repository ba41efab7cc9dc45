"""Training replicas on windows of trajectories: no I/O, no tracking, resumable from a plain state.

Axes: R replicas, B batch, N trajectories, T steps, D observed state, U inputs, E validations.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.cuda_graph import GraphedUpdate
from ddl_dyn.engine.forcing import forced, forced_inputs
from ddl_dyn.engine.losses import choose_loss, free_run_error
from ddl_dyn.engine.replicas import Replicas
from ddl_dyn.engine.rollout import rollout
from ddl_dyn.engine.threads import available_threads
from ddl_dyn.models.closed_form import ClosedForm
from ddl_dyn.training.adamw import AdamW
from ddl_dyn.training.memory import peak_memory
from ddl_dyn.training.result import FitResult, Progress
from ddl_dyn.training.schedule import Windows, forcing_at, horizon_at, rate_shape, worth_compiling
from ddl_dyn.training.series import TrajectorySet, check_horizon, data_sets


class Trainer:
    """State of a training run between two updates; `fit` drives it.

    Args:
        replicas: trained in place.   config: see `TrainConfig`.
        train, val: in model units; one series for all replicas, or one a data set of the replicas.
        rates: (R,), the highest learning rate of each replica; None for that of the configuration.
    Raises:
        ValueError: when the horizon does not fit the trajectories or the stack, or the data do not fit the replicas.
    """

    def __init__(
        self,
        replicas: Replicas,
        train: TrajectorySet | Sequence[TrajectorySet],
        val: TrajectorySet | Sequence[TrajectorySet],
        config: TrainConfig,
        rates: Sequence[float] | None = None,
    ) -> None:
        self.replicas, self.config, self.train = replicas, config, data_sets(train, replicas, "train")
        check_horizon(replicas, self.train.steps, config)
        self.loss = choose_loss(config.loss, self.train.states)
        self.windows = Windows(self.train, replicas, config.batch)
        limit = min((n for n in (replicas.max_steps, config.validate_steps) if n is not None), default=None)
        self.val_states, self.val_inputs = data_sets(val, replicas, "val").of_replicas(replicas, limit)
        self.updates = 0 if replicas.template.closed_form else config.updates
        replicas.checkpointing = config.checkpointing
        self.optimizer = AdamW(replicas.flat, config.weight_decay, [config.lr] if rates is None else rates)
        # Replicas whose windows are trained on: free runs, or forced ones on the same parameters.
        self.runs = forced(replicas, config.forcing_kind) if config.forcing and self.updates else replicas
        self.forcing = torch.zeros((), dtype=replicas.dtype, device=replicas.device)
        self.gradient = torch.zeros_like(replicas.flat)
        self._graph: GraphedUpdate | None = None
        R, device, dtype = replicas.size, replicas.device, replicas.dtype
        self.update = 0
        self.alive = torch.ones(R, dtype=torch.bool, device=device)
        self.diverged = torch.zeros_like(self.alive)
        self.best_val = torch.full((R,), torch.inf, dtype=dtype, device=device)
        self.best_update = torch.zeros(R, dtype=torch.int64, device=device)
        self.best, self.last = replicas.state_dict(), replicas.state_dict()
        self.loss_sum = torch.zeros(R, dtype=dtype, device=device)
        self.loss_count = 0
        self.history: list[Progress] = []

    def compile(self) -> bool:
        """Compile free runs where the configuration asks for it or where it is worth its time, and set the threads."""
        config = self.config
        worth = worth_compiling(config, [(self.replicas.size, config.updates)])
        # Compiled before, they stay it: trials share with one another what each alone would be too short for.
        wanted = (worth and (self.updates > 0 or config.compile == "on")) or self.replicas.compiled
        compiled = wanted and self.runs.compile() and self.replicas.compile()
        if config.compile == "on" and not compiled:
            why = self.runs.why_eager or self.replicas.why_eager
            warnings.warn(f"train.compile=on: free runs stay eager: {why}", stacklevel=2)
        if self.replicas.device.type == "cpu":
            self.replicas.threads = self.runs.threads = config.threads or available_threads()
            # Torch's small operations between compiled free runs slow down when they are shared out.
            torch.set_num_threads(1 if compiled else max(config.threads, 1))
        return compiled

    def step(self) -> None:
        """One update of all replicas that are alive, without waiting for the device."""
        self.optimizer.prepare(rate_shape(self.config, self.update))
        self.forcing.fill_(forcing_at(self.config, self.update))
        uniform, horizon = self.windows.uniform(self.update), horizon_at(self.config, self.update)
        if self._graph is None and uniform.is_cuda and not self.replicas.template.joint:
            self._graph = GraphedUpdate(self._update, uniform, self.runs.model_on_call)
        (self._graph or self._update)(uniform, horizon)
        self.loss_count += 1
        self.update += 1

    def _update(self, uniform: Tensor, horizon: int) -> None:
        """Windows, losses, clipped gradients and the optimiser's update, in place: nothing here looks at a number."""
        x0, target, inputs = self.windows.cut(uniform, horizon)
        if self.runs is not self.replicas:
            inputs = forced_inputs(inputs, x0, target, self.forcing, self.config.forcing_interval)
        loss, gradient = self.runs.loss_and_gradient(self.loss, x0, inputs, target)
        norm = torch.linalg.vector_norm(gradient, dim=1)
        finite = loss + norm < torch.inf
        self.diverged |= self.alive & ~finite
        self.alive &= finite
        factor = (self.config.clip / norm.clamp(min=1e-12)).clamp(max=1.0)
        self.gradient = torch.where(self.alive[:, None], gradient * factor[:, None], 0.0)
        self.optimizer.apply(self.gradient)
        self.loss_sum += loss

    @torch.no_grad()
    def solve(self) -> None:
        """Solve a model in closed form from its whole training set, in float64; its loss on one batch of windows stands
        for a training loss.
        """
        rows = []
        for r, g in enumerate(self.replicas.data_sets):
            model = self.replicas.model(r).cpu()
            assert isinstance(model, ClosedForm)
            model.solve(torch.as_tensor(self.train.states[g]), torch.as_tensor(self.train.inputs[g]))
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
        """Free-run error on the validation set; keeps each replica's best parameters, and the last before it stopped.

        Parameters that no update has touched are never the best, unless there is none to make.
        """
        steps = self.val_states.shape[-2] - 1
        run = rollout(self.replicas, self.val_states[..., 0, :], steps, self.val_inputs)
        error = free_run_error(self.loss, run.states[..., 1:, :], self.val_states[..., 1:, :])
        now = self.replicas.state_dict()
        self.last = _chosen(self.alive, now, self.last)
        better = self.alive & (error < self.best_val)
        if self.update or not self.updates:
            self.best_val = torch.where(better, error, self.best_val)
            self.best_update = torch.where(better, self.update, self.best_update)
            self.best = _chosen(better, now, self.best)
        if self.config.patience is not None:
            since = self.update - self.best_update
            self.alive &= since < self.config.patience * self.config.validate_every
        # The optimiser's momentum still moves a replica that has stopped: put it back.
        self.replicas.load_state_dict(_chosen(self.alive, now, self.best))
        progress = Progress(
            update=self.update,
            updates=self.updates,
            horizon=horizon_at(self.config, max(self.update - 1, 0)),
            lr=self.config.lr * rate_shape(self.config, max(self.update - 1, 0)),
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
            "last": self.last,
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
        self.best, self.last = ({name: t.clone() for name, t in state[key].items()} for key in ("best", "last"))
        for name in CARRIED:
            value = state[name]
            if isinstance(value, Tensor):
                getattr(self, name).copy_(value)
            else:
                setattr(self, name, value)
        self.history = [Progress.from_plain(row) for row in state["history"]]


def _chosen(rows: Tensor, first: dict[str, Tensor], second: dict[str, Tensor]) -> dict[str, Tensor]:
    """Parameters of the first state for the replicas chosen (R,), of the second for the others."""
    return {n: torch.where(rows.view(-1, *[1] * (t.ndim - 1)), t, second[n]) for n, t in first.items()}


CARRIED = ("update", "alive", "diverged", "best_val", "best_update", "loss_sum", "loss_count")
STATE = ("replicas", "optimizer", "best", "last", "history", *CARRIED)


def fit(
    replicas: Replicas,
    train: TrajectorySet | Sequence[TrajectorySet],
    val: TrajectorySet | Sequence[TrajectorySet],
    config: TrainConfig,
    *,
    rates: Sequence[float] | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
    on_update: Callable[[Trainer], None] | None = None,
    state: dict[str, object] | None = None,
) -> FitResult:
    """Train all replicas in place and leave each with its best checkpoint by validation free-run error.

    A model in closed form is solved from the training set instead, and validated once.

    Args:
        replicas: on the device and in the dtype they are to be trained in.
        train, val: anything with `.states` (N, T+1, D) and `.inputs` (N, T, U) in model units; a list of them, one a
            data set of the replicas, trains each replica on its own.
        config: see `TrainConfig`; `device` and `dtype` are the caller's to apply, with `Replicas.to`.
        rates: (R,), the highest learning rate of each replica; None for `config.lr`.
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
    if replicas.device.type == "cpu":
        torch.set_num_threads(max(config.threads, 1))
    torch.backends.cuda.matmul.allow_tf32 = config.tf32
    began = time.perf_counter()
    trainer = Trainer(replicas, train, val, config, rates)
    if state is not None:
        trainer.load_state_dict(state)
    elif replicas.template.closed_form:
        trainer.solve()
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
        last=trainer.last,
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
