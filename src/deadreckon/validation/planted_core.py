"""Cells of the laws in `planted`: chains, lifetimes, and the pairs that compare two tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import starmap

import numpy as np
import polars as pl

from deadreckon.contracts import Reading, nan
from deadreckon.instruments import (
    INSTRUMENTS,
    excess_accumulated_error,
    read,
    self_conditioning,
    self_conditioning_first,
    self_conditioning_ratio,
    survival_gap_by_step,
    survival_gap_constant,
    survival_gap_mixed,
)
from deadreckon.validation import planted
from deadreckon.validation.case import Case
from deadreckon.validation.planted import CHECKPOINT, Cell, first_parameter

CHAIN = (
    "survival",
    "incidence_error",
    "hazard",
    "error_rate",
    "recovery_rate",
    "occupancy",
    "occupancy_law",
    "horizon_50",
    "horizon_80",
)
SMOOTH = frozenset(
    {
        "occupancy_law",
        "weibull_shape",
        "self_conditioning_ratio",
        "kl_free_running",
        "kl_teacher_forced",
        "excess_accumulated_error",
    }
)  # neither built on Clopper-Pearson nor integer

RARE = 0.005  # h so small that a rate is often unseen

Readings = dict[str, Reading]


def at_step(reading: Reading, step: int) -> Reading:
    """The reading's curve at x = step, as a reading; a survival curve that has fallen to 0 stays there."""
    curve = reading.curve
    if curve is not None and reading.quantity == "survival" and curve.x[-1] < step and curve.value[-1] <= 0:
        step = int(curve.x[-1])
    if curve is None or float(step) not in curve.x:
        return replace(reading, value=nan, low=nan, high=nan, reason=f"nothing at risk at step {step}", curve=None)
    k = curve.x.index(float(step))
    return replace(reading, value=curve.value[k], low=curve.low[k], high=curve.high[k], curve=None)


def take(table: pl.DataFrame, names: Iterable[str], on_error: str = "accept") -> Readings:
    """One arm's readings by name."""
    arm = read(table, on_error)
    return {name: INSTRUMENTS[name](arm) for name in names}


def chain(cell: Cell, rng: np.random.Generator) -> Readings:
    """What is read of the two-state chain."""
    readings = take(planted.chain(cell, rng), CHAIN)
    return readings | {f"survival@{CHECKPOINT}": at_step(readings["survival"], CHECKPOINT)}


def lifetimes(cell: Cell, rng: np.random.Generator) -> Readings:
    """What is read of Weibull lifetimes."""
    readings = take(planted.lifetimes(cell, rng), ("weibull_shape", "survival", "hazard", "horizon_50"), "stop")
    return readings | {f"survival@{CHECKPOINT}": at_step(readings["survival"], CHECKPOINT)}


def single_answer(cell: Cell, rng: np.random.Generator) -> Readings:
    """What is read of a free and a teacher-forced table where one answer is right."""
    pair = planted.single_answer(cell, rng)
    free, forced = read(pair.free, "accept"), read(pair.forced, "repair")
    readings = take(pair.forced, ("teacher_forced_error", "teacher_forced_error_exact"), "repair")
    for name in ("survival_constant", "survival_by_step", "survival_mixed"):
        readings[f"{name}@{CHECKPOINT}"] = at_step(INSTRUMENTS[name](forced), CHECKPOINT)
    gaps = (survival_gap_constant, survival_gap_by_step, survival_gap_mixed)
    return readings | {gap.__name__: gap(free, forced, CHECKPOINT) for gap in gaps}


def intervention(cell: Cell, rng: np.random.Generator, breeds: float = planted.BREEDS) -> Readings:
    """What is read of an injected and a healed table."""
    pair = planted.intervention(cell, rng, breeds)
    injected, healed = read(pair.free), read(pair.forced)
    return {
        "self_conditioning": self_conditioning(injected, healed, 5),
        "self_conditioning_first": self_conditioning_first(injected, healed),
        "self_conditioning_ratio": self_conditioning_ratio(injected, healed, 5),
    }


def losses(cell: Cell, rng: np.random.Generator) -> Readings:
    """What is read of divergences on own and on the oracle's contexts."""
    pair = planted.losses(cell, rng)
    readings = take(pair.free, ("kl_free_running",)) | take(pair.forced, ("kl_teacher_forced",), "repair")
    return readings | {
        "excess_accumulated_error": excess_accumulated_error(read(pair.free), read(pair.forced, "repair"))
    }


def claims(cell: Cell, rng: np.random.Generator) -> Readings:
    """What is read of confidence that is too high, and of confidence that is right."""
    pair = planted.claims(cell, rng)
    names = ("brier", "ece_debiased")
    calibrated = take(pair.forced, names)
    return take(pair.free, names) | {f"{name}/calibrated": r for name, r in calibrated.items()}


KINDS: dict[str, tuple[Callable[[Cell, np.random.Generator], Readings], Callable[[Cell], dict[str, float]]]] = {
    "chain": (chain, planted.chain_truth),
    "lifetimes": (lifetimes, planted.lifetimes_truth),
    "single answer": (single_answer, planted.single_answer_truth),
    "intervention": (intervention, planted.intervention_truth),
    "no self-conditioning": (partial(intervention, breeds=1.0), partial(planted.intervention_truth, breeds=1.0)),
    "losses": (losses, planted.losses_truth),
    "claims": (claims, planted.claims_truth),
}
ITERATED = frozenset({"lifetimes", "claims"})  # a fit or a bootstrap in them


def describe(cell: Cell, names: Mapping[str, float]) -> str:
    """A cell in words: what differs from the plain one, and the law's own parameters."""
    told = {"items": cell.items, "rollouts": cell.rollouts, "horizon": cell.horizon, **names}
    return " ".join(f"{name}={value:g}" for name, value in told.items() if value != 0 or name in ("h", "g"))


def topic(kind: str, cell: Cell, correlation: float) -> str:
    """The planted law by its common name."""
    if kind == "lifetimes":
        return f"Weibull {cell.shape:g}"
    if kind != "chain":
        return kind
    return ("two-state recovery" if cell.g else "geometric") + (", unequal items" if correlation else "")


def case(kind: str, cell: Cell, correlation: float = 0.0) -> Case:
    """The case of one law and cell, the steps of an item correlated so much."""
    law = replace(cell, unequal=first_parameter(cell.h, correlation))
    sample, truths = KINDS[kind]
    truth = truths(law)
    shape = {"g": cell.g} if kind == "chain" else {}
    names = {"h": cell.h} | shape | {"correlation": correlation, "censored": cell.censored}
    edge = kind == "chain" and (not cell.g or cell.h <= RARE)  # of the law of occupancy: exact intervals behind it
    smooth = SMOOTH - {"occupancy_law"} if edge else SMOOTH
    discrete = frozenset(truth) - smooth
    return Case(
        topic(kind, cell, correlation),
        describe(law, names),
        cell.items,
        partial(sample, law),
        truth,
        frozenset(),
        discrete,
        kind not in ITERATED,
    )


def grid() -> list[Case]:
    """Items 20-2,000, rare and common errors, 0-70% ended early, item correlation 0-0.3."""
    cells: list[tuple[str, Cell, float]] = []
    for items, rollouts, horizon in ((20, 2, 30), (50, 1, 30), (200, 2, 30), (2000, 1, 20)):
        for h, g in ((0.005, 0.0), (0.005, 0.3), (0.05, 0.1), (0.2, 0.5)):
            for correlation, censored in ((0.0, 0.0), (0.1, 0.3), (0.3, 0.7)):
                if (items, g) != (2000, 0.3):
                    cells.append(("chain", Cell(h, g, items, rollouts, horizon, censored=censored), correlation))
    for shape in (0.5, 1.0, 2.0):
        for items, rollouts, censored in ((20, 1, 0.0), (50, 2, 0.3), (100, 1, 0.7), (500, 1, 0.0)):
            cells.append(("lifetimes", Cell(0.1, 0.0, items, rollouts, 20, shape=shape, censored=censored), 0.0))
    for kind in ("single answer", "intervention", "no self-conditioning", "losses", "claims"):
        for items, rollouts, correlation in ((20, 1, 0.0), (50, 2, 0.1), (200, 1, 0.3), (500, 1, 0.1)):
            cells.append((kind, Cell(0.05, 0.0, items, rollouts, 20), correlation))
        if kind != "claims":
            cells.append((kind, Cell(0.005, 0.0, 500, 1, 20), 0.1))
    return list(starmap(case, cells))


CASES: list[Case] = grid()
