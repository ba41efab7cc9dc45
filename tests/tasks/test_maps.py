"""Maps of the line and the plane against algebra and independent estimates of their exponents."""

from __future__ import annotations

import numpy as np
import pytest

from ddl_dyn.tasks.base import SPLITS, MapTask
from ddl_dyn.tasks.maps.line import FlipFlop, Gauss, Logistic, LogisticFamily, Ricker, Tent
from ddl_dyn.tasks.maps.plane import DuffingMap, Henon, Ikeda, Lozi, inside_polygon
from ddl_dyn.tasks.maps.standard import StandardMap
from tests.helpers.orbits import orbit

MAPS: list[MapTask] = [
    Logistic(),
    Logistic(r=4.0),
    Logistic(r=3.2),
    Tent(),
    Ricker(),
    Gauss(),
    Gauss(a=4.9),
    FlipFlop(),
    FlipFlop(c=0.9),
    Henon(),
    Henon(a=1.2, b=0.2),
    Lozi(),
    Ikeda(),
    DuffingMap(),
    StandardMap(),
    StandardMap(K=10.0),
    StandardMap(K=10.0, coordinates="angle"),
]


def name(task: MapTask) -> str:
    changed = {k: v for k, v in vars(task).items() if v != getattr(type(task)(), k)}
    return "-".join([task.key(), *(f"{k}={v}" for k, v in changed.items())])


@pytest.mark.parametrize("task", MAPS, ids=name)
def test_orbits_from_every_split_stay_bounded(task: MapTask) -> None:
    for split in SPLITS:
        x = task.initial_states(64, rng=np.random.default_rng(3), split=split)
        assert x.shape == (64, task.state_dim)
        states = orbit(task, x, 3000)
        # An escaping orbit passes 1e3 within a dozen steps; the attractors here are smaller than 20.
        assert np.abs(states).max() < 20.0
        # Sensitivity of the check: a collapsed ensemble (everything at one point) would also be bounded.
        assert np.ptp(states[:, 0], axis=0).max() > 0.1


@pytest.mark.parametrize("task", MAPS, ids=name)
def test_rows_are_drawn_one_after_another(task: MapTask) -> None:
    for split in SPLITS:
        few = task.initial_states(7, rng=np.random.default_rng(5), split=split)
        many = task.initial_states(14, rng=np.random.default_rng(5), split=split)
        np.testing.assert_array_equal(few, many[:7])


@pytest.mark.parametrize("task", MAPS, ids=name)
def test_jacobian_is_the_derivative_of_the_map(task: MapTask) -> None:
    x = task.initial_states(50, rng=np.random.default_rng(1), split="train")
    analytic = task.jacobian(x)
    if analytic is None:
        pytest.skip("no analytic Jacobian")
    h = 1e-6
    columns = [(task.next_state(x + h * e) - task.next_state(x - h * e)) / (2 * h) for e in np.eye(task.state_dim)]
    # Central differences: h² f‴/6 ~ 1e-11 and rounding 1e-16/h = 1e-10 on entries of size up to 100.
    np.testing.assert_allclose(analytic, np.stack(columns, axis=-1), atol=1e-7)


class TestFlipFlop:
    def test_two_cycle_and_multiplier(self) -> None:
        task = FlipFlop()
        one = np.array([[1.0], [-1.0]])
        np.testing.assert_array_equal(task.next_state(one), -one)
        # (2c − 1)² = .16 at c = .3 by the chain rule.
        assert np.prod(task.slope(np.array([1.0, -1.0]))) == pytest.approx(0.16, abs=1e-15)

    @pytest.mark.parametrize("c", [0.1, 0.3, 0.9])
    def test_every_split_reaches_the_cycle(self, c: float) -> None:
        task = FlipFlop(c=c)
        for split in SPLITS:
            x = task.initial_states(500, rng=np.random.default_rng(0), split=split)
            end = orbit(task, x, 400)[:, -2:, 0]
            # The slowest multiplier is .64 per two steps (c = .1, .9), .8^400 is far below rounding.
            np.testing.assert_allclose(np.abs(end), 1.0, atol=1e-12)
            np.testing.assert_allclose(end.sum(axis=1), 0.0, atol=1e-12)

    def test_supports_are_disjoint(self) -> None:
        train = np.abs(FlipFlop().initial_states(4000, rng=np.random.default_rng(0), split="train"))
        ood = np.abs(FlipFlop().initial_states(4000, rng=np.random.default_rng(0), split="ood"))
        assert train.min() >= 0.3
        assert train.max() < 1.5
        assert (((ood >= 0.05) & (ood < 0.3)) | ((ood >= 1.5) & (ood < 1.7))).all()
        assert (ood < 0.3).any()
        assert (ood >= 1.5).any()


class TestHenon:
    def test_fixed_points(self) -> None:
        # Roots of a x² + (1 − b) x − 1 = 0 with y = b x.
        roots = np.roots([1.4, 0.7, -1.0])
        np.testing.assert_allclose(np.sort(roots), [-1.131354, 0.631354], atol=1e-6)
        x = np.stack([roots, 0.3 * roots], axis=1)
        np.testing.assert_allclose(Henon().next_state(x), x, atol=1e-14)

    def test_quadrilateral_is_carried_into_itself(self) -> None:
        corners = np.asarray(Henon.trapping_corners)
        weights = np.linspace(0, 1, 2001)[:, None, None]
        boundary = ((1 - weights) * corners + weights * np.roll(corners, -1, axis=0)).reshape(-1, 2)
        assert inside_polygon(Henon().next_state(boundary), corners).all()
        # The map leaves it when the fold is stronger, so the check can fail.
        assert not inside_polygon(Henon(a=1.5).next_state(boundary), corners).all()

    def test_supports_are_disjoint(self) -> None:
        corners = np.asarray(Henon.trapping_corners)
        train = Henon().initial_states(2000, rng=np.random.default_rng(0), split="train")
        ood = Henon().initial_states(2000, rng=np.random.default_rng(0), split="ood")
        assert inside_polygon(train, corners).all()
        assert not inside_polygon(ood, corners).any()

    def test_parameters_without_bounded_orbits_are_refused(self) -> None:
        with pytest.raises(ValueError, match="bounded orbits"):
            Henon(a=2.0, b=1.0).initial_states(8, rng=np.random.default_rng(0), split="train")

    def test_inverse(self) -> None:
        x = Henon().initial_states(20, rng=np.random.default_rng(0), split="train")
        image = Henon().next_state(x)
        u = image[:, 1] / 0.3
        np.testing.assert_allclose(np.stack([u, image[:, 0] - 1 + 1.4 * u**2], axis=1), x, atol=1e-14)


class TestLogistic:
    def test_two_cycle_at_3_2(self) -> None:
        # Roots of r² x² − r (r + 1) x + (r + 1) = 0, the factor of f²(x) − x left by the fixed points.
        cycle = np.sort(np.roots([3.2**2, -3.2 * 4.2, 4.2]))
        np.testing.assert_allclose(cycle, [0.513045, 0.799455], atol=1e-6)
        task = Logistic(r=3.2)
        np.testing.assert_allclose(task.next_state(cycle[:, None])[:, 0], cycle[::-1], atol=1e-14)
        assert np.prod(task.slope(cycle)) == pytest.approx(0.16, abs=1e-13)
        end = orbit(task, task.initial_states(50, rng=np.random.default_rng(0), split="ood"), 500)[:, -2:, 0]
        np.testing.assert_allclose(np.sort(end, axis=1), np.broadcast_to(cycle, (50, 2)), atol=1e-12)

    def test_conjugate_to_doubling_at_4(self) -> None:
        x = Logistic().initial_states(100, rng=np.random.default_rng(0), split="train")
        angle = np.arcsin(np.sqrt(x))
        # x_t = sin²(2^t θ₀); roundings of 1e-16 grow 2^12-fold, and a thousandfold more within 1e-6 of 1.
        np.testing.assert_allclose(orbit(Logistic(r=4.0), x, 12)[:, -1], np.sin(2.0**12 * angle) ** 2, atol=1e-9)

    def test_unit_interval_is_never_left_at_4(self) -> None:
        task = Logistic(r=4.0)
        x = np.concatenate([task.initial_states(500, rng=np.random.default_rng(0), split=s) for s in SPLITS])
        for _ in range(5000):
            x = task.next_state(x)
            assert ((x >= 0) & (x <= 1)).all()
        assert (x > 0).all(), "an orbit collapsed to the fixed point 0"

    def test_one_growth_rate_per_trajectory(self) -> None:
        x = np.array([[0.3], [0.4], [0.5]])
        together = Logistic(r=np.array([2.0, 3.0, 4.0])).simulate(x, 5).states  # type: ignore[arg-type]
        for row, r in enumerate((2.0, 3.0, 4.0)):
            np.testing.assert_array_equal(together[row], Logistic(r=r).simulate(x[row : row + 1], 5).states[0])

    def test_family_members_settle_where_algebra_says(self) -> None:
        task = LogisticFamily()
        x = task.initial_states(200, rng=np.random.default_rng(0), split="test")
        inputs = task.inputs(200, 2000, rng=np.random.default_rng(1), split="test")
        r = inputs[:, 0, 0]
        root = np.sqrt((r + 1) * (r - 3))
        cycle = np.stack([r + 1 - root, r + 1 + root], axis=1) / (2 * r[:, None])
        end = np.sort(task.simulate(x, 2000, inputs).states[:, -2:, 0], axis=1)
        # Every member of the gap is an attracting 2-cycle with a multiplier below .8 in modulus.
        np.testing.assert_allclose(end, cycle, atol=1e-10)


class TestTent:
    def test_slope_two_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"mu must lie in \(0, 1.9999\]"):
            Tent(mu=2.0)
        # The reason for it: doubling is exact in binary, so an orbit runs out of digits.
        x = np.random.default_rng(0).random(1000)
        for _ in range(60):
            x = 2.0 * np.minimum(x, 1.0 - x)
        assert (x == 0).all()

    def test_default_keeps_its_digits(self) -> None:
        task = Tent()
        states = orbit(task, task.initial_states(100, rng=np.random.default_rng(0), split="ood"), 5000)
        # The invariant interval is [μ(1 − μ/2), μ/2]; the invariant density is close to uniform on it.
        late = states[:, 1000:, 0]
        assert late.min() >= 1.99 * (1 - 1.99 / 2) - 1e-12
        assert late.max() <= 1.99 / 2 + 1e-12
        assert late.std() == pytest.approx(1 / np.sqrt(12), abs=0.01)

    def test_time_scale_is_the_exact_lyapunov_time(self) -> None:
        assert Tent().timescale == pytest.approx(1 / np.log(1.99), rel=1e-12)


class TestRicker:
    def test_fixed_point_and_attractor(self) -> None:
        task = Ricker()
        np.testing.assert_allclose(task.next_state(np.array([[3.3]])), [[3.3]], atol=1e-15)
        assert task.slope(np.array(3.3)) == pytest.approx(1 - 3.3, abs=1e-14)
        late = orbit(task, task.initial_states(200, rng=np.random.default_rng(0), split="ood"), 3000)[:, 100:]
        # Image of the maximum at x = 1, and its image.
        assert late.max() <= np.exp(2.3) + 1e-9
        assert late.min() >= np.exp(2 * 3.3 - 1 - np.exp(2.3)) - 1e-12
        assert late.max() > 0.99 * np.exp(2.3)


class TestPlanarFixedPoints:
    @pytest.mark.parametrize(
        ("task", "points"),
        [
            (Lozi(), [(1 / 2.2, 0.5 / 2.2), (-1 / 1.2, -0.5 / 1.2)]),
            # ±√(a − b − 1) (1, 1) and 0.
            (DuffingMap(), [(0.0, 0.0), (1.55**0.5, 1.55**0.5), (-(1.55**0.5), -(1.55**0.5))]),
        ],
    )
    def test_by_algebra(self, task: MapTask, points: list[tuple[float, float]]) -> None:
        np.testing.assert_allclose(task.next_state(np.array(points)), points, atol=1e-14)

    def test_ikeda_outer_fixed_point_attracts(self) -> None:
        task = Ikeda()
        z = np.array([[2.97213, 4.14595]])
        end = orbit(task, z, 2000)[:, -1]
        np.testing.assert_allclose(end, z, atol=1e-5)
        jacobian = task.jacobian(end)
        # det = u² with complex eigenvalues, hence modulus u.
        np.testing.assert_allclose(np.abs(np.linalg.eigvals(jacobian)), 0.9, atol=1e-9)
        # No initial state of any split settles there.
        for split in SPLITS:
            x = task.initial_states(300, rng=np.random.default_rng(2), split=split)
            assert np.linalg.norm(orbit(task, x, 1000)[:, -1], axis=1).max() < 3.0

    def test_duffing_map_isolated_two_cycle(self) -> None:
        task = DuffingMap()
        point = np.sqrt(2.75 + 0.2 + 1) * np.array([[1.0, -1.0]])
        np.testing.assert_allclose(point[0, 0], 1.987461, atol=1e-6)
        image = task.next_state(point)
        np.testing.assert_allclose(image, -point, atol=1e-14)
        twice = (task.jacobian(image) @ task.jacobian(point))[0]
        # Isolated: Φ² − 1 is locally invertible, no eigenvalue is 1 (a flow's 2-cycle would have one).
        assert np.abs(np.linalg.eigvals(twice) - 1).min() > 0.5

    @pytest.mark.parametrize(
        ("task", "det"), [(Henon(), -0.3), (Lozi(), -0.5), (Ikeda(), 0.81), (DuffingMap(), 0.2)], ids=lambda v: str(v)
    )
    def test_determinant_is_constant(self, task: MapTask, det: float) -> None:
        x = task.initial_states(100, rng=np.random.default_rng(0), split="ood")
        jacobian = task.jacobian(x)
        assert jacobian is not None
        np.testing.assert_allclose(np.linalg.det(jacobian), det, atol=1e-12)
