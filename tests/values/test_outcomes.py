"""Outcome tables, horizons, passes and votes against hand-worked cases, published numbers and scikit-learn."""

import json
import math
from collections.abc import Sequence
from datetime import date
from itertools import permutations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import optimize, special, stats

from deadreckon.contracts import Reading, nan
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments import INSTRUMENTS, OUTCOME_INSTRUMENTS, measure_outcomes, read
from deadreckon.instruments.half_life import half_life
from deadreckon.instruments.horizon_trend import at_the_front, horizon_doubling, horizon_trend
from deadreckon.instruments.law_horizon import fitted_horizon, fitted_time_horizon, outcome_shape
from deadreckon.instruments.lifetime_laws import ends_of_outcomes, ends_of_steps, fit_law
from deadreckon.instruments.outcomes import Outcomes, outcomes_of, read_models, read_outcomes
from deadreckon.instruments.passes import pass_at_k, pass_hat_k, pass_hat_k_gap
from deadreckon.instruments.survival import first_errors
from deadreckon.instruments.time_horizon import (
    fit_logistic,
    published_weights,
    resample,
    time_horizon,
)
from deadreckon.instruments.vote_walk import fewest_ahead, orders, run_right, step_right, votes_per_step
from deadreckon.validation import planted, planted_outcomes, planted_repeats
from deadreckon.validation.planted import Cell
from deadreckon.validation.planted_outcomes import Plan

ORACLE = json.loads((Path(__file__).parent / "oracles" / "time_horizon.json").read_text())


def runs(*items: tuple[object, float, str], **columns: Sequence[object]) -> pl.DataFrame:
    """Items as (name, length, runs): + a success, - a failure."""
    rows = [(name, length, float(sign == "+")) for name, length, signs in items for sign in signs]
    frame = pl.DataFrame(rows, schema=["item", "length", "success"], orient="row")
    return frame.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def outcomes(*items: tuple[object, float, str], **columns: Sequence[object]) -> Outcomes:
    return read_outcomes(runs(*items, **columns), "minutes")


def steps(*rollouts: tuple[int, str, str]) -> pl.DataFrame:
    """Rollouts as (item, r or s a step, stop)."""
    seen: dict[int, int] = {}
    rows = []
    for item, events, stop in rollouts:
        repeat = seen[item] = seen.get(item, -1) + 1
        for t, letter in enumerate(events):
            last = t == len(events) - 1
            rows.append((item, repeat, t, {"r": "right", "s": "slip"}[letter], stop if last else None))
    return pl.DataFrame(rows, schema=["item", "rollout", "t", "event", "stop"], orient="row")


# --- Outcome tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": [-1.0, 2.0]}, "length -1.0 of item 1: length must be a positive number"),
        ({"length": [0.0, 2.0]}, "must be a positive number"),
        ({"length": [nan, 2.0]}, "length nan of item 1"),
        ({"length": [math.inf, 2.0]}, "length inf"),
        ({"success": [1.5, 0.0]}, "success 1.5 of item 1: success must be between 0 and 1"),
        ({"success": [nan, 0.0]}, "success nan"),
        ({"success": ["yes", "no"]}, "numbers and dates"),
        ({"weight": [0.0, 1.0]}, "weight 0.0"),
        ({"item": [None, 2]}, "item is missing in 1 rows"),
        ({"item": [1, 1]}, "item 1 has length 1.0, 2.0: an item has one length"),
        ({"model": ["a", "b"]}, "one table holds model a, b"),
        ({"released": ["soon", "later"]}, "numbers and dates"),
    ],
    ids=str,
)
def test_a_bad_outcome_table_is_refused_in_words(change: dict[str, list[object]], message: str) -> None:
    frame = runs((1, 1.0, "+"), (2, 2.0, "-")).with_columns(
        **{name: pl.Series(values, strict=False) for name, values in change.items()}
    )
    with pytest.raises(BadOption, match=message.replace("(", r"\(")):
        read_outcomes(frame, "minutes")


def test_success_is_the_mean_over_items_in_pieces_of_lengths_that_double() -> None:
    """Items of 1, 1.5, 2, 3 and 16 minutes: pieces [1, 2), [2, 4), [16, 32); shares 1, 1/2 | 1/4, 0 | 1/3."""
    table = outcomes((0, 1.0, "++"), (1, 1.5, "+-"), (2, 2.0, "+---"), (3, 3.0, "-"), (4, 16.0, "+--"))
    by_length, rate = (OUTCOME_INSTRUMENTS[name](table) for name in ("success_by_length", "success_rate"))
    assert rate.value == pytest.approx((1 + 1 / 2 + 1 / 4 + 0 + 1 / 3) / 5)
    assert by_length.curve is not None
    assert by_length.curve.value == pytest.approx((3 / 4, 1 / 8, 1 / 3))
    assert by_length.curve.x == pytest.approx((math.sqrt(1.5), math.sqrt(6), 16))
    assert by_length.curve.n == (2, 2, 1)
    assert by_length.value == by_length.curve.value[-1]
    assert math.isnan(by_length.low)  # one item says nothing of how items differ
    once = pass_hat_k(outcomes((0, 1.0, "+-"), (1, 2.0, "++"), (2, 4.0, "--")), 1)
    again = OUTCOME_INSTRUMENTS["success_rate"](outcomes((0, 1.0, "+-"), (1, 2.0, "++"), (2, 4.0, "--")))
    assert (again.value, again.low, again.high) == (once.value, once.low, once.high)


def test_an_unknown_length_refuses_a_curve_in_length_and_nothing_else() -> None:
    frame = runs(*[(i, 2.0 ** (i % 3), "+-") for i in range(30)])
    frame = frame.with_columns(length=pl.when(pl.col("item") > 0).then("length"))
    found = {r.quantity: r for r in measure_outcomes(frame, "minutes")}
    assert found["success_rate"].value == pytest.approx(0.5)
    for name in ("time_horizon_50", "time_horizon_weibull_80", "outcome_shape_weibull", "success_by_length"):
        assert found[name].reason == "the length of 1 of 30 items is unknown"


def test_a_column_that_is_not_there_and_a_unit_without_a_name_are_refused() -> None:
    frame = runs((1, 1.0, "+"))
    with pytest.raises(BadOption, match="without length: has item, success"):
        read_outcomes(frame.drop("length"), "minutes")
    with pytest.raises(BadOption, match="name the unit"):
        read_outcomes(frame, "")
    with pytest.raises(BadOption, match="without model"):
        read_models(frame, "minutes")


def test_models_are_read_one_by_one_with_their_dates() -> None:
    frame = runs((1, 1.0, "+-"), model=["b", "a"], released=["2025-03-19", "2024-01-02"])
    first, second = read_models(frame, "minutes")
    assert (first.model, first.released, first.wins.tolist()) == ("a", date(2024, 1, 2), [0.0])
    assert (second.model, second.released) == ("b", date(2025, 3, 19))


def test_a_rollout_is_an_outcome_only_where_its_end_was_seen() -> None:
    frame = steps((1, "rrr", "done"), (1, "rs", "broken"), (2, "rrr", "horizon"), (2, "rrrr", "done"))
    with pytest.raises(NotEstimable, match="1 of 4 rollouts ended before their outcome was seen"):
        outcomes_of(read(frame))
    for unknown in (0.0, 1.0):
        assert outcomes_of(read(frame), unknown=unknown).success.tolist() == [1, 0, unknown, 1]
    seen = outcomes_of(read(frame.filter(pl.col("item") == 1)))
    assert seen.length.tolist() == [3]
    assert seen.unit == "steps"


def test_the_length_of_an_item_without_a_success_is_unknown_and_no_curve_is_fitted_to_it() -> None:
    seen = outcomes_of(read(steps((1, "rrr", "done"), (2, "rs", "broken"), (3, "rr", "done"), (3, "rrrr", "done"))))
    assert seen.length[0] == 3
    assert np.isnan(seen.length[1:]).all()  # never done; done in 2 and in 4 steps
    assert "length of 2 of 3 items is unknown" in time_horizon(seen).reason


def test_within_n_steps_an_outcome_is_no_error_among_them() -> None:
    frame = steps((1, "rrs", "broken"), (2, "rrrr", "horizon"), (3, "rs", "broken"))
    assert outcomes_of(read(frame), 2).success.tolist() == [1, 1, 0]
    assert outcomes_of(read(frame), 3).success.tolist() == [0, 1, 0]
    assert outcomes_of(read(frame), 3).length.tolist() == [3, 3, 3]
    with pytest.raises(NotEstimable, match="1 of 3"):
        outcomes_of(read(frame), 5)
    with pytest.raises(BadOption, match="steps=0"):
        outcomes_of(read(frame), 0)
    forced = frame.with_columns(forced=pl.lit("healed"))
    with pytest.raises(NotEstimable, match="forced"):
        outcomes_of(read(forced), 2)


# --- The published time horizon ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", ORACLE, ids=["plain", "fractional", "few"])
def test_the_published_fit_is_scikit_learns(case: dict[str, dict[str, float]]) -> None:
    table = read_outcomes(pl.DataFrame(case["rows"]), "minutes")
    w = published_weights(table)
    a, b = fit_logistic(np.log2(table.length), w[None], (w * table.wins / table.runs)[None])
    assert (a[0], b[0]) == pytest.approx((case["fit"]["a"], case["fit"]["b"]), abs=1e-6)
    for q in (50, 80):
        reading = time_horizon(table, q / 100, "logistic")
        assert reading.value == pytest.approx(case["fit"][f"p{q}"], rel=1e-6)


def test_every_draw_is_fitted_as_it_would_be_alone() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 8, 12)
    w = rng.dirichlet(np.ones(12), 6) * rng.uniform(0.5, 1.5, 6)[:, None]
    won = w * (rng.random((6, 12)) < special.expit(3 - x))
    won[0], won[1] = 0.0, w[1]  # failures alone, successes alone
    won[2] = w[2] * (x < 4)  # separable: the penalty holds it
    a, b = fit_logistic(x, w, won)
    assert np.isnan(a[:2]).all()
    for i in range(2, 6):

        def loss(p: np.ndarray, i: int = i) -> float:
            z = p[0] + p[1] * x
            return float(p[1] ** 2 / 2 + 10 * (w[i] * np.logaddexp(0, z) - won[i] * z).sum())

        peer = optimize.minimize(loss, [0.0, 0.0], method="BFGS", options={"gtol": 1e-10}).x
        assert (a[i], b[i]) == pytest.approx(tuple(peer), abs=1e-5)


def test_weights_by_hand() -> None:
    table = outcomes((1, 1.0, "++"), (2, 2.0, "-"), (3, 4.0, "--+"), family=["f"] * 3 + ["g"] * 3)
    share = np.array([1 / 2**0.5, 1 / 2**0.5, 1.0])
    assert published_weights(table) == pytest.approx(share / share.sum())


def test_the_bootstrap_draws_families_then_items_then_runs_and_keeps_the_weights() -> None:
    signs = ["+-" * 2, "++--", "+---", "+++-"] * 3
    table = outcomes(
        *((i, 2.0**i, s) for i, s in enumerate(signs)), family=[f"f{i // 4}" for i in range(12) for _ in "1234"]
    )
    weight, won = resample(table, 4000)
    w = published_weights(table)
    assert weight.mean(axis=0) == pytest.approx(w, rel=0.1)
    assert won.mean(axis=0) == pytest.approx(w * table.wins / 4, rel=0.15)
    assert weight.sum(axis=1) == pytest.approx(1)  # equal families: sizes cannot move the sum
    assert np.unique(np.round(weight.reshape(4000, 3, 4).sum(axis=2) * 3, 9)).tolist() == [0, 1, 2, 3]
    copies = weight / w
    families = copies.reshape(4000, 3, 4).sum(axis=2) / 4
    inside = copies[:, 0][families[:, 0] == 1]
    assert inside.var() == pytest.approx(4 * 1 / 4 * 3 / 4, rel=0.15)  # binomial(4, 1/4) within a family drawn once
    once = copies[:, 0] == 1
    assert (won[:, 0] / w[0])[once].var() == pytest.approx(0.25 / 4, rel=0.2)  # four runs, half of them right
    again, _ = resample(table, 4000)
    assert (again == weight).all()


def falling(n: int, shift: float = 3.0, copies: int = 4) -> pl.DataFrame:
    """Items of length 1 ... 2^8 whose share of successes falls with length."""
    x = np.linspace(0, 8, n)
    wins = np.round(special.expit(shift - x) * copies).astype(int)
    return runs(*((i, float(2 ** x[i]), "+" * w + "-" * (copies - w)) for i, w in enumerate(wins)))


def test_a_horizon_outside_the_lengths_is_refused_unless_its_model_is_asked_for() -> None:
    long = read_outcomes(falling(40).filter(pl.col("length") <= 4).with_columns(), "minutes")
    reading = time_horizon(long)
    assert math.isinf(reading.value)
    assert "not reached within the longest length" in reading.reason
    assert time_horizon(read_outcomes(falling(40).filter(pl.col("length") > 10), "minutes")).reason.startswith(
        "below the"
    )
    asked = time_horizon(long, extrapolate="logistic")
    assert asked.value > 4
    assert "outside the lengths observed" in asked.reason
    with pytest.raises(BadOption, match="only model"):
        time_horizon(long, extrapolate="weibull")


def test_a_horizon_that_rests_on_few_runs_says_so() -> None:
    few = time_horizon(read_outcomes(falling(40, copies=1), "minutes"))
    assert "fewer than 20" in few.reason
    assert "fewer" not in time_horizon(read_outcomes(falling(40), "minutes")).reason


def test_the_front_is_every_model_as_good_as_all_before_it() -> None:
    days, p50 = np.array([3.0, 1.0, 2.0, 2.0, 4.0]), np.array([8.0, 2.0, 1.0, 4.0, 8.0])
    assert at_the_front(days, p50).tolist() == [True, True, False, True, True]


def model(name: str, day: str, shift: float) -> pl.DataFrame:
    return falling(40, shift).with_columns(model=pl.lit(name), released=pl.lit(day))


def test_the_trend_is_least_squares_on_the_front_and_its_turn_over_is_the_doubling_time() -> None:
    plan = [("a", "2024-01-01", 2.0), ("b", "2024-07-01", 3.1), ("c", "2025-01-01", 3.9), ("bad", "2025-01-02", 1.0)]
    models = [read_models(model(*one), "minutes")[0] for one in plan]
    reading, doubling = horizon_trend(models), horizon_doubling(models)
    y = [math.log2(time_horizon(m).value) for m in models[:3]]
    x = [m.released.toordinal() for m in models[:3] if m.released]
    peer = stats.linregress(x, y)
    assert reading.value == pytest.approx(peer.slope)
    without = [stats.linregress(np.delete(x, i), np.delete(y, i)).slope for i in range(3)]
    spread = math.sqrt(sum((slope - peer.slope) ** 2 for slope in without))
    assert reading.high - reading.value == pytest.approx(stats.t.ppf(0.975, 1) * spread)
    assert reading.n == 3
    assert doubling.value == pytest.approx(1 / peer.slope)
    assert doubling.low == pytest.approx(1 / reading.high)
    assert doubling.high == (pytest.approx(1 / reading.low) if reading.low > 0 else math.inf)
    assert "three models" in horizon_trend(models[:2]).reason
    assert "no release date for" in horizon_trend([read_outcomes(falling(40), "minutes")] * 3).reason


# --- Laws in length ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["exponential", "weibull", "loglogistic"])
def test_a_law_in_length_agrees_with_a_direct_fit(law: str) -> None:
    table = planted_outcomes.by_law(Plan(60, 3), "weibull", (30.0, 0.8), np.random.default_rng(1))
    length, share = table.length, table.wins / table.runs
    w = published_weights(table)

    def loss(p: np.ndarray) -> float:
        k = np.exp(p[1]) if law != "exponential" else 1.0
        z = k * (np.log(length) - p[0])
        alive = special.expit(-z) if law == "loglogistic" else np.exp(-np.exp(z))
        return -float((w * (special.xlogy(share, alive) + special.xlogy(1 - share, 1 - alive))).sum())

    peer = optimize.minimize(loss, [3.5, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}).x
    fitted = fit_law(ends_of_outcomes(table), law)  # type: ignore[arg-type]
    assert fitted.c / fitted.shape == pytest.approx(peer[0], rel=1e-5)
    if law != "exponential":
        assert fitted.shape == pytest.approx(math.exp(peer[1]), rel=1e-5)


@pytest.mark.parametrize(("law", "shape"), [("weibull", 0.6), ("weibull", 1.6), ("loglogistic", 1.0)])
def test_the_bias_of_a_shape_is_what_leaving_items_out_says(law: str, shape: float) -> None:
    table = planted_outcomes.by_law(Plan(500, 2), law, (30.0, shape), np.random.default_rng(1))  # type: ignore[arg-type]
    ends = ends_of_outcomes(table)
    fitted = fit_law(ends, law)  # type: ignore[arg-type]
    without = [fit_law(ends.only(ends.cluster != i), law).shape for i in range(500)]  # type: ignore[arg-type]
    assert fitted.bias == pytest.approx(499 * (np.mean(without) - fitted.shape), rel=0.1)
    assert fitted.bias > 0.002
    reading = outcome_shape(table, law)  # type: ignore[arg-type]
    assert reading.value == pytest.approx(fitted.shape * math.exp(-fitted.bias / fitted.shape))


def test_the_exponential_half_life_by_hand() -> None:
    # every item of length 10, half of the runs right: half-life 10; two lengths so that a curve exists
    table = outcomes(*((i, 10.0, "+-" * 2) for i in range(30)), (99, 10.0001, "+-" * 2))
    reading = fitted_time_horizon(table, "exponential", extrapolate=True)
    assert reading.value == pytest.approx(10, rel=1e-4)


def test_the_discrete_weibull_of_a_step_table_is_the_shape_instruments() -> None:
    arm = read(planted.lifetimes(Cell(0.1, 0, items=60, rollouts=2, shape=0.7), np.random.default_rng(2)), "stop")
    fitted = fit_law(ends_of_steps(first_errors(arm)), "weibull")
    shape = INSTRUMENTS["weibull_shape"](arm)
    assert fitted.shape == pytest.approx(shape.value, rel=1e-4)
    q = float(np.exp(-((7 / math.exp(fitted.c / fitted.shape)) ** fitted.shape)))
    assert fitted_horizon(arm, "weibull", q).value == 7


def test_a_law_is_not_read_past_the_steps_followed_unless_asked() -> None:
    arm = read(planted.lifetimes(Cell(0.02, 0, items=100, horizon=20), np.random.default_rng(3)), "stop")
    within, asked = fitted_horizon(arm, "exponential"), fitted_horizon(arm, "exponential", extrapolate=True)
    assert (within.value, within.high) == (math.inf, math.inf)
    assert within.low <= 21
    assert "not reached within 20 steps" in within.reason
    assert 25 < asked.value < 60
    assert "extrapolated by the exponential law" in asked.reason


def p_value(name: str, p: float, reason: str = "a p-value has no interval") -> Reading:
    return Reading(name, "p-value", p, nan, nan, 0.95, 10, "planted", "", reason)


def test_a_half_life_is_given_only_where_both_tests_allow_it() -> None:
    arm = read(planted.lifetimes(Cell(0.1, 0, items=100), np.random.default_rng(4)), "stop")
    fine = (p_value("constancy_weibull", 0.5), p_value("constancy_by_step", 0.06))
    reading = half_life(arm, fine)
    h = INSTRUMENTS["hazard"](arm)
    assert reading.value == pytest.approx(math.log(2) / -math.log(1 - h.value))
    assert reading.low == pytest.approx(math.log(2) / -math.log(1 - h.high))
    assert "not ruled out" in reading.reason
    assert "constancy_by_step: p = 0.04" in half_life(arm, (fine[0], p_value("constancy_by_step", 0.04))).reason
    assert "could not be tested: one step" in half_life(arm, (fine[0], p_value("x", nan, "one step"))).reason
    assert "needs two" in half_life(arm, fine[:1]).reason
    short = read(planted.lifetimes(Cell(0.02, 0, items=100, horizon=10), np.random.default_rng(4)), "stop")
    assert "past the 10 steps observed" in half_life(short, fine).reason


def test_a_shape_below_one_says_that_it_cannot_tell_falling_from_unequal() -> None:
    table = planted_outcomes.by_law(Plan(200, 2), "loglogistic", (32.0, 1.0), np.random.default_rng(5))
    reading = OUTCOME_INSTRUMENTS["outcome_shape_weibull"](table)
    assert reading.value < 1
    assert "cannot tell" in reading.reason
    assert "no half-life" in OUTCOME_INSTRUMENTS["outcome_half_life"](table).reason


def test_kaplan_meiers_horizon_says_what_it_rests_on() -> None:
    frame = steps(*((i, "r" * i + "s", "broken") for i in range(30)))
    assert "rests on 16 rollouts at risk, fewer than 20" in INSTRUMENTS["horizon_50"](read(frame)).reason
    assert "fewer" not in INSTRUMENTS["horizon_80"](read(frame)).reason


# --- pass^k and pass@k --------------------------------------------------------------------------------------


def test_passes_by_hand() -> None:
    table = outcomes((1, 1.0, "+++-"), (2, 1.0, "++--"), (3, 1.0, "----"))
    assert pass_hat_k(table, 2).value == pytest.approx((3 / 6 + 1 / 6 + 0) / 3)
    assert pass_at_k(table, 2).value == pytest.approx((1 + 5 / 6 + 0) / 3)
    assert pass_hat_k(table, 1).value == pass_at_k(table, 1).value == pytest.approx(5 / 12)
    drawn = pass_hat_k(table, 2).curve
    assert drawn is not None
    assert drawn.value == pytest.approx((5 / 12, 2 / 9, 1 / 12, 0))


def test_more_runs_than_an_item_has_are_refused() -> None:
    table = outcomes((1, 1.0, "+++-"), (2, 1.0, "+-"))
    for instrument in (pass_hat_k, pass_at_k, pass_hat_k_gap):
        assert "1 of 2 items have fewer runs, down to 2" in instrument(table, 3).reason
    with pytest.raises(BadOption, match="k=0"):
        pass_hat_k(table, 0)
    half = read_outcomes(runs((1, 1.0, "++")).with_columns(success=pl.Series([0.5, 1.0])), "minutes")
    assert "neither 0 nor 1" in pass_hat_k(half, 2).reason


def test_the_gap_of_equal_items_is_nothing_and_of_unequal_ones_is_what_jensen_says() -> None:
    rng = np.random.default_rng(6)
    alike = planted_outcomes.outcome_table(Plan(300, 6), np.ones(300), rng.random((300, 6)) < 0.7)
    gap = pass_hat_k_gap(alike, 3)
    assert gap.low < 0 < gap.high
    split = planted_outcomes.outcome_table(
        Plan(300, 6), np.ones(300), np.repeat(np.arange(300) % 2 == 0, 6).reshape(300, 6)
    )
    assert pass_hat_k_gap(split, 3).value == pytest.approx(1 / 2 - 1 / 8, abs=2e-3)
    assert "k = 1" in pass_hat_k_gap(split, 1).reason


def test_passes_of_a_step_table_are_those_of_its_outcomes() -> None:
    frame = steps((1, "rrr", "done"), (1, "rs", "broken"), (2, "rrr", "done"), (2, "rrr", "done"))
    assert pass_hat_k(outcomes_of(read(frame)), 2).value == pytest.approx(1 / 2)


# --- Votes --------------------------------------------------------------------------------------------------


def test_the_published_numbers_of_ahead_by_k() -> None:
    assert float(step_right(0.9, 2)) == pytest.approx(0.9878, abs=5e-5)
    million = 2**20 - 1
    assert fewest_ahead(0.998, million, 0.95) == 3
    assert fewest_ahead(0.99, million, 0.95) == 4
    assert run_right(0.99, 4, million) >= 0.95 > run_right(0.99, 3, million)
    assert run_right(0.99, 1, 10, together=5) == pytest.approx(0.99**10)
    assert fewest_ahead(0.5, 10, 0.9) == math.inf
    assert fewest_ahead(1.0, 10, 0.9) == 1


def test_the_walk_of_a_vote_is_what_simulated_votes_do() -> None:
    rng = np.random.default_rng(7)
    for p, k in ((0.9, 2), (0.6, 3), (0.5, 2)):
        up = np.where(rng.random((20_000, 400)) < p, 1, -1)
        lead = np.cumsum(up, axis=1)
        done = (np.abs(lead) == k).argmax(axis=1)
        won = lead[np.arange(len(lead)), done] == k
        assert won.mean() == pytest.approx(float(step_right(p, k)), abs=4 * math.sqrt(0.25 / 20_000))
        assert (done + 1).mean() == pytest.approx(float(votes_per_step(p, k)), rel=0.03)


def test_the_orders_of_answers_are_counted_as_by_listing_them() -> None:
    for n, right, k in ((5, 3, 2), (6, 4, 2), (6, 3, 3), (4, 4, 1)):
        won = open_ = used = 0
        every = set(permutations([1] * right + [-1] * (n - right)))
        for order in every:
            lead = np.cumsum(order)
            end = np.flatnonzero(np.abs(lead) == k)
            won += bool(end.size and lead[end[0]] == k)
            open_ += not end.size
            used += int(end[0]) + 1 if end.size else n
        assert orders(n, right, k) == pytest.approx((won / len(every), open_ / len(every), used / len(every)))


@pytest.mark.parametrize(("n", "k"), [(6, 2), (9, 3)])
def test_the_share_of_orders_is_unbiased_for_a_vote_of_n_samples(n: int, k: int) -> None:
    for p in (0.2, 0.5, 0.85):
        binomial = stats.binom.pmf(np.arange(n + 1), n, p)
        counts = np.array([orders(n, c, k) for c in range(n + 1)])
        right, open_, _ = binomial @ counts
        wrong = 1 - right - open_
        assert right / wrong == pytest.approx((p / (1 - p)) ** k)  # the walk's odds, whenever it ends


def test_exact_right_mass_needs_no_repeats() -> None:
    mass = [0.9, 0.4, 0.99, 0.6]
    frame = steps((1, "rr", "horizon"), (2, "rr", "horizon")).with_columns(right_mass=pl.Series(mass))
    arm = read(frame, "repair")
    assert INSTRUMENTS["vote_right"](arm).value == pytest.approx(float(step_right(np.array(mass), 3).mean()))
    assert INSTRUMENTS["vote_cost"](arm).value == pytest.approx(float(votes_per_step(np.array(mass), 3).mean()))
    assert INSTRUMENTS["vote_never"](arm).value == pytest.approx(0.25)
    assert "lowest p 0.4" in INSTRUMENTS["vote_never"](arm).reason
    assert "states are met by chance under the rule accept" in INSTRUMENTS["vote_right"](read(frame)).reason


def test_a_bad_state_is_not_hidden_by_the_mean() -> None:
    # one state in ten is right 10% of the time, the others always: the mean p, 0.91, says that votes will do
    events = [("r" * 5 + ("r" if repeat < 2 else "s") + "r" * 4) for repeat in range(20)]
    frame = steps(*((item, life, "horizon") for item in range(12) for life in events))
    arm = read(frame, "repair")
    assert run_right(0.91, 3, 100) > 0.9
    run = INSTRUMENTS["vote_run"](arm)
    assert run.value < 1e-3
    assert run.high < run_right(0.91, 3, 100)
    assert "mean p alone, 0.91" in run.reason
    assert INSTRUMENTS["vote_ahead"](arm).value == math.inf
    assert "12 of 120 states" in INSTRUMENTS["vote_never"](arm).reason


def test_the_chance_in_few_repeats_is_not_counted_as_bad_states() -> None:
    law = (1.0, 9.0)  # of a state's error: P(e >= 1/2) = 0.5^9; with 4 repeats 2 errors are seen far more often
    arm = read(planted_repeats.teacher_forced(Plan(400, 4), law, np.random.default_rng(9)), "repair")
    assert INSTRUMENTS["vote_never"](arm).value == pytest.approx(0.5**9, rel=0.5)


def test_too_few_repeats_are_refused_for_a_vote() -> None:
    frame = steps(*((item, "rs", "horizon") for item in range(30) for _ in range(2)))
    assert "more repeats are needed" in INSTRUMENTS["vote_right"](read(frame, "repair")).reason


# --- Degenerate inputs --------------------------------------------------------------------------------------

DEGENERATE = {
    "no rows": runs((1, 1.0, "+")).head(0),
    "one run": runs((1, 2.0, "+")),
    "one item": runs((1, 2.0, "+-+-")),
    "two items": runs((1, 2.0, "+-+-"), (2, 8.0, "---+")),
    "one length": runs(*((i, 2.0, "+-") for i in range(40))),
    "all right": runs(*((i, 1.0 + i, "++") for i in range(40))),
    "all wrong": runs(*((i, 1.0 + i, "--") for i in range(40))),
    "one failure": runs(*((i, 1.0 + i, "++" if i else "+-") for i in range(40))),
    "rising": runs(*((i, 1.0 + i, "++" if i > 20 else "--") for i in range(40))),
    "a wall": runs(*((i, 1.0 + i, "++" if i < 20 else "--") for i in range(40))),
    "one family": runs(*((i, 1.0 + i, "+-") for i in range(40)), family=["f"] * 80),
    "constant": runs(*((i, 1.0 + i, "+-") for i in range(40))),
    "halves": runs(*((i, 1.0 + i, "+-") for i in range(40))).with_columns(success=pl.lit(0.5)),
    "huge lengths": runs(*((i, 10.0 ** (i * 7), "+-") for i in range(40))),
    "tiny weights": runs(*((i, 1.0 + i, "+-") for i in range(40)), weight=[1e-300] * 80),
}


@pytest.mark.parametrize("name", OUTCOME_INSTRUMENTS)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_tables_give_reasons_and_no_false_certainty(case: str, name: str) -> None:
    reading = OUTCOME_INSTRUMENTS[name](read_outcomes(DEGENERATE[case], "minutes"))
    if math.isnan(reading.low):
        assert reading.reason, reading
    else:
        assert reading.low < reading.high or math.isinf(reading.high), reading
        assert reading.low <= reading.value <= reading.high, reading


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_models_have_no_trend(case: str) -> None:
    models = [
        read_outcomes(DEGENERATE[case].with_columns(released=pl.lit(f"2024-0{m}-01")), "minutes") for m in (1, 2, 3)
    ]
    for reading in (horizon_trend(models), horizon_doubling(models)):
        assert math.isnan(reading.value)
        assert reading.reason
    assert horizon_trend([]).reason


@pytest.mark.parametrize("name", [name for name in INSTRUMENTS if name.startswith(("vote_", "horizon_"))])
def test_degenerate_step_tables_give_reasons_and_no_false_certainty(name: str) -> None:
    tables = [
        steps((1, "rrsr", "horizon"), (1, "rrrr", "horizon")),
        steps((1, "r", "horizon"), (2, "s", "horizon")),
        steps(*((i, "sss", "horizon") for i in range(40))),
        steps(*((i, "rrr", "horizon") for i in range(40) for _ in range(8))),
        steps(*((i, "rrs", "horizon") for i in range(40) for _ in range(8))),
        steps(*((i, "rs", "horizon") for i in range(40) for _ in range(8))).head(0),
    ]
    for frame in tables:
        for rule in ("repair", "stop"):
            reading = INSTRUMENTS[name](read(frame, rule))
            if math.isnan(reading.low):
                assert reading.reason, reading
            else:
                whole = name.startswith("horizon_") or name == "vote_ahead"  # a whole number can be certain
                assert reading.low < reading.high or math.isinf(reading.high) or whole, reading
                assert math.isnan(reading.value) or reading.low <= reading.value <= reading.high, reading


def test_every_model_of_a_table_is_measured_under_its_name() -> None:
    frame = pl.concat([model("a", "2024-01-01", 3.0), model("b", "2025-01-01", 4.0)])
    readings = measure_outcomes(frame, "minutes")
    assert {reading.by for reading in readings} == {"a", "b"}
    assert len(readings) == 2 * len(OUTCOME_INSTRUMENTS)
    for reading, name in zip(readings, OUTCOME_INSTRUMENTS, strict=False):
        assert reading.quantity == name


def test_row_order_does_not_matter() -> None:
    frame = planted_outcomes.by_law(Plan(40, 3), "loglogistic", (32.0, 1.0), np.random.default_rng(8))
    table = pl.DataFrame({"item": frame.item, "length": frame.length[frame.item], "success": frame.success})
    shuffled = table.sample(fraction=1, shuffle=True, seed=1)
    for one, other in zip(measure_outcomes(table, "m"), measure_outcomes(shuffled, "m"), strict=True):
        np.testing.assert_allclose([one.value, one.low, one.high], [other.value, other.low, other.high], rtol=1e-9)
