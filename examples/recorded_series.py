# %% [markdown]
# # Recorded trajectories with a gap
#
# A data frame goes through fit, compare and portrait.
#
# `python examples/recorded_series.py`: about 25 s on one core; writes sensors.npz, sensor_runs/ and sensors.png.

# %%
import numpy as np
import pandas as pd
import torch

from ddl_dyn import (
    Normalizer,
    Replicas,
    Series,
    TrainConfig,
    compare,
    fit,
    load_runs,
    make_dataset,
    make_model,
    make_task,
    open_run,
    rollout,
)
from ddl_dyn.plots import save

# %% [markdown]
# The recording: two sensors, one of which was off for ten seconds and lost single values now and then.

# %%
# Two sensors on the same oscillator, started apart, each sampled twice a second for a while.
truth = make_task("van_der_pol", dt=0.5).simulate(np.array([[2.0, 0.0], [0.1, 0.1]]), steps=600)
rng = np.random.default_rng(0)
frames = []
for name, states in zip(("north", "south"), truth.states, strict=True):
    noisy = states + 0.02 * rng.standard_normal(states.shape)
    clock = pd.Timestamp("2024-05-01T08:00Z") + pd.to_timedelta(truth.times, unit="s")
    frames.append(pd.DataFrame({"sensor": name, "clock": clock, "position": noisy[:, 0], "velocity": noisy[:, 1]}))
frame = pd.concat(frames, ignore_index=True)
# One sensor was off for ten seconds, and lost single values now and then.
frame = frame.drop(index=range(200, 220))
frame.loc[frame.index[::97], "velocity"] = np.nan

# %% [markdown]
# A series is kept in a file that everything takes by its path: make_task here, run, compare and sweep below. What is
# missing is refused until the options say what to do; no window crosses the gap.

# %%
path = Series.from_dataframe(frame, time="clock", values=["position", "velocity"], id="sensor").save("sensors.npz")

options = {"gaps": "split", "missing": "interpolate"}
task = make_task("observed", path=path, **options)
data = make_dataset(task, n_train=128, n_val=16, n_test=16, n_ood=0, steps=20)
print("\n".join(data.notes))
print(f"training segments of {', '.join(str(len(part)) for part in task.segments['train'])} samples")

# %%
scale = Normalizer.fit(data.train.states, "component")
train, val = (part.replace(states=scale.normalize(part.states)) for part in (data.train, data.val))
replicas = Replicas(lambda: make_model("ddl", state_dim=task.state_dim), seeds=range(3))
fit(replicas, train, val, TrainConfig(updates=100, horizon=5, lr=1e-2))
start = torch.as_tensor(scale.normalize(data.test.states[:, 0]))
predicted = scale.denormalize(rollout(replicas, start, steps=20).states).numpy()
error = np.sqrt(np.mean((predicted - data.test.states) ** 2, axis=(1, 2, 3)))
print(f"error of 20 free steps: {np.median(error):.3f}")

# %% [markdown]
# The same as a comparison, whose runs are kept; in a terminal
# `ddl-dyn --runs sensor_runs compare with tasks=observed task_args.path=sensors.npz …`. Each run keeps a copy of the
# series: it can be opened, continued and replayed without sensors.npz.

# %%
compare(
    tasks=["observed"],
    task_args={"path": str(path), **options},
    models=["ddl", "linear"],
    seeds=3,
    train={"updates": 60, "horizon": 5, "lr": 0.01, "lr_grid": []},
    data={"n_train": 128, "n_val": 16, "n_test": 16, "steps": 20},
    eval={"short": 5, "long": 20},
    runs="sensor_runs",
)

# %%
runs = load_runs("sensor_runs").set_index("model")
for name in ("ddl", "linear"):
    print(f"{name} over 5 steps: {np.median(runs.loc[name, 'result.test.nrmse_short']):.3f}")
save(open_run(runs.loc["ddl", "id"], runs="sensor_runs").portrait(), "sensors")
