"""Any table (CSV, TSV, JSON lines, Parquet) whose columns somebody names: judged steps, or outcomes of runs.

Judged steps: item, ok, and where known rollout, step, on_track, family, weight, by, censored, confidence.
Outcomes: item, success, and where known length, family, weight, by, censored, released.
A column that bears the word's own name need not be named, and neither need those of the step table (schema.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from deadreckon.contracts import ERRORS, Event, Forced, Stop
from deadreckon.errors import BadLog, UnknownName
from deadreckon.logs.cells import ROW, cells, header
from deadreckon.logs.record import Options
from deadreckon.logs.tables import LENGTH, RUNS, STEPS, Logged
from deadreckon.logs.words import MISSING, SAID, VERDICTS

NO_ROW = "no row below the names of its columns"
KEYS = ("model", "world", "family", "item", "repeat")
STEP_WORDS = ("item", "rollout", "step", "ok", "event", "on_track", "family", "weight", "by", "censored", "stop",
              "fault_code", "confidence", "logp", "tokens", "fix", "forced")  # fmt: skip
OUTCOME_WORDS = ("item", "rollout", "length", "success", "family", "weight", "by", "censored", "released", "confidence")
OTHER_NAMES = {"by": ("model",), "step": ("t",), "on_track": ("true_state",)}  # a word's column where not named so
OF_A_STEP = ("step", "ok", "on_track", "event", "confidence", "logp", "tokens", "fix", "forced")
WHOSE = pl.Enum(["", *(whose.value for whose in Forced)])
TEXTS = ("event", "stop", "fault_code", "forced", "released")
NUMBERS = ("length", "weight", "confidence", "logp", "tokens", "step")
VERDICT_WORDS = ("ok", "success", "on_track", "censored", "fix")

RULES: Mapping[str, tuple[pl.Expr, str]] = {  # of a value that is there
    "step": (
        (pl.col("step") == pl.col("step").floor()) & pl.col("step").is_between(0, 2**31 - 1),
        "a whole number, 0 or more",
    ),
    "ok": (pl.col("ok").is_in([0.0, 1.0]), SAID),
    "on_track": (pl.col("on_track").is_in([0.0, 1.0]), SAID),
    "fix": (pl.col("fix").is_in([0.0, 1.0]), SAID),
    "censored": (pl.col("censored").is_in([0.0, 1.0]), SAID),
    "success": (pl.col("success").is_between(0, 1), f"a share from 0 to 1, or {SAID}"),
    "length": ((pl.col("length") > 0) & pl.col("length").is_finite(), "a number above 0"),
    "weight": ((pl.col("weight") > 0) & pl.col("weight").is_finite(), "a number above 0"),
    "confidence": (pl.col("confidence").is_between(0, 1), "between 0 and 1"),
    "logp": (pl.col("logp") <= 0, "a natural logarithm of a probability, 0 or less"),
    "tokens": ((pl.col("tokens") >= 0) & (pl.col("tokens") < 2**31), "0 or more"),
    "event": (pl.col("event").is_in([e.value for e in Event]), f"one of {', '.join(Event)}"),
    "forced": (pl.col("forced").is_in([f.value for f in Forced]), f"one of {', '.join(Forced)}, or empty"),
    "stop": (pl.col("stop").is_in([s.value for s in Stop]), f"one of {', '.join(Stop)}"),
    "released": (pl.col("released").str.to_date("%Y-%m-%d", strict=False).is_not_null(), "a date such as 2025-03-19"),
}


def read_columns(path: Path, options: Options) -> Logged:
    """A table as runs and judged steps. BadLog: a column is missing, or a cell holds what it cannot (the row shown)."""
    names = _names(path, header(path, options.caps), options.columns)
    batches = (_typed(path, batch, names) for batch in cells(path, names, options.caps))
    if "ok" in names or "event" in names:
        return _of_steps(path, batches)
    rows = [_small(batch) for batch in batches]
    if not rows:
        raise BadLog(f"{path}: {NO_ROW}")
    return _of_outcomes(pl.concat(rows), names.get("length", ""))


def _names(path: Path, there: list[str], given: Mapping[str, str]) -> dict[str, str]:
    """{"item": "task_id", ...}: the words this table holds, and the column of each."""
    for word, column in given.items():
        if column not in there:
            option = f"--{word.replace('_', '-')}"
            raise BadLog(f"{path}: {UnknownName(f'{option} column', column, there)}")
    found = dict(given)
    for word in dict.fromkeys(STEP_WORDS + OUTCOME_WORDS):
        for name in (word, *OTHER_NAMES.get(word, ())):
            if name in there and word not in found:
                found[word] = name
    steps = "ok" in given or ("success" not in given and bool(found.keys() & {"ok", "event"}))
    if "item" not in found:
        raise BadLog(f"{path}: which column names the item? say --item COLUMN; there are {_listed(there)}")
    if not steps and "success" not in found:
        what = "say --ok COLUMN (judged steps) or --success COLUMN (outcomes of runs)"
        raise BadLog(f"{path}: which column is the verdict? {what}; there are {_listed(there)}")
    if steps and "ok" in found:
        found.pop("event", None)
    return {word: found[word] for word in (STEP_WORDS if steps else OUTCOME_WORDS) if word in found}


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name)[1:-1] for name in names[:12]) + (", ..." if len(names) > 12 else "")


def _typed(path: Path, batch: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Text as what it means, checked; null = missing."""
    batch = batch.rename({"rollout": "repeat"}, strict=False)
    clean = {word: pl.col(word).str.strip_chars() for word in names if word != "rollout"}
    low = {word: cell.str.to_lowercase() for word, cell in clean.items()}
    known = {word: pl.when(~low[word].is_in(MISSING)).then(clean[word]) for word in clean}
    values = [known[word].cast(pl.Float64, strict=False).alias(word) for word in NUMBERS if word in names]
    for word in (word for word in VERDICT_WORDS if word in names):
        number = known[word].cast(pl.Float64, strict=False)
        values.append(low[word].replace_strict(VERDICTS, default=number, return_dtype=pl.Float64).alias(word))
    values += [known[word].alias(word) for word in TEXTS if word in names]
    if "event" in names:
        values.append((~pl.col("event").is_in([e.value for e in ERRORS])).cast(pl.Float64).alias("ok"))
    typed = batch.with_columns(values)
    _check(path, batch, typed, names, known)
    return typed


def _check(
    path: Path, batch: pl.DataFrame, typed: pl.DataFrame, names: Mapping[str, str], known: Mapping[str, pl.Expr]
) -> None:
    there = batch.select(known[word].is_not_null().alias(word) for word in names if word in known)
    for word in names:
        fine, rule = RULES.get(word, (None, ""))
        if word == "item":
            bad = ~there["item"]
            rule = "the name of the task: every row needs one"
        elif word == "step" and not there["step"].all():
            bad = ~there["step"]
            rule = "there: number every step, or leave --step out for file order"
        elif fine is None:
            continue
        else:
            bad = there[word] & ~typed.select(fine.fill_null(value=False).alias(word))[word]
        if bad.any():
            raise BadLog(_row_said(path, batch.filter(bad).row(0, named=True), names, word, rule))


def _row_said(path: Path, row: Mapping[str, object], names: Mapping[str, str], word: str, rule: str) -> str:
    shown = ", ".join(f"{names[w]}={_shown(row['repeat' if w == 'rollout' else w])}" for w in names)
    return f"{path}: row {row[ROW]}: {names[word]} is {_shown(row[word])}, it must be {rule}; the row: {shown}"


def _shown(cell: object) -> str:
    return "empty" if cell is None else repr(str(cell)[:40])


def _small(typed: pl.DataFrame) -> pl.DataFrame:
    """KEYS by the names of a run, numbers as small as they can be, `event` and `forced` as codes."""
    keys = {"model": "by", "family": "family", "item": "item", "repeat": "repeat"}
    there = set(typed.columns)
    columns = [
        (pl.col(old).fill_null("").str.strip_chars() if old in there else pl.lit("")).alias(new)
        for new, old in keys.items()
    ]
    flags = [pl.col(w).cast(pl.Boolean) for w in ("ok", "on_track", "censored", "fix") if w in there]
    kept = [pl.col(w) for w in ("success", "length", "weight", "confidence", "logp", "stop", "fault_code", "released")
            if w in there]  # fmt: skip
    whole = [pl.col(w).cast(pl.Int32) for w in ("step", "tokens") if w in there]
    words = [pl.col(w).cast(dtype) for w, dtype in (("event", STEPS["event"]), ("forced", WHOSE)) if w in there]
    return typed.select(*columns, pl.lit("").alias("world"), *flags, *kept, *whole, *words)


def _of_steps(path: Path, batches: Iterable[pl.DataFrame]) -> Logged:
    """Runs and steps; a row without a verdict is no step. What is kept of a row is small: its run's names are not."""
    rows, parts = [], []
    for batch in map(_small, batches):
        keyed = batch.with_columns(key=pl.struct(KEYS).hash())
        parts.append(_per_run(keyed))
        rows.append(keyed.select("key", *(word for word in OF_A_STEP if word in keyed.columns)))
    if not rows:
        raise BadLog(f"{path}: {NO_ROW}")
    runs = _per_run(pl.concat(parts)).with_row_index("run")
    if runs.select(KEYS).n_unique() < runs.height:
        raise BadLog(f"{path}: two runs have the same hash: split the file")
    steps = pl.concat(rows).join(runs.select("key", "run"), on="key", how="left", maintain_order="left").drop("key")
    rows.clear()
    steps = steps.sort("run", *(["step"] if "step" in steps.columns else []), maintain_order=True)
    if "step" in steps.columns:
        _check_steps(path, steps, runs)
    return _judged(_as_runs(_with_stop(runs)), steps)


def _per_run(rows: pl.DataFrame) -> pl.DataFrame:
    """A row a run: its names, its weight, and how it ended."""
    last = [pl.col(word).drop_nulls().last() for word in ("stop", "fault_code") if word in rows.columns]
    cut = [pl.col("censored").any(ignore_nulls=True)] if "censored" in rows.columns else []
    weight = [pl.col("weight").first()] if "weight" in rows.columns else []
    return rows.group_by("key", maintain_order=True).agg(pl.col(KEYS).first(), *weight, *last, *cut)


def _with_stop(runs: pl.DataFrame) -> pl.DataFrame:
    if "stop" in runs.columns or "censored" not in runs.columns:
        return runs
    return runs.with_columns(stop=pl.when("censored").then(pl.lit(Stop.CUT.value)).otherwise(pl.lit(Stop.DONE.value)))


def _judged(runs: pl.DataFrame, steps: pl.DataFrame) -> Logged:
    judged = steps.filter(pl.col("ok").is_not_null())
    unjudged = steps.height - judged.height
    if "event" in steps.columns:
        unjudged = 0  # a null event of a step table is a step that never happened
    state = pl.coalesce("on_track", "ok") if "on_track" in steps.columns else pl.col("ok")
    event = pl.when("ok").then(pl.lit(Event.RIGHT.value)).otherwise(pl.lit(Event.SLIP.value))
    found = judged.with_columns(
        t=pl.int_range(pl.len(), dtype=pl.Int32).over("run"),
        event=pl.col("event") if "event" in steps.columns else event.cast(STEPS["event"]),
        true_state=state,
    )
    kept = [name for name in (*STEPS, "fix", "forced") if name in found.columns]
    return Logged(runs, found.select(kept), unjudged, ("the table",))


def _check_steps(path: Path, steps: pl.DataFrame, runs: pl.DataFrame) -> None:
    twice = steps.filter((pl.col("step") == pl.col("step").shift(1)) & (pl.col("run") == pl.col("run").shift(1)))
    if twice.height:
        step, run = twice["step"][0], runs.row(twice["run"][0], named=True)
        where = f"item {run['item']!r}, rollout {run['repeat']!r}, step {step}"
        remedy = "name the column that tells runs apart with --rollout, or models with --by"
        raise BadLog(f"{path}: {where} stands twice: {remedy}")


def _of_outcomes(rows: pl.DataFrame, unit: str) -> Logged:
    """Runs alone; a censored run's success is not known."""
    there = rows.columns
    lost = pl.col("censored").fill_null(value=False) if "censored" in there else pl.lit(value=False)
    stop = pl.when(lost).then(pl.lit(Stop.CUT.value)).otherwise(pl.lit(Stop.DONE.value))
    found = rows.with_columns(stop=stop, success=pl.when(~lost).then(pl.col("success"))).with_row_index("run")
    if "length" in there:
        found = found.rename({"length": LENGTH + unit})
    return Logged(_as_runs(found), pl.DataFrame(schema=STEPS))


def _as_runs(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of RUNS, missing ones null, weight 1."""
    missing = [pl.lit(1.0 if name == "weight" else None, dtype).alias(name) for name, dtype in RUNS.items()
               if name not in frame.columns]  # fmt: skip
    lengths = [name for name in frame.columns if name.startswith(LENGTH)]
    whole = frame.with_columns(missing).with_columns(pl.col(name).cast(dtype) for name, dtype in RUNS.items())
    return whole.with_columns(pl.col("weight").fill_null(1.0)).select(*RUNS, *lengths)
