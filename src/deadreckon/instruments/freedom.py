"""How well a variance is known: the degrees of freedom of the t that goes with it."""

from __future__ import annotations

import numpy as np

from deadreckon.instruments.stats import Estimate, Floats, proportion_interval


def freedom(influence: Floats, clusters: Floats | int) -> Floats:
    """Of the variance of influence (C, ...) over the first axis; nan below two clusters.

        nu = 2 / (max(kappa - 3, 0) / C + 2 / (C - 1)),   kappa = C sum u^4 / (sum u^2)^2

    A few items with much of the total make the influence heavy-tailed, and its variance poorly known. Source:
    Satterthwaite, Biometrics Bulletin 2 (1946), with the variance of a sample variance, Cramer, "Mathematical Methods
    of Statistics" (1946), ch. 27.
    """
    c, square = np.asarray(clusters, dtype=float), (influence**2).sum(axis=0)
    kurtosis = np.where(square > 0, c * (influence**4).sum(axis=0) / np.where(square > 0, square, 1.0) ** 2, 3.0)
    several = np.where(c > 1, c, np.nan)
    return np.asarray(2 / (np.maximum(kurtosis - 3, 0.0) / several + 2 / (several - 1)))


def rate_ends(rate: Estimate, most: float) -> tuple[float, float]:
    """`proportion_interval` of a rate whose variance a few items may hold; most = steps behind it, inf where exact.

    With rates of items as unequal as rare (5 in 1,000, correlation 0.3 within items) t with C - 1 held 92%, this 97%.
    """
    known = 1 + freedom(rate.influence, rate.clusters)
    low, high = proportion_interval(rate.value, rate.variance, known, most, float(rate.clusters))
    return float(low), float(high)
