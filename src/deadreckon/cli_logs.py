"""The commands on logs and exports: thin, and nothing heavy is imported until one runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Files = Annotated[
    list[Path],
    typer.Argument(help="Logs: files or folders. Inspect, lm-eval, verifiers and others are known; so is any table."),
]


def column(help: str) -> Any:
    """An option that names a column."""
    return typer.Option(metavar="COLUMN", help=help)


Item = Annotated[str, column("Table: the task of a row, the unit of every interval.")]
Rollout = Annotated[str, column("Table: which repeat of the item; none = one run an item.")]
Step = Annotated[str, column("Table: number of the step; none = the order of rows.")]
Ok = Annotated[str, column("Table of steps: true/false, 1/0, yes/no, right/wrong, pass/fail; empty = none.")]
OnTrack = Annotated[str, column("Table of steps: whether the run is in a right state after the step.")]
Success = Annotated[str, column("Table of runs: the same words, or a score from 0 to 1.")]
Length = Annotated[
    str, column("Table of runs: length of the task, e.g. minutes. Logs: steps, tokens, seconds or minutes.")
]
Family = Annotated[str, column("Table: group of items that are alike; resampled as one.")]
Weight = Annotated[str, column("Table: weight of the item.")]
Censored = Annotated[str, column("Table: the run was cut short by a limit or fault; never counted as failed.")]
Confidence = Annotated[str, column("Table: stated confidence, 0 to 1.")]
Released = Annotated[str, column("Table of runs: the model's release date, 2025-03-19; gives the trend.")]
By = Annotated[str, typer.Option(help="Compare groups: a column of the table; of other logs model, task or family.")]
Checker = Annotated[
    str,
    typer.Option(
        metavar="MODULE:FUNCTION",
        help="Your verdict on each step: function(messages, record) -> [True, False, None, ...]; from this folder.",
    ),
]
Score = Annotated[str, typer.Option(help="Which score is the success, where a log has several.")]
Format = Annotated[str, typer.Option(help="Name of the format, where it is not recognised: deadreckon list formats.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Report (.html), readings (.json), or the table (.csv .jsonl .parquet)."),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print what is found as JSON.")]
LineMib = Annotated[int, typer.Option(help="Cap: longest line of a file, MiB.")]
Depth = Annotated[int, typer.Option(help="Cap: nesting of JSON.")]
Members = Annotated[int, typer.Option(help="Cap: members of an archive, files of a folder.")]
Ratio = Annotated[float, typer.Option(help="Cap: unpacked to packed bytes of an archive.")]
UnpackedGib = Annotated[int, typer.Option(help="Cap: unpacked bytes of an archive in all, GiB.")]

ExportTo = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="File: .csv .jsonl .parquet (steps), .json (an Inspect log). Folder: a log that Inspect lists.",
    ),
]


def fit(
    files: Files,
    item: Item = "",
    rollout: Rollout = "",
    step: Step = "",
    ok: Ok = "",
    on_track: OnTrack = "",
    success: Success = "",
    length: Length = "",
    family: Family = "",
    weight: Weight = "",
    censored: Censored = "",
    confidence: Confidence = "",
    released: Released = "",
    by: By = "",
    checker: Checker = "",
    score: Score = "",
    format: Format = "",
    out: Out = None,
    json: JsonFlag = False,
    line_mib: LineMib = 64,
    depth: Depth = 64,
    members: Members = 100_000,
    ratio: Ratio = 200.0,
    unpacked_gib: UnpackedGib = 16,
) -> None:
    """Measure runs you already have: how long they can be trusted, whether they recover, how models compare.

    \b
    A table of judged steps:
      deadreckon fit runs.csv --item task --rollout run --step n --ok correct
    A table of whole runs:
      deadreckon fit runs.csv --item task --success passed --length minutes
    Logs of a known tool, two models compared:
      deadreckon fit logs/ --by model -o report.html

    Columns that are called item, rollout, step, ok, success, length, ... need not be named.
    """
    from deadreckon.logs.record import Caps, Options
    from deadreckon.report.fit import print_fit, write_fit
    from deadreckon.rollouts.progress import progress_bar
    from deadreckon.studies.fit import FitSpec
    from deadreckon.studies.fit import fit as measure

    named = {
        "item": item, "rollout": rollout, "step": step, "ok": ok, "on_track": on_track, "success": success,
        "length": length, "family": family, "weight": weight, "censored": censored, "confidence": confidence,
        "released": released,
    }  # fmt: skip
    caps = Caps(line_mib << 20, depth, members, ratio, unpacked_gib << 30)
    options = Options(caps, score, {word: name for word, name in named.items() if name})
    with progress_bar("runs read") as tell:
        found = measure(FitSpec(tuple(files), options, format, by, checker), tell)
    if out is not None and out.suffix == ".html":
        from deadreckon.report.fit_page import write_fit_page

        write_fit_page(found, out, shlex.join(["deadreckon", *sys.argv[1:]]))
    elif out is not None:
        write_fit(found, out)
    print_fit(found, as_json=json)


def export(
    run: Annotated[Path, typer.Argument(help="Run folder written by roll.")],
    out: ExportTo,
) -> None:
    """Write a run as a log that Inspect View opens, or as a flat table."""
    from deadreckon.rollouts.export import export_run

    typer.echo(export_run(run, out))
