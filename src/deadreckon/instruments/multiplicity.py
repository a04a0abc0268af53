"""Many tests at once: p-values adjusted over a family of models, worlds or scores, and simultaneous intervals.

The family is the list that is handed in: name it before the data. A test that was not estimable stays so and does not
count. An adjusted p-value at or below 0.05 is a discovery at that family-wise or false-discovery level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.errors import BadOption
from deadreckon.instruments.stats import LEVEL, Floats

Adjust = Callable[[Floats], Floats]


def holm(readings: Sequence[Reading]) -> list[Reading]:
    """Family-wise error, any dependence: p_(k) -> max_{j<=k} (m - j + 1) p_(j), at most 1.

    Source: Holm, Scandinavian J. Statistics 6 (1979).
    """
    return _adjusted(readings, _holm, "Holm, family-wise")


def bonferroni(readings: Sequence[Reading]) -> list[Reading]:
    """Family-wise error, any dependence: p -> m p, at most 1. Its twin for intervals is `bonferroni_level`."""
    return _adjusted(readings, lambda p: np.minimum(len(p) * p, 1.0), "Bonferroni, family-wise")


def benjamini_hochberg(readings: Sequence[Reading]) -> list[Reading]:
    """False-discovery rate where tests are independent or positively dependent: p_(k) -> min_{j>=k} m p_(j) / j.

    Source: Benjamini and Hochberg, J. Royal Statist. Soc. B 57 (1995); Benjamini and Yekutieli (2001) for dependence.
    """
    return _adjusted(readings, lambda p: _step_up(p, 1.0), "Benjamini-Hochberg, false-discovery rate")


def benjamini_yekutieli(readings: Sequence[Reading]) -> list[Reading]:
    """False-discovery rate under any dependence: Benjamini-Hochberg times sum_{j<=m} 1/j.

    Source: Benjamini and Yekutieli, Annals of Statistics 29 (2001).
    """
    name = "Benjamini-Yekutieli, false-discovery rate under any dependence"
    return _adjusted(readings, lambda p: _step_up(p, float((1 / np.arange(1, len(p) + 1)).sum())), name)


def bonferroni_level(family: int) -> float:
    """Level 1 - 0.05 / m of each of m intervals that are to hold together: `difference(a, b, bonferroni_level(m))`."""
    if family < 1:
        raise BadOption(f"a family of {family} intervals: it needs one at least")
    return 1 - (1 - LEVEL) / family


def _holm(p: Floats) -> Floats:
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def _step_up(p: Floats, factor: float) -> Floats:
    order = np.argsort(p, kind="stable")[::-1]
    scaled = factor * len(p) * p[order] / np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return adjusted


def _adjusted(readings: Sequence[Reading], adjust: Adjust, name: str) -> list[Reading]:
    wrong = sorted({reading.quantity for reading in readings if reading.unit != "p-value"})
    if wrong:
        raise BadOption(f"{', '.join(wrong)}: no p-value, so there is nothing to adjust")
    p = np.array([reading.value for reading in readings], dtype=float)
    there = np.isfinite(p)
    if there.any():
        p[there] = adjust(p[there])
    note = f"{name} over {int(there.sum())} tests"
    return [
        replace(reading, value=float(value), method=f"{reading.method}; {note}") if known else reading
        for reading, value, known in zip(readings, p, there, strict=True)
    ]
