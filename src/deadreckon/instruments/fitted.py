"""Readings of fitted laws: their parameters, and which of them tells items left out best."""

from __future__ import annotations

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Measure, both
from deadreckon.instruments.shape import (
    FAMILIES,
    FEWEST,
    Law,
    best_lag,
    fit,
    held_out,
    influences,
    law_of,
)
from deadreckon.instruments.stats import Estimate, Floats, mean_interval
from deadreckon.instruments.survival import FirstErrors, first_errors
from deadreckon.seeds import Purpose, generator

FITTED = "maximum likelihood, variance of the log over items"
FOLDS = 5
FEWEST_ITEMS = 20  # two or more in each fold, and a mean over items worth printing


def enough(first: FirstErrors) -> None:
    """Raises NotEstimable where a law has too little to be fitted to."""
    failures = int(first.failed.sum())
    if failures < FEWEST:
        raise NotEstimable(f"{failures} first errors: a shape needs {FEWEST} or more")
    if first.reach < 3:
        raise NotEstimable(f"at most {first.reach} steps at risk: a shape needs 3 or more")


def estimates(first: FirstErrors, family: str, lag: int | None) -> tuple[Law, list[Estimate]]:
    """The fitted law and its log parameters with influence by cluster. lag None: chosen by profile likelihood."""
    enough(first)
    d, y = first.counts()
    total_d, total_y = d.sum(axis=0), y.sum(axis=0)
    law = law_of(family, first.reach, best_lag(family, total_d, total_y) if lag is None else lag)
    return law, influences(fit(law, total_d, total_y), d, y)


def _parameter(arm: Arm, family: str, quantity: str, lag: int | None = 0) -> Reading:
    unit, which = ("1", 1) if quantity.endswith("shape") else ("steps", 0)
    measure = Measure(quantity, unit, FITTED)
    try:
        law, found = estimates(first_errors(arm), family, lag)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    value, (low, high) = np.exp(found[which].value), np.exp(mean_interval(found[which]))
    note = f"after a start-up lag of {law.lag} steps" if law.lag else ""
    if lag is None:
        low = high = np.nan
        return Reading(
            quantity, unit, value, low, high, 0.95, arm.items, FITTED, "", both(note or "no start-up lag", CHOSEN)
        )
    return measure.reading(arm, value, (low, high), note)


CHOSEN = "no interval: the lag was chosen from these data; give the lag to have one"


def exponential_scale(arm: Arm, lag: int | None = 0) -> Reading:
    """lambda of S(n) = exp(-n / lambda), steps: the mean time to the first error if the hazard were constant.

    lag: steps in which no error can happen; None = the one with the highest likelihood (then without interval).
    """
    return _parameter(arm, "exponential", "exponential_scale", lag)


def weibull_shape(arm: Arm, lag: int | None = 0) -> Reading:
    """Shape k of S(n) = exp(-(n / lambda)**k): 1 = constant hazard, below 1 = falling. lag as in `exponential_scale`.

    Interval on log k from `shape.influences`. A mixture of items with unequal constant hazards also gives k < 1: this
    is the shape of the pooled curve, not of one item's. Source: `shape`.
    """
    return _parameter(arm, "weibull", "weibull_shape", lag)


def weibull_scale(arm: Arm, lag: int | None = 0) -> Reading:
    """lambda of S(n) = exp(-(n / lambda)**k), steps: S(lambda) = 1/e. See `weibull_shape`."""
    return _parameter(arm, "weibull", "weibull_scale", lag)


def loglogistic_shape(arm: Arm, lag: int | None = 0) -> Reading:
    """Shape k of S(n) = 1 / (1 + (n / lambda)**k): at or below 1 the hazard falls, above 1 it rises and then falls."""
    return _parameter(arm, "log-logistic", "loglogistic_shape", lag)


def loglogistic_scale(arm: Arm, lag: int | None = 0) -> Reading:
    """lambda of S(n) = 1 / (1 + (n / lambda)**k), steps: the median. See `loglogistic_shape`."""
    return _parameter(arm, "log-logistic", "loglogistic_scale", lag)


def shape_best(arm: Arm, lag: int | None = 0) -> Reading:
    """How much better than the next one the law that tells left-out items best does; the reason names it.

        score(law) = sum_i log-likelihood of item i under the law fitted to the other folds / rollouts

    Five folds of items. No interval: the largest of several scores has none that is known to hold. Candidates: the
    families of `shape`, each with the same lag (None: each with its own, chosen on all items). Source: proper scoring,
    Gneiting and Raftery, JASA 102 (2007).
    """
    measure = Measure("shape_best", "nats per rollout", f"{FOLDS}-fold cross-validated log score, items left out")
    try:
        first = first_errors(arm)
        enough(first)
        scores = scores_of(first, lag)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    order = sorted(scores, key=lambda family: -scores[family])
    told = ", ".join(f"{family} {scores[family]:.4f}" for family in order)
    reason = f"{order[0]} is best; {told}; no interval: the largest of several scores has none known to hold"
    value = scores[order[0]] - scores[order[1]]
    return Reading(measure.quantity, measure.unit, value, np.nan, np.nan, 0.95, arm.items, measure.method, "", reason)


def scores_of(first: FirstErrors, lag: int | None = 0) -> dict[str, float]:
    """Held-out log score of each family, nats a rollout; a family that cannot be fitted is left out."""
    d, y = first.counts()
    present = y[:, 0] > 0
    d, y = d[present], y[present]
    if len(d) < FEWEST_ITEMS:
        raise NotEstimable(f"{len(d)} items: leaving items out needs {FEWEST_ITEMS} or more")
    fold = folds(len(d))
    scores = {}
    for family in FAMILIES:
        try:
            chosen = best_lag(family, d.sum(axis=0), y.sum(axis=0)) if lag is None else lag
            scores[family] = float(held_out(law_of(family, first.reach, chosen), d, y, fold).sum() / y[:, 0].sum())
        except NotEstimable:
            continue
    if len(scores) < 2:
        raise NotEstimable("fewer than two laws can be fitted")
    return scores


def folds(clusters: int) -> Floats:
    """(clusters,) a fold for each, as even as can be, the same every time."""
    return generator(1, 0, Purpose.BOOTSTRAP).permutation(np.arange(clusters) % FOLDS).astype(float)
