"""How far the model's law is from the truth: exact KL per step, excess accumulated error, the log-loss identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import OnError, Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Ints, Measure, aligned, both, curve
from deadreckon.instruments.freedom import freedom
from deadreckon.instruments.stats import (
    Estimate,
    Floats,
    effective,
    log_intervals,
    mean_interval,
    ratio,
    variance,
)

MEAN = "mean over items, t on the log scale with the degrees of freedom its variance is known by"


def _column(arm: Arm, name: str, *, forced: bool) -> Floats:
    """(n,) an exact per-step column on the contexts asked for. NotEstimable where it has no finite mean."""
    if (arm.on_error is OnError.REPAIR) is not forced:
        whose = "the oracle's" if arm.on_error is OnError.REPAIR else "the model's own"
        raise NotEstimable(f"contexts are {whose} under the rule {arm.on_error.value}: use another run")
    if not arm.own.any():
        raise NotEstimable("no step of the model's own")
    values = arm.floats(name)
    infinite = int(np.isinf(values[arm.own]).sum())
    if infinite:
        share = infinite / int(arm.own.sum())
        raise NotEstimable(f"infinite on {infinite} steps ({share:.3g} of all): the mean is infinite, not estimable")
    return values


def _kl(arm: Arm, quantity: str, column: str, *, forced: bool) -> Reading:
    """Mean of the column over own steps, with the curve by step."""
    measure = Measure(quantity, "nats per step", MEAN)
    try:
        values = _column(arm, column, forced=forced)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    rows = arm.own & ~np.isnan(values)
    y = arm.per_step(np.nan_to_num(values), rows, arm.steps_at())
    x = arm.per_step(np.ones(len(rows)), rows, arm.steps_at())
    estimate = ratio(y.sum(axis=1), x.sum(axis=1))
    mean, influence = step_means(y, x)
    present = (x > 0).sum(axis=0)
    ends = log_intervals(mean, variance(influence, present), _known(y, influence, present))
    points = curve("step", np.arange(1.0, len(mean) + 1), mean, ends, present)
    missing = int((arm.own & np.isnan(values)).sum())
    reason = both(f"{missing} steps without a value" if missing else "")
    whole = _known(y.sum(axis=1), estimate.influence, estimate.clusters)
    low, high = log_intervals(np.array(estimate.value), np.array(estimate.variance), whole)
    return measure.reading(arm, estimate.value, (float(low), float(high)), reason, points)


def _known(load: Floats, influence: Floats, clusters: Floats | int) -> Floats:
    """One more than the degrees of freedom: the fewer of Kish's and Satterthwaite's, for few items with large loads."""
    return np.minimum(effective(load), freedom(influence, clusters) + 1)


def step_means(y: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Means by step (n,) and their influence (C, n)."""
    total = x.sum(axis=0)
    safe = np.where(total > 0, total, np.nan)
    mean = y.sum(axis=0) / safe
    return mean, np.nan_to_num((y - mean * x) / safe)


def kl_free_running(arm: Arm) -> Reading:
    """D(P || Q) in nats per step on the model's own contexts, P the exact law of the world given each context."""
    return _kl(arm, "kl_free_running", "kl_pq", forced=False)


def kl_teacher_forced(arm: Arm) -> Reading:
    """D(P || Q) in nats per step on the oracle's contexts (rule repair)."""
    return _kl(arm, "kl_teacher_forced", "kl_pq", forced=True)


def kl_reverse_free_running(arm: Arm) -> Reading:
    """D(Q || P) in nats per step on the model's own contexts."""
    return _kl(arm, "kl_reverse_free_running", "kl_qp", forced=False)


def kl_reverse_teacher_forced(arm: Arm) -> Reading:
    """D(Q || P) in nats per step on the oracle's contexts (rule repair)."""
    return _kl(arm, "kl_reverse_teacher_forced", "kl_qp", forced=True)


def excess_accumulated_error(free: Arm, forced: Arm) -> Reading:
    """How much faster than linearly the loss on own contexts accumulates, in percent; 0 = no exposure bias.

        %ExAccErr(l) = 100 (R(l) - l eps(l)) / (l eps(l))
        R(l) = sum_{t<=l} E_{c~Q} D(P || Q),   l eps(l) = sum_{t<=l} E_{c~P} D(P || Q)

    Both sums run over the same steps, so that a trend along the sequence is no excess. The curve is over l; the
    value is at the longest l of both tables. Source: Arora et al., "Why exposure bias matters", ACL Findings 2022.
    """
    measure = Measure(
        "excess_accumulated_error", "percent", "ratio of sums, paired by item, jackknife t on the log scale"
    )
    try:
        r, e = _accumulated(free, forced=False), _accumulated(forced, forced=True)
    except NotEstimable as why:
        return measure.missing(free, str(why))
    reach = min(len(r.total), len(e.total))
    if not (r.total[reach - 1] > 0 and e.total[reach - 1] > 0):
        return measure.missing(free, "the loss is 0 on one side: no ratio")
    growth = r.total[:reach] / np.where(e.total[:reach] > 0, e.total[:reach], np.nan)
    u, v = aligned(free, forced, r.without[:, :reach], e.without[:, :reach])
    spread = (1 - 1 / np.maximum(r.present[:reach], 1)) * ((u - v) ** 2).sum(axis=0)
    carried = np.minimum(r.carried[:reach], e.carried[:reach])
    low, high = log_intervals(growth, spread * growth**2, carried)
    excess, low, high = 100 * (growth - 1), 100 * (low - 1), 100 * (high - 1)
    points = curve("steps", np.arange(1.0, reach + 1), excess, (low, high), r.present[:reach])
    reason = both(f"at l = {reach}", "" if np.isfinite(low[-1]) else "one item alone carries the loss")
    return measure.reading(free, excess[-1], (low[-1], high[-1]), reason, points)


@dataclass(frozen=True, slots=True)
class _Sum:
    """The mean loss summed over steps 1 ... l, for every l: (n,)."""

    total: Floats
    without: Floats  # (C, n) log of the total without the cluster - log of the total; nan where nothing is left
    carried: Floats  # (n,) effective number of clusters that carry it
    present: Ints  # (n,) clusters at step l


def _accumulated(arm: Arm, *, forced: bool) -> _Sum:
    values = _column(arm, "kl_pq", forced=forced)
    rows = arm.own & ~np.isnan(values)
    y = arm.per_step(np.nan_to_num(values), rows, arm.steps_at())
    x = arm.per_step(np.ones(len(rows)), rows, arm.steps_at())
    mean, _ = step_means(y, x)
    total, rest = np.cumsum(mean), x.sum(axis=0) - x
    left = np.cumsum(np.where(rest > 0, (y.sum(axis=0) - y) / np.where(rest > 0, rest, 1.0), 0.0), axis=1)
    positive = (left > 0) & (total > 0)
    without = np.log(np.where(positive, left, 1.0)) - np.log(np.where(total > 0, total, 1.0))
    load = np.cumsum(y / np.maximum(x.sum(axis=0), 1e-300), axis=1)
    return _Sum(total, np.where(positive, without, np.nan), effective(load), (x > 0).sum(axis=0))


def log_loss_identity(arm: Arm, column: str = "minus_log_p") -> Reading:
    """Mean over own steps of -log P(action) - H(Q) - D(Q || P), in nats per step: 0 where the tool is right.

        E_Q[-log P] / n = H(Q) + D(Q || P)

    `column` holds -log P(action | context) under the world's exact law, which the step table does not keep: add it.
    H(Q) is the column entropy, D(Q || P) the column kl_qp. Source: Cover and Thomas, "Elements of Information
    Theory" (2006), ch. 2.
    """
    measure = Measure("log_loss_identity", "nats per step", "mean over items, t")
    try:
        loss = arm.floats(column)
        theory = arm.floats("entropy") + arm.floats("kl_qp")
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    rows = arm.own & ~np.isnan(loss) & ~np.isnan(theory)
    if not rows.any() or np.isinf((loss + theory)[rows]).any():
        return measure.missing(arm, "the world's law has no full support on these steps: the identity is infinite")
    gap = np.where(rows, loss - theory, 0.0)
    estimate: Estimate = ratio(arm.per_cluster(gap, rows), arm.per_cluster(np.ones(len(rows)), rows))
    reason = f"mean log loss {loss[rows].mean():.6g}, H(Q) + D(Q||P) {theory[rows].mean():.6g} over steps"
    return measure.reading(arm, estimate.value, mean_interval(estimate), reason)
