# %% [markdown]
# # Your own series
#
# A pandas DataFrame becomes a task, and a model is compared with what needs no learning.
#
# `python examples/own_series.py`: about 10 s on one core; writes my_series.csv and own_series.png.

# %%
import numpy as np
import pandas as pd
import torch

from ddl_dyn import Normalizer, Replicas, TrainConfig, fit, make_dataset, make_model, make_task, rollout
from ddl_dyn.plots import phase_portrait, save

# %% [markdown]
# Any evenly sampled table will do.

# %%
# Here a beat of two tones, measured with noise.
hours = 0.25 * np.arange(1600)
noise = 0.02 * np.random.default_rng(0).standard_normal(hours.size)
frame = pd.DataFrame({"hours": hours, "level": np.sin(hours) + 0.5 * np.sin(1.3 * hours) + noise})
frame.to_csv("my_series.csv", index=False)

# %% [markdown]
# One scalar column is embedded in delays; what is not given (here `delay`) is chosen on the training segment alone.
# Two tones move on a torus, which four delays hold. The splits follow one another in time.

# %%
task = make_task("observed", path="my_series.csv", time_column="hours", value_columns=("level",), dimension=4)
data = make_dataset(task, n_train=128, n_val=16, n_test=16, n_ood=0, steps=40)
print(f"{task.state_dim} delays of {task.dt:g} hours; {'; '.join(data.notes) or 'no notes'}")

scale = Normalizer.fit(data.train.states, "isotropic")
train, val = (part.replace(states=scale.normalize(part.states)) for part in (data.train, data.val))
start = torch.as_tensor(scale.normalize(data.test.states[:, 0]))

# %% [markdown]
# Three seeds of a DDL stack beside the best linear map and a forecast that nothing changes.

# %%
predictions = {}
for name in ("ddl", "linear", "persistence"):
    replicas = Replicas(lambda name=name: make_model(name, state_dim=task.state_dim), seeds=range(3))
    fit(replicas, train, val, TrainConfig(updates=300, horizon=10, lr=1e-2))
    predictions[name] = scale.denormalize(rollout(replicas, start, steps=40).states).numpy()
    errors = np.sqrt(np.mean((predictions[name] - data.test.states) ** 2, axis=(1, 2, 3)))
    print(f"{name:12} error of 40 free steps: {np.median(errors):.3f}")

newest_two = phase_portrait(data.test.states[..., :2], predictions["ddl"][..., :2], state_names=task.state_names[:2])
save(newest_two, "own_series")
