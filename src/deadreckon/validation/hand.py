"""Step tables written by hand, one letter a step: what the fast checks and the golden numbers read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deadreckon.contracts import Reading
from deadreckon.instruments import INSTRUMENTS, read

EVENTS = {"r": "right", "s": "slip", "m": "mend", "i": "illegal", "u": "unparsed", "-": None}


def steps(*rollouts: tuple[int, str, str], **columns: Sequence[object]) -> pl.DataFrame:
    """Rollouts as (item, events, stop): one letter a step, "-" the step that never happened."""
    seen: dict[int, int] = {}
    rows = []
    for item, events, stop in rollouts:
        rollout = seen[item] = seen.get(item, -1) + 1
        for t, letter in enumerate(events):
            rows.append((item, rollout, t, EVENTS[letter], stop if t == len(events) - 1 else None))
    schema = {"item": pl.Int64, "rollout": pl.Int32, "t": pl.Int32, "event": pl.String, "stop": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(**{name: pl.Series(values, strict=False) for name, values in columns.items()})


def lives(time: NDArray[np.int64], failed: NDArray[np.bool_], item: NDArray[np.int64] | None = None) -> pl.DataFrame:
    """One rollout for each (time at risk, failed): right steps, then a slip, or right to the planned end."""
    items = np.arange(len(time)) if item is None else item
    return steps(
        *((int(i), "r" * (int(n) - 1) + "rs"[int(e)], "horizon") for i, n, e in zip(items, time, failed, strict=True))
    )


def take(frame: pl.DataFrame, name: str, on_error: str = "accept") -> Reading:
    """One reading of a table."""
    return INSTRUMENTS[name](read(frame, on_error))


def values(reading: Reading) -> tuple[float, ...]:
    """The reading's curve; empty where it has none."""
    return reading.curve.value if reading.curve is not None else ()
