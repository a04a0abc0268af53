"""How often a step goes wrong: first-error hazard, error rate over all steps, shape over time."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import optimize

from deadreckon.contracts import OnError, Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Measure, curve
from deadreckon.instruments.stats import (
    Estimate,
    Floats,
    mean_interval,
    proportion_interval,
    ratio,
    variance,
)
from deadreckon.instruments.survival import NO_STEPS, FirstErrors, first_errors

RATE = "ratio over items, effective-size Clopper-Pearson"
FEWEST = 25  # first errors a shape is fitted to


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
    measure = Measure(quantity, "errors per step", RATE)
    if not rows.any():
        return measure.missing(arm, NO_STEPS)
    one, at = np.ones(len(rows)), arm.steps_at()
    y, x = arm.per_step(arm.error.astype(float), rows, at), arm.per_step(one, rows, at)
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


def weibull_shape(arm: Arm) -> Reading:
    """Shape k of the discrete Weibull law of first-error times: 1 = constant hazard, below 1 = falling.

        S(n) = exp(-(n / lambda)**k),  P(T = n) = S(n-1) - S(n)

    Maximum likelihood with right censoring; interval on log k from the one-step jackknife over items,
    u_i = -(H - H_i)^-1 s_i with s_i and H_i the item's score and Hessian. A mixture of items with unequal constant
    hazards also gives k < 1: this is the shape of the pooled curve, not of one item's. Source: Nakagawa and Osaki,
    "The discrete Weibull distribution", IEEE Trans. Reliability 24 (1975); jackknife: Bell and McCaffrey, "Bias
    reduction in standard errors for linear regression with multi-stage samples", Survey Methodology 28 (2002).
    """
    measure = Measure("weibull_shape", "1", "maximum likelihood, leave-one-item-out variance of log k")
    first = first_errors(arm)
    failures = int(first.failed.sum())
    if failures < FEWEST:
        return measure.missing(arm, f"{failures} first errors: a shape needs {FEWEST} or more")
    if first.reach < 3:
        return measure.missing(arm, f"at most {first.reach} steps at risk: a shape needs 3 or more")
    try:
        estimate = _weibull(first)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    low, high = np.exp(mean_interval(estimate))
    return measure.reading(arm, np.exp(estimate.value), (low, high))


def _weibull(first: FirstErrors) -> Estimate:
    """log k, with its influence by cluster."""
    weight = first.arm.weight
    size = first.reach + 1
    failed = np.bincount(first.length[first.failed], weight[first.failed], size)
    censored = np.bincount(first.length[~first.failed], weight[~first.failed], size)
    start = np.array([np.log(max((failed + censored) @ np.arange(size) / failed.sum(), 1.0)), 0.0])

    def total(p: Floats) -> float:
        fail, survive = _loglik(p, size)
        return float(failed @ fail + censored @ survive)

    simplex = start + np.array([[0.0, 0.0], [0.3, 0.0], [0.0, 0.3]])
    options = {"xatol": 1e-6, "fatol": 1e-8, "maxfev": 2000, "initial_simplex": simplex}
    found = optimize.minimize(lambda p: -total(p), start, method="Nelder-Mead", options=options)
    if not found.success or abs(found.x[1]) > 4:
        raise NotEstimable("the Weibull likelihood has no inner maximum: too few distinct times")
    scores, hessians = _derivatives(found.x, first)
    rest = hessians.sum(axis=0) - hessians
    if np.linalg.det(rest).min() <= 0:
        raise NotEstimable("one item alone decides the Weibull shape: more items are needed")
    influence = -np.linalg.solve(rest, scores[:, :, None])[:, 1, 0]
    return Estimate(float(found.x[1]), influence, int(np.unique(first.arm.home[first.length > 0]).size))


def _derivatives(p: Floats, first: FirstErrors) -> tuple[Floats, Floats]:
    """First (C, 2) and second (C, 2, 2) derivatives of each cluster's log-likelihood, by central differences."""
    step = 1e-3
    at: dict[tuple[int, int], Floats] = {}
    for i, j in product((-1, 0, 1), repeat=2):
        fail, survive = _loglik(p + step * np.array([i, j]), first.reach + 1)
        terms = first.arm.weight * np.where(first.failed, fail[first.length], survive[first.length])
        at[i, j] = np.bincount(first.arm.home, terms, first.arm.clusters).astype(float)
    score = np.stack([at[1, 0] - at[-1, 0], at[0, 1] - at[0, -1]], axis=1) / (2 * step)
    a = at[1, 0] - 2 * at[0, 0] + at[-1, 0]
    b = at[0, 1] - 2 * at[0, 0] + at[0, -1]
    c = (at[1, 1] - at[1, -1] - at[-1, 1] + at[-1, -1]) / 4
    return score, np.stack([a, c, c, b], axis=1).reshape(-1, 2, 2) / step**2


def _loglik(p: Floats, size: int) -> tuple[Floats, Floats]:
    """log P(T = n) and log S(n) for n = 0 ... size-1 at p = (log lambda, log k); the first is 0 at n = 0."""
    shape = np.exp(np.clip(p[1], -6, 6))
    log_n = np.log(np.maximum(np.arange(size), 1))
    cumulative = np.exp(np.clip(shape * (log_n - p[0]), -700, 50))
    cumulative[0] = 0.0
    rise = np.diff(cumulative, prepend=0.0)
    fail = np.concatenate([[0.0], -cumulative[:-1]]) + np.log(-np.expm1(-np.maximum(rise, 1e-300)))
    fail[0] = 0.0
    return fail, -cumulative
