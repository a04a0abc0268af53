"""Statistics for items as the sampling unit. numpy in, numpy out.

Every estimator here is handled by its influence values: one number per cluster (an item, or a family of items
where families are given), summing to zero, whose spread is the estimator's standard error. Steps and rollouts
inside a cluster may depend on each other in any way.

    estimate = theta + sum_i u_i,    variance = C/(C-1) sum_i u_i**2,    C clusters

Sources: Taylor linearisation and the ratio estimator, Cochran, "Sampling Techniques" (1977), ch. 6 and 9A;
C/(C-1) and t with C-1 degrees of freedom, Korn and Graubard, "Analysis of Health Surveys" (1999), ch. 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from deadreckon.contracts import nan

Floats = NDArray[np.float64]

LEVEL = 0.95  # of every interval in this package, unless it is one of a family (multiplicity.py)
DUST = 1e-14  # influence below it, beside a value of 1, is rounding


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its influence, one number per cluster; `clusters` = how many of them carry information."""

    value: float
    influence: Floats  # (C,), sums to zero
    clusters: int

    @property
    def variance(self) -> float:
        """C/(C-1) sum u**2; nan with fewer than two clusters, 0 where the influence is rounding alone."""
        largest = float(np.abs(self.influence).max(initial=0.0))
        dust = largest < DUST * max(1.0, abs(self.value))
        return float(variance(self.influence * (not dust), self.clusters))


def variance(influence: Floats, clusters: int | Floats) -> Floats:
    """C/(C-1) sum_i u_i**2 over the first axis; nan where C < 2."""
    c = np.asarray(clusters, dtype=float)
    factor = np.where(c > 1, c / np.maximum(c - 1, 1), nan)
    return np.asarray(factor * (influence**2).sum(axis=0))


def ratio(y: Floats, x: Floats) -> Estimate:
    """R = sum y / sum x over clusters, u_i = (y_i - R x_i) / sum x. nan where sum x is 0.

    y, x (C,): totals of a cluster, such as errors and steps at risk. Source: Cochran (1977), ch. 6.
    """
    total = x.sum()
    if total <= 0:
        return Estimate(nan, np.zeros_like(x), 0)
    value = y.sum() / total
    return Estimate(float(value), (y - value * x) / total, int((x > 0).sum()))


def jackknife(totals: Floats, smooth: Callable[[Floats], Floats]) -> Estimate:
    """A smooth function of totals over clusters, freed of its leading bias, with influence by leaving clusters out.

        theta_J = C theta - (C - 1) mean_i theta_(-i),   u_i = (C - 1) / C (mean_j theta_(-j) - theta_(-i))

    totals (k, C) by cluster, those with a positive first row count as C; smooth maps (k, n) to (n,). nan where one
    cluster alone decides. Source: Quenouille, Biometrika 43 (1956); Tukey, Annals of Mathematical Statistics 29 (1958).
    """
    present = totals[0] > 0
    c = int(present.sum())
    whole = totals.sum(axis=1, keepdims=True)
    value = float(smooth(whole)[0])
    influence = np.zeros(totals.shape[1])
    if c < 2:
        return Estimate(value, influence, c)
    without = smooth(whole - totals[:, present])
    influence[present] = (c - 1) / c * (without.mean() - without)
    return Estimate(c * value - (c - 1) * float(without.mean()), influence, c)


def t_value(clusters: int | Floats, level: float = LEVEL) -> Floats:
    """Two-sided quantile of Student's t with clusters - 1 degrees of freedom; nan below two clusters."""
    freedom = np.asarray(clusters, dtype=float) - 1
    return np.where(freedom > 0, special.stdtrit(np.maximum(freedom, 1), 0.5 + level / 2), nan)


def clopper_pearson(successes: Floats | float, n: Floats | float, level: float = LEVEL) -> tuple[Floats, Floats]:
    """The exact binomial interval, for real-valued counts too (Beta quantiles). nan where n is not positive.

    low = Beta(alpha/2; s, n-s+1), high = Beta(1-alpha/2; s+1, n-s). Source: Clopper and Pearson (1934).
    """
    s, n = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(n, dtype=float))
    fit = n > 0
    s, m = np.where(fit, s, 0.0), np.where(fit, n, 1.0)
    rest = np.maximum(m - s, 0.0)
    tail = (1 - level) / 2
    low = np.where(s > 0, special.betaincinv(np.where(s > 0, s, 1.0), rest + 1, tail), 0.0)
    high = np.where(rest > 0, special.betaincinv(s + 1, np.where(rest > 0, rest, 1.0), 1 - tail), 1.0)
    return np.where(fit, low, nan), np.where(fit, high, nan)


def proportion_interval(
    p: Floats | float,
    spread: Floats | float,
    clusters: Floats | int,
    most: Floats | float,
    least: Floats | float,
    level: float = LEVEL,
) -> tuple[Floats, Floats]:
    """Clopper-Pearson at the effective sample size, so that few or no events never give zero width.

        n_eff = p (1-p) / v * (z / t_{C-1})**2, at most `most`;  `least` where p is 0 or 1 or v is 0

    p proportions, spread = v their cluster variances, most = observations in all, least = the sample size that
    may be claimed when nothing varies (clusters, or more where the design bounds a cluster's events).
    nan below two clusters. Source: Korn and Graubard, "Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data", Survey Methodology 24 (1998).
    """
    p, v = np.asarray(p, dtype=float), np.asarray(spread, dtype=float)
    inside = (p > 0) & (p < 1) & (v > 0)
    shrink = (special.ndtri(0.5 + level / 2) / t_value(clusters, level)) ** 2
    size = np.minimum(p * (1 - p) / np.where(inside, v, 1.0) * shrink, np.minimum(most, 1e9))
    size = np.where(inside, size, np.minimum(least, most))
    size = np.where(np.isfinite(p) & np.isfinite(shrink), size, nan)
    return clopper_pearson(np.clip(p, 0, 1) * size, size, level)


def mean_intervals(
    value: Floats, spread: Floats, clusters: Floats | int, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """value -+ t_{C-1} sqrt(spread); nan where the variance is nan or zero: never zero width."""
    half = t_value(clusters, level) * np.sqrt(np.where(spread > 0, spread, nan))
    return value - half, value + half


def effective(load: Floats) -> Floats:
    """Kish's effective number of clusters behind a total over the first axis, (sum load)**2 / sum load**2; 0: no load.

    Where a few clusters carry most of a positive total, their number, not that of all, says how well its variance is
    known: it gives the degrees of freedom. Source: Kish, "Survey Sampling" (1965), ch. 11; as degrees of freedom:
    Carter, Schnepel and Steigerwald, Review of Economics and Statistics 99 (2017).
    """
    squares = (load**2).sum(axis=0)
    return np.asarray(load.sum(axis=0) ** 2 / np.where(squares > 0, squares, 1.0))


def log_intervals(value: Floats, spread: Floats, clusters: Floats | int) -> tuple[Floats, Floats]:
    """exp(log value -+ t_{C-1} sqrt(spread) / value), for a positive quantity; nan where it is not.

    clusters = C may be an effective number.
    """
    safe = np.where(value > 0, value, nan)
    low, high = mean_intervals(np.log(safe), spread / safe**2, clusters)
    return np.exp(low), np.exp(high)


def mean_interval(estimate: Estimate) -> tuple[float, float]:
    """`mean_intervals` of one estimate."""
    low, high = mean_intervals(np.array(estimate.value), np.array(estimate.variance), estimate.clusters)
    return float(low), float(high)


def log_interval(estimate: Estimate, load: Floats | None = None) -> tuple[float, float]:
    """`log_intervals` of one estimate; with the `load` (C,) of its clusters, their effective number."""
    clusters = np.array(estimate.clusters) if load is None else effective(load)
    low, high = log_intervals(np.array(estimate.value), np.array(estimate.variance), clusters)
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Side:
    """One of two quantities to be compared, with its interval; all (n,), influence (C, n)."""

    value: Floats
    low: Floats
    high: Floats
    influence: Floats


def difference_interval(a: Side, b: Side) -> tuple[Floats, Floats]:
    """Interval of a - b from the intervals of both and the correlation r of their influences (method MOVER).

        low = a - b - sqrt((a-la)**2 + (ub-b)**2 - 2 r (a-la)(ub-b)),  high likewise with ua, lb

    It keeps the asymmetry of each side and never has zero width while a side has not. Source: Zou and Donner,
    "Construction of confidence limits about effect measures", Statistics in Medicine 27 (2008).
    """
    norm = np.sqrt((a.influence**2).sum(axis=0) * (b.influence**2).sum(axis=0))
    r = np.where(norm > 0, (a.influence * b.influence).sum(axis=0) / np.where(norm > 0, norm, 1.0), 0.0)

    def reach(mine: Floats, other: Floats) -> Floats:
        return np.sqrt(np.maximum(mine**2 + other**2 - 2 * r * mine * other, 0.0))

    gap = a.value - b.value
    return gap - reach(a.value - a.low, b.high - b.value), gap + reach(a.high - a.value, b.value - b.low)


@dataclass(frozen=True, slots=True)
class Product:
    """A product-limit curve: S (n,), its influence (C, n), and its interval (n,)."""

    value: Floats
    influence: Floats
    low: Floats
    high: Floats
    clusters: NDArray[np.int64]  # (n,) clusters at risk at each step


def product_limit(events: Floats, at_risk: Floats, most: float = np.inf) -> Product:
    """S(n) = prod_{s<=n} (1 - h_s), h_s = sum_i d_is / sum_i y_is, with an interval that holds for clusters.

        u_i(n) = -S(n) sum_{s<=n} (d_is - h_s y_is) / (Y_s (1 - h_s))

    events d, at_risk y (C, n). With one rollout a cluster and no ties this is Kaplan-Meier with Greenwood's variance;
    d and y may be fractional (expected counts). most = independent observations behind S at best. Once S is 0 its
    high end is the last one times the Clopper-Pearson bound of the step that ended it. Source: Kaplan and Meier (1958);
    influence: Reid, "Influence functions for censored data", Annals of Statistics 9 (1981); robust variance by
    cluster: Therneau and Grambsch, "Modeling Survival Data" (2000), ch. 7.
    """
    y_all = at_risk.sum(axis=0)
    seen = y_all > 0
    y_safe = np.where(seen, y_all, 1.0)
    h = np.where(seen, events.sum(axis=0) / y_safe, nan)
    s = np.cumprod(1 - h)
    passed = np.where(h < 1, y_safe * (1 - h), 1.0)
    u = -np.cumsum((events - h * at_risk) / passed, axis=1) * s
    present = (at_risk > 0).sum(axis=0)
    clusters = int(present[0]) if len(present) else 0
    low, high = proportion_interval(s, variance(u, clusters), clusters, most, present.astype(float))
    return Product(s, u, low, _after_the_last(s, high, present), present)


def _after_the_last(s: Floats, high: Floats, present: NDArray[np.int64]) -> Floats:
    """The high end of a curve that has fallen to 0, from the step before and the few at risk in it."""
    gone = np.flatnonzero(s <= 0)
    if not gone.size:
        return high
    first = int(gone[0])
    before = high[first - 1] if first else 1.0
    bound = before * clopper_pearson(0.0, float(present[first]))[1]
    return np.where(s <= 0, bound if present[0] > 1 else nan, high)


def beta_product(events: Floats, at_risk: Floats) -> tuple[Floats, Floats]:
    """Interval of a product-limit curve of independent observations: (n,) events and numbers at risk -> low, high (n,).

        high: quantile of prod_{s<=n} Beta(y_s - d_s + 1, d_s);  low: of that product times Beta(y_n - d_n, 1)

    The products are taken as Beta laws of the same mean and variance. Without censoring it is Clopper-Pearson's
    interval. Source: Fay, Brittain and Proschan, "Pointwise confidence intervals for a survival distribution with small
    samples or heavy censoring", Biostatistics 14 (2013), method of moments.
    """
    d, y = events, np.maximum(at_risk, events)
    mean = np.cumprod((y - d + 1) / (y + 1))
    square = np.cumprod((y - d + 1) * (y - d + 2) / ((y + 1) * (y + 2)))
    left = y - d
    tail = (1 - LEVEL) / 2
    high = _beta_quantile(mean, square, 1 - tail)
    low = _beta_quantile(mean * left / (left + 1), square * left / (left + 2), tail)
    return np.where(left > 0, low, 0.0), high


def _beta_quantile(mean: Floats, square: Floats, q: float) -> Floats:
    """Quantile of the Beta law with this mean and mean square; the mean itself where nothing varies."""
    spread = square - mean**2
    inside = (mean > 0) & (mean < 1) & (spread > 1e-15)
    m, v = np.where(inside, mean, 0.5), np.where(inside, spread, 0.01)
    size = m * (1 - m) / v - 1
    return np.where(inside, special.betaincinv(m * size, (1 - m) * size, q), mean)


def bootstrap_weights(rng: np.random.Generator, clusters: int, draws: int) -> Floats:
    """Multinomial counts (draws, C): row b times a matrix (C, k) of cluster totals is the b-th resample's totals."""
    drawn = rng.integers(clusters, size=(draws, clusters)) + clusters * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * clusters).astype(float).reshape(draws, clusters)
