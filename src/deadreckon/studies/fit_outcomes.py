"""Readings of whole runs in logs: success by length of the item, repeats, and what unseen ends leave open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from deadreckon.contracts import OnError, Reading, Stop
from deadreckon.errors import BadOption
from deadreckon.instruments import (
    INSTRUMENTS,
    OUTCOME_INSTRUMENTS,
    Outcomes,
    horizon_doubling,
    horizon_trend,
    read,
    read_outcomes,
)
from deadreckon.logs.tables import LENGTH, Logged, group_of

PLAIN = ("success_rate", "pass_hat_k", "pass_at_k", "pass_hat_k_gap")
BY_LENGTH = tuple(name for name in OUTCOME_INSTRUMENTS if name not in PLAIN)
BOUNDED = ("success_rate", "time_horizon_50", "time_horizon_80", "pass_hat_k")
CLAIMS = ("brier", "ece_debiased", "overconfidence", "auroc", "aurc")
OF_A_RUN = ("steps", "tokens", "seconds")  # lengths of what a run did, not of its item: taken only when asked for


@dataclass(frozen=True, slots=True)
class Lengths:
    """Which length of an item success is held against; unit "" = none."""

    unit: str = ""
    median: bool = False  # runs of an item differ: the median over all its runs is taken

    @classmethod
    def chosen(cls, logged: Logged, asked: str) -> Lengths:
        """The unit asked for, or the first that belongs to items. BadOption: no such unit."""
        if asked and asked not in logged.units:
            raise BadOption(f"--length {asked}: runs have a length in {', '.join(logged.units) or 'no unit'}")
        for unit in [asked] if asked else [unit for unit in logged.units if unit not in OF_A_RUN]:
            lengths = pl.col(LENGTH + unit).filter(pl.col(LENGTH + unit) > 0)
            several = logged.runs.group_by("item").agg(lengths.n_unique().alias("n"))["n"].max()
            return cls(unit, median=several != 1)
        return cls()


@dataclass(frozen=True, slots=True)
class OutcomeGroups:
    """The outcomes of every group: scored runs, and the same with the unscored counted as failed and as succeeded."""

    names: tuple[str, ...]
    tables: tuple[pl.DataFrame, ...]  # scored runs: item, family, weight, success, confidence
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
    length = pl.lit(None, pl.Float64)
    if lengths.unit:
        run = pl.col(LENGTH + lengths.unit)
        length = run.filter(run > 0).median().over("item")
    group = group_of(by)
    table = logged.runs.select(
        "item", "family", "weight", "success", "released", "confidence", group=group, model=group, length=length
    )
    one_date = pl.col("released").n_unique().over("group") == 1
    return table.with_columns(released=pl.when(one_date).then("released"))


def outcome_readings(groups: OutcomeGroups) -> list[Reading]:
    """Every reading of every group; where runs are unscored also the bounds; the trend where models have dates."""
    found: list[Reading] = []
    for i, (name, seen) in enumerate(zip(groups.names, groups.seen, strict=True)):
        names = (*PLAIN[:1], *(BY_LENGTH if groups.lengths.unit else ()), *PLAIN[1:])
        found += [replace(_noted(OUTCOME_INSTRUMENTS[n](seen), groups), by=name) for n in names]
        found += [replace(reading, by=name) for reading in _claims(groups.tables[i])]
        for word, bound in (("failed", groups.failed), ("succeeded", groups.succeeded)):
            if bound:
                found += [replace(reading, by=name) for reading in _bounds(bound[i], word, groups.lengths)]
    dated = [outcomes for outcomes in groups.seen if outcomes.released is not None]
    if groups.lengths.unit and len(dated) > 1:
        found += [take(dated) for take in _TRENDS]
    return found


def _claims(table: pl.DataFrame) -> list[Reading]:
    """What runs said of their own answers, against plain successes and failures."""
    rows = table.filter(pl.col("confidence").is_not_null() & pl.col("success").is_in([0.0, 1.0])).select(
        "item", "family", "weight", "confidence", t=pl.lit(0), stop=pl.lit(Stop.DONE.value),
        rollout=pl.int_range(pl.len()).over("item"),
        event=pl.when(pl.col("success") == 1).then(pl.lit("right")).otherwise(pl.lit("slip")),
    )  # fmt: skip
    return [INSTRUMENTS[name](read(rows, OnError.STOP.value)) for name in CLAIMS] if rows.height else []


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
