"""Threads: how many a run may use, and a team that outlives a fork."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ddl_dyn.engine import threads
from ddl_dyn.engine.cpp import toolchain


@pytest.mark.parametrize(
    ("share", "omp", "cores", "expected"),
    [(None, None, 4, 4), (None, "2", 4, 2), (None, "2,1", 4, 2), ("1", "2", 4, 1), ("3", None, 2, 2), ("x", "0", 4, 1)],
)
def test_a_share_comes_first_then_what_openmp_was_told_then_all_cores(monkeypatch, share, omp, cores, expected):
    monkeypatch.setattr(threads, "cores", lambda: cores)
    for name, value in ((threads.THREADS_VARIABLE, share), ("OMP_NUM_THREADS", omp)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert threads.available_threads() == expected


SCRIPT = """
import os, signal, torch
torch.set_num_threads(1)
from ddl_dyn import Replicas, make_model
replicas = Replicas(lambda: make_model("resnet", state_dim=2, layers=1), range(4))
assert replicas.compile(), replicas.why_eager
x0, u, y = torch.ones(4, 70, 2), torch.zeros(4, 70, 5, 0), torch.zeros(4, 70, 5, 2)
replicas.threads = 2
expected = replicas.loss_and_gradient("mse", x0, u, y)
# Signals stay with the thread that Python listens on.
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
os.kill(os.getpid(), signal.SIGUSR1)
assert heard == [1]
pid = os.fork()
if pid == 0:
    found = replicas.loss_and_gradient("mse", x0, u, y)
    os._exit(0 if all(map(torch.equal, found, expected)) else 3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert all(map(torch.equal, replicas.loss_and_gradient("mse", x0, u, y), expected))
"""


@pytest.mark.skipif(toolchain.compiler() is None or not hasattr(os, "fork"), reason="no C++ compiler, or no fork")
def test_a_forked_process_has_a_team_of_its_own():
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
