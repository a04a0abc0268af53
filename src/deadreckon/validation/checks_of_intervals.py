"""Fast checks of intervals: against formulas written a second time, and against laws that clustering must obey."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import stats

from deadreckon.contracts import Reading
from deadreckon.instruments import measure, read
from deadreckon.instruments.decline import Slopes, fieller
from deadreckon.instruments.stats import Estimate, bootstrap_weights, clopper_pearson, mean_intervals
from deadreckon.instruments.survival import first_errors
from deadreckon.validation import tally
from deadreckon.validation.case import Case, replicate
from deadreckon.validation.checks_of_contrasts import CONTRAST_CHECKS
from deadreckon.validation.formulas import close, effective, ends, exact, ratio, satterthwaite
from deadreckon.validation.hand import lives, steps, take

Floats = NDArray[np.float64]

RNG_ITEMS, RNG_STEPS = 40, 8


def unequal(rollouts: int = 1) -> pl.DataFrame:
    """Items that differ: 40 of them, 8 steps, every rollout of an item alike."""
    rng = np.random.default_rng(2)
    rate = rng.beta(0.5, 2, RNG_ITEMS)
    wrong = rng.random((RNG_ITEMS, RNG_STEPS)) < rate[:, None]
    return steps(
        *((i, "".join("rs"[int(e)] for e in row), "horizon") for i, row in enumerate(wrong) for _ in range(rollouts))
    )


def errors_by_item(frame: pl.DataFrame) -> Floats:
    """Errors of each item."""
    counts = frame.group_by("item", maintain_order=True).agg((pl.col("event") == "slip").sum())
    return counts["event"].to_numpy().astype(float)


def exact_intervals_are_scipys() -> bool:
    """Clopper-Pearson at 0, a few, and all of 30."""
    ours = [clopper_pearson(float(k), 30.0) for k in (0, 3, 30)]
    peers = [stats.binomtest(k, 30).proportion_ci(0.95, "exact") for k in (0, 3, 30)]
    return all(close((float(a[0]), float(a[1])), (b.low, b.high)) for a, b in zip(ours, peers, strict=True))


def a_rate_has_the_interval_of_its_items() -> bool:
    """Items as clusters, t, effective size."""
    frame = unequal()
    r, u = ratio(errors_by_item(frame), np.full(RNG_ITEMS, float(RNG_STEPS)))
    return close(ends(take(frame, "step_error")), effective(r, u))


def a_rate_over_unequal_lengths_is_a_ratio() -> bool:
    """Long rollouts count for more, in value and spread."""
    rng = np.random.default_rng(6)
    length, rate = rng.integers(1, 9, RNG_ITEMS), rng.beta(0.5, 1, RNG_ITEMS)
    wrong = (rng.random((RNG_ITEMS, 8)) < rate[:, None]) & (np.arange(8) < length[:, None])
    lived = ("".join("rs"[int(e)] for e in row[:n]) for row, n in zip(wrong, length, strict=True))
    r, u = ratio(wrong.sum(axis=1).astype(float), length.astype(float))
    reading = take(steps(*((i, life, "horizon") for i, life in enumerate(lived))), "step_error")
    return abs(reading.value - r) < 1e-12 and close(ends(reading), effective(r, u))


def survival_has_greenwoods_variance() -> bool:
    """One rollout an item, ties and censoring."""
    rng = np.random.default_rng(1)
    time, failed = rng.integers(1, 12, 120), rng.random(120) < 0.5
    curve = first_errors(read(lives(time, failed))).curve()
    s, total = 1.0, 0.0
    for n in range(1, 9):
        at_risk, died = int((time >= n).sum()), int(((time == n) & failed).sum())
        s *= 1 - died / at_risk
        total += died / (at_risk * (at_risk - died))
        spread = s * s * total
        if not math.isclose(float((curve.influence[:, n - 1] ** 2).sum()), spread, rel_tol=1e-9):
            return False
    return True


def survival_of_items_with_repeats_has_the_interval_of_their_effective_number() -> bool:
    """Two rollouts an item, never censored: the share alive, items as clusters."""
    rng = np.random.default_rng(11)
    time = np.minimum(rng.geometric(rng.beta(1, 4, 60)[:, None], (60, 2)), 9)
    lives = (
        (i, "r" * min(int(t), 8) if t > 8 else "r" * (int(t) - 1) + "s", "broken")
        for i, row in enumerate(time)
        for t in row
    )
    reading = take(steps(*lives), "survival")
    alive = (time > 4).mean(axis=1)
    u = (alive - alive.mean()) / 60
    return reading.curve is not None and close(
        (reading.curve.low[3], reading.curve.high[3]), effective(alive.mean(), u)
    )


def an_uncensored_curve_has_the_exact_interval() -> bool:
    """One rollout an item: the share alive is binomial."""
    time = np.random.default_rng(12).integers(1, 10, 70)
    reading = take(lives(time, np.ones(70, bool)), "survival")
    alive = int((time > 4).sum())
    return reading.curve is not None and close((reading.curve.low[3], reading.curve.high[3]), exact(alive, 70))


def a_curve_that_fell_to_zero_has_a_high_end() -> bool:
    """Two rollouts an item: the step before's, times the bound of the few items at risk in the last."""
    s = take(steps(*((i, "rs" if i % 4 else "s", "broken") for i in range(20) for _ in range(2))), "survival")
    before = s.curve.high[0] if s.curve is not None else math.nan
    return close(ends(s), (0.0, before * exact(0, 15)[1]))


def rollouts_that_always_agree_count_once() -> bool:
    """Four copies of every rollout say no more than two: rates, survival, hazard."""
    twice, often = unequal(2), unequal(4)
    pairs = [(take(twice, name), take(often, name)) for name in ("step_error", "survival", "hazard")]
    return all(math.isclose(a.high - a.low, b.high - b.low, rel_tol=1e-6) for a, b in pairs)


def families_are_the_unit_where_given() -> bool:
    """Five items a family: 8 clusters."""
    frame = unequal().with_columns(family=pl.format("f{}", pl.col("item") // 5))
    r, u = ratio(errors_by_item(frame).reshape(8, 5).sum(axis=1), np.full(8, 5.0 * RNG_STEPS))
    return close(ends(take(frame, "step_error")), effective(r, u))


def no_event_claims_what_the_design_bounds() -> bool:
    """No error in 30 items of 2 x 5 steps: a hazard may claim 150 steps, an error rate 30 items."""
    frame = steps(*((i, "rrrrr", "horizon") for i in range(30) for _ in range(2)))
    rate, first = take(frame, "step_error"), take(frame, "hazard")
    return close(ends(rate), exact(0, 30)) and close(ends(first), exact(0, 150))


def nothing_estimable_has_zero_width() -> bool:
    """One item, no event, all events, one step. A horizon is a whole number: one step alone may be its interval."""
    tables = (
        steps((1, "rrsr", "horizon"), (1, "rrrr", "horizon")),
        steps(*((i, "rrr", "horizon") for i in range(9))),
        steps(*((i, "ss", "horizon") for i in range(9))),
        steps((1, "r", "horizon"), (2, "s", "horizon")),
    )
    extra = {"true_state": pl.col("event") == "right", "tokens": pl.lit(2), "kl_pq": pl.lit(0.5)}
    readings = [r for frame in tables for r in measure(frame.with_columns(**extra))]
    return all(r.low < r.high or r.unit == "steps" if not math.isnan(r.low) else bool(r.reason) for r in readings)


def a_mean_of_constants_has_no_interval() -> bool:
    """A spread of 0 is no knowledge."""
    low, _ = mean_intervals(np.array([1.0]), np.array([0.0]), 10)
    return bool(np.isnan(low[0]))


def occupancy_law_has_the_delta_interval_of_its_log_odds() -> bool:
    """From totals of 30 items."""
    rng = np.random.default_rng(4)
    state = rng.random((30, 10)) < 0.7
    frame = steps(*((i, "r" * 10, "horizon") for i in range(30)), true_state=[bool(s) for s in state.ravel()])
    before = np.concatenate([np.ones((30, 1), bool), state[:, :-1]], axis=1)
    h, u = ratio((before & ~state).sum(axis=1).astype(float), before.sum(axis=1).astype(float))
    g, v = ratio((~before & state).sum(axis=1).astype(float), (~before).sum(axis=1).astype(float))
    w, off = v / g - u / h, (~before).any(axis=1)  # items that were ever off
    spread = [c / (c - 1) * float((x**2).sum()) for x, c in ((v / g, off.sum()), (u / h, 30))]
    known = [satterthwaite(v[off]), satterthwaite(u)]
    nu = sum(spread) ** 2 / sum(part**2 / each for part, each in zip(spread, known, strict=True))
    half = stats.t.ppf(0.975, nu) * math.sqrt(30 / 29 * float((w**2).sum()))
    low, high = (1 / (1 + h / g * math.exp(s * half)) for s in (1, -1))
    return close(ends(take(frame, "occupancy_law")), (low, high))


def a_rate_that_few_items_hold_is_known_by_few() -> bool:
    """Two of 30 items err often, two once: error rate of a chain, and exact teacher-forced error."""
    wrong = np.zeros((30, 10), dtype=bool)
    wrong[:4, [1, 4, 7]] = [[True] * 3] * 2 + [[True, False, False]] * 2
    frame = steps(
        *((i, "".join("rs"[int(e)] for e in row), "horizon") for i, row in enumerate(wrong)),
        true_state=[not e for e in wrong.ravel()],
        right_mass=[1.0 - e for e in wrong.ravel()],
    )
    before = np.concatenate([np.ones((30, 1), bool), ~wrong[:, :-1]], axis=1)
    h, u = ratio((before & wrong).sum(axis=1).astype(float), before.sum(axis=1).astype(float))
    e, v = ratio(wrong.sum(axis=1).astype(float), np.full(30, 10.0))
    return close(ends(take(frame, "error_rate")), effective(h, u, satterthwaite(u))) and close(
        ends(take(frame, "teacher_forced_error_exact", "repair")), effective(e, v, satterthwaite(v))
    )


def constancy_in_two_cells_is_a_t_test() -> bool:
    """Of errors in steps 3 and 4 beyond those that a constant hazard leads to expect."""
    wrong = np.random.default_rng(3).random((80, 4)) < 0.13
    frame = steps(*((i, "".join("rs"[int(e)] for e in row), "horizon") for i, row in enumerate(wrong)))
    y = np.concatenate([np.ones((80, 1), bool), ~np.maximum.accumulate(wrong[:, :-1], axis=1)], axis=1)
    d = wrong & y
    h, share = d.sum() / y.sum(), y[:, 2:].sum() / y.sum()
    left = d - h * y
    late = left[:, 2:].sum(axis=1) - share * left.sum(axis=1)
    reading = take(frame, "constancy_by_step", "stop")
    return "2 cells of steps, the last from 3" in reading.reason and bool(
        np.isclose(reading.value, stats.ttest_1samp(late, 0.0).pvalue, rtol=1e-9)
    )


def a_share_of_a_slope_is_free_of_its_leading_bias() -> bool:
    """Over draws of two correlated slopes, one four standard errors from 0; the quotient's own mean is 0.1 off."""
    rng = np.random.default_rng(12)
    spread = np.array([[1.0, -0.8], [-0.8, 1.0]])
    influence = np.linalg.cholesky(spread) @ np.array([[1.0, -1.0, 0, 0], [0, 0, 1.0, -1.0]]) * math.sqrt(3 / 8)
    found = []
    for a, b in rng.multivariate_normal([2.0, 4.0], spread, 4000):
        within, pooled = (Estimate(float(one), u, 4) for one, u in zip((a, b), influence, strict=True))
        found.append(fieller(Slopes(within, pooled))[0])
    return abs(float(np.median(found)) - 0.5) < 0.1 and abs(float(np.mean(found)) - 0.5) < 0.05 * float(np.std(found))


def bootstrap_draws_are_of_clusters() -> bool:
    """As many as there are, with replacement, another draw each time."""
    draws = bootstrap_weights(np.random.default_rng(8), 50, 400)
    total = bool((draws.sum(axis=1) == 50).all() and draws.any(axis=0).all())
    return total and abs(float(draws.var()) - (1 - 1 / 50)) < 0.05 and len(np.unique(draws, axis=0)) == 400


def _nothing(_: np.random.Generator) -> dict[str, Reading]:
    return {}


def replicates_draw_afresh() -> bool:
    """No two replicates, cells or seeds share their draws."""
    one, other = (Case("law", cell, 1, _nothing, {}) for cell in ("a", "b"))
    places = ((one, 0, 0), (one, 0, 1), (other, 0, 0), (one, 1, 0))
    return len({float(replicate(case, seed, place).random()) for case, seed, place in places}) == 4


def the_count_sees_misses_on_both_sides() -> bool:
    """Truth 0.5: held, held at the very end, too low, too high, withheld; a p-value of 0.05 rejects."""
    intervals = ((0.4, 0.6), (0.5, 0.6), (0.1, 0.4), (0.6, 0.7), (math.nan, math.nan))
    case = Case("law", "cell", 60, _nothing, {"a": 0.5}, frozenset({"p"}))
    taken = [
        {
            "a": Reading("a", "1", 0.5, *i, 0.95, 9, "", reason="r"),
            "p": Reading("p", "p-value", p, math.nan, math.nan, 0.95, 9, ""),
        }
        for i, p in zip(intervals, (0.05, 0.5, 0.9, 0.01, 0.2), strict=True)
    ]
    a, p = tally.rows(case, tally.outcomes(case, taken))
    return (a.given, a.below, a.above, a.share) == (4, 1, 1, 0.5) and (p.given, p.above) == (5, 2)


INTERVAL_CHECKS: tuple[Callable[[], bool], ...] = (
    *CONTRAST_CHECKS,
    exact_intervals_are_scipys,
    a_rate_has_the_interval_of_its_items,
    a_rate_over_unequal_lengths_is_a_ratio,
    survival_has_greenwoods_variance,
    survival_of_items_with_repeats_has_the_interval_of_their_effective_number,
    an_uncensored_curve_has_the_exact_interval,
    a_curve_that_fell_to_zero_has_a_high_end,
    rollouts_that_always_agree_count_once,
    families_are_the_unit_where_given,
    no_event_claims_what_the_design_bounds,
    nothing_estimable_has_zero_width,
    a_mean_of_constants_has_no_interval,
    occupancy_law_has_the_delta_interval_of_its_log_odds,
    a_rate_that_few_items_hold_is_known_by_few,
    constancy_in_two_cells_is_a_t_test,
    a_share_of_a_slope_is_free_of_its_leading_bias,
    bootstrap_draws_are_of_clusters,
    replicates_draw_afresh,
    the_count_sees_misses_on_both_sides,
)
