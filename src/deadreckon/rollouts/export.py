"""A stored run as files of others: an Inspect log, or the step table as Parquet, CSV or JSON lines."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from deadreckon.errors import BadOption, StoreError
from deadreckon.rollouts.folder import SPEC
from deadreckon.rollouts.inspect_log import inspect_log
from deadreckon.rollouts.store import frame_bytes, read_run, write_atomic


def export_run(folder: Path, out: Path) -> str:
    """Write the run by the suffix of `out` (.json = an Inspect log); a line about it. StoreError, BadOption.

    A folder (no suffix) gets an Inspect log under the kind of name that Inspect's own tools list.
    """
    if out.suffix not in ("", ".json", *TABLES):
        raise BadOption(f"{out}: a run is written as {', '.join(('.json', *TABLES))}: give the file such a name")
    stored, table = read_run(folder)
    spec = stored.get("spec")
    if not isinstance(spec, dict):
        raise StoreError(f"{folder} holds no spec: run deadreckon roll with --out {folder} again")
    rollouts = table.select("item", "rollout").n_unique()
    if out.suffix in TABLES:
        write_atomic(out, table_bytes(table, out.suffix))
        return f"{out}: {table.height} steps of {rollouts} rollouts; next: deadreckon fit {out}"
    made = datetime.fromtimestamp(int((folder / SPEC).stat().st_mtime), UTC)
    if out.suffix == "":
        out.mkdir(parents=True, exist_ok=True)
        task = re.sub("[^A-Za-z0-9]+", "-", str(spec["world"]))
        out = out / f"{made:%Y-%m-%dT%H-%M-%S}+00-00_{task}_{table['run'][0]}.json"
    write_atomic(out, inspect_log(spec, table, made))
    return f"{out}: {rollouts} samples, {table.height} steps; next: inspect view --log-dir {out.parent}"


def table_bytes(table: pl.DataFrame, suffix: str) -> bytes:
    """A table in the format of a suffix: .parquet, .csv or .jsonl. BadOption: another."""
    if suffix not in TABLES:
        raise BadOption(f"a table is written as {', '.join(TABLES)}, not {suffix!r}")
    return TABLES[suffix](table)


def _csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()


def _jsonl(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_ndjson(buffer)
    return buffer.getvalue()


TABLES: Mapping[str, Callable[[pl.DataFrame], bytes]] = {".parquet": frame_bytes, ".csv": _csv, ".jsonl": _jsonl}
