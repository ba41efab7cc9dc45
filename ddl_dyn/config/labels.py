"""Printed names: of architectures and of the regimes of a gate."""

from __future__ import annotations

# Registry key -> the name in tables, legends and sentences.
MODEL_LABELS: dict[str, str] = {
    "ddl": "DDL",
    "resnet": "ResNet",
    "highway": "Highway",
    "neural_ode": "neural ODE",
    "augmented_neural_ode": "augmented neural ODE",
    "lstm": "LSTM",
    "gru": "GRU",
    "rkan": "RKAN",
    "mlp": "MLP",
    "write_only": "write-only",
    "gated_residual": "gated residual",
    "invertible_resnet": "invertible ResNet",
    "hyper_connections": "hyper-connections",
    "shplrnn": "shPLRNN",
    "alrnn": "AL-RNN",
    "cornn": "coRNN",
    "lem": "LEM",
    "nvar": "NVAR",
    "esn": "echo state network",
    "sindy": "SINDy",
    "householder_stack": "Householder stack",
    "exact_map": "exact map",
    "persistence": "persistence",
    "mean": "training mean",
    "linear": "linear map",
    "analogue": "nearest analogue",
    "noise": "noise floor",
}
# Regimes of a gate β in the order of their borders.
REGIMES = ("skip", "overwrite", "over_relaxed")


def model_label(name: str) -> str:
    """The printed name of a model; one of a user's file, `path/to/file.py:Class`, is named by its class."""
    return MODEL_LABELS.get(name) or name.rpartition(":")[2].replace("_", " ")
