"""Readings of whole runs in logs: success by length of the item, repeats, and what unseen ends leave open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from deadreckon.contracts import Reading
from deadreckon.errors import BadOption
from deadreckon.instruments import (
    OUTCOME_INSTRUMENTS,
    Outcomes,
    horizon_doubling,
    horizon_trend,
    read_outcomes,
)
from deadreckon.logs.tables import LENGTH, Logged

PLAIN = ("success_rate", "pass_hat_k", "pass_at_k", "pass_hat_k_gap")
BY_LENGTH = tuple(name for name in OUTCOME_INSTRUMENTS if name not in PLAIN)
BOUNDED = ("success_rate", "time_horizon_50", "time_horizon_80", "pass_hat_k")
PREFERRED = ("minutes", "steps", "tokens", "seconds")


@dataclass(frozen=True, slots=True)
class Lengths:
    """Which length of an item success is held against; unit "" = none."""

    unit: str = ""
    median: bool = False  # runs of an item differ: the median over all its runs is taken

    @classmethod
    def chosen(cls, logged: Logged, asked: str) -> Lengths:
        """The unit asked for, or the first in which all runs of an item have one length. BadOption: no such unit."""
        if asked and asked not in logged.units:
            raise BadOption(f"--length {asked}: runs have a length in {', '.join(logged.units) or 'no unit'}")
        units = [asked] if asked else sorted(logged.units, key=lambda u: PREFERRED.index(u) if u in PREFERRED else -1)
        for unit in units:
            one = logged.runs.group_by("item").agg(pl.col(LENGTH + unit).drop_nulls().n_unique())[LENGTH + unit]
            if one.max() == 1 and one.min() == 1:
                return cls(unit)
        return cls(asked, median=True) if asked else cls()


@dataclass(frozen=True, slots=True)
class OutcomeGroups:
    """The outcomes of every group: scored runs, and the same with the unscored counted as failed and as succeeded."""

    names: tuple[str, ...]
    tables: tuple[pl.DataFrame, ...]  # scored runs: item, family, weight, success
    seen: tuple[Outcomes, ...]
    failed: tuple[Outcomes, ...]  # empty where every run is scored
    succeeded: tuple[Outcomes, ...]
    unseen: int
    lengths: Lengths


def outcome_groups(logged: Logged, by: str, lengths: Lengths) -> OutcomeGroups | None:
    """Outcomes by group; None where no run is scored."""
    if logged.runs["success"].null_count() == logged.runs.height:
        return None
    table = _table(logged, by, lengths)
    parts = sorted(table.group_by("group", maintain_order=True), key=lambda pair: str(pair[0][0]))
    kept = [(str(name), part) for (name,), part in parts if part["success"].null_count() < part.height]
    unseen = sum(part["success"].null_count() for _, part in kept)
    unit = lengths.unit or "length"

    def outcomes(fill: float | None) -> tuple[Outcomes, ...]:
        whole = [part.drop_nulls("success") if fill is None else _filled(part, fill) for _, part in kept]
        return tuple(read_outcomes(part.drop("group"), unit) for part in whole)

    bounds = (outcomes(0.0), outcomes(1.0)) if unseen else ((), ())
    tables = tuple(part.drop_nulls("success") for _, part in kept)
    return OutcomeGroups(tuple(name for name, _ in kept), tables, outcomes(None), *bounds, unseen, lengths)


def _filled(part: pl.DataFrame, value: float) -> pl.DataFrame:
    return part.with_columns(pl.col("success").fill_null(value))


def _table(logged: Logged, by: str, lengths: Lengths) -> pl.DataFrame:
    length = pl.col(LENGTH + lengths.unit) if lengths.unit else pl.lit(None, pl.Float64)
    if lengths.median:
        length = length.median().over("item")
    group = pl.col(by) if by else pl.lit("")
    return logged.runs.select(
        "item", "family", "weight", "success", "released", group=group, model=group, length=length
    )


def outcome_readings(groups: OutcomeGroups) -> list[Reading]:
    """Every reading of every group; where runs are unscored also the bounds; the trend where models have dates."""
    found: list[Reading] = []
    for i, (name, seen) in enumerate(zip(groups.names, groups.seen, strict=True)):
        names = (*PLAIN[:1], *(BY_LENGTH if groups.lengths.unit else ()), *PLAIN[1:])
        found += [replace(_noted(OUTCOME_INSTRUMENTS[n](seen), groups), by=name) for n in names]
        for word, bound in (("failed", groups.failed), ("succeeded", groups.succeeded)):
            if bound:
                found += [replace(reading, by=name) for reading in _bounds(bound[i], word, groups.lengths)]
    dated = [outcomes for outcomes in groups.seen if outcomes.released is not None]
    if groups.lengths.unit and len(dated) > 1:
        found += [take(dated) for take in _TRENDS]
    return found


_TRENDS: tuple[Callable[[Sequence[Outcomes]], Reading], ...] = (horizon_trend, horizon_doubling)


def _bounds(outcomes: Outcomes, word: str, lengths: Lengths) -> list[Reading]:
    names = [name for name in BOUNDED if lengths.unit or not name.startswith("time")]
    readings = [OUTCOME_INSTRUMENTS[name](outcomes) for name in names]
    return [replace(r, quantity=f"{r.quantity}_if_cut_{word}") for r in readings]


def _noted(reading: Reading, groups: OutcomeGroups) -> Reading:
    if not groups.lengths.median or not reading.quantity.startswith(("time_horizon", "outcome", "success_by")):
        return reading
    note = f"length of an item: the median {groups.lengths.unit} of its runs, which differ"
    return replace(reading, reason="; ".join(filter(None, (reading.reason, note))))
