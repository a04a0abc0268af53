"""Excursions: from the step that left the true track to the one that found it again. How long, and whether at all.

An excursion's age d = 1, 2, ... counts the model's own steps from the wrong state. It ends by recovery; by an end of
its own that leaves it wrong for good (done, lost, broken); or it is censored (horizon, cut, fault). Excursions of
one item are dependent: the item is the unit, and within it they may depend in any way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import Reading, Stop, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure, both, curve
from deadreckon.instruments.competing import AALEN_JOHANSEN, Incidence, aalen_johansen
from deadreckon.instruments.hazard import RATE, rate_interval
from deadreckon.instruments.multistate import RIGHT, WRONG, closed, track
from deadreckon.instruments.stats import Floats, proportion_interval, ratio, variance


@dataclass(frozen=True, slots=True)
class Excursions:
    """Steps from a wrong state, each with its excursion's age; and excursions, each with its length and its end."""

    arm: Arm
    rows: Bools  # (n,) own steps from a wrong state
    age: Ints  # (n,) 1, 2, ...
    back: Bools  # (n,) rows that found the track again
    final: Bools  # (n,) rows that ended the excursion otherwise, for good
    close: Ints  # (k,) the last row of each excursion

    @property
    def length(self) -> Ints:
        """(k,) own steps of each excursion."""
        return self.age[self.close]

    @property
    def recovered(self) -> Bools:
        """(k,) whether it ended by recovery."""
        return self.back[self.close]

    def totals(self, which: Bools) -> Floats:
        """(C, ages) weighted counts of the chosen rows by age."""
        return self.arm.per_step(which.astype(float), self.rows, self.age - 1)

    def incidence(self) -> Incidence:
        """P(recovered within d steps), with done, lost and broken as competing ends."""
        weight = self.arm.weight[self.arm.rollout[self.close]]
        most = float(weight.sum() ** 2 / (weight**2).sum())
        return aalen_johansen(self.totals(self.back), self.totals(self.back | self.final), self.totals(self.rows), most)


def excursions(arm: Arm) -> Excursions:
    """Every excursion of an arm. Raises NotEstimable where there is none, or where none can end."""
    on = track(arm)
    rows = on.from_state(WRONG)
    if not rows.any():
        raise NotEstimable("no step from a wrong state: no excursion to follow")
    if fixed := closed(on):
        raise NotEstimable(fixed)
    back = rows & (on.after == RIGHT)
    last = np.zeros(len(rows), dtype=bool)
    last[(np.cumsum(arm.length) - 1)[arm.length > 0]] = True
    ended = np.isin(arm.stop, (Stop.DONE.value, Stop.LOST.value, Stop.BROKEN.value))[arm.rollout]
    final = rows & ~back & ((on.after != WRONG) | (last & ended))
    following = np.append(on.age[1:], 0)
    return Excursions(arm, rows, on.age, back, final, np.flatnonzero(rows & (following <= 1)))


def measured(arm: Arm, measure: Measure, take: Callable[[Excursions], Reading]) -> Reading:
    """What `take` reads off the excursions, or why there is nothing to read."""
    try:
        return take(excursions(arm))
    except NotEstimable as why:
        return measure.missing(arm, str(why))


def restoration_unearned(arm: Arm) -> Reading:
    """Share of recoveries that were unearned: neither after a fix nor by a mend, two wrongs that made a right.

    Dziri et al., "Faith and fate" (2023), call them restoration errors.
    """
    measure = Measure("restoration_unearned", "share of recoveries", RATE)
    try:
        on = track(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    back = on.from_state(WRONG) & (on.after == RIGHT)
    if not back.any():
        return measure.missing(arm, "no recovery was seen")
    one = np.ones(len(back))
    x = arm.per_cluster(one, back)
    estimate = ratio(arm.per_cluster(one, back & on.unearned), x)
    return measure.reading(arm, estimate.value, rate_interval(estimate, x, np.nan), f"{int(back.sum())} recoveries")


def recovery_since_error(arm: Arm) -> Reading:
    """g(1): P(back on track in the first own step after the error). The curve is g(d), d steps since the error.

    g(d) = recoveries at age d / excursions at risk at age d. A falling g(d) is what never-recovering excursions, or
    unequal items, look like.
    """
    measure = Measure("recovery_since_error", "per step", RATE)

    def take(out: Excursions) -> Reading:
        y, d = out.totals(out.rows), out.totals(out.back)
        total, present = y.sum(axis=0), (y > 0).sum(axis=0)
        g = d.sum(axis=0) / total
        ends = proportion_interval(g, variance((d - g * y) / total, present), present, total, present.astype(float))
        points = curve("steps since the error", np.arange(1.0, len(g) + 1), g, ends, present)
        return measure.reading(arm, g[0], (ends[0][0], ends[1][0]), f"{len(out.close)} excursions", points)

    return measured(arm, measure, take)


def recovery_incidence(arm: Arm) -> Reading:
    """F(d) = P(back on track within d own steps of the error); the value is at the longest excursion.

    Done, lost and broken end an excursion for good; horizon, cut and fault censor it. Where nothing ends it for good,
    1 - F is the Kaplan-Meier curve of the time to recovery. See `competing.aalen_johansen`.
    """
    measure = Measure("recovery_incidence", "probability", AALEN_JOHANSEN)

    def take(out: Excursions) -> Reading:
        f = out.incidence()
        points = curve("steps since the error", np.arange(1.0, len(f.value) + 1), f.value, (f.low, f.high), f.clusters)
        reason = f"within {len(f.value)} steps; {len(out.close)} excursions"
        return measure.reading(arm, f.value[-1], (f.low[-1], f.high[-1]), reason, points)

    return measured(arm, measure, take)


def time_to_recovery(arm: Arm, q: float = 0.5) -> Reading:
    """min{d: F(d) >= q}, in own steps since the error; inf = not reached. Named time_to_recovery_50 for q = 0.5.

    F is `recovery_incidence`; its interval is inverted pointwise, as `horizon` does. Source: Brookmeyer and
    Crowley (1982).
    """
    measure = Measure(f"time_to_recovery_{round(100 * q)}", "steps", "Aalen-Johansen, incidence interval inverted")

    def take(out: Excursions) -> Reading:
        f = out.incidence()
        value, low, high = (_reaches(v, q) for v in (f.value, f.high, f.low))
        low = nan if np.isnan(f.low).all() else min(low, len(f.value) + 1.0)
        reason = f"not reached within {len(f.value)} steps" if np.isinf(value) else ""
        reason = both(reason, f"{len(out.close)} excursions")
        return measure.reading(arm, value, (low, nan if np.isnan(low) else high), reason)

    return measured(arm, measure, take)


def _reaches(values: Floats, q: float) -> float:
    at = np.flatnonzero(values >= q - 1e-12)
    return float(at[0] + 1) if at.size else float("inf")
