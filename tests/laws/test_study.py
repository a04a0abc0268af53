"""Laws of the study of compounding errors: the rules on hand-made readings, and the controls' closed forms."""

from dataclasses import replace
from math import ceil, hypot, inf, log, nan

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm, t

from deadreckon.contracts import OnError, Reading, Verdict
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.studies import controls
from deadreckon.studies.errors_compound import MARGIN, RULES, above, gap, judge, overall, stays_lost
from deadreckon.studies.measured import Measured, error_free, over_seeds
from deadreckon.studies.study import Check
from deadreckon.studies.subjects import RECOVER, SLIP, SUBJECTS, Subject
from deadreckon.worlds.markov_law import track

HOLDS, FAILS, UNDECIDED = Verdict.HOLDS, Verdict.FAILS, Verdict.UNDECIDED
Interval = tuple[float, float, float]  # value, low, high
NONE = (nan, nan, nan)


def reading(interval: Interval, quantity: str = "q") -> Reading:
    return Reading(quantity, "1", *interval, 0.95, 100, "by hand")


def subject(name: str, on_error: OnError = OnError.ACCEPT) -> Subject:
    return Subject(name, "sums", 1, ("one",), "plain", 24, on_error, 8, 16)


def one(name: str, on_error: OnError = OnError.ACCEPT, **readings: Interval) -> Measured:
    pooled = {quantity: reading(interval, quantity) for quantity, interval in readings.items()}
    return Measured(subject(name, on_error), pooled, pooled, dict.fromkeys(pooled, ()))


def alone(name: str, interval: Interval) -> list[Measured]:
    return [one("a-clean", **{name: interval})]


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([(0.0, -0.01, 0.01), (0.01, -0.02, 0.03)], HOLDS),
        ([(0.0, -0.01, 0.01), (0.1, 0.05, 0.15)], FAILS),
        ([(0.0, -0.01, 0.01), (-0.1, -0.15, -0.05)], FAILS),
        ([(0.0, -0.01, 0.01), (0.0, -0.2, 0.2)], UNDECIDED),
        ([(0.0, -0.01, 0.01), NONE], UNDECIDED),
        ([(0.0, -0.01, 0.01), (0.0, nan, nan)], UNDECIDED),
        ([], UNDECIDED),
    ],
)
def test_a_prediction_holds_where_all_agree_and_fails_where_one_misses(
    intervals: list[Interval], verdict: Verdict
) -> None:
    measured = [one(f"m{i}", gap=interval) for i, interval in enumerate(intervals)]
    assert gap(measured, "gap").verdict is verdict


@pytest.mark.parametrize(
    ("intervals", "verdict"),
    [
        ([(0.1, 0.05, 0.15)] * 3, HOLDS),
        ([(0.0, -0.01, 0.01)] * 3, FAILS),
        ([(0.1, 0.05, 0.15)] * 2 + [(0.0, -0.1, 0.1)], UNDECIDED),
        ([(0.1, 0.05, 0.15)] * 2 + [NONE], UNDECIDED),
        ([(0.0, -0.01, 0.01)] * 2 + [NONE], UNDECIDED),
        ([(0.1, 0.05, 0.15)] * 2 + [(0.1, nan, nan)], UNDECIDED),
        ([], UNDECIDED),
    ],
)
def test_errors_breed_errors_only_if_all_three_clean_models_say_so(intervals: list[Interval], verdict: Verdict) -> None:
    clean = [one(f"m{i}-clean", breeding=interval) for i, interval in enumerate(intervals)]
    assert above(clean, "breeding", "errors per step", 0.02).verdict is verdict


def test_a_model_not_trained_on_clean_text_has_no_vote_on_breeding() -> None:
    clean = [one(f"m{i}-clean", breeding=(0.2, 0.15, 0.25)) for i in range(3)]
    other = one("m-repaired", breeding=(0.0, -0.01, 0.01))
    assert above([*clean, other], "breeding", "errors per step", 0.02).verdict is HOLDS


@pytest.mark.parametrize(
    ("on", "never", "verdict"),
    [
        ((0.5, 0.49, 0.51), (0.5, 0.48, 0.52), HOLDS),
        ((0.8, 0.75, 0.85), (0.5, 0.45, 0.55), FAILS),
        ((0.55, 0.45, 0.65), (0.5, 0.4, 0.6), UNDECIDED),
        (NONE, (0.5, 0.4, 0.6), UNDECIDED),
        ((0.5, 0.49, 0.51), NONE, UNDECIDED),
    ],
)
def test_being_on_track_is_held_against_never_having_erred(on: Interval, never: Interval, verdict: Verdict) -> None:
    skipped = one("othello", OnError.SKIP, occupancy=NONE, error_free=(0.1, 0.05, 0.15))
    assert stays_lost([one("sums", occupancy=on, error_free=never), skipped]).verdict is verdict
    assert stays_lost([skipped]).verdict is UNDECIDED


def test_the_share_without_an_error_keeps_rollouts_that_are_done() -> None:
    """Where nothing is ever found again, being on track is never having erred, however early rollouts are done."""
    spec = RollSpec("maps", 1, "noisy-oracle:slip=0.1", items=150, horizon=24, law=False, on_error=OnError.STOP)
    arm = read(roll(spec), "stop")
    broken = float((arm.stop == "broken").mean())
    assert 0.1 < broken < 0.9
    assert (arm.stop == "done").any()
    assert error_free(arm).value == pytest.approx(1 - broken)
    assert INSTRUMENTS["survival"](arm).value < error_free(arm).value - 0.05


def full(on: Interval, miss: Interval) -> list[Measured]:
    never, breeding, drift = (0.5, 0.49, 0.51), (0.1, 0.05, 0.15), (50.0, 40.0, 60.0)
    rest = {"error_free": never, "self_conditioning": breeding, "excess_accumulated_error": drift}
    gaps = {"survival_gap_constant": miss, "survival_gap_mixed": (0.0, -0.001, 0.001)}
    return [one("sums-clean", occupancy=on, **rest, **gaps)]


@pytest.mark.parametrize(
    ("on", "miss", "passed", "verdict"),
    [
        ((0.5, 0.49, 0.51), (0.0, -0.01, 0.01), True, HOLDS),
        ((0.9, 0.85, 0.95), (0.0, -0.01, 0.01), True, FAILS),
        ((0.5, 0.49, 0.51), (0.1, 0.05, 0.15), True, FAILS),
        ((0.5, 0.49, 0.51), (0.0, -0.2, 0.2), True, UNDECIDED),
        ((0.9, 0.85, 0.95), (0.1, 0.05, 0.15), False, UNDECIDED),
    ],
)
def test_the_claim_stands_on_its_two_questions_and_on_every_control(
    on: Interval, miss: Interval, passed: bool, verdict: Verdict
) -> None:
    measured = full(on, miss)
    finding = overall(measured, judge(measured), (Check("planted", passed, "figures"),))
    assert finding.verdict is verdict
    assert "planted" in finding.because or "sums-clean" in finding.because


def test_rules_are_widened_for_the_models_judged_together() -> None:
    """One model of two: an interval that excludes 0 at 95% and no longer at 97.5% is no miss."""
    lone, pair = alone("gap", (0.1, 0.01, 0.19)), [one("b", gap=(0.0, -0.01, 0.01))]
    assert gap(lone, "gap").verdict is FAILS
    assert gap([*lone, *pair], "gap").verdict is UNDECIDED
    wide = over_seeds(reading((0.1, 0.05, 0.2)), (), 9)
    factor = norm.ppf(1 - 0.025 / 9) / norm.ppf(0.975)
    assert (wide.low, wide.high) == pytest.approx((0.1 - factor * 0.05, 0.1 + factor * 0.1))
    assert wide.level == pytest.approx(1 - 0.05 / 9)


def test_the_spread_of_training_seeds_is_added_in_quadrature() -> None:
    pooled, values = reading((0.3, 0.2, 0.5)), [0.1, 0.2, 0.3, 0.4, 0.5]
    seeds = [reading((v, v - 0.1, v + 0.1)) for v in values]
    spread = np.std(values, ddof=1) / np.sqrt(5)
    both = over_seeds(pooled, seeds)
    half = t.ppf(0.975, 4) * spread
    assert (both.low, both.high) == pytest.approx((0.3 - hypot(0.1, half), 0.3 + hypot(0.2, half)))
    half = t.ppf(1 - 0.025 / 9, 4) * spread  # with four degrees of freedom, wider than by the normal ratio
    factor = norm.ppf(1 - 0.025 / 9) / norm.ppf(0.975)
    assert over_seeds(pooled, seeds, 9).high == pytest.approx(0.3 + hypot(factor * 0.2, half))
    assert over_seeds(pooled, seeds[:1]) == pooled


@pytest.mark.parametrize("value", [nan, inf])
def test_a_training_seed_that_is_not_estimable_leaves_no_interval(value: float) -> None:
    seeds = [reading((0.3, 0.2, 0.4)), reading((value, nan, nan))]
    both = over_seeds(reading((0.3, 0.2, 0.4)), seeds)
    assert both.value == 0.3
    assert np.isnan([both.low, both.high]).all()
    assert "1 of 2 training seeds" in both.reason


def test_the_rules_name_their_margin_and_three_models_are_trained_on_clean_text() -> None:
    assert f"±{MARGIN}" in RULES
    assert sum(s.name.endswith("-clean") for s in SUBJECTS) == 3


def test_the_two_state_chain_has_the_closed_forms_the_controls_use() -> None:
    law = track(SLIP, RECOVER, 40)
    rest = RECOVER / (SLIP + RECOVER)
    n = np.arange(1, 41)
    assert law[-40:] == pytest.approx(rest + (1 - rest) * (1 - SLIP - RECOVER) ** n)
    half = ceil(log(0.5) / np.log1p(-SLIP))
    assert (1 - SLIP) ** half <= 0.5 < (1 - SLIP) ** (half - 1)


def test_a_planted_rate_that_is_not_there_fails_its_control(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = replace(controls.NEUTRAL, level=1, horizon=30)
    spec = RollSpec("sums", 1, subject.models[0], items=300, horizon=30, law=False)
    tables: dict[str, pl.DataFrame] = {f"{subject.name}/0/free": roll(spec)}
    assert controls._rates(tables, subject, SLIP, RECOVER).passed
    assert not controls._rates(tables, subject, 3 * SLIP, RECOVER).passed
