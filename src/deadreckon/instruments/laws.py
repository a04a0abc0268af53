"""The laws of a lifetime t, once: a cumulative hazard H of z, which is straight in log t.

    S(t) = exp(-H(z)),   z = k (log t - log lambda)

    exponential   H = exp(z), k = 1       (in whole steps the geometric law: a constant hazard)
    weibull       H = exp(z)
    loglogistic   H = log(1 + exp(z)),    S = 1 / (1 + exp(z))

`shape` fits them to first errors counted by step, `lifetime_laws` to ends known between two lengths. Source:
Kalbfleisch and Prentice, "The Statistical Analysis of Failure Time Data" (2002), ch. 2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import special

from deadreckon.instruments.stats import Floats

Law = Literal["exponential", "weibull", "loglogistic"]
LAWS: tuple[Law, ...] = ("exponential", "weibull", "loglogistic")


def cumulative(law: Law, z: Floats) -> tuple[Floats, Floats, Floats]:
    """H and its first two derivatives in z."""
    if law == "loglogistic":
        slope = special.expit(z)
        return np.logaddexp(0, z), slope, slope * (1 - slope)
    h = np.exp(z)
    return h, h, h


def at_survival(law: Law, q: float) -> float:
    """z where S = q."""
    return float(special.logit(1 - q) if law == "loglogistic" else np.log(-np.log(q)))
