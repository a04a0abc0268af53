"""METR's time-horizon data, `runs.jsonl` or `all_runs.jsonl`: one run a line, with the time a human needs.

Follows the columns that METR/eval-analysis-public reads as of 2026 (`src/horizon/compute_task_weights.py`,
`wrangle/logistic.py`, `wrangle/score_over_resource.py`) and the sources of a fatal error of METR's Vivaria
(`shared/src/types.ts`, `ErrorSource`).

- item: `task_id`; repeat: `run_id`; model: `alias`; family: `task_family`; task: `task_source`; an outcome, no steps.
- length: `human_minutes`; also `tokens_count` and the seconds between `started_at` and `completed_at` (epoch ms).
- weight: `invsqrt_task_weight` (METR's figures), or the column named for `weight`; 1 where the file has none.
- released: `release_date`, or the date of the alias in `release_dates.yaml` beside the file.
- success: `score_binarized`, or the column chosen by `score` (`score_cont`).
- stop, from `fatal_error_from`:

  | log | stop |
  |---|---|
  | none, or `agent` (its own scaffold failed; METR counts a failure) | done |
  | `usageLimits` (budget used up; METR's score of 0 is kept) | cut |
  | `server`, `task`, `serverOrTask`, `user` (killed by hand), any other | fault, no success |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from deadreckon.contracts import Json, Stop
from deadreckon.errors import BadLog
from deadreckon.logs.fields import as_object, label, lengths, need_label, number, numbers, shown, success, text
from deadreckon.logs.lines import json_lines, raw_lines
from deadreckon.logs.record import Options, Record

STOPS = {"": Stop.DONE, "agent": Stop.DONE, "usageLimits": Stop.CUT}
SCORES = ("score_binarized", "score_cont")
DATES = "release_dates.yaml"
MOST_DATED = 300  # bytes of a line of that file
DATED = re.compile(r"""["']?(.+?)["']?:\s*["']?(\d{4}-\d\d-\d\d)["']?\s*(?:#.*)?""")
DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Metr:
    """METR runs. BadLog: as `json_lines`, and where a run has no task, no minutes or no use of its score."""

    name = "metr"
    line = "METR: runs.jsonl or all_runs.jsonl of the time-horizon data"

    def knows(self, path: Path, head: bytes) -> bool:
        """By the columns that every release has."""
        return head.lstrip()[:1] == b"{" and b'"human_minutes"' in head and b'"score_binarized"' in head

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """A run for each line."""
        dates = _dates(path.with_name(DATES), options)
        for line, row in json_lines(path, options.caps):
            place = f"{path}:{line}"
            yield _record(as_object(row, place), dates, options, place, line)


def _record(row: Mapping[str, Json], dates: Mapping[str, str], options: Options, place: str, line: int) -> Record:
    source = text(row.get("fatal_error_from"))
    stop = STOPS.get(source, Stop.FAULT)
    minutes = number(row.get("human_minutes"))
    if not minutes > 0:
        raise BadLog(f"{place}: human_minutes is {shown(row.get('human_minutes'))}: every run needs its task's length")
    scores = numbers({name: row.get(name) for name in (*SCORES, options.score) if name})
    model = label(row, ("alias", "model"))
    return Record(
        item=need_label(row, ("task_id",), place),
        repeat=label(row, ("run_id",)) or str(line),
        model=model,
        task=text(row.get("task_source")),
        family=text(row.get("task_family")),
        weight=_weight(row, options, place),
        released=_date(row) or dates.get(model, ""),
        success=None if stop is Stop.FAULT else success(scores, SCORES[0], options.score, place),
        scores=scores,
        stop=stop,
        fault_code=source if stop is Stop.FAULT else "",
        lengths=lengths(
            minutes=minutes,
            tokens=number(row.get("tokens_count")),
            seconds=(number(row.get("completed_at")) - number(row.get("started_at"))) / 1000,
        ),
        line=line,
    )


def _weight(row: Mapping[str, Json], options: Options, place: str) -> float:
    column = options.columns.get("weight", "")
    value = row.get(column or "invsqrt_task_weight")
    if value is None and not column:
        return 1.0
    if not number(value) >= 0:
        raise BadLog(f"{place}: the weight is {shown(value)}: name a column of numbers from 0 up")
    return number(value)


def _date(row: Mapping[str, Json]) -> str:
    found = DATE.match(text(row.get("release_date")))
    return found[0] if found else ""


def _dates(path: Path, options: Options) -> dict[str, str]:
    """Release dates by alias, from METR's file of two levels (`date:`, then `  ALIAS: YYYY-MM-DD`)."""
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for line, raw in raw_lines(path, options.caps):
        if dated := DATED.fullmatch(raw[:MOST_DATED].decode("utf-8", "replace").strip()):
            found[dated[1]] = dated[2]
        if len(found) > options.caps.members:
            raise BadLog(f"{path}:{line}: more than {options.caps.members:,} dates: move it away if it is not METR's")
    return found
