"""Teacher-forced error, and the survival it predicts: (1-e)^n, the product by step, and the item-mixed product.

Where one answer is right, the context before a first error is the expert's. So the item-mixed product must equal
free-running survival there, and a gap to (1-e)^n shows unequal steps or items, not compounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from deadreckon.contracts import OnError, Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Ints, Measure, aligned, curve
from deadreckon.instruments.freedom import freedom, rate_ends
from deadreckon.instruments.hazard import RATE, error_rate_of
from deadreckon.instruments.stats import (
    Floats,
    Product,
    Side,
    difference_interval,
    product_limit,
    proportion_interval,
    ratio,
    variance,
)
from deadreckon.instruments.survival import NO_STEPS, first_errors

EXACT = "exact right mass, item-clustered effective-size Clopper-Pearson"
NOT_FORCED = "contexts are the model's own under the rule {rule}: use a run under repair"


def _check_forced(arm: Arm) -> None:
    if arm.on_error is not OnError.REPAIR:
        raise NotEstimable(NOT_FORCED.format(rule=arm.on_error.value))
    if not arm.own.any():
        raise NotEstimable(NO_STEPS)


def _wrong_mass(arm: Arm) -> Floats:
    """(n,) 1 - right_mass. NotEstimable where the table does not hold it for every own step."""
    _check_forced(arm)
    if arm.abstained.any():
        raise NotEstimable("steps abstain: 1 - right_mass would count that as wrong")
    mass = arm.floats("right_mass")
    if np.isnan(mass[arm.own]).any():
        raise NotEstimable(f"right_mass is missing on {int(np.isnan(mass[arm.own]).sum())} steps")
    return np.clip(1 - np.nan_to_num(mass), 0.0, 1.0)


def teacher_forced_error(arm: Arm) -> Reading:
    """Error rate per step on the oracle's contexts (rule repair), from sampled actions."""
    try:
        _check_forced(arm)
    except NotEstimable as why:
        return Measure("teacher_forced_error", "errors per step", RATE).missing(arm, str(why))
    return error_rate_of(arm, arm.own, "teacher_forced_error")


def teacher_forced_error_exact(arm: Arm) -> Reading:
    """Mean of 1 - right_mass over the steps of the oracle's contexts: the same quantity without sampling noise."""
    measure = Measure("teacher_forced_error_exact", "errors per step", EXACT)
    try:
        wrong = _wrong_mass(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    estimate = ratio(arm.per_cluster(wrong, arm.own), arm.per_cluster(np.ones(len(wrong)), arm.own))
    low, high = rate_ends(estimate, np.inf)
    return measure.reading(arm, estimate.value, (float(low), float(high)))


def _constant(arm: Arm) -> Product:
    """(1-e)^n for n = 1 ... reach, e the teacher-forced error (exact where the table allows)."""
    wrong, most = _errors(arm)
    y, x = arm.per_cluster(wrong, arm.own), arm.per_cluster(np.ones(len(wrong)), arm.own)
    e = ratio(y, x)
    low, high = rate_ends(e, most)
    n = np.arange(1, int(arm.length.max()) + 1)
    influence = -n * (1 - e.value) ** (n - 1) * e.influence[:, None]
    present = np.full(len(n), e.clusters, dtype=np.int64)
    value: Floats = np.power(1 - e.value, n)
    return Product(value, influence, np.power(1 - high, n), np.power(1 - low, n), present)


def _errors(arm: Arm) -> tuple[Floats, float]:
    """(n,) exact error mass and inf where the table holds it; else the sampled errors and how many steps there are."""
    try:
        return _wrong_mass(arm), np.inf
    except NotEstimable:
        _check_forced(arm)
        return arm.error.astype(float), float(arm.own.sum())


def _by_step(arm: Arm) -> Product:
    """prod_t (1 - e_t), e_t the teacher-forced error at step t."""
    wrong, most = _errors(arm)
    at = arm.steps_at()
    most = most if np.isinf(most) else float(len(arm.length))
    s = product_limit(arm.per_step(wrong, arm.own, at), arm.per_step(np.ones(len(at)), arm.own, at), most)
    known = 1 + freedom(s.influence, s.clusters[0])
    low, high = proportion_interval(
        s.value, variance(s.influence, s.clusters[0]), known, most, s.clusters.astype(float)
    )
    fallen = s.value <= 0
    return replace(s, low=np.where(fallen, s.low, low), high=np.where(fallen, s.high, high))


def _mixed(arm: Arm) -> Product:
    """Product limit of expected counts: a path still without error has mass prod_{s<t} (1 - e_is) at step t.

    While every item is running this is the mean over items of prod_t (1 - e_it).
    """
    wrong = np.where(arm.own, _wrong_mass(arm), 0.0)
    at: Ints = arm.steps_at()
    grid = np.zeros((len(arm.length), int(arm.length.max())))
    grid[arm.rollout, at] = wrong
    before = np.concatenate([np.ones((len(grid), 1)), np.cumprod(1 - grid, axis=1)[:, :-1]], axis=1)
    alive = before[arm.rollout, at]
    every = np.ones(len(at), dtype=bool)
    return product_limit(arm.per_step(alive * wrong, every, at), arm.per_step(alive, every, at))


def _predicted(arm: Arm, quantity: str, method: str, build: Callable[[Arm], Product]) -> Reading:
    measure = Measure(quantity, "probability", method)
    try:
        s = build(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    points = curve("steps", np.arange(1.0, len(s.value) + 1), s.value, (s.low, s.high), s.clusters)
    return measure.reading(arm, s.value[-1], (s.low[-1], s.high[-1]), "", points)


def survival_constant(arm: Arm) -> Reading:
    """(1-e)^n with e the mean teacher-forced error over all steps: survival were every step of every item alike."""
    return _predicted(arm, "survival_constant", "(1-e)^n from teacher-forced error, its interval mapped", _constant)


def survival_by_step(arm: Arm) -> Reading:
    """prod_{t<=n} (1 - e_t): survival were all items alike, steps not."""
    return _predicted(arm, "survival_by_step", "product over steps of teacher-forced error by step", _by_step)


def survival_mixed(arm: Arm) -> Reading:
    """Mean over items of prod_{t<=n} (1 - e_it) from the exact right mass: survival with unequal items and steps."""
    return _predicted(arm, "survival_mixed", "item-mixed product of exact teacher-forced error", _mixed)


def survival_gap_constant(free: Arm, forced: Arm, n: int) -> Reading:
    """S(n) - (1-e)^n, paired by item; n is declared before the data. The curve holds every n."""
    return _gap(free, forced, n, Measure("survival_gap_constant", "probability", "S(n) - (1-e)^n, MOVER by item"))


def survival_gap_by_step(free: Arm, forced: Arm, n: int) -> Reading:
    """S(n) - prod_t (1 - e_t), paired by item."""
    return _gap(free, forced, n, Measure("survival_gap_by_step", "probability", "S(n) - prod(1-e_t), MOVER by item"))


def survival_gap_mixed(free: Arm, forced: Arm, n: int) -> Reading:
    """S(n) - mean_i prod_t (1 - e_it), paired by item: 0 where one answer is right, whatever the items are like."""
    return _gap(
        free, forced, n, Measure("survival_gap_mixed", "probability", "S(n) - item-mixed product, MOVER by item")
    )


PREDICTIONS = {
    "survival_gap_constant": _constant,
    "survival_gap_by_step": _by_step,
    "survival_gap_mixed": _mixed,
}


def _gap(free: Arm, forced: Arm, n: int, measure: Measure) -> Reading:
    first = first_errors(free)
    try:
        predicted = PREDICTIONS[measure.quantity](forced)
    except NotEstimable as why:
        return measure.missing(free, str(why))
    if not first.reach:
        return measure.missing(free, NO_STEPS)
    s = _after_all_failed(first.curve(), len(predicted.value))
    reach = min(len(s.value), len(predicted.value))
    if not 1 <= n <= reach:
        return measure.missing(free, f"S({n}) asked, the shorter of the two tables ends at {reach}: raise the horizon")
    u, v = aligned(free, forced, s.influence[:, :reach], predicted.influence[:, :reach])
    ours = Side(s.value[:reach], s.low[:reach], s.high[:reach], u)
    theirs = Side(predicted.value[:reach], predicted.low[:reach], predicted.high[:reach], v)
    low, high = difference_interval(ours, theirs)
    gap = ours.value - theirs.value
    points = curve("steps", np.arange(1.0, reach + 1), gap, (low, high), s.clusters[:reach])
    return measure.reading(free, float(gap[n - 1]), (low[n - 1], high[n - 1]), f"at n = {n}", points)


def _after_all_failed(s: Product, length: int) -> Product:
    """A survival curve that has come down to 0 stays there up to `length` steps; any other ends where it ends."""
    more = length - len(s.value)
    if more <= 0 or s.value[-1] > 0:
        return s
    value, low, high = (np.append(v, np.full(more, v[-1])) for v in (s.value, s.low, s.high))
    clusters = np.append(s.clusters, np.full(more, s.clusters[-1]))
    return Product(value, np.pad(s.influence, ((0, 0), (0, more))), low, high, clusters)
