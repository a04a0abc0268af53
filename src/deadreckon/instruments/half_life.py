"""The half-life: one number for how long a run lasts, given only where a constant hazard is not ruled out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Measure, both
from deadreckon.instruments.hazard import hazard
from deadreckon.instruments.law_horizon import fit_outcomes, follow_up
from deadreckon.instruments.laws import Law
from deadreckon.instruments.lifetime_laws import Ends, Fitted, ends_of_outcomes, fit_law
from deadreckon.instruments.outcomes import Outcomes
from deadreckon.instruments.stats import LEVEL, Estimate, Floats, log_interval
from deadreckon.instruments.survival import first_errors

FEWEST_IN_HALF = 5  # runs that failed, and that succeeded, in each of them
FEWEST_CLUSTERS = 20  # of a test whose size is that of large samples
NO_INTERVAL = "a p-value has no interval"


def half_life(arm: Arm, shape_tests: Sequence[Reading]) -> Reading:
    """ln 2 / lambda, lambda = -ln(1 - h) the rate of first errors per step at risk if it is one rate.

    shape_tests: p-values of a constant hazard, one against a Weibull shape and one against a hazard for each step. A
    half-life is given only where both can be taken and neither is below 0.05: not ruled out, which is not shown.
    Interval: that of `hazard`, turned over. Source: Ord, "Is there a half-life for the success rates of AI agents?"
    (arXiv 2505.05115).
    """
    measure = Measure("half_life", "steps", "ln 2 / rate, the pooled hazard's interval turned over")
    why = ruled_out(shape_tests)
    if why:
        return measure.missing(arm, why)
    h = hazard(arm)
    if np.isnan(h.value) or h.value in (0.0, 1.0):
        return measure.missing(arm, h.reason or f"a hazard of {h.value:g} has no half-life")
    value, low, high = (float(_half(rate)) for rate in (h.value, h.high, h.low))
    return measure.reading(arm, value, (low, high), _allowed(shape_tests, value, first_errors(arm).reach, "steps"))


def _half(rate: float) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(2) / -np.log1p(-rate))


def ruled_out(shape_tests: Sequence[Reading]) -> str:
    """Why no half-life may be given; "" where both tests allow one."""
    if len(shape_tests) < 2:
        return f"{len(shape_tests)} tests of a constant hazard: a half-life needs two, a shape and a rate for each step"
    for test in shape_tests:
        if np.isnan(test.value):
            return f"{test.quantity} could not be tested: {test.reason}"
        if test.value < 1 - LEVEL:
            return f"the hazard is not constant ({test.quantity}: p = {test.value:.2g}): no half-life describes it"
    return ""


def _allowed(shape_tests: Sequence[Reading], value: float, reach: float, unit: str) -> str:
    tests = ", ".join(f"{test.quantity} p = {test.value:.2g}" for test in shape_tests)
    past = f"past the {reach:g} {unit} observed: the exponential law's word alone" if value > reach else ""
    return both(f"a constant hazard is not ruled out ({tests})", past)


def outcome_half_life(outcomes: Outcomes) -> Reading:
    """ln 2 / lambda of the law P(success at length L) = exp(-lambda L), in the unit of length.

    Weighted maximum likelihood, items (families) as clusters; given only where `outcome_constancy_weibull` and
    `outcome_constancy_by_length` both allow it. Source: as `half_life`.
    """
    measure = Measure("outcome_half_life", outcomes.unit, "exponential law in length, weighted ML, item-clustered")
    tests = (outcome_constancy_weibull(outcomes), outcome_constancy_by_length(outcomes))
    why = ruled_out(tests)
    if why:
        return measure.missing(outcomes, why)
    at = fit_outcomes(outcomes, "exponential").log_horizon(0.5)
    half = Estimate(float(np.exp(at.value)), at.influence * np.exp(at.value), at.clusters)
    return measure.reading(
        outcomes, half.value, log_interval(half), _allowed(tests, half.value, follow_up(outcomes), outcomes.unit)
    )


def outcome_constancy_weibull(outcomes: Outcomes) -> Reading:
    """p-value of shape 1 in P(success at L) = exp(-(lambda L)^k): ln k / se against Student's t, items as clusters.

    The test that belongs to the interval of `outcome_shape`: below 0.05 where that leaves out 1.
    """
    method = "ln shape / leave-one-item-out se, t; null: shape 1"
    measure = Measure("outcome_constancy_weibull", "p-value", method)
    try:
        shape = _fitted(outcomes, "weibull").log_shape()
    except NotEstimable as why:
        return measure.missing(outcomes, str(why))
    return _tested(measure, outcomes, shape)


def outcome_constancy_by_length(outcomes: Outcomes) -> Reading:
    """p-value of one hazard for all lengths against one for shorter and one for longer items.

        t = (ln lambda_2 - ln lambda_1) / se  against Student's t, C - 1 degrees of freedom,

    se from the one-step jackknife over C clusters. A run of length L tells (lambda L)^2 / (e^(lambda L) - 1) of ln
    lambda; halves of that, in order of length, keep the shortest items (all succeed) and the longest (all fail) from a
    group of their own. Where few runs fail among the short or succeed among the long ones it is refused, and just above
    that its size is below 5%. Source of the jackknife: Bell and McCaffrey, Survey Methodology 28 (2002).
    """
    method = "ln rate of longer less that of shorter items / leave-one-item-out se, t; null: one hazard"
    measure = Measure("outcome_constancy_by_length", "p-value", method)
    try:
        ends, fitted = ends_of_outcomes(outcomes), _fitted(outcomes, "exponential")
        longer = _longer(ends, fitted)
        short, long = (fit_law(ends.only(half), "exponential", FEWEST_IN_HALF) for half in (~longer, longer))
    except NotEstimable as why:
        return measure.missing(outcomes, str(why))
    apart = Estimate(long.c - short.c, long.influence[:, 0] - short.influence[:, 0], fitted.clusters)
    return _tested(measure, outcomes, apart)


def _tested(measure: Measure, outcomes: Outcomes, estimate: Estimate) -> Reading:
    """The p-value of 0 as the estimate's truth."""
    t = abs(estimate.value) / estimate.variance**0.5 if estimate.variance > 0 else nan
    p = 2 * float(special.stdtr(estimate.clusters - 1, -t))
    if np.isnan(p):
        return measure.missing(outcomes, "nothing varies between items")
    return Reading(
        measure.quantity, measure.unit, p, nan, nan, LEVEL, outcomes.items, measure.method, reason=NO_INTERVAL
    )


def _fitted(outcomes: Outcomes, law: Law) -> Fitted:
    if outcomes.clusters < FEWEST_CLUSTERS:
        raise NotEstimable(f"{outcomes.clusters} families or items: the test needs {FEWEST_CLUSTERS} or more")
    return fit_outcomes(outcomes, law)


def _longer(ends: Ends, fitted: Fitted) -> Bools:
    """(n,) whether a run's item is past the length up to which half of the information about the rate lies."""
    length = np.where(np.isfinite(ends.by), ends.by, ends.after)
    mean = length * np.exp(-fitted.c)
    told = ends.weight * mean**2 / np.expm1(np.clip(mean, 1e-12, 700))
    order = np.argsort(length, kind="stable")
    so_far = np.cumsum(told[order])
    longer: Bools = length > length[order][np.searchsorted(so_far, so_far[-1] / 2)]
    return longer
