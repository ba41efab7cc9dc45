"""Typed configuration: one frozen section per concern. The only home of the suite's defaults.

Every section forbids unknown keys and declares its bounds, so that a typo is an error and never a silent default.
A model's own options live beside the model, in its `Config` (a subclass of `ModelConfig`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

# What a comparison and a sweep take where nothing else is asked for: seeds, the data sets they are spread over, and the
# learning rates that are tried, a factor of about three apart. 2^(−11), the least p of twelve pairs, survives a
# correction over a hundred comparisons.
SEEDS, DATA_SETS = 12, 4
LR_GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)

ForcingKind = Literal["generalised", "identity"]


_INTEGERS = (int, int | None)
# Up to here float64 holds every integer.
LARGEST_INTEGER = 2**53


class Section(BaseModel):
    """Base of all sections: immutable, no unknown keys, no silent conversion (2.5 is no int, 1e3 is)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, values: object) -> Any:
        """1e3 where an integer is asked for is one."""
        if not isinstance(values, Mapping):
            return values
        integral = {
            name: int(value)
            for name, value in values.items()
            if isinstance(value, float)
            and value.is_integer()
            and abs(value) <= LARGEST_INTEGER
            and name in cls.model_fields
            and cls.model_fields[name].annotation in _INTEGERS
        }
        return {**values, **integral} if integral else values

    @field_validator("*", mode="before")
    @classmethod
    def _within_reach(cls, value: Any, info: ValidationInfo) -> Any:
        """No integer that is rounded, or overflows, once it meets a floating-point number."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if annotation is bool and not isinstance(value, bool):
            raise ValueError("input should be a valid boolean")
        if annotation in _INTEGERS and isinstance(value, (int, float)) and abs(value) > LARGEST_INTEGER:
            raise ValueError(f"input should be an integer of at most {LARGEST_INTEGER:,}")
        return value


class ModelConfig(Section):
    """Options that every model shares.

    lift: "linear" embeds the observed state in H latent dimensions; "identity" makes them the same space.
    carry: "observed" reads out and lifts again at every step (the learned map is Φ: R^D → R^D); "latent" lifts once.
    sharing: "tied" applies all layers at every step; "untied" makes layer l the step l (depth is time).
    reencode: share μ of h ← h + μ(lift(read h) − h) after each step with carry="latent"; 1 is carry="observed".
    decay: μ is learned, one number for a model, and starts at `reencode`.
    """

    lift: Literal["linear", "identity"] = "linear"
    carry: Literal["observed", "latent"] = "observed"
    sharing: Literal["tied", "untied"] = "tied"
    layers: int = Field(default=2, ge=1, le=10_000)
    hidden_dim: int = Field(default=32, ge=1, le=65_536)
    reencode: float = Field(default=0.0, ge=0.0, le=1.0)
    decay: bool = False

    @model_validator(mode="after")
    def _reencoding(self) -> ModelConfig:
        if self.reencode and self.carry != "latent":
            raise ValueError(
                f"reencode = {self.reencode} acts on a latent state that is carried, but carry={self.carry} re-encodes "
                "wholly at every step; set carry=latent or drop reencode"
            )
        if self.decay and not 0.0 < self.reencode < 1.0:
            raise ValueError(
                f"decay learns the share of re-encoding from `reencode`, which must lie strictly between 0 and 1, got "
                f"{self.reencode}; set e.g. reencode=0.1"
            )
        return self


class DataConfig(Section):
    """Number, length and noise of the trajectories of each split, the same for every model.

    seed: of the training and validation split.   test_seed: of the test and the out-of-distribution split, so that
        models trained on different data are tested on the same.
    seeds: G different data sets, of the seeds seed … seed + G − 1, for as many equal groups of replicas. None: 1 in a
        single run, and in a comparison or sweep the largest divisor of its number of seeds up to `DATA_SETS`, or 1
        for a recorded series.
    radii: multiples of the training radius at which out-of-distribution starts are drawn too, `n_ood` at each but no
        more than 16, where the task has a radius; they belong to the test, and no other split depends on them.
    """

    n_train: int = Field(default=256, ge=1)
    n_val: int = Field(default=64, ge=1)
    n_test: int = Field(default=64, ge=1)
    n_ood: int = Field(default=64, ge=0)
    steps: int = Field(default=200, ge=1)
    noise: float = Field(default=0.0, ge=0.0, le=1e6)
    seed: int = Field(default=0, ge=0)
    test_seed: int = Field(default=0, ge=0)
    seeds: int | None = Field(default=None, ge=1)
    radii: tuple[Annotated[float, Field(gt=1.0, allow_inf_nan=False)], ...] = (1.5, 2.0, 4.0, 8.0)
    normalize: Literal["auto", "component", "isotropic", "none"] = "auto"

    @model_validator(mode="after")
    def _distinct(self) -> DataConfig:
        if len(set(self.radii)) != len(self.radii):
            raise ValueError(f"data.radii names one radius twice: {', '.join(map(str, self.radii))}")
        return self


class TrainConfig(Section):
    """Optimisation. AdamW with decoupled decay; the horizon (free-run steps per window) grows in the first half.

    loss: "auto" is the cross-entropy where the states are one-hot codes, and the mean squared error elsewhere.
    lr_grid: tuning; learning rates of which the one with the lowest median validation error over the seeds is kept for
        all of them (see `training.tuning`). Empty: `lr` as it is. A comparison and a sweep take `LR_GRID`
        where no `lr` is given.
    validate_steps: free-run steps whose error chooses the best checkpoint; None takes `eval.long` in a run, and the
        Lyapunov time where the task is chaotic: far beyond it a model that fell to the mean scores better (1) than one
        that is right about the attractor (√2).
    compile: whether free runs are compiled; "auto" where training is long enough to pay for it.
    checkpointing: keep only the states at √T times of a window for the gradient and make the steps between them again:
        for horizons whose memory would not fit.
    tf32: let a GPU round the factors of float32 matrix products to 10 bits.
    forcing: teacher forcing; share α by which a window's free run is moved towards the observed state before a step,
        every `forcing_interval` steps. 0: free runs; 1 at every step: one-step predictions. Validation runs free.
    forcing_kind: of a latent state, "generalised" moves all of it towards the lift of the observed state, "identity"
        the observed part alone.
    forcing_schedule: α stays "constant", or falls linearly to 0 at the last update ("annealed").
    threads: of free runs on a CPU; 0 takes all cores that the run may use, its share of them where runs go side by
        side, if it runs compiled, and one if not. Compiled results do not depend on it.

    Example:
        >>> TrainConfig(updates=300, lr=1e-2).schedule
        'one_cycle'
    """

    updates: int = Field(default=1500, ge=0)
    batch: int = Field(default=64, ge=1)
    horizon: int = Field(default=20, ge=1)
    curriculum: bool = True
    lr: float = Field(default=3e-3, gt=0.0)
    lr_grid: tuple[Annotated[float, Field(gt=0.0)], ...] = ()
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    loss: Literal["auto", "mse", "cross_entropy"] = "auto"
    weight_decay: float = Field(default=1e-4, ge=0.0)
    clip: float = Field(default=1.0, gt=0.0)
    validate_every: int = Field(default=100, ge=1)
    validate_steps: int | None = Field(default=None, ge=1)
    patience: int | None = Field(default=None, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["float32", "float64"] = "float32"
    compile: Literal["auto", "on", "off"] = "auto"
    checkpointing: bool = False
    tf32: bool = False
    forcing: float = Field(default=0.0, ge=0.0, le=1.0)
    forcing_kind: ForcingKind = "generalised"
    forcing_interval: int = Field(default=1, ge=1)
    forcing_schedule: Literal["constant", "annealed"] = "constant"
    threads: int = Field(default=0, ge=0, le=1024)

    @model_validator(mode="after")
    def _forcing(self) -> TrainConfig:
        for name in ("forcing_kind", "forcing_interval", "forcing_schedule"):
            if not self.forcing and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"train.{name} has no effect while train.forcing = 0; set train.forcing or drop it")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> TrainConfig:
        if len(set(self.lr_grid)) != len(self.lr_grid):
            raise ValueError(f"train.lr_grid names one rate twice: {', '.join(map(str, self.lr_grid))}")
        return self


class EvalConfig(Section):
    """Free runs on unseen initial states: their length and the two horizons at which errors are quoted, in steps."""

    short: int = Field(default=20, ge=1)
    long: int = Field(default=100, ge=1)
    threshold: float = Field(default=0.4, gt=0.0)
    bootstrap: int = Field(default=2000, ge=100)

    @model_validator(mode="after")
    def _ordered(self) -> EvalConfig:
        if self.short > self.long:
            raise ValueError(f"eval.short must not exceed eval.long, got {self.short} > {self.long}")
        return self


class BudgetConfig(Section):
    """Equal budgets and equal latent sizes.

    kind: "parameters" and "flops" (per step) solve for `model_args.hidden_dim`; "wall_clock" solves for
        `train.updates`, from the time that updates of this model take on this machine.
    target: parameters, FLOPs or seconds of training; None takes what DDL of default width has or needs.
    latent: H, the latent size of every lifted model; a DDL stack has H / value_dim rows, so H × 1 unless
        `model_args.value_dim` is given. Recurrent models carry a memory beside it, and models without a lift of their
        own (closed forms, oracles) are as they are. None: 8; docs/models.md says why.
    """

    kind: Literal["none", "parameters", "flops", "wall_clock"] = "none"
    target: int | None = Field(default=None, ge=1)
    latent: int | None = Field(default=None, ge=1, le=65_536)


class RunConfig(Section):
    """One run: one task, one model, `seeds` replicas (seeds seed, seed+1, …).

    keep_portraits: how many portraits of the map to keep while it trains, from before the first update to the last.
    """

    task: str = "van_der_pol"
    task_args: dict[str, Any] = Field(default_factory=dict)
    model: str = "ddl"
    model_args: dict[str, Any] = Field(default_factory=dict)
    seeds: int = Field(default=5, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0)
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()
    budget: BudgetConfig = BudgetConfig()
    keep_portraits: int = Field(default=0, ge=0, le=100)
    tags: tuple[str, ...] = ()
    note: str = ""
