"""Leave-half-out prediction: fit a law of first errors on the steps up to T/2, predict S(T), compare with what came.

A fit is any callable `FirstErrors -> (n -> S(n))`, so another module's laws can be handed in. Two naive baselines are
among those here: "no further error" and one constant hazard.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from deadreckon.contracts import Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments import shape
from deadreckon.instruments.arm import Arm, Bools, Measure
from deadreckon.instruments.stats import LEVEL, Floats, t_value
from deadreckon.instruments.survival import NO_STEPS, FirstErrors, first_errors

Law = Callable[[Floats], Floats]  # n (k,) steps -> S(n) (k,)
Fit = Callable[[FirstErrors], Law]

FEWEST = 10  # first errors up to T/2 that a law is fitted to
AT_RISK = 20  # items at risk at T, where T is not given
FEWEST_ITEMS = 20
FEWEST_ROLLOUTS = 100  # behind an interval: with 50 it holds 93.1%
GROUPS = 25  # of items, left out in turn
PIECES = 3  # of the piecewise constant hazard
TINY = 1e-12  # least hazard that a held-out error is scored at
OTHERS_FITS = "no interval: that of a score of fitted laws has no coverage study behind it"


def until(first: FirstErrors, n: int) -> FirstErrors:
    """The same rollouts seen up to step n: later errors have not happened yet."""
    return replace(first, length=np.minimum(first.length, n), failed=first.failed & (first.length <= n))


def among(first: FirstErrors, chosen: Bools) -> FirstErrors:
    """The rollouts of the chosen clusters (C,) alone; the others are never at risk."""
    kept = chosen[first.arm.home]
    return replace(first, length=np.where(kept, first.length, 0), failed=first.failed & kept)


def _counts(first: FirstErrors) -> tuple[Floats, Floats]:
    """First errors and rollouts at risk at each step: (reach,)."""
    d, y = first.ending(first.failed).sum(axis=0), first.at_risk().sum(axis=0)
    if int(first.failed.sum()) < FEWEST:
        raise NotEstimable(f"{int(first.failed.sum())} first errors in the first half: a law needs {FEWEST} or more")
    return d, y


def no_further(first: FirstErrors) -> Law:
    """Baseline: S stays where it is, S(n) = S(min(n, T/2))."""
    s = np.concatenate([[1.0], first.curve().value])
    return lambda n: s[np.minimum(n, len(s) - 1).astype(int)]


def constant(first: FirstErrors) -> Law:
    """S(n) = (1 - h)^n, h = first errors / steps at risk."""
    d, y = _counts(first)
    h = d.sum() / y.sum()
    return lambda n: np.asarray((1 - h) ** n)


def by_step(first: FirstErrors) -> Law:
    """A hazard for each of PIECES equal stretches of steps, the last of which goes on."""
    d, y = _counts(first)
    cuts = np.array_split(np.arange(len(d)), min(PIECES, len(d)))
    h = np.concatenate([np.full(len(part), d[part].sum() / y[part].sum()) for part in cuts])
    s = np.concatenate([[1.0], np.cumprod(1 - h)])

    def law(n: Floats) -> Floats:
        inside = np.minimum(n, len(h)).astype(int)
        return np.asarray(s[inside] * (1 - h[-1]) ** np.maximum(n - len(h), 0))

    return law


def _shaped(first: FirstErrors, family: str) -> Law:
    """A law of `shape`, which goes on past the steps that it was fitted to."""
    d, y = _counts(first)
    if len(d) < 3:
        raise NotEstimable(f"{len(d)} steps in the first half: a shape needs 3 or more")
    law = shape.Law(family)
    best = shape.fit(law, d, y).parameters

    def survives(n: Floats) -> Floats:
        steps = n.astype(int)
        rise = law.increments(best, max(1, int(steps.max(initial=1))))[0]
        return np.asarray(np.exp(-np.concatenate([[0.0], np.cumsum(rise)])[steps]))

    return survives


def weibull(first: FirstErrors) -> Law:
    """S(n) = exp(-(n / scale)^shape)."""
    return _shaped(first, "weibull")


def log_logistic(first: FirstErrors) -> Law:
    """S(n) = 1 / (1 + (n / scale)^shape)."""
    return _shaped(first, "log-logistic")


FITS: dict[str, Fit] = {
    "no_further": no_further,
    "constant": constant,
    "by_step": by_step,
    "weibull": weibull,
    "log_logistic": log_logistic,
}


def far_end(first: FirstErrors) -> int:
    """T: the last step with AT_RISK items still at risk. NotEstimable where T < 4."""
    if not first.reach:
        raise NotEstimable(NO_STEPS)
    enough = np.flatnonzero((first.at_risk() > 0).sum(axis=0) >= AT_RISK)
    if enough.size == 0 or enough[-1] < 3:
        raise NotEstimable(f"fewer than {AT_RISK} items at risk at step 4: there is no second half to predict")
    return int(enough[-1]) + 1


def _end(first: FirstErrors, steps: int | None) -> int:
    if steps is None:
        return far_end(first)
    if not 4 <= steps <= first.reach:
        raise NotEstimable(f"T = {steps} asked: it must lie in 4 ... {first.reach}, the steps that were seen")
    if first.arm.clusters < FEWEST_ITEMS:
        raise NotEstimable(f"{first.arm.clusters} items: a prediction needs {FEWEST_ITEMS} or more")
    return steps


def _error(first: FirstErrors, fit: Fit, end: int) -> float:
    s = first.curve().value
    if len(s) < end and not (len(s) and s[-1] <= 0):
        raise NotEstimable(f"step {end} is reached by one group of items alone: more items are needed")
    seen = float(s[end - 1]) if len(s) >= end else 0.0
    return float(fit(until(first, end // 2))(np.array([float(end)]))[0]) - seen


def prediction_error(arm: Arm, fit: Fit, name: str, steps: int | None = None) -> Reading:
    """Predicted minus observed S(T): the law fitted on t <= T/2, extrapolated, against Kaplan-Meier at T.

    Interval: t from leaving out each of 25 groups of items in turn (delete-a-group jackknife) on both at once,
    v = (G-1)/G sum_g (e_(g) - mean)^2; below 100 rollouts it is withheld. T: the last step with 20 items at risk,
    unless given. Source: Kott, "The delete-a-group jackknife", J. Official Statistics 17 (2001).
    """
    measure = Measure(f"prediction_error_{name}", "probability", "S(T) predicted from t <= T/2, minus Kaplan-Meier")
    first = first_errors(arm)
    try:
        end = _end(first, steps)
        value = _error(first, fit, end)
        rollouts = int(np.count_nonzero(first.length))
        if rollouts < FEWEST_ROLLOUTS:
            few = f"no interval: {rollouts} rollouts, it needs {FEWEST_ROLLOUTS}"
            return measure.reading(arm, value, (nan, nan), f"T = {end}; {few}")
        without = [_error(among(first, kept), fit, end) for kept in _leave_out(arm.clusters)]
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    groups = len(without)
    spread = (groups - 1) * float(np.var(without))
    half = float(t_value(groups)) * np.sqrt(spread) if spread > 0 else nan
    return measure.reading(arm, value, (value - half, value + half), f"T = {end}, fitted on steps 1 ... {end // 2}")


def _leave_out(clusters: int) -> list[Bools]:
    """Which clusters stay, for each group that is left out; clusters are dealt out in turn."""
    groups = min(GROUPS, clusters)
    group = np.arange(clusters) % groups
    return [group != g for g in range(groups)]


def _held_out(first: FirstErrors, fit: Fit, end: int) -> tuple[Floats, Floats, Floats]:
    """First errors, rollouts at risk (steps,) and predicted hazard of steps T/2+1 ... T, for each half of the items.

    A half is predicted from the other half's first T/2 steps: neither its items nor those steps were fitted to.
    """
    even = np.arange(first.arm.clusters) % 2 == 0
    n = np.arange(end // 2, end + 1.0)
    columns = []
    for scored, fitted in ((even, ~even), (~even, even)):
        s = np.maximum(fit(until(among(first, fitted), end // 2))(n), TINY)
        part = until(among(first, scored), end)
        room = end - part.reach
        d, y = (np.pad(v.sum(axis=0), (0, room))[end // 2 :] for v in (part.ending(part.failed), part.at_risk()))
        columns.append((d, y, np.clip(1 - s[1:] / s[:-1], TINY, 1 - TINY)))
    d, y, h = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return d, y, h


def _scored(arm: Arm, fit: Fit, measure: Measure, score: Callable[[Floats, Floats, Floats], Floats]) -> Reading:
    first = first_errors(arm)
    try:
        end = far_end(first)
        d, y, h = _held_out(first, fit, end)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    if not y.sum() > 0:
        return measure.missing(arm, f"no rollout at risk after step {end // 2}")
    value = float(score(d, y, h).sum() / y.sum())
    note = f"T = {end}, {d.sum():g} first errors in {y.sum():g} held-out steps; {OTHERS_FITS}"
    return Reading(measure.quantity, measure.unit, value, nan, nan, LEVEL, arm.items, measure.method, "", note)


CROSSED = "two halves of the items in turn, fitted on t <= T/2, scored on later steps of the other half"


def log_score(arm: Arm, fit: Fit, name: str) -> Reading:
    """-[d ln h + (y - d) ln(1 - h)] / y over held-out steps at risk, nats: lower is better, and censoring is no error.

    Source: Good, J. Royal Statist. Soc. B 14 (1952).
    """
    measure = Measure(f"log_score_{name}", "nats per step at risk", CROSSED)
    return _scored(arm, fit, measure, lambda d, y, h: -(d * np.log(h) + (y - d) * np.log1p(-h)))


def brier_score(arm: Arm, fit: Fit, name: str) -> Reading:
    """[d (1 - h)^2 + (y - d) h^2] / y over held-out steps at risk: lower is better. Source: Brier (1950)."""
    measure = Measure(f"brier_score_{name}", "1", CROSSED)
    return _scored(arm, fit, measure, lambda d, y, h: d * (1 - h) ** 2 + (y - d) * h**2)


def predictions(arm: Arm) -> list[Reading]:
    """Error and both scores of every law in FITS; the log score of `no_further` says how bad "never again" is."""
    return [
        reading
        for name, fit in FITS.items()
        for reading in (prediction_error(arm, fit, name), log_score(arm, fit, name), brier_score(arm, fit, name))
    ]
