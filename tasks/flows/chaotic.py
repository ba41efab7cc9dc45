"""Chaotic autonomous flows. Exponents are in natural logarithm per unit time. Axes: N, T, D."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.base import Split, join
from ddl_dyn.tasks.exponents import ChaoticFlow
from ddl_dyn.tasks.fields import parameter
from ddl_dyn.tasks.flows.oscillators import FLOW
from ddl_dyn.tasks.initial import annulus, box
from ddl_dyn.tasks.symmetry import change_of_sign, cyclic_exchange, half_turn_about_z
from ddl_dyn.tasks.trust import settle


@dataclass(frozen=True, kw_only=True)
class Lorenz63(ChaoticFlow):
    """Lorenz's convection model.

    Equations: ẋ = σ(y − x), ẏ = x(ρ − z) − y, ż = xy − βz.
    State (x, y, z): overturning rate, horizontal and vertical temperature variation, all dimensionless.
    Regime at the defaults: the butterfly attractor.
    Facts: exponents .9060 ± .0022, 0, −14.572; their sum is −(σ + 1 + β) exactly; fixed points 0 and
    (±√(β(ρ−1)), ±√(β(ρ−1)), ρ−1); symmetric under (x, y, z) → (−x, −y, z); Kaplan–Yorke dimension 2.062.
    Initial states: on the attractor (a transient is dropped; train), a box far above it, z in 60–70 (ood).
    Radius: half widths of the box around the attractor.
    """

    state_names = ("x", "y", "z")
    source = "Lorenz (1963), Deterministic nonperiodic flow, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2"
    equations = "ẋ = σ(y − x), ẏ = x(ρ − z) − y, ż = xy − βz"
    family = "chaotic flow"
    obstruction_reason = FLOW
    largest_exponent = 0.9060
    stretched = slice(None)

    dt: float = 0.02
    sigma: float = parameter(10.0, low=0.0, open_low=True, doc="Prandtl number")
    rho: float = parameter(28.0, low=0.0, high=350.0, doc="reduced Rayleigh number")
    beta: float = parameter(8 / 3, low=0.0, open_low=True, doc="aspect ratio of the cells")

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(σ(y − x), x(ρ − z) − y, xy − βz)."""
        a, b, c = x[..., 0], x[..., 1], x[..., 2]
        return join(x, self.sigma * (b - a), a * (self.rho - c) - b, a * b - self.beta * c)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[−σ, σ, 0], [ρ − z, −1, −x], [y, x, −β]]."""
        a, b, c = x[..., 0], x[..., 1], x[..., 2]
        out = np.zeros((*x.shape, 3))
        out[..., 0, 0], out[..., 0, 1] = -self.sigma, self.sigma
        out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = self.rho - c, -1.0, -a
        out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = b, a, -self.beta
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """On the attractor, or a box above it, (n, 3)."""
        if split == "ood":
            return box(n, rng, (-20.0, -20.0, 60.0), (20.0, 20.0, 70.0))
        return settle(self.vector_field, box(n, rng, (-15.0, -15.0, 15.0), (15.0, 15.0, 35.0)), time=10.0, dt=0.01)

    def symmetries(self) -> dict[str, Array]:
        return half_turn_about_z()


@dataclass(frozen=True, kw_only=True)
class Rossler(ChaoticFlow):
    """Rössler's band.

    Equations: ẋ = −y − z, ẏ = x + a y, ż = b + z(x − c).
    State (x, y, z), dimensionless; z spikes once per turn.
    Regime at the defaults: a single folded band, phase-coherent with a turn of about 5.9.
    Facts: exponents .0718 ± .0005, 0, −5.400; fixed points (a s, −s, s) with s = (c ± √(c² − 4ab))/(2a), i.e.
    x = 5.692974 and .007026.
    Initial states: on the attractor (a transient is dropped; train), at radius 14–17 about it with z in 0–1 (ood).
    """

    state_names = ("x", "y", "z")
    source = "Rössler (1976), An equation for continuous chaos, doi:10.1016/0375-9601(76)90101-8"
    equations = "ẋ = −y − z, ẏ = x + a y, ż = b + z(x − c)"
    family = "chaotic flow"
    obstruction_reason = FLOW
    largest_exponent = 0.0718

    dt: float = 0.1
    a: float = parameter(0.2, low=0.0, open_low=True, doc="growth of the turn")
    b: float = parameter(0.2, low=0.0, open_low=True, doc="injection")
    c: float = parameter(5.7, low=0.0, open_low=True, doc="threshold of the fold")

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(−y − z, x + a y, b + z(x − c))."""
        p, q, r = x[..., 0], x[..., 1], x[..., 2]
        return join(x, -q - r, p + self.a * q, self.b + r * (p - self.c))

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[0, −1, −1], [1, a, 0], [z, 0, x − c]]."""
        out = np.zeros((*x.shape, 3))
        out[..., 0, 1] = out[..., 0, 2] = -1.0
        out[..., 1, 0], out[..., 1, 1] = 1.0, self.a
        out[..., 2, 0], out[..., 2, 2] = x[..., 2], x[..., 0] - self.c
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """On the attractor, or outside its disc, (n, 3)."""
        if split == "ood":
            height = rng.spawn(1)[0].uniform(0.0, 1.0, size=(n, 1))
            return np.concatenate([annulus(n, rng, 14.0, 17.0), height], axis=1)
        return settle(self.vector_field, box(n, rng, (-6.0, -6.0, 0.0), (6.0, 6.0, 1.0)), time=60.0, dt=0.05)


@dataclass(frozen=True, kw_only=True)
class Thomas(ChaoticFlow):
    """Thomas' cyclically symmetric flow.

    Equations: ẋ = sin y − b x, ẏ = sin z − b y, ż = sin x − b z.
    State (x, y, z), dimensionless. b: friction.
    Regime at the defaults: chaos on one attractor, unchanged by cyclic exchange of the components.
    Facts: exponents .0350 ± .0013, 0, −.575; their sum is −3b exactly; |xᵢ| ≤ 1/b on the attractor.
    Initial states: near the attractor (a transient is dropped; train), a box with all components in 7–9 (ood).
    Radius: half widths of the box around the attractor.
    """

    state_names = ("x", "y", "z")
    source = "Thomas (1999), Deterministic chaos seen in terms of feedback circuits, doi:10.1142/S0218127499001383"
    equations = "ẋ = sin y − b x, ẏ = sin z − b y, ż = sin x − b z"
    family = "chaotic flow"
    obstruction_reason = FLOW
    isotropic = True
    largest_exponent = 0.0350
    stretched = slice(None)

    dt: float = 0.1
    b: float = parameter(0.18, low=0.0, open_low=True, doc="friction")

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """sin of the next component, minus b times the own."""
        return np.sin(np.roll(x, -1, axis=-1)) - self.b * x

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """−b on the diagonal, the cosine of the next component beside it."""
        i = np.arange(3)
        out = np.zeros((*x.shape, 3))
        out[..., i, i] = -self.b
        out[..., i, (i + 1) % 3] = np.cos(np.roll(x, -1, axis=-1))
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """Near the attractor, or far outside, (n, 3)."""
        if split == "ood":
            return box(n, rng, (7.0,) * 3, (9.0,) * 3)
        return settle(self.vector_field, box(n, rng, (-3.0,) * 3, (3.0,) * 3), time=40.0, dt=0.1)

    def symmetries(self) -> dict[str, Array]:
        return change_of_sign(self.state_dim) | cyclic_exchange(3)


@dataclass(frozen=True, kw_only=True)
class Chen(ChaoticFlow):
    """Chen's system, the dual of Lorenz' in the sense of Čelikovský and Vaněček.

    Equations: ẋ = a(y − x), ẏ = (c − a)x − xz + cy, ż = xy − bz.
    State (x, y, z), dimensionless.
    Regime at the defaults: a two-scroll attractor, faster than Lorenz'.
    Facts: the exponents sum to c − a − b = −10 exactly; fixed points 0 and (±s, ±s, 2c − a) with
    s = √(b(2c − a)) = √63; symmetric under (x, y, z) → (−x, −y, z); exponents 2.029 ± .007, 0, −12.030.
    Initial states: on the attractor (a transient is dropped; train), a box far above it, z in 55–65 (ood).
    Radius: half widths of the box around the attractor.
    """

    state_names = ("x", "y", "z")
    source = "Chen, Ueta (1999), Yet another chaotic attractor, doi:10.1142/S0218127499001024"
    equations = "ẋ = a(y − x), ẏ = (c − a)x − xz + cy, ż = xy − bz"
    family = "chaotic flow"
    obstruction_reason = FLOW
    largest_exponent = 2.029
    stretched = slice(None)

    dt: float = 0.01
    a: float = parameter(35.0, low=0.0, open_low=True, doc="rate a")
    b: float = parameter(3.0, low=0.0, open_low=True, doc="rate b")
    c: float = parameter(28.0, low=0.0, open_low=True, doc="rate c")

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(a(y − x), (c − a)x − xz + cy, xy − bz)."""
        p, q, r = x[..., 0], x[..., 1], x[..., 2]
        return join(x, self.a * (q - p), (self.c - self.a) * p - p * r + self.c * q, p * q - self.b * r)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[−a, a, 0], [c − a − z, c, −x], [y, x, −b]]."""
        p, q, r = x[..., 0], x[..., 1], x[..., 2]
        out = np.zeros((*x.shape, 3))
        out[..., 0, 0], out[..., 0, 1] = -self.a, self.a
        out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = self.c - self.a - r, self.c, -p
        out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = q, p, -self.b
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """On the attractor, or a box above it, (n, 3)."""
        if split == "ood":
            return box(n, rng, (-15.0, -15.0, 55.0), (15.0, 15.0, 65.0))
        return settle(self.vector_field, box(n, rng, (-10.0, -10.0, 10.0), (10.0, 10.0, 30.0)), time=3.0, dt=0.01)

    def symmetries(self) -> dict[str, Array]:
        return half_turn_about_z()


@dataclass(frozen=True, kw_only=True)
class SprottB(ChaoticFlow):
    """Sprott's case B: five terms, two of them quadratic, no parameter.

    Equations: ẋ = yz, ẏ = x − y, ż = 1 − xy.
    State (x, y, z), dimensionless.
    Regime: a two-lobed chaotic attractor.
    Facts: the exponents sum to −1 exactly (div f = −1); fixed points ±(1, 1, 0); symmetric under
    (x, y, z) → (−x, −y, z); exponents .2085 ± .0011, 0, −1.208.
    Initial states: on the attractor (a transient is dropped; train), a box with x and y in 7–8 (ood).
    Radius: half widths of the box around the attractor.
    """

    state_names = ("x", "y", "z")
    source = "Sprott (1994), Some simple chaotic flows, doi:10.1103/PhysRevE.50.R647"
    equations = "ẋ = yz, ẏ = x − y, ż = 1 − xy"
    family = "chaotic flow"
    obstruction_reason = FLOW
    largest_exponent = 0.2085
    stretched = slice(None)

    dt: float = 0.05

    def vector_field(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """(yz, x − y, 1 − xy)."""
        p, q, r = x[..., 0], x[..., 1], x[..., 2]
        return join(x, q * r, p - q, 1 - p * q)

    def jacobian(self, t: float, x: Array) -> Array:  # noqa: ARG002
        """[[0, z, y], [1, −1, 0], [−y, −x, 0]]."""
        p, q, r = x[..., 0], x[..., 1], x[..., 2]
        out = np.zeros((*x.shape, 3))
        out[..., 0, 1], out[..., 0, 2] = r, q
        out[..., 1, 0], out[..., 1, 1] = 1.0, -1.0
        out[..., 2, 0], out[..., 2, 1] = -q, -p
        return out

    def initial_states(self, n: int, *, rng: np.random.Generator, split: Split) -> Array:
        """On the attractor, or a box aside, (n, 3)."""
        if split == "ood":
            return box(n, rng, (7.0, 7.0, -1.0), (8.0, 8.0, 1.0))
        return settle(self.vector_field, box(n, rng, (-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), time=40.0, dt=0.05)

    def symmetries(self) -> dict[str, Array]:
        return half_turn_about_z()
