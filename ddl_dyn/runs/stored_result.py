"""Blocks of a finished run's result.json, as the evaluation writes them and everything else reads them.

A number that differs between replicas is a list of R, infinite where a replica failed. Errors are in units of the
training standard deviation where nothing else is said. A run from elsewhere may lack keys: `runs.result.at` reads such.

Axes: R replicas, S seeds of a trial, L layers.
"""

# Annotations are not postponed here: NotRequired is read when the class is made.
from typing import NotRequired, TypedDict


class Horizons(TypedDict):
    """Steps of the short and of the long horizon."""

    short: int
    long: int


class Errors(TypedDict):
    """Errors of free runs at both horizons, (R,) each: NRMSE pooled over starts, median over starts of each start's
    NRMSE, share of starts beyond the threshold in [0, 1]."""

    nrmse_short: list[float]
    start_median_short: list[float]
    start_beyond_short: list[float]
    nrmse_long: list[float]
    start_median_long: list[float]
    start_beyond_long: list[float]


class ForecastErrors(Errors):
    """Errors of free runs, (R,) each: `vpt` in the task's time scale, `vpt_censored` a share of free runs in [0, 1],
    period and amplitude errors relative and None where the truth has neither."""

    vpt: list[float]
    vpt_censored: list[float]
    period_error: list[float | None]
    amplitude_error: list[float | None]


class FailureShares(TypedDict):
    """Shares of free runs in [0, 1], (R,): left the finite range; given up by the solver."""

    diverged: list[float]
    solver_failed: list[float]


class TokenErrors(TypedDict):
    """Shares of tokens after which the state is wrong, in [0, 1], (R,), at both horizons."""

    token_error_short: list[float]
    token_error_long: list[float]


class WindowInterval(TypedDict):
    """Interval of the median replica's NRMSE over the windows of a recorded series.

    `windows` of which `block` consecutive ones share samples; low and high are None where there are not two blocks.
    """

    windows: int
    block: int
    low: float | None
    high: float | None


class WindowIntervals(TypedDict):
    """Intervals over windows at both horizons."""

    short: WindowInterval
    long: WindowInterval


class SpecialScores(TypedDict, total=False):
    """Token errors, (R,), where states are one-hot codes; intervals over windows where the series is recorded."""

    token_error_short: list[float]
    token_error_long: list[float]
    windows: WindowIntervals


class SplitScores(ForecastErrors, FailureShares, SpecialScores):
    """Scores of a split."""


class FloorErrors(TypedDict):
    """Errors of a floor, medians over data sets, None where one has no number; the last four on splits alone."""

    nrmse_short: float | None
    start_median_short: float | None
    start_beyond_short: float | None
    nrmse_long: float | None
    start_median_long: float | None
    start_beyond_long: float | None
    vpt: NotRequired[float | None]
    vpt_censored: NotRequired[float | None]
    period_error: NotRequired[float | None]
    amplitude_error: NotRequired[float | None]


class RadiusErrors(Errors, FailureShares):
    """Errors of free runs that start at one radius, with the number of starts, the steps and the floors by name."""

    trajectories: int
    steps: Horizons
    floors: dict[str, FloorErrors]


class Theory(TypedDict):
    """Prediction before training, and its outcome: `represented` below a tenth, `failed` where called impossible."""

    verdict: str
    reason: str
    source: str
    scope: str
    represented: bool
    failed: bool


class Gates(TypedDict, total=False):
    """Audit of Delta gates along free runs, (R,) unless said; empty for a model without gates.

    borders: of the regimes of β.   occupancy: (R, L, 3), shares of skip, overwrite and over-relaxed.   beta_low,
    beta_high: (R, L).   mirror_angle, rotation_angle: rad, where there are two rewrites.
    """

    borders: list[float]
    law_error: list[float]
    length_error: list[float]
    occupancy: list[list[list[float]]]
    beta_low: list[list[float]]
    beta_high: list[list[float]]
    effective_reflections: list[float]
    reversing: list[float]
    mirror_angle: list[float]
    rotation_angle: list[float]


class Tracking(TypedDict):
    """State-tracking accuracy on words: accuracies in [0, 1], (R,); lengths in tokens, `longest_length` (R,)."""

    words: int
    chance: float
    trained_length: int
    longest_tested: int
    accuracy_trained: list[float]
    accuracy_longest: list[float]
    sequence_longest: list[float]
    longest_length: list[int]


class TrainingCost(TypedDict):
    """Cost and end of training; lists are (R,). Times of all replicas together; `peak_memory_bytes` None if unknown."""

    seconds: float
    updates: int
    milliseconds_per_update: float
    peak_memory_bytes: int | None
    compiled: bool
    best_val: list[float]
    best_update: list[int]
    diverged: list[bool]
    failed_to_train: list[bool]
    nfe_total: int


class SplitSize(TypedDict):
    """Trajectories of a split and steps of each."""

    trajectories: int
    steps: int


class DataFacts(TypedDict):
    """Steps to which the truth is trusted, departures from the request in words, sizes by split."""

    trust_steps: int
    notes: list[str]
    splits: dict[str, SplitSize]


class BudgetOutcome(TypedDict):
    """Target of a budget (parameters, FLOPs or seconds; None without one), and whether it was met."""

    target: float | None
    met: bool


class Trial(TypedDict):
    """Trial of a learning rate: best validation errors (S,), infinite for a seed that diverged, their median, and the
    number of seeds that diverged."""

    lr: float
    median_val: float
    best_val: list[float]
    diverged: int


class Tuning(TypedDict):
    """Learning rate kept, whether it is the lowest or highest tried, trials of both kinds by rate, and their seeds."""

    lr: float
    edge: bool
    grid: list[Trial]
    finals: list[Trial]
    trial_seeds: list[int]
    final_seeds: list[int]


class Portrait(TypedDict):
    """Seed of the replica shown where only one can be."""

    replica: int


class FixedPoints(TypedDict, total=False):
    """Numbers of isolated fixed points: of each replica (R,), of the true map, and whether that has a continuum."""

    count: list[int]
    true: int
    true_continuum: bool


class MapNumbers(TypedDict):
    """Numbers of the learned map; fixed points where they were searched for."""

    portrait: Portrait
    fixed_points: NotRequired[FixedPoints]


class RunFacts(TypedDict):
    """Sizes of a model, its cost in FLOPs and in milliseconds a step of all replicas, its training and its data."""

    parameters: int
    latent_dim: int
    carried_dim: int
    flops_per_step: int
    milliseconds_per_step: float
    training: TrainingCost
    data: DataFacts


class FurtherScores(TypedDict, total=False):
    """Scores that not every run has: of its last checkpoint by split, of the floors by name and split, on words."""

    tracking: Tracking
    last: dict[str, Errors]
    floors: dict[str, dict[str, FloorErrors]]


class EvaluationNumbers(RunFacts, FurtherScores, MapNumbers):
    """Numbers of an evaluation: radii by radius, in units of the training radius; `ood` None where there is none."""

    test: SplitScores
    ood: SplitScores | None
    radii: dict[str, RadiusErrors]
    theory: Theory
    gates: Gates


class RunResult(EvaluationNumbers):
    """Contents of a finished run's result.json; `tuning` None where the learning rate was given."""

    budget: BudgetOutcome
    tuning: Tuning | None


class ComparisonResult(TypedDict):
    """Contents of a comparison's result.json: rows of its table, and a line for each run that failed."""

    rows: list[dict[str, object]]
    failed: list[str]


class SweepResult(TypedDict):
    """Contents of a sweep's result.json: numbers of runs done and reused, and the reason by id of each that failed."""

    done: int
    reused: int
    failed: dict[str, str]
