"""Compare and read the verdict: two models on the same data and seeds, and what their difference allows to say.

python examples/verdict.py               # about 15 s on one core; writes example_runs/
"""

import subprocess
import sys

import numpy as np

from ddl_dyn import load_runs
from ddl_dyn.metrics.decisions import PairedScores, decide

# As in a terminal: `ddl-dyn --runs example_runs compare with …`. A real question wants more data, updates and seeds.
options = [
    *("tasks=van_der_pol", "models=ddl,resnet,linear", "carries=observed", "seeds=8", "model_args.layers=1"),
    *("per_model.ddl.model_args.hidden_dim=16", "per_model.resnet.model_args.hidden_dim=16"),
    *("train.updates=80", "train.horizon=5", "train.lr=0.01"),
    *("data.n_train=64", "data.n_val=16", "data.n_test=16", "data.n_ood=0", "data.steps=40", "eval.long=40"),
]
subprocess.run([sys.executable, "-m", "ddl_dyn", "--runs", "example_runs", "compare", "with", *options], check=True)

# One row a run; a column that holds one value a seed holds a list.
runs = load_runs("example_runs").set_index("model")
errors = {name: np.array(runs.loc[name, "result.test.nrmse_short"]) for name in runs.index}

# Both comparisons are one family: p is corrected for the two of them.
pairs = [
    PairedScores(label=f"ddl against {name}", first=errors["ddl"], second=errors[name]) for name in ("resnet", "linear")
]
for found in decide(pairs):
    first, second = found.medians
    ratio, low, high = found.ratio
    print(f"{found.label}: {found.verdict}")
    print(f"  medians {first:.3f} and {second:.3f}; lower in {found.lower} of {found.seeds} seeds")
    print(f"  ratio {ratio:.2f} ({low:.2f} to {high:.2f}), p = {found.corrected:.3f}")
    if found.verdict == "unresolved":
        print(f"  about {found.seeds_needed:.0f} seeds would resolve it, were these typical")
