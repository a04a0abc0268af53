"""Readings of stored runs, and a page of them that judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from deadreckon.contracts import Finding, Reading, Verdict
from deadreckon.errors import StoreError
from deadreckon.instruments import measure
from deadreckon.rollouts.store import read_run
from deadreckon.studies.provenance import provenance
from deadreckon.studies.replays import replays
from deadreckon.studies.study import ArmResult, Replay, StudyResult


def unfinished(folder: Path) -> str:
    """How many of a run's items are there, where some are missing; "" where all are. StoreError."""
    spec, table = _open(folder)
    there, asked = table["item"].n_unique(), int(str(spec["items"]))
    if there == asked:
        return ""
    return f"{folder} is unfinished: {there} of {asked} items are there, resume it with its roll command"


def measure_run(folder: Path, by: str | None = None) -> list[Reading]:
    """Every reading that a run folder's table allows. StoreError: not a run folder, or corrupt."""
    spec, table = _open(folder)
    return measure(table, on_error=str(spec["on_error"]), by=by)


def describe_runs(folders: Sequence[Path]) -> StudyResult:
    """The readings, pictures and replays of runs, without a claim."""
    arms: list[ArmResult] = []
    shown: list[Replay] = []
    for folder in folders:
        spec, table = _open(folder)
        world, level = str(spec["world"]), int(str(spec["level"]))
        readings = tuple(measure(table, on_error=str(spec["on_error"])))
        arms.append(
            ArmResult(folder.resolve().name, "arm", world, level, str(spec["model"]), str(spec["scaffold"]), readings)
        )
        shown.extend(replays(table, world))
    short = "".join(f" {why}." for why in map(unfinished, folders) if why)
    because = f"{len(folders)} run(s) measured; no claim was set before the data, so none is judged.{short}"
    return StudyResult(
        "runs",
        "What these runs show",
        "No rule: a description.",
        Finding(Verdict.UNDECIDED, because, ()),
        (),
        tuple(arms),
        (),
        tuple(shown),
        provenance(f"deadreckon report {' '.join(map(str, folders))}"),
    )


def _open(folder: Path) -> tuple[dict[str, object], pl.DataFrame]:
    stored, table = read_run(folder)
    spec = stored.get("spec")
    if not isinstance(spec, dict) or table.is_empty():
        raise StoreError(f"{folder} holds no committed steps: run deadreckon roll with --out {folder} again")
    return spec, table
