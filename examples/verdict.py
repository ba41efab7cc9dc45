# %% [markdown]
# # Compare and read the verdict
#
# Three models on the same data and seeds, and what their difference allows to say.
#
# `python examples/verdict.py`: about 15 s on one core; writes example_runs/.

# %%
import numpy as np

from ddl_dyn import compare, load_runs
from ddl_dyn.metrics.decisions import PairedScores, decide

# %% [markdown]
# The words are those of the command line, `ddl-dyn --runs example_runs compare with …`, or values of Python. A real
# question wants more data, updates and seeds.

# %%
found = compare(
    *("tasks=van_der_pol", "models=ddl,resnet,linear", "seeds=8", "model_args.layers=1"),
    per_model={name: {"model_args": {"hidden_dim": 16}} for name in ("ddl", "resnet")},
    train={"updates": 80, "horizon": 5, "lr": 0.01},
    data={"n_train": 64, "n_val": 16, "n_test": 16, "n_ood": 0, "steps": 40},
    eval={"long": 40},
    runs="example_runs",
)
print(found.table[["model", "horizon", "median", "low", "high", "verdict"]].to_string())

# %% [markdown]
# The table has the verdicts. The same from the scores themselves: one row a run, in which a column that holds one value
# a seed holds a list. Both comparisons are one family: p is corrected for the two of them.

# %%
runs = load_runs("example_runs").set_index("model")
errors = {name: np.array(runs.loc[name, "result.test.nrmse_short"]) for name in runs.index}

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
