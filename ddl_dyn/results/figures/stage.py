"""What a figure of a trained map is drawn from."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from ddl_dyn.experiments.setup import Setup
from ddl_dyn.results.figures.run_view import Scene
from ddl_dyn.results.inspection import climate
from ddl_dyn.results.inspection.rebuild import Suited, Unsuitable

Array = NDArray[Any]
# Steps of the long runs behind sections, spectra and return maps.
LONG = 2000


class Stage(Scene):
    """A scene with the run made whole.

    Args:
        subject: from `restore_setup`.   dry: find out what can be drawn, and draw nothing.
    """

    def __init__(self, subject: Setup, *, dry: bool = False) -> None:
        super().__init__(subject.run)
        vars(self).update(subject=subject, dry=dry)

    subject: Setup
    dry: bool

    def suited(self) -> None:
        """Called by a figure once nothing speaks against it.

        Raises:
            Suited: when nothing is to be drawn.
        """
        if self.dry:
            raise Suited

    @cached_property
    def long_runs(self) -> tuple[Array, Array]:
        """As `climate.long_runs`, the chosen replica first."""
        climate.check_long_runs(self.subject)
        self.suited()
        pred, true = climate.long_runs(self.subject, LONG)
        if climate.at_rest(true):
            raise Unsuitable("the truth has come to rest before long")
        order = [self.chosen, *(r for r in range(len(pred)) if r != self.chosen)]
        return pred[order], true

    @property
    def common(self) -> dict[str, str]:
        """Title and note."""
        return {"title": self.title, "note": self.note}
