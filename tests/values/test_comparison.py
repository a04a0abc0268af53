"""Comparison, plans, multiplicity, live bounds and prediction: by hand, and against other libraries' frozen values."""

import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from deadreckon.contracts import Reading, nan
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments import (
    anytime,
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    bonferroni_level,
    compare_arms,
    holm,
    log_rank,
    log_rank_stratified,
    mean_anytime,
    planning,
    predict,
    read,
    table_score,
)
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.compare import difference, difference_test, effect_size, items_better, ratio
from deadreckon.instruments.permutation import sign_test, two_sample_test
from deadreckon.instruments.planning import Components
from deadreckon.instruments.scores import (
    Score,
    completion_score,
    hazard_score,
    mean_score,
    occupancy_score,
    step_error_score,
    survival_score,
)
from deadreckon.instruments.survival import first_errors
from deadreckon.validation.planted_comparison import Duel, arms

ORACLE = json.loads((Path(__file__).parent / "oracles" / "comparison.json").read_text())
LETTERS = {"r": "right", "s": "slip", "m": "mend"}


def arm(*rollouts: tuple[int, str, str], **columns: list[object]) -> Arm:
    """Rollouts as (item, events, stop), one letter a step."""
    seen: dict[int, int] = {}
    rows = []
    for item, events, stop in rollouts:
        rollout = seen[item] = seen.get(item, -1) + 1
        for t, letter in enumerate(events):
            rows.append((item, rollout, t, LETTERS[letter], stop if t == len(events) - 1 else None))
    schema = {"item": pl.Int64, "rollout": pl.Int32, "t": pl.Int32, "event": pl.String, "stop": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return read(frame.with_columns(**{name: pl.Series(v) for name, v in columns.items()}))


def runs(times: list[int], failed: list[bool], first_item: int = 0) -> Arm:
    """One rollout an item: its length, and whether its last step was an error."""
    return arm(
        *(
            (first_item + i, "r" * (n - 1) + "rs"[e], "horizon")
            for i, (n, e) in enumerate(zip(times, failed, strict=True))
        )
    )


def values(x: list[float], items: list[int] | None = None, better_high: bool = True) -> Score:
    frame = pl.DataFrame({"item": items or list(range(len(x))), "success": [float(v) for v in x]})
    return table_score(frame, "success", higher_is_better=better_high)


# --- scores ---------------------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    ours = arm((1, "rrrr", "done"), (1, "rs", "broken"), (2, "rss", "cut"), (3, "rm", "done"), true_state=[True] * 11)
    s = survival_score(ours, 2)
    assert s.value == pytest.approx(2 / 4)
    assert s.each.tolist() == [0.5, 0.0, 1.0]
    h = hazard_score(ours)
    assert h.value == pytest.approx(2 / 10)
    assert h.each.tolist() == pytest.approx([1 / 6, 1 / 2, 0])
    assert step_error_score(ours).each.tolist() == pytest.approx([1 / 6, 2 / 3, 0])
    assert completion_score(ours).each.tolist() == pytest.approx([0.5, 1.0])
    assert completion_score(ours).labels.to_list() == [1, 3]
    assert occupancy_score(ours, 3).value == pytest.approx(3 / 4)  # the broken one ended off the track
    with pytest.raises(NotEstimable, match="S\\(9\\) asked"):
        survival_score(ours, 9)
    with pytest.raises(NotEstimable, match="not in the table"):
        mean_score(ours, "kl_pq")


def test_pseudo_values_of_survival_without_censoring_are_what_happened() -> None:
    ours = runs([1, 3, 5, 2, 4], [True, True, False, True, False])
    assert survival_score(ours, 2).pseudo == pytest.approx([0, 1, 1, 0, 1])


def test_a_clusters_own_survival_is_unknown_where_it_was_censored_before() -> None:
    each = survival_score(runs([2, 5, 5], [False, True, False]), 4).each
    assert np.isnan(each[0])
    assert each[1:].tolist() == [1, 1]


def test_a_table_score_is_the_weighted_mean_and_a_missing_value_is_left_out() -> None:
    frame = pl.DataFrame({"item": [1, 1, 2, 3], "success": [1.0, 0.0, 1.0, None], "weight": [1.0, 1.0, 2.0, 5.0]})
    score = table_score(frame, "success")
    assert score.value == pytest.approx(3 / 4)
    assert score.labels.to_list() == [1, 2]
    with pytest.raises(BadOption, match="without family"):
        table_score(frame, "success", "family")


# --- comparison -----------------------------------------------------------------------------------------


def test_comparison_by_hand() -> None:
    a, b = values([1, 1, 1, 0, 1, 0]), values([1, 0, 0, 0, 1, 1])
    assert difference(a, b).value == pytest.approx(4 / 6 - 3 / 6)
    assert ratio(a, b).value == pytest.approx(4 / 3)
    assert items_better(a, b).value == pytest.approx(2 / 6)
    exact = stats.binomtest(2, 6).proportion_ci(0.95, "exact")
    assert (items_better(a, b).low, items_better(a, b).high) == pytest.approx((exact.low, exact.high))
    d = np.array([0, 1, 1, 0, 0, -1])
    assert effect_size(a, b).value == pytest.approx((1 - 3 / 19) * d.mean() / d.std(ddof=1))
    assert difference_test(a, b).value == 1.0  # 3 differ: |sum| >= 1 whatever the signs
    assert items_better(values([1, 0], better_high=False), values([0, 0], better_high=False)).value == 0


def test_the_unpaired_effect_is_hedges_g() -> None:
    a, b = np.array([0.2, 0.5, 0.7, 0.9]), np.array([0.1, 0.2, 0.4])
    pooled = math.sqrt((3 * a.var(ddof=1) + 2 * b.var(ddof=1)) / 5)
    reading = effect_size(values(list(a)), values(list(b), [10, 11, 12]))
    assert reading.value == pytest.approx((1 - 3 / 19) * (a.mean() - b.mean()) / pooled)


def test_the_paired_test_is_the_t_test_and_beyond_few_items_exact_sign_flips() -> None:
    rng = np.random.default_rng(0)
    d = rng.normal(0.2, 1, 200)
    assert sign_test(d).p == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=1e-9)
    few = d[:10]
    peer = stats.permutation_test((few,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_test(few).p == pytest.approx(peer, abs=1e-12)
    discordant = np.array([1.0] * 9 + [-1.0] * 2 + [0] * 50)
    assert sign_test(discordant).p == pytest.approx(stats.binomtest(9, 11).pvalue)  # McNemar's exact test


def test_the_unpaired_test_is_welchs_and_with_few_items_a_relabelling() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 90), rng.normal(0.3, 2, 60)
    assert two_sample_test(a, b).p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-9)
    few = stats.permutation_test((a[:6], b[:5]), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf).pvalue
    assert two_sample_test(a[:6], b[:5]).p == pytest.approx(few, abs=0.02)
    rare = two_sample_test(np.array([1.0] * 4 + [0] * 16), np.zeros(20)).p
    assert rare == pytest.approx(stats.fisher_exact([[4, 16], [0, 20]]).pvalue, abs=0.01)


def test_which_unpaired_test_is_made_does_not_depend_on_the_gap_seen() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        pool = np.sort(rng.lognormal(0, 0.8, 40))
        splits = [(pool[:20], pool[20:]), *(np.split(rng.permutation(pool), 2) for _ in range(5))]
        assert len({two_sample_test(*split).how.startswith("t =") for split in splits}) == 1
    apart = two_sample_test(np.ones(20), np.zeros(20))  # nothing varies within: no t
    assert apart.p == pytest.approx(1 / 5000)


def test_pairing_narrows_the_difference_where_items_differ() -> None:
    rng = np.random.default_rng(2)
    level = rng.random(80)
    x, y = (level + rng.normal(0, 0.02, 80) + 2 for _ in range(2))
    paired, apart = difference(values(list(x)), values(list(y))), difference(
        values(list(x)), values(list(y), list(range(100, 180)))
    )  # fmt: skip
    assert paired.high - paired.low < (apart.high - apart.low) / 5
    assert "paired by item" in paired.method
    assert "no item shared" in apart.method
    ci = stats.ttest_rel(x, y).confidence_interval()
    assert (paired.low, paired.high) == pytest.approx((ci.low, ci.high), rel=0.02)


def test_a_partly_shared_comparison_says_so() -> None:
    a, b = values([1, 0, 1, 0] * 8), values([0, 0, 1, 0] * 8, list(range(16, 48)))
    assert "paired on 16 of 48 items" in difference(a, b).method
    assert 0 < difference_test(a, b).value < 1


def test_arms_labelled_by_items_and_by_families_are_refused() -> None:
    a = values([1, 0, 1])
    family = table_score(pl.DataFrame({"family": ["x", "y"], "success": [1.0, 0.0]}), "success", "family")
    assert "different units" in difference_test(a, family).reason
    with pytest.raises(NotEstimable, match="different units"):
        difference(a, family)


# --- log-rank -------------------------------------------------------------------------------------------


def test_log_rank_agrees_with_statsmodels_and_lifelines() -> None:
    frozen = ORACLE["log_rank"]
    one, two = (runs(t, e, 1000 * i) for i, (t, e) in enumerate(zip(frozen["times"], frozen["failed"], strict=True)))
    reading = log_rank(one, two)
    assert reading.value == pytest.approx(frozen["survdiff"][1], rel=1e-9)
    assert reading.value == pytest.approx(frozen["lifelines"], rel=1e-9)
    assert f"chi-squared = {frozen['survdiff'][0]:.3f}" in reading.method


def test_paired_log_rank_is_exact_under_an_exchange_of_arms() -> None:
    ours, theirs = runs([1, 2, 3, 2], [True] * 4), runs([3, 3, 4, 1], [True, True, False, True])
    seen = first_errors(ours).length, first_errors(theirs).length
    died = first_errors(ours).failed, first_errors(theirs).failed

    def gap(swap: int) -> float:
        first = np.array([swap >> i & 1 for i in range(4)], bool)
        t1, t2 = np.where(first, seen[1], seen[0]), np.where(first, seen[0], seen[1])
        e1, e2 = np.where(first, died[1], died[0]), np.where(first, died[0], died[1])
        total = 0.0
        for t in range(1, 5):
            y1, y2 = (t1 >= t).sum(), (t2 >= t).sum()
            d1, d2 = (e1 & (t1 == t)).sum(), (e2 & (t2 == t)).sum()
            total += d1 - (d1 + d2) * y1 / max(y1 + y2, 1)
        return float(total)

    gaps = np.array([abs(gap(swap)) for swap in range(16)])
    assert log_rank(ours, theirs).value == pytest.approx((gaps >= gaps[0] - 1e-9).mean())


def test_stratified_log_rank_of_single_rollouts_is_the_sign_test_of_who_failed_first() -> None:
    ours, theirs = runs([1, 1, 2, 1, 3, 1], [True] * 6), runs([4, 4, 4, 3, 1, 2], [True] * 6)
    assert log_rank_stratified(ours, theirs).value == pytest.approx(stats.binomtest(5, 6).pvalue)


def test_log_rank_of_a_billion_rollouts_does_not_overflow() -> None:
    plain = arms(Duel(1000, 0.1, 0.12, 1, paired=False), np.random.default_rng(3))
    heavy = [replace(one, weight=one.weight * 1e6) for one in plain]
    chi = stats.chi2.isf(log_rank(*heavy).value, 1) if log_rank(*heavy).value > 0 else np.inf
    assert chi > 1e3 * stats.chi2.isf(log_rank(*plain).value, 1)


# --- multiplicity ---------------------------------------------------------------------------------------


def p_values(values: list[float]) -> list[Reading]:
    return [Reading(f"p{i}", "p-value", p, nan, nan, 0.95, 50, "planted") for i, p in enumerate(values)]


@pytest.mark.parametrize(
    ("adjust", "peers"),
    [
        (holm, ["holm"]),
        (bonferroni, ["bonferroni"]),
        (benjamini_hochberg, ["fdr_bh", "scipy_bh"]),
        (benjamini_yekutieli, ["fdr_by", "scipy_by"]),
    ],
)
def test_adjusted_p_values_agree_with_statsmodels_and_scipy(adjust: object, peers: list[str]) -> None:
    assert callable(adjust)
    order = np.random.default_rng(0).permutation(len(ORACLE["p"]))
    found = [r.value for r in adjust(p_values([ORACLE["p"][i] for i in order]))]
    for peer in peers:
        assert found == pytest.approx([ORACLE[peer][i] for i in order], rel=1e-12)


def test_what_was_not_estimable_stays_so_and_does_not_count() -> None:
    adjusted = holm(p_values([0.01, nan, 0.04]))
    assert [adjusted[0].value, adjusted[2].value] == pytest.approx([0.02, 0.04])
    assert math.isnan(adjusted[1].value)
    assert "Holm, family-wise over 2 tests" in adjusted[0].method
    assert holm([]) == []
    with pytest.raises(BadOption, match="no p-value"):
        holm([Reading("hazard", "errors per step", 0.1, nan, nan, 0.95, 5, "x")])


def test_simultaneous_intervals_are_wider_and_say_their_level() -> None:
    a, b = values([1, 1, 1, 0, 1, 0] * 5), values([1, 0, 0, 0, 1, 1] * 5)
    one, many = difference(a, b), difference(a, b, bonferroni_level(10))
    assert many.level == pytest.approx(0.995)
    assert many.low < one.low < one.high < many.high


# --- plans ----------------------------------------------------------------------------------------------


def test_power_and_items_agree_with_statsmodels() -> None:
    for effect, items, frozen in ORACLE["power"]:
        assert planning.power(Components(1.0, 0.0), effect, items) == pytest.approx(frozen, abs=1e-6)
        found = planning.minimal_detectable_effect(Components(1.0, 0.0), items, 1, frozen).value
        assert found == pytest.approx(effect, rel=1e-4)
    for effect, frozen in ORACLE["items"]:
        assert planning.items_for_effect(Components(1.0, 0.0), effect).value == math.ceil(frozen)


def test_plans_by_hand() -> None:
    assert planning.items_for_no_event(0.01).value == 299
    assert (1 - 0.01) ** 299 <= 0.05 < (1 - 0.01) ** 298
    assert planning.items_for_no_event(0.05).value == 59
    parts = Components(0.01, 0.04)
    n = planning.items_for_width(parts, 0.02, 4).value
    assert n == 195  # t_194 sqrt(0.02 / 195) = 0.01997, and 0.02002 with 194
    assert planning.best_repeats(parts, 9.0, 1.0).value == 6  # sqrt(4 * 9)
    assert planning.best_repeats(parts, 0.0, 1.0).value == 1
    assert planning.rate_components(0.2, 0.3) == Components(pytest.approx(0.048), pytest.approx(0.112))
    few, many = (planning.items_for_rate_width(0.1, 0.05, 4, rho).value for rho in (0.0, 0.5))
    assert many == pytest.approx(2.5 * few, rel=0.05)
    with pytest.raises(BadOption, match="bound"):
        planning.items_for_no_event(0.0)


def test_components_are_those_of_one_way_analysis_of_variance() -> None:
    item = np.repeat(np.arange(3), 2)
    x = np.array([1.0, 3.0, 4.0, 6.0, 8.0, 8.0])
    parts = planning.components(x, item)
    assert parts.within == pytest.approx((2 + 2 + 0) / 3)
    assert parts.between == pytest.approx((2 * ((2 - 5) ** 2 + 0 + 9) / 2 - 4 / 3) / 2)
    with pytest.raises(NotEstimable, match="repeated"):
        planning.components(x, np.arange(6))
    gap = planning.difference_components((x, item), (x[::-1].copy(), item))
    assert gap.within == pytest.approx(8 / 3)
    assert gap.between == pytest.approx(np.var([-6, 0, 6], ddof=1) - 4 / 3)


# --- live bounds ----------------------------------------------------------------------------------------


def test_betting_bounds_agree_with_a_gambler_who_plays_one_bet_at_a_time() -> None:
    x = (np.random.default_rng(4).random(60) < 0.3).astype(float)

    def ruined(m: float, flip: bool) -> bool:
        seen: list[float] = []
        capital, total, squares = 1.0, 0.5, 0.25
        variance = 0.25
        for t, value in enumerate(1 - x if flip else x, 1):
            stake = min(math.sqrt(2 * math.log(40) / (variance * t * math.log(t + 1))), 0.5 / m)
            capital *= 1 + stake * (value - m)
            if capital >= 40:
                return True
            seen.append(value)
            total += value
            squares += (value - total / (t + 1)) ** 2
            variance = squares / (t + 1)
        return False

    grid = np.arange(1, 1000) / 1000
    low = max((m for m in grid if ruined(m, False)), default=0.0)
    high = 1 - max((m for m in grid if ruined(m, True)), default=0.0)
    reading = mean_anytime(values(list(x)))
    assert reading.low == pytest.approx(low, abs=1.1e-3)
    assert reading.high == pytest.approx(high, abs=1.1e-3)
    assert reading.curve is not None
    assert reading.curve.x[-1] == 60
    assert list(reading.curve.low) == sorted(reading.curve.low)


def test_an_order_is_kept_and_items_without_a_number_are_left_out() -> None:
    score = values([0, 0, 1, 1])
    assert mean_anytime(score, np.array([2, 3, 0, 1])).curve.value[0] == 1.0  # type: ignore[union-attr]
    assert anytime.e_value_below(score, 0.5).value == pytest.approx(
        float(np.exp(anytime.log_capital(np.array([1.0, 1, 0, 0]), np.array([0.5]))[0, -1]))
    )
    assert "0 ... 1" in mean_anytime(values([0, 2, 5])).reason


# --- prediction -----------------------------------------------------------------------------------------


def test_predictions_by_hand() -> None:
    times, failed = [1] * 10 + [2] * 10 + [4] * 60, [True] * 20 + [False] * 60
    first = first_errors(runs(times, failed))
    half = predict.until(first, 2)
    n = np.array([4.0])
    assert predict.constant(half)(n)[0] == pytest.approx((1 - 20 / 150) ** 4)
    assert predict.by_step(half)(n)[0] == pytest.approx((1 - 10 / 80) * (1 - 10 / 70) ** 3)
    assert predict.no_further(half)(n)[0] == pytest.approx(60 / 80)
    reading = predict.prediction_error(runs(times, failed), predict.no_further, "no_further", 4)
    assert reading.value == pytest.approx(0)


def test_fitted_laws_agree_with_a_direct_search() -> None:
    rng = np.random.default_rng(5)
    times = np.ceil(10 * rng.weibull(1.6, 400)).astype(int)
    first = first_errors(runs(np.minimum(times, 15).tolist(), (times <= 15).tolist()))
    law = predict.weibull(first)
    seen = np.minimum(times, 15)

    def loss(scale: float, shape: float) -> float:
        s = lambda n: np.exp(-((n / scale) ** shape))  # noqa: E731
        return -float(np.where(times <= 15, np.log(s(seen - 1.0) - s(seen) + 1e-300), np.log(s(seen))).sum())

    grid = [(loss(a, b), a, b) for a in np.linspace(8, 12, 41) for b in np.linspace(1.2, 2.0, 41)]
    _, a, b = min(grid)
    assert law(np.array([20.0]))[0] == pytest.approx(math.exp(-((20 / a) ** b)), abs=0.01)
    assert predict.log_logistic(first)(np.array([10.0]))[0] == pytest.approx(first.curve().value[9], abs=0.05)


def test_the_law_that_was_planted_predicts_held_out_steps_best() -> None:
    ours, _ = arms(Duel(800, 0.08, 0.08, 1), np.random.default_rng(6))
    scores = {name: predict.log_score(ours, fit, name).value for name, fit in predict.FITS.items()}
    assert scores["constant"] < scores["log_logistic"]
    assert scores["constant"] < scores["no_further"] / 3
    brier = predict.brier_score(ours, predict.constant, "constant").value
    assert brier == pytest.approx(0.08 * 0.92, abs=0.02)


# --- degenerate inputs ----------------------------------------------------------------------------------

EMPTY = read(
    pl.DataFrame(schema={"item": pl.Int64, "rollout": pl.Int32, "t": pl.Int32, "event": pl.String, "stop": pl.String})
)
DEGENERATE = {
    "no rows": EMPTY,
    "one item": arm((1, "rrs", "broken"), (1, "rrrr", "done")),
    "one step": arm((1, "r", "done"), (2, "s", "broken"), (3, "r", "done")),
    "no events": arm(*((i, "rrrrrr", "horizon") for i in range(30))),
    "all events at once": arm(*((i, "s", "broken") for i in range(30))),
    "all censored": arm(*((i, "r" * (1 + i % 5), "cut") for i in range(30))),
    "all tied": arm(*((i, "rrrs", "broken") for i in range(30))),
}
SCORES = {
    "survival": partial(survival_score, n=1),
    "hazard": hazard_score,
    "step error": step_error_score,
    "completion": completion_score,
    "occupancy": partial(occupancy_score, n=1),
    "mean": partial(mean_score, column="kl_pq"),
}


def honest(reading: Reading) -> None:
    """No zero width, no interval without a value, and nothing missing without its reason."""
    assert reading.low != reading.high, reading
    assert math.isnan(reading.low) == math.isnan(reading.high), reading
    assert not math.isnan(reading.low) or reading.reason, reading
    assert not math.isinf(reading.value) or reading.reason


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_arms_give_no_zero_width_and_a_reason(case: str) -> None:
    ours = DEGENERATE[case]
    for score in SCORES.values():
        for theirs in (ours, DEGENERATE["one step"]):
            for reading in compare_arms(ours, theirs, score):
                honest(reading)
    for theirs in (ours, DEGENERATE["one step"]):
        honest(log_rank(ours, theirs))
        honest(log_rank_stratified(ours, theirs))
    for reading in predict.predictions(ours):
        honest(reading)
        if case != "no events" or "no_further" not in reading.quantity:
            assert math.isnan(reading.low), reading


@pytest.mark.parametrize("x", [[1.0], [0.0, 0.0], [1.0, 1.0, 1.0], [0.5] * 40, [nan, 1.0], [0.0] * 39 + [1.0]])
def test_degenerate_scores_give_no_zero_width_and_a_reason(x: list[float]) -> None:
    a, b = values(x), values([1 - v for v in x])
    for one, two in ((a, a), (a, b), (b, a)):
        for comparison in (difference, ratio, effect_size, difference_test, items_better):
            honest(comparison(one, two))
        honest(anytime.difference_anytime(one, two))
        honest(anytime.p_anytime_difference(one, two))
    for reading in (
        anytime.mean_anytime(a),
        anytime.mean_anytime_bernstein(a),
        anytime.p_anytime_below(a, 0.5),
        anytime.e_value_below(a, 0.5),
    ):
        honest(reading)
        assert reading.value >= 0
    assert "between 0 and 1" in anytime.p_anytime_below(a, 1.0).reason


def test_degenerate_plans_say_why() -> None:
    none = Components(0.0, 0.0)
    for reading in (
        planning.minimal_detectable_effect(none, 10),
        planning.minimal_detectable_effect(Components(1, 1), 1),
        planning.items_for_effect(Components(1, 1), 1e-9),
        planning.best_repeats(none, 1, 1),
        planning.best_repeats(Components(0.0, 1.0), 1, 1),
    ):
        honest(reading)
        assert not math.isfinite(reading.value)
