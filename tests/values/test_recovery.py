"""Competing ends and recovery: cases worked by hand, another library's values, degenerate tables."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import optimize

from deadreckon.contracts import Reading
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.instruments.competing import aalen_johansen
from deadreckon.instruments.excursions import excursions
from deadreckon.instruments.mover_stayer import _fit, _loglik, _score
from deadreckon.instruments.multistate import occupation, track
from deadreckon.validation import planted_recovery as planted
from deadreckon.validation.planted_recovery import Rates, Risks, Size

ORACLES = json.loads((Path(__file__).parent / "oracles" / "recovery_calibration.json").read_text())
EVENTS = {"r": "right", "s": "slip", "m": "mend", "i": "illegal", "-": None}
COMPETING = [name for name in INSTRUMENTS if name.startswith("incidence_")] + ["survival_event_free"]
RECOVERY = [
    name
    for name in INSTRUMENTS
    if name.startswith(("transition_", "occupation_", "recovery_since", "recovery_inc", "recovery_never"))
] + ["occupancy_gain", "restoration_unearned", "time_to_recovery_50"]


def table(*rollouts: tuple[int, str, str, str], **columns: Sequence[object]) -> pl.DataFrame:
    """Rollouts as (item, events, states after: R right, W wrong, L lost, stop): one letter a step."""
    seen: dict[int, int] = {}
    rows = []
    for item, events, states, stop in rollouts:
        rollout = seen[item] = seen.get(item, -1) + 1
        for t, (letter, state) in enumerate(zip(events, states, strict=True)):
            last = stop if t == len(events) - 1 else None
            rows.append((item, rollout, t, EVENTS[letter], state == "R", state != "L", last))
    schema = {"item": pl.Int64, "rollout": pl.Int32, "t": pl.Int32, "event": pl.String, "true_state": pl.Boolean,
              "goal_open": pl.Boolean, "stop": pl.String}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )


def take(frame: pl.DataFrame, name: str, rule: str = "accept") -> Reading:
    return INSTRUMENTS[name](read(frame, rule))


def line(reading: Reading) -> tuple[float, ...]:
    assert reading.curve is not None
    return reading.curve.value


# --- competing ends -------------------------------------------------------------------------------------

ENDS = table(
    (1, "rrrr", "RRRR", "done"), (2, "rs", "RW", "broken"), (3, "r-", "RR", "cut"), (4, "rrs", "RRW", "horizon"),
    (5, "r", "L", "lost"),
)  # fmt: skip


def test_incidence_by_hand() -> None:
    # at risk 5, 3, 2, 1; ends: lost at 1; error at 2; error at 3; done at 4; item 3 is censored after step 1
    assert line(take(ENDS, "survival_event_free")) == pytest.approx((4 / 5, 8 / 15, 4 / 15, 0))
    assert line(take(ENDS, "incidence_lost")) == pytest.approx((1 / 5,) * 4)
    assert line(take(ENDS, "incidence_error")) == pytest.approx((0, 4 / 15, 8 / 15, 8 / 15))
    assert line(take(ENDS, "incidence_done")) == pytest.approx((0, 0, 0, 4 / 15))


def test_the_first_error_that_ended_the_rollout_is_broken() -> None:
    assert line(take(ENDS, "incidence_broken")) == pytest.approx((0, 4 / 15, 4 / 15, 4 / 15))
    went_on = table((1, "srrs", "WWWW", "broken"), (2, "s", "W", "broken"))
    assert line(take(went_on, "incidence_broken")) == pytest.approx((0.5,))
    assert line(take(went_on, "incidence_error")) == pytest.approx((1.0,))


def test_horizon_cut_and_fault_are_shares_of_the_rollouts_as_run() -> None:
    assert take(ENDS, "incidence_cut").value == pytest.approx(1 / 5)
    assert "to every other reading" in take(ENDS, "incidence_cut").reason
    assert take(ENDS, "incidence_horizon").value == 0
    assert take(ENDS, "incidence_fault").value == 0


def test_incidences_and_event_free_survival_add_up_to_one_under_censoring() -> None:
    frame = planted.ends(Size(80, 2, alike=0.3, cut=0.15), Risks(0.05, 0.05, 0.03), np.random.default_rng(0))
    names = ("incidence_error", "incidence_done", "incidence_lost", "survival_event_free")
    total = sum(np.array(line(take(frame, name, "stop"))) for name in names)
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_incidence_agrees_with_lifelines() -> None:
    oracle = ORACLES["incidence"]
    stop = {"error": "broken", "done": "done", "lost": "lost", "censored": "horizon"}
    frame = table(
        *(
            (i, "r" * (n - 1) + ("s" if cause == "error" else "r"), "R" * n, stop[cause])
            for i, (n, cause) in enumerate(zip(oracle["time"], oracle["cause"], strict=True))
        )
    )
    for cause, values in oracle["incidence"].items():
        assert line(take(frame, f"incidence_{cause}")) == pytest.approx(values, abs=1e-9), cause


def test_influence_of_the_incidence_is_its_derivative_in_an_items_weight() -> None:
    rng = np.random.default_rng(3)
    kind, other = (rng.integers(0, 2, (12, 5)).astype(float) for _ in range(2))
    ends = kind + other
    at_risk = ends[:, ::-1].cumsum(axis=1)[:, ::-1] + rng.integers(0, 3, (12, 1))
    found = aalen_johansen(kind, ends, at_risk, np.inf)
    for i in range(12):
        heavier = np.ones((12, 1))
        heavier[i] += 1e-6
        moved = aalen_johansen(kind * heavier, ends * heavier, at_risk * heavier, np.inf)
        np.testing.assert_allclose((moved.value - found.value) / 1e-6, found.influence[i], atol=1e-4)


# --- three states ---------------------------------------------------------------------------------------

WALK = table(
    (1, "rsrmr", "RWWRR", "horizon"), (2, "srsr", "WWWW", "done"), (3, "rsi", "RWL", "lost"),
    (4, "rrss", "RRWR", "horizon"),
)  # fmt: skip


def test_transition_rates_by_hand() -> None:
    # from right: item 1 steps 1 2 5, item 2 step 1, item 3 steps 1 2, item 4 steps 1 2 3 -> 9, four of them to wrong
    assert take(WALK, "transition_right_wrong").value == pytest.approx(4 / 9)
    # from wrong: item 1 steps 3 4, item 2 steps 2 3 4, item 3 step 3, item 4 step 4 -> 7
    assert take(WALK, "transition_wrong_right").value == pytest.approx(2 / 7)
    assert take(WALK, "transition_wrong_lost").value == pytest.approx(1 / 7)
    assert take(WALK, "transition_right_lost").value == 0
    assert take(WALK, "transition_right_lost").high > 0
    assert take(WALK, "restoration_unearned").value == pytest.approx(1 / 2)


def test_excursions_by_hand() -> None:
    out = excursions(read(WALK))
    assert out.length.tolist() == [2, 3, 1, 1]
    assert out.recovered.tolist() == [True, False, False, True]
    # at risk 4, 2, 1; back at age 1: item 4; item 3 is lost there; back at age 2: item 1; item 2 is done while wrong
    assert line(take(WALK, "recovery_since_error")) == pytest.approx((1 / 4, 1 / 2, 0))
    assert line(take(WALK, "recovery_incidence")) == pytest.approx((1 / 4, 1 / 2, 1 / 2))
    assert take(WALK, "time_to_recovery_50").value == 2


def test_a_fix_earns_a_recovery() -> None:
    fix = [False] * 15 + [True]
    assert take(WALK.with_columns(fix=pl.Series(fix)), "restoration_unearned").value == 0


def test_occupation_without_censoring_is_the_share_of_rollouts() -> None:
    rates = Rates(0.15, 0.3, 0.02, 0.05)
    frame = planted.chain(Size(60, 2, horizon=12), rates, np.random.default_rng(1))
    arm = read(frame)
    at = occupation(track(arm))
    kept = frame.pivot("t", index=["item", "rollout"], values="true_state").fill_null(False)
    right = [kept[str(t)].mean() for t in range(12)]
    np.testing.assert_allclose(at.value[:, 0], right, atol=1e-12)
    np.testing.assert_allclose(at.value.sum(axis=1), 1, atol=1e-12)
    free = 1 - np.array(line(INSTRUMENTS["incidence_error"](arm)))
    gain = line(INSTRUMENTS["occupancy_gain"](arm))
    np.testing.assert_allclose(gain, right - free, atol=1e-12)


def test_influence_of_the_occupation_is_its_derivative_in_an_items_weight() -> None:
    frame = planted.chain(Size(8, 2, horizon=8, cut=0.1), Rates(0.2, 0.3, 0.02, 0.05), np.random.default_rng(2))
    base = occupation(track(read(frame)))
    for item in range(8):
        weight = pl.when(pl.col("item") == item).then(1 + 1e-6).otherwise(1.0)
        moved = occupation(track(read(frame.with_columns(weight=weight))))
        np.testing.assert_allclose((moved.value - base.value) / 1e-6, base.influence[item], atol=1e-4)


def test_done_keeps_its_state_and_a_cut_does_not() -> None:
    frame = table((1, "s", "W", "done"), (2, "rr", "RR", "horizon"), (3, "r-", "RR", "cut"), (4, "rs", "RW", "horizon"))
    # after step 1: 3 right, 1 wrong for good; item 3 is censored, one of the two right ones at risk goes wrong
    arm = read(frame)
    assert occupation(track(arm)).value[:, 0] == pytest.approx((3 / 4, 3 / 8))


# --- fixed by construction ------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["stop", "skip", "repair"])
@pytest.mark.parametrize("name", RECOVERY)
def test_a_rule_that_fixes_recovery_is_named(name: str, rule: str) -> None:
    reading = take(WALK, name, rule)
    assert math.isnan(reading.value)
    assert f"fixed by the rule {rule}" in reading.reason


@pytest.mark.parametrize("name", ["transition_wrong_right", "recovery_incidence", "recovery_never", "occupancy_gain"])
def test_a_wrong_state_that_was_never_left_is_no_finding(name: str) -> None:
    closed = table((1, "rsrr", "RWWW", "horizon"), (2, "srrr", "WWWW", "horizon"), (3, "rrrs", "RRRW", "horizon"))
    reading = take(closed, name)
    assert math.isnan(reading.value)
    assert "fixed by construction" in reading.reason
    fix = [False, False, True, False] + [False] * 8
    if name != "recovery_never":  # a fix that was not taken up is a finding: 0, with an interval
        offered = take(closed.with_columns(fix=pl.Series(fix)), name)
        assert offered.value == 0
        assert offered.high > 0.3


def test_an_error_that_is_always_final_leaves_no_recovery_to_measure() -> None:
    final = table((1, "rs", "RL", "lost"), (2, "s", "W", "broken"), (3, "rr", "RR", "horizon"))
    assert "every error was final" in take(final, "transition_wrong_right").reason
    assert take(final, "transition_right_lost").value == pytest.approx(2 / 5)


def test_lost_is_fixed_where_there_is_no_goal() -> None:
    frame = WALK.filter(pl.col("item") != 3).with_columns(goal_open=pl.lit(None, dtype=pl.Boolean))
    for name in ("transition_right_lost", "transition_wrong_lost", "occupation_lost"):
        assert "no goal to lose" in take(frame, name).reason


# --- movers and stayers ---------------------------------------------------------------------------------


def test_the_mixture_is_its_likelihoods_maximum() -> None:
    frame = planted.stayers(Size(150, 2, alike=0.3, cut=0.05), 0.25, 0.3, np.random.default_rng(4))
    out = excursions(read(frame))
    fit = _fit(out)
    d, c = out.length[out.recovered], out.length[~out.recovered]

    def loss(p: np.ndarray) -> float:
        s, g = p
        return -float(np.log((1 - s) * g * (1 - g) ** (d - 1)).sum() + np.log(s + (1 - s) * (1 - g) ** c).sum())

    peer = optimize.minimize(loss, [0.2, 0.2], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).x
    assert (fit.share, fit.rate) == pytest.approx(peer, abs=1e-4)


def test_the_mixtures_score_is_the_slope_of_its_likelihood() -> None:
    length, recovered = np.array([1, 4, 9, 2, 7]), np.array([True, True, False, False, True])
    step = 1e-6
    up = [_loglik(0.2 + step, 0.3, length, recovered), _loglik(0.2, 0.3 + step, length, recovered)]
    down = [_loglik(0.2 - step, 0.3, length, recovered), _loglik(0.2, 0.3 - step, length, recovered)]
    np.testing.assert_allclose((np.array(up) - down) / (2 * step), _score(0.2, 0.3, length, recovered), rtol=1e-6)


def test_few_excursions_and_short_ones_are_refused_in_words() -> None:
    assert "movers and stayers need 50" in take(WALK, "recovery_never").reason
    short = planted.stayers(Size(100, horizon=4), 0.2, 0.05, np.random.default_rng(5))
    assert "too short to tell a stayer" in take(short, "recovery_never").reason


def test_stayers_are_found_and_movers_alone_are_not_taken_for_them() -> None:
    size = Size(200, 2, alike=0.3)
    found = planted.sample_stayers(size, 0.3, 0.3, np.random.default_rng(6))
    assert found["recovery_never"].low < 0.3 < found["recovery_never"].high
    assert found["recovery_never_test"].value < 1e-6
    none = planted.sample_stayers(size, 0.0, 0.3, np.random.default_rng(7))
    assert none["recovery_never"].low == 0
    assert none["recovery_never_test"].value > 0.05


# --- degenerate tables ----------------------------------------------------------------------------------

DEGENERATE = {
    "no rows": WALK.head(0),
    "one item": table((1, "rsm", "RWR", "horizon"), (1, "rrs", "RRW", "cut")),
    "one step": table((1, "r", "R", "horizon"), (2, "s", "W", "horizon"), (3, "s", "W", "cut")),
    "all wrong": table((1, "sss", "WWW", "horizon"), (2, "sss", "WWW", "horizon")),
    "all right": table((1, "rrr", "RRR", "horizon"), (2, "rrr", "RRR", "done")),
    "all cut at once": table((1, "-", "R", "cut"), (2, "-", "R", "fault")),
    "all forced": table((1, "rs", "RW", "horizon"), (2, "rr", "RR", "horizon"), forced=["healed"] * 4),
    "all recover at once": table(*((i, "sm", "WR", "horizon") for i in range(60))),
    "all ties": table(*((i, "srm", "WWR", "done") for i in range(60))),
    "no true state": WALK.with_columns(true_state=pl.lit(None, dtype=pl.Boolean)),
    "no stop": WALK.with_columns(stop=pl.lit(None, dtype=pl.String)),
}


@pytest.mark.parametrize("name", COMPETING + RECOVERY)
def test_degenerate_tables_give_reasons_and_no_false_certainty(name: str) -> None:
    for case, frame in DEGENERATE.items():
        reading = take(frame, name)
        if math.isnan(reading.low):
            assert reading.reason, case
        else:
            whole_steps = reading.unit == "steps"  # a median of 1 step may be certain: F(1) is well above a half
            assert reading.low < reading.high or whole_steps, (case, reading)
            assert reading.low <= reading.value <= reading.high, (case, reading)
