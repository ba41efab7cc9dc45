"""The check before a run: what a step may not do is refused in one line, all else is accepted."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from ddl_dyn.config.sections import ModelConfig
from ddl_dyn.models import MODELS, make_model, model_class
from ddl_dyn.models.base import StepModel
from ddl_dyn.models.check import complaints, step_fault
from tests.helpers.user_layers import LAYERS, REFUSED, H, U, model_of

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop")


@pytest.mark.parametrize("name", LAYERS)
def test_a_users_layer_is_refused_for_what_no_layer_may_do(name):
    for state_dim, lift in ((2, "linear"), (H, "identity")):
        model = model_of(name)(state_dim, ModelConfig(layers=1, lift=lift), input_dim=U)
        fault = step_fault(model)
        if name in REFUSED:
            assert fault is not None
            assert REFUSED[name] in fault
            assert "\n" not in fault
        else:
            assert fault is None


@pytest.mark.parametrize("name", [name for name, cls in MODELS.items() if not cls.closed_form])
def test_the_registrys_own_models_are_accepted(name):
    torch.manual_seed(0)
    assert step_fault(make_model(name, state_dim=1)) is None
    assert step_fault(make_model(name, state_dim=3, input_dim=2, carry="latent")) is None


class Shrinking(nn.Module):
    def forward(self, h, u):  # noqa: ARG002
        return h[:, :1]


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.sign = nn.Parameter(torch.ones(()))

    def forward(self, h, u):  # noqa: ARG002
        return h if bool(self.sign > 0) else 2 * h


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Shrinking, r"must map \(3, 8\) in torch.float64 to the same, got \(3, 1\)"),
        (Deciding, "cannot be mapped over replicas by torch.vmap"),
    ],
)
def test_other_faults_of_a_step_are_said(layer, message):
    class Own(StepModel):
        Config = ModelConfig
        equation, source = "h⁺ = …", "a user"

        def make_layer(self):
            return layer()

    assert re.search(message, str(step_fault(Own(2, ModelConfig(layers=1)))))


def test_a_users_file_is_checked_by_name(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import torch\nfrom torch import nn\n"
        "from ddl_dyn.config.sections import ModelConfig\nfrom ddl_dyn.models.base import StepModel\n"
        "class Layer(nn.Module):\n"
        "    def forward(self, h, u):\n"
        "        return nn.functional.dropout(h, 0.1)\n"
        "class Mine(StepModel):\n"
        "    Config, equation, source = ModelConfig, 'h', 'me'\n"
        "    def make_layer(self):\n"
        "        return Layer()\n"
    )
    name = f"{path}:Mine"
    before = torch.get_rng_state()
    (said,) = complaints(model_class(name), name, json.dumps({}), (1, 0, 0.1))
    assert said.startswith(f"model={name}: a step draws random numbers")
    assert torch.equal(before, torch.get_rng_state())
    path.write_text(path.read_text().replace("nn.functional.dropout(h, 0.1)", "torch.tanh(h)"))
    assert complaints(model_class(name), name, json.dumps({}), (1, 0, 0.1)) == ()
