"""Planted truth is recovered: intervals hold it at the nominal rate, items being the unit."""

from dataclasses import replace

import numpy as np
import pytest

from deadreckon.instruments import read
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.hazard import step_error
from deadreckon.instruments.stats import clopper_pearson
from deadreckon.seeds import Purpose, generator
from deadreckon.validation import coverage, planted
from deadreckon.validation.coverage import QUICK, Coverage, study
from deadreckon.validation.planted import Cell

REPETITIONS = 200


@pytest.mark.parametrize(("kind", "cell"), QUICK, ids=lambda v: v if isinstance(v, str) else "")
def test_intervals_hold_the_planted_truth_at_the_nominal_rate(kind: str, cell: Cell) -> None:
    results = study(kind, cell, REPETITIONS)
    assert results
    low = [coverage.row(result) for result in results if result.verdict == "low"]
    assert not low, "\n".join(low)
    judged = [result.quantity for result in results if result.verdict != "none"]
    assert len(judged) >= len(results) - 1, judged


def naive(arm: Arm) -> tuple[float, float]:
    """The interval that takes every step as independent."""
    low, high = clopper_pearson(float(arm.error.sum()), float(len(arm.error)))
    return float(low), float(high)


def test_the_study_catches_intervals_that_take_steps_as_independent() -> None:
    cell = Cell(0.05, 0.0, items=50, rollouts=4, horizon=20, unequal=2.0)
    truth = planted.single_answer_truth(cell)["teacher_forced_error"]
    held = {"naive": 0, "ours": 0}
    for place in range(REPETITIONS):
        arm = read(planted.single_answer(cell, generator(1, 7, Purpose.START, place)).forced, "repair")
        reading = step_error(arm)
        for name, (low, high) in (("naive", naive(arm)), ("ours", (reading.low, reading.high))):
            held[name] += low <= truth <= high
    verdicts = {
        name: Coverage("single_answer", cell, name, truth, REPETITIONS, count, 0, 0.0).verdict
        for name, count in held.items()
    }
    assert verdicts["naive"] == "low", held
    assert verdicts["ours"] != "low", held


@pytest.mark.parametrize(("unequal", "g"), [(0.0, 0.1), (2.0, 0.1), (0.5, 0.0)])
def test_the_planted_truths_are_what_large_tables_show(unequal: float, g: float) -> None:
    cell = Cell(0.05, g, items=4000, rollouts=4, horizon=20, unequal=unequal)
    truth = planted.chain_truth(cell)
    readings = coverage._chain(cell, np.random.default_rng(3))
    for name in ("survival", "hazard", "error_rate", "recovery_rate", "occupancy", "occupancy_law", "horizon_80"):
        reading = readings[name]
        middle, half = (reading.low + reading.high) / 2, (reading.high - reading.low) / 2
        assert abs(truth[name] - middle) <= 2 * half + 1e-9, (name, truth[name], reading)


def test_a_verdict_needs_intervals() -> None:
    one = Coverage("chain", QUICK[0][1], "hazard", 0.1, 200, 190, 0, 0.1)
    assert one.verdict == "nominal"
    assert replace(one, held=170).verdict == "low"
    assert replace(one, held=200).verdict == "conservative"
    assert replace(one, missing=200, held=0).verdict == "none"
