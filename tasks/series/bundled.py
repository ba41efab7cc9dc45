"""Recorded series that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ddl_dyn.tasks.series.observed import Observed

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, kw_only=True)
class Sunspots(Observed):
    """Yearly mean sunspot number, 1700–2008.

    Equations: none (observed). State: delay vector of the sunspot number, newest first; time in years.
    Facts: 309 values, non-negative; a cycle of about 11 years whose height varies from cycle to cycle, rising faster
    than it falls.
    """

    source = "NOAA National Centers for Environmental Information, yearly mean sunspot number (public domain)"
    time_unit = "year"
    path: str = str(DATA / "sunspots_yearly.csv")


@dataclass(frozen=True, kw_only=True)
class Ecg(Observed):
    """An electrocardiogram with arrhythmia: one minute, sampled at 360 Hz.

    Equations: none (observed). State: delay vector of the potential in millivolt, newest first; time in seconds.
    Facts: 21,600 values of record 208 of the MIT-BIH Arrhythmia Database; about 100 beats, some of them premature
    ventricular ones.
    """

    source = "Moody, Mark (2001), The impact of the MIT-BIH Arrhythmia Database, doi:10.1109/51.932724 (ODC-By)"
    time_unit = "s"
    path: str = str(DATA / "ecg_360hz.csv")
