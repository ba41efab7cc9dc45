"""Word problems of the permutation and dihedral groups. Axes: N trajectories, T steps, G elements, P points."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.words.groups import Permutation, WordProblem, disjoint_cycles, generated_group

DELTA_PRODUCT = (
    "Siems et al. (2025), DeltaProduct: state-tracking in linear RNNs via Householder products, arXiv:2502.10297"
)


@lru_cache(maxsize=16)
def symmetric_group(n: int) -> tuple[Permutation, ...]:
    """All permutations of n points."""
    return tuple(itertools.permutations(range(n)))


@lru_cache(maxsize=16)
def alternating_group(n: int) -> tuple[Permutation, ...]:
    """All products of the 3-cycles i → i+1 → i+2 → i of n points: the even permutations."""
    threes = []
    for i in range(n - 2):
        points = list(range(n))
        points[i : i + 3] = [i + 1, i + 2, i]
        threes.append(tuple(points))
    return generated_group(threes)


@lru_cache(maxsize=64)
def dihedral_group(n: int) -> tuple[Permutation, ...]:
    """Rotations and reflections of a regular n-gon as permutations of its corners."""
    turn = tuple((i + 1) % n for i in range(n))
    mirror = tuple((-i) % n for i in range(n))
    return generated_group((turn, mirror))


@dataclass(frozen=True, kw_only=True)
class Dihedral(WordProblem):
    """Word problem of Dₙ, the symmetries of an n-gon.

    Equations: s⁺ = g s, g the token's symmetry.
    State (2n components): one-hot code of the symmetry so far, as a permutation of the corners. Tokens: all 2n of them.
    n: corners. Time in tokens.
    Regime: every word; train on lengths 3–40, test at 40–256.
    Facts: not commutative; in the plane a mirror is one reflection and a turn two. D₃ is S₃.
    Initial states: the identity in every split; words differ.
    """

    source = DELTA_PRODUCT
    equations = "s⁺ = g s, g in Dₙ"
    reflections_per_token = 2

    n: int = parameter(5, low=3, high=100, doc="corners of the polygon")

    @property
    def elements(self) -> tuple[Permutation, ...]:
        """Dₙ on the corners."""
        return dihedral_group(self.n)


@dataclass(frozen=True, kw_only=True)
class S3(WordProblem):
    """Word problem of permutations of three points.

    Equations: s⁺ = g s, g the token's permutation.
    State (6 components): one-hot code of the permutation so far. Tokens: all six. Time in tokens.
    Regime: every word; train on lengths 3–40, test at 40–512.
    Facts: the least group that is not commutative; a 3-cycle is two reflections. Published anchor: in one layer two
    factors per token with β in (0, 2) train; one factor, or β in (0, 1), do not.
    Initial states: the identity in every split; words differ.
    """

    source = DELTA_PRODUCT
    equations = "s⁺ = g s, g in S₃"
    reflections_per_token = 2
    longest = 512

    @property
    def elements(self) -> tuple[Permutation, ...]:
        """S₃."""
        return symmetric_group(3)


@dataclass(frozen=True, kw_only=True)
class S4(WordProblem):
    """Word problem of permutations of four points.

    Equations: s⁺ = g s, g the token's permutation.
    State (24 components): one-hot code of the permutation so far. Tokens: all 24. Time in tokens.
    Regime: every word; train on lengths 3–40, test at 40–512.
    Facts: solvable; the rotations of a cube in SO(3), hence two reflections per token.
    Initial states: the identity in every split; words differ.
    """

    source = DELTA_PRODUCT
    equations = "s⁺ = g s, g in S₄"
    reflections_per_token = 2
    longest = 512

    @property
    def elements(self) -> tuple[Permutation, ...]:
        """S₄."""
        return symmetric_group(4)


@dataclass(frozen=True, kw_only=True)
class A5(WordProblem):
    """Word problem of even permutations, five points.

    Equations: s⁺ = g s, g the token's permutation.
    State (60 components): one-hot code of the permutation so far. Tokens: all 60. Time in tokens.
    Regime: every word; train on lengths 3–40, test at 40–512.
    Facts: the least group that is not solvable (its word problem is complete for NC¹); the rotations of an icosahedron
    in SO(3), hence two reflections per token.
    Initial states: the identity in every split; words differ.
    """

    source = "Merrill, Petty, Sabharwal (2024), The illusion of state in state-space models, arXiv:2404.08819"
    equations = "s⁺ = g s, g in A₅"
    reflections_per_token = 2
    longest = 512

    @property
    def elements(self) -> tuple[Permutation, ...]:
        """A₅."""
        return alternating_group(5)


@dataclass(frozen=True, kw_only=True)
class S5(WordProblem):
    """Word problem of permutations of five points.

    Equations: s⁺ = g s, g the token's permutation.
    State (120 components): one-hot code of the permutation so far. Tokens: all 120. Time in tokens.
    Regime: every word; train on lengths 3–40, test at 40–512.
    Facts: not solvable (NC¹-complete); in its least faithful representations, of dimension four, a 5-cycle is four
    reflections.
    Initial states: the identity in every split; words differ.
    """

    source = "Merrill, Petty, Sabharwal (2024), The illusion of state in state-space models, arXiv:2404.08819"
    equations = "s⁺ = g s, g in S₅"
    reflections_per_token = 4
    longest = 512

    @property
    def elements(self) -> tuple[Permutation, ...]:
        """S₅."""
        return symmetric_group(5)


@dataclass(frozen=True, kw_only=True)
class SwapsS5(WordProblem):
    """Word problem of S₅ with swaps for tokens.

    Equations: s⁺ = g s, g the identity or a swap of two points.
    State (120 components): one-hot code of the permutation so far. Tokens: the identity and the ten swaps. Time in
    tokens.
    Regime: every word; train on lengths 3–40, test at 40–512.
    Facts: every state of S₅ is reached, but each token is a single reflection, x → (I − 2 k kᵀ) x with k = (eᵢ −
    eⱼ)/√2.
    Initial states: the identity in every split; words differ.
    """

    source = (
        "Grazzi et al. (2025), Unlocking state-tracking in linear RNNs through negative eigenvalues, arXiv:2411.12537"
    )
    equations = "s⁺ = g s, g in {e, (i j)}"
    reflections_per_token = 1
    longest = 512

    @property
    def elements(self) -> tuple[Permutation, ...]:
        """S₅."""
        return symmetric_group(5)

    @property
    def tokens(self) -> tuple[Permutation, ...]:
        """The identity and the swaps of two points."""
        return tuple(g for g in self.elements if not disjoint_cycles(g) or [len(c) for c in disjoint_cycles(g)] == [2])
