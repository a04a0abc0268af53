"""Readings, and what a server was found to do, on a terminal: as a table for eyes, as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deadreckon.contracts import Reading
from deadreckon.models.api.contract import Contract, Status
from deadreckon.report.numbers import as_json, interval, number
from deadreckon.report.text import readable

FIELDS = ("quantity", "unit", "value", "low", "high", "level", "n", "method", "by", "reason")


def readings_json(readings: Sequence[Reading]) -> str:
    """A JSON list of readings without their curves; a value that is missing or unbounded is null, with its reason."""
    rows = [{name: row[name] for name in FIELDS} for row in map(as_json, readings)]
    return json.dumps(rows, indent=1, allow_nan=False)


def readings_table(readings: Sequence[Reading], console: Console) -> None:
    """One line a reading; those that cannot be estimated come last, by reason."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    grouped = any(reading.by for reading in readings)
    widest = max((len(reading.quantity) for reading in readings), default=0)
    table.add_column("quantity", min_width=widest)
    for name in ("value", "95% interval", "unit", "items", *(["by"] if grouped else [])):
        table.add_column(name, justify="right" if name in ("value", "items") else "left")
    missing: dict[str, list[str]] = {}
    for reading in readings:
        if math.isnan(reading.value):
            missing.setdefault(reading.reason, []).append(reading.quantity)
        else:
            bounds = interval(reading.low, reading.high)
            cells = [reading.quantity, number(reading.value), bounds, reading.unit, str(reading.n)]
            table.add_row(*(Text(readable(cell)) for cell in cells + [reading.by] * grouped))
    console.print(table)
    for reason, quantities in missing.items():
        said = f"not estimable ({reason}): {', '.join(quantities)}"
        console.print(said, markup=False, highlight=False, style="dim")


STYLES = {Status.FAIL: "bold red", Status.SUSPECT: "yellow", Status.NO: "yellow", Status.UNKNOWN: "dim"}


def contracts_json(contracts: Sequence[Contract]) -> str:
    """A JSON list, one object an endpoint."""
    return json.dumps([contract.json() for contract in contracts], indent=1, allow_nan=False)


def contract_table(contract: Contract, console: Console) -> None:
    """One line a check, then one an instrument."""
    console.print(readable(f"{contract.model} at {contract.url}, {contract.endpoint}"), markup=False, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("check", "outcome", "seen"):
        table.add_column(name)
    for name, seen in contract.checks.items():
        table.add_row(name, Text(seen.status.value, STYLES.get(seen.status, "")), Text(readable(seen.saw)))
    console.print(table)
    for verdict in contract.verdicts():
        why = f" ({verdict.why})" if verdict.why else ""
        said = f"{verdict.instrument}: {'yes' if verdict.usable else 'NO'}{why}"
        console.print(readable(said), markup=False, highlight=False)
    console.print()
