"""Fast checks of the instruments on fixed data, against hand-worked values: what planted bugs must turn red."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from deadreckon.instruments import (
    excess_accumulated_error,
    log_loss_identity,
    measure,
    read,
    self_conditioning,
    self_conditioning_ratio,
    survival_gap_by_step,
    survival_gap_constant,
    survival_gap_mixed,
)
from deadreckon.validation.checks_of_intervals import INTERVAL_CHECKS
from deadreckon.validation.hand import lives, steps, take, values

HAND = steps((1, "rrrr", "done"), (2, "rs", "broken"), (3, "r-", "cut"), (4, "rrs", "lost"), (5, "s", "broken"))


def near(got: float | Sequence[float], expected: float | Sequence[float], within: float = 1e-9) -> bool:
    """Equal up to rounding, shapes too."""
    a, b = np.asarray(got, dtype=float), np.asarray(expected, dtype=float)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=within, equal_nan=False))


def survival_is_the_product_limit() -> bool:
    """At risk 5, 3, 2, 1; errors 1, 1, 1, 0: item 3 leaves after one step, its second never happened."""
    s = take(HAND, "survival")
    return near(values(s), (0.8, 0.8 * 2 / 3, 0.8 / 3, 0.8 / 3)) and s.curve is not None and s.curve.n == (5, 3, 2, 1)


def hazard_is_events_over_those_at_risk() -> bool:
    """3 first errors in 11 steps at risk."""
    h = take(HAND, "hazard")
    return near(h.value, 3 / 11) and near(values(h), (1 / 5, 1 / 3, 1 / 2, 0))


def cut_rollouts_are_bounded_on_both_sides() -> bool:
    """Item 3 failed at its second step, or went on."""
    failed, survived = take(HAND, "survival_if_cut_failed"), take(HAND, "survival_if_cut_survived")
    return near(values(failed)[:3], (0.8, 0.4, 0.2)) and near(values(survived), (0.8, 0.6, 0.4, 0.4))


def ends_that_are_no_errors_are_censored() -> bool:
    """Done, horizon, cut, fault and lost without an error leave the risk set and never lower survival."""
    ends = ("done", "horizon", "cut", "fault", "lost")
    frame = steps(*((i, "rr", end) for i, end in enumerate(ends)), (9, "rrrs", "broken"), (10, "rrrr", "horizon"))
    return near(values(take(frame, "survival")), (1, 1, 1, 0.5)) and near(take(frame, "hazard").value, 1 / 18)


def every_error_is_one() -> bool:
    """Slip, illegal and unparsed are errors; a mend is none."""
    frame = steps((1, "rsiu", "horizon"), (2, "rmrr", "horizon"))
    return near(take(frame, "step_error").value, 3 / 8) and near(values(take(frame, "survival")), (1, 0.5, 0.5, 0.5))


def survival_with_ties_and_censoring_agrees_with_a_loop() -> bool:
    """Kaplan-Meier by counting, times of 200 rollouts, 40% censored, many ties."""
    rng = np.random.default_rng(0)
    time, failed = rng.integers(1, 12, 200), rng.random(200) < 0.6
    expected, s = [], 1.0
    for n in range(1, int(time.max()) + 1):
        s *= 1 - int(((time == n) & failed).sum()) / int((time >= n).sum())
        expected.append(s)
    return near(values(take(lives(time, failed), "survival")), expected)


def incidences_add_up_with_survival() -> bool:
    """Nothing censored: error, done and what is left add up to 1."""
    frame = steps((1, "rrrr", "done"), (2, "rs", "broken"), (3, "rr", "done"), (4, "rrs", "lost"), (5, "s", "broken"))
    error, done = take(frame, "incidence_error"), take(frame, "incidence_done")
    return near(values(error), (0.2, 0.4, 0.6, 0.6)) and near(values(done), (0, 0.2, 0.2, 0.4))


def horizon_is_the_first_step_at_or_below_q() -> bool:
    """One first error at each of ten steps; then none in five, never extrapolated."""
    frame = steps(*((i, "r" * i + "s", "broken") for i in range(10)))
    half, most = take(frame, "horizon_50"), take(frame, "horizon_80")
    short = take(steps(*((i, "rrrrr", "horizon") for i in range(30))), "horizon_50")
    inside = half.low <= half.value <= half.high and half.low < half.high
    return (
        (half.value, most.value) == (5, 2)
        and inside
        and (short.low, short.value, short.high) == (6, math.inf, math.inf)
    )


def forced_steps_are_never_the_models() -> bool:
    """Two forced steps before three own ones."""
    forced = ["healed", "injected", "", "", ""] * 2
    frame = steps((1, "rsrrs", "horizon"), (2, "rsrrr", "horizon"), forced=forced)
    return near(take(frame, "step_error").value, 1 / 6) and near(values(take(frame, "survival")), (1, 1, 0.5))


TRACK = steps(
    (1, "rsrm", "horizon"),
    (2, "rr", "done"),
    (3, "srrr", "horizon"),
    (4, "i", "broken"),
    (5, "r", "horizon"),
    true_state=[c == "T" for c in "TFFT" + "TT" + "FFTT" + "T" + "T"],
    fix=[False] * 6 + [False, False, True, False] + [False] * 2,
)


def the_track_is_followed() -> bool:
    """Off at 2, mended at 4 | done on track at 2 | off at 1, back after a fix | broken at once | ends at 1."""
    rates = [take(TRACK, name).value for name in ("error_rate", "recovery_rate", "recovery_rate_earned")]
    return near(rates, (3 / 8, 2 / 4, 2 / 4)) and take(TRACK, "recovery_rate_unearned").value == 0


def occupancy_counts_every_rollout_that_is_followed() -> bool:
    """Done, lost and broken keep their last state; horizon leaves."""
    shares = values(take(TRACK, "occupancy"))
    return near(shares, (3 / 5, 1 / 4, 2 / 4, 3 / 4)) and near(take(TRACK, "occupancy").value, 3 / 5)


def two_wrongs_that_make_a_right_are_unearned() -> bool:
    """Back on track without a fix or a mend."""
    frame = steps((1, "ss", "horizon"), (2, "sm", "horizon"), true_state=[False, True, False, True])
    return near([take(frame, f"recovery_rate_{kind}").value for kind in ("earned", "unearned")], (0.5, 0.5))


def occupancy_law_is_g_over_g_plus_h() -> bool:
    """From the rates of the same table."""
    return near(take(TRACK, "occupancy_law").value, (1 / 2) / (1 / 2 + 3 / 8))


def recovery_exists_under_accept_alone() -> bool:
    """What the rule fixes is no finding."""
    reading = [take(TRACK, name, "stop") for name in ("occupancy", "recovery_rate", "error_rate")]
    return all(math.isnan(r.value) and "fixed by the rule stop" in r.reason for r in reading)


FORCED = steps((1, "rr", "horizon"), (2, "rs", "horizon"), right_mass=[0.9, 0.9, 0.5, 0.3])


def teacher_forced_survival_by_hand() -> bool:
    """Item 1 errs with 0.1, 0.1; item 2 with 0.5, 0.7."""
    names = ("teacher_forced_error", "teacher_forced_error_exact")
    errors = near([take(FORCED, name, "repair").value for name in names], (0.25, 0.35))
    mixed = near(values(take(FORCED, "survival_mixed", "repair")), (0.7, (0.81 + 0.15) / 2))
    step = near(values(take(FORCED, "survival_by_step", "repair")), (0.7, 0.7 * 0.6))
    return errors and mixed and step and near(values(take(FORCED, "survival_constant", "repair")), (0.65, 0.65**2))


def teacher_forcing_needs_the_oracles_contexts() -> bool:
    """Under another rule it is refused."""
    names = ("teacher_forced_error", "survival_constant", "survival_mixed")
    return all(math.isnan(take(FORCED, name).value) for name in names)


def gaps_are_survival_minus_what_was_predicted() -> bool:
    """Free: both items right at step 1, one wrong at step 2."""
    free, forced = read(steps((1, "rr", "horizon"), (2, "rs", "horizon"))), read(FORCED, "repair")
    gaps = [gap(free, forced, 2).value for gap in (survival_gap_constant, survival_gap_by_step, survival_gap_mixed)]
    return near(gaps, (0.5 - 0.65**2, 0.5 - 0.42, 0.5 - 0.48))


INJECTED = steps(
    (1, "rssr", "horizon"), (2, "rsrs", "horizon"), (3, "rsss", "horizon"), forced=["healed", "injected", "", ""] * 3
)
HEALED = steps((1, "rrrr", "horizon"), (2, "rrrs", "horizon"), forced=["healed", "healed", "", ""] * 2)


def an_intervention_is_judged_on_pairs() -> bool:
    """Item 3 has no healed twin. Two own steps each: 2 errors of 4 after an injected one, 1 of 4 without."""
    injected, healed = read(INJECTED), read(HEALED)
    reading, ratio = self_conditioning(injected, healed, 2), self_conditioning_ratio(injected, healed, 2)
    return near(reading.value, 0.25) and near(values(reading), (0.5, 0.0)) and near(ratio.value, 2)


def divergences_by_hand() -> bool:
    """Forward and reverse are told apart, and so are the contexts."""
    frame = steps((1, "rr", "horizon"), (2, "rr", "horizon"), kl_pq=[0.1, 0.4, 0.3, 0.4], kl_qp=[1.0, 1.0, 1.0, 3.0])
    free = [take(frame, name).value for name in ("kl_free_running", "kl_reverse_free_running")]
    forced = [take(frame, name, "repair").value for name in ("kl_teacher_forced", "kl_reverse_teacher_forced")]
    refused = math.isnan(take(frame, "kl_teacher_forced").value)
    return near(free, (0.3, 1.5)) and near(forced, (0.3, 1.5)) and refused


def excess_accumulated_error_by_hand() -> bool:
    """R = 0.2, 0.6 against 0.2, 0.4."""
    free = steps((1, "rr", "horizon"), (2, "rr", "horizon"), kl_pq=[0.1, 0.4, 0.3, 0.4])
    forced = steps((1, "rr", "horizon"), (2, "rr", "horizon"), kl_pq=[0.1, 0.2, 0.3, 0.2])
    return near(values(excess_accumulated_error(read(free), read(forced, "repair"))), (0.0, 50.0))


def an_infinite_divergence_is_never_averaged() -> bool:
    """Nor left out in silence."""
    frame = steps((1, "rr", "horizon"), (2, "rr", "horizon"), kl_pq=[0.1, math.inf, 0.2, 0.3])
    return math.isnan(take(frame, "kl_free_running").value)


def the_log_loss_identity_holds() -> bool:
    """A hand-made law: -log P = H(Q) + D(Q || P) in the mean."""
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.3, 0.1])
    actions = np.repeat([0, 1, 2], [6, 3, 1])
    frame = steps(*((i, "r", "horizon") for i in range(10))).with_columns(
        minus_log_p=pl.Series(-np.log(p[actions])),
        entropy=pl.lit(-float(q @ np.log(q))),
        kl_qp=pl.lit(float(q @ np.log(q / p))),
    )
    return near(log_loss_identity(read(frame)).value, 0.0)


def confidence_by_hand() -> bool:
    """Claims 0.8 and 0.2, all right but one 0.2."""
    frame = steps((1, "rs", "horizon"), (2, "rr", "horizon"), confidence=[0.8, 0.2, 0.8, 0.2])
    return near(take(frame, "brier").value, (0.04 + 0.04 + 0.04 + 0.64) / 4)


def cost_counts_the_tokens_of_wrong_steps_too() -> bool:
    """15 tokens, three right steps."""
    frame = steps((1, "rs", "horizon"), (2, "rr", "horizon"), tokens=[3, 5, 3, 4])
    return near(take(frame, "cost_per_right_step").value, 15 / 3)


def weights_count_items_as_many_times() -> bool:
    """Item 1 three times."""
    frame = steps((1, "rs", "horizon"), (2, "rr", "horizon"), weight=[3.0, 3.0, 1.0, 1.0])
    tracked = frame.with_columns(true_state=pl.Series([True, False, True, True]))
    rates = [take(tracked, name).value for name in ("step_error", "survival", "error_rate")]
    return near(rates, (3 / 8, 1 / 4, 3 / 8))


def row_order_does_not_matter() -> bool:
    """A shuffled table gives the same readings."""
    shuffled = TRACK.sample(fraction=1.0, shuffle=True, seed=1)
    pairs = zip(measure(TRACK), measure(shuffled), strict=True)
    return all(np.allclose([a.value, a.low, a.high], [b.value, b.low, b.high], equal_nan=True) for a, b in pairs)


CHECKS: tuple[Callable[[], bool], ...] = (
    survival_is_the_product_limit,
    hazard_is_events_over_those_at_risk,
    cut_rollouts_are_bounded_on_both_sides,
    ends_that_are_no_errors_are_censored,
    every_error_is_one,
    survival_with_ties_and_censoring_agrees_with_a_loop,
    incidences_add_up_with_survival,
    horizon_is_the_first_step_at_or_below_q,
    forced_steps_are_never_the_models,
    the_track_is_followed,
    occupancy_counts_every_rollout_that_is_followed,
    two_wrongs_that_make_a_right_are_unearned,
    occupancy_law_is_g_over_g_plus_h,
    recovery_exists_under_accept_alone,
    teacher_forced_survival_by_hand,
    teacher_forcing_needs_the_oracles_contexts,
    gaps_are_survival_minus_what_was_predicted,
    an_intervention_is_judged_on_pairs,
    divergences_by_hand,
    excess_accumulated_error_by_hand,
    an_infinite_divergence_is_never_averaged,
    the_log_loss_identity_holds,
    confidence_by_hand,
    cost_counts_the_tokens_of_wrong_steps_too,
    weights_count_items_as_many_times,
    row_order_does_not_matter,
    *INTERVAL_CHECKS,
)
