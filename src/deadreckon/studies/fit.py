"""What logs of somebody's runs show: read, judged, and measured as far as they allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from deadreckon.contracts import Reading
from deadreckon.errors import BadOption, NotEstimable, UnknownName
from deadreckon.logs.checker import load_checker
from deadreckon.logs.columns import read_columns
from deadreckon.logs.judge import judged
from deadreckon.logs.readers import READERS, TABLE, log_files
from deadreckon.logs.record import Checker, Options
from deadreckon.logs.tables import Builder, Logged, join_logs
from deadreckon.studies.fit_compare import comparisons
from deadreckon.studies.fit_outcomes import Lengths, outcome_groups, outcome_readings
from deadreckon.studies.fit_steps import step_groups, step_readings
from deadreckon.studies.fit_words import allows, more, summary
from deadreckon.studies.study import Said

BY = {"model": "model", "task": "world", "family": "family"}
TOLD_EVERY = 100  # runs
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class FitSpec:
    """What to read, and how. by: a column of a table; of other formats model, task or family; "" = model if several."""

    files: tuple[Path, ...]
    options: Options = field(default_factory=Options)
    format: str = ""
    by: str = ""
    checker: str = ""


@dataclass(frozen=True, slots=True)
class Fit:
    """What the logs allow to be said, in one line; what would give more; and what they show."""

    allows: str
    more: tuple[str, ...]
    readings: tuple[Reading, ...]
    summary: tuple[Said, ...]
    logged: Logged
    groups: tuple[str, ...]


def fit(spec: FitSpec, progress: Progress | None = None) -> Fit:
    """Read the logs and measure them. BadLog, BadOption, UnknownName; NotEstimable: they hold no verdict at all."""
    return analyse(read_logs(spec, progress), spec)


def read_logs(spec: FitSpec, progress: Progress | None = None) -> Logged:
    """Every file of the question as one log. progress: told (runs read, None) as it goes."""
    options = spec.options
    if spec.by:
        options = replace(options, columns={**options.columns, "by": spec.by})
    checker = load_checker(spec.checker) if spec.checker else None
    found = [place for path in spec.files for place in log_files(path, spec.options, spec.format)]
    if spec.by not in BY and any(kind != TABLE for _, kind in found) and spec.by:
        raise UnknownName("group (--by)", spec.by, BY)
    if checker is not None and any(kind == TABLE for _, kind in found):
        raise BadOption("a table has no messages for a checker to read: leave --checker out, and name its --ok column")
    parts: list[Logged] = []
    done = 0
    for path, kind in found:
        tell = partial(_tell, progress, done)
        part = read_columns(path, options) if kind == TABLE else _read(path, kind, spec, (checker, tell))
        parts.append(part)
        done += part.runs.height
        tell(part.runs.height)
    return join_logs(parts)


def _tell(progress: Progress | None, before: int, done: int) -> None:
    if progress is not None:
        progress(before + done, None)


def _read(path: Path, kind: str, spec: FitSpec, over: tuple[Checker | None, Callable[[int], None]]) -> Logged:
    builder, (checker, tell) = Builder(), over
    for i, record in enumerate(READERS[kind].read(path, spec.options)):
        steps, judge = judged(record, f"{path}:{record.line}" if record.line else str(path), checker)
        builder.add(record, steps, judge)
        if i % TOLD_EVERY == 0:
            tell(i)
    return builder.finish()


def analyse(logged: Logged, spec: FitSpec) -> Fit:
    """Every reading the logs allow, group by group, then pairs of groups."""
    by = _by(logged, spec)
    units = Lengths.chosen(logged, spec.options.columns.get("length", ""))
    steps = step_groups(logged, by)
    outcomes = outcome_groups(logged, by, units)
    if not steps and outcomes is None:
        raise NotEstimable(
            f"{logged.runs.height} runs without a judged step or a score: --checker module:function judges steps from"
            " messages, --ok and --success name a table's columns"
        )
    readings: list[Reading] = []
    for group in steps:
        readings += step_readings(group, own_end=outcomes is None)
    if outcomes is not None:
        readings += outcome_readings(outcomes)
    readings += comparisons(steps, outcomes)
    groups = sorted({group.name for group in steps} | set(outcomes.names if outcomes else ()))
    told = tuple(readings)
    return Fit(
        allows(logged, steps, outcomes is not None, units),
        more(logged, steps, outcomes, units),
        told,
        summary(told, groups),
        logged,
        tuple(groups),
    )


def _by(logged: Logged, spec: FitSpec) -> str:
    """The column of runs that tells groups apart; "" = all are one."""
    if spec.by:
        column = BY.get(spec.by, "model")  # a table's column of groups stands in for the model
        return column if (logged.runs[column] != "").any() else "model"
    return "model" if logged.runs["model"].n_unique() > 1 else ""
