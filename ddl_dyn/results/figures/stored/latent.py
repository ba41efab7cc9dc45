"""Figure of the latent map of a run that carries its latent state, as analysed. Axes: R replicas."""

from __future__ import annotations

from ddl_dyn import plots
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView


def _none(view: RunView) -> str:
    if view.run.config.get("model_args", {}).get("carry") != "latent":
        return "the observed state is carried; a latent map needs carry=latent"
    return view.no_latent


@figure(
    "latent",
    "the latent map: transverse exponents, drift, linear part far away, span of k",
    alt="exponents along and across the manifold of lifted states, drift from it, eigenvalues far away, span of k",
    unless=_none,
    by_default=True,
)
def _latent(view: RunView) -> Drawing:
    found = view.latent
    assert found is not None
    return plots.latent_map(
        *(found[name] for name in ("on", "off", "drift", "radii", "far", "energies")),
        neutral=found["neutral"],
        model=view.model,
        title=view.title,
        note=f"Exponents over {found['steps']} steps. {view.note}",
    )
