"""Many specs over a few processes, each one a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import as_completed

import polars as pl

from deadreckon.errors import BadOption
from deadreckon.rollouts.run import Progress, roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import frame_bytes
from deadreckon.rollouts.workers import worker_pool


def roll_all(
    specs: Mapping[str, RollSpec], *, workers: int = 1, progress: Progress | None = None
) -> dict[str, pl.DataFrame]:
    """The step table of each spec, by its name; `progress` counts runs. The tables do not depend on `workers`.

    BadOption; WorkerDied; else as `roll`.
    """
    if workers < 1:
        raise BadOption(f"workers={workers}: give at least 1")
    tell = progress or (lambda _done, _total: None)
    tables: dict[str, pl.DataFrame] = {}
    tell(0, len(specs))
    if workers == 1 or len(specs) < 2:
        for name, spec in specs.items():
            tables[name] = roll(spec)
            tell(len(tables), len(specs))
        return tables
    with worker_pool(min(workers, len(specs))) as pool:
        running = {pool.submit(_job, spec): name for name, spec in specs.items()}
        for future in as_completed(running):
            tables[running[future]] = pl.read_parquet(future.result())
            tell(len(tables), len(specs))
    return {name: tables[name] for name in specs}


def _job(spec: RollSpec) -> bytes:
    return frame_bytes(roll(spec))
