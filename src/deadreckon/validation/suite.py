"""Every case, by module, and how many replicates of which cases make a size."""

from __future__ import annotations

from dataclasses import dataclass

from deadreckon.errors import UnknownName
from deadreckon.validation import (
    planted_abstention,
    planted_ahead,
    planted_calibration,
    planted_comparison,
    planted_core,
    planted_drift,
    planted_ends,
    planted_errors,
    planted_loglogistic,
    planted_outcomes,
    planted_ratios,
    planted_recovery,
    planted_repeats,
    planted_returns,
    planted_scores,
    planted_selection,
    planted_stops,
    planted_text,
)
from deadreckon.validation.case import Case

MODULES = (  # each with its CASES
    planted_core,
    planted_ends,
    planted_returns,
    planted_drift,
    planted_errors,
    planted_recovery,
    planted_calibration,
    planted_outcomes,
    planted_repeats,
    planted_comparison,
    planted_loglogistic,
    planted_stops,
    planted_selection,
    planted_ahead,
    planted_scores,
    planted_ratios,
    planted_text,
    planted_abstention,
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run."""

    replicates: int
    closed: int  # replicates of closed-form cases, and of those that hold a test
    every_cell: bool  # False: the cheapest cell of each topic (fewest items, then the first)


FIRST = 200  # replicates of a change, counted of every cell before more is counted of any

SIZES = {
    "quick": Size(100, 100, False),
    "change": Size(FIRST, FIRST, True),
    "release": Size(2_000, 10_000, True),
}


def all_cases() -> list[Case]:
    """Every case, in the order of the modules. Names are unique: results are kept by them."""
    found = [case for module in MODULES for case in module.CASES]
    assert len({case.key for case in found}) == len(found), "two cases share a topic and a cell"
    return found


def plan(size: str, topic: str | None = None) -> list[tuple[Case, int]]:
    """The cases of a size and their replicates. UnknownName: no such topic."""
    chosen = SIZES[size]
    cases = all_cases()
    topics = list(dict.fromkeys(case.topic for case in cases))
    if topic is not None and topic not in topics:
        raise UnknownName("topic", topic, topics)
    kept = [case for case in cases if topic in (None, case.topic)]
    if not chosen.every_cell:
        kept = [
            min((case for case in kept if case.topic == name), key=lambda case: case.items)
            for name in topics
            if topic in (None, name)
        ]
    return [(case, chosen.closed if case.closed or case.nulls else chosen.replicates) for case in kept]
