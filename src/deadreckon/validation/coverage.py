"""Do the intervals hold what they say? Planted tables, measured again and again.

    python -m deadreckon.validation.coverage --size full

prints, for every quantity and cell, the share of intervals that held the planted truth. Nominal is 95%; the band is
the binomial one that a true 95% leaves with probability 1e-3 on each side. Conservative (above it) is allowed for
exact and discrete methods; below it is a failure and the command exits with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats

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
from deadreckon.instruments.stats import LEVEL
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.validation import planted
from deadreckon.validation.planted import CHECKPOINT, Cell, Pair

TAIL = 1e-3  # of the binomial band, on each side
TOUCH = 1e-12  # an interval that ends at the truth holds it

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

Readings = dict[str, Reading]
Kind = tuple[Callable[[Cell, np.random.Generator], Readings], Callable[[Cell], dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often one quantity's interval held the planted truth in one cell."""

    kind: str
    cell: Cell
    quantity: str
    truth: float
    repetitions: int
    held: int
    missing: int  # repetitions without an interval
    width: float  # median width of those with one; inf where the high end is mostly unreached

    @property
    def tried(self) -> int:
        """Repetitions with an interval."""
        return self.repetitions - self.missing

    @property
    def share(self) -> float:
        """Share of the intervals that held the truth; nan where there was none."""
        return self.held / self.tried if self.tried else nan

    @property
    def verdict(self) -> str:
        """`nominal`, `conservative`, `low`, or `none` where too few intervals exist to tell."""
        if self.tried < self.repetitions / 10:
            return "none"
        low, high = (float(stats.binom.ppf(q, self.tried, LEVEL)) for q in (TAIL, 1 - TAIL))
        if self.held < low:
            return "low"
        return "conservative" if self.held > high else "nominal"


def at_step(reading: Reading, step: int) -> Reading:
    """The reading's curve at x = step, as a reading."""
    curve = reading.curve
    if curve is None or float(step) not in curve.x:
        return Reading(reading.quantity, reading.unit, nan, nan, nan, LEVEL, reading.n, reading.method)
    k = curve.x.index(float(step))
    return Reading(
        reading.quantity, reading.unit, curve.value[k], curve.low[k], curve.high[k], LEVEL, reading.n, reading.method
    )


def _take(table: pl.DataFrame, names: Iterable[str], on_error: str) -> Readings:
    arm = read(table, on_error)
    return {name: INSTRUMENTS[name](arm) for name in names}


def _chain(cell: Cell, rng: np.random.Generator) -> Readings:
    readings = _take(planted.chain(cell, rng), CHAIN, "accept")
    return readings | {f"survival@{CHECKPOINT}": at_step(readings["survival"], CHECKPOINT)}


def _lifetimes(cell: Cell, rng: np.random.Generator) -> Readings:
    readings = _take(planted.lifetimes(cell, rng), ("weibull_shape", "survival", "hazard", "horizon_50"), "stop")
    return readings | {f"survival@{CHECKPOINT}": at_step(readings["survival"], CHECKPOINT)}


def _single_answer(cell: Cell, rng: np.random.Generator) -> Readings:
    pair = planted.single_answer(cell, rng)
    free, forced = read(pair.free, "accept"), read(pair.forced, "repair")
    readings = _take(pair.forced, ("teacher_forced_error", "teacher_forced_error_exact"), "repair")
    for name in ("survival_constant", "survival_by_step", "survival_mixed"):
        readings[f"{name}@{CHECKPOINT}"] = at_step(INSTRUMENTS[name](forced), CHECKPOINT)
    gaps = (survival_gap_constant, survival_gap_by_step, survival_gap_mixed)
    return readings | {gap.__name__: gap(free, forced, CHECKPOINT) for gap in gaps}


def _intervention(cell: Cell, rng: np.random.Generator) -> Readings:
    pair = planted.intervention(cell, rng)
    injected, healed = read(pair.free), read(pair.forced)
    return {
        "self_conditioning": self_conditioning(injected, healed, 5),
        "self_conditioning_first": self_conditioning_first(injected, healed),
        "self_conditioning_ratio": self_conditioning_ratio(injected, healed, 5),
    }


def _losses(cell: Cell, rng: np.random.Generator) -> Readings:
    pair = planted.losses(cell, rng)
    readings = _take(pair.free, ("kl_free_running",), "accept") | _take(pair.forced, ("kl_teacher_forced",), "repair")
    return readings | {
        "excess_accumulated_error": excess_accumulated_error(read(pair.free), read(pair.forced, "repair"))
    }


def _claims(cell: Cell, rng: np.random.Generator) -> Readings:
    pair: Pair = planted.claims(cell, rng)
    names = ("brier", "ece_debiased")
    calibrated = _take(pair.forced, names, "accept")
    return _take(pair.free, names, "accept") | {f"{name}/calibrated": r for name, r in calibrated.items()}


KINDS: dict[str, Kind] = {
    "chain": (_chain, planted.chain_truth),
    "lifetimes": (_lifetimes, planted.lifetimes_truth),
    "single_answer": (_single_answer, planted.single_answer_truth),
    "intervention": (_intervention, planted.intervention_truth),
    "losses": (_losses, planted.losses_truth),
    "claims": (_claims, planted.claims_truth),
}


def study(kind: str, cell: Cell, repetitions: int, seed: int = 0) -> list[Coverage]:
    """Plant a cell's truth `repetitions` times and count how often each interval holds it."""
    sample, truths = KINDS[kind]
    truth = truths(cell)
    name = hash64(kind, repr(cell))
    runs = [sample(cell, generator(seed, name, Purpose.START, place)) for place in range(repetitions)]
    return [_count(kind, cell, (quantity, value), [run[quantity] for run in runs]) for quantity, value in truth.items()]


def _count(kind: str, cell: Cell, truth: tuple[str, float], readings: list[Reading]) -> Coverage:
    quantity, value = truth
    there = [r for r in readings if not np.isnan(r.low)]
    held = sum(r.low - TOUCH <= value <= r.high + TOUCH for r in there)
    width = float(np.median([np.inf if np.isinf(r.high) else r.high - r.low for r in there])) if there else nan
    return Coverage(kind, cell, quantity, value, len(readings), held, len(readings) - len(there), width)


QUICK = [
    ("chain", Cell(0.05, 0.1, items=50, rollouts=4, horizon=20, unequal=2.0)),
    ("chain", Cell(0.2, 0.5, items=20, horizon=20)),
    ("chain", Cell(0.01, 0.0, items=50, horizon=20)),
    ("lifetimes", Cell(0.1, 0.0, items=40, rollouts=2, horizon=20, shape=1.8)),
    ("single_answer", Cell(0.05, 0.0, items=50, rollouts=2, horizon=20, unequal=2.0)),
    ("intervention", Cell(0.05, 0.0, items=100, rollouts=2, horizon=10, unequal=2.0)),
    ("losses", Cell(0.05, 0.0, items=50, rollouts=2, horizon=20, unequal=2.0)),
    ("claims", Cell(0.05, 0.0, items=50, rollouts=2, horizon=20, unequal=2.0)),
]


def full_grid() -> Iterator[tuple[str, Cell]]:
    """Every cell of the full study."""
    for h in (0.01, 0.05, 0.2):
        for g in (0.0, 0.1, 0.5):
            for items, rollouts, unequal in ((20, 1, 0.0), (20, 4, 2.0), (60, 4, 0.5), (200, 1, 2.0)):
                yield "chain", Cell(h, g, items, rollouts, 50 if items == 60 else 30, unequal)
    for shape in (0.6, 1.0, 1.8):
        for items, rollouts, horizon in ((30, 1, 30), (30, 4, 15), (100, 2, 30)):
            yield "lifetimes", Cell(0.1, 0.0, items, rollouts, horizon, shape=shape)
    for kind in ("single_answer", "intervention", "losses", "claims"):
        for items, rollouts, unequal in ((30, 1, 0.0), (30, 4, 2.0), (100, 2, 2.0)):
            yield kind, Cell(0.05, 0.0, items, rollouts, 20, unequal)


COLUMNS = (
    "planted | h | g | items | rollouts | horizon | unequal | quantity | truth | held | of | missing | width | verdict"
)


def row(result: Coverage) -> str:
    """One line of the printed table."""
    cell = result.cell
    law = f"Beta({cell.unequal:g}, .)" if cell.unequal else "no"
    place = f"| {result.kind} | {cell.h:g} | {cell.g:g} | {cell.items} | {cell.rollouts} | {cell.horizon} | {law} "
    share = "-" if np.isnan(result.share) else f"{100 * result.share:.1f}%"
    return (
        f"{place}| {result.quantity} | {result.truth:.4g} | {share} | {result.repetitions} | {result.missing} "
        f"| {result.width:.3g} | {result.verdict} |"
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the coverage table as Markdown; 1 if any interval is `low`."""
    parser = argparse.ArgumentParser(prog="python -m deadreckon.validation.coverage", description=__doc__)
    parser.add_argument("--size", choices=("quick", "full"), default="quick")
    parser.add_argument("--repetitions", type=int, default=None, help="a cell (quick 200, full 300)")
    parser.add_argument("--kind", choices=sorted(KINDS), default=None, help="one way of planting alone")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    cells = QUICK if given.size == "quick" else list(full_grid())
    repetitions = given.repetitions or (200 if given.size == "quick" else 300)
    print(f"| {COLUMNS} |")
    print("|" + "---|" * (COLUMNS.count("|") + 1))
    low = 0
    for kind, cell in (pair for pair in cells if given.kind in (None, pair[0])):
        for result in study(kind, cell, repetitions, given.seed):
            low += result.verdict == "low"
            print(row(result), flush=True)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
