"""How many items, how many repeats: detectable effects and sample sizes, from two variances.

An item's expected score varies between items (variance B), a rollout's around it (variance W). The mean over n items
with r rollouts each has variance (B + W/r) / n, and an effect of size e is found by a two-sided t test at 5% with

    power = P(|t'_{n-1}(e / sqrt((B + W/r) / n))| > t_{n-1, 0.975}),   t' the noncentral t

Plans are Readings without an interval: they are as good as the variances handed in. Source: Cohen, "Statistical Power
Analysis for the Behavioral Sciences" (1988), ch. 2; design effect 1 + (r-1) rho: Kish, "Survey Sampling" (1965), ch. 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments.stats import LEVEL, Floats, clopper_pearson, t_value

PLAN = "a plan has no interval: it is as good as the variances it rests on"
POWER = 0.8
MOST = 10_000_000  # items; more is "cannot be had"


@dataclass(frozen=True, slots=True)
class Components:
    """Variance of items' expected scores (or differences), and of one rollout (or pair) around its item's."""

    between: float
    within: float

    def of_mean(self, items: int | Floats, repeats: int) -> Floats:
        """Variance of the mean."""
        return np.asarray((self.between + self.within / repeats) / np.asarray(items, dtype=float))


def rate_components(rate: float, correlation: float = 0.0) -> Components:
    """Of a yes-or-no score with mean `rate`; correlation rho of an item's rollouts (design effect 1 + (r-1) rho)."""
    _check(0 <= rate <= 1 and 0 <= correlation <= 1, f"rate {rate:g} and correlation {correlation:g}: both in 0 ... 1")
    whole = rate * (1 - rate)
    return Components(correlation * whole, (1 - correlation) * whole)


def _grouped(values: Floats, item: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Count, mean and sum of squares within each item: (C,) each."""
    _, place = np.unique(item, return_inverse=True)
    count = np.bincount(place).astype(float)
    mean = np.bincount(place, values) / count
    return count, mean, np.bincount(place, (values - mean[place]) ** 2).astype(float)


def components(values: Floats, item: NDArray[np.int64]) -> Components:
    """From rollouts' scores (n,) and their items (n,), by one-way analysis of variance.

        W = sum within squares / (n - C),   B = max(0, (mean square between - W) / n0)
        n0 = (n - sum n_i^2 / n) / (C - 1)

    Raises NotEstimable with one item, or without a repeat. Source: Searle, Casella and McCulloch, "Variance Components"
    (1992), ch. 3.
    """
    count, mean, squares = _grouped(values, item)
    n, c = len(values), len(count)
    if c < 2 or n == c:
        raise NotEstimable(
            f"{c} items, {n} rollouts: two items and a repeated one are needed to tell the variances apart"
        )
    within = squares.sum() / (n - c)
    grand = float(values.mean())
    between = (count * (mean - grand) ** 2).sum() / (c - 1)
    n0 = (n - (count**2).sum() / n) / (c - 1)
    return Components(max(0.0, float((between - within) / n0)), float(within))


def difference_components(
    ours: tuple[Floats, NDArray[np.int64]], theirs: tuple[Floats, NDArray[np.int64]]
) -> Components:
    """Of the difference of two arms on the same items, each given as (rollouts' scores, their items).

        W = W1 + W2,   B = max(0, var_i(mean1_i - mean2_i) - mean_i(W1 / r1_i + W2 / r2_i))

    Raises NotEstimable as `components`, and where the items differ.
    """
    if not np.array_equal(np.unique(ours[1]), np.unique(theirs[1])):
        raise NotEstimable("the two arms hold different items: take the variances of each, and add them")
    (n1, m1, _), (n2, m2, _) = _grouped(*ours), _grouped(*theirs)
    w1, w2 = components(*ours).within, components(*theirs).within
    spread = float((m1 - m2).var(ddof=1)) - float((w1 / n1 + w2 / n2).mean())
    return Components(max(0.0, spread), w1 + w2)


def power(parts: Components, effect: float, items: int, repeats: int = 1) -> float:
    """Chance that a two-sided 5% t test over items finds a mean (difference) of `effect`; nan below two items."""
    if items < 2:
        return nan
    spread = float(parts.of_mean(items, repeats))
    if spread <= 0:
        return 1.0 if effect else 1 - LEVEL
    shift, bar = abs(effect) / np.sqrt(spread), float(t_value(items))
    freedom = items - 1.0
    if shift > 37:
        return 1.0
    upper = 1 - special.nctdtr(freedom, shift, bar)
    return float(upper + special.nctdtr(freedom, shift, -bar))


def _plan(quantity: str, unit: str, value: float, method: str, items: int = 0) -> Reading:
    missing = "" if np.isfinite(value) else f"; not to be had with {MOST:,} items"
    return Reading(quantity, unit, value, nan, nan, LEVEL, items, method, "", PLAN + missing)


def minimal_detectable_effect(parts: Components, items: int, repeats: int = 1, chance: float = POWER) -> Reading:
    """Smallest mean difference that a comparison of so many items and repeats finds with the power `chance`."""
    name, unit = "minimal_detectable_effect", "unit of the score"
    _check(
        repeats >= 1 and 1 - LEVEL < chance < 1, f"repeats {repeats}, power {chance:g}: at least 1, and in 0.05 ... 1"
    )
    method = f"noncentral t, power {chance:g}, {items} items x {repeats}"
    if items < 2:
        return Reading(name, unit, nan, nan, nan, LEVEL, items, method, "", f"{items} items: a test needs two or more")
    spread = float(np.sqrt(parts.of_mean(items, repeats)))
    if spread <= 0:
        return Reading(
            name, unit, nan, nan, nan, LEVEL, items, method, "", "both variances are 0: nothing to plan with"
        )
    low, high = 0.0, 36.0 * spread
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power(parts, middle, items, repeats) < chance else (low, middle)
    return _plan(name, unit, high, method, items)


def _smallest(enough: Callable[[int], bool]) -> float:
    """Smallest n >= 2 that is enough, by doubling and halving; inf past MOST."""
    high = 2
    while not enough(high):
        high *= 2
        if high > MOST:
            return float("inf")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return float(max(high, 2))


def items_for_effect(parts: Components, effect: float, repeats: int = 1, chance: float = POWER) -> Reading:
    """Fewest items with which a two-sided 5% t test finds `effect` with the power `chance`."""
    _check(effect != 0 and repeats >= 1 and 1 - LEVEL < chance < 1, f"effect {effect:g}, repeats {repeats}, {chance:g}")
    value = _smallest(lambda n: power(parts, effect, n, repeats) >= chance)
    return _plan("items_for_effect", "items", value, f"noncentral t, effect {effect:g}, power {chance:g}, x {repeats}")


def items_for_width(parts: Components, half_width: float, repeats: int = 1) -> Reading:
    """Fewest items whose mean has a 95% t interval of at most the half width: t_{n-1} sqrt((B + W/r) / n)."""
    _check(half_width > 0 and repeats >= 1, f"half width {half_width:g}, repeats {repeats}: above 0, and at least 1")
    value = _smallest(lambda n: float(t_value(n) * np.sqrt(parts.of_mean(n, repeats))) <= half_width)
    return _plan("items_for_width", "items", value, f"t interval, half width {half_width:g}, x {repeats}")


def items_for_rate_width(rate: float, half_width: float, repeats: int = 1, correlation: float = 0.0) -> Reading:
    """Fewest items whose share has an effective-size Clopper-Pearson interval of at most the half width.

    n_eff = n r / (1 + (r-1) rho) (z / t_{n-1})^2, at the expected count; more than `items_for_width` says where
    the rate is near 0 or 1. Source: `stats.proportion_interval`.
    """
    _check(0 < rate < 1 and 0 <= correlation <= 1, f"rate {rate:g}, correlation {correlation:g}: inside 0 ... 1")
    _check(half_width > 0 and repeats >= 1, f"half width {half_width:g}, repeats {repeats}: above 0, and at least 1")
    design = 1 + (repeats - 1) * correlation

    def enough(n: int) -> bool:
        size = n * repeats / design * float(special.ndtri(0.5 + LEVEL / 2) / t_value(n)) ** 2
        low, high = clopper_pearson(rate * size, size)
        return float(high - low) / 2 <= half_width

    method = f"effective-size Clopper-Pearson, rate {rate:g}, half width {half_width:g}, design effect {design:g}"
    return _plan("items_for_rate_width", "items", _smallest(enough), method)


def items_for_no_event(bound: float) -> Reading:
    """Items that, all without an event, show with 95% confidence that the rate lies below `bound`: the rule of three.

        (1 - bound)^n <= 0.05,   n = ceil(ln 0.05 / ln(1 - bound)), about 3 / bound

    Source: Hanley and Lippman-Hand, J. American Medical Association 249 (1983), in its exact form.
    """
    _check(0 < bound < 1, f"bound {bound:g}: inside 0 ... 1")
    value = float(np.ceil(np.log(1 - LEVEL) / np.log1p(-bound) - 1e-9))
    return _plan("items_for_no_event", "items", value, f"one-sided exact binomial, no event, rate below {bound:g}")


def best_repeats(parts: Components, item_cost: float, rollout_cost: float) -> Reading:
    """Rollouts an item at which a fixed budget gives the smallest variance of the mean.

        r* = sqrt(W / B * item_cost / rollout_cost), to whichever neighbour has the smaller (B + W/r) (item + r rollout)

    With B = 0 and an item that costs something there is no best number: more is better. Source: Cochran, "Sampling
    Techniques" (1977), section 10.6.
    """
    _check(item_cost >= 0 and rollout_cost > 0, f"costs {item_cost:g} and {rollout_cost:g}: not negative, and above 0")
    name, unit = "best_repeats", "rollouts per item"
    method = f"least variance at a fixed budget, item {item_cost:g}, rollout {rollout_cost:g}"
    if parts.within <= 0 and parts.between <= 0:
        return Reading(name, unit, nan, nan, nan, LEVEL, 0, method, "", "both variances are 0: nothing to plan with")
    if parts.between <= 0 and item_cost > 0:
        return Reading(name, unit, nan, nan, nan, LEVEL, 0, method, "", "items do not differ: more rollouts are better")
    ideal = np.sqrt(parts.within / parts.between * item_cost / rollout_cost) if parts.between > 0 else 1.0

    def loss(r: int) -> float:
        return (parts.between + parts.within / r) * (item_cost + r * rollout_cost)

    below = max(1, int(ideal))
    return _plan(name, unit, float(min((below, below + 1), key=loss)), method)


def _check(fine: bool, said: str) -> None:
    if not fine:
        raise BadOption(f"cannot plan with {said}")
