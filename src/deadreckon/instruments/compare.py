"""Two arms, or two outcomes, item by item: difference, ratio, effect size, test, and how many items are better.

Every function takes two Scores (scores.py). Items that both hold are paired; where none is shared the two are
independent; where some are, their correlation over all items carries the pairing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deadreckon.contracts import Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.freedom import freedom
from deadreckon.instruments.permutation import missing_test, sign_test, t_test, two_sample_test
from deadreckon.instruments.scores import Score, ScoreOf
from deadreckon.instruments.stats import (
    LEVEL,
    Estimate,
    Floats,
    Side,
    clopper_pearson,
    difference_interval,
    mean_intervals,
    variance,
)

FEWEST = 10  # items an effect size is given an interval from
MOVED = 10.0  # effective items that must differ for that
UNITS = "the two are labelled by different units (items against families): no item can be matched"


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two scores on the union of their clusters; nan in `each` and 0 in `influence` where one lacks a cluster."""

    a: Score
    b: Score
    influence: tuple[Floats, Floats]  # (U,) each
    each: tuple[Floats, Floats]
    there: tuple[Floats, Floats]  # (U,) 1 where the score has the cluster

    @property
    def n(self) -> int:
        """Clusters in the union."""
        return len(self.influence[0])

    @property
    def shared(self) -> int:
        """Clusters that both scores have."""
        return int((self.there[0] * self.there[1]).sum())

    @property
    def whole(self) -> bool:
        """Both scores have every cluster."""
        return self.shared == self.n

    @property
    def design(self) -> str:
        """In words."""
        if not self.shared:
            return "no item shared"
        return "paired by item" if self.whole else f"paired on {self.shared} of {self.n} items"

    @property
    def differences(self) -> Floats:
        """(shared,) each cluster's own number in a minus in b, where both are known."""
        d = self.each[0] - self.each[1]
        return d[np.isfinite(d)]

    def reading(self, name: str, unit: str, value: float, ends: tuple[Floats, Floats] | None, method: str) -> Reading:
        """The reading; ends (1,) or None where not estimable."""
        low, high = (float(end[0]) for end in ends) if ends else (nan, nan)
        few = "one item says nothing of how items differ" if min(self.a.clusters, self.b.clusters) < 2 else ""
        reason = f"no interval: {few or 'nothing varies between items'}" if np.isnan(low) else ""
        return Reading(name, unit, value, low, high, LEVEL, self.n, f"{self.design}, {method}", self.by, reason)

    def missing(self, name: str, unit: str, reason: str, value: float = nan) -> Reading:
        """Not estimable (or no interval, where there is a value), and why."""
        return Reading(name, unit, value, nan, nan, LEVEL, self.n, self.design, self.by, reason)

    @property
    def by(self) -> str:
        """What is compared."""
        return self.a.quantity if self.a.quantity == self.b.quantity else f"{self.a.quantity} - {self.b.quantity}"


def pair(a: Score, b: Score) -> Pairing:
    """Both scores on the union of their clusters. NotEstimable where their labels are of two kinds."""
    if a.labels.dtype.is_numeric() != b.labels.dtype.is_numeric():
        raise NotEstimable(UNITS)
    named = [score.labels.to_numpy() for score in (a, b)]
    union = np.unique(np.concatenate(named))
    columns: list[tuple[Floats, Floats, Floats]] = []
    for score, labels in zip((a, b), named, strict=True):
        at = np.searchsorted(union, labels)
        influence, each, there = np.zeros(len(union)), np.full(len(union), nan), np.zeros(len(union))
        influence[at], each[at], there[at] = score.influence, score.each, 1.0
        columns.append((influence, each, there))
    (u, mine, here), (v, theirs, yonder) = columns
    return Pairing(a, b, (u, v), (mine, theirs), (here, yonder))


def _sides(both: Pairing, level: float = LEVEL) -> tuple[Side, Side]:
    sides = []
    for score, influence in zip((both.a, both.b), both.influence, strict=True):
        low, high = score.interval(level)
        sides.append(Side(np.array([score.value]), low, high, influence[:, None]))
    return sides[0], sides[1]


def difference(a: Score, b: Score, level: float = LEVEL) -> Reading:
    """a - b, its interval from both scores' intervals and the correlation of their influences by item (MOVER).

    level other than 0.95: one interval of a family (`multiplicity.bonferroni_level`).
    Source: `stats.difference_interval`.
    """
    both = pair(a, b)
    gap = a.value - b.value
    if not np.any(both.influence[0] - both.influence[1]) and gap == 0:
        return both.missing("difference", a.unit, "no interval: no item differs between the two", gap)
    reading = both.reading("difference", a.unit, gap, difference_interval(*_sides(both, level)), "MOVER")
    return replace(reading, level=level)


def ratio(a: Score, b: Score) -> Reading:
    """a / b, both positive; interval by MOVER on the log scale: log a and log b with their intervals' logs.

    Source: Zou and Donner, Statistics in Medicine 27 (2008).
    """
    both = pair(a, b)
    for score, name in ((a, "first"), (b, "second")):
        if not score.value > 0:
            return both.missing(
                "ratio", "1", f"the {name} of the two is {score.value:.4g}: a ratio needs both positive"
            )
    logs = []
    for score, influence in zip((a, b), both.influence, strict=True):
        low, high = score.interval()
        low = np.where(low > 0, low, nan)
        logs.append(Side(np.log([score.value]), np.log(low), np.log(high), influence[:, None] / score.value))
    if not np.any(logs[0].influence - logs[1].influence):
        return both.missing("ratio", "1", "no interval: no item differs between the two", a.value / b.value)
    low, high = difference_interval(*logs)
    return both.reading("ratio", "1", a.value / b.value, (np.exp(low), np.exp(high)), "MOVER of logs")


def effect_size(a: Score, b: Score) -> Reading:
    """Standardised difference of items' own numbers: Cohen's d_z where items are shared, else Hedges' g.

        d_z = J mean(D) / sd(D),  D_i = a_i - b_i            J = 1 - 3 / (4 nu - 1), nu degrees of freedom
        g   = J (mean a - mean b) / s,  s the pooled standard deviation

    Interval: t over influence values, so that it holds for numbers that are not normal: with z = (D - mean) / sd,
    u_i = (z_i - d (z_i**2 - 1) / 2) / n, degrees of freedom from their kurtosis. Source: Hedges, J. Educational
    Statistics 6 (1981); Lakens, Frontiers in Psychology 4 (2013); influence by the delta method on mean and variance.
    """
    both = pair(a, b)
    if both.shared:
        return _d_z(both)
    mine, theirs = (v[np.isfinite(v)] for v in both.each)
    if min(len(mine), len(theirs)) < 2:
        return both.missing("effect_size", "standard deviations", "fewer than two items in one of the two")
    return _hedges_g(both, mine, theirs)


def _d_z(both: Pairing) -> Reading:
    d = both.differences
    n, unit = len(d), "standard deviations"
    if n < 2:
        return both.missing("effect_size", unit, f"{n} items with a number of their own in both")
    spread = float(d.std(ddof=1))
    if spread <= 1e-12 * np.abs(d).max(initial=0.0):
        return both.missing("effect_size", unit, "every item differs by the same: no spread to measure it by")
    z = (d - d.mean()) / spread
    raw = float(d.mean()) / spread
    value = _hedges_factor(n - 1) * raw
    return _sized(both, value, Estimate(value, (z - raw * (z**2 - (z**2).mean()) / 2) / n, n), _moved(d))


def _hedges_g(both: Pairing, a: Floats, b: Floats) -> Reading:
    freedom = len(a) + len(b) - 2
    pooled = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / freedom
    if pooled <= 1e-24 * max(float(np.abs(a).max()), float(np.abs(b).max())) ** 2:
        return both.missing(
            "effect_size", "standard deviations", "nothing varies between items: no spread to measure by"
        )
    raw = (a.mean() - b.mean()) / np.sqrt(pooled)
    parts = []
    for sign, values in ((1, a), (-1, b)):
        z = (values - values.mean()) / np.sqrt(pooled)
        parts.append(sign * z / len(values) - raw * (z**2 - (z**2).mean()) / (2 * freedom))
    value = _hedges_factor(freedom) * float(raw)
    return _sized(both, value, Estimate(value, np.concatenate(parts), freedom + 2), _moved(a) + _moved(b))


def _moved(values: Floats) -> int:
    """How many are not the median."""
    return int((np.abs(values - np.median(values)) > 1e-9).sum())


def _hedges_factor(freedom: int) -> float:
    return 1 - 3 / (4 * freedom - 1)


def _sized(both: Pairing, value: float, estimate: Estimate, moved: int) -> Reading:
    reading = both.reading("effect_size", "standard deviations", value, None, "t over influence by item")
    if estimate.clusters < FEWEST or moved < MOVED:
        return replace(reading, reason=f"no interval: {estimate.clusters} items, {moved} of them off the median")
    known = 1 + freedom(estimate.influence, estimate.clusters)
    low, high = mean_intervals(np.array(estimate.value), np.array(estimate.variance), known)
    return replace(reading, low=float(low), high=float(high), reason="")


def difference_test(a: Score, b: Score) -> Reading:
    """p-value of "the two scores are equal". Source: `permutation.sign_test`, `permutation.two_sample_test`.

    Paired on every item: sign flips of C (u_i - v_i) + (a - b). None shared: relabelling or Welch's t. Some shared:
    t over the union of items, with the degrees of freedom of the smaller score.
    """
    name, null = "p_difference", "equal scores"
    try:
        both = pair(a, b)
    except NotEstimable as why:
        return missing_test(name, a.clusters, str(why), a.quantity)
    if min(a.clusters, b.clusters) < 2:
        return missing_test(name, both.n, "fewer than two items in one of the two: items cannot be compared", both.by)
    if both.whole:
        u, v = both.influence
        test = sign_test(both.n * (u - v) + (a.value - b.value))
    elif both.shared:
        u, v = both.influence
        gap = a.value - b.value
        test = t_test(gap, float(variance(u - v, both.n)), min(a.clusters, b.clusters) - 1.0)
    else:
        test = two_sample_test(a.pseudo, b.pseudo)
    return test.reading(name, both.n, null, (both.by, both.design))


def _share(a: Score, b: Score, name: str) -> Reading:
    both = pair(a, b)
    d = both.differences if a.higher_is_better else -both.differences
    if not len(d):
        return both.missing(name, "share of items", "no item has a number of its own in both")
    counts = {"items_better": (d > 0).sum(), "items_worse": (d < 0).sum(), "items_equal": (d == 0).sum()}
    hits = float(counts[name])
    low, high = clopper_pearson(hits, float(len(d)))
    reading = both.reading(name, "share of items", hits / len(d), (low[None], high[None]), "Clopper-Pearson over items")
    if len(d) < 2:
        return both.missing(name, "share of items", "no interval: one item says nothing of how items differ", hits / 1)
    return replace(reading, n=len(d), reason=f"{int(hits)} of {len(d)} items known in both")


def items_better(a: Score, b: Score) -> Reading:
    """Share of the shared items on which the first scored better, by each item's own number."""
    return _share(a, b, "items_better")


def items_worse(a: Score, b: Score) -> Reading:
    """Share of the shared items on which the first scored worse."""
    return _share(a, b, "items_worse")


def items_equal(a: Score, b: Score) -> Reading:
    """Share of the shared items on which both scored the same."""
    return _share(a, b, "items_equal")


COMPARISONS = {
    "difference": difference,
    "ratio": ratio,
    "effect_size": effect_size,
    "p_difference": difference_test,
    "items_better": items_better,
    "items_worse": items_worse,
    "items_equal": items_equal,
}


def compare_arms(ours: Arm, theirs: Arm, score: ScoreOf) -> list[Reading]:
    """Every comparison of two arms by one score: `compare_arms(a, b, partial(survival_score, n=10))`."""
    try:
        a, b = score(ours), score(theirs)
        pair(a, b)
    except NotEstimable as why:
        n = min(ours.items, theirs.items)
        return [Reading(name, "", nan, nan, nan, LEVEL, n, "none", "", str(why)) for name in COMPARISONS]
    return [comparison(a, b) for comparison in COMPARISONS.values()]
