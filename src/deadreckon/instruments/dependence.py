"""Do errors come in bunches? After one another, within a rollout, on the same steps of the same item.

All of it is observational: what happens after an error is confounded with the item and the moment that made the error
likely. The causal question is `conditioning.self_conditioning`, by intervention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import OnError, Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure
from deadreckon.instruments.freedom import freedom
from deadreckon.instruments.stats import DUST, Estimate, Floats, jackknife, log_interval, mean_intervals, ratio

CONFOUNDED = "confounded: observational; an item or a moment that is hard makes both errors likely"
STILL = "confounded by what differs between rollouts of one item at one step: only an intervention is causal"
FEWEST_ITEMS = 20
CELLS = ((True, True), (False, False), (True, False), (False, True))  # error before, error now
ALIKE = 6  # members of an intraclass correlation: a z for every r above -1/5
FEWEST = 10  # steps in each cell of a two by two table; cells or pairs with errors


def _goes_on(arm: Arm, items: int = FEWEST_ITEMS) -> None:
    """Raises NotEstimable where errors cannot follow errors, or there are too few items."""
    if arm.on_error is OnError.STOP:
        raise NotEstimable("fixed by the rule stop: no step follows an error")
    if not arm.own.any():
        raise NotEstimable("no step of the model's own")
    if arm.clusters < items:
        raise NotEstimable(f"{arm.clusters} items: {items} or more are needed")
    if not arm.error[arm.own].any():
        raise NotEstimable("no error was seen")


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two own steps of one rollout that follow each other: rows of the later one."""

    before: Bools  # (pairs,) the earlier one was an error
    now: Bools  # (pairs,) the later one is
    rollout: Ints
    t: Ints


def _pairs(arm: Arm) -> Pairs:
    _goes_on(arm)
    later = np.zeros(len(arm.own), dtype=bool)
    later[1:] = arm.own[1:] & arm.own[:-1] & (arm.rollout[1:] == arm.rollout[:-1])
    at = np.flatnonzero(later)
    if not at.size:
        raise NotEstimable("no two steps of the model's own follow each other")
    return Pairs(arm.error[at - 1], arm.error[at], arm.rollout[at], arm.steps_at()[at])


def _by_cluster(arm: Arm, rollout: Ints, values: Floats) -> Floats:
    weighted = values * arm.weight[rollout]
    return np.bincount(arm.home[rollout], weights=weighted, minlength=arm.clusters).astype(float)


def _strata(arm: Arm, rollout: Ints, t: Ints) -> tuple[Ints, Ints]:
    """(rows,) the (item, step) each row belongs to, and (strata,) the cluster of each."""
    item = arm.keys["item"].rank("dense").cast(int).to_numpy() - 1
    width = int(t.max()) + 1
    _, lead, inverse = np.unique(item[rollout] * width + t, return_index=True, return_inverse=True)
    return inverse, rollout[lead]


def state_dependence(arm: Arm) -> Reading:
    """Odds of an error after an error over its odds after a right step, all pairs of steps pooled. Confounded.

        log OR = log N11 + log N00 - log N10 - log N01

    N_ab weighted pairs with (a) an error before and (b) an error now. Unequal items make it exceed 1 by themselves.
    Interval from `stats.jackknife` over items, `_ends`.
    """
    measure = Measure("state_dependence", "odds ratio", "pooled two by two table, item jackknife of the log")
    try:
        pairs = _pairs(arm)
        totals = _table(arm, pairs)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    return _jackknifed(measure, arm, totals, lambda n: _log(n[1] * n[2] / (n[3] * n[4])), CONFOUNDED)


def _table(arm: Arm, pairs: Pairs) -> Floats:
    """(5, clusters) weight of all pairs, then of error after error, right after right, right after error, and last."""
    parts = [_by_cluster(arm, pairs.rollout, np.ones(len(pairs.t)))]
    for before, now in CELLS:
        rows = (pairs.before == before) & (pairs.now == now)
        if rows.sum() < FEWEST:
            words = " after ".join("an error" if e else "a right step" for e in (now, before))
            raise NotEstimable(f"{int(rows.sum())} times {words}: an odds ratio needs {FEWEST} of each")
        parts.append(_by_cluster(arm, pairs.rollout, rows.astype(float)))
    return np.stack(parts)


def _log(values: Floats) -> Floats:
    return np.log(np.where(values > 0, values, nan))


def _jackknifed(
    measure: Measure, arm: Arm, totals: Floats, log_value: Callable[[Floats], Floats], caveat: str
) -> Reading:
    """exp of a function of totals, its interval from the jackknife of the log, t over items."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(np.exp(log_value(totals.sum(axis=1, keepdims=True))[0]))
        estimate = jackknife(totals, log_value)
    if np.isnan(estimate.influence).any() or np.isnan(value):
        return measure.missing(arm, "one item alone decides it: more items are needed")
    low, high = np.exp(_ends(estimate))
    return measure.reading(arm, value, (low, high), caveat)


def _ends(estimate: Estimate) -> tuple[float, float]:
    """Student's t with as many degrees of freedom as the variance of the influence is known by (`freedom`)."""
    known = freedom(estimate.influence, estimate.clusters) + 1
    low, high = mean_intervals(np.array(estimate.value), np.array(estimate.variance), known)
    return float(low), float(high)


def state_dependence_within_items(arm: Arm) -> Reading:
    """The same odds ratio among rollouts of one item at one step (Mantel-Haenszel): item and step are held fixed.

        OR = sum_k n11 n00 / n_k  /  sum_k n10 n01 / n_k,   k = (item, step), n_k rollouts there

    Rollouts in a stratum are independent given the item, so that the short length of a rollout makes no bias (a
    rollout's own past does: errors around its own mean repel each other). Refused with one rollout per item. Source:
    Mantel and Haenszel, JNCI 22 (1959); variance by cluster of the ratio's influence.
    """
    measure = Measure(
        "state_dependence_within_items", "odds ratio", "Mantel-Haenszel over item and step, t over items, log"
    )
    try:
        pairs = _pairs(arm)
        agree, differ = _mantel_haenszel(arm, pairs)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    estimate = ratio(agree, differ)
    return measure.reading(arm, estimate.value, log_interval(estimate), STILL)


def _mantel_haenszel(arm: Arm, pairs: Pairs) -> tuple[Floats, Floats]:
    """(clusters,) numerators and denominators."""
    stratum, lead = _strata(arm, pairs.rollout, pairs.t)
    counts = [
        np.bincount(stratum[(pairs.before == before) & (pairs.now == now)], minlength=len(lead))
        for before, now in CELLS
    ]
    n = np.sum(counts, axis=0)
    if n.max() < 2:
        raise NotEstimable("one rollout per item: nothing to hold the item fixed with; run two or more of each")
    agree, differ = counts[0] * counts[1] / n, counts[2] * counts[3] / n
    for product, words in ((agree, "agree"), (differ, "differ")):
        if (product > 0).sum() < FEWEST:
            seen = int((product > 0).sum())
            raise NotEstimable(
                f"{seen} steps where rollouts of an item {words} as an odds ratio needs: {FEWEST} or more"
            )
    return _by_cluster(arm, lead, agree), _by_cluster(arm, lead, differ)


def error_fano(arm: Arm) -> Reading:
    """Fano factor of errors per rollout: sum (N_r - p L_r)^2 / sum N_r; 1 - p if steps err alone, above = bunched.

    N_r errors in the L_r own steps of a rollout, p all errors / all steps. Unequal items make it exceed 1 too. Interval
    from the jackknife of its log over items, t. Source: Fano, Physical Review 72 (1947); Cox and Lewis, "The
    Statistical Analysis of Series of Events" (1966).
    """
    measure = Measure("error_fano", "1", "variance over mean of errors per rollout, item jackknife of the log")
    try:
        _goes_on(arm)
        totals = _moments(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    return _jackknifed(measure, arm, totals, _log_fano, "")


def _moments(arm: Arm) -> Floats:
    """(5, clusters) sums over rollouts of L, N, N^2, N L and L^2."""
    size = len(arm.length)
    n = np.bincount(arm.rollout[arm.own & arm.error], minlength=size).astype(float)
    steps = np.bincount(arm.rollout[arm.own], minlength=size).astype(float)
    if steps.max() < 2:
        raise NotEstimable("one step a rollout: its errors cannot bunch")
    every = np.arange(size)
    return np.stack([_by_cluster(arm, every, v) for v in (steps, n, n * n, n * steps, steps * steps)])


def _log_fano(total: Floats) -> Floats:
    p = total[1] / total[0]
    square = total[2] - 2 * p * total[3] + p * p * total[4]
    return _log(np.where(square > DUST * total[2], square, nan) / total[1])


def error_autocorrelation(arm: Arm) -> Reading:
    """Correlation of errors in neighbouring steps, around each step's mean over all rollouts. Confounded by items.

        r = sum (e_t - p_t)(e_t+1 - p_t+1) / sum ((e_t - p_t)^2 + (e_t+1 - p_t+1)^2) / 2

    The means are over items, not over the rollout itself, so that short rollouts make no bias; unequal items alone make
    r > 0, and skew as an intraclass correlation's: its interval is taken on Fisher's z of one with `ALIKE` members,
    `stats.jackknife` over items, `_ends`.

        z = log((1 + (m - 1) r) / (1 - r)) / 2

    m = 2, the z of a plain correlation, holds 92.9% where 50 items are most unequal, m = 6 94.3%. Source: Fisher,
    "Statistical Methods for Research Workers" (1925), section 38.
    """
    return _autocorrelation(arm, "error_autocorrelation", CONFOUNDED, _around_steps, ALIKE)


def error_autocorrelation_within_items(arm: Arm) -> Reading:
    """The same around each item's own mean at each step, from its repeats: what unequal items cannot make.

        cov = (S12 - S1 S2 / J) / (J - 1) in each (item, step), J rollouts, S sums over them; likewise the variances

    Unbiased sums, weighted by J; no bias from the rollout's length. Refused with one rollout per item. Interval: as
    above with m = 2.
    """
    return _autocorrelation(arm, "error_autocorrelation_within_items", STILL, _around_items, 2)


def _autocorrelation(
    arm: Arm, quantity: str, caveat: str, sums: Callable[[Arm, Pairs], tuple[Floats, Floats]], members: int
) -> Reading:
    measure = Measure(quantity, "correlation", f"ratio over items, item jackknife of Fisher's z ({members} members)")
    try:
        together, alone = sums(arm, _pairs(arm))
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    r = ratio(together, alone).value
    totals = np.stack([alone, together])
    with np.errstate(invalid="ignore", divide="ignore"):
        z = jackknife(totals, lambda total: np.log((total[0] + (members - 1) * total[1]) / (total[0] - total[1])) / 2)
    if not abs(r) < 1 or np.isnan(z.influence).any():
        return measure.missing(arm, "neighbouring steps never differ, or one item alone decides it")
    low, high = (float(1 - members / (grown + members - 1)) for grown in np.exp(2 * np.array(_ends(z))))
    return measure.reading(arm, r, (low, high), caveat)


def _around_steps(arm: Arm, pairs: Pairs) -> tuple[Floats, Floats]:
    weight = arm.weight[pairs.rollout]
    total = np.bincount(pairs.t, weights=weight)
    safe = np.where(total > 0, total, 1.0)
    a, b = (
        e - (np.bincount(pairs.t, weights=weight * e) / safe)[pairs.t]
        for e in (pairs.before.astype(float), pairs.now.astype(float))
    )
    if (pairs.before | pairs.now).sum() < FEWEST:
        raise NotEstimable(f"fewer than {FEWEST} pairs of steps with an error")
    return _by_cluster(arm, pairs.rollout, a * b), _by_cluster(arm, pairs.rollout, (a * a + b * b) / 2)


def _around_items(arm: Arm, pairs: Pairs) -> tuple[Floats, Floats]:
    stratum, lead = _strata(arm, pairs.rollout, pairs.t)
    j, one, two, together = (
        np.bincount(stratum, weights=v.astype(float), minlength=len(lead))
        for v in (np.ones(len(stratum)), pairs.before, pairs.now, pairs.before & pairs.now)
    )
    if j.max() < 2:
        raise NotEstimable("one rollout per item: nothing to take its own mean from; run two or more of each")
    scale = np.where(j > 1, j / np.maximum(j - 1, 1), 0.0)
    alone = scale * ((one - one**2 / j) + (two - two**2 / j)) / 2
    if (alone > 0).sum() < FEWEST:
        raise NotEstimable(f"fewer than {FEWEST} steps at which rollouts of an item differ")
    return _by_cluster(arm, lead, scale * (together - one * two / j)), _by_cluster(arm, lead, alone)
