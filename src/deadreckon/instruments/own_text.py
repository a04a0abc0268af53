"""Text on its own output: the entropy of the law it is drawn from, and how it repeats itself. No verdict is read.

These readings take every step that was written, judged or not: `written` makes an arm of a table whose world has no
oracle. Slopes and shares have items as the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from deadreckon.contracts import Event, OnError, Reading, Stop, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Measure, aligned, curve, read
from deadreckon.instruments.drift import step_means
from deadreckon.instruments.stats import (
    Estimate,
    Floats,
    log_interval,
    log_intervals,
    mean_interval,
    mean_intervals,
    proportion_interval,
    ratio,
    variance,
)

NO_ORACLE = "the world has no oracle: no step is judged"
WINDOW = 4  # actions that repeat together
MEAN = "ratio of sums over items, t on the log scale"


def unjudged(table: pl.DataFrame) -> pl.Series:
    """Which rows are steps that nobody can judge: without an event, and not what a limit or a fault left over."""
    never = pl.col("stop").is_in([Stop.CUT.value, Stop.FAULT.value]).fill_null(value=False)
    return table.select(pl.col("event").is_null() & ~never).to_series()


def written(table: pl.DataFrame, on_error: str = "accept") -> Arm:
    """`read`, with the steps that nobody can judge among the others: for the readings of this module alone."""
    event = pl.when(unjudged(table)).then(pl.lit(Event.RIGHT.value)).otherwise(pl.col("event"))
    return read(table.with_columns(event=event), on_error)


def _sums(arm: Arm, *, forced: bool) -> tuple[Floats, Floats]:
    """Entropy and symbols of own steps by cluster and step, (C, n) each. NotEstimable on other contexts, or unknown."""
    if (arm.on_error is OnError.REPAIR) is not forced:
        whose = "the expert's" if arm.on_error is OnError.REPAIR else "the model's own"
        raise NotEstimable(f"contexts are {whose} under the rule {arm.on_error.value}: use another run")
    if not arm.own.any():
        raise NotEstimable("no step of the model's own")
    entropy, symbols = arm.floats("entropy"), np.maximum(arm.floats("tokens"), 1.0)
    rows = arm.own & ~np.isnan(entropy) & ~np.isnan(symbols)
    y = arm.per_step(np.nan_to_num(entropy), rows, arm.steps_at())
    return y, arm.per_step(np.nan_to_num(symbols), rows, arm.steps_at())


def _entropy(arm: Arm, quantity: str, *, forced: bool) -> Reading:
    measure = Measure(quantity, "nats per symbol", MEAN)
    try:
        y, x = _sums(arm, forced=forced)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    estimate = ratio(y.sum(axis=1), x.sum(axis=1))
    mean, influence = step_means(y, x)
    present = (x > 0).sum(axis=0)
    ends = log_intervals(mean, variance(influence, present), present)
    points = curve("step", np.arange(1.0, len(mean) + 1), mean, ends, present)
    return measure.reading(arm, estimate.value, log_interval(estimate), "", points)


def entropy_free_running(arm: Arm) -> Reading:
    """Mean entropy of the law that a symbol is drawn from, on the model's own contexts, nats per symbol."""
    return _entropy(arm, "entropy_free_running", forced=False)


def entropy_teacher_forced(arm: Arm) -> Reading:
    """The same on the expert's contexts (rule repair, with `teach`): a calibrated model's log loss there."""
    return _entropy(arm, "entropy_teacher_forced", forced=True)


def entropy_slope(arm: Arm) -> Reading:
    """Slope b of H(t) = a + b ln t, H(t) the entropy at step t on own contexts; 0 = no drift.

        b = sum_it w_it (z_t - z) y_it / sum_it w_it (z_t - z)^2,   z_t = ln t,   y entropy per symbol, w symbols

    Least squares over (item, step) cells, items as the unit. Source: Braverman et al., "Calibration, entropy rates,
    and memory in language models", ICML 2020, whose H(t) rises with t.
    """
    measure = Measure("entropy_slope", "nats per symbol and ln step", "least squares over items and steps, t")
    try:
        y, x = _sums(arm, forced=False)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    z = np.log(np.arange(1.0, y.shape[1] + 1))
    centre = z - (x * z).sum() / x.sum()
    spread = (x * centre**2).sum()
    if not spread > 0:
        return measure.missing(arm, "rollouts of one step have no slope")
    slope = float((centre * y).sum() / spread)
    residual = y - (y.sum() / x.sum() + slope * centre) * x
    estimate = Estimate(slope, (centre * residual).sum(axis=1) / spread, int((x.sum(axis=1) > 0).sum()))
    return measure.reading(arm, slope, mean_interval(estimate))


def entropy_drift(free: Arm, forced: Arm) -> Reading:
    """Entropy per symbol on the model's own contexts less that on the expert's, over the same steps; 0 = no drift.

    Paired by item; the curve is by step. On the expert's contexts a calibrated model's entropy is its log loss.
    """
    measure = Measure("entropy_drift", "nats per symbol", "difference of ratios, paired by item, t")
    try:
        ours, theirs = _sums(free, forced=False), _sums(forced, forced=True)
    except NotEstimable as why:
        return measure.missing(free, str(why))
    reach = min(ours[0].shape[1], theirs[0].shape[1])
    (y, x), (v, w) = (tuple(sums[:, :reach] for sums in side) for side in (ours, theirs))
    a, b = ratio(y.sum(axis=1), x.sum(axis=1)), ratio(v.sum(axis=1), w.sum(axis=1))
    one, other = aligned(free, forced, a.influence, b.influence)
    estimate = Estimate(a.value - b.value, one - other, min(a.clusters, b.clusters))
    (first, first_u), (second, second_u) = step_means(y, x), step_means(v, w)
    one, other = aligned(free, forced, first_u, second_u)
    present = np.minimum((x > 0).sum(axis=0), (w > 0).sum(axis=0))
    ends = mean_intervals(first - second, variance(one - other, present), present)
    points = curve("step", np.arange(1.0, reach + 1), first - second, ends, present)
    return measure.reading(free, estimate.value, mean_interval(estimate), "", points)


def repetition(arm: Arm) -> Reading:
    """Share of windows of 4 own actions in a row that have stood before in the same rollout, overlaps included.

    It is 1 - different windows / windows, by rollout: seq-rep-4 of Welleck et al., "Neural text generation with
    unlikelihood training", ICLR 2020. The curve is by the window's last step.
    """
    measure = Measure("repetition", "share of windows", "effective-size Clopper-Pearson, items")
    try:
        if "action" not in arm.steps.columns:
            raise NotEstimable("column action is not in the table")
        ends, again = _windows(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    x, y = (arm.per_step(values.astype(float), ends, arm.steps_at()) for values in (ends, again))
    total = ratio(y.sum(axis=1), x.sum(axis=1))
    low, high = proportion_interval(total.value, total.variance, total.clusters, float(ends.sum()), total.clusters)
    mean, influence = step_means(y, x)
    present = (x > 0).sum(axis=0)
    each = proportion_interval(mean, variance(influence, present), present, x.sum(axis=0), present)
    points = curve("step", np.arange(1.0, len(mean) + 1), mean, each, present)
    return measure.reading(arm, total.value, (float(low), float(high)), "", points)


def _windows(arm: Arm) -> tuple[Bools, Bools]:
    """(n,) of each step: does a window of own actions end there, and has it stood before?"""
    actions = arm.steps["action"].to_list()
    ends, again = np.zeros(len(actions), np.bool_), np.zeros(len(actions), np.bool_)
    own, rollout = arm.own.tolist(), arm.rollout.tolist()
    seen: dict[int, set[tuple[str | None, ...]]] = {}
    for last in range(WINDOW - 1, len(actions)):
        first = last - WINDOW + 1
        if rollout[first] != rollout[last] or not all(own[first : last + 1]):
            continue
        window, before = tuple(actions[first : last + 1]), seen.setdefault(rollout[last], set())
        ends[last], again[last] = True, window in before
        before.add(window)
    if not ends.any():
        raise NotEstimable(f"no {WINDOW} own steps in a row")
    return ends, again


NEED_NO_VERDICT: Mapping[str, Callable[[Arm], Reading]] = {
    "entropy_free_running": entropy_free_running,
    "entropy_teacher_forced": entropy_teacher_forced,
    "entropy_slope": entropy_slope,
    "repetition": repetition,
}


def without_verdicts(instrument: Callable[[Arm], Reading], judged: Arm, texts: Arm) -> Reading:
    """A reading of a table in which no step is judged: not estimable where the instrument needs a verdict.

    `judged` is what `read` makes of the table, `texts` what `written` does.
    """
    if instrument in NEED_NO_VERDICT.values():
        return instrument(texts)
    return replace(instrument(judged), value=nan, low=nan, high=nan, curve=None, reason=NO_ORACLE)
