"""Proportional hazards, log-rank and laws in steps: hand-worked values, and R's survival (oracles/cox.R)."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from deadreckon.errors import NotEstimable
from deadreckon.instruments import hazard_ratio, log_rank, read
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.cox import Data, fit, influence, lives, partial
from deadreckon.instruments.lifetime_laws import Ends, fit_law
from deadreckon.instruments.shape import Law, log_likelihood
from deadreckon.instruments.shape import fit as fit_steps
from deadreckon.validation.golden import DATA
from deadreckon.validation.hand import steps
from deadreckon.validation.lifetimes import arm_of
from deadreckon.validation.planted_comparison import Duel, arms

PEER = json.loads((Path(__file__).parent / "oracles" / "cox_r.json").read_text())
K = np.arange(150)
ITEM = K // 3
TIME = 1 + (7 * K**2 + 3 * K + ITEM**2) % 13
ERROR = (K * 5 + ITEM * 3) % 7 % 3 == 1
OURS = K % 3 == 0


def six_rows() -> Data:
    """Times 9, 1, 1, 6, 6, 8, ends 1, 1, 0, 1, 1, 0, x 0, 1, 1, 1, 0, 0: the tied set of R's validation note."""
    x = np.array([[0.0, 1, 1, 1, 0, 0]]).T
    return lives(x, np.array([9.0, 1, 1, 6, 6, 8]), np.array([1, 1, 0, 1, 1, 0], dtype=bool), np.ones(6))


def test_the_tied_set_has_efrons_root_in_closed_form() -> None:
    root = math.log(2 * math.sqrt(23 / 3) * math.cos(math.acos((45 / 23) * math.sqrt(3 / 23)) / 3))
    assert root == pytest.approx(1.676857485592897, abs=1e-15)
    assert fit(six_rows(), "efron").beta[0] == pytest.approx(root, abs=1e-12)


def test_the_tied_sets_first_step_under_breslow_is_eight_fifths() -> None:
    _, slope, information = partial(six_rows(), np.zeros(1), "breslow")
    assert slope[0] / information[0, 0] == pytest.approx(8 / 5, abs=1e-14)


def test_breslow_has_the_root_of_its_equation() -> None:
    """At r = exp(beta), the error of x = 1 among 3 + 3 at risk, and two tied errors among 1 + 3."""
    r = math.exp(fit(six_rows()).beta[0])
    assert 2 - 3 * r / (3 * r + 3) - 2 * r / (r + 3) == pytest.approx(0, abs=1e-12)
    assert r == pytest.approx((3 + math.sqrt(33)) / 2, rel=1e-12)


def lung(names: tuple[str, ...]) -> Data:
    held = json.loads(DATA.read_text())["lung"]
    columns = {"age": PEER["age"], "sex": PEER["sex"], "ecog": held["ecog"]}
    x = np.array([columns[name] for name in names], dtype=float).T
    known = np.array(held["ecog"]) >= 0 if "ecog" in names else np.ones(len(x), dtype=bool)
    time, died = np.array(held["days"], dtype=float), np.array(held["died"], dtype=bool)
    return lives(x[known], time[known], died[known], np.ones(int(known.sum())))


def test_cox_on_the_lung_data_is_rs() -> None:
    found = fit(lung(("age", "sex")), "efron")
    np.testing.assert_allclose(found.beta, PEER["lung_age_sex"], atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(np.linalg.inv(found.information))), PEER["lung_age_sex_se"], atol=1e-9)
    assert found.log_likelihood == pytest.approx(PEER["lung_age_sex_loglik"][0], abs=1e-8)
    assert found.beta == pytest.approx([0.017045, -0.513219], abs=5e-7)  # as published
    np.testing.assert_allclose(fit(lung(("ecog", "age")), "efron").beta, PEER["lung_ecog_age"], atol=1e-9)


def two_arms(alone: bool = False) -> tuple[Arm, Arm]:
    """The arithmetic data in two arms: one rollout of each item in the first, two in the second; or all items apart."""
    ours = arm_of(TIME[OURS], ERROR[OURS], 1)
    theirs = arm_of(TIME[~OURS], ERROR[~OURS], 1 if alone else 2)
    return ours, replace(theirs, labels=theirs.labels + 1000) if alone else theirs


def test_the_ratio_of_two_arms_and_its_clustered_error_are_rs() -> None:
    data = lives(OURS[:, None].astype(float), TIME.astype(float), ERROR, np.ones(150))
    found = fit(data)
    assert found.beta[0] == pytest.approx(PEER["arm_breslow"][0], abs=1e-9)
    assert found.information[0, 0] ** -0.5 == pytest.approx(PEER["arm_breslow_se"][0], abs=1e-9)
    by_item = np.bincount(ITEM, weights=influence(data, found)[:, 0])
    assert np.sqrt((by_item**2).sum()) == pytest.approx(PEER["arm_breslow_robust_se"][0], abs=1e-9)
    efron = fit(data, "efron")
    assert efron.beta[0] == pytest.approx(PEER["arm_efron"][0], abs=1e-9)
    assert efron.information[0, 0] ** -0.5 == pytest.approx(PEER["arm_efron_se"][0], abs=1e-9)


def test_a_reading_of_two_arms_is_that_fit_with_its_items_as_clusters() -> None:
    reading = hazard_ratio(*two_arms())
    assert reading.value == pytest.approx(math.exp(PEER["arm_breslow"][0]), rel=1e-9)
    half = stats.t.ppf(0.975, 49) * math.sqrt(50 / 49) * PEER["arm_breslow_robust_se"][0]
    assert math.log(reading.high / reading.value) == pytest.approx(half, rel=1e-8)


def test_log_rank_of_independent_lives_is_rs() -> None:
    assert log_rank(*two_arms(alone=True)).value == pytest.approx(stats.chi2.sf(PEER["log_rank_chisq"][0], 1), rel=1e-9)


@pytest.mark.parametrize("law", ["weibull", "loglogistic"])
def test_laws_in_steps_are_rs_interval_censored_fits(law: str) -> None:
    """By counts of each step, and by the ends of each life: both are R's, to 1e-6."""
    d = np.bincount(TIME[ERROR], minlength=14)[1:].astype(float)
    y = np.array([(n <= TIME).sum() for n in range(1, 14)], dtype=float)
    scale, shape = PEER[f"{law}_scale_shape"]
    counted = fit_steps(Law("log-logistic" if law == "loglogistic" else law), d, y)
    assert np.exp(counted.parameters) == pytest.approx([scale, shape], rel=1e-6)
    assert log_likelihood(counted.increments, d, y) == pytest.approx(PEER[f"{law}_loglik"][0], abs=1e-6)
    after, by = np.where(ERROR, TIME - 1.0, TIME), np.where(ERROR, TIME, np.inf)
    ended = fit_law(Ends(after, by, np.ones(150), ITEM, 50), law)  # type: ignore[arg-type]
    assert [math.exp(ended.c / ended.shape), ended.shape] == pytest.approx([scale, shape], rel=1e-6)


def test_a_ratio_without_an_end_is_refused() -> None:
    failed = np.array([True, True, False, False])
    with pytest.raises(NotEstimable, match="has no end"):
        fit(lives(np.array([[1.0], [1], [0], [0]]), np.array([1.0, 2, 5, 6]), failed, np.ones(4)))
    with pytest.raises(NotEstimable, match="no first error"):
        lives(np.ones((2, 1)), np.ones(2), np.zeros(2, dtype=bool), np.ones(2))


def test_few_errors_give_a_ratio_without_interval() -> None:
    reading = hazard_ratio(*arms(Duel(30, 0.01, 0.02), np.random.default_rng(0)))
    assert math.isnan(reading.low)
    assert "are needed" in reading.reason


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ([], []),
        ([3], [4]),
        ([3, 3, 3], [3, 3, 3]),
        ([1] * 40, [1] * 40),
        (list(range(1, 31)), [40] * 30),
    ],
)
def test_degenerate_arms_give_reasons_and_no_false_certainty(ours: list[int], theirs: list[int]) -> None:
    for failed in (True, False):
        a, b = (
            arm_of(np.array(t, dtype=np.int64), np.full(len(t), failed), 1) if t else read(steps())
            for t in (ours, theirs)
        )
        reading = hazard_ratio(a, b)
        if math.isnan(reading.low):
            assert reading.reason
        else:
            assert reading.low < reading.value < reading.high
