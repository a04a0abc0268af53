"""Cells of somebody's table, read without trust: every column as text, in batches, with the number of each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from deadreckon.contracts import Json
from deadreckon.errors import BadLog
from deadreckon.logs.lines import json_lines, raw_lines
from deadreckon.logs.parquet import parquet_columns, parquet_to_arrow
from deadreckon.logs.record import Caps

ROW = "row"  # from 1, of the data
BATCH = 100_000
BLOCK = 8 << 20
SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
_FAILURES = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def header(path: Path, caps: Caps) -> list[str]:
    """The table's columns; of JSON lines, those of its first row. BadLog: unreadable or empty."""
    if _is_lines(path):
        number, first = next(json_lines(path, caps), (0, None))
        if not isinstance(first, dict) or not first:
            raise BadLog(f"{path}:{number}: a table needs one JSON object a line: {str(first)[:60]!r}")
        return list(first)
    if _is_parquet(path):
        return parquet_columns(path)
    _check_lines(path, caps)
    try:
        return _scan_csv(path).collect_schema().names()
    except _FAILURES as error:
        raise _refused(path, error) from None


def cells(path: Path, names: Mapping[str, str], caps: Caps) -> Iterator[pl.DataFrame]:
    """Batches of `row` and one column of text a word; names: {"item": "task_id"}. BadLog: unreadable."""
    if _is_lines(path):
        yield from _of_lines(path, names, caps)
    elif _is_parquet(path):
        with TemporaryDirectory() as folder:
            plain = Path(folder, "columns.arrow")
            parquet_to_arrow(path, list(dict.fromkeys(names.values())), plain)
            yield from _batches(path, pl.scan_ipc(plain), names)
    else:
        yield from _batches(path, _scan_csv(path), names)


def _batches(path: Path, scan: pl.LazyFrame, names: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    wanted = [pl.col(column).cast(pl.String).alias(word) for word, column in names.items()]
    plan = scan.with_row_index(ROW, 1).select(pl.col(ROW).cast(pl.Int64), *wanted)
    try:
        yield from plan.collect_batches(chunk_size=BATCH, maintain_order=True)
    except _FAILURES as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: BaseException) -> BadLog:
    why = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
    return BadLog(f"{path}: not a table that can be read ({why}): mend it, or name another file")


def _is_lines(path: Path) -> bool:
    return path.suffix in (".jsonl", ".ndjson")


def _is_parquet(path: Path) -> bool:
    return path.suffix == ".parquet"


def _scan_csv(path: Path) -> pl.LazyFrame:
    return pl.scan_csv(path, infer_schema=False, separator=_separator(path), low_memory=True, glob=False)


def _separator(path: Path) -> str:
    """The sign of tab, semicolon and comma that the first line holds most of."""
    for _, line in raw_lines(path):
        return max(",\t;", key=lambda sign: line.count(sign.encode()))
    raise BadLog(f"{path}: empty: a table needs a first line with the names of its columns")


def _check_lines(path: Path, caps: Caps) -> None:
    """BadLog where a line is longer than the cap, or a byte is 0, before a parser sees it."""
    length = 0
    try:
        with path.open("rb") as file:
            while block := file.read(min(BLOCK, caps.line_bytes)):
                ends = block.find(b"\n")
                length = length + (len(block) if ends < 0 else ends)
                if b"\0" in block:
                    raise BadLog(f"{path}: holds zero bytes: not a text table, name its --format or another file")
                if length > caps.line_bytes:
                    raise BadLog(f"{path}: a line is longer than {caps.line_bytes:,} bytes: raise the cap on lines")
                if ends >= 0:
                    length = len(block) - 1 - block.rfind(b"\n")
    except OSError as error:
        raise BadLog(f"{path}: cannot be read: {error.strerror or error}: check the path") from error


def _of_lines(path: Path, names: Mapping[str, str], caps: Caps) -> Iterator[pl.DataFrame]:
    columns: dict[str, list[str | None]] = {word: [] for word in names}
    rows: list[int] = []
    for number, value in json_lines(path, caps):
        if not isinstance(value, dict):
            raise BadLog(f"{path}:{number}: a table needs one JSON object a line: {str(value)[:60]!r}")
        rows.append(number)
        for word, column in names.items():
            columns[word].append(_text(value.get(column), f"{path}:{number}: {column}"))
        if len(rows) >= BATCH:
            yield _frame(rows, columns)
            rows, columns = [], {word: [] for word in names}
    if rows:
        yield _frame(rows, columns)


def _frame(rows: list[int], columns: Mapping[str, list[str | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        {ROW: pl.Series(rows, dtype=pl.Int64), **{w: pl.Series(c, dtype=pl.String) for w, c in columns.items()}}
    )


def _text(value: Json, place: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise BadLog(f"{place} holds a list or an object: name a column of plain values")
