"""Resampled items: a simultaneous band for survival, and the horizon's interval by bootstrap."""

from __future__ import annotations

import numpy as np
from scipy import special

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import Arm, Measure, curve
from deadreckon.instruments.stats import (
    LEVEL,
    Floats,
    bootstrap_weights,
    clopper_pearson,
    proportion_interval,
    variance,
)
from deadreckon.instruments.survival import NO_STEPS, FirstErrors, first_errors, reaches
from deadreckon.seeds import Purpose, generator

DRAWS = 2000
FEWEST_ITEMS = 20  # below, resampled items say too little of the tails


def resampled(first: FirstErrors, draws: int = DRAWS) -> Floats:
    """(draws, reach) Kaplan-Meier curves of items drawn with replacement; nan from where nothing is at risk.

        S_b(n) = prod_{s<=n} (1 - sum_i w_bi d_is / sum_i w_bi y_is),   w_b multinomial over the C clusters

    Two matrix products over cluster totals: the rollouts are counted once, whatever the number of draws. The draws
    depend on nothing but their number and C. Source: Davison and Hinkley, "Bootstrap Methods" (1997), ch. 3.
    """
    d, y = first.counts()
    held = y[:, 0] > 0 if first.reach else np.zeros(len(y), dtype=bool)
    rng = generator(0, 0, Purpose.BOOTSTRAP)
    weight = bootstrap_weights(rng, int(held.sum()), draws)
    failed, at_risk = weight @ d[held], weight @ y[held]
    return np.asarray(np.cumprod(1 - failed / np.where(at_risk > 0, at_risk, np.nan), axis=1))


def survival_band(arm: Arm) -> Reading:
    """A band that holds the whole survival curve at once: P(low(n) <= S(n) <= high(n) for every n on it) = 95%.

        c = 95% quantile over draws b of max_n |g(S_b(n)) - g(S(n))| / sd_b g(S_b(n)),   g(s) = arcsin(sqrt(s))

    and the band is the interval of `survival` at the level of |Z| < c (equal precision: every n gets the same level).
    It has no zero width, since that interval has none. Steps: from the first to the last with `FEWEST_ITEMS` items at
    risk; the curve's value is at the last. Source: Nair, "Confidence bands for survival functions with censored data",
    Technometrics 26 (1984); bootstrap of the maximum: Hall and Horowitz, Annals of Statistics 41 (2013).
    """
    measure = Measure("survival_band", "probability", f"item bootstrap of the largest deviation, {DRAWS} draws")
    first = first_errors(arm)
    if not first.reach:
        return measure.missing(arm, NO_STEPS)
    s = first.curve()
    kept = int((s.clusters >= FEWEST_ITEMS).sum())
    if not kept:
        return measure.missing(arm, f"{int(s.clusters[0])} items at risk: a band needs {FEWEST_ITEMS} or more")
    clusters = int(s.clusters[0])
    level = _joint_level(s.value[:kept], resampled(first)[:, :kept])
    spread = variance(s.influence[:, :kept], clusters)
    low, high = proportion_interval(
        s.value[:kept], spread, clusters, first.effective, s.clusters[:kept].astype(float), level
    )
    gone = s.value[:kept] <= 0
    if gone.any():
        start = int(np.flatnonzero(gone)[0])
        before = high[start - 1] if start else 1.0
        last = before * float(clopper_pearson(0.0, float(s.clusters[start]), level)[1])
        high = np.asarray(np.where(gone, last, high))
    reason = f"each step at the level {100 * level:.2f}%" + (
        f"; steps {kept + 1} to {first.reach} have fewer than {FEWEST_ITEMS} items at risk"
        if kept < first.reach
        else ""
    )
    points = curve("steps", np.arange(1.0, kept + 1), s.value[:kept], (low, high), s.clusters[:kept])
    return measure.reading(arm, s.value[kept - 1], (low[-1], high[-1]), reason, points)


def _joint_level(s: Floats, curves: Floats) -> float:
    """The level of each step's interval at which 95% of the resampled curves stay inside everywhere."""
    bent = np.arcsin(np.sqrt(np.nan_to_num(curves, nan=0.0).clip(0, 1)))
    sd = bent.std(axis=0)
    moving = sd > 0
    if not moving.any():
        return LEVEL
    away = np.abs(bent[:, moving] - np.arcsin(np.sqrt(s[moving].clip(0, 1)))) / sd[moving]
    critical = float(np.quantile(away.max(axis=1), LEVEL))
    return max(float(1 - 2 * special.ndtr(-critical)), LEVEL)


def horizon_bootstrap(arm: Arm, q: float = 0.5) -> Reading:
    """H_q = min{n: S(n) <= q} with its percentile interval over resampled items; inf = not reached.

    It holds for any dependence within an item, and beside `horizon` it is a second opinion: that one inverts the
    survival interval. Named horizon_50_bootstrap for q = 0.5. Source: Davison and Hinkley (1997), ch. 3.
    """
    measure = Measure(f"horizon_{round(100 * q)}_bootstrap", "steps", f"Kaplan-Meier, item bootstrap, {DRAWS} draws")
    first = first_errors(arm)
    if not first.reach:
        return measure.missing(arm, NO_STEPS)
    value = reaches(first.curve().value, q)
    clusters = int(np.unique(arm.home[first.length > 0]).size)
    if clusters < FEWEST_ITEMS:
        return measure.missing(arm, f"{clusters} items: a bootstrap of items needs {FEWEST_ITEMS} or more")
    below = resampled(first) <= q + 1e-12
    times = np.where(below.any(axis=1), below.argmax(axis=1) + 1.0, np.inf)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(times, (tail, 1 - tail), method="inverted_cdf")
    if low == high:
        return measure.missing(arm, f"every resample falls to {q:g} at the same step: see horizon_{round(100 * q)}")
    low = min(low, first.reach + 1.0)
    short = f"not reached within {first.reach} steps" if np.isinf(value) else ""
    return measure.reading(arm, value, (low, high), short)
