"""How long a rollout stays free of error: survival and horizon. Competing ends: see competing.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deadreckon.contracts import Reading, nan
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure, both, curve, cut_short
from deadreckon.instruments.stats import (
    Floats,
    Product,
    beta_product,
    product_limit,
)

KAPLAN_MEIER = "Kaplan-Meier, item-clustered effective-size Clopper-Pearson"
NO_STEPS = "no step of the model's own: nothing was at risk"
HORIZONS = (0.5, 0.8)
FEWEST_AT_RISK = 20  # rollouts that a horizon should rest on


@dataclass(frozen=True, slots=True)
class FirstErrors:
    """Each rollout's time to its first own error, in steps since the last forced one (or since the start)."""

    arm: Arm
    length: Ints  # (rollouts,) steps at risk: up to and with the first error, or to the end
    failed: Bools  # (rollouts,) whether the last of them was an error

    @property
    def reach(self) -> int:
        """The longest time any rollout was at risk, in steps."""
        return int(self.length.max(initial=0))

    @property
    def effective(self) -> float:
        """Kish's effective number of rollouts, (sum w)**2 / sum w**2."""
        weight = self.arm.weight[self.length > 0]
        return float(weight.sum() ** 2 / (weight**2).sum()) if weight.size else 0.0

    def ending(self, which: Bools) -> Floats:
        """(clusters, reach) weight of the chosen rollouts that end their time at risk with each step."""
        rows = which & (self.length > 0)
        place = self.arm.home[rows] * self.reach + self.length[rows] - 1
        counts = np.bincount(place, weights=self.arm.weight[rows], minlength=self.arm.clusters * self.reach)
        return counts.astype(float).reshape(self.arm.clusters, self.reach)

    def at_risk(self) -> Floats:
        """(clusters, reach) weight of the rollouts at risk in each step."""
        every = np.ones(len(self.length), dtype=bool)
        return self.ending(every)[:, ::-1].cumsum(axis=1)[:, ::-1]

    def counts(self) -> tuple[Floats, Floats]:
        """First errors and rollouts at risk, (clusters, reach): `ending(failed)` and `at_risk` in one pass."""
        return tally(self, self.arm.home, self.arm.clusters)

    @property
    def alone(self) -> bool:
        """Whether every cluster holds one rollout at risk, all of one weight: independent, equal observations."""
        if np.count_nonzero(self.length) > self.arm.clusters:
            return False
        at_risk = self.length > 0
        homes, weight = self.arm.home[at_risk], self.arm.weight[at_risk]
        return bool(weight.size and (weight == weight[0]).all() and np.bincount(homes).max() == 1)

    def curve(self) -> Product:
        """Kaplan-Meier over the steps; with one rollout a cluster its interval is the beta product's."""
        d, y = self.counts()
        found = product_limit(d, y, self.effective)
        if not self.alone or len(d) < 2:
            return found
        scale = self.arm.weight[self.length > 0][0]
        low, high = beta_product(d.sum(axis=0) / scale, y.sum(axis=0) / scale)
        return replace(found, low=low, high=high)


def tally(first: FirstErrors, group: Ints, groups: int) -> tuple[Floats, Floats]:
    """First errors and rollouts at risk of each group at each step, weighted: (groups, reach) both."""
    place = (group * first.reach + first.length - 1) * 2 + first.failed
    weight = first.arm.weight
    if not first.length.all():
        rows = first.length > 0
        place, weight = place[rows], weight[rows]
    size = groups * first.reach * 2
    same = not weight.size or bool((weight == 1).all())
    ends = np.bincount(place, None if same else weight, size).astype(float).reshape(groups, first.reach, 2)
    return ends[:, :, 1].copy(), ends.sum(axis=2)[:, ::-1].cumsum(axis=1)[:, ::-1]


def first_errors(arm: Arm) -> FirstErrors:
    """Times to first own error. Forced steps are not at risk; where there are any, time runs from the last of them."""
    at = arm.since_forced()
    free = at >= 0
    length = np.bincount(arm.rollout[free], minlength=len(arm.length)).astype(np.int64)
    wrong = free & arm.error
    first = np.full(len(length), np.iinfo(np.int64).max)
    np.minimum.at(first, arm.rollout[wrong], at[wrong])
    failed = first < length
    return FirstErrors(arm, np.where(failed, first + 1, length), failed)


def _caveats(arm: Arm) -> str:
    notes = []
    if not arm.own.all():
        notes.append("counted from the first free step after the forced ones")
    if cut_short(arm).any():
        notes.append(f"{int(cut_short(arm).sum())} rollouts cut or faulted are censored: see the bounds")
    return "; ".join(notes)


def survival(arm: Arm) -> Reading:
    """S(n) = P(no error among the model's own steps up to n), by Kaplan-Meier over first errors.

    Censored: done, lost without an error, horizon, cut, fault. The curve has x = n = 1, 2, ...; the value is S at
    the longest length observed. Source: `stats.product_limit`.
    """
    return _survival(first_errors(arm), "survival", _caveats(arm))


def _survival(first: FirstErrors, quantity: str, reason: str = "") -> Reading:
    measure = Measure(quantity, "probability", KAPLAN_MEIER)
    if not first.reach:
        return measure.missing(first.arm, NO_STEPS)
    s = first.curve()
    points = curve("steps", np.arange(1.0, first.reach + 1), s.value, (s.low, s.high), s.clusters)
    return measure.reading(first.arm, s.value[-1], (s.low[-1], s.high[-1]), reason, points)


def survival_if_cut_failed(arm: Arm) -> Reading:
    """Lower bound of `survival`: every cut or faulted rollout had failed at the step it did not finish."""
    first = first_errors(arm)
    lost = cut_short(arm) & ~first.failed
    worst = FirstErrors(arm, first.length + lost, first.failed | lost)
    return _bound(worst, arm, "survival_if_cut_failed", "cut or faulted rollouts counted as failed")


def survival_if_cut_survived(arm: Arm) -> Reading:
    """Upper bound of `survival`: every cut or faulted rollout had gone on without error to the longest length."""
    first = first_errors(arm)
    kept = cut_short(arm) & ~first.failed
    best = FirstErrors(arm, np.where(kept, first.reach, first.length), first.failed)
    return _bound(best, arm, "survival_if_cut_survived", "cut or faulted rollouts counted as survivors")


def _bound(first: FirstErrors, arm: Arm, quantity: str, reason: str) -> Reading:
    if not cut_short(arm).any():
        return Measure(quantity, "probability", KAPLAN_MEIER).missing(
            arm, "no rollout was cut or faulted: see survival"
        )
    return _survival(first, quantity, reason)


def horizon(arm: Arm, q: float = 0.5) -> Reading:
    """H_q = min{n: S(n) <= q}, in steps; inf = not reached, never extrapolated. Named horizon_50 for q = 0.5.

    The interval inverts the survival interval pointwise: from the first n whose low end is at or below q (one step
    past the longest length where none is) to the first n whose high end is (inf where none is). Source: Brookmeyer
    and Crowley, Biometrics 38 (1982).
    """
    measure = Measure(f"horizon_{round(100 * q)}", "steps", "Kaplan-Meier, survival interval inverted")
    first = first_errors(arm)
    if not first.reach:
        return measure.missing(arm, NO_STEPS)
    s = first.curve()
    value, low, high = (reaches(v, q) for v in (s.value, s.low, s.high))
    low = min(low, first.reach + 1.0)
    if np.isnan(s.low).all():
        low = high = nan
    note = f"not reached within {first.reach} steps" if np.isinf(value) else few_at_risk(first, value)
    return measure.reading(arm, value, (low, high), both(note, _caveats(arm)))


def few_at_risk(first: FirstErrors, step: float) -> str:
    """A flag where fewer than 20 rollouts were at risk in that step; "" where enough were."""
    rollouts = int((first.length >= step).sum())
    few = f"rests on {rollouts} rollouts at risk, fewer than {FEWEST_AT_RISK}"
    return few if rollouts < FEWEST_AT_RISK else ""


def reaches(values: Floats, q: float) -> float:
    """The first step at which the curve is at or below q; inf where none is."""
    at = np.flatnonzero(values <= q + 1e-12)
    return float(at[0] + 1) if at.size else float("inf")
