"""Options of Deep Delta Learning, and the paper's own settings as presets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ddl_dyn.models.base import ResidualConfig

# Options of each published version, as far as it states them; docs/models.md lists where this code departs from it.
PRESETS: dict[str, dict[str, Any]] = {
    "ours": {},
    # arXiv 2601.00417v1, 1 January 2026.
    "first_version": {"generator": "mlp", "gate": "linear", "norm": False},
    # Code of 27 July 2026, commit 2b55f25. The paper of that date has v = W c: value_bound and value_before_norm off.
    "july_2026": {
        "generator": "branch",
        "gate": "linear",
        "value_dim": 4,
        "channels": "repeated",
        "norm": True,
        "norm_eps": 1e-5,
        "direction_eps": 1e-5,
        "beta0": 1.0,
        "gate_init": "scaled",
        "value_init": "scaled",
        "value_bound": 4.0,
        "value_before_norm": True,
    },
}


class DDLConfig(ResidualConfig):
    """Options of the DDL family; `latent_dim` is d.

    preset: defaults of the options that are not given. "first_version": arXiv 2601.00417v1 (1 January 2026);
        "july_2026": the authors' code of 27 July 2026; "ours": as listed here. See docs/models.md.
    value_dim: d_v. With one channel H = d · d_v is the latent size that every lifted model has by default.
    channels: X₀ is a linear lift to all d × d_v components ("lifted"), or one of d components in every value channel,
        read out through learned weights of the channels ("repeated").
    generator: where the direction comes from. "mlp": its own network on the flattened state; "branch": the residual
        branch itself, v and β affine in the compressed context; "shared": one hidden layer on the flattened state with
        a head each for k, v and β; "constant": a learned constant; "input": affine in the task's inputs alone, so that
        each token has a direction of its own.
    rewrite: "delta"; "write" (the matched control that erases nothing); "erase" (v = 0); "untied" (separate gates).
    value: where v comes from under "delta", "write" and "untied". "state": as `generator` says; "constant": a learned
        constant; "input": affine in the inputs alone. Only where k, β and v do not depend on the state is the gate that
        is found a property of the map: a v that depends on it can undo any part of β.
    value_bound: v = value_bound · logistic(…), component by component (None: v is not bounded).
    value_before_norm: v is generated from the state as it is before the norm.
    value_init: weights of v at the start: zero, or normal with the standard deviation .5/√(fan-in) ("scaled").
    gate: "linear" or two-layer "tanh" gate β = gate_max·σ(g); "constant": g is a learned constant; "input": g is affine
        in the inputs alone; "fixed" holds β = beta0.
    gate_max: 2 for the paper's range (0, 2), 1 for (0, 1).
    gate_init: weights of the gate at the start: standard deviation .01 ("small") or .5/√(fan-in) ("scaled").
    directions: rank-1 rewrites per layer, generated from one context.
    order: of several rewrites. "successive": each acts on what the last one left, a product of Delta operators;
        "simultaneous": all act on the incoming state and their changes are added, I − Σ β_i k_i k_iᵀ, whose eigenvalues
        may leave [−1, 1].
    direction_eps: ε of k = k̃ / √(‖k̃‖² + ε²).
    norm: RMS-normalise the context. Off by default: a trajectory's amplitude is part of its state.
    norm_eps: ε of that norm.
    """

    preset: Literal["ours", "first_version", "july_2026"] = "ours"
    value_dim: int = Field(default=1, ge=1, le=4096)
    channels: Literal["lifted", "repeated"] = "lifted"
    generator: Literal["mlp", "branch", "shared", "constant", "input"] = "shared"
    rewrite: Literal["delta", "write", "erase", "untied"] = "delta"
    value: Literal["state", "constant", "input"] = "state"
    value_bound: float | None = Field(default=None, gt=0.0)
    value_before_norm: bool = False
    value_init: Literal["zero", "scaled"] = "zero"
    gate: Literal["linear", "tanh", "constant", "input", "fixed"] = "linear"
    gate_max: float = Field(default=2.0, gt=0.0, le=2.0)
    gate_init: Literal["small", "scaled"] = "small"
    beta0: float = Field(default=0.1, ge=0.0, le=2.0)
    normalize_direction: bool = True
    direction_eps: float = Field(default=1e-6, gt=0.0, le=1.0)
    directions: int = Field(default=1, ge=1, le=64)
    order: Literal["successive", "simultaneous"] = "successive"
    norm: bool = False
    norm_eps: float = Field(default=1e-6, gt=0.0, le=1.0)

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: object) -> Any:
        if not isinstance(given, dict) or given.get("preset") not in PRESETS:
            return given
        preset = dict(PRESETS[given["preset"]])
        if given.get("lift") == "identity":
            # One space for state and latent state has one value channel.
            preset.pop("value_dim", None)
        return preset | given

    @model_validator(mode="after")
    def _gate(self) -> DDLConfig:
        if self.gate != "fixed" and not 0.0 < self.beta0 < self.gate_max:
            raise ValueError(
                f"beta0 must lie strictly between 0 and gate_max = {self.gate_max} for a learned gate, got "
                f"{self.beta0}; use gate=fixed to hold β at an end of its range"
            )
        return self

    @model_validator(mode="after")
    def _effective(self) -> DDLConfig:
        """No option that would change nothing."""
        fields = type(self).model_fields
        for names, holds, where in (
            (
                ("value", "value_bound", "value_before_norm", "value_init"),
                self.rewrite != "erase",
                "nothing to say under rewrite=erase, where v = 0; use another rewrite",
            ),
            (("value_before_norm", "value_init"), self.value == "state", "no effect unless value=state"),
            (
                ("value_before_norm",),
                self.norm and self.generator in ("mlp", "branch"),
                "no effect unless norm=true and generator=mlp or branch",
            ),
            (("norm_eps",), self.norm, "no effect unless norm=true"),
            (("direction_eps",), self.normalize_direction, "no effect unless normalize_direction=true"),
            (("gate_init",), self.gate in ("linear", "tanh"), "no effect unless gate=linear or tanh"),
            (("order",), self.directions > 1, "no effect on one rewrite; raise directions"),
        ):
            for name in names:
                if not holds and getattr(self, name) != fields[name].default:
                    raise ValueError(f"{name}={getattr(self, name)} has {where}, or drop {name}")
        return self
