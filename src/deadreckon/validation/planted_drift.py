"""Planted divergences: a ramp, no excess, the log-loss identity, and the price of a right step."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from deadreckon.instruments import excess_accumulated_error, log_loss_identity, read
from deadreckon.validation.case import Case, Sample
from deadreckon.validation.planted import RIGHT, Cell, Floats, table
from deadreckon.validation.planted_core import Readings, at_step, describe, take

GROWTH = 2.0  # the free-running divergence at the last step over that at the first, less 1
REVERSE = 0.5  # D(Q || P) over D(P || Q)
TOKENS = 6.0  # mean tokens of a step, less 1
AT = 10
P = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])  # the world's law in two kinds of state
Q = np.array([[0.6, 0.3, 0.1], [0.3, 0.3, 0.4]])  # the model's


def steps_of(cell: Cell, columns: dict[str, Floats]) -> pl.DataFrame:
    """Right steps with these columns (rows, horizon)."""
    return table(np.full((cell.items * cell.rollouts, cell.horizon), RIGHT, dtype=np.int8), cell, columns)


def ramp(cell: Cell, growth: float) -> Floats:
    """(horizon,) a factor from 1 to 1 + growth."""
    factor: Floats = 1 + growth * np.linspace(0.0, 1.0, cell.horizon)
    return factor


def kl(cell: Cell, growth: float, rng: np.random.Generator) -> Readings:
    """Divergence h on the oracle's contexts, h times the ramp on the model's own; Gamma over items and steps."""
    rows = (cell.items * cell.rollouts, cell.horizon)
    item = np.repeat(rng.gamma(2.0, 0.5, cell.items), cell.rollouts)[:, None]
    free, forced = (cell.h * item * rng.gamma(1.0, 1.0, rows) for _ in range(2))
    both = (
        steps_of(cell, {"kl_pq": v, "kl_qp": REVERSE * v * rng.gamma(4.0, 0.25, rows)})
        for v in (free * ramp(cell, growth), forced)
    )
    own, oracle = both
    readings = take(own, ("kl_free_running", "kl_reverse_free_running"))
    readings |= take(oracle, ("kl_teacher_forced", "kl_reverse_teacher_forced"), "repair")
    readings[f"kl_free_running@{AT}"] = at_step(readings["kl_free_running"], AT)
    return readings | {"excess_accumulated_error": excess_accumulated_error(read(own), read(oracle, "repair"))}


def kl_truth(cell: Cell, growth: float) -> dict[str, float]:
    """Means of the law."""
    mean = 1 + growth / 2
    return {
        "kl_free_running": cell.h * mean,
        "kl_reverse_free_running": REVERSE * cell.h * mean,
        "kl_teacher_forced": cell.h,
        "kl_reverse_teacher_forced": REVERSE * cell.h,
        f"kl_free_running@{AT}": cell.h * float(ramp(cell, growth)[AT - 1]),
        "excess_accumulated_error": 100 * (mean - 1),
    }


def identity(cell: Cell, rng: np.random.Generator) -> Readings:
    """Actions drawn from Q, in one of two kinds of state that an item favours."""
    kind = (rng.random((cell.items, cell.horizon)) < rng.beta(1.0, 1.0, (cell.items, 1))).astype(np.int64)
    action = (rng.random(kind.shape)[..., None] > np.cumsum(Q, axis=1)[kind]).sum(axis=2)
    entropy, reverse = -(Q * np.log(Q)).sum(axis=1), (Q * np.log(Q / P)).sum(axis=1)
    columns = {"minus_log_p": -np.log(P[kind, action]), "entropy": entropy[kind], "kl_qp": reverse[kind]}
    return {"log_loss_identity": log_loss_identity(read(steps_of(cell, columns)))}


def price(cell: Cell, rng: np.random.Generator) -> Readings:
    """1 + Poisson tokens a step, more for the items that think longer; a step errs with h."""
    longer = rng.gamma(4.0, TOKENS / 4, (cell.items, 1))
    tokens = 1.0 + rng.poisson(longer, (cell.items, cell.horizon))
    slip = (rng.random(tokens.shape) < cell.h).astype(np.int8)
    return take(table(slip, cell, {"tokens": tokens}), ("cost_per_right_step",))


def case(topic: str, sample: Sample, cell: Cell, truth: dict[str, float]) -> Case:
    """A case whose intervals are all smooth."""
    return Case(topic, describe(cell, {"h": cell.h}), cell.items, sample, truth, closed=True)


def grid() -> list[Case]:
    """Items 20-500."""
    found = []
    for items in (20, 60, 500):
        cell = Cell(0.05, 0.0, items, 1, 20)
        for topic, growth in (("KL ramp", GROWTH), ("no excess", 0.0)):
            found.append(case(topic, partial(kl, cell, growth), cell, kl_truth(cell, growth)))
        found.append(case("log-loss identity", partial(identity, cell), cell, {"log_loss_identity": 0.0}))
        cost = {"cost_per_right_step": (1 + TOKENS) / (1 - cell.h)}
        found.append(case("price of a right step", partial(price, cell), cell, cost))
    return found


CASES: list[Case] = grid()
