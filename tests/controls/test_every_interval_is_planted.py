"""No interval is printed without a planted truth behind it: every reading there is, is looked up among the cases."""

import re
from pathlib import Path

import numpy as np
import pytest

from deadreckon import instruments
from deadreckon.instruments import INSTRUMENTS, OUTCOME_INSTRUMENTS, read
from deadreckon.instruments.compare import COMPARISONS
from deadreckon.instruments.predict import FITS
from deadreckon.validation.lifetimes import Lives
from deadreckon.validation.planted_calibration import Claimed, tempered
from deadreckon.validation.suite import MODULES, all_cases

NEVER = {  # no interval, whatever the table
    "brier_reliability",
    "brier_resolution",
    "smooth_ece",
    "smooth_ece_floor",
    "shape_best",
}
FUNCTIONS = {  # exported, and each gives one Reading; an e-value has no interval
    f"p_{name}" if name.startswith("log_rank") else name
    for name in instruments.__all__
    if getattr(getattr(instruments, name), "__annotations__", {}).get("return") == "Reading"
} - {"e_value_below"}
PREDICTED = {f"prediction_error_{name}" for name in FITS}
SCORES = {"survival", "hazard", "occupancy", "completion", "step error", "mean of a column", "table"}


def reading_of(planted: str) -> str:
    """survival@10 is of survival, time_horizon_50/clustered of time_horizon_50, ratio of hazard of ratio."""
    return planted.partition("@")[0].partition("/")[0].partition(" of ")[0]


NAMES = {name for case in all_cases() for name in (*case.truth, *case.nulls)}
PLANTED = {reading_of(name) for name in NAMES}


@pytest.mark.parametrize(
    "name", sorted({*INSTRUMENTS, *OUTCOME_INSTRUMENTS, *COMPARISONS, *FUNCTIONS, *PREDICTED} - NEVER)
)
def test_what_has_an_interval_or_a_p_value_has_a_planted_truth(name: str) -> None:
    assert name in PLANTED


@pytest.mark.parametrize("score", sorted(SCORES))
def test_every_score_is_compared_on_a_planted_difference_and_on_none(score: str) -> None:
    assert {f"difference of {score}", f"p_difference of {score}"} <= NAMES


def test_what_is_said_never_to_have_an_interval_has_none_and_says_why() -> None:
    claimed = tempered(Claimed(200, steps=12), np.random.default_rng(0))
    lived = Lives(200, 3, h=0.1).draw(np.random.default_rng(0))
    for name in NEVER:
        reading = INSTRUMENTS[name](lived if name == "shape_best" else read(claimed))
        assert np.isfinite(reading.value), name
        assert np.isnan(reading.low), name
        assert "no interval" in reading.reason, name


ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "instruments").glob("*.md"))
NAMED = {path.stem: path.read_text().partition("## Validated")[2].partition("\n## ")[0] for path in PAGES}


@pytest.mark.parametrize("topic", sorted({case.topic for case in all_cases()}))
def test_every_planted_law_is_named_on_a_page_of_the_instruments(topic: str) -> None:
    law = topic.removesuffix(", unequal items")
    module = next(module for module in MODULES for case in module.CASES if case.topic == topic)
    file = f"`validation/{module.__name__.rpartition('.')[2]}.py`"
    assert any(file in said and law in " ".join(said.split()) for said in NAMED.values()), (file, law)


@pytest.mark.parametrize("page", sorted(name for name in NAMED if name != "README"))
def test_every_page_says_what_holds_it_and_what_it_names_is_there(page: str) -> None:
    files = re.findall(r"`((?:validation|tests)/[\w/.]+)`", NAMED[page])
    assert files, page
    for file in files:
        root = ROOT if file.startswith("tests/") else ROOT / "src" / "deadreckon"
        assert (root / file).exists(), file
