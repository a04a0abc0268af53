"""Planted ways back: audits that fix, mends, and two wrongs that make a right."""

from __future__ import annotations

from functools import partial

import numpy as np

from deadreckon.validation.case import Case
from deadreckon.validation.planted import MEND, RIGHT, SLIP, Cell, Floats, censor, table
from deadreckon.validation.planted_core import Readings, describe, take

EVERY = 5  # steps from one audit to the next
FIXED = 0.6  # P(a wrong state is put right at an audit)
MENDED = 0.05  # P(it is mended at any other step)
LUCK = 0.02  # P(it comes right without either)
NAMES = ("error_rate", "recovery_rate", "recovery_rate_earned", "recovery_rate_unearned", "occupancy")


def audits(cell: Cell, rng: np.random.Generator) -> Readings:
    """The track is left with h; an audit stands before every fifth step."""
    u = rng.random((cell.items * cell.rollouts, cell.horizon))
    on = np.ones(len(u), dtype=bool)
    state, event = np.empty(u.shape, dtype=bool), np.full(u.shape, RIGHT, dtype=np.int8)
    fix = np.broadcast_to(np.arange(cell.horizon) % EVERY == EVERY - 1, u.shape)
    for t in range(cell.horizon):
        slip = on & (u[:, t] < cell.h)
        mend = ~on & ~fix[:, t] & (u[:, t] < MENDED)
        back = ~on & (u[:, t] < (FIXED if fix[0, t] else MENDED + LUCK))
        event[slip, t], event[mend, t] = SLIP, MEND
        on = (on & ~slip) | back
        state[:, t] = on
    return take(censor(table(event, cell, {"true_state": state, "fix": fix}), cell, rng), NAMES)


def audits_truth(cell: Cell) -> dict[str, float]:
    """Ratios of expected counts from P(off before step t)."""
    off = _off(cell)
    fix = np.arange(cell.horizon) % EVERY == EVERY - 1
    before, total = off[:-1], float(off[:-1].sum())
    earned = float(before @ np.where(fix, FIXED, MENDED)) / total
    unearned = float(before @ np.where(fix, 0.0, LUCK)) / total
    return {
        "error_rate": cell.h,
        "recovery_rate": earned + unearned,
        "recovery_rate_earned": earned,
        "recovery_rate_unearned": unearned,
        "occupancy": float(1 - off[-1]),
    }


def _off(cell: Cell) -> Floats:
    """(horizon + 1,) P(off the track after t steps)."""
    off = [0.0]
    for t in range(cell.horizon):
        back = FIXED if t % EVERY == EVERY - 1 else MENDED + LUCK
        off.append(off[-1] * (1 - back) + (1 - off[-1]) * cell.h)
    return np.array(off)


def grid() -> list[Case]:
    """Items 20-500, rare and common errors."""
    found = []
    for h in (0.01, 0.1):
        for items in (20, 60, 500):
            cell = Cell(h, 0.0, items, 1, 30)
            truth, names = audits_truth(cell), frozenset(NAMES)
            told = describe(cell, {"h": h})
            found.append(Case("audits", told, items, partial(audits, cell), truth, frozenset(), names, closed=True))
    return found


CASES: list[Case] = grid()
