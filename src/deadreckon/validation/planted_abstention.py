"""Planted abstention: an item abstains with probability a, Beta-distributed over items, and errs where it answers.

Answers are wrong with probability c a: items that abstain more err more. By the moments of the Beta law (m, n), its
sum s = m + n: abstention_rate = m / s; answered_error = E[(1 - a) c a] / E[1 - a] = c m / (s + 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from deadreckon.contracts import Reading
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.validation.case import Case


@dataclass(frozen=True, slots=True)
class Declined:
    """Items, steps of each, the Beta law of abstaining, and how wrong answers grow with it."""

    items: int
    steps: int = 10
    m: float = 2.0
    n: float = 5.0
    c: float = 0.5

    def __str__(self) -> str:
        return f"items={self.items} steps={self.steps} m={self.m} n={self.n} c={self.c}"

    def truth(self) -> dict[str, float]:
        """Both readings, exactly."""
        s = self.m + self.n
        return {"abstention_rate": self.m / s, "answered_error": self.c * self.m / (s + 1)}

    def draw(self, rng: np.random.Generator) -> pl.DataFrame:
        """One table."""
        a = rng.beta(self.m, self.n, (self.items, 1))
        shape = (self.items, self.steps)
        slips = rng.random(shape) < self.c * a
        event = np.where(rng.random(shape) < a, "abstain", np.where(slips, "slip", "right"))
        t = np.tile(np.arange(self.steps), self.items)
        frame = {
            "item": np.repeat(np.arange(self.items), self.steps),
            "rollout": np.zeros(event.size, dtype=np.int64),
            "t": t,
            "event": event.ravel(),
            "stop": np.where(t == self.steps - 1, "horizon", ""),
        }
        return pl.DataFrame(frame).with_columns(pl.col("stop").replace("", None))


def declined(plan: Declined, rng: np.random.Generator) -> Mapping[str, Reading]:
    """What is read of one draw."""
    arm = read(plan.draw(rng))
    return {name: INSTRUMENTS[name](arm) for name in plan.truth()}


PLANS = [Declined(30), Declined(100, 5), Declined(100, 20, m=1.0, n=9.0, c=1.0), Declined(400, m=6.0, n=2.0)]
CASES: list[Case] = [
    Case(
        "abstention",
        str(plan),
        plan.items,
        partial(declined, plan),
        plan.truth(),
        discrete=frozenset(plan.truth()),
        closed=True,
    )
    for plan in PLANS
]
