"""The name that was probably meant, for messages about an unknown one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

# Names that other libraries give to what a key is called here.
_SYNONYMS = {
    **dict.fromkeys(("learning_rate", "learningrate", "step_size", "eta"), "lr"),
    **dict.fromkeys(("epochs", "iterations", "n_iter", "max_steps", "num_steps", "max_epochs"), "updates"),
    **dict.fromkeys(("batch_size", "batchsize", "minibatch"), "batch"),
    **dict.fromkeys(("width", "hidden", "hidden_size", "hidden_units", "units", "n_hidden"), "hidden_dim"),
    **dict.fromkeys(("depth", "num_layers", "n_layers", "nlayers"), "layers"),
    **dict.fromkeys(("latent", "latent_size", "state_size"), "latent_dim"),
    **dict.fromkeys(("grad_clip", "clip_norm", "max_norm", "gradient_clip"), "clip"),
    **dict.fromkeys(("wd", "l2", "decay_rate"), "weight_decay"),
    **dict.fromkeys(("early_stopping",), "patience"),
    **dict.fromkeys(("precision",), "dtype"),
    **dict.fromkeys(("n_seeds", "num_seeds", "replicas"), "seeds"),
    **dict.fromkeys(("noise_std", "sigma", "noise_level"), "noise"),
    **dict.fromkeys(("scheduler", "lr_schedule"), "schedule"),
    **dict.fromkeys(("sequence_length", "seq_len", "window"), "horizon"),
    **dict.fromkeys(("system", "dataset"), "task"),
    **dict.fromkeys(("architecture", "network"), "model"),
}


def nearest_key(path: str, valid: Sequence[str]) -> str:
    """` (did you mean 'train.lr'?)` for a key that is misspelt, misplaced or known by another name, or nothing."""
    last = path.rpartition(".")[2]
    plain = last.lower().replace("-", "_")
    meant = _SYNONYMS.get(plain, plain)
    moved = [key for key in valid if key.rpartition(".")[2] in (last, meant)]
    near = moved or difflib.get_close_matches(path, valid, n=1, cutoff=0.6)
    if not near:
        by_name = {key.rpartition(".")[2]: key for key in valid}
        near = [by_name[name] for name in difflib.get_close_matches(last, list(by_name), n=1, cutoff=0.7)]
    return f" (did you mean {near[0]!r}?)" if near else ""


def nearest_name(name: str, valid: Iterable[str]) -> str:
    """` (did you mean 'neural_ode'?)` for a name of a registry in other spelling, or nothing."""
    known = {key.replace("_", ""): key for key in valid}
    near = difflib.get_close_matches(re.sub(r"[\W_]+", "", name.lower()), list(known), n=1)
    return f" (did you mean {known[near[0]]!r}?)" if near else ""
