"""How often every one of k runs succeeds, and how often at least one: pass^k and pass@k, items as the unit."""

from __future__ import annotations

import numpy as np
from scipy import special

from deadreckon.contracts import Curve, Reading
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments.arm import Bools, Measure, curve
from deadreckon.instruments.outcomes import Outcomes
from deadreckon.instruments.stats import Estimate, Floats, mean_intervals, proportion_interval, variance

FEWEST_MIXED = 10  # items (families) with a success, and with a failure, that a gap is measured on
MEAN = "mean over items, effective-size Clopper-Pearson"


def pass_hat_k(outcomes: Outcomes, k: int = 2) -> Reading:
    """pass^k = E_item[C(c, k) / C(n, k)]: the chance that k runs of an item all succeed.

    c successes in n runs of an item: the share of its sets of k runs without a failure, unbiased for the item's p^k. By
    Jensen pass^k >= (pass^1)^k, see `pass_hat_k_gap`. The curve has x = k = 1, 2, ... to the fewest runs of an item.
    Source: Yao et al., "tau-bench" (arXiv 2406.12045). For step tables: `outcomes_of`.
    """
    measure = Measure("pass_hat_k", "probability", MEAN)
    try:
        every = _all_of_k(outcomes, k)
    except NotEstimable as why:
        return measure.missing(outcomes, str(why))
    return _read(measure, outcomes, every, k)


def pass_at_k(outcomes: Outcomes, k: int = 2) -> Reading:
    """pass@k = 1 - E_item[C(n-c, k) / C(n, k)]: the chance that at least one of k runs succeeds.

    Symbols and curve as `pass_hat_k`. Source: Chen et al., "Evaluating large language models trained on code"
    (arXiv 2107.03374).
    """
    measure = Measure("pass_at_k", "probability", MEAN)
    try:
        none = _all_of_k(outcomes, k, failed=True)
    except NotEstimable as why:
        return measure.missing(outcomes, str(why))
    return _read(measure, outcomes, 1 - none, k)


def pass_hat_k_gap(outcomes: Outcomes, k: int = 2) -> Reading:
    """pass^k - (pass^1)^k: what unequal items add to the chance that k runs all succeed; 0 where all are alike.

    (pass^1)^k is what independent runs of equal items would give, too large by chance as the power of an estimate: the
    jackknife over items (families) takes that away and gives the interval, with Student's t. g the gap of all C
    clusters, g_i without cluster i:  value = C g - (C-1) mean g_i,  variance = (C-1)/C sum (g_i - mean)^2.  The high
    end is the higher of gap + t se and gap exp(t se / gap): like a variance, a gap is skewed to the right; se is at
    least what it is where all items are alike. Source: Quenouille (1956); Efron, "The Jackknife, the Bootstrap and
    Other Resampling Plans" (1982), ch. 2 and 3.
    """
    measure = Measure("pass_hat_k_gap", "probability", "difference of means over items, jackknife over items, t")
    try:
        every = _all_of_k(outcomes, k)
    except NotEstimable as why:
        return measure.missing(outcomes, str(why))
    if k < 2:
        return measure.missing(outcomes, "k = 1: both sides are pass^1, the gap is 0 by construction")
    share = outcomes.wins / outcomes.runs
    mixed = min(_clusters_with(outcomes, share > 0), _clusters_with(outcomes, share < 1))
    if mixed < FEWEST_MIXED:
        few = f"{mixed} items or families hold a success (or a failure): how items differ needs {FEWEST_MIXED} of each"
        return measure.missing(outcomes, few)
    w = outcomes.weight
    parts = [outcomes.per_cluster(values * w) for values in (every[:, k - 1], share, np.ones_like(w))]
    both, p, weight = (part.sum() - part for part in parts)
    left_out = both / weight - (p / weight) ** k
    both_, p_, weight_ = (float(part.sum()) for part in parts)
    clusters = outcomes.clusters
    gap = clusters * (both_ / weight_ - (p_ / weight_) ** k) - (clusters - 1) * left_out.mean()
    spread = (clusters - 1) / clusters * ((left_out - left_out.mean()) ** 2).sum()
    spread = max(float(spread), _chance_alone(outcomes, p_ / weight_, k))
    low, high = (float(end) for end in mean_intervals(np.array(gap), np.array(spread), clusters))
    if gap > 0:
        high = max(high, float(gap * np.exp(min((high - gap) / gap, 50.0))))
    sides = f"k = {k}: pass^k {both_ / weight_:.3g}, (pass^1)^k {both_ / weight_ - gap:.3g}"
    return measure.reading(outcomes, gap, (low, min(high, 1.0)), sides)


def _chance_alone(outcomes: Outcomes, p: float, k: int) -> float:
    """Variance of the gap where every item has the same p: sum_i w_i^2 sum_j C(k,j)^2 p^(2k-2j) (pq)^j / C(n_i,j).

    w_i item weights of sum 1, j = 2 ... k: what is left of pass^k once the mean is known. Source: Hoeffding, Annals of
    Mathematical Statistics 19 (1948).
    """
    j = np.arange(2, k + 1)
    size = special.comb(k, j) ** 2 * p ** (2 * (k - j)) * (p * (1 - p)) ** j
    share = outcomes.weight / outcomes.weight.sum()
    return float((share**2 * (size / special.comb(outcomes.runs[:, None], j)).sum(axis=1)).sum())


def _clusters_with(outcomes: Outcomes, which: Bools) -> int:
    return int(np.unique(outcomes.family[which]).size)


def _all_of_k(outcomes: Outcomes, k: int, *, failed: bool = False) -> Floats:
    """(items, fewest runs) share of an item's sets of 1, 2, ... runs that all succeeded (or all failed).

    C(c, k) / C(n, k) = prod_{j<k} (c - j) / (n - j). Raises NotEstimable where some item has fewer runs than k.
    """
    if k < 1:
        raise BadOption(f"k={k}: at least 1 run")
    if not outcomes.items:
        raise NotEstimable("no run")
    n = outcomes.runs
    fewest = int(n.min())
    if k > fewest:
        raise NotEstimable(
            f"k = {k}, but {int((n < k).sum())} of {outcomes.items} items have fewer runs, down to {fewest}"
        )
    if not outcomes.whole.all():
        raise NotEstimable(f"{int((~outcomes.whole).sum())} scores are neither 0 nor 1: k of k needs plain successes")
    c = n - outcomes.wins if failed else outcomes.wins
    j = np.arange(fewest)
    return np.cumprod(np.maximum(c[:, None] - j, 0) / (n[:, None] - j), axis=1)


def _means(outcomes: Outcomes, values: Floats) -> list[Estimate]:
    """Weighted means over items of each column of (items, k), with their influence by cluster."""
    mean = outcomes.weight @ values / outcomes.weight.sum()
    parts = outcomes.weight[:, None] * (values - mean) / outcomes.weight.sum()
    influence = np.zeros((outcomes.clusters, values.shape[1]))
    np.add.at(influence, outcomes.family, parts)
    return [Estimate(float(np.clip(m, 0, 1)), influence[:, i], outcomes.clusters) for i, m in enumerate(mean)]


def _read(measure: Measure, outcomes: Outcomes, values: Floats, k: int) -> Reading:
    points = _curve(outcomes, values)
    return measure.reading(outcomes, points.value[k - 1], (points.low[k - 1], points.high[k - 1]), f"k = {k}", points)


def _curve(outcomes: Outcomes, values: Floats) -> Curve:
    means = _means(outcomes, values)
    value = np.array([m.value for m in means])
    spread = variance(np.stack([m.influence for m in means], axis=1), outcomes.clusters)
    ends = proportion_interval(value, spread, outcomes.clusters, float(outcomes.runs.sum()), float(outcomes.clusters))
    k = np.arange(1.0, len(value) + 1)
    return curve("k", k, value, ends, np.full(len(k), outcomes.items, np.int64))
