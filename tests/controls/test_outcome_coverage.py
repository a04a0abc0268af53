"""Planted truth is recovered by the instruments of outcome tables and votes, items being the unit."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from scipy import stats

from deadreckon.contracts import Reading
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.validation import planted_outcomes, planted_repeats
from deadreckon.validation.case import Case
from deadreckon.validation.planted_outcomes import CASES, Plan, by_law, law_truth, sample_law

REPETITIONS = 60
SMALL = [case for case in (*CASES, *planted_repeats.CASES) if 50 <= case.items <= 200]
CHOSEN = [next(case for case in SMALL if case.topic == topic) for topic in dict.fromkeys(case.topic for case in SMALL)]


def tally(case: Case, repetitions: int) -> tuple[Counter[str], Counter[str]]:
    """How many intervals there were, and how many held the truth."""
    tried, held = Counter[str](), Counter[str]()
    for place in range(repetitions):
        readings = case.sample(generator(0, hash64(case.topic, case.cell), Purpose.START, place))
        for name, truth in case.truth.items():
            reading = readings[name]
            tried[name] += not np.isnan(reading.low)
            held[name] += reading.low - 1e-12 <= truth <= reading.high + 1e-12
    return tried, held


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.topic)
def test_intervals_hold_the_planted_truth(case: Case) -> None:
    tried, held = tally(case, REPETITIONS)
    for name in case.truth:
        assert held[name] >= stats.binom.ppf(1e-4, tried[name], 0.95), (name, held[name], tried[name])
        assert tried[name] >= REPETITIONS / 3, name


def test_intervals_that_take_runs_as_independent_are_caught() -> None:
    plan = Plan(50, 8, 1, 0.9)
    case = Case("alike", plan.cell(), 50, partial(runs_as_items, plan), law_truth("loglogistic", (32.0, 1.0)))
    tried, held = tally(case, REPETITIONS)
    name = "time_horizon_loglogistic_50"
    assert held[name] < stats.binom.ppf(1e-4, tried[name], 0.95)
    honest = Case("alike", plan.cell(), 50, partial(sample_law, plan, "loglogistic", (32.0, 1.0)), case.truth)
    tried, held = tally(honest, REPETITIONS)
    assert held[name] >= stats.binom.ppf(1e-4, tried[name], 0.95)


def runs_as_items(plan: Plan, rng: np.random.Generator) -> dict[str, Reading]:
    """Every run given an item of its own."""
    table = by_law(plan, "loglogistic", (32.0, 1.0), rng)
    each = Plan(plan.items * plan.runs, 1)
    alone = planted_outcomes.outcome_table(each, table.length[table.item], table.success.reshape(-1, 1) > 0)
    return {
        "time_horizon_loglogistic_50": planted_outcomes.fitted_time_horizon(alone, "loglogistic"),
        "time_horizon_loglogistic_80": planted_outcomes.fitted_time_horizon(alone, "loglogistic", 0.8),
        "outcome_shape_loglogistic": planted_outcomes.outcome_shape(alone, "loglogistic"),
    }
