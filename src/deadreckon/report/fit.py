"""What was found in logs: on a terminal, as JSON, or as the table itself."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from deadreckon.contracts import Json
from deadreckon.errors import BadOption
from deadreckon.logs.tables import outcome_table, step_table
from deadreckon.report.numbers import as_json
from deadreckon.report.say import FIELDS, readings_table
from deadreckon.report.text import readable
from deadreckon.rollouts.export import TABLES, table_bytes
from deadreckon.rollouts.store import write_atomic
from deadreckon.studies.fit import Fit

HEADLINES = (
    "survival", "survival_if_cut_failed", "survival_if_cut_survived", "horizon_50", "horizon_80", "hazard",
    "weibull_shape", "constancy", "half_life", "unequal_items", "hazard_decline", "recovery_rate", "occupancy_law",
    "overconfidence", "success_rate", "success_rate_if_cut_failed", "success_rate_if_cut_succeeded", "time_horizon_50",
    "time_horizon_50_if_cut_failed", "time_horizon_50_if_cut_succeeded", "time_horizon_80", "outcome_half_life",
    "pass_hat_k", "pass_hat_k_gap", "horizon_doubling", "difference", "p_difference", "p_log_rank", "items_better",
    "items_worse",
)  # fmt: skip  # what a terminal shows


def print_fit(found: Fit, *, as_json: bool = False) -> None:
    """On standard output: what the logs allow, in words, then every reading; or all of it as one JSON object."""
    if as_json:
        sys.stdout.write(fit_json(found))
        return
    console = Console()

    def say(text: str, style: str = "") -> None:
        console.print(readable(text), markup=False, highlight=False, style=style, soft_wrap=True)

    say(found.allows, "bold")
    for line in found.more:
        say(f"  {line}", "dim")
    say("")
    for said in found.summary:
        say(f"- {said.text}")
    shown = [reading for reading in found.readings if reading.quantity in HEADLINES]
    for by in dict.fromkeys(reading.by for reading in shown):
        say("")
        if by:
            say(by, "bold")
        readings_table([replace(reading, by="") for reading in shown if reading.by == by], console)
    say("")
    say(f"{len(found.readings)} readings in all: --json prints them, -o report.html shows them", "dim")


def fit_json(found: Fit) -> str:
    """What the logs allow, the sentences with the readings each is bound to (their places), and every reading."""
    place = {reading: i for i, reading in enumerate(found.readings)}
    rows = [as_json(reading) for reading in found.readings]
    content: dict[str, Json] = {
        "allows": found.allows,
        "more": list(found.more),
        "summary": [{"text": s.text, "readings": [place[r] for r in s.readings]} for s in found.summary],
        "readings": [{name: row[name] for name in (*FIELDS, "curve")} for row in rows],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_fit(found: Fit, path: Path) -> None:
    """By suffix: .json everything found, .csv .jsonl .parquet the table. BadOption: another suffix."""
    if path.suffix == ".json":
        write_atomic(path, fit_json(found).encode())
        return
    if path.suffix not in TABLES:
        raise BadOption(f"{path}: written as {', '.join(('.html', '.json', *TABLES))}: give the file such a name")
    table = step_table(found.logged) if found.logged.steps.height else outcome_table(found.logged)
    write_atomic(path, table_bytes(table, path.suffix))
