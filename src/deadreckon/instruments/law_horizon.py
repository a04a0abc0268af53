"""Horizons and shapes from a named law of how long a run lasts, for step tables and for outcome tables."""

from __future__ import annotations

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments.arm import Arm, Measure
from deadreckon.instruments.laws import LAWS, Law
from deadreckon.instruments.lifetime_laws import Fitted, ends_of_outcomes, ends_of_steps, fit_law
from deadreckon.instruments.outcomes import Outcomes
from deadreckon.instruments.stats import mean_interval
from deadreckon.instruments.survival import NO_STEPS, few_at_risk, first_errors
from deadreckon.instruments.time_horizon import few_near, refusal

LARGEST = 700.0  # ln of a length that a float still holds
ONE_OUTCOME = (
    "one outcome a run cannot tell a hazard that falls with length from items with unequal constant hazards:"
    " a shape below 1 shows neither"
)


def follow_up(outcomes: Outcomes) -> float:
    """The longest length."""
    return float(outcomes.length.max(initial=0))


def fitted_horizon(arm: Arm, law: Law, q: float = 0.5, *, extrapolate: bool = False) -> Reading:
    """H_q = min{n: S(n) <= q} of a named law fitted to first errors in steps. Named horizon_weibull_50 for q = 0.5.

        S(n) = exp(-n/s) (exponential), exp(-(n/s)^k) (weibull), 1 / (1 + (n/s)^k) (loglogistic)
        P(T = n) = S(n-1) - S(n)

    Within the steps followed only: past them "not reached" (inf), unless extrapolate=True asks for the law's word. The
    interval is that of ln t_q (t, items as clusters), rounded up to whole steps. It holds if the law does: Kaplan-Meier
    (`horizon`) assumes none.
    """
    _check(law)
    measure = Measure(
        f"horizon_{law}_{round(100 * q)}", "steps", f"discrete {law} law, ML, leave-one-item-out variance"
    )
    first = first_errors(arm)
    if not first.reach:
        return measure.missing(arm, NO_STEPS)
    try:
        fitted = fit_law(ends_of_steps(first), law)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    reach = float(first.reach)
    value, low, high = (float(np.ceil(t - 1e-9)) for t in _horizon(fitted, q))
    low = low - 1 if low == high else low  # whole steps hide a width below one
    if value <= reach:
        note = few_at_risk(first, value)
    elif extrapolate:
        note = f"past the {reach:g} steps followed: extrapolated by the {law} law"
    else:
        note = f"not reached within {reach:g} steps"
    if not extrapolate:
        value, low, high = _within((value, low, high), reach, reach + 1)
    return measure.reading(arm, value, (low, high), note)


def fitted_time_horizon(outcomes: Outcomes, law: Law, q: float = 0.5, *, extrapolate: bool = False) -> Reading:
    """Length at which success has fallen to q under a named law of success by length. Named time_horizon_weibull_50.

        P(success at L) = exp(-L/s) (exponential), exp(-(L/s)^k) (weibull), 1 / (1 + (L/s)^k) (loglogistic)

    Weighted maximum likelihood with the published weights and no penalty; the interval is that of ln t_q (t, items or
    families as clusters). Refused below the shortest length, inf ("not reached") beyond the longest, unless
    extrapolate=True asks for the law's word. Source of the laws in length: Ord (arXiv 2505.05115); loglogistic is the
    logistic in log length of Kwa et al. (arXiv 2503.14499).
    """
    _check(law)
    name = f"time_horizon_{law}_{round(100 * q)}"
    measure = Measure(name, outcomes.unit, f"{law} law in length, weighted ML, leave-one-item-out variance")
    try:
        value, low, high = _horizon(fit_outcomes(outcomes, law), q)
    except NotEstimable as why:
        return measure.missing(outcomes, str(why))
    shortest, longest = float(outcomes.length.min()), follow_up(outcomes)
    if shortest <= value <= longest:
        note = few_near(outcomes, value)
    elif extrapolate:
        note = f"outside the lengths observed, {shortest:g} to {longest:g}: extrapolated by the {law} law"
    elif value < shortest:
        return measure.missing(outcomes, f"below the shortest length, {shortest:g} {outcomes.unit}")
    else:
        note = f"not reached within the longest length, {longest:g} {outcomes.unit}"
    if not extrapolate:
        value, low, high = _within((value, low if low >= shortest else 0.0, high), longest, longest)
    return measure.reading(outcomes, value, (low, high), note)


def outcome_shape(outcomes: Outcomes, law: Law = "weibull") -> Reading:
    """Shape k of success by length: 1 = constant hazard (weibull), below 1 = falling with length, of the pooled curve.

    Fit and interval (on ln k) as `fitted_time_horizon`, k freed of its leading bias. The loglogistic shape is the slope
    of the log odds on ln length. Neither tells a falling hazard from unequal items: constant hazards with a Gamma(1)
    law over items give exactly the loglogistic law of shape 1.
    """
    _check(law)
    method = f"{law} law in length, weighted ML less its bias, leave-one-item-out variance"
    measure = Measure(f"outcome_shape_{law}", "1", method)
    if law == "exponential":
        raise BadOption("law='exponential' has shape 1 by definition: weibull or loglogistic")
    try:
        fitted = fit_outcomes(outcomes, law)
    except NotEstimable as why:
        return measure.missing(outcomes, str(why))
    log_shape = fitted.log_shape()
    shape, low, high = np.exp([log_shape.value, *mean_interval(log_shape)])
    return measure.reading(outcomes, shape, (low, high), ONE_OUTCOME if shape < 1 else "")


def _check(law: Law) -> None:
    if law not in LAWS:
        raise BadOption(f"law={law!r}: one of {', '.join(LAWS)}")


def fit_outcomes(outcomes: Outcomes, law: Law) -> Fitted:
    """A law fitted to an outcome table. Raises NotEstimable where none can be."""
    why = refusal(outcomes)
    if why:
        raise NotEstimable(why)
    return fit_law(ends_of_outcomes(outcomes), law)


def _horizon(fitted: Fitted, q: float) -> tuple[float, float, float]:
    """t_q and its interval."""
    at = fitted.log_horizon(q)
    value, low, high = np.exp(np.minimum([at.value, *mean_interval(at)], LARGEST))
    return float(value), float(low), float(high)


def _within(at: tuple[float, float, float], end: float, past: float) -> tuple[float, float, float]:
    """Value and interval, where all that lies past the end is only known to: the low end at most `past`."""
    value, high = (np.inf if t > end else t for t in (at[0], at[2]))
    return value, min(at[1], past), high
