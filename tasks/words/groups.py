"""State tracking: word problems of finite groups. A token picks a permutation, the state is the product so far.

Axes: N trajectories, T steps, G elements of the group (D = G), U tokens, P points permuted.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split, Task
from ddl_dyn.tasks.trajectories import Trajectories

Permutation = tuple[int, ...]
_Index = NDArray[np.int64]


def compose(after: Permutation, before: Permutation) -> Permutation:
    """The permutation `before` followed by `after`: point i goes to after[before[i]]."""
    return tuple(after[i] for i in before)


def generated_group(generators: Iterable[Permutation]) -> tuple[Permutation, ...]:
    """All products of the generators, sorted, which puts the identity first."""
    steps = tuple(generators)
    found = {tuple(range(len(steps[0])))}
    frontier = list(found)
    while frontier:
        frontier = [new for new in {compose(g, old) for g in steps for old in frontier} if new not in found]
        found.update(frontier)
    return tuple(sorted(found))


def disjoint_cycles(permutation: Permutation) -> list[tuple[int, ...]]:
    """Cycles of length two and more, each from its least point."""
    seen: set[int] = set()
    out = []
    for start in range(len(permutation)):
        cycle, point = [], start
        while point not in seen:
            seen.add(point)
            cycle.append(point)
            point = permutation[point]
        if len(cycle) > 1:
            out.append(tuple(cycle))
    return out


def label(permutation: Permutation) -> str:
    """Cycle notation on points 1 … P; "e" for the identity."""
    parts = ["(" + " ".join(str(i + 1) for i in cycle) + ")" for cycle in disjoint_cycles(permutation)]
    return "".join(parts) or "e"


@lru_cache(maxsize=64)
def composition_table(elements: tuple[Permutation, ...]) -> _Index:
    """Cayley table (G, G): entry [a, b] is the index of "b, then a"."""
    where = {element: i for i, element in enumerate(elements)}
    table = np.array([[where[compose(a, b)] for b in elements] for a in elements], dtype=np.int64)
    table.setflags(write=False)
    return table


@dataclass(frozen=True, kw_only=True)
class WordProblem(Task):
    """Running product of the group elements that a stream of tokens names; state and token are one-hot codes.

    Words of any length up to `steps` are the prefixes of the trajectories: the state after t tokens is the product of
    the first t, so one trajectory of the longest length holds every shorter one. Every split starts from the identity
    and draws its tokens independently and uniformly; out of distribution are words
    longer than those of training, up to `longest`.
    """

    # Householder factors per token that an orthogonal representation of the tokens needs.
    reflections_per_token: ClassVar[int]
    longest: ClassVar[int] = 256
    family = "group"
    state_kind = "categorical"
    time_unit = "token"
    obstruction_reason = (
        "the codes are isolated points, which a flow in three or more dimensions can carry to one another"
    )

    dt: float = 1.0

    @property
    @abstractmethod
    def elements(self) -> tuple[Permutation, ...]:
        """The group as permutations, the identity first."""

    @property
    def tokens(self) -> tuple[Permutation, ...]:
        """The elements that a token can name; all of them unless a subclass says otherwise."""
        return self.elements

    @property
    def table(self) -> _Index:
        """Cayley table (G, G): the state after token a in state b, both as indices into `elements`, is [a, b]."""
        return composition_table(self.elements)

    @property
    def token_indices(self) -> _Index:
        """Index into `elements` of every token, (U,)."""
        where = {element: i for i, element in enumerate(self.elements)}
        return np.array([where[token] for token in self.tokens], dtype=np.int64)

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Elements in cycle notation."""
        return tuple(label(element) for element in self.elements)

    @property
    def input_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Tokens in cycle notation."""
        return tuple(f"token_{label(token)}" for token in self.tokens)

    @property
    def timescale(self) -> float:
        """One token."""
        return self.dt

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:  # noqa: ARG002
        """The identity, n times, (n, G)."""
        identities: Array = np.eye(len(self.elements))[
            np.full(n, self.elements.index(tuple(range(len(self.elements[0])))))
        ]
        return identities

    def inputs(self, n: int, steps: int, *, rng: np.random.Generator, split: Split) -> Array:  # noqa: ARG002
        """Independent uniform tokens as one-hot codes, (n, steps, U)."""
        return np.eye(len(self.tokens))[rng.integers(len(self.tokens), size=(n, steps))]

    def simulate(self, x0: Array, steps: int, inputs: Array | None = None) -> Trajectories:
        """Look every product up in the Cayley table."""
        state, token = self._decode(x0, steps, inputs)
        element = self.token_indices[token]
        path = np.empty((len(state), steps + 1), dtype=np.int64)
        path[:, 0] = state
        for t in range(steps):
            path[:, t + 1] = self.table[element[:, t], path[:, t]]
        states = np.eye(len(self.elements))[path]
        times = self.dt * np.arange(steps + 1)
        return Trajectories(times=times, states=states, inputs=inputs)  # type: ignore[arg-type]

    def second_solution(self, x0: Array, steps: int, inputs: Array | None = None) -> Array:
        """The same products by moving the points themselves, without the table."""
        state, token = self._decode(x0, steps, inputs)
        moves, points = np.array(self.tokens), np.array(self.elements)[state]
        where = {element: i for i, element in enumerate(self.elements)}
        path = np.empty((len(state), steps + 1), dtype=np.int64)
        for t in range(steps + 1):
            path[:, t] = [where[tuple(row)] for row in points.tolist()]
            if t < steps:
                points = np.take_along_axis(moves[token[:, t]], points, axis=1)
        return np.eye(len(self.elements))[path]

    def _decode(self, x0: Array, steps: int, inputs: Array | None) -> tuple[_Index, _Index]:
        """Indices of the initial states (N,) and of the tokens (N, steps)."""
        x = self.check_states(x0, steps)
        expected = (len(x), steps, self.input_dim)
        if inputs is None or inputs.shape != expected:
            got = None if inputs is None else inputs.shape
            raise ValueError(f"{self.key()}: inputs must be tokens of shape {expected}, got {got}; draw task.inputs")
        for what, code in (("x0", x), ("inputs", inputs)):
            if not (((code == 0) | (code == 1)).all() and (code.sum(axis=-1) == 1).all()):
                raise ValueError(f"{self.key()}: every row of {what} must be a one-hot code")
        return x.argmax(axis=-1), inputs.argmax(axis=-1)
