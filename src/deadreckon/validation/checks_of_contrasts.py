"""Fast checks of what compares two tables, and of what is positive: intervals on the log scale, differences, pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from deadreckon.instruments import (
    Arm,
    excess_accumulated_error,
    hazard_ratio,
    read,
    self_conditioning,
    self_conditioning_ratio,
    survival_gap_constant,
    survival_gap_mixed,
)
from deadreckon.instruments.stats import Estimate, Side, difference_interval, log_interval
from deadreckon.validation.formulas import close, effective, ends
from deadreckon.validation.hand import lives, steps, take


def positive_means_have_t_intervals_on_the_log_scale() -> bool:
    """Divergences of 12 items: Satterthwaite's degrees of freedom are fewer on one side, Kish's on the other.

    And the excess of the two, by jackknife, with Kish's.
    """
    rng = np.random.default_rng(3)
    a, b = rng.gamma(2.0, 0.1, (12, 1)), rng.gamma(2.0, 0.1, (12, 1))
    b += 0.5 * a
    free, forced = (
        steps(*((i, "r", "horizon") for i in range(12)), kl_pq=[float(v) for v in kl.ravel()]) for kl in (a, b)
    )
    kish = [float(v.sum() ** 2 / (v**2).sum()) - 1 for v in (a, b)]
    tails = [float(((v - v.mean()) ** 4).mean() / v.var() ** 2) - 3 for v in (a, b)]
    known = [2 / (max(tail, 0) / 12 + 2 / 11) for tail in tails]
    if not (known[0] < kish[0] and kish[1] < known[1]):
        return False
    own, oracle, by_kish = (
        _around(v.mean(), stats.t.ppf(0.975, nu) * float(v.std(ddof=1)) / math.sqrt(12) / v.mean())
        for v, nu in ((a, known[0]), (b, kish[1]), (a, kish[0]))
    )
    growth = a.mean() / b.mean()
    left = np.log((a.sum() - a) / (b.sum() - b)) - math.log(growth)
    low, high = _around(growth, stats.t.ppf(0.975, min(kish)) * math.sqrt(11 / 12 * float((left**2).sum())))
    excess = excess_accumulated_error(read(free), read(forced, "repair"))
    mean = Estimate(float(a.mean()), (a - a.mean()).ravel() / 12, 12)
    return (
        close(ends(take(free, "kl_free_running")), own)
        and close(ends(take(forced, "kl_teacher_forced", "repair")), oracle)
        and close(log_interval(mean, a.ravel()), by_kish)
        and close(ends(excess), (100 * (low - 1), 100 * (high - 1)))
    )


def _around(middle: float, half: float) -> tuple[float, float]:
    return middle * math.exp(-half), middle * math.exp(half)


def a_difference_uses_both_intervals_and_their_correlation() -> bool:
    """MOVER by hand: a reaches 0.1 down and 0.3 up, b 0.2 down and 0.4 up; correlations -0.5 and 1."""
    u = np.array([[1.0], [-2.0], [1.0]])
    a = Side(np.array([0.5]), np.array([0.4]), np.array([0.8]), u)
    answers = []
    for r, v in ((-0.5, np.array([[1.0], [1.0], [-2.0]])), (1.0, 2 * u)):
        low, high = difference_interval(a, Side(np.array([0.2]), np.array([0.0]), np.array([0.6]), v))
        reach = [math.sqrt(x * x + y * y - 2 * r * x * y) for x, y in ((0.1, 0.4), (0.3, 0.2))]
        answers.append(close((float(low[0]), float(high[0])), (0.3 - reach[0], 0.3 + reach[1])))
    return all(answers)


def _arms() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Injected and healed tables of 90 items, one own step; the second lacks items 0 and 1 and gains two others."""
    rng = np.random.default_rng(5)
    item, hard = np.arange(92), rng.random(92)
    frames = []
    for kind, factor, kept in (("injected", 0.9, item < 90), ("healed", 0.6, item >= 2)):
        wrong = rng.random(92) < factor * hard
        rows = ((int(i), "rr" + "rs"[int(e)], "horizon") for i, e in zip(item[kept], wrong[kept], strict=True))
        frames.append(steps(*rows, forced=["healed", kind, ""] * 90))
    return frames[0], frames[1]


def contrasts_are_paired_by_item() -> bool:
    """Items 2 ... 89 are in both tables: difference and ratio from them alone."""
    tables = _arms()
    injected, healed = (read(frame) for frame in tables)
    y, z = (
        frame.filter(pl.col("t") == 2, pl.col("item").is_between(2, 89))["event"].eq("slip").to_numpy().astype(float)
        for frame in tables
    )
    ours, theirs = np.cov(y / y.mean(), z / z.mean(), ddof=1) / 88
    half = stats.t.ppf(0.975, 87) * math.sqrt(ours[0] + theirs[1] - 2 * ours[1])
    q = float(y.mean() / z.mean()) * (1 + ours[1]) / (1 + theirs[1])
    sides = []
    for v in (y, z):
        u = (v - v.mean()) / 88
        one = effective(float(v.mean()), u)
        sides.append(Side(np.array([v.mean()]), np.array([one[0]]), np.array([one[1]]), u[:, None]))
    low, high = difference_interval(sides[0], sides[1])
    reading = self_conditioning(injected, healed, 1)
    ratio_of = self_conditioning_ratio(injected, healed, 1)
    return close(ends(reading), (float(low[0]), float(high[0]))) and close(
        ends(ratio_of), (q * math.exp(-half), q * math.exp(half))
    )


def gaps_pair_items_by_name() -> bool:
    """The same items in another order of names, and a gap narrower than of strangers."""
    rng = np.random.default_rng(7)
    rate = rng.beta(0.7, 4, 60)
    wrong = rng.random((60, 6)) < rate[:, None]
    lived = ["".join("rs"[int(e)] for e in row) for row in wrong]
    free = read(steps(*((i, life, "horizon") for i, life in enumerate(lived))))
    mass = np.repeat(1 - rate, 6)
    forced = steps(*((i, "r" * 6, "horizon") for i in range(60)), right_mass=[float(m) for m in mass])
    ours = [gap(free, read(forced, "repair"), 4) for gap in (survival_gap_constant, survival_gap_mixed)]
    late = forced.with_columns(pl.col("item") + 60)
    strangers = survival_gap_mixed(free, read(late, "repair"), 4)
    more = pl.concat([forced.with_columns(pl.col("item") - 60), forced])
    both = survival_gap_mixed(free, read(more, "repair"), 4)
    narrower = all(r.high - r.low < 0.9 * (strangers.high - strangers.low) for r in ours)
    return narrower and both.high - both.low < strangers.high - strangers.low


def a_ratio_of_hazards_by_hand() -> bool:
    """Two tied errors among four at risk: r^2 - 3 r - 6 = 0. A rollout seen twice says what it says once."""
    ours, theirs = lives(np.array([1, 1, 6]), FIRST), lives(np.array([9, 6, 8]), np.array([True, True, False]))
    value = hazard_ratio(read(ours), read(theirs.with_columns(pl.col("item") + 3))).value
    rng = np.random.default_rng(11)
    seen = [(rng.geometric(h, 25), rng.random(25) < 0.9, np.arange(25)) for h in (0.2, 0.35)]
    once, twice = (hazard_ratio(*(_copied(one, copies) for one in seen)) for copies in (1, 2))
    same = close(ends(once), ends(twice)) and math.isclose(once.value, twice.value)
    return math.isclose(value, (3 + math.sqrt(33)) / 2) and same and once.low < once.value < once.high


def _copied(one: tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]], copies: int) -> Arm:
    time, failed, item = one
    return read(lives(np.tile(time, copies), np.tile(failed, copies), np.tile(item, copies)))


FIRST = np.array([True, False, True])

CONTRAST_CHECKS: tuple[Callable[[], bool], ...] = (
    positive_means_have_t_intervals_on_the_log_scale,
    a_difference_uses_both_intervals_and_their_correlation,
    contrasts_are_paired_by_item,
    gaps_pair_items_by_name,
    a_ratio_of_hazards_by_hand,
)
