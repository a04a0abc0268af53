"""Planted truths: tests keep their size, plans their power, bounds hold at every look where fixed-n ones do not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from deadreckon.instruments import log_rank, log_rank_stratified
from deadreckon.instruments.anytime import lower_bounds, mean_anytime
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.compare import difference_test
from deadreckon.instruments.permutation import sign_test
from deadreckon.instruments.planning import Components, items_for_effect
from deadreckon.instruments.scores import ratio_score, survival_score
from deadreckon.instruments.stats import clopper_pearson
from deadreckon.validation.case import Case
from deadreckon.validation.lifetimes import arm_of
from deadreckon.validation.planted_comparison import CASES, Duel, arms

REPETITIONS = 60
QUICK = [case for case in CASES if case.topic == "comparison" and "items=50 " in case.cell and "h=0.1" in case.cell][
    ::3
]


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.cell)
def test_comparisons_hold_their_planted_truth(case: Case) -> None:
    runs = [case.sample(np.random.default_rng(seed)) for seed in range(REPETITIONS)]
    for name, truth in case.truth.items():
        there = [run[name] for run in runs if not np.isnan(run[name].low)]
        assert len(there) > REPETITIONS / 2, name
        assert np.mean([r.low <= truth <= r.high for r in there]) >= 0.86, name
    for name in case.nulls:
        assert np.mean([run[name].value <= 0.05 for run in runs]) <= 0.15, name


def test_a_real_difference_is_found_more_often_when_paired() -> None:
    found = {True: 0, False: 0}
    for paired in found:
        for seed in range(60):
            ours, theirs = arms(Duel(60, 0.05, 0.1, 2, 0.7, paired), np.random.default_rng(seed))
            found[paired] += difference_test(survival_score(ours, 10), survival_score(theirs, 10)).value <= 0.05
    assert found[True] > found[False] + 5


def test_log_rank_that_takes_rollouts_as_independent_is_too_sure() -> None:
    """Negative control: twelve rollouts an item, all of them counted as items of their own."""
    size = {"ours": 0, "naive": 0}
    for seed in range(60):
        ours, theirs = arms(Duel(12, 0.08, 0.08, 12, 0.5, False), np.random.default_rng(seed))
        size["ours"] += log_rank(ours, theirs).value <= 0.05
        split = [_as_items(one, 10**6 * place) for place, one in enumerate((ours, theirs))]
        size["naive"] += log_rank(*split).value <= 0.05
    assert size["ours"] <= 8
    assert size["naive"] >= 15


def _as_items(arm: Arm, first: int) -> Arm:
    alone = arm_of(arm.length, arm.stop == "broken", 1)
    return replace(alone, labels=alone.labels + first)


def test_stratified_log_rank_finds_a_difference_that_unequal_items_hide() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(20):
        ours, theirs = arms(Duel(80, 0.06, 0.12, 3, 0.9), rng)
        found += log_rank_stratified(ours, theirs).value <= 0.05
    assert found >= 15


def test_a_plan_gives_the_power_it_promises() -> None:
    rng = np.random.default_rng(1)
    parts = Components(0.02, 0.06)
    items = int(items_for_effect(parts, 0.1, 2).value)
    hits = 0
    for _ in range(400):
        mean = 0.1 + rng.normal(0, parts.between**0.5, items)
        d = (mean[:, None] + rng.normal(0, parts.within**0.5, (items, 2))).mean(axis=1)
        hits += sign_test(d).p <= 0.05
    assert 0.74 <= hits / 400 <= 0.86


def test_live_bounds_hold_at_every_look_where_fixed_ones_do_not() -> None:
    rng = np.random.default_rng(2)
    rate, n, looks = 0.3, 300, np.arange(1, 301)
    held = {"anytime": 0, "fixed": 0}
    for _ in range(150):
        x = (rng.random(n) < rate).astype(float)
        low, high = lower_bounds(x, np.array([n]))[0], 1 - lower_bounds(1 - x, np.array([n]))[0]
        held["anytime"] += low <= rate <= high  # the last bound holds every one before it
        each = clopper_pearson(np.cumsum(x), looks.astype(float))
        held["fixed"] += bool(((each[0] <= rate) & (rate <= each[1])).all())
    assert held["anytime"] >= 139, held
    assert held["fixed"] <= 131, held


def test_live_bounds_do_not_hold_where_order_depends_on_the_outcome() -> None:
    """Negative control of the stated assumption: failures that complete first."""
    rng = np.random.default_rng(3)
    x = np.sort((rng.random(300) < 0.3).astype(float))[::-1]
    reading = mean_anytime(ratio_score(("score", "share"), pl.Series(np.arange(300)), x, np.ones(300)))
    assert not reading.low <= 0.3 <= reading.high
