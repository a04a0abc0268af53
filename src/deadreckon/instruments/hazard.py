"""How often a step goes wrong: first-error hazard, error rate over all steps."""

from __future__ import annotations

import numpy as np

from deadreckon.contracts import OnError, Reading
from deadreckon.instruments.arm import Arm, Bools, Measure, curve
from deadreckon.instruments.stats import (
    Estimate,
    Floats,
    proportion_interval,
    ratio,
    variance,
)
from deadreckon.instruments.survival import NO_STEPS, first_errors

RATE = "ratio over items, effective-size Clopper-Pearson"


def rate_interval(estimate: Estimate, x: Floats, most_events: float) -> tuple[float, float]:
    """Interval of a rate per step from its item-level ratio.

    x (C,) steps at risk by cluster. most_events bounds one cluster's events (nan: none but its steps): with no
    event in C clusters, E[y] <= P(any event) * most_events, so at most sum x / most_events steps may be claimed.
    """
    used = x[x > 0]
    least = used.size if np.isnan(most_events) else max(used.size, used.sum() / most_events)
    ends = proportion_interval(estimate.value, estimate.variance, estimate.clusters, used.sum(), least)
    return float(ends[0]), float(ends[1])


def hazard(arm: Arm) -> Reading:
    """First-error hazard per step, pooled: h = first errors / steps at risk. The curve is h(t), t = 1, 2, ...

    h(t) = d_t / y_t among the rollouts without an error before step t. Source: `stats.ratio`.
    """
    measure = Measure("hazard", "errors per step at risk", RATE)
    first = first_errors(arm)
    if not first.reach:
        return measure.missing(arm, NO_STEPS)
    d, y = first.ending(first.failed), first.at_risk()
    estimate = ratio(d.sum(axis=1), y.sum(axis=1))
    interval = rate_interval(estimate, y.sum(axis=1), float(y[:, 0].max()))
    total = y.sum(axis=0)
    h = d.sum(axis=0) / total
    present = (y > 0).sum(axis=0)
    ends = proportion_interval(h, variance((d - h * y) / total, present), present, total, present.astype(float))
    points = curve("step", np.arange(1.0, first.reach + 1), h, ends, present)
    return measure.reading(arm, estimate.value, interval, "", points)


def error_rate_of(arm: Arm, rows: Bools, quantity: str) -> Reading:
    """Errors per step over the chosen rows, with the curve by step."""
    return rate_of(arm, arm.error, rows, Measure(quantity, "errors per step", RATE))


def rate_of(arm: Arm, hits: Bools, rows: Bools, measure: Measure) -> Reading:
    """Hits per step over the chosen rows, with the curve by step."""
    if not rows.any():
        return measure.missing(arm, NO_STEPS)
    one, at = np.ones(len(rows)), arm.steps_at()
    y, x = arm.per_step(hits.astype(float), rows, at), arm.per_step(one, rows, at)
    estimate = ratio(y.sum(axis=1), x.sum(axis=1))
    total, present = x.sum(axis=0), (x > 0).sum(axis=0)
    safe = np.where(total > 0, total, np.nan)
    rate = y.sum(axis=0) / safe
    spread = variance(np.nan_to_num((y - rate * x) / safe), present)
    points = curve(
        "step",
        np.arange(1.0, len(total) + 1),
        rate,
        proportion_interval(rate, spread, present, total, present.astype(float)),
        present,
    )
    return measure.reading(arm, estimate.value, rate_interval(estimate, x.sum(axis=1), np.nan), "", points)


def step_error(arm: Arm) -> Reading:
    """Error rate over all of the model's own steps, those after an error too."""
    return error_rate_of(arm, arm.own, "step_error")


def free_running_error(arm: Arm) -> Reading:
    """Error rate per own step on the model's own contexts. Not estimable under the rule repair."""
    if arm.on_error is OnError.REPAIR:
        measure = Measure("free_running_error", "errors per step", RATE)
        return measure.missing(arm, "contexts are the oracle's under the rule repair: use another rule")
    return error_rate_of(arm, arm.own, "free_running_error")
