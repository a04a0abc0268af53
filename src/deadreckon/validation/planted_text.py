"""Planted text: an entropy that drifts with the log of the step, and rollouts that fall into a loop."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from deadreckon.instruments import entropy_drift, read
from deadreckon.validation.case import Case
from deadreckon.validation.planted import RIGHT, Cell, Floats, table
from deadreckon.validation.planted_core import Readings, at_step, describe, take

LETTERS = 4.0  # mean symbols of a step, less 1
DRIFT = 0.2  # nats per symbol and ln step
LOOP, WINDOW = 8, 4  # actions that a loop repeats; actions of a window
SHAPE = 3.0  # first parameter of the Beta law of an item's chance to loop
AT = 10


def written(cell: Cell, columns: dict[str, Floats]) -> pl.DataFrame:
    """Steps with these columns (rows, horizon)."""
    return table(np.full((cell.items * cell.rollouts, cell.horizon), RIGHT, dtype=np.int8), cell, columns)


def level(cell: Cell, drift: float) -> Floats:
    """(horizon,) the planted entropy per symbol: h + drift ln t."""
    planted: Floats = cell.h + drift * np.log(np.arange(1.0, cell.horizon + 1))
    return planted


def drifting(cell: Cell, drift: float, rng: np.random.Generator) -> Readings:
    """Entropies around the planted level on own contexts, around h on the expert's; items differ, words too."""
    rows = (cell.items * cell.rollouts, cell.horizon)
    item = np.repeat(rng.gamma(9.0, 1 / 9, cell.items), cell.rollouts)[:, None]
    own, oracle = (
        _words(cell, item * mean * rng.gamma(4.0, 0.25, rows), rng) for mean in (level(cell, drift), level(cell, 0.0))
    )
    readings = take(own, ("entropy_free_running", "entropy_slope"))
    readings |= take(oracle, ("entropy_teacher_forced",), "repair")
    readings[f"entropy_free_running@{AT}"] = at_step(readings["entropy_free_running"], AT)
    return readings | {"entropy_drift": entropy_drift(read(own), read(oracle, "repair"))}


def _words(cell: Cell, per_symbol: Floats, rng: np.random.Generator) -> pl.DataFrame:
    symbols = np.asarray(1 + rng.poisson(LETTERS, per_symbol.shape), dtype=np.float64)
    entropy = np.asarray(per_symbol * symbols, dtype=np.float64)
    return written(cell, {"entropy": entropy, "tokens": symbols})


def drifting_truth(cell: Cell, drift: float) -> dict[str, float]:
    """Means of the law."""
    planted = level(cell, drift)
    return {
        "entropy_free_running": float(planted.mean()),
        "entropy_slope": drift,
        "entropy_teacher_forced": cell.h,
        f"entropy_free_running@{AT}": float(planted[AT - 1]),
        "entropy_drift": float(planted.mean()) - cell.h,
    }


def looping(cell: Cell, rng: np.random.Generator) -> Readings:
    """Each rollout's first actions are new; with its item's chance (mean h) it repeats them for ever, else all are."""
    rows = cell.items * cell.rollouts
    chance = np.repeat(rng.beta(SHAPE, SHAPE * (1 - cell.h) / cell.h, cell.items), cell.rollouts)
    loops = rng.random(rows) < chance
    t = np.arange(cell.horizon)
    action = np.where(loops[:, None], t % LOOP, t)
    frame = written(cell, {"action": action.astype(float)}).with_columns(pl.col("action").cast(pl.String))
    readings = take(frame, ("repetition",))
    return readings | {f"repetition@{2 * AT}": at_step(readings["repetition"], 2 * AT)}


def looping_truth(cell: Cell) -> dict[str, float]:
    """Of horizon - 3 windows of a loop all repeat but the first 8."""
    windows = cell.horizon - WINDOW + 1
    return {"repetition": cell.h * (windows - LOOP) / windows, f"repetition@{2 * AT}": cell.h}


def grid() -> list[Case]:
    """Items 20-500."""
    found = []
    for items in (20, 60, 500):
        cell = Cell(1.0, 0.0, items, 2, 20)
        for topic, drift in (("entropy drift", DRIFT), ("no entropy drift", 0.0)):
            truth = drifting_truth(cell, drift)
            words = describe(cell, {"h": cell.h, "drift": drift})
            found.append(Case(topic, words, items, partial(drifting, cell, drift), truth, closed=True))
        loop = Cell(0.3, 0.0, items, 3, 40)
        truth = looping_truth(loop)
        names = frozenset(truth)
        found.append(Case("loops", describe(loop, {"h": loop.h}), items, partial(looping, loop), truth, discrete=names))
    return found


CASES: list[Case] = grid()
