"""The trend of the time horizon over models by release date, and its doubling time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import Bools, Measure, both
from deadreckon.instruments.outcomes import Outcomes
from deadreckon.instruments.stats import LEVEL, Floats
from deadreckon.instruments.time_horizon import published_value


def at_the_front(days: Floats, horizons: Floats) -> Bools:
    """(models,) whose horizon is at least that of every model released before it or on its day."""
    earlier = days[None, :] <= days[:, None]
    best = np.where(earlier, horizons[None, :], -np.inf).max(axis=1)
    front: Bools = horizons >= best
    return front


def horizon_trend(models: Sequence[Outcomes]) -> Reading:
    """Doublings of the time horizon a day: slope of log2 p_50 on release date, least squares over the front.

        variance = sum_m (slope - slope without model m)^2,   Student's t with models - 2 degrees of freedom

    The front: models whose p_50 is at least the running maximum at their release, three or more. Models are the unit,
    and what their p_50 lack in precision is part of their scatter about the line; they lack more near the ends of the
    lengths, where the plain variance of least squares held 89% of planted slopes. Source of the fit: as `time_horizon`;
    of the variance (HC3): MacKinnon and White, J. Econometrics 29 (1985).
    """
    measure = Measure("horizon_trend", "doublings per day", "least squares of log2 time_horizon_50 on release date")
    every = Models(models)
    undated = [outcomes.model for outcomes in models if outcomes.released is None]
    if undated:
        return measure.missing(every, f"no release date for {', '.join(undated[:4])}")
    found = np.array([published_value(outcomes) for outcomes in models])
    kept = np.isfinite(found)
    days = np.array([float(o.released.toordinal()) for o in models if o.released is not None])[kept]
    front = at_the_front(days, found[kept]) if kept.any() else kept[kept]
    n = int(front.sum())
    note = f"{n} of {len(models)} models at the front"
    if not kept.all():
        note += f"; {int((~kept).sum())} without a time_horizon_50 left out"
    if n < 3 or len(np.unique(days[front])) < 3:
        return measure.missing(every, f"{note}: a trend needs three models on three dates")
    x, y = days[front] - days[front].mean(), np.log2(found[kept][front])
    slope = float(x @ y / (x @ x))
    rest = y - y.mean() - slope * x
    leverage = 1 / n + x**2 / (x @ x)
    error = float(np.sqrt((x**2 * (rest / (1 - leverage)) ** 2).sum()) / (x @ x))
    if rest @ rest < 1e-20 * max(float(y @ y), 1.0):
        return measure.missing(every, f"{note}: they lie on the line exactly, and no scatter tells how sure it is")
    half = float(special.stdtrit(n - 2, 0.5 + LEVEL / 2)) * error
    return Reading(
        measure.quantity, measure.unit, slope, slope - half, slope + half, LEVEL, n, measure.method, reason=note
    )


class Models:
    """The models of a trend as its units."""

    def __init__(self, models: Sequence[Outcomes]):
        self.items = self.clusters = len(models)


def horizon_doubling(models: Sequence[Outcomes]) -> Reading:
    """Days in which the time horizon doubles, 1 / `horizon_trend`; the interval is that of the slope, turned over.

    A slope interval that reaches 0 leaves the time without an upper end (inf); a slope at or below 0 has none at all.
    """
    trend = horizon_trend(models)
    measure = Measure("horizon_doubling", "days", trend.method)
    units = Models(models)
    if np.isnan(trend.value):
        return measure.missing(units, trend.reason)
    if trend.value <= 0:
        return measure.missing(units, both(trend.reason, "the time horizon does not grow"))
    low, high = 1 / trend.high, 1 / trend.low if trend.low > 0 else np.inf
    return Reading(
        measure.quantity, measure.unit, 1 / trend.value, low, high, LEVEL, trend.n, measure.method, reason=trend.reason
    )
