"""What was found in logs: on a terminal, as JSON, or as the table itself."""

from __future__ import annotations

import json
import sys
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
    say("")
    readings_table(found.readings, console)


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
