"""Whether confidence tells right steps from wrong ones: AUROC, and what is risked by acting on the surest claims."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import Curve, Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure, curve
from deadreckon.instruments.calibration import Claims, claims, withheld
from deadreckon.instruments.stats import (
    Estimate,
    Floats,
    log_interval,
    mean_interval,
    proportion_interval,
    variance,
)

COVERAGES = 20  # points of the risk-coverage curve
ROUNDING = 1e-12
FEWEST, FEWEST_RISK = 10, 30  # items with a wrong step, and with a right one, behind an interval of AUROC, of AURC


@dataclass(frozen=True, slots=True)
class Ranked:
    """Claims by rank: tied claims share one level, 0 = least sure."""

    said: Claims
    level: Ints  # (m,) of each judged step
    right: Floats  # (m,) 0 or 1
    weight: Floats  # (m,) sums to 1
    cluster: Ints  # (m,)

    def by_level(self, mass: Floats) -> Floats:
        """(levels,) totals."""
        return np.bincount(self.level, weights=mass, minlength=int(self.level.max()) + 1).astype(float)

    def by_cluster(self, influence: Floats) -> Floats:
        """(C,) totals of what each step contributes."""
        return np.bincount(self.cluster, weights=influence, minlength=self.said.arm.clusters).astype(float)

    def items(self, which: Bools) -> int:
        """Clusters that hold one of the chosen steps."""
        return int(np.unique(self.cluster[which]).size)


def ranked(arm: Arm) -> Ranked:
    """Raises NotEstimable where `claims` does."""
    said = claims(arm)
    weight = arm.weight[arm.rollout[said.rows]]
    level = np.unique(said.p[said.rows], return_inverse=True)[1].astype(np.int64)
    return Ranked(said, level, said.right[said.rows], weight / weight.sum(), arm.cluster[said.rows])


def _few(steps: Ranked, fewest: int) -> str:
    """Why no interval is given, or ""."""
    wrong, right = steps.items(steps.right == 0), steps.items(steps.right == 1)
    if min(wrong, right) >= fewest:
        return ""
    return f"no interval: {wrong} items with a wrong step, {right} with a right one, {fewest} of each are needed"


def auroc(arm: Arm) -> Reading:
    """P(a right step's claim is above a wrong one's), ties half: area under the receiver operating characteristic.

        A = sum_r w_r V_r / W_r = sum_w w_w V_w / W_w,   V_r = P(wrong claim below) + P(tie) / 2,  V_w likewise above
        u_i = sum_{right of i} w (V_r - A) / W_r + sum_{wrong of i} w (V_w - A) / W_w

    Interval: t over items on the log odds of A. Source: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988); for
    clusters Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53 (1997).
    """
    measure = Measure("auroc", "probability", "Mann-Whitney, item-clustered placements, t on log odds")
    try:
        steps = ranked(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    right = steps.weight * steps.right
    wrong = steps.weight - right
    if min(right.sum(), wrong.sum()) <= 0:
        return measure.missing(arm, f"every step is {'right' if right.sum() > 0 else 'wrong'}: nothing to tell apart")
    above, below = steps.by_level(right) / right.sum(), steps.by_level(wrong) / wrong.sum()
    place_right = (np.cumsum(below) - below / 2)[steps.level]
    place_wrong = (1 - np.cumsum(above) + above / 2)[steps.level]
    value = float(right @ place_right / right.sum())
    u = right * (place_right - value) / right.sum() + wrong * (place_wrong - value) / wrong.sum()
    few = _few(steps, FEWEST)
    if few or not 0 < value < 1:
        parted = "no interval: claims tell every right step from every wrong one"
        return withheld(measure.reading(arm, value, (nan, nan)), few or parted)
    clusters = min(steps.items(steps.right == 0), steps.items(steps.right == 1))
    odds = Estimate(float(np.log(value / (1 - value))), steps.by_cluster(u) / (value * (1 - value)), clusters)
    low, high = (1 / (1 + np.exp(-end)) for end in mean_interval(odds))
    return measure.reading(arm, value, (low, high), steps.said.source)


@dataclass(frozen=True, slots=True)
class Risk:
    """Area under the risk-coverage curve, the error rate, and what each step contributes to both (m,)."""

    area: float
    error: float
    area_influence: Floats
    error_influence: Floats


def risk(steps: Ranked) -> Risk:
    """AURC = int_0^1 R(c) dc, R(c) the error rate among the surest share c; tied claims in random order.

        AURC = sum_l w_l phi(a_l, b_l),   phi(a, b) = mean of -ln s over (a, b)
        u = e phi_k - AURC + sum_l w_l + w_k phi_b(k) + sum_{l below k} w_l (phi_a + phi_b)(l)

    l levels of tied claims, taken between coverages a_l and b_l, w_l their weight of wrong steps; u of a step of level
    k, e = 1 if it is wrong; phi_a, phi_b partial derivatives. Source: Geifman and El-Yaniv, "Selective
    classification for deep neural networks", NeurIPS 2017.
    """
    wrong, span = steps.by_level(steps.weight * (1 - steps.right)), steps.by_level(steps.weight)
    b = np.cumsum(span[::-1])[::-1]  # coverage once this level is taken
    a = np.append(b[1:], 0.0)
    log_a = np.log(np.append(a[:-1], 1.0))
    phi = 1 - (b * np.log(b) - a * log_a) / span
    phi_a = np.append((phi + log_a)[:-1] / span[:-1], 0.0)
    phi_b = -(np.log(b) + phi) / span
    moved = wrong * (phi_a + phi_b)
    area, rate = float(wrong @ phi), float(wrong.sum())
    rest = rate - area + wrong * phi_b + np.cumsum(moved) - moved
    e = 1 - steps.right
    return Risk(area, rate, steps.weight * (e * phi[steps.level] + rest[steps.level]), steps.weight * (e - rate))


def aurc(arm: Arm) -> Reading:
    """Mean error rate over all coverages, the surest claims first. The curve is risk by coverage. See `risk`.

    Interval: t over items on log AURC. On the curve each threshold is taken as given.
    """
    measure = Measure("aurc", "errors per step", "area under the risk-coverage curve, item-clustered, t on the log")
    try:
        steps = ranked(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    found, few = risk(steps), _few(steps, FEWEST_RISK)
    u = steps.by_cluster(found.area_influence)
    estimate = Estimate(found.area, u, min(steps.items(steps.right == value) for value in (0, 1)))
    return withheld(
        measure.reading(arm, found.area, log_interval(estimate), steps.said.source, _risk_curve(steps)), few
    )


def aurc_excess(arm: Arm) -> Reading:
    """AURC above the least possible at this error rate r, r + (1 - r) ln(1 - r): 0 = every wrong step is claimed last.

    Source: Geifman, Uziel and El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019.
    """
    measure = Measure("aurc_excess", "errors per step", "AURC - its optimum, item-clustered, t on the log")
    try:
        steps = ranked(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    found, few = risk(steps), _few(steps, FEWEST_RISK)
    r = found.error
    if not 0 < r < 1:
        return measure.missing(arm, f"every step is {'wrong' if r else 'right'}: no order is better than another")
    value = max(0.0, found.area - (r + (1 - r) * float(np.log1p(-r))))
    u = steps.by_cluster(found.area_influence + float(np.log1p(-r)) * found.error_influence)
    estimate = Estimate(value, u, min(steps.items(steps.right == one) for one in (0, 1)))
    best = "no interval: no order of the claims is better" if value < ROUNDING else ""
    return withheld(measure.reading(arm, value, log_interval(estimate), steps.said.source), few or best)


def _risk_curve(steps: Ranked) -> Curve:
    """Error rate among claims at or above thresholds spread over the coverages."""
    span = steps.by_level(steps.weight)
    coverage = np.cumsum(span[::-1])[::-1]
    wanted = np.arange(1, COVERAGES + 1) / COVERAGES
    cuts = np.unique(np.searchsorted(-coverage, -wanted + ROUNDING, side="right") - 1)[::-1]
    taken = steps.level[:, None] >= cuts
    clusters = steps.said.arm.clusters
    x, y = np.zeros((clusters, len(cuts))), np.zeros((clusters, len(cuts)))
    np.add.at(x, steps.cluster, steps.weight[:, None] * taken)
    np.add.at(y, steps.cluster, (steps.weight * (1 - steps.right))[:, None] * taken)
    total, present = x.sum(axis=0), (x > 0).sum(axis=0)
    rate = y.sum(axis=0) / total
    spread = variance((y - rate * x) / total, present)
    ends = proportion_interval(rate, spread, present, taken.sum(axis=0), present.astype(float))
    return curve("coverage", coverage[cuts], rate, ends, present)
