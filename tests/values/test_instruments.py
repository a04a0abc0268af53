"""Instruments against hand-computed cases and independent implementations."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from scipy import optimize, stats

from deadreckon.contracts import Reading
from deadreckon.errors import BadOption
from deadreckon.instruments import (
    INSTRUMENTS,
    excess_accumulated_error,
    log_loss_identity,
    measure,
    read,
    self_conditioning,
    self_conditioning_ratio,
    survival_gap_constant,
    survival_gap_mixed,
)
from deadreckon.instruments.calibration import _bins, claims
from deadreckon.instruments.survival import first_errors
from deadreckon.validation import planted
from deadreckon.validation.planted import Cell

EVENTS = {"r": "right", "s": "slip", "m": "mend", "i": "illegal", "u": "unparsed", "-": None}
STATES = {"T": True, "F": False, "?": None}


def table(*rollouts: tuple[int, str, str], **columns: Sequence[object]) -> pl.DataFrame:
    """Rollouts as (item, events, stop): one letter a step, "-" the step that never happened."""
    seen: dict[int, int] = {}
    rows = []
    for item, events, stop in rollouts:
        rollout = seen[item] = seen.get(item, -1) + 1
        for t, letter in enumerate(events):
            rows.append((item, rollout, t, EVENTS[letter], stop if t == len(events) - 1 else None))
    schema = {"item": pl.Int64, "rollout": pl.Int32, "t": pl.Int32, "event": pl.String, "stop": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(**{name: pl.Series(values, strict=False) for name, values in columns.items()})


def take(frame: pl.DataFrame, name: str, on_error: str = "accept") -> Reading:
    return INSTRUMENTS[name](read(frame, on_error))


HAND = table((1, "rrrr", "done"), (2, "rs", "broken"), (3, "r-", "cut"), (4, "rrs", "lost"), (5, "s", "broken"))


def test_survival_by_hand() -> None:
    # at risk 5, 3, 2, 1; errors 1, 1, 1, 0: item 3 leaves after one step, its second never happened
    reading = take(HAND, "survival")
    assert reading.curve is not None
    assert reading.curve.value == pytest.approx((0.8, 0.8 * 2 / 3, 0.8 * 2 / 3 * 0.5, 0.8 * 2 / 3 * 0.5))
    assert reading.curve.n == (5, 3, 2, 1)
    assert reading.n == 5


def test_hazard_by_hand() -> None:
    reading = take(HAND, "hazard")
    assert reading.value == pytest.approx(3 / 11)
    assert reading.curve is not None
    assert reading.curve.value == pytest.approx((1 / 5, 1 / 3, 1 / 2, 0))
    assert reading.low < 3 / 11 < reading.high


def test_cut_rollouts_bound_survival() -> None:
    failed, survived = take(HAND, "survival_if_cut_failed"), take(HAND, "survival_if_cut_survived")
    assert failed.curve is not None
    assert survived.curve is not None
    assert failed.curve.value[1] == pytest.approx(0.8 * 2 / 4)
    assert survived.curve.value[1] == pytest.approx(0.8 * 3 / 4)
    assert failed.curve.value[-1] <= take(HAND, "survival").value <= survived.curve.value[-1]


def test_incidences_add_up_with_survival_where_nothing_is_censored() -> None:
    frame = table((1, "rrrr", "done"), (2, "rs", "broken"), (3, "rr", "done"), (4, "rrs", "lost"), (5, "s", "broken"))
    error, done = take(frame, "incidence_error"), take(frame, "incidence_done")
    assert error.curve is not None
    assert done.curve is not None
    assert error.curve.value == pytest.approx((1 / 5, 2 / 5, 3 / 5, 3 / 5))
    assert done.curve.value == pytest.approx((0, 1 / 5, 1 / 5, 2 / 5))


def test_survival_agrees_with_scipy_on_censored_data() -> None:
    rng = np.random.default_rng(0)
    time, failed = rng.integers(1, 30, 200), rng.random(200) < 0.6
    frame = table(
        *((i, "r" * (n - 1) + "rs"[int(e)], "horizon") for i, (n, e) in enumerate(zip(time, failed, strict=True)))
    )
    reading = take(frame, "survival")
    peer = stats.ecdf(stats.CensoredData(uncensored=time[failed], right=time[~failed])).sf
    assert reading.curve is not None
    for n, value in zip(reading.curve.x, reading.curve.value, strict=True):
        assert value == pytest.approx(float(peer.evaluate(n)), abs=1e-12)


def test_survival_variance_is_greenwoods_where_every_item_has_one_rollout() -> None:
    rng = np.random.default_rng(1)
    time, failed = rng.integers(1, 20, 300), rng.random(300) < 0.5
    frame = table(
        *((i, "r" * (n - 1) + "rs"[int(e)], "horizon") for i, (n, e) in enumerate(zip(time, failed, strict=True)))
    )
    curve = first_errors(read(frame)).curve()
    s, total = 1.0, 0.0
    for n in range(1, 15):
        at_risk, died = int((time >= n).sum()), int(((time == n) & failed).sum())
        s *= 1 - died / at_risk
        total += died / (at_risk * (at_risk - died))
        assert (curve.influence[:, n - 1] ** 2).sum() == pytest.approx(s * s * total, rel=1e-9)


def test_survival_without_censoring_is_close_to_the_exact_binomial() -> None:
    frame = table(*((i, "rrrr" if i % 3 else "rrs", "horizon") for i in range(60)))
    reading = take(frame, "survival")
    exact = stats.binomtest(40, 60).proportion_ci(0.95, "exact")
    assert reading.value == pytest.approx(2 / 3)
    assert reading.low == pytest.approx(exact.low, abs=0.01)
    assert reading.high == pytest.approx(exact.high, abs=0.01)


def test_horizon_is_the_first_step_at_or_below_q_and_never_extrapolated() -> None:
    frame = table(*((i, "r" * i + "s", "broken") for i in range(10)))
    assert take(frame, "horizon_50").value == 5
    assert take(frame, "horizon_80").value == 2
    short = take(table(*((i, "rrrrr", "horizon") for i in range(30))), "horizon_50")
    assert math.isinf(short.value)
    assert (short.low, short.high) == (6, math.inf)
    assert "not reached within 5 steps" in short.reason


def test_forced_steps_are_never_the_models() -> None:
    forced = ["healed", "injected", "", "", "", "healed", "injected", "", "", ""]
    frame = table((1, "rsrrs", "horizon"), (2, "rsrrr", "horizon"), forced=forced)
    assert take(frame, "step_error").value == pytest.approx(1 / 6)
    reading = take(frame, "survival")
    assert reading.curve is not None
    assert reading.curve.value == pytest.approx((1, 1, 0.5))
    assert "first free step" in reading.reason


def test_occupancy_and_rates_by_hand() -> None:
    # off at step 2, back by a mend at 4 | done on track at 2 | off at 1, back after a fix at 3 | broken at once
    frame = table(
        (1, "rsrm", "horizon"),
        (2, "rr", "done"),
        (3, "srrr", "horizon"),
        (4, "i", "broken"),
        true_state=[STATES[c] for c in "TFFT" + "TT" + "FFTT" + "T"],
        fix=[False] * 6 + [False, False, True, False] + [False],
    )
    occupancy = take(frame, "occupancy")
    assert occupancy.curve is not None
    assert occupancy.curve.value == pytest.approx((2 / 4, 1 / 4, 2 / 4, 3 / 4))
    assert occupancy.value == pytest.approx(3 / 4)
    assert take(frame, "error_rate").value == pytest.approx(3 / 7)
    assert take(frame, "recovery_rate").value == pytest.approx(2 / 4)
    assert take(frame, "recovery_rate_earned").value == pytest.approx(2 / 4)
    assert take(frame, "recovery_rate_unearned").value == 0
    assert take(frame, "occupancy_law").value == pytest.approx((1 / 2) / (1 / 2 + 3 / 7))


def test_recovery_without_a_fix_or_a_mend_is_unearned() -> None:
    frame = table((1, "ss", "horizon"), (2, "sm", "horizon"), true_state=[False, True, False, True])
    assert take(frame, "recovery_rate_unearned").value == pytest.approx(0.5)
    assert take(frame, "recovery_rate_earned").value == pytest.approx(0.5)


@pytest.mark.parametrize("rule", ["stop", "skip", "repair"])
def test_recovery_is_fixed_by_every_rule_but_accept(rule: str) -> None:
    frame = table((1, "rs", "horizon"), (2, "rr", "horizon"), true_state=[True, False, True, True])
    for name in ("occupancy", "occupancy_law", "recovery_rate", "error_rate"):
        reading = take(frame, name, rule)
        assert math.isnan(reading.value)
        assert f"fixed by the rule {rule}" in reading.reason


def test_two_rollouts_of_one_item_that_always_agree_count_once() -> None:
    rng = np.random.default_rng(2)
    lives = ["".join("rs"[int(u < 0.1)] for u in rng.random(8)) for _ in range(40)]
    once = take(table(*((i, life, "horizon") for i, life in enumerate(lives))), "step_error")
    twice = take(table(*((i, life, "horizon") for i, life in enumerate(lives) for _ in range(2))), "step_error")
    assert twice.value == pytest.approx(once.value)
    assert twice.high - twice.low == pytest.approx(once.high - once.low, rel=0.05)


def test_families_are_the_unit_where_they_are_given() -> None:
    rng = np.random.default_rng(3)
    rate = np.repeat(rng.beta(0.5, 2, 20), 5)
    lives = ["".join("rs"[int(u < r)] for u in rng.random(6)) for r in rate]
    frame = table(*((i, life, "horizon") for i, life in enumerate(lives)))
    family = frame.with_columns(family=pl.format("f{}", pl.col("item") // 5))
    by_item, by_family = take(frame, "step_error"), take(family, "step_error")
    assert by_family.high - by_family.low > 1.3 * (by_item.high - by_item.low)


def test_two_arms_are_paired_by_family_where_families_are_given() -> None:
    pair = planted.single_answer(Cell(0.05, 0, items=60, horizon=20, unequal=0.7), np.random.default_rng(9))
    named = [frame.with_columns(family=pl.format("f{}", pl.col("item") // 3)) for frame in (pair.free, pair.forced)]
    by_family = survival_gap_mixed(read(named[0]), read(named[1], "repair"), 10)
    by_item = survival_gap_mixed(read(pair.free), read(pair.forced, "repair"), 10)
    assert by_family.value == pytest.approx(by_item.value)
    assert by_family.low != by_item.low
    one = pair.free.with_columns(family=pl.lit("f"))
    assert "one family says nothing" in take(one, "step_error").reason


def test_no_event_never_gives_zero_width() -> None:
    frame = table(*((i, "rrrrr", "horizon") for i in range(30)), true_state=[True] * 150, right_mass=[1.0] * 150)
    for reading in (*measure(frame), *measure(frame, on_error="repair")):
        if not math.isnan(reading.low):
            assert reading.high > reading.low or math.isinf(reading.high), reading
    upper = stats.binomtest(0, 150).proportion_ci(0.95, "exact").high
    assert take(frame, "hazard").high == pytest.approx(upper)  # one first error an item at most: steps may be claimed
    assert take(frame, "step_error").high > 4 * upper  # errors after errors may all fall in one item


DEGENERATE = {
    "no rows": HAND.head(0),
    "one item": table((1, "rrsr", "horizon"), (1, "rrrr", "horizon")),
    "one step": table((1, "r", "horizon"), (2, "s", "horizon")),
    "all wrong": table((1, "sss", "horizon"), (2, "sss", "horizon")),
    "all cut at once": table((1, "-", "cut"), (2, "-", "fault")),
    "all forced": table((1, "rr", "horizon"), (2, "rr", "horizon"), forced=["healed"] * 4),
}


@pytest.mark.parametrize("rule", ["accept", "stop", "repair"])
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_tables_give_reasons_and_no_false_certainty(name: str, rule: str) -> None:
    frame = DEGENERATE[name].with_columns(
        true_state=pl.col("event") == "right", confidence=pl.lit(0.9), tokens=pl.lit(2), kl_pq=pl.lit(float("nan"))
    )
    for reading in measure(frame, on_error=rule):
        if math.isnan(reading.low):
            assert reading.reason, reading
        else:
            assert math.isinf(reading.high) or reading.low < reading.high, reading
            assert math.isnan(reading.value) or reading.low <= reading.value <= reading.high, reading


def test_a_table_of_two_arms_is_refused_and_measured_by_column() -> None:
    both = pl.concat([HAND.with_columns(model=pl.lit(m)) for m in ("a", "b")])
    with pytest.raises(BadOption, match="more than one arm"):
        measure(both)
    readings = measure(both, by="model")
    assert {reading.by for reading in readings} == {"a", "b"}
    with pytest.raises(BadOption, match="not a column"):
        measure(both, by="colour")
    with pytest.raises(BadOption, match="on_error"):
        measure(HAND, on_error="retry")
    with pytest.raises(BadOption, match="without stop"):
        measure(HAND.drop("stop"))


def test_row_order_does_not_matter() -> None:
    frame = planted.chain(Cell(0.1, 0.3, items=20, rollouts=3), np.random.default_rng(5))
    for one, other in zip(measure(frame), measure(frame.sample(fraction=1, shuffle=True, seed=1)), strict=True):
        np.testing.assert_allclose([one.value, one.low, one.high], [other.value, other.low, other.high], rtol=1e-9)


def test_weibull_shape_agrees_with_a_direct_fit() -> None:
    rng = np.random.default_rng(4)
    time = np.ceil(10 * rng.weibull(1.7, 400)).astype(int)
    seen = np.minimum(time, 25)
    frame = table(
        *((i, "r" * (n - 1) + "rs"[int(t <= 25)], "horizon") for i, (n, t) in enumerate(zip(seen, time, strict=True)))
    )
    reading = take(frame, "weibull_shape")

    def loss(p: np.ndarray) -> float:
        s = lambda n: np.exp(-((n / p[0]) ** p[1]))  # noqa: E731
        return -float(np.where(time <= 25, np.log(s(seen - 1.0) - s(seen) + 1e-300), np.log(s(seen))).sum())

    peer = optimize.minimize(loss, [8.0, 1.0], method="Nelder-Mead").x
    assert reading.value == pytest.approx(peer[1], rel=1e-3)
    assert reading.low < 1.7 < reading.high


def test_item_mixed_product_by_hand_and_the_constant_beside_it() -> None:
    mass = [0.9, 0.9, 0.5, 0.5]
    forced = table((1, "rr", "horizon"), (2, "rr", "horizon"), right_mass=mass)
    mixed, constant = take(forced, "survival_mixed", "repair"), take(forced, "survival_constant", "repair")
    assert mixed.curve is not None
    assert mixed.curve.value == pytest.approx((0.7, (0.81 + 0.25) / 2))
    assert constant.value == pytest.approx(0.7**2)
    assert take(forced, "teacher_forced_error_exact", "repair").value == pytest.approx(0.3)
    assert "under repair" in take(forced, "survival_mixed").reason


def test_gaps_pair_the_two_tables_by_item_and_refuse_an_unreached_length() -> None:
    pair = planted.single_answer(
        Cell(0.05, 0, items=300, rollouts=2, horizon=20, unequal=0.7), np.random.default_rng(6)
    )
    free, forced = read(pair.free), read(pair.forced, "repair")
    assert survival_gap_constant(free, forced, 15).low > 0
    mixed = survival_gap_mixed(free, forced, 15)
    assert mixed.low < 0 < mixed.high
    assert "S(40) asked" in survival_gap_mixed(free, forced, 40).reason


def test_survival_that_came_down_to_zero_stays_there_in_a_gap() -> None:
    free = table(*((i, "rs", "broken") for i in range(20)))
    forced = table(*((i, "rrrr", "horizon") for i in range(20)), right_mass=[0.9] * 80)
    gap = survival_gap_constant(read(free), read(forced, "repair"), 4)
    assert gap.value == pytest.approx(-(0.9**4))
    assert gap.low < gap.value < gap.high < 0


def test_self_conditioning_by_hand() -> None:
    forced = ["healed", "injected", "", ""] * 2
    injected = table((1, "rssr", "horizon"), (2, "rsrs", "horizon"), forced=forced)
    healed = table((1, "rrrr", "horizon"), (2, "rrrs", "horizon"), forced=["healed", "healed", "", ""] * 2)
    reading = self_conditioning(read(injected), read(healed), 2)
    assert reading.value == pytest.approx(2 / 4 - 1 / 4)
    assert reading.curve is not None
    assert reading.curve.value == pytest.approx((0.5, 0.0))
    assert self_conditioning_ratio(read(injected), read(healed), 2).value == pytest.approx(2)
    other = healed.with_columns(forced=pl.Series(["healed", "", "", ""] * 2))
    assert "no pair" in self_conditioning(read(injected), read(other), 2).reason


def test_excess_accumulated_error_by_hand() -> None:
    free = table((1, "rr", "horizon"), (2, "rr", "horizon"), kl_pq=[0.1, 0.4, 0.3, 0.4])
    forced = table((1, "rr", "horizon"), (2, "rr", "horizon"), kl_pq=[0.1, 0.2, 0.3, 0.2])
    reading = excess_accumulated_error(read(free), read(forced, "repair"))
    assert reading.value == pytest.approx(100 * (0.6 / 0.4 - 1))
    assert reading.curve is not None
    assert reading.curve.value == pytest.approx((0.0, 50.0))


def test_an_infinite_divergence_is_never_averaged() -> None:
    frame = table((1, "rr", "horizon"), (2, "rr", "horizon"), kl_pq=[0.1, math.inf, 0.2, 0.3])
    reading = take(frame, "kl_free_running")
    assert math.isnan(reading.value)
    assert "infinite on 1 steps (0.25 of all)" in reading.reason


def test_log_loss_identity_holds_for_samples_of_a_known_law() -> None:
    rng = np.random.default_rng(7)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.3, 0.1])
    actions = rng.choice(3, size=4000, p=q)
    frame = table(*((i, "r" * 10, "horizon") for i in range(400))).with_columns(
        minus_log_p=pl.Series(-np.log(p[actions])),
        entropy=pl.lit(-float(q @ np.log(q))),
        kl_qp=pl.lit(float(q @ np.log(q / p))),
    )
    reading = log_loss_identity(read(frame))
    assert reading.low < 0 < reading.high
    wrong = log_loss_identity(read(frame.with_columns(kl_qp=pl.lit(float(p @ np.log(p / q))) + 0.05)))
    assert not wrong.low < 0 < wrong.high


def test_brier_and_its_parts_by_hand() -> None:
    frame = table((1, "rs", "horizon"), (2, "rr", "horizon"), confidence=[0.8, 0.2, 0.8, 0.2])
    assert take(frame, "brier").value == pytest.approx((0.04 + 0.04 + 0.04 + 0.64) / 4)
    parts = [take(frame, f"brier_{part}").value for part in ("reliability", "resolution", "uncertainty")]
    assert parts == pytest.approx([0.5 * 0.04 + 0.5 * 0.09, 0.0625, 0.75 * 0.25])
    assert parts[0] - parts[1] + parts[2] == pytest.approx(take(frame, "brier").value)


def test_debiasing_takes_out_what_chance_makes() -> None:
    pair = planted.claims(Cell(0.05, 0, items=60, horizon=20), np.random.default_rng(8))
    off, fair = read(pair.free), read(pair.forced)
    plug_in = float(np.sqrt((_bins(claims(fair)).share * _bins(claims(fair)).gap()[0] ** 2).sum()))
    reading = INSTRUMENTS["ece_debiased"](fair)
    assert reading.value < plug_in
    assert reading.low == 0.0
    assert INSTRUMENTS["ece_debiased"](off).value == pytest.approx(planted.MISPLACED, abs=0.03)


def test_confidence_falls_back_on_the_models_own_probability() -> None:
    frame = table((1, "rs", "horizon"), (2, "rr", "horizon"), logp=[math.log(0.5)] * 4)
    reading = take(frame, "brier")
    assert reading.value == pytest.approx(0.25)
    assert "exp(logp)" in reading.reason
    assert "no probability" in take(frame.with_columns(confidence=pl.lit(90.0)), "brier").reason


def test_the_probability_of_one_of_several_right_actions_is_no_confidence() -> None:
    one = table((1, "rs", "horizon"), (2, "rr", "horizon"), logp=[math.log(0.5)] * 4, right_mass=[0.5] * 4)
    assert take(one, "brier").value == pytest.approx(0.25)
    several = one.with_columns(right_mass=pl.lit(0.9))
    assert "several actions are right" in take(several, "brier").reason
    assert "several actions are right" in take(several, "ece_debiased").reason


def test_cost_counts_the_tokens_of_wrong_steps_too() -> None:
    frame = table((1, "rs", "horizon"), (2, "rr", "horizon"), tokens=[3, 5, 3, 4])
    assert take(frame, "cost_per_right_step").value == pytest.approx(15 / 3)


def test_weights_count_items_as_many_times() -> None:
    frame = table((1, "rs", "horizon"), (2, "rr", "horizon"), weight=[3.0, 3.0, 1.0, 1.0])
    assert take(frame, "step_error").value == pytest.approx(3 / 8)
