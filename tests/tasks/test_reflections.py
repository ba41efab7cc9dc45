"""Maps made of reflections and rank-one algorithms against closed forms and exact geometry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.tasks.maps.frames import Factor, GeometryTask, StackTask, frame
from ddl_dyn.tasks.maps.projections import Grover, Kaczmarz, Overwrite
from ddl_dyn.tasks.maps.reflections import Flip, Mirror, Rotation, Rotoreflection, TwistedMirror

STACKS: list[StackTask] = [
    *(Flip(rho=rho, d=d) for rho, d in itertools.product((1.0, 0.99, 0.9), (1, 2, 8))),
    *(Mirror(d=d, seed=d) for d in (2, 3, 8, 32, 256)),
    Rotation(),
    Rotation(theta=np.pi),
    Rotation(theta=1.3, d=7, seed=3),
    Rotoreflection(),
    Rotoreflection(theta=2.5),
    *(Grover(N=n) for n in (4, 7, 64, 256)),
    Grover(N=16, marked=5),
    Kaczmarz(),
    Kaczmarz(omega=1.0),
    Kaczmarz(rows=3, d=3, omega=1.8, seed=2),
    Kaczmarz(rows=9, d=4, omega=0.3),
    Overwrite(),
    Overwrite(d=2, c=-3.0, seed=4),
]


def name(task: GeometryTask) -> str:
    return "-".join([task.key(), *(f"{k}={v:g}" for k, v in task.parameters().items() if k != "dt")])


def draw(task: GeometryTask, n: int = 50, split: str = "train", seed: int = 0) -> Array:
    return task.initial_states(n, rng=np.random.default_rng(seed), split=split)  # type: ignore[arg-type]


def applied(factors: list[Factor], x: Array) -> Array:
    """The stack applied to x, (N, D)."""
    for k, beta, v in factors:
        x = x + beta * k * (v - x @ k)[:, None]
    return x


@pytest.mark.parametrize("task", STACKS, ids=name)
def test_stack_equals_the_map(task: StackTask) -> None:
    x = draw(task, split="ood")
    for k, beta, _ in task.householder_stack():
        assert np.linalg.norm(k) == pytest.approx(1.0, abs=1e-14)
        assert 0 < beta <= 2
    np.testing.assert_allclose(applied(task.householder_stack(), x), task.next_state(x), atol=1e-12)
    # Negative control: the stack without its last factor is another map.
    shorter = applied(task.householder_stack()[:-1], x)
    assert np.abs(shorter - task.next_state(x)).max() > 1e-3


@pytest.mark.parametrize("task", STACKS, ids=name)
def test_jacobian_is_the_linear_part(task: StackTask) -> None:
    x = draw(task, 3)
    matrix = task.jacobian(x)
    assert matrix.shape == (3, task.state_dim, task.state_dim)
    step = draw(task, 3, seed=1)
    predicted = task.next_state(x) + np.einsum("nij,nj->ni", matrix, step)
    np.testing.assert_allclose(task.next_state(x + step), predicted, atol=1e-12)


@pytest.mark.parametrize("task", STACKS, ids=name)
def test_label_follows_the_determinant(task: StackTask) -> None:
    det = np.linalg.det(task.jacobian(draw(task, 1))[0])
    expected = "none" if det > 1e-9 else "orientation_reversing" if det < -1e-9 else "non_injective"
    # (1 − ω)^m of a strongly relaxed sweep is small but positive.
    if isinstance(task, Kaczmarz) and task.omega != 1.0:
        expected = "orientation_reversing" if (1 - task.omega) ** task.rows < 0 else "none"
    assert task.obstruction == expected
    assert task.obstruction_reason


@pytest.mark.parametrize("task", [t for t in STACKS if not isinstance(t, (Kaczmarz, Grover, Overwrite))], ids=name)
def test_number_of_reflections_is_the_least(task: StackTask) -> None:
    # Cartan–Dieudonné: an orthogonal R needs rank(R − I) reflections.
    matrix = task.jacobian(draw(task, 1))[0]
    assert len(task.householder_stack()) == np.linalg.matrix_rank(matrix - np.eye(task.state_dim), tol=1e-9)


@pytest.mark.parametrize("task", [t for t in STACKS if t.exact(np.zeros((1, t.state_dim)), 1) is not None], ids=name)
def test_exact_agrees_with_iteration(task: StackTask) -> None:
    x = draw(task, 5)
    # 200 roundings of 1e-16 on states of size 1.5.
    np.testing.assert_allclose(task.simulate(x, 200).states, task.exact(x, 200), atol=1e-12)


@pytest.mark.parametrize("task", STACKS, ids=name)
def test_shells_are_disjoint_and_components_share_a_scale(task: StackTask) -> None:
    assert task.isotropic
    train, ood = (np.linalg.norm(draw(task, 400, split), axis=1) for split in ("train", "ood"))
    if isinstance(task, Grover):
        np.testing.assert_allclose([train, ood], 1.0, atol=1e-14)
        assert draw(task, 400)[:, task.marked].min() >= 0
        assert draw(task, 400, "ood")[:, task.marked].max() <= 0
    else:
        assert train.max() < 1.5 + 1e-12
        assert ood.min() > 1.6 - 1e-12


class TestFlip:
    @pytest.mark.parametrize(("d", "label"), [(1, "orientation_reversing"), (2, "none"), (8, "none")])
    def test_label_and_determinant(self, d: int, label: str) -> None:
        task = Flip(rho=0.9, d=d)
        assert task.obstruction == label
        assert np.linalg.slogdet(task.jacobian(np.ones(d)))[1] == pytest.approx(d * np.log(0.9), abs=1e-13)

    def test_norm_is_an_invariant_without_shrinkage_only(self) -> None:
        assert Flip().invariants(np.ones((2, 1)))
        assert not Flip(rho=0.9).invariants(np.ones((2, 1)))


class TestMirrorAndRotation:
    def test_mirror_has_one_eigenvalue_minus_one(self) -> None:
        task = Mirror(d=5, seed=1)
        values, vectors = np.linalg.eigh(task.jacobian(np.zeros(5)))
        np.testing.assert_allclose(values, [-1, 1, 1, 1, 1], atol=1e-14)
        assert abs(vectors[:, 0] @ task.normal) == pytest.approx(1.0, abs=1e-14)
        assert not np.allclose(task.normal, Mirror(d=5, seed=2).normal)

    def test_rotation_turns_by_theta(self) -> None:
        task = Rotation(theta=0.7)
        x = task.next_state(np.array([[1.0, 0.0]]))
        np.testing.assert_allclose(x, [[np.cos(0.7), np.sin(0.7)]], atol=1e-15)

    @pytest.mark.parametrize(("beta", "half_life"), [(1.9, 6.6), (1.99, 69), (1.999, 693)])
    def test_weaker_gates_lose_the_radius(self, beta: float, half_life: float) -> None:
        # Two factors of gate β in a plane have |det| = (1 − β)², hence modulus |1 − β| per rotation.
        matrix = np.eye(2)
        for k, _, _ in Rotation(theta=0.4).householder_stack():
            matrix = matrix - beta * np.outer(k, k @ matrix)
        modulus = np.abs(np.linalg.eigvals(matrix))
        np.testing.assert_allclose(modulus, abs(1 - beta), rtol=1e-9)
        assert np.log(0.5) / np.log(modulus[0]) == pytest.approx(half_life, rel=0.01)

    def test_rotoreflection_never_returns(self) -> None:
        states = Rotoreflection().simulate(np.array([[1.0, 0.0, 1.0]]), 500).states[0]
        # θ = 1 rad is no rational part of a turn; the closest return in that range is 44 − 14π = .0177, at even steps.
        closest = np.linalg.norm(states[1:] - states[0], axis=1)
        assert closest.argmin() + 1 == 44
        assert closest.min() == pytest.approx(44 - 14 * np.pi, rel=1e-3)
        np.testing.assert_allclose(states[:, 2], np.where(np.arange(501) % 2, -1.0, 1.0), atol=0)

    def test_frames_are_orthonormal(self) -> None:
        for d, count in ((2, 2), (5, 2), (32, 1)):
            rows = frame(d, count, 0)
            np.testing.assert_allclose(rows @ rows.T, np.eye(count), atol=1e-14)


class TestTwistedMirror:
    @pytest.mark.parametrize("tau", [0.3, 0.0, -2.0])
    def test_every_orbit_has_period_two(self, tau: float) -> None:
        task = TwistedMirror(tau=tau)
        x = draw(task, 200, "ood")
        image = task.next_state(x)
        np.testing.assert_allclose(task.next_state(image), x, atol=1e-14)
        # Negative control: the period is 2, not 1.
        assert np.abs(image - x).max() > 1.0

    def test_radius_is_conserved_and_orientation_reversed(self) -> None:
        task = TwistedMirror()
        x = draw(task, 200)
        image = task.next_state(x)
        np.testing.assert_allclose(task.invariants(image)["radius"], task.invariants(x)["radius"], atol=1e-14)
        np.testing.assert_allclose(np.linalg.det(task.jacobian(x)), -1.0, atol=1e-13)

    def test_exact_agrees_with_iteration(self) -> None:
        task = TwistedMirror()
        x = draw(task, 10)
        # 100 applications, each with a rounding error of about 1e-16.
        np.testing.assert_allclose(task.simulate(x, 100).states, task.exact(x, 100), atol=1e-13)

    def test_jacobian_against_differences(self) -> None:
        task = TwistedMirror(tau=1.7)
        x = draw(task)
        h = 1e-6
        numeric = np.stack(
            [(task.next_state(x + h * e) - task.next_state(x - h * e)) / (2 * h) for e in np.eye(2)], axis=-1
        )
        np.testing.assert_allclose(task.jacobian(x), numeric, atol=1e-8)

    def test_one_state_dependent_reflection(self) -> None:
        task = TwistedMirror()
        x = draw(task)
        half = (task.alpha + task.tau * np.linalg.norm(x, axis=1)) / 2
        k = np.stack([-np.sin(half), np.cos(half)], axis=1)
        np.testing.assert_allclose(x - 2 * k * (k * x).sum(axis=1, keepdims=True), task.next_state(x), atol=1e-14)

    def test_no_constant_reflection_fits(self) -> None:
        task = TwistedMirror()
        x = draw(task, 2000)
        fit, *_ = np.linalg.lstsq(x, task.next_state(x), rcond=None)
        # The best linear map leaves a share of the variance that no rounding explains.
        assert np.mean((x @ fit - task.next_state(x)) ** 2) > 1e-3 * np.mean(x**2)


class TestGrover:
    def test_probability_of_success(self) -> None:
        task = Grover()
        states = task.simulate(task.start(), 12).states
        t = np.arange(13)
        # sin²((2t + 1) arcsin(1/√N)): Boyer, Brassard, Høyer, Tapp (1998), §3.
        np.testing.assert_allclose(task.success(states)[0], np.sin((2 * t + 1) * 0.125328) ** 2, atol=1e-5)
        assert task.angle == pytest.approx(0.125328, abs=5e-7)
        assert task.success(states)[0].argmax() in (6, 12)
        assert task.success(states)[0, 6] == pytest.approx(0.9966, abs=5e-5)
        assert task.success(states)[0, 7] < task.success(states)[0, 6]

    @pytest.mark.parametrize("n", [4, 7, 64])
    def test_against_the_matrices(self, n: int) -> None:
        s, t = np.full(n, n**-0.5), np.eye(n)[0]
        matrix = (2 * np.outer(s, s) - np.eye(n)) @ (np.eye(n) - 2 * np.outer(t, t))
        x = np.random.default_rng(0).standard_normal((20, n))
        np.testing.assert_allclose(Grover(N=n).next_state(x), x @ matrix.T, atol=1e-13)
        np.testing.assert_allclose(Grover(N=n).exact(x, 3)[:, 3], x @ np.linalg.matrix_power(matrix, 3).T, atol=1e-12)

    def test_stack_holds_in_the_plane_only(self) -> None:
        task = Grover(N=8)
        x = np.random.default_rng(0).standard_normal((5, 8))
        assert np.abs(applied(task.householder_stack(), x) - task.next_state(x)).max() > 0.1

    def test_marked_item_must_exist(self) -> None:
        with pytest.raises(ValueError, match="marked must be below N"):
            Grover(N=4, marked=4)


class TestKaczmarz:
    @pytest.mark.parametrize("omega", [0.1, 0.5, 1.0, 1.5, 1.9])
    def test_converges_to_the_solution(self, omega: float) -> None:
        task = Kaczmarz(omega=omega)
        matrix, b, solution = task.system
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1.0, atol=1e-15)
        np.testing.assert_allclose(matrix @ solution, b, atol=1e-14)
        x = draw(task, 20)
        end = task.simulate(x, 3000).states[:, -1]
        np.testing.assert_allclose(end, np.broadcast_to(solution, x.shape), atol=1e-10)

    def test_error_shrinks_at_the_stated_rate(self) -> None:
        # rows = d with ω = 1 has a real dominant eigenvalue here, so that the decay is clean.
        task = Kaczmarz(omega=1.0)
        error = np.linalg.norm(task.simulate(draw(task, 5), 60).states - task.system[2], axis=2)
        rate = -np.log(error[:, 60] / error[:, 40]) / 20
        np.testing.assert_allclose(1 / rate, task.timescale, rtol=1e-3)

    def test_sweep_determinant(self) -> None:
        for rows, omega in ((4, 1.5), (3, 1.8), (5, 0.3)):
            task = Kaczmarz(rows=rows, d=3, omega=omega)
            assert np.linalg.det(task.jacobian(np.zeros(3))) == pytest.approx((1 - omega) ** rows, rel=1e-10)

    def test_fewer_rows_than_unknowns_reach_the_nearest_solution(self) -> None:
        task = Kaczmarz(rows=2, d=5, omega=1.0)
        matrix, b, _ = task.system
        x = draw(task, 10)
        nearest = x + (b - x @ matrix.T) @ np.linalg.pinv(matrix).T
        np.testing.assert_allclose(task.simulate(x, 500).states[:, -1], nearest, atol=1e-10)


class TestOverwrite:
    def test_projection(self) -> None:
        task = Overwrite(d=6, c=2.5)
        x = draw(task)
        image = task.next_state(x)
        np.testing.assert_allclose(image @ task.direction, 2.5, atol=1e-14)
        np.testing.assert_allclose(task.next_state(image), image, atol=1e-14)
        assert np.linalg.matrix_rank(task.jacobian(x)[0], tol=1e-12) == 5


def test_the_twisted_mirror_is_not_nearly_linear():
    """A least-squares linear map of the default task is no good: at τ = .3 it would score .06."""
    from ddl_dyn.tasks.dataset import make_dataset

    errors = {}
    for tau in (0.3, TwistedMirror().tau):
        data = make_dataset(TwistedMirror(tau=tau), n_train=64, n_val=1, n_test=32, n_ood=0, steps=20, seed=0)
        x = data.train.states
        A = np.linalg.lstsq(x[:, :-1].reshape(-1, 2), x[:, 1:].reshape(-1, 2), rcond=None)[0]
        run = [data.test.states[:, 0]]
        for _ in range(20):
            run.append(run[-1] @ A)
        error = np.stack(run[1:], axis=1) - data.test.states[:, 1:]
        errors[tau] = np.sqrt(np.mean(error**2 / x.reshape(-1, 2).var(axis=0)))
    assert errors[0.3] < 0.1 < 0.5 < errors[TwistedMirror().tau]
