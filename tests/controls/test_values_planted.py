"""Readings without an interval, on planted laws: their values tend to what the law says they are."""

import numpy as np
import pytest
from scipy import special

from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.instruments.planning import components, items_for_effect, minimal_detectable_effect, power
from deadreckon.instruments.predict import FITS, brier_score, far_end, log_score
from deadreckon.instruments.survival import first_errors
from deadreckon.validation.lifetimes import Lives
from deadreckon.validation.planted_calibration import Claimed, tempered
from deadreckon.validation.planted_loglogistic import Plan

DRAWS = 40


def expected(hazard: np.ndarray, alive: np.ndarray) -> tuple[float, float]:
    """Log score and Brier score of the true hazard of later steps, rollouts at risk as weights."""
    log = -(hazard * np.log(hazard) + (1 - hazard) * np.log1p(-hazard))
    return float(alive @ log / alive.sum()), float(alive @ (hazard * (1 - hazard)) / alive.sum())


def within(found: list[float], truth: float) -> None:
    """Mean of the draws within 4 of its own standard errors, and within 0.1 of a draw's plus 1%, of the truth."""
    mean, spread = float(np.mean(found)), float(np.std(found, ddof=1))
    assert abs(mean - truth) < 4 * spread / len(found) ** 0.5 + 0.1 * spread + 0.01 * abs(truth)


@pytest.mark.parametrize(
    ("law", "plan"),
    [
        ("constant", Lives(500, 2, horizon=12)),
        ("by_step", Lives(500, 2, horizon=12)),
        ("weibull", Lives(500, 2, horizon=12, h=0.1, shape=1.5)),
        ("log_logistic", Plan(500, 2, 10.0, 1.5)),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_scores_of_the_true_law_are_those_of_its_hazard_on_held_out_steps(law: str, plan: Lives | Plan) -> None:
    scored: list[list[float]] = [[], []]
    for seed in range(DRAWS):
        arm = plan.draw(np.random.default_rng(seed))
        end = far_end(first_errors(arm))
        for kept, score in zip(scored, (log_score, brier_score), strict=True):
            kept.append(score(arm, FITS[law], law).value)
    n = np.arange(end + 1.0)
    alive = plan.alive()[: end + 1] if isinstance(plan, Lives) else 1 / (1 + (n / plan.scale) ** plan.shape)
    late = slice(end // 2, end)
    hazard = (1 - alive[1:] / alive[:-1])[late]
    for kept, truth in zip(scored, expected(hazard, alive[:-1][late]), strict=True):
        within(kept, truth)


def test_never_again_scores_worse_than_the_true_law() -> None:
    arm = Lives(500, 2).draw(np.random.default_rng(0))
    assert log_score(arm, FITS["no_further"], "none").value > 2 * log_score(arm, FITS["constant"], "one").value


@pytest.mark.parametrize("heat", [1.0, 1.5])
def test_smooth_ece_lies_at_its_floor_where_claims_are_calibrated_and_near_the_planted_gap_where_not(
    heat: float,
) -> None:
    found, floors = [], []
    for seed in range(10):
        arm = read(tempered(Claimed(1000, 10, heat=heat), np.random.default_rng(seed)))
        found.append(INSTRUMENTS["smooth_ece"](arm).value)
        floors.append(INSTRUMENTS["smooth_ece_floor"](arm).value)
    z = 1.0 + special.ndtri((np.arange(20_000) + 0.5) / 20_000)
    gap = float(np.abs(special.expit(heat * z) - special.expit(z)).mean())  # the L1 calibration error
    if heat == 1:
        assert np.mean(found) == pytest.approx(np.mean(floors), rel=0.15)
    else:
        assert 0.6 * gap < np.mean(found) < 1.1 * gap
        assert min(found) > 1.5 * max(floors)


def test_a_planned_number_of_items_detects_the_effect_it_was_planned_for() -> None:
    """Items with a planted spread of differences: the plan's power is the rejection rate of Student's t on them."""
    rng = np.random.default_rng(1)
    pilot = rng.normal(0.0, 1.0, (4000, 4))
    item = np.repeat(np.arange(4000), 4)
    parts = components((pilot + rng.normal(0, 0.5, (4000, 1))).ravel(), item)
    effect = 0.25
    items = int(items_for_effect(parts, effect, 4).value)
    spread = (0.5**2 + 1 / 4) ** 0.5
    draws = rng.normal(effect, spread, (4000, items))
    t = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / items**0.5)
    rejected = float((2 * special.stdtr(items - 1, -np.abs(t)) <= 0.05).mean())
    assert rejected == pytest.approx(power(parts, effect, items, 4), abs=0.04)
    assert 0.78 <= power(parts, effect, items, 4) <= 0.85
    assert minimal_detectable_effect(parts, items, 4).value == pytest.approx(effect, rel=0.02)
