"""Planted ends, recovery and claims are read back: by one large table, and at the nominal rate by many small ones."""

import numpy as np
import pytest
from scipy import stats

from deadreckon.seeds import Purpose, generator
from deadreckon.validation import planted_calibration, planted_recovery
from deadreckon.validation.case import Case
from deadreckon.validation.planted_calibration import Claimed
from deadreckon.validation.planted_recovery import Rates, Risks, Size

REPETITIONS = 60

LARGE = [
    planted_recovery._ends_case(Size(1500, 2, alike=0.3, cut=0.1), Risks(0.05, 0.03, 0.02)),
    planted_recovery._chain_case(Size(1500, 2, alike=0.3, cut=0.05), Rates(0.1, 0.3, 0.01, 0.05)),
    planted_recovery._stayers_case(Size(1500, 2, alike=0.3, cut=0.05), 0.2, 0.3),
    planted_calibration._tempered_case(Claimed(1500, alike=0.3, heat=1.5)),
    planted_calibration._binormal_case(Claimed(1500, alike=0.3), 1.5),
]
SMALL = [
    planted_recovery._ends_case(Size(60, 3, alike=0.3, cut=0.1), Risks(0.05, 0.03, 0.02)),
    planted_recovery._chain_case(Size(60, 2, alike=0.3, cut=0.05), Rates(0.1, 0.3, 0.01, 0.05)),
    planted_recovery._stayers_case(Size(60, 2, alike=0.3), 0.0, 0.3),
    planted_calibration._tempered_case(Claimed(60, alike=0.3, heat=1.5)),
]


def topic(case: Case) -> str:
    return case.topic


@pytest.mark.parametrize("case", LARGE, ids=topic)
def test_the_planted_truths_are_what_a_large_table_shows(case: Case) -> None:
    readings = case.sample(np.random.default_rng(1))
    for name, truth in case.truth.items():
        reading = readings[name]
        middle, half = (reading.low + reading.high) / 2, (reading.high - reading.low) / 2
        assert abs(truth - middle) <= 2 * half + 1e-9, (name, truth, reading)


@pytest.mark.parametrize("case", SMALL, ids=topic)
def test_intervals_hold_the_planted_truth_at_the_nominal_rate(case: Case) -> None:
    runs = [case.sample(generator(0, 1, Purpose.START, place)) for place in range(REPETITIONS)]
    least = stats.binom.ppf(1e-4, REPETITIONS, 0.95)
    for name, truth in case.truth.items():
        held = sum(not r[name].low > truth + 1e-12 and not r[name].high < truth - 1e-12 for r in runs)
        there = sum(not np.isnan(r[name].low) for r in runs)
        assert there >= 0.9 * REPETITIONS, (name, there)
        assert held >= least, (name, held)
    for name in case.nulls:
        rejected = sum(r[name].value <= 0.05 for r in runs)
        assert rejected <= stats.binom.ppf(1 - 1e-4, REPETITIONS, 0.05), (name, rejected)
