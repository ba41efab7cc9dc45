"""Word problems of the cyclic groups: parity, a ring of five places, counting modulo n. Axes: N, T, G elements."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.words.groups import Permutation, WordProblem


def _shift(n: int, by: int) -> Permutation:
    return tuple((i + by) % n for i in range(n))


@dataclass(frozen=True, kw_only=True)
class CyclicProblem(WordProblem):
    """A word problem of Zₙ, written additively: the elements are residues, named 0 … n−1."""

    @property
    @abstractmethod
    def order(self) -> int:
        """Number n of residues."""

    @property
    @abstractmethod
    def moves(self) -> tuple[int, ...]:
        """Residue added by each token."""

    @property
    def elements(self) -> tuple[Permutation, ...]:
        """The n cyclic shifts, by 0 … n−1."""
        return tuple(_shift(self.order, by) for by in range(self.order))

    @property
    def tokens(self) -> tuple[Permutation, ...]:
        """Shifts by the moves."""
        return tuple(_shift(self.order, by) for by in self.moves)

    @property
    def state_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Residues."""
        return tuple(str(i) for i in range(self.order))

    @property
    def input_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Residue added by each token, with its sign."""
        return tuple(f"token_{by:+d}" for by in self.moves)


@dataclass(frozen=True, kw_only=True)
class Parity(CyclicProblem):
    """Parity of a bit string: the word problem of Z₂.

    Equations: s⁺ = s + bit (mod 2).
    State (0, 1): one-hot code of the parity so far. Tokens +0, +1. Time in tokens.
    Regime: every word; train on lengths 3–40, test at 40–256.
    Facts: one reflection per token: the bit 1 is x → −x, eigenvalue −1, out of reach of gates β in (0, 1).
    Initial states: the identity in every split; words differ.
    """

    source = (
        "Grazzi et al. (2025), Unlocking state-tracking in linear RNNs through negative eigenvalues, arXiv:2411.12537"
    )
    equations = "s⁺ = s + bit (mod 2)"
    reflections_per_token = 1
    obstruction_reason = "two codes in the plane, which half a turn about their midpoint exchanges"

    @property
    def order(self) -> int:
        """2."""
        return 2

    @property
    def moves(self) -> tuple[int, ...]:
        """The bit."""
        return (0, 1)


@dataclass(frozen=True, kw_only=True)
class CycleNavigation(CyclicProblem):
    """Position on a ring of five places: the word problem of Z₅.

    Equations: s⁺ = s + m (mod 5), m in {0, +1, −1}.
    State (0 … 4): one-hot code of the place. Tokens stay, forward, back. Time in tokens.
    Regime: every word; train on lengths 3–40, test at 40–256.
    Facts: a rotation by 2π/5 in the plane, two reflections per token.
    Initial states: the identity in every split; words differ.
    """

    source = "Delétang et al. (2023), Neural networks and the Chomsky hierarchy, arXiv:2207.02098"
    equations = "s⁺ = s + m (mod 5)"
    reflections_per_token = 2

    @property
    def order(self) -> int:
        """5."""
        return 5

    @property
    def moves(self) -> tuple[int, ...]:
        """Stay, forward, back."""
        return (0, 1, -1)


@dataclass(frozen=True, kw_only=True)
class ModCount(CyclicProblem):
    """Number of ones seen, modulo n: the word problem of Zₙ.

    Equations: s⁺ = s + bit (mod n).
    State (0 … n−1): one-hot code of the count. Tokens +0, +1. n: modulus. Time in tokens.
    Regime: every word; train on lengths 3–40, test at 40–256.
    Facts: a rotation by 2π/n in the plane, two reflections per token.
    Initial states: the identity in every split; words differ.
    """

    source = (
        "Grazzi et al. (2025), Unlocking state-tracking in linear RNNs through negative eigenvalues, arXiv:2411.12537"
    )
    equations = "s⁺ = s + bit (mod n)"
    reflections_per_token = 2

    n: int = parameter(7, low=3, high=1000, doc="modulus")

    @property
    def order(self) -> int:
        """n."""
        return self.n

    @property
    def moves(self) -> tuple[int, ...]:
        """The bit."""
        return (0, 1)
