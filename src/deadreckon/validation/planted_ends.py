"""Planted ends: a change point, competing ends, cut rollouts, families, weights."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deadreckon.contracts import Reading
from deadreckon.validation import planted
from deadreckon.validation.case import Case, Sample
from deadreckon.validation.planted import Cell, Floats, end_early, table
from deadreckon.validation.planted_core import Readings, at_step, describe, take

CHANGE = 8  # the step after which the hazard is a quarter
DONE = 0.05  # P(done after a right step)
CUT = 0.04  # P(a step is never finished)
MEMBERS = 4  # items of a family
HEAVY = 3.0  # weight of the easy half of the items, whose error rate is a quarter of the hard half's
AT = 10  # the step at which curves are read

Bools = NDArray[np.bool_]


def first_true(hit: Bools) -> NDArray[np.int64]:
    """(rows,) place of the first true column, from 1; the number of columns + 1 where there is none."""
    place: NDArray[np.int64] = np.where(hit.any(axis=1), hit.argmax(axis=1), hit.shape[1]) + 1
    return place


def hazards(cell: Cell) -> Floats:
    """(horizon,) h up to the change, a quarter after."""
    return np.where(np.arange(cell.horizon) < CHANGE, cell.h, cell.h / 4)


def change_point(cell: Cell, rng: np.random.Generator) -> Readings:
    """A hazard that falls at a known step, for every item alike."""
    slip = rng.random((cell.items, cell.horizon)) < hazards(cell)
    readings = take(table(slip.astype(np.int8), cell, {}), ("survival", "hazard", "horizon_80"), "stop")
    curves = {f"survival@{AT}": at_step(readings["survival"], AT)}
    return readings | curves | {f"hazard@{n}": hazard_at(readings["hazard"], n) for n in (AT // 2, AT)}


def hazard_at(hazard: Reading, step: int) -> Reading:
    """The hazard of one step, which one item that is left at risk does not tell."""
    found = at_step(hazard, step)
    return replace(found, reason="one item at risk") if np.isnan(found.low) and not found.reason else found


def change_point_truth(cell: Cell) -> dict[str, float]:
    """S(n) = prod (1 - h_t)."""
    alive = np.concatenate([[1.0], np.cumprod(1 - hazards(cell))])
    return {
        "survival": float(alive[-1]),
        f"survival@{AT}": float(alive[AT]),
        "hazard": float((1 - alive[-1]) / alive[:-1].sum()),
        f"hazard@{AT // 2}": cell.h,
        f"hazard@{AT}": cell.h / 4,
        "horizon_80": float(np.argmax(alive <= 0.8)) if alive[-1] <= 0.8 else float("inf"),
    }


def competing(cell: Cell, rng: np.random.Generator) -> Readings:
    """Each step errs with h and breaks the rollout; a right one ends it by `done` with DONE."""
    shape = (cell.items, cell.horizon)
    slip, done = first_true(rng.random(shape) < cell.h), first_true(rng.random(shape) < DONE)
    event = (np.arange(1, cell.horizon + 1) == slip[:, None]).astype(np.int8)
    stop = np.where(slip <= done, "broken", "done")
    stop[np.minimum(slip, done) > cell.horizon] = "horizon"
    frame = end_early(table(event, cell, {}), np.minimum(np.minimum(slip, done), cell.horizon), stop)
    readings = take(frame, ("survival", "incidence_error", "incidence_done"), "stop")
    return {f"{name}@{AT}": at_step(reading, AT) for name, reading in readings.items()}


def competing_truth(cell: Cell) -> dict[str, float]:
    """F_error(n) = sum q^(s-1) h, F_done(n) = sum q^(s-1) (1-h) DONE, q = (1-h) (1-DONE)."""
    total = float((((1 - cell.h) * (1 - DONE)) ** np.arange(AT)).sum())
    return {
        f"survival@{AT}": (1 - cell.h) ** AT,
        f"incidence_error@{AT}": total * cell.h,
        f"incidence_done@{AT}": total * (1 - cell.h) * DONE,
    }


def cut(cell: Cell, rng: np.random.Generator) -> Readings:
    """A step is cut off with CUT before it is finished, whatever it would have been."""
    shape = (cell.items, cell.horizon)
    slip, cuts = first_true(rng.random(shape) < cell.h), first_true(rng.random(shape) < CUT)
    event = (np.arange(1, cell.horizon + 1) == slip[:, None]).astype(np.int8)
    length = np.minimum(np.minimum(slip, cuts), cell.horizon)
    stop = np.where(cuts <= slip, "cut", "broken")
    stop[np.minimum(slip, cuts) > cell.horizon] = "horizon"
    frame = end_early(table(event, cell, {}), length, stop)
    whole = frame.with_columns(event=pl.when(pl.col("stop").ne_missing("cut")).then(pl.col("event")))
    names = ("survival", "survival_if_cut_failed", "survival_if_cut_survived")
    return {f"{name}@{AT}": at_step(reading, AT) for name, reading in take(whole, names, "stop").items()}


def cut_truth(cell: Cell) -> dict[str, float]:
    """Failed with the cut: ((1-h)(1-CUT))^n; never after it: 1 - sum of what was seen to fail."""
    q = (1 - cell.h) * (1 - CUT)
    seen = float((q ** np.arange(AT)).sum()) * (1 - CUT) * cell.h
    return {
        f"survival@{AT}": (1 - cell.h) ** AT,
        f"survival_if_cut_failed@{AT}": q**AT,
        f"survival_if_cut_survived@{AT}": 1 - seen,
    }


def families(cell: Cell, rng: np.random.Generator) -> Readings:
    """`planted.chain` where what shares a rate is a family of MEMBERS items, not an item."""
    frame = planted.chain(cell, rng)
    item = pl.col("item") * MEMBERS + pl.col("rollout")
    named = frame.with_columns(family=pl.format("f{}", pl.col("item")), item=item, rollout=pl.lit(0, pl.Int32))
    return take(named, ("survival", "hazard", "error_rate", "recovery_rate"))


def families_truth(cell: Cell) -> dict[str, float]:
    """As of the chain."""
    truth = planted.chain_truth(cell)
    return {name: truth[name] for name in ("survival", "hazard", "error_rate", "recovery_rate")}


def weights(cell: Cell, rng: np.random.Generator) -> Readings:
    """Half of the items are hard (h) with weight 1, half easy (h / 4) with weight HEAVY; every step errs alike."""
    hard = rng.random(cell.items) < 0.5
    slip = rng.random((cell.items, cell.horizon)) < np.where(hard, cell.h, cell.h / 4)[:, None]
    weight = np.repeat(np.where(hard, 1.0, HEAVY)[:, None], cell.horizon, axis=1)
    readings = take(table(slip.astype(np.int8), cell, {"weight": weight}), ("survival", "hazard", "step_error"))
    return readings | {f"survival@{AT}": at_step(readings["survival"], AT)}


def weights_truth(cell: Cell) -> dict[str, float]:
    """Weighted means of the two halves."""
    n, w = np.arange(cell.horizon + 1), np.array([[1.0], [HEAVY]]) / (1 + HEAVY)
    rate = np.array([[cell.h], [cell.h / 4]])
    alive = (w * (1 - rate) ** n).sum(axis=0)
    return {
        "survival": float(alive[-1]),
        f"survival@{AT}": float(alive[AT]),
        "hazard": float((1 - alive[-1]) / alive[:-1].sum()),
        "step_error": float((w * rate).sum()),
    }


def case(topic: str, sample: Sample, cell: Cell, truth: dict[str, float]) -> Case:
    """A case whose intervals are all exact or discrete."""
    names = frozenset(truth)
    return Case(topic, describe(cell, {"h": cell.h}), cell.items, sample, truth, frozenset(), names, closed=True)


def grid() -> list[Case]:
    """Items 20-500, rare and common."""
    found = []
    for h in (0.01, 0.1):
        for items in (20, 60, 500):
            cell = Cell(h, 0.1, items, 1, 20)
            found += [
                case("change point", partial(change_point, cell), cell, change_point_truth(cell)),
                case("competing ends", partial(competing, cell), cell, competing_truth(cell)),
                case("cut rollouts", partial(cut, cell), cell, cut_truth(cell)),
                case("weights", partial(weights, cell), cell, weights_truth(cell)),
            ]
            house = Cell(h, 0.1, items, MEMBERS, 20, unequal=2.0)
            found.append(case("families", partial(families, house), house, families_truth(house)))
    return found


CASES: list[Case] = grid()
