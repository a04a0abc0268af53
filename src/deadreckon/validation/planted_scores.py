"""Two arms compared by every other score: occupancy, completion, error per step, a column's mean, a table's column.

Half of the items are hard; both arms have the same items, so that they correlate through them. An arm's chance of
leaving the track is hard or easy times its h, it comes back with g; it ends `done` with chance 1 - 4 times that rate.
Also which of two arms did better item by item, where each has one rollout an item (`planted_comparison.Duel`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import read
from deadreckon.instruments.compare import difference, difference_test, items_better, items_equal, items_worse
from deadreckon.instruments.permutation import ENOUGH
from deadreckon.instruments.scores import (
    Score,
    completion_score,
    mean_score,
    occupancy_score,
    step_error_score,
    survival_score,
    table_score,
)
from deadreckon.validation.case import Case
from deadreckon.validation.planted import RIGHT, SLIP, Bools, Cell, Floats, end_early, table
from deadreckon.validation.planted_comparison import AT, Duel, _both, arms

HORIZON, BACK = 12, 0.3
HARD, EASY = 1.6, 0.4  # times h
UNDONE = 4.0


@dataclass(frozen=True, slots=True)
class Rivals:
    """Two arms on the same items."""

    items: int
    ours: float
    theirs: float
    rollouts: int = 1

    def cell(self) -> str:
        """In words."""
        return f"items={self.items} rollouts={self.rollouts} h={self.ours:g},{self.theirs:g}"


def scores(plan: Rivals, h: float, hard: Bools, rng: np.random.Generator) -> dict[str, Score]:
    """Every score of one arm."""
    rate = np.repeat(h * np.where(hard, HARD, EASY), plan.rollouts)
    u = rng.random((len(rate), HORIZON))
    on = np.ones(len(rate), dtype=bool)
    event, state = np.full(u.shape, RIGHT, dtype=np.int8), np.empty(u.shape, dtype=bool)
    for t in range(HORIZON):
        slip, back = on & (u[:, t] < rate), ~on & (u[:, t] < BACK)
        event[slip, t] = SLIP
        on = (on & ~slip) | back
        state[:, t] = on
    kl = rate[:, None] * rng.gamma(0.5, 2.0, u.shape)
    done = rng.random(len(rate)) < 1 - UNDONE * rate
    cell = Cell(h, BACK, plan.items, plan.rollouts, HORIZON)
    frame = table(event, cell, {"true_state": state, "kl_pq": kl})
    arm = read(end_early(frame, np.full(len(rate), HORIZON), np.where(done, "done", "horizon")))
    runs = pl.DataFrame({"item": np.repeat(np.arange(plan.items), plan.rollouts), "success": done})
    return {
        "occupancy": occupancy_score(arm, HORIZON),
        "completion": completion_score(arm),
        "step error": step_error_score(arm),
        "mean of a column": mean_score(arm, "kl_pq"),
        "table": table_score(runs, "success"),
    }


def means(h: float) -> dict[str, float]:
    """What each score tends to: means over hard and easy items."""
    rate = h * np.array([HARD, EASY])
    settled = BACK / (BACK + rate)
    on: Floats = settled[:, None] + (1 - settled)[:, None] * (1 - BACK - rate)[:, None] ** np.arange(HORIZON + 1)
    done = float((1 - UNDONE * rate).mean())
    return {
        "occupancy": float(on[:, -1].mean()),
        "completion": done,
        "step error": float((rate[:, None] * on[:, :-1]).mean()),
        "mean of a column": h,
        "table": done,
    }


def sample(plan: Rivals, rng: np.random.Generator) -> Mapping[str, Reading]:
    """One replicate."""
    hard = rng.random(plan.items) < 0.5
    a, b = (scores(plan, h, hard, rng) for h in (plan.ours, plan.theirs))
    found = {f"difference of {name}": difference(a[name], b[name]) for name in a}
    if plan.ours == plan.theirs:
        found |= {f"p_difference of {name}": difference_test(a[name], b[name]) for name in a}
    return found


def by_item(duel: Duel, rng: np.random.Generator) -> Mapping[str, Reading]:
    """Which of two arms did better on an item."""
    a, b = (survival_score(arm, AT) for arm in arms(duel, rng))
    return {share.__name__: share(a, b) for share in (items_better, items_worse, items_equal)}


def by_item_truth(duel: Duel) -> dict[str, float]:
    """From S of both arms and P(both survive)."""
    s, t = (1 - duel.ours) ** AT, (1 - duel.theirs) ** AT
    both = _both(s, t, duel.rho)
    return {"items_better": s - both, "items_worse": t - both, "items_equal": 1 - s - t + 2 * both}


SHARES = ("occupancy", "completion", "step error", "table")  # Clopper-Pearson inside
EXACT = frozenset(f"difference of {name}" for name in SHARES)
FLIPPED = frozenset(f"p_difference of {name}" for name in SHARES)  # few items: sign flips of sums on a lattice, exact
FEW = 4 * ENOUGH  # items below which many a replicate has fewer effective ones than Student's t is used from


def _case(plan: Rivals) -> Case:
    ours, theirs = means(plan.ours), means(plan.theirs)
    truth = {f"difference of {name}": ours[name] - theirs[name] for name in ours}
    nulls = frozenset(f"p_{name}" for name in truth) if plan.ours == plan.theirs else frozenset()
    exact = EXACT | (FLIPPED & nulls if plan.items < FEW else frozenset())
    return Case("other scores", plan.cell(), plan.items, partial(sample, plan), truth, nulls, exact)


def _by_item(duel: Duel) -> Case:
    truth = by_item_truth(duel)
    return Case("item by item", duel.cell, duel.items, partial(by_item, duel), truth, discrete=frozenset(truth))


CASES: list[Case] = [
    *(_case(Rivals(n, 0.05, h, r)) for n, r in ((20, 2), (50, 3), (200, 1), (2000, 1)) for h in (0.05, 0.1)),
    *(_by_item(Duel(n, 0.05, h, 1, rho)) for n in (20, 200, 1000) for h, rho in ((0.05, 0.3), (0.1, 0.0))),
]
