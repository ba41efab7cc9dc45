"""Conditions under which the rollout kernels run, and their compilation for a card.

Their arithmetic is tested in test_kernels_interpreted.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ddl_dyn import Replicas, make_model
from ddl_dyn.engine import kernels
from ddl_dyn.engine.kernels.support import UNROLLED, weights_on_chip
from ddl_dyn.models import MODELS

CUDA = torch.device("cuda")
CPU = torch.device("cpu")


@pytest.fixture
def card(monkeypatch):
    """As if a card of capability 9.0 were there, so that what follows in the predicate is reached without one."""
    from ddl_dyn.engine.kernels import support

    monkeypatch.setattr(support, "_card", lambda _: None)
    monkeypatch.setattr(support, "_installed", lambda: True)


def reason(name, *, device=CUDA, dtype=torch.float32, input_dim=0, **options):
    return kernels.why_not(make_model(name, state_dim=2, input_dim=input_dim, **options), device, dtype)


COVERED = [
    ("ddl", {}),
    *(("ddl", {"lift": lift, "carry": carry}) for lift in ("linear", "identity") for carry in ("latent", "observed")),
    *(("ddl", {"rewrite": rewrite}) for rewrite in ("delta", "write", "erase", "untied")),
    ("ddl", {"gate": "fixed", "beta0": 2.0}),
    ("ddl", {"gate_max": 1.0, "normalize_direction": False, "directions": 2, "latent_dim": 5, "value_dim": 3}),
    ("resnet", {}),
    ("resnet", {"step_size": 0.5, "layers": 4, "lift": "identity"}),
]


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(("name", "options"), COVERED, ids=str)
def test_covered(name, options):
    assert reason(name, **options) is None
    assert kernels.supported(make_model(name, state_dim=2, **options), CUDA, torch.float32)


LEFT_OUT = [
    ("ddl", {"sharing": "untied"}, "sharing=tied"),
    ("ddl", {"input_dim": 1}, "inputs"),
    ("ddl", {"dtype": torch.float64}, "float64"),
    *(("ddl", {"generator": name}, "generator=shared") for name in ("mlp", "branch", "constant")),
    ("ddl", {"value": "constant"}, "value=state"),
    *(("ddl", {"gate": name}, "gate=linear") for name in ("tanh", "constant")),
    ("ddl", {"norm": True}, "norm=false"),
    ("ddl", {"order": "simultaneous", "directions": 2}, "order=successive"),
    ("ddl", {"channels": "repeated"}, "channels=lifted"),
    ("ddl", {"value_bound": 4.0}, "value_bound=None"),
    ("ddl", {"direction_eps": 1e-5}, "direction_eps=1e-06"),
    ("ddl", {"layers": UNROLLED + 1}, "unroll"),
    ("ddl", {"layers": 2, "directions": UNROLLED}, "unroll"),
    ("ddl", {"hidden_dim": 129, "lift": "identity", "layers": 1}, "hidden units"),
    ("ddl", {"latent_dim": 33, "value_dim": 4, "layers": 1}, "latent components"),
    ("ddl", {"hidden_dim": 128, "latent_dim": 16}, "on the chip"),
    *(("resnet", {"norm": name}, "norm=none") for name in ("pre", "post")),
    ("resnet", {"branch": "bilinear"}, "branch=mlp"),
    ("resnet", {"activation": "relu"}, "activation=tanh"),
    ("resnet", {"shortcut": "affine"}, "shortcut=identity"),
    *((name, {"carry": "latent", "reencode": 0.1}, "reencode=0") for name in ("ddl", "resnet")),
    ("resnet", {"latent_dim": 128, "hidden_dim": 128}, "on the chip"),
]


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(("name", "options", "words"), LEFT_OUT, ids=str)
def test_left_out_with_a_reason(name, options, words):
    assert words in reason(name, **options)


@pytest.mark.usefixtures("card")
def test_no_other_model_is_taken_for_one_that_is_covered():
    for name, cls in MODELS.items():
        if name not in ("ddl", "resnet") and not cls.closed_form:
            assert cls.__name__ in reason(name)
    # A subclass may compute anything, whatever its options say.
    other = type("Changed", (MODELS["ddl"],), {})
    model = make_model("ddl", state_dim=2)
    model.__class__ = other
    assert "Changed" in kernels.why_not(model, CUDA, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_cpu_never_runs_a_kernel(dtype, monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.delitem(sys.modules, "ddl_dyn.engine.kernels.rollout", raising=False)
    monkeypatch.setattr(kernels, "fused_unroll", lambda *_: pytest.fail("a kernel was launched on a CPU"))
    for name in ("ddl", "resnet"):
        assert "CUDA" in reason(name, device=CPU, dtype=dtype)
        replicas = Replicas(lambda name=name: make_model(name, state_dim=2), [0, 1]).to(dtype=dtype)
        x = torch.randn(2, 3, 2, dtype=dtype)
        assert replicas.unroll(x, x.new_zeros(2, 3, 4, 0)).shape == (2, 3, 4, 2)
    assert "ddl_dyn.engine.kernels.rollout" not in sys.modules


@pytest.mark.usefixtures("card")
def test_without_triton_the_ordinary_code_runs(monkeypatch):
    from ddl_dyn.engine.kernels import support

    monkeypatch.setattr(support, "_installed", lambda: False)
    assert "not installed" in reason("ddl")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ddl", {"latent_dim": 8, "value_dim": 2, "hidden_dim": 64, "carry": "observed"}),
        ("ddl", {"latent_dim": 5, "value_dim": 3, "hidden_dim": 20, "rewrite": "untied", "directions": 2}),
        ("resnet", {"lift": "identity", "hidden_dim": 20}),
    ],
    ids=str,
)
def test_weights_are_packed_in_the_order_in_which_the_kernels_look_for_them(name, options):
    pytest.importorskip("triton", reason="Triton is made for Linux only")
    from ddl_dyn.engine.kernels.plan import plan

    model = make_model(name, state_dim=2, **options)
    chosen, parameters = plan(model), dict(model.named_parameters())
    packed = sum(parameters[name].numel() for name in chosen.names)
    assert packed == chosen.options.size.value
    assert packed <= weights_on_chip(model) + sum(p.numel() for p in parameters.values() if p.ndim == 1)
    # Under carry=latent torch applies the lift and the read-out around the kernel.
    outside = model.config.lift == "linear" and model.config.carry == "latent"
    assert set(chosen.names) == {n for n in parameters if not (outside and n.startswith(("lift_map", "read_map")))}


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90, 100])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ddl", {"latent_dim": 8, "value_dim": 2, "hidden_dim": 64, "layers": 1}),
        ("resnet", {"latent_dim": 16, "hidden_dim": 64, "layers": 2, "carry": "latent"}),
    ],
    ids=str,
)
def test_both_kernels_compile_to_machine_code(name, options, capability, monkeypatch, tmp_path):
    pytest.importorskip("triton", reason="Triton is made for Linux only")
    from benchmarks.gpu.resources import compiled_kernels, resources

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    compiled = compiled_kernels(make_model(name, state_dim=2, **options), capability)
    for kernel in compiled:
        assert len(kernel.asm["cubin"]) > 1000
        # TF32 would show as tensor-core instructions.
        assert "mma" not in kernel.asm["ptx"]
        # The least that a block may ask for on any card from capability 8.0 on: 99 KiB.
        assert kernel.metadata.shared <= 99 * 1024
        taken = resources(kernel, capability)
        assert 16 <= taken.registers <= 255
        assert taken.resident(capability) >= 1


def test_the_single_update_counts_its_bytes_and_asks_for_a_gpu():
    from benchmarks.single_update import bytes_moved, operands

    args = operands(10, 8, 2, "cpu")
    # X, k, v and β are read once, and something as large as X is written.
    assert bytes_moved(10, 8, 2) == sum(4 * a.numel() for a in (*args, args[0]))
    if torch.cuda.is_available():
        return
    script = Path(__file__).parents[2] / "benchmarks" / "single_update.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no GPU" in done.stdout


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("name", "options"), COVERED, ids=str)
def test_a_card_gives_what_the_ordinary_code_gives(name, options):
    torch.manual_seed(0)

    def scrambled():
        model = make_model(name, state_dim=2, **options)
        for p in model.parameters():
            p.data.add_(0.3 * torch.randn(p.shape))
        return model

    replicas = Replicas(scrambled, [0, 1, 2]).to(CUDA)
    assert kernels.supported(replicas.template, replicas.device, replicas.dtype)
    x = torch.randn(3, 50, 2, device=CUDA)
    wanted = [x.new_zeros(3, 50, 5, 0), torch.randn(3, 50, 5, 2, device=CUDA)]
    found = replicas.unroll(x, wanted[0])
    gradients = torch.autograd.grad((found * wanted[1]).sum(), list(replicas.parameters.values()))
    replicas.to(dtype=torch.float64)
    truth = replicas.call("unroll", x.double(), wanted[0].double())
    exact = torch.autograd.grad((truth * wanted[1]).sum(), list(replicas.parameters.values()))
    for one, other in zip((found, *gradients), (truth, *exact), strict=True):
        # Five steps of float32 arithmetic, in terms of the largest entry.
        assert (one.double() - other).abs().max() < 1e-4 * other.abs().max()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", ["ddl", "resnet"])
def test_a_fused_run_waits_for_nothing_and_fits_into_a_cuda_graph(name):
    replicas = Replicas(lambda: make_model(name, state_dim=2), [0, 1]).to(CUDA)
    x = torch.randn(2, 50, 2, device=CUDA)

    def update():
        states = replicas.unroll(x, x.new_zeros(2, 50, 5, 0))
        return states, *torch.autograd.grad(states.square().sum(), list(replicas.parameters.values()))

    # Tries the kernels, which does wait, and compiles them.
    update()
    torch.cuda.set_sync_debug_mode("error")
    try:
        update()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = update()
    x.mul_(2.0)
    graph.replay()
    for one, other in zip(captured, update(), strict=True):
        assert torch.equal(one, other)
