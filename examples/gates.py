# %% [markdown]
# # What do the gates do?
#
# A Delta rewrite with β < 1 keeps part of what it finds along k, with β > 1 it turns it over: det A = 1 − β changes
# sign. Two tasks, one that needs that and one that does not.
#
# `python examples/gates.py`: about 30 s on one core; writes gate_runs/, gates_mirror.png and gates_van_der_pol.png.

# %%
import numpy as np

from ddl_dyn import load_runs, open_run, sweep
from ddl_dyn.plots import save

# %% [markdown]
# The twisted mirror reflects the plane at an axis that depends on the state; van der Pol's oscillator is a flow, which
# turns nothing over. Without a lift (`lift=identity`) the stack can only do it by its gates.

# %%
sweep(
    *("tasks=twisted_mirror,van_der_pol", "models=ddl", "seeds=3", "model_args.lift=identity"),
    train={"updates": 400, "horizon": 5, "lr": 0.01, "lr_grid": [[]]},
    data={"n_train": 64, "n_val": 16, "n_test": 16, "n_ood": 0, "steps": 40},
    eval={"long": 40},
    runs="gate_runs",
)

# %% [markdown]
# The gate of every layer over the plane, for the seed that figures show, and the share of the plane in which the whole
# step reverses orientation: where an odd number of gates exceeds 1.

# %%
runs = load_runs("gate_runs").set_index("task")
for task, name in (("twisted_mirror", "mirror"), ("van_der_pol", "van_der_pol")):
    run = open_run(runs.loc[task, "id"], runs="gate_runs")
    beta = run.arrays["gate_beta"][run.setup.chosen]  # (layers, places, rewrites)
    reversing = (beta > 1).sum(axis=(0, 2)) % 2 == 1
    print(f"{task}: β from {beta.min():.2f} to {beta.max():.2f}; reversing in {np.mean(reversing):.0%} of the plane")
    save(run.portrait("gates"), f"gates_{name}")

# %% [markdown]
# A gate is not the whole map: v depends on the state, too, so that a step with β < 1 may still turn the plane over
# (docs/study.md). `run.analyse()` has the eigenvalues of both beside each other.
