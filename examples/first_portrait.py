# %% [markdown]
# # First phase portrait
#
# A DDL stack learns van der Pol's oscillator, and its free runs are drawn beside the truth.
#
# `python examples/first_portrait.py`: about 10 s on one core; writes first_portrait.png.

# %%
import numpy as np
import torch

from ddl_dyn import Normalizer, Replicas, TrainConfig, fit, make_dataset, make_model, make_task, rollout
from ddl_dyn.plots import phase_portrait, save

task = make_task("van_der_pol", mu=1.5, dt=0.1)
data = make_dataset(task, n_train=64, n_val=16, n_test=16, n_ood=0, steps=100, seed=0)

# %% [markdown]
# The model sees normalised states; what it does is measured and drawn in the task's own units. Three seeds of one model
# are trained as one computation.

# %%
scale = Normalizer.fit(data.train.states, "component")
train, val = (part.replace(states=scale.normalize(part.states)) for part in (data.train, data.val))

replicas = Replicas(lambda: make_model("ddl", state_dim=task.state_dim, hidden_dim=16), seeds=range(3))
result = fit(replicas, train, val, TrainConfig(updates=400, horizon=10, lr=1e-2))
print("validation error of each seed:", np.round(result.best_val, 4))

# %% [markdown]
# Free runs from starts that the model has not seen.

# %%
run = rollout(replicas, torch.as_tensor(scale.normalize(data.test.states[:, 0])), steps=100)
states = scale.denormalize(run.states).numpy()
error = np.sqrt(np.mean((states - data.test.states) ** 2, axis=(1, 2, 3)) / data.train.states.var())
print("error of 100 free steps, in standard deviations:", np.round(error, 2))

save(phase_portrait(data.test.states, states, state_names=task.state_names), "first_portrait")
