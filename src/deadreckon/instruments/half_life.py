"""The half-life: one number for how long a run lasts, given only where a constant hazard is not ruled out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Ints, Measure, both
from deadreckon.instruments.hazard import hazard
from deadreckon.instruments.law_horizon import fit_outcomes, follow_up
from deadreckon.instruments.lifetime_laws import Ends, Fitted, Law, ends_of_outcomes, fit_law
from deadreckon.instruments.outcomes import Outcomes
from deadreckon.instruments.stats import LEVEL, Estimate, Floats, log_interval
from deadreckon.instruments.survival import first_errors

GROUPS = 3  # of runs by length
FEWEST_IN_GROUP = 5  # runs that failed, and that succeeded, in each of them
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
    t = abs(shape.value) / shape.variance**0.5
    return _tested(measure, outcomes, 2 * float(special.stdtr(shape.clusters - 1, -t)))


def outcome_constancy_by_length(outcomes: Outcomes) -> Reading:
    """p-value of one hazard for all lengths against one for each third of the information, in order of length.

        T = d' V^-1 d,   (C - r) / (r (C - 1)) T ~ F(r, C - r),   r = 2

    d: ln rate of the second and third group less that of the first, V its covariance from the one-step jackknife over C
    clusters. A run of length L tells (lambda L)^2 / (e^(lambda L) - 1) of ln lambda; groups of equal shares keep the
    shortest items (all succeed) and the longest (all fail) from a group of their own. Source: Wald test with Hotelling's
    F, Korn and Graubard, "Analysis of Health Surveys" (1999), ch. 3.
    """
    method = "ln rates of thirds of the lengths, leave-one-item-out covariance, F; null: one hazard"
    measure = Measure("outcome_constancy_by_length", "p-value", method)
    try:
        ends, fitted = ends_of_outcomes(outcomes), _fitted(outcomes, "exponential")
        third = _thirds(ends, fitted)
        if third.max() < 1:
            raise NotEstimable("too few distinct lengths for groups of them")
        parts = [fit_law(ends.only(third == g), "exponential", FEWEST_IN_GROUP) for g in range(int(third.max()) + 1)]
    except NotEstimable as why:
        return measure.missing(outcomes, str(why))
    return _tested(measure, outcomes, _equal_rates(parts, fitted.clusters))


def _equal_rates(parts: list[Fitted], clusters: int) -> float:
    """p-value of the same c in every part."""
    apart = np.array([part.c - parts[0].c for part in parts[1:]])
    influence = np.stack([part.influence[:, 0] - parts[0].influence[:, 0] for part in parts[1:]], axis=1)
    covariance = influence.T @ influence * clusters / (clusters - 1)
    r = len(apart)
    t = float(apart @ np.linalg.solve(covariance, apart)) * (clusters - r) / (r * (clusters - 1))
    return float(special.fdtrc(r, clusters - r, t))


def _tested(measure: Measure, outcomes: Outcomes, p: float) -> Reading:
    return Reading(
        measure.quantity, measure.unit, p, nan, nan, LEVEL, outcomes.items, measure.method, reason=NO_INTERVAL
    )


def _fitted(outcomes: Outcomes, law: Law) -> Fitted:
    if outcomes.clusters < FEWEST_CLUSTERS:
        raise NotEstimable(f"{outcomes.clusters} families or items: the test needs {FEWEST_CLUSTERS} or more")
    return fit_outcomes(outcomes, law)


def _thirds(ends: Ends, fitted: Fitted) -> Ints:
    """(n,) 0, 1, 2: which third of the information about the rate, in order of length."""
    length = np.where(np.isfinite(ends.by), ends.by, ends.after)
    mean = length * np.exp(-fitted.c)
    told = ends.weight * mean**2 / np.expm1(np.minimum(mean, 700))
    order = np.argsort(length, kind="stable")
    before = np.cumsum(told[order]) - told[order] / 2
    edges = length[order][np.searchsorted(before, before[-1] * np.arange(1, GROUPS) / GROUPS)]
    return np.unique(np.searchsorted(edges, length, side="left"), return_inverse=True)[1].astype(np.int64)
