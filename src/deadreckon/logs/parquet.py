"""Parquet, read in a child process: a damaged file can make the parser end its process, and must not end ours.

The child answers with JSON on standard output, or with the chosen columns in an Arrow file that we then trust. Its
address space is limited, so that sizes a file merely claims are not allocated.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from deadreckon.errors import BadLog

ROOM = 8 << 30  # bytes of address space beyond twice the file


def parquet_columns(path: Path) -> list[str]:
    """Its columns. BadLog: not a Parquet file that can be read."""
    found: list[str] = json.loads(_child(path, []))
    return found


def parquet_to_arrow(path: Path, columns: Sequence[str], out: Path) -> None:
    """Write the chosen columns to an Arrow file. BadLog: they cannot be read, or are nested."""
    _child(path, [str(out), *columns])


def _child(path: Path, rest: Sequence[str]) -> str:
    if not path.is_file():
        raise BadLog(f"{path}: cannot be read: no such file: check the path")
    command = [sys.executable, "-m", "deadreckon.logs.parquet", str(path.resolve()), *rest]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False, env=env)
    if done.returncode:
        why = (done.stdout.strip().splitlines() or ["its parser gave up"])[0][:160]
        raise BadLog(f"{path}: not a table that can be read ({why}): mend it, or name another file")
    return done.stdout


def main(path: str, out: str = "", *columns: str) -> None:
    """In the child: the names of columns as JSON, or the chosen columns into `out`."""
    limit = ROOM + 2 * Path(path).stat().st_size
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    scan = pl.scan_parquet(path, glob=False)
    if not out:
        sys.stdout.write(json.dumps(scan.collect_schema().names()))
        return
    nested = [name for name, kind in scan.select(columns).collect_schema().items() if kind.is_nested()]
    if nested:
        raise OSError(f"column {nested[0]!r} holds lists or structs")
    scan.select(columns).sink_ipc(out, compression="lz4")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        sys.stdout.write(str(error))
        sys.exit(3)
