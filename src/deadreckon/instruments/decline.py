"""Why a pooled hazard falls: unequal items, or less risk as a rollout goes on. Told apart by repeats of the same item.

Nothing is assumed of how items differ. Two rollouts r, s of item i see the same item, and are independent given it: if
the item's hazard is h_i g(t), then for steps t < t' and r, s different

    E[ y_ir(t) d_is(t') / g(t') - d_ir(t) y_is(t') / g(t) ] = E[ y_ir(t) y_is(t') (h_i - h_i) ] = 0

with y at risk and d first error (0 or 1), whatever the law of h_i and whatever (independent) censoring. With
g(t) = t^(1+b) - (t-1)^(1+b), a Weibull law's steps, the sum of these over pairs, weighted by w = log(t' - 1/2) -
log(t - 1/2), has a root: the slope b of the log hazard in log steps *within* items (shape k = 1 + b). The same sum over
pairs of different items gives the *pooled* slope, which selection bends down: items that fail early leave. Each item's
share of the sum is its influence.

Sources: the pooled curve of unequal items, Vaupel and Yashin, "Heterogeneity's ruses", American Statistician 39 (1985);
sums over pairs, Hoeffding, Annals of Mathematical Statistics 19 (1948); test of a common frailty, Commenges and
Andersen, "Score test of homogeneity for survival data", Lifetime Data Analysis 1 (1995).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from deadreckon.contracts import Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Ints, Measure
from deadreckon.instruments.constancy import p_value
from deadreckon.instruments.stats import DUST, LEVEL, Estimate, Floats, mean_interval, t_value
from deadreckon.instruments.survival import first_errors, tally

FEWEST = 25  # first errors, in items with repeats
FEWEST_ITEMS = 20  # with two rollouts or more
ONE_EACH = (
    "one rollout per item: unequal items and a falling hazard leave the same traces then, and no method tells them"
    " apart; run two or more rollouts of each item"
)
VERDICTS = {
    (True, True): "both",
    (True, False): "unequal items",
    (False, True): "duration dependence",
    (False, False): "neither shown",
}
ALPHA = (1 - LEVEL) / 2  # of each of the two tests behind a verdict
ALIKE = "where items may all be alike: no interval is known to hold there (86% to 92% of them did), see unequal_items"
Sums = Callable[[float], tuple[Floats, Floats]]
UP = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # slopes between which a root is looked for; k = 1 + b is positive
DOWN = (-0.2, -0.4, -0.6, -0.75, -0.85, -0.95, -0.99)


@dataclass(frozen=True, slots=True)
class Repeats:
    """First errors of the items that have two rollouts at risk or more."""

    d: Floats  # (items, reach) first errors at each step, rollouts counted once each
    y: Floats  # (items, reach) rollouts at risk
    weight: Floats  # (items,)
    home: Ints  # (items,) cluster
    clusters: int  # with such an item

    @property
    def count(self) -> Floats:
        """(items,) rollouts."""
        return self.y[:, 0]


def repeats(arm: Arm) -> Repeats:
    """The items with repeats. NotEstimable where items have one rollout each, are few, or hardly ever err."""
    first = first_errors(arm)
    if not first.reach:
        raise NotEstimable("no step of the model's own: nothing was at risk")
    item = arm.keys["item"].rank("dense").cast(int).to_numpy() - 1
    lead = np.unique(item, return_index=True)[1]
    weight = arm.weight[lead]
    d, y = tally(first, item, len(lead))
    scale = np.where(weight > 0, weight, 1.0)[:, None]
    d, y = d / scale, y / scale
    kept = (y[:, 0] > 1.5) & (weight > 0)
    if not kept.any():
        raise NotEstimable(ONE_EACH)
    if kept.sum() < FEWEST_ITEMS:
        raise NotEstimable(f"{int(kept.sum())} items with repeats: {FEWEST_ITEMS} or more are needed")
    d, y, home = d[kept], y[kept], arm.home[lead][kept]
    if d.sum() < FEWEST:
        raise NotEstimable(f"{int(d.sum())} first errors in items with repeats: {FEWEST} or more are needed")
    if y.shape[1] < 3:
        raise NotEstimable(f"at most {y.shape[1]} steps at risk: a slope needs 3 or more")
    return Repeats(d, y, weight[kept], home, int(np.unique(home).size))


@dataclass(frozen=True, slots=True)
class Slopes:
    """Slopes of the log hazard in log steps: within items and pooled, with influence by item."""

    within: Estimate
    pooled: Estimate

    @property
    def between(self) -> Estimate:
        """pooled - within: what selection among unequal items adds."""
        gap = self.pooled.influence - self.within.influence
        return Estimate(self.pooled.value - self.within.value, gap, self.within.clusters)


def slopes(data: Repeats) -> Slopes:
    """Both slopes. NotEstimable where the pairs have no root."""
    share = data.weight / (data.count - 1)

    def within(b: float) -> tuple[Floats, Floats]:
        value, slope = _pairs(data.y, data.d, data.y - 1, b)
        return share * value, share * slope

    total_y, total_d = data.weight @ data.y, data.weight @ data.d
    scale = float((data.weight * data.count).sum())

    def pooled(b: float) -> tuple[Floats, Floats]:
        every = _pairs(total_y[None], data.d * data.weight[:, None], total_y[None], b)
        own = _pairs(data.y, data.d, data.y, b)
        value, slope = (one - data.weight**2 * other for one, other in zip(every, own, strict=True))
        return value / scale, slope / scale

    b = _root(within)
    value, slope = within(b)
    inner = Estimate(b, _by_cluster(value / -slope.sum(), data), data.clusters)
    b = _root(pooled)
    mine = _both_sides(total_y, total_d, data, b) / scale
    outer = Estimate(b, _by_cluster(mine / -pooled(b)[1].sum(), data), data.clusters)
    return Slopes(inner, outer)


def _steps(size: int, b: float) -> tuple[Floats, Floats, Floats]:
    """x = log(t - 1/2), g(t) and d log g / db for t = 1 ... size."""
    t = np.arange(1.0, size + 1)
    k = 1 + b
    now, before = t**k, np.where(t > 1, (t - 1) ** k, 0.0)
    g = now - before
    slope = (now * np.log(t) - before * np.log(np.maximum(t - 1, 1))) / g
    return np.log(t - 0.5), g, slope


def _pairs(late: Floats, d: Floats, early: Floats, b: float) -> tuple[Floats, Floats]:
    """sum_{t<t'} (x' - x) [early_t d_t' / g(t') - d_t late_t' / g(t)] by row, and its derivative in b."""
    x, g, bend = _steps(d.shape[1], b)
    scaled = d / g
    after = (late * x)[:, ::-1].cumsum(axis=1)[:, ::-1] - late * x, late[:, ::-1].cumsum(axis=1)[:, ::-1] - late
    before = early.cumsum(axis=1) - early, (early * x).cumsum(axis=1) - early * x
    term = scaled * (x * before[0] - before[1] - after[0] + x * after[1])
    total: Floats = term.sum(axis=1)
    slope: Floats = -(term * bend).sum(axis=1)
    return total, slope


def _both_sides(total_y: Floats, total_d: Floats, data: Repeats, b: float) -> Floats:
    """(items,) each item's part in the pooled sum: its errors against others at risk, its risk against their errors."""
    mine = _pairs(total_y[None], data.d * data.weight[:, None], total_y[None], b)[0]
    x, g, _ = _steps(len(total_d), b)
    scaled = total_d / g
    gap = np.maximum(x[None, :] - x[:, None], 0.0)
    later, sooner = gap @ scaled, gap.T @ scaled  # errors after t, before t
    theirs = (data.y * data.weight[:, None]) @ (later - sooner)
    own = data.weight**2 * _pairs(data.y, data.d, data.y, b)[0]
    part: Floats = mine + theirs - 2 * own
    return part


def _by_cluster(influence: Floats, data: Repeats) -> Floats:
    return np.bincount(data.home, weights=influence).astype(float)


def _root(sums: Sums) -> float:
    """The root next to 0: the sum falls through it as b grows."""

    def total(b: float) -> float:
        return float(sums(b)[0].sum())

    here, start = 0.0, total(0.0)
    for there in UP if start > 0 else DOWN:
        if total(there) * start <= 0:
            return float(optimize.brentq(total, here, there, xtol=1e-11))
        here = there
    raise NotEstimable("the first errors fall too early, too late or too seldom to show a slope")


def unequal(data: Repeats) -> float:
    """One-sided p-value of items alike: do rollouts of one item err early together, whatever the shape of the hazard?

        V = sum_i w_i sum_{r != s} M_ir M_is,   M_r = failed_r - sum_{t <= length_r} h(t),   z = V / sd(V)

    h(t) the pooled hazard of each step, sd(V)^2 = 2 sum_i w_i^2 J_i (J_i - 1) (mean M^2)^2, J rollouts.
    """
    w, j = data.weight, data.count
    h = (w @ data.d) / np.maximum(w @ data.y, 1e-300)
    passed = np.cumsum(h)
    leaving = data.y - np.concatenate([data.y[:, 1:], np.zeros((len(j), 1))], axis=1)
    squares = data.d @ (1 - passed) ** 2 + (leaving - data.d) @ passed**2
    whole = (data.d - data.y * h).sum(axis=1)
    mean_square = float(w @ squares / (w @ j))
    if mean_square < DUST:
        raise NotEstimable("every rollout errs at the same step")
    z = float(w @ (whole**2 - squares)) / (mean_square * np.sqrt(2 * float(w**2 @ (j * (j - 1)))))
    return float(special.ndtr(-z))


def decline_within_items(arm: Arm) -> Reading:
    """Slope of the log hazard in log steps within items: 0 = constant, below 0 = falling as a rollout goes on.

    See the module: it holds whatever the law of the items' hazards. Refused where items have one rollout each.
    """
    return _slope(arm, "decline_within_items", "within")


def decline_pooled(arm: Arm) -> Reading:
    """Slope of the log of the pooled hazard in log steps, over the items with repeats: what `hazard`'s curve shows."""
    return _slope(arm, "decline_pooled", "pooled")


def decline_between_items(arm: Arm) -> Reading:
    """`decline_pooled` - `decline_within_items`: the part of the pooled slope that unequal items make by selection."""
    return _slope(arm, "decline_between_items", "between")


def _slope(arm: Arm, quantity: str, which: str) -> Reading:
    measure = Measure(quantity, "per log step", "sums over pairs of rollouts, t over items")
    try:
        data = repeats(arm)
        found = slopes(data)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    one = {"within": found.within, "pooled": found.pooled, "between": found.between}[which]
    if which == "between" and not unequal(data) < ALPHA:
        return measure.missing(arm, f"{one.value:.3g} {ALIKE}")
    return measure.reading(arm, one.value, mean_interval(one))


def unequal_items(arm: Arm) -> Reading:
    """Test of items alike, whatever the shape of their common hazard. See `unequal`; refused without repeats."""
    measure = Measure("unequal_items", "p-value", "covariance of rollouts of one item; null: all items alike")
    try:
        return p_value(measure, arm, unequal(repeats(arm)))
    except NotEstimable as why:
        return measure.missing(arm, str(why))


def hazard_decline(arm: Arm) -> Reading:
    """Share of the pooled slope that unequal items make: 1 = all of it, 0 = all is duration. The reason is the verdict.

        share = 1 - b_within / b_pooled, by Fieller's theorem; only where items differ and the pooled slope is not 0

    The verdict needs two tests, each at 2.5% so that both together err in at most 5%: `unequal_items`, and t of
    b_within. Words: "unequal items", "duration dependence", "both", "neither shown: undecided". Source: Fieller, "Some
    problems in interval estimation", JRSS B 16 (1954).
    """
    measure = Measure("hazard_decline", "share of the pooled slope", "sums over pairs of rollouts, Fieller over items")
    try:
        data = repeats(arm)
        found = slopes(data)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    alike = unequal(data)
    told = verdict(found, alike)
    share, low, high = fieller(found)
    if not alike < ALPHA:
        return measure.missing(arm, f"{told}; {ALIKE}")
    if np.isnan(low):
        return measure.missing(arm, f"{told}; the pooled slope may be 0: no share of it")
    return measure.reading(arm, share, (low, high), told)


def verdict(found: Slopes, alike: float) -> str:
    """The words, and the figures behind them."""
    inner = found.within
    t = inner.value / np.sqrt(inner.variance) if inner.variance > 0 else 0.0
    p = 2 * float(special.stdtr(inner.clusters - 1, -abs(t)))
    word = VERDICTS[alike < ALPHA, p < ALPHA]
    return (
        f"{word}: log-slope {found.pooled.value:.3g} pooled, {inner.value:.3g} within items (p = {p:.3g});"
        f" items alike p = {alike:.3g}"
    )


def fieller(found: Slopes) -> tuple[float, float, float]:
    """1 - within / pooled and its interval: where within - (1 - share) pooled may be 0; nan if unbounded.

    R = a / b is freed of its leading bias, (R var b - cov) / b^2; 1 / (b^2 + 3 var b) has the mean 1 / b^2 nearly.
    """
    a, b = found.within, found.pooled
    c = a.clusters
    if c < 2 or not b.value:
        return nan, nan, nan
    aa, bb, ab = (c / (c - 1) * float(u.influence @ v.influence) for u, v in ((a, a), (b, b), (a, b)))
    share = 1 - a.value / b.value + (a.value / b.value * bb - ab) / (b.value**2 + 3 * bb)
    wide = float(t_value(c)) ** 2
    square, cross, rest = b.value**2 - wide * bb, a.value * b.value - wide * ab, a.value**2 - wide * aa
    inside = cross**2 - square * rest
    if not (square > 0 and inside > 0 and aa > 0):
        return share, nan, nan
    ends = [(cross + sign * np.sqrt(inside)) / square for sign in (1, -1)]
    return share, 1 - ends[0], 1 - ends[1]
