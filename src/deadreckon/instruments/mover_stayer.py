"""Movers and stayers: a share of excursions that never comes back, the rest at one rate a step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize, special

from deadreckon.contracts import Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure
from deadreckon.instruments.excursions import Excursions, measured
from deadreckon.instruments.stats import LEVEL, Floats, proportion_interval, variance

GRID_SHARE, GRID_RATE = (0.003, 0.03, 0.1, 0.3, 0.6, 0.9), (0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
ROUNDING = 1e-9
FEWEST, FEWEST_ITEMS = 50, 20  # excursions, and items with one, that a mixture is fitted to
SEEN = 0.8  # least share of movers that must have had time to recover within the longest excursion


@dataclass(frozen=True, slots=True)
class Mixture:
    """Movers recover at rate g a step, stayers never: maximum likelihood."""

    share: float  # of stayers
    rate: float  # of movers, per step
    spread: float  # variance of `share`, items as clusters
    naive: float  # variance of `share` if excursions were independent
    gain: float  # log-likelihood above that of no stayers
    clusters: int

    @property
    def p_value(self) -> float:
        """Of no stayers: see `recovery_never_test`."""
        design = max(1.0, self.spread / self.naive) if self.naive > 0 else 1.0
        return 1.0 if self.share <= 0 else 0.5 * float(special.chdtrc(1, 2 * self.gain / design))


def _loglik(share: float, rate: float, length: Ints, recovered: Bools) -> Floats:
    """(k,) log-likelihood of each excursion.

    recovered at d: (1-s) g (1-g)^(d-1);   not yet at d: s + (1-s) (1-g)^d
    """
    stay = (length - recovered) * np.log1p(-rate)
    moved = np.log1p(-share) + np.log(rate) + stay
    with np.errstate(divide="ignore"):
        waiting = np.logaddexp(np.log(share), np.log1p(-share) + stay)
    return np.asarray(np.where(recovered, moved, waiting))


def _weighted(out: Excursions) -> tuple[Ints, Bools, Floats]:
    """Distinct (length, recovered) of the excursions, and the weight of each."""
    size = int(out.length.max()) + 1
    weight = out.arm.weight[out.arm.rollout[out.close]]
    counts = np.bincount(out.length * 2 + out.recovered, weights=weight, minlength=2 * size)
    place = np.flatnonzero(counts)
    return place // 2, (place % 2).astype(bool), counts[place].astype(float)


def _fit(out: Excursions) -> Mixture:
    """Raises NotEstimable where a mixture says nothing: few excursions or items, no recovery, or too short a look."""
    items = int(np.unique(out.arm.cluster[out.close]).size)
    if len(out.close) < FEWEST or items < FEWEST_ITEMS:
        raise NotEstimable(
            f"{len(out.close)} excursions of {items} items: movers and stayers need {FEWEST} of {FEWEST_ITEMS} or more"
        )
    length, recovered, weight = _weighted(out)
    if not recovered.any():
        raise NotEstimable("no recovery was seen")

    none = _plain(length, recovered, weight)[1]
    share, rate, best = _climb(length, recovered, weight)
    if best <= none + ROUNDING:
        share, rate, best = 0.0, _plain(length, recovered, weight)[0], none
    late = (1 - rate) ** int(length.max())
    if late > 1 - SEEN:
        raise NotEstimable(
            f"longest excursion {length.max()} steps: a mover at {rate:.2g} a step is still out with probability"
            f" {late:.2g}, too short to tell a stayer from a slow mover"
        )
    spread, naive = _sandwich(out, share, rate)
    return Mixture(share, rate, spread, naive, best - none, items)


def _plain(length: Ints, recovered: Bools, weight: Floats) -> tuple[float, float]:
    """Rate and log-likelihood where nobody stays."""
    rate = min(float(weight @ recovered) / float(weight @ length), 1 - ROUNDING)
    return rate, float(weight @ _loglik(0.0, rate, length, recovered))


def _climb(length: Ints, recovered: Bools, weight: Floats) -> tuple[float, float, float]:
    """Share, rate and log-likelihood at the maximum inside the range: from the best of a grid, on log odds."""

    def loss(p: Floats) -> tuple[float, Floats]:
        share, rate = (float(v) for v in special.expit(p))
        slope = _score(share, rate, length, recovered) @ weight * [share * (1 - share), rate * (1 - rate)]
        return -float(weight @ _loglik(share, rate, length, recovered)), -slope

    grid = np.array([[s, g] for s in GRID_SHARE for g in GRID_RATE])
    start = grid[int(np.argmax([weight @ _loglik(s, g, length, recovered) for s, g in grid]))]
    bounds = [(-20.0, 12.0), (-14.0, 14.0)]
    found = optimize.minimize(loss, special.logit(start), method="L-BFGS-B", jac=True, bounds=bounds)
    share, rate = (float(v) for v in special.expit(found.x))
    return share, rate, -float(found.fun)


def _score(share: float, rate: float, length: Ints, recovered: Bools) -> Floats:
    """(2, k) derivative of `_loglik` in share and rate."""
    c, q = length.astype(float), 1 - rate
    power = q**c
    like = np.where(recovered, 1.0, share + (1 - share) * power)
    waiting = [(1 - power) / like, -(1 - share) * c * power / (q * like)]
    done = [np.full(len(c), -1 / (1 - share)), 1 / rate - (c - 1) / q]
    return np.asarray(np.where(recovered, done, waiting), dtype=float)


def _sandwich(out: Excursions, share: float, rate: float) -> tuple[float, float]:
    """Variance of the share with items as clusters, and if excursions were independent: H^-1 B H^-1 and -H^-1.

    H the Hessian of the log-likelihood in (s, g), B = C/(C-1) sum_i U_i U_i' of the items' scores.
    """
    arm, c, done = out.arm, out.length.astype(float), out.recovered
    weight = arm.weight[arm.rollout[out.close]]
    q = 1 - rate
    power = q**c
    like = np.where(done, 1.0, share + (1 - share) * power)
    score = _score(share, rate, out.length, done)
    l_s, l_g = score
    cross = np.where(done, 0.0, c * power / (q * like) - l_s * l_g)
    second = (1 - share) * c * (c - 1) * power / (q**2 * like) - l_g**2
    h_ss = np.where(done, -1 / (1 - share) ** 2, -(l_s**2)) @ weight
    h_gg = np.where(done, -1 / rate**2 - (c - 1) / q**2, second) @ weight
    bread = np.linalg.pinv(-np.array([[h_ss, cross @ weight], [cross @ weight, h_gg]]))
    by_item = np.array([np.bincount(arm.cluster[out.close], weights=weight * u, minlength=arm.clusters) for u in score])
    influence = bread @ by_item
    clusters = int(np.unique(arm.cluster[out.close]).size)
    return float(variance(influence[0], clusters)), float(bread[0, 0])


def recovery_never(arm: Arm) -> Reading:
    """Share s of excursions that would never recover: movers recover at one rate g a step, stayers never.

        P(T = d) = (1 - s) g (1 - g)^(d-1),   P(T > d) = s + (1 - s) (1 - g)^d

    Maximum likelihood; an excursion that ends otherwise (horizon, cut, fault, done, lost, broken) is censored there.
    Movers with unequal rates look like stayers too. Interval: effective-size Clopper-Pearson from the sandwich variance
    with items as clusters; it reaches down to 0 unless `recovery_never_test` has p <= 0.025. Source: Blumen, Kogan and
    McCarthy (1955); Maller and Zhou, "Survival Analysis with Long-Term Survivors" (1996).
    """
    measure = Measure("recovery_never", "share of excursions", "mover-stayer maximum likelihood, item-clustered")

    def take(out: Excursions) -> Reading:
        fit = _fit(out)
        most = float(len(out.close))
        ends = proportion_interval(fit.share, fit.spread, fit.clusters, most, float(fit.clusters))
        low = float(ends[0]) * (fit.p_value <= (1 - LEVEL) / 2)
        reason = f"movers recover at {fit.rate:.3g} a step; {len(out.close)} excursions"
        return measure.reading(arm, fit.share, (low, float(ends[1])), reason)

    return measured(arm, measure, take)


def recovery_never_test(arm: Arm) -> Reading:
    """p-value of "every excursion would recover" (s = 0) against a share of stayers. See `recovery_never`.

        p = P(chi2_1 > LR / D) / 2, 1 where s-hat = 0;   D = max(1, sandwich / model variance of s-hat)

    s = 0 is the edge of the range, so LR is 0 half of the time: half-half mixture. Source: Self and Liang, JASA 82
    (1987); D: Rotnitzky and Jewell, Biometrika 77 (1990).
    """
    measure = Measure(
        "recovery_never_test", "p-value", "likelihood ratio at the edge, item-clustered; null: no stayers"
    )

    def take(out: Excursions) -> Reading:
        fit = _fit(out)
        return replace(measure.missing(arm, "a p-value has no interval"), value=fit.p_value)

    return measured(arm, measure, take)
