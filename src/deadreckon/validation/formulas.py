"""The formulas of intervals, written a second time: what the checks compare the instruments with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deadreckon.contracts import Reading

Floats = NDArray[np.float64]


def close(got: tuple[float, float], expected: tuple[float, float]) -> bool:
    """Two intervals, equal up to rounding."""
    return bool(np.allclose(got, expected, rtol=1e-9, atol=1e-12))


def ends(reading: Reading) -> tuple[float, float]:
    """Its interval."""
    return reading.low, reading.high


def exact(successes: float, n: float) -> tuple[float, float]:
    """Clopper-Pearson from the quantiles of Beta."""
    low = stats.beta.ppf(0.025, successes, n - successes + 1) if successes > 0 else 0.0
    high = stats.beta.ppf(0.975, successes + 1, n - successes) if successes < n else 1.0
    return float(low), float(high)


def satterthwaite(influence: Floats) -> float:
    """Degrees of freedom of a variance of influence, whose mean is 0, by its kurtosis."""
    c = len(influence)
    excess = max(float(stats.kurtosis(influence)), 0.0)
    return 2 / (excess / c + 2 / (c - 1))


def effective(p: float, influence: Floats, freedom: float | None = None) -> tuple[float, float]:
    """The interval of a proportion from the influence of its clusters, by Korn and Graubard's formula."""
    c = len(influence)
    spread = c / (c - 1) * float((influence**2).sum())
    known = c - 1 if freedom is None else freedom
    n = p * (1 - p) / spread * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, known)) ** 2
    return exact(p * n, n)


def ratio(y: Floats, x: Floats) -> tuple[float, Floats]:
    """A ratio of totals and its influence."""
    r = float(y.sum() / x.sum())
    return r, (y - r * x) / x.sum()
