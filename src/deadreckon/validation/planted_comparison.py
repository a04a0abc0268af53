"""Two arms whose difference is planted: geometric first errors on shared items, correlated by a Gaussian copula.

    z = sqrt(rho) item + sqrt(1 - rho) own,   T = ceil(ln Phi(z) / ln(1 - h)),   S(n) = (1 - h)^n exactly

so that any two rollouts of one item, in one arm or in both, correlate by rho on the normal scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from scipy import special, stats

from deadreckon.contracts import Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.anytime import (
    difference_anytime,
    mean_anytime,
    mean_anytime_bernstein,
    p_anytime_below,
    p_anytime_difference,
)
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.compare import difference, difference_test, effect_size, items_better, ratio
from deadreckon.instruments.permutation import missing_test
from deadreckon.instruments.predict import FITS, prediction_error
from deadreckon.instruments.rank_tests import log_rank, log_rank_stratified
from deadreckon.instruments.scores import hazard_score, ratio_score, survival_score
from deadreckon.instruments.stats import Floats
from deadreckon.validation.case import Case
from deadreckon.validation.lifetimes import arm_of

Readings = Mapping[str, Reading]
HORIZON = 20
AT = 10  # steps at which survival is compared


@dataclass(frozen=True, slots=True)
class Duel:
    """Two arms: hazards, and how items are shared, repeated and censored."""

    items: int
    ours: float  # hazard of the first arm
    theirs: float
    rollouts: int = 1
    rho: float = 0.0  # correlation of an item's rollouts on the normal scale
    paired: bool = True  # the second arm has the same items; otherwise as many others
    censored: float = 0.0  # share of rollouts that end at a uniform time below the horizon, whatever happens

    @property
    def errors(self) -> float:
        """First errors of the better arm, in the mean, were nothing censored."""
        return self.items * self.rollouts * (1 - (1 - self.ours) ** HORIZON)

    @property
    def cell(self) -> str:
        """Its name."""
        how = "paired" if self.paired else "unpaired"
        return (
            f"items={self.items} rollouts={self.rollouts} h={self.ours:g},{self.theirs:g} rho={self.rho:g} "
            f"censored={self.censored:g} {how}"
        )


def lifetimes(hazard: float, shared: Floats, duel: Duel, rng: np.random.Generator) -> Floats:
    """(items, rollouts) times of the first error, in steps; shared (items,) standard normal."""
    own = rng.standard_normal((duel.items, duel.rollouts))
    z = duel.rho**0.5 * shared[:, None] + (1 - duel.rho) ** 0.5 * own
    times: Floats = np.ceil(special.log_ndtr(z) / np.log1p(-hazard))
    return np.maximum(times, 1)


def arm(times: Floats, duel: Duel, rng: np.random.Generator, first_item: int = 0) -> Arm:
    """Rollouts that stop at their first error, at the horizon, or at a time drawn to cut them, as `read` gives them."""
    flat = times.ravel()
    limit = np.full(len(flat), HORIZON)
    early = rng.random(len(flat)) < duel.censored
    limit[early] = rng.integers(1, HORIZON, size=int(early.sum()))
    plain = arm_of(np.minimum(flat, limit).astype(np.int64), flat <= limit, duel.rollouts)
    if not first_item:
        return plain
    keys = plain.keys.with_columns(pl.col("item") + first_item)
    return replace(plain, labels=plain.labels + first_item, keys=keys)


def arms(duel: Duel, rng: np.random.Generator) -> tuple[Arm, Arm]:
    """Both arms."""
    shared = rng.standard_normal(duel.items)
    other = shared if duel.paired else rng.standard_normal(duel.items)
    ours = arm(lifetimes(duel.ours, shared, duel, rng), duel, rng)
    theirs = arm(lifetimes(duel.theirs, other, duel, rng), duel, rng, 0 if duel.paired else duel.items)
    return ours, theirs


NAMES = (
    *(f"{what} of {score}" for what in ("difference", "ratio", "p_difference") for score in ("survival", "hazard")),
    "p_log_rank",
    "p_log_rank_stratified",
    "effect_size",
    "items_better",
)


def duel_sample(duel: Duel, rng: np.random.Generator) -> Readings:
    """Every comparison of one pair of arms."""
    ours, theirs = arms(duel, rng)
    try:
        s, t = (survival_score(one, AT) for one in (ours, theirs))
    except NotEstimable as why:  # every rollout ended before the step: so does all that rests on it
        return dict.fromkeys(NAMES, missing_test("comparison", duel.items, str(why)))
    h, g = (hazard_score(one) for one in (ours, theirs))
    taken = {
        "difference of survival": difference(s, t),
        "difference of hazard": difference(h, g),
        "ratio of survival": ratio(s, t),
        "ratio of hazard": ratio(h, g),
        "p_difference of survival": difference_test(s, t),
        "p_difference of hazard": difference_test(h, g),
        "p_log_rank": log_rank(ours, theirs),
        "effect_size": effect_size(s, t),
    }
    if duel.paired:
        taken["p_log_rank_stratified"] = log_rank_stratified(ours, theirs)
        taken["items_better"] = items_better(s, t)
    return taken


def duel_truth(duel: Duel) -> dict[str, float]:
    """Closed forms; effect size and shares where no item is censored before the step."""
    s, t = (1 - duel.ours) ** AT, (1 - duel.theirs) ** AT
    truth = {
        "difference of survival": s - t,
        "difference of hazard": duel.ours - duel.theirs,
        "ratio of survival": s / t,
        "ratio of hazard": duel.ours / duel.theirs,
    }
    if duel.censored:
        return truth
    truth["effect_size"] = _effect(duel, s, t)
    if duel.paired and duel.rollouts == 1:
        truth["items_better"] = s - _both(s, t, duel.rho)
    return truth


def _both(s: float, t: float, rho: float) -> float:
    """P(both of two rollouts of an item survive). Survival is a low z, so it is the bivariate normal's lower corner."""
    if not rho:
        return s * t
    law = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]])
    return float(law.cdf([special.ndtri(s), special.ndtri(t)]))


def _effect(duel: Duel, s: float, t: float) -> float:
    """Mean over standard deviation of an item's share of survivors, or of the difference of two such shares."""

    def spread(a: float) -> float:
        within = a * (1 - a)
        return (within + (duel.rollouts - 1) * (_both(a, a, duel.rho) - a * a)) / duel.rollouts

    if duel.paired:
        return (s - t) / float(np.sqrt(spread(s) + spread(t) - 2 * (_both(s, t, duel.rho) - s * t)))
    return (s - t) / float(np.sqrt((spread(s) + spread(t)) / 2))


def duels() -> Iterator[Duel]:
    """The grid: equal arms for tests, unequal ones for intervals."""
    for items in (20, 50, 200, 2000):
        for h in (0.01, 0.1):
            for rollouts, rho, censored in ((1, 0.0, 0.0), (1, 0.3, 0.4), (3, 0.3, 0.0)):
                for paired in (True, False):
                    yield Duel(items, h, h, rollouts, rho, paired, censored)
                    yield Duel(items, h, 1.5 * h, rollouts, rho, paired, censored)


FEW = 40  # first errors of an arm below which tests are permutations, or rest on a count of few errors
COMMON = 0.1  # hazard with which most rollouts err before the step that is read
EXACT = frozenset(  # Clopper-Pearson inside
    {"items_better", *(f"{what} of {score}" for what in ("difference", "ratio") for score in ("survival", "hazard"))}
)


def _by_welch(duel: Duel) -> frozenset[str]:
    """Tests of items that do vary, though few: independent arms of which a share survives are compared by Welch's t."""
    return frozenset() if duel.paired or duel.ours < COMMON else frozenset({"p_difference of survival"})


def _case(duel: Duel) -> Case:
    tests = ["p_difference of survival", "p_difference of hazard", "p_log_rank"]
    tests += ["p_log_rank_stratified"] * duel.paired
    null = duel.ours == duel.theirs
    nulls = frozenset(tests) if null else frozenset()
    truth = duel_truth(duel)
    exact = EXACT | (nulls - _by_welch(duel)) if duel.errors < FEW else EXACT
    return Case("comparison", duel.cell, duel.items, partial(duel_sample, duel), truth, nulls, exact)


@dataclass(frozen=True, slots=True)
class Live:
    """A run looked at item by item: yes-or-no scores with mean `rate`, or Beta ones; a second arm on the same items."""

    items: int
    rate: float
    smooth: bool = False


def live_sample(live: Live, rng: np.random.Generator) -> Readings:
    """Bounds intersected over every look: the last one holds the truth only where every one did."""
    law = (2 * live.rate, 2 * (1 - live.rate))
    draws = (rng.beta(*law, size=live.items) if live.smooth else np.full(live.items, live.rate) for _ in range(2))
    x, y = (v if live.smooth else (rng.random(live.items) < v).astype(float) for v in draws)
    labels = pl.Series(np.arange(live.items))
    a, b = (ratio_score(("score", "share"), labels, v, np.ones(live.items)) for v in (x, y))
    return {
        "mean_anytime": mean_anytime(a, looks=1),
        "mean_anytime_bernstein": mean_anytime_bernstein(a, looks=1),
        "difference_anytime": difference_anytime(a, b, looks=1),
        "p_anytime_below": p_anytime_below(a, live.rate),
        "p_anytime_difference": p_anytime_difference(a, b),
    }


def _live_case(live: Live) -> Case:
    bounds = {"mean_anytime": live.rate, "mean_anytime_bernstein": live.rate, "difference_anytime": 0.0}
    tests = frozenset({"p_anytime_below", "p_anytime_difference"})
    cell = f"items={live.items} rate={live.rate:g} {'Beta' if live.smooth else 'yes or no'}"
    return Case("anytime", cell, live.items, partial(live_sample, live), bounds, tests, frozenset(bounds) | tests)


def prediction_sample(duel: Duel, rng: np.random.Generator) -> Readings:
    """Errors of prediction at the horizon, from its first half."""
    ours = arm(lifetimes(duel.ours, rng.standard_normal(duel.items), duel, rng), duel, rng)
    names = ("no_further", "constant", "by_step", "weibull")
    return {f"prediction_error_{name}": prediction_error(ours, FITS[name], name, HORIZON) for name in names}


def _prediction_case(duel: Duel) -> Case:
    truth = {f"prediction_error_{name}": 0.0 for name in ("constant", "by_step", "weibull")}
    truth["prediction_error_no_further"] = (1 - duel.ours) ** (HORIZON // 2) - (1 - duel.ours) ** HORIZON
    return Case("prediction", duel.cell, duel.items, partial(prediction_sample, duel), truth)


CASES: list[Case] = [
    *(_case(duel) for duel in duels()),
    *(_live_case(Live(n, rate, s)) for n in (20, 200, 2000) for rate in (0.02, 0.3) for s in (False, True)),
    *(_prediction_case(Duel(n, 0.05, 0.05, r, 0.3)) for n in (50, 200, 1000) for r in (1, 3)),
]
