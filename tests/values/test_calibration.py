"""Claims against facts: cases worked by hand, other libraries' values, degenerate claims."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import fft

from deadreckon.contracts import Reading
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.instruments.calibration import _bins, _norm_interval, claims
from deadreckon.instruments.discrimination import ranked, risk
from deadreckon.instruments.smooth import fixed_point, on_grid, smoothed_error
from deadreckon.validation import planted_calibration as planted
from deadreckon.validation.planted_calibration import Claimed

ORACLES = json.loads((Path(__file__).parent / "oracles" / "recovery_calibration.json").read_text())["claims"]
NEW = ("brier_reliability", "brier_resolution", "brier_uncertainty", "ece_debiased", "overconfidence", "smooth_ece",
       "smooth_ece_floor", "auroc", "aurc", "aurc_excess")  # fmt: skip


def table(p: Sequence[float | None], right: Sequence[int], steps: int = 1) -> pl.DataFrame:
    """Items of that many steps, each a claim and whether it was right."""
    n = len(p)
    t = np.arange(n) % steps
    return pl.DataFrame(
        {
            "item": np.arange(n) // steps,
            "rollout": np.zeros(n, dtype=int),
            "t": t,
            "event": np.where(np.array(right) == 1, "right", "slip"),
            "confidence": pl.Series(p, dtype=pl.Float64),
        }
    ).with_columns(stop=pl.when(pl.col("t") == steps - 1).then(pl.lit("horizon")))


def take(frame: pl.DataFrame, name: str) -> Reading:
    return INSTRUMENTS[name](read(frame))


SIX = table([0.9, 0.8, 0.8, 0.6, 0.5, 0.3], [1, 1, 0, 0, 1, 0])


def test_auroc_by_hand() -> None:
    # right .9 .8 .5 against wrong .8 .6 .3: 3 + (2 + half) + 1 of 9 pairs
    assert take(SIX, "auroc").value == pytest.approx(6.5 / 9)


def test_auroc_agrees_with_scikit_learn() -> None:
    reading = take(table(ORACLES["p"], ORACLES["right"], 4), "auroc")
    assert reading.value == pytest.approx(ORACLES["auroc"], abs=1e-12)
    assert reading.low < reading.value < reading.high


def test_auroc_variance_is_delongs_where_every_item_has_one_step() -> None:
    p, y = np.array(ORACLES["p"]), np.array(ORACLES["right"])
    wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
    m, n = wins.shape
    delong = wins.mean(axis=1).var(ddof=1) / m + wins.mean(axis=0).var(ddof=1) / n
    reading = take(table(p, y), "auroc")
    odds = [math.log(end / (1 - end)) for end in (reading.low, reading.high)]
    a = reading.value
    assert ((odds[1] - odds[0]) / (2 * 1.96) * a * (1 - a)) ** 2 == pytest.approx(delong, rel=0.05)


def test_risk_coverage_by_hand() -> None:
    # surest first: right, (right, wrong) tied, wrong, right, wrong
    curve = take(SIX, "aurc").curve
    assert curve is not None
    at = dict(zip((round(6 * x) for x in curve.x), curve.value, strict=True))
    assert at == pytest.approx({1: 0, 3: 1 / 3, 4: 2 / 4, 5: 2 / 5, 6: 3 / 6})
    # continuous coverage, the tied pair half wrong throughout: risk integrated piece by piece
    c = (np.arange(600_000) + 0.5) / 600_000
    wrong = np.array([0, 0.5, 0.5, 1, 0, 1])[(c * 6).astype(int)]
    assert take(SIX, "aurc").value == pytest.approx((np.cumsum(wrong) / np.arange(1, len(c) + 1)).mean(), abs=1e-4)


def test_the_best_order_has_no_excess() -> None:
    best = table([0.9, 0.8, 0.7, 0.2, 0.1], [1, 1, 1, 0, 0])
    assert take(best, "aurc").value == pytest.approx(0.4 + 0.6 * math.log(0.6))
    assert take(best, "aurc_excess").value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_influence_of_the_area_is_its_derivative_in_an_items_weight(ties: bool) -> None:
    frame = planted.tempered(Claimed(9, 4, alike=0.3), np.random.default_rng(1))
    if ties:
        frame = frame.with_columns(pl.col("confidence").round(1))
    base = ranked(read(frame))
    influence = base.by_cluster(risk(base).area_influence)
    for item in range(9):
        weight = pl.when(pl.col("item") == item).then(1 + 1e-6).otherwise(1.0)
        moved = risk(ranked(read(frame.with_columns(weight=weight)))).area
        assert (moved - risk(base).area) / 1e-6 == pytest.approx(influence[item], abs=1e-5)


def test_smooth_ece_agrees_with_relplot() -> None:
    p, right = np.array(ORACLES["p"]), np.array(ORACLES["right"])
    mass = on_grid(p, (p - right) / len(p))
    for width, value in ORACLES["smooth_ece_at"].items():  # relplot sums on a grid of at least 200 points
        found = smoothed_error(fft.dct(mass[None, :], axis=1), np.array([float(width)]))[0]
        assert found == pytest.approx(value, rel=0.01)
    assert take(table(p, right, 4), "smooth_ece").value == pytest.approx(ORACLES["smooth_ece"], abs=1e-3)


def test_smooth_ece_of_one_claim_is_its_distance_from_the_facts() -> None:
    # all mass at one place: smoothing spreads it, reflection loses none
    for p in (0.0, 0.02, 0.5, 1.0):
        residual = on_grid(np.full(4, p), np.full(4, 0.05))
        assert fixed_point(residual[None, :])[0] == pytest.approx(0.2, abs=1e-4)


def test_the_smooth_floor_is_what_a_calibrated_model_shows() -> None:
    plan = Claimed(100, 10)
    fair = [read(planted.tempered(plan, np.random.default_rng(seed))) for seed in range(40)]
    seen = np.mean([INSTRUMENTS["smooth_ece"](arm).value for arm in fair])
    floor = INSTRUMENTS["smooth_ece_floor"](fair[0])
    assert floor.value == pytest.approx(seen, rel=0.15)
    assert floor == INSTRUMENTS["smooth_ece_floor"](fair[0])
    hot = planted.tempered(Claimed(100, 10, heat=3.0), np.random.default_rng(0))
    assert take(hot, "smooth_ece").value > 3 * take(hot, "smooth_ece_floor").value


def test_overconfidence_by_hand_and_its_reliability_curve() -> None:
    frame = table([0.8, 0.2, 0.8, 0.2], [1, 0, 1, 1], 2)
    reading = take(frame, "overconfidence")
    assert reading.value == pytest.approx(0.5 - 0.75)
    assert reading.curve is not None
    assert (reading.curve.x, reading.curve.value) == (pytest.approx((0.2, 0.8)), pytest.approx((0.5, 1.0)))
    sure = table([0.9] * 20, [1] * 20)  # no error in 20 items: how sure may it be?
    assert take(sure, "overconfidence").low < -0.09
    assert take(sure, "overconfidence").high > 0.03


def test_uncertainty_peaks_at_a_half() -> None:
    even = table([0.5] * 40, [1, 0] * 20)
    assert take(even, "brier_uncertainty").high == 0.25
    assert take(even, "brier_uncertainty").low < 0.24


def test_the_norms_interval_starts_at_zero_only_where_chance_explains_the_gaps() -> None:
    for heat, starts_at_zero in ((1.0, True), (3.0, False)):
        said = claims(read(planted.tempered(Claimed(200, heat=heat), np.random.default_rng(3))))
        assert (_norm_interval(_bins(said))[0] == 0) is starts_at_zero


def test_few_wrong_steps_give_values_without_intervals() -> None:
    frame = planted.tempered(Claimed(30, 5, mean=3.0), np.random.default_rng(2))
    for name, words in (("ece_debiased", "wrong steps"), ("aurc", "items with a wrong step")):
        reading = take(frame, name)
        assert math.isnan(reading.low)
        assert math.isfinite(reading.value)
        assert words in reading.reason


DEGENERATE = {
    "no rows": SIX.head(0),
    "one step": SIX.head(1),
    "one item": table([0.9, 0.2, 0.8], [1, 0, 1], 3),
    "all right": table([0.9, 0.8] * 30, [1] * 60),
    "all wrong": table([0.9, 0.8] * 30, [0] * 60),
    "one claim": table([0.7] * 300, [1, 0] * 150),
    "certain and right": table([1.0] * 60, [1] * 60),
    "told apart": table([0.9, 0.1] * 150, [1, 0] * 150),
    "no claim": table([None] * 20, [1, 0] * 10),
    "some missing": table([0.7, None, float("nan"), 0.4] * 60, [1, 0, 0, 1] * 60),
    "no probability": table([90.0] * 20, [1, 0] * 10),
}


@pytest.mark.parametrize("name", NEW)
def test_degenerate_claims_give_reasons_and_no_false_certainty(name: str) -> None:
    for case, frame in DEGENERATE.items():
        reading = take(frame, name)
        if math.isnan(reading.low):
            assert reading.reason, case
        else:
            assert reading.low < reading.high, (case, reading)
            assert reading.low <= reading.value <= reading.high, (case, reading)
