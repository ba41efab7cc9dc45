"""The face of the package: its names, their examples, and what importing them costs."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import ddl_dyn
from tests.helpers.run_folders import make_run

ROOT = Path(__file__).parents[1]
CALLABLES = sorted(name for name in ddl_dyn.__all__ if callable(getattr(ddl_dyn, name)))


def test_the_face_is_what_the_scripts_rely_on():
    promised = (
        "make_task make_dataset make_model Replicas Normalizer Series TrainConfig fit rollout open_run load_runs "
        "compare sweep search delta_operator delta_update lyapunov_spectrum MODELS TASKS __version__"
    )
    assert set(ddl_dyn.__all__) == set(promised.split())
    assert set(ddl_dyn.__all__) <= set(dir(ddl_dyn))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'; it offers MODELS"):
        _ = ddl_dyn.nonsense


def test_type_checkers_are_told_the_same_as_python():
    tree = ast.parse((ROOT / "ddl_dyn" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {a.asname or a.name: (node.module, a.name) for node in block.body for a in node.names}
    assert sorted(told) == sorted(set(ddl_dyn.__all__) - {"__version__"})
    for name, (module, attribute) in told.items():
        assert getattr(importlib.import_module(module), attribute) is getattr(ddl_dyn, name)


@pytest.mark.parametrize("name", CALLABLES)
def test_examples_run_as_they_stand(name, tmp_path, monkeypatch):
    make_run(tmp_path / "runs", "1")
    monkeypatch.chdir(tmp_path)
    item = getattr(ddl_dyn, name)
    module = sys.modules[item.__module__]
    # Each name of the face, and what the function's own file imports, such as torch.
    face = {each: getattr(ddl_dyn, each) for each in ddl_dyn.__all__}
    (test,) = doctest.DocTestFinder(recurse=False).find(item, name, module, globs=vars(module) | face)
    assert test.examples, f"{name} has no Example"
    said = []
    failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append)
    assert not failed, "".join(said)


def test_a_name_of_the_face_loads_nothing_before_it_is_used():
    code = "import sys, ddl_dyn; dir(ddl_dyn); print(*[m for m in ('numpy', 'torch', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
