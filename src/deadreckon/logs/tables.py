"""Logs as two tables: one row a run, and one row a judged step; together they are a step table or an outcome table.

Both are built in bounded memory and stay small: a step takes about 30 bytes, its run's names are stored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from deadreckon.contracts import ERRORS, Event, Json
from deadreckon.errors import BadLog
from deadreckon.logs.record import Record, Step
from deadreckon.schema import COLUMNS

BATCH = 20_000  # rows gathered before they become a frame

RUNS: dict[str, type[pl.DataType]] = {
    "run": pl.UInt32,
    "model": pl.String,
    "world": pl.String,
    "family": pl.String,
    "item": pl.String,
    "repeat": pl.String,  # as logged
    "weight": pl.Float64,
    "released": pl.String,
    "success": pl.Float64,  # null = not scored, or ended before it could be
    "confidence": pl.Float64,
    "stop": pl.String,  # null = not recorded
    "fault_code": pl.String,
}

STEPS: dict[str, pl.DataType] = {
    "run": pl.UInt32(),
    "t": pl.Int32(),
    "event": pl.Enum([event.value for event in Event]),
    "true_state": pl.Boolean(),
    "confidence": pl.Float64(),
    "logp": pl.Float64(),
    "tokens": pl.Int32(),
}

LENGTH = "length_"  # prefix of a run's length in a unit


@dataclass(frozen=True, slots=True)
class Logged:
    """What logs hold. Steps without a verdict are counted and left out: t counts judged steps alone."""

    runs: pl.DataFrame  # RUNS, and a column length_UNIT a unit of length; once joined also rollout
    steps: pl.DataFrame  # STEPS, sorted by (run, t)
    unjudged: int = 0  # steps left out
    judges: tuple[str, ...] = ()  # what judged the steps, in words
    notes: tuple[str, ...] = ()  # what a reader of the result must know

    @property
    def units(self) -> list[str]:
        """Units in which runs have a length."""
        return [name.removeprefix(LENGTH) for name in self.runs.columns if name.startswith(LENGTH)]


@dataclass(slots=True)
class Builder:
    """Records, one by one, into `Logged`."""

    unjudged: int = 0
    judges: set[str] = field(default_factory=set)
    _runs: list[pl.DataFrame] = field(default_factory=list)
    _steps: list[pl.DataFrame] = field(default_factory=list)
    _run_rows: list[dict[str, Json]] = field(default_factory=list)
    _step_rows: list[tuple[Json, ...]] = field(default_factory=list)
    _count: int = 0

    def add(self, record: Record, steps: Sequence[Step], judge: str) -> None:
        """One run, its steps, and what judged them (words; "" where nothing could)."""
        self._run_rows.append(_run_row(self._count, record))
        t = 0
        for step in steps:
            if step.ok is None:
                self.unjudged += 1
                continue
            event, state = event_of(step), step.ok if step.state_ok is None else step.state_ok
            self._step_rows.append((self._count, t, event, state, step.confidence, step.logp, step.tokens))
            t += 1
        if t:
            self.judges.add(judge)
        self._count += 1
        if len(self._step_rows) >= BATCH or len(self._run_rows) >= BATCH:
            self._flush()

    def finish(self) -> Logged:
        """Everything added."""
        self._flush()
        runs = pl.concat(self._runs, how="diagonal") if self._runs else pl.DataFrame(schema=RUNS)
        steps = pl.concat(self._steps) if self._steps else pl.DataFrame(schema=STEPS)
        return Logged(runs, steps, self.unjudged, tuple(sorted(self.judges)))

    def _flush(self) -> None:
        if self._run_rows:
            units = sorted({name for row in self._run_rows for name in row if name.startswith(LENGTH)})
            schema = RUNS | dict.fromkeys(units, pl.Float64)
            self._runs.append(_no_nan(pl.DataFrame(self._run_rows, schema=schema, orient="row")))
        if self._step_rows:
            self._steps.append(_no_nan(pl.DataFrame(self._step_rows, schema=STEPS, orient="row")))
        self._run_rows, self._step_rows = [], []


def event_of(step: Step) -> str:
    """The step's event: the log's own word, else right or slip. BadLog where word and verdict disagree."""
    assert step.ok is not None
    event = step.event or (Event.RIGHT if step.ok else Event.SLIP)
    if (event in ERRORS) is step.ok:
        raise BadLog(f"a step is ok={step.ok} and its event is {event.value}: one of the two is wrong")
    return event.value


def _run_row(run: int, record: Record) -> dict[str, Json]:
    lengths = {LENGTH + unit: value for unit, value in record.lengths.items()}
    return {
        "run": run,
        "model": record.model,
        "world": record.task,
        "family": record.family,
        "item": record.item,
        "repeat": record.repeat,
        "weight": record.weight,
        "released": record.released or None,
        "success": record.success,
        "confidence": record.confidence,
        "stop": record.stop.value,
        "fault_code": record.fault_code or None,
        **lengths,
    }


def _no_nan(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None))


def join_logs(parts: Iterable[Logged]) -> Logged:
    """Several logs as one: runs numbered anew, rollouts numbered, items of several worlds by world/item."""
    runs, steps, start = [], [], 0
    unjudged, judges, notes = 0, set[str](), dict[str, None]()
    for part in parts:
        shift = pl.col("run") + pl.lit(start, pl.UInt32)
        runs.append(part.runs.with_columns(shift))
        steps.append(part.steps.with_columns(shift))
        start += part.runs.height
        unjudged += part.unjudged
        judges |= set(part.judges)
        notes |= dict.fromkeys(part.notes)
    joined = pl.concat(runs, how="diagonal")
    named = joined.filter(pl.col("repeat") != "").select("model", "world", "item", "repeat")
    again = named.height - named.n_unique()
    if again:
        notes[f"{again} run(s) bear the model, item and repeat of another: counted as further repeats"] = None
    rows = pl.concat(steps, how="diagonal")
    return Logged(_numbered(joined), rows, unjudged, tuple(sorted(judges)), tuple(notes))


def group_of(by: str) -> pl.Expr:
    """The name of a run's group by a column of runs; "" = no groups."""
    return pl.when(pl.col(by) == "").then(pl.lit("(not named)")).otherwise(pl.col(by)) if by else pl.lit("")


def step_table(logged: Logged) -> pl.DataFrame:
    """The step table of joined logs: columns of schema.py, items by name; a run without a judged step has no row."""
    runs = logged.runs.drop("confidence", "repeat", "success", "released")
    runs = runs.drop([LENGTH + unit for unit in logged.units])
    table = logged.steps.join(runs, on="run", how="left", maintain_order="left")
    last = pl.col("t") == pl.col("t").max().over("run")
    ends = [pl.when(last).then(pl.col(name)).alias(name) for name in ("stop", "fault_code")]
    shown = [name for name in COLUMNS if name in table.columns]
    return table.with_columns(ends).with_columns(pl.col("event").cast(pl.String)).select(shown)


def outcome_table(logged: Logged) -> pl.DataFrame:
    """The outcome table of joined logs: one row a run, with the columns that hold anything; success null = not seen."""
    table = logged.runs.drop("run", "repeat")
    kept = [name for name in table.columns if table[name].null_count() < table.height or name in ("item", "success")]
    return table.select(kept)


def _numbered(runs: pl.DataFrame) -> pl.DataFrame:
    """Runs with `rollout`, the how-manieth run of its model on its item, from 0."""
    if runs["world"].n_unique() > 1:
        runs = runs.with_columns(item=pl.concat_str(pl.col("world"), pl.lit("/"), pl.col("item")))
    count = pl.int_range(pl.len(), dtype=pl.Int32).over("model", "item")
    return runs.with_columns(rollout=count)
