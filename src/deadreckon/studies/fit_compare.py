"""Groups compared two by two, item by item where they share items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, product
from typing import TypeVar

import polars as pl

from deadreckon.contracts import Reading
from deadreckon.instruments import compare_arms, hazard_score, holm, log_rank, occupancy_score, table_score
from deadreckon.instruments.compare import COMPARISONS
from deadreckon.instruments.scores import Score
from deadreckon.studies.fit_outcomes import OutcomeGroups
from deadreckon.studies.fit_steps import StepGroup

T = TypeVar("T")
MOST_PAIRS = 15  # more groups than that makes: each with the first


def comparisons(steps: Sequence[StepGroup], outcomes: OutcomeGroups | None) -> list[Reading]:
    """Every pair of groups: hazards of first errors, share on track at the last step both reach, success.

    p-values are adjusted over the pairs (Holm), one family a kind.
    """
    found: list[Reading] = []
    for a, b in _pairs(steps):
        pair = [*compare_arms(a.arm, b.arm, hazard_score), log_rank(a.arm, b.arm)]
        found += [replace(r, by=f"{a.name} - {b.name}: hazard") for r in pair]
        if a.goes_on and b.goes_on:
            n = min(int(a.arm.length.max()), int(b.arm.length.max()))
            pair = compare_arms(a.arm, b.arm, partial(occupancy_score, n=n))
            found += [replace(r, by=f"{a.name} - {b.name}: share on track after {n} steps") for r in pair]
    if outcomes is not None:
        for (one, ours), (other, theirs) in _pairs(list(zip(outcomes.names, outcomes.tables, strict=True))):
            pair = [comparison(_score(ours), _score(theirs)) for comparison in COMPARISONS.values()]
            found += [replace(r, by=f"{one} - {other}: success") for r in pair]
    return _adjusted(found)


def _pairs(groups: Sequence[T]) -> list[tuple[T, T]]:
    every = list(combinations(groups, 2))
    return every if len(every) <= MOST_PAIRS else [(groups[0], other) for other in groups[1:]]


def _score(table: pl.DataFrame) -> Score:
    """Success, every item at its weight however many runs it has; families as the unit where every run names one."""
    runs = pl.len().over("item")
    unit = "family" if (table["family"] != "").all() else "item"
    return table_score(table.with_columns(weight=pl.col("weight") / runs), "success", unit)


def _adjusted(readings: list[Reading]) -> list[Reading]:
    """The p-values of one test as a family over the pairs."""
    for quantity, kind in product(("p_difference", "p_log_rank"), (": hazard", ": success", ": share")):
        at = [i for i, r in enumerate(readings) if r.quantity == quantity and kind in r.by]
        if len(at) > 1:
            for i, reading in zip(at, holm([readings[i] for i in at]), strict=True):
                readings[i] = reading
    return readings
