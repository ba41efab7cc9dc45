"""Training compiled, checkpointed over time, and as a CUDA graph: each gives what the ordinary path gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ddl_dyn import Replicas, fit, make_model
from ddl_dyn.config.sections import TrainConfig
from ddl_dyn.engine.cpp import toolchain as compiler
from ddl_dyn.training.trainer import Trainer

compiles = pytest.mark.skipif(compiler.compiler() is None, reason="no C++ compiler")
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class Data:
    """A rotation of the plane."""

    def __init__(self, seed=0, n=24, steps=40):
        angle = 0.3 * np.arange(steps + 1)
        start = np.random.default_rng(seed).normal(size=(n, 2))
        turn = np.stack(
            [np.stack([np.cos(angle), -np.sin(angle)], -1), np.stack([np.sin(angle), np.cos(angle)], -1)], -2
        )
        self.states, self.inputs = np.einsum("tij,nj->nti", turn, start), np.zeros((n, steps, 0))


def replicas(seeds=(0, 1), name="resnet", dtype=torch.float32, **options):
    return Replicas(lambda: make_model(name, state_dim=2, hidden_dim=8, **options), seeds).to(dtype=dtype)


def config(**options):
    base = {"updates": 20, "batch": 8, "horizon": 10, "validate_every": 10, "compile": "off"}
    return TrainConfig(**base | options)


@compiles
def test_compiled_training_follows_the_eager_one_and_says_so():
    results = []
    for compile in ("on", "off"):
        trained = replicas(dtype=torch.float64)
        results.append((fit(trained, Data(), Data(1), config(compile=compile)), trained.state_dict()))
    assert [result.compiled for result, _ in results] == [True, False]
    for name, value in results[0][1].items():
        # Twenty updates of float64 rounding, which AdamW's division by √v can stretch where v is small.
        torch.testing.assert_close(value, results[1][1][name], rtol=1e-6, atol=1e-8)


@compiles
def test_compiled_training_resumes_bit_for_bit(tmp_path):
    whole = replicas()
    fit(whole, Data(), Data(1), config(compile="on"))

    def keep(trainer):
        if trainer.update == 7:
            torch.save(trainer.state_dict(), tmp_path / "state.pt")

    fit(replicas(), Data(), Data(1), config(compile="on"), on_update=keep)
    resumed = replicas()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    fit(resumed, Data(), Data(1), config(compile="on"), state=state)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


@compiles
def test_a_compiled_replica_trains_as_it_does_alone():
    together, alone = replicas((3, 5, 9)), replicas((5,))
    for trained in (together, alone):
        fit(trained, Data(), Data(1), config(compile="on"))
    for name, value in alone.state_dict().items():
        # Free runs are the same bit for bit; losses and norms are torch's sums over tensors of other shapes.
        torch.testing.assert_close(together.state_dict()[name][1], value[0], rtol=1e-4, atol=1e-5)


def test_compile_on_warns_where_it_cannot_and_auto_does_not():
    untied = {"sharing": "untied", "layers": 10}
    with pytest.warns(UserWarning, match="stay eager: every step of an untied stack"):
        assert not fit(replicas(**untied), Data(), Data(1), config(updates=1, compile="on", validate_steps=5)).compiled
    long = config(updates=10**6, compile="auto")
    assert not Trainer(replicas(**untied), Data(), Data(1), long).compile()


def saved_bytes(trained, x0, u):
    """Numbers that autograd holds for the gradient of a free run."""
    held = {}

    def pack(t):
        held[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        states = trained.unroll(x0, u)
    return sum(held.values()), states


@pytest.mark.parametrize("options", [{}, {"carry": "latent"}, {"sharing": "untied", "layers": 64}])
def test_checkpointing_keeps_less_and_changes_nothing(options):
    trained = replicas(dtype=torch.float64, **options)
    g = torch.Generator().manual_seed(0)
    x0, u = torch.randn(2, 8, 2, generator=g, dtype=torch.float64), torch.zeros(2, 8, 64, 0, dtype=torch.float64)
    weight = torch.randn(2, 8, 64, 2, generator=g, dtype=torch.float64)
    found = []
    for checkpointing in (False, True):
        trained.checkpointing = checkpointing
        kept, states = saved_bytes(trained, x0, u)
        found.append((kept, states.detach(), torch.autograd.grad(states, list(trained.parameters.values()), weight)))
    # Of 64 steps 8 states are kept, and the parameters either way.
    assert found[1][0] < found[0][0] / 3
    for a, b in zip((found[0][1], *found[0][2]), (found[1][1], *found[1][2]), strict=True):
        # The same operations; sums over steps are taken in another order.
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-13)


@compiles
def test_compiled_checkpointing_keeps_less():
    trained = replicas(dtype=torch.float64)
    assert trained.compile()
    x0, u, target = (torch.zeros(shape, dtype=torch.float64) for shape in ((2, 8, 2), (2, 8, 256, 0), (2, 8, 256, 2)))
    used = []
    for checkpointing in (False, True):
        trained.checkpointing = checkpointing
        trained._compiled._spare.clear()
        trained.loss_and_gradient("mse", x0, u, target)
        used.append(trained._compiled._spare[0].numel())
    # Sixteen steps of 256 at a time, and what does not depend on the number of steps.
    assert used[1] < used[0] / 3


def test_tf32_is_off_unless_asked_for():
    try:
        for wanted in (True, False):
            fit(replicas(), Data(), Data(1), config(updates=0, tf32=wanted))
            assert torch.backends.cuda.matmul.allow_tf32 is wanted
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    assert TrainConfig().tf32 is False


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("name", ["resnet", "ddl", "lstm"])
def test_an_update_on_the_gpu_waits_for_nothing(name):
    trained = replicas(name=name).to(device="cuda")
    trainer = Trainer(trained, Data(), Data(1), config(updates=200, curriculum=False))
    for _ in range(5):
        trainer.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        # Past the end of a block of random numbers, which is the one transfer.
        for _ in range(70):
            trainer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert trainer._graph is not None
    assert torch.isfinite(trained.flat).all()


@pytest.mark.gpu
@on_gpu
def test_a_graphed_training_is_the_processors():
    found = []
    for device in ("cpu", "cuda"):
        trained = replicas(dtype=torch.float64).to(device=device)
        fit(trained, Data(), Data(1), config())
        found.append(trained.state_dict())
    for name, value in found[0].items():
        # Sums in another order, stretched by AdamW's division.
        torch.testing.assert_close(value, found[1][name].cpu(), rtol=1e-6, atol=1e-8)
