"""What ends a stretch without error, and how often: cumulative incidence among competing ends (Aalen-Johansen)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Reading, Stop
from deadreckon.instruments.arm import Arm, Bools, Measure, curve
from deadreckon.instruments.stats import Floats, product_limit, proportion_interval, variance
from deadreckon.instruments.survival import KAPLAN_MEIER, NO_STEPS, FirstErrors, first_errors

ROUNDING = 1e-12
AALEN_JOHANSEN = "Aalen-Johansen, item-clustered effective-size Clopper-Pearson"
SHARE = "share of rollouts, item-clustered effective-size Clopper-Pearson"


@dataclass(frozen=True, slots=True)
class Incidence:
    """A cumulative incidence F (n,), its influence (C, n), its interval (n,), and clusters at risk (n,)."""

    value: Floats
    influence: Floats
    low: Floats
    high: Floats
    clusters: NDArray[np.int64]


def aalen_johansen(kind: Floats, ends: Floats, at_risk: Floats, most: float) -> Incidence:
    """Cumulative incidence of one kind of end among all competing ones.

        F_j(n) = sum_{s<=n} S(s-1) h_js,   u_i(F_j) = sum_s [S(s-1) (d_ijs - h_js y_is) / Y_s + h_js u_i(S)(s-1)]

    kind d_j, ends (all kinds), at_risk y: (C, n) totals by cluster and step; S is all-cause survival, u influence by
    cluster. Once no cluster is left to end otherwise, F cannot reach above 1 - S: the low end keeps to that. most =
    independent observations behind F at best. Source: Aalen and Johansen, Scand. J. Statist. 5 (1978).
    """
    every = product_limit(ends, at_risk, most)
    before = np.concatenate([[1.0], every.value[:-1]])
    start = np.zeros((len(at_risk), 1))
    drift = np.concatenate([start, every.influence[:, :-1]], axis=1)
    total = at_risk.sum(axis=0)
    h = kind.sum(axis=0) / total
    f = np.cumsum(before * h)
    f = np.where(f > 1 - ROUNDING, 1.0, f)
    u = np.cumsum(before * (kind - h * at_risk) / total + h * drift, axis=1)
    gone = np.concatenate([start, ends.cumsum(axis=1)[:, :-1]], axis=1)
    followed = ((at_risk + gone) > 0).sum(axis=0).astype(float)  # clusters not censored before the step
    clusters = int(every.clusters[0])
    low, high = proportion_interval(f, variance(u, clusters), clusters, most, followed)
    low = np.where(f >= 1, np.minimum(low, 1 - every.high), low)
    return Incidence(f, u, low, high, every.clusters)


def competing(first: FirstErrors) -> Bools:
    """(rollouts,) whose stretch without error ends by an end of its own: an error, `done`, `lost` or `broken`.

    The rest is censored: horizon, cut, fault, and rollouts that do not say how they ended.
    """
    return first.failed | np.isin(first.arm.stop, (Stop.DONE.value, Stop.LOST.value, Stop.BROKEN.value))


def survival_event_free(arm: Arm) -> Reading:
    """P(neither an error nor done nor lost by step n): all-cause survival of the stretch without error.

    Together with `incidence_error`, `incidence_done` and `incidence_lost` it adds up to 1 at every step.
    """
    first = first_errors(arm)
    measure = Measure("survival_event_free", "probability", KAPLAN_MEIER)
    if not first.reach:
        return measure.missing(arm, NO_STEPS)
    s = product_limit(first.ending(competing(first)), first.at_risk(), first.effective)
    points = curve("steps", np.arange(1.0, first.reach + 1), s.value, (s.low, s.high), s.clusters)
    return measure.reading(arm, s.value[-1], (s.low[-1], s.high[-1]), "", points)


def incidence_error(arm: Arm) -> Reading:
    """P(an error by step n), where a rollout may end by `done` or `lost` first. A `broken` end counts as an error."""
    first = first_errors(arm)
    broken = arm.stop == Stop.BROKEN.value
    return _incidence(first, first.failed | broken, "incidence_error")


def incidence_broken(arm: Arm) -> Reading:
    """The part of `incidence_error` whose first error ended the rollout at once; under the rule stop, all of it."""
    first = first_errors(arm)
    return _incidence(first, (arm.stop == Stop.BROKEN.value) & (first.length == _own_length(first)), "incidence_broken")


def incidence_done(arm: Arm) -> Reading:
    """P(done by step n without an error before)."""
    first = first_errors(arm)
    return _incidence(first, ~first.failed & (arm.stop == Stop.DONE.value), "incidence_done")


def incidence_lost(arm: Arm) -> Reading:
    """P(the goal lost for good by step n without an error before)."""
    first = first_errors(arm)
    return _incidence(first, ~first.failed & (arm.stop == Stop.LOST.value), "incidence_lost")


def incidence_horizon(arm: Arm) -> Reading:
    """Share of rollouts whose stretch without error met the planned horizon by step n. See `_share`."""
    return _share(arm, Stop.HORIZON)


def incidence_cut(arm: Arm) -> Reading:
    """Share of rollouts whose stretch without error met a limit by step n. See `_share`."""
    return _share(arm, Stop.CUT)


def incidence_fault(arm: Arm) -> Reading:
    """Share of rollouts whose stretch without error met a fault by step n. See `_share`."""
    return _share(arm, Stop.FAULT)


def _own_length(first: FirstErrors) -> NDArray[np.int64]:
    """(rollouts,) own steps since the last forced one."""
    free = first.arm.since_forced() >= 0
    return np.bincount(first.arm.rollout[free], minlength=len(first.length)).astype(np.int64)


def _incidence(first: FirstErrors, kind: Bools, quantity: str) -> Reading:
    measure = Measure(quantity, "probability", AALEN_JOHANSEN)
    return _reading(measure, first, kind, competing(first))


def _share(arm: Arm, stop: Stop) -> Reading:
    """Of a censoring stop: here it is the event, all other stops compete with it and nothing is censored.

    So it is a share of these rollouts as they were run, no statement about the model; with the shares of the other
    ends of these rollouts it adds up to 1.
    """
    first = first_errors(arm)
    reason = "a share of the rollouts as run: to every other reading this stop is censoring, not an end"
    every = np.ones(len(first.length), dtype=bool)
    measure = Measure(f"incidence_{stop.value}", "share of rollouts", SHARE)
    return _reading(measure, first, ~first.failed & (arm.stop == stop.value), every, reason)


def _reading(measure: Measure, first: FirstErrors, kind: Bools, ends: Bools, reason: str = "") -> Reading:
    arm = first.arm
    if not first.reach:
        return measure.missing(arm, NO_STEPS)
    f = aalen_johansen(first.ending(kind), first.ending(ends), first.at_risk(), first.effective)
    points = curve("steps", np.arange(1.0, first.reach + 1), f.value, (f.low, f.high), f.clusters)
    return measure.reading(arm, f.value[-1], (f.low[-1], f.high[-1]), reason, points)
