"""Errors of rollouts that go on after an error, every truth in closed form: alike, unequal, chained, on key steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from deadreckon.contracts import OnError
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.key_steps import TOP
from deadreckon.validation.lifetimes import arm_from

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bunches:
    """A law of errors, and how many are drawn. One of unequal, odds and key may differ from its default.

    Items alike: every step errs with chance p. unequal: an item's p is Beta(unequal, .) with that mean. odds: the odds
    of an error after an error are so many times those after a right step (a stationary chain with mean p; with
    `scatter`, items differ by a normal of that spread on the logit of p after a right step). key: a share of (item,
    step) cells chosen at random has chance `key_rate`, the others p.
    """

    items: int
    rollouts: int = 1
    horizon: int = 20
    p: float = 0.1
    unequal: float = 0.0
    odds: float = 1.0
    scatter: float = 0.0
    key: float = 0.0
    key_rate: float = 0.5

    def draw(self, rng: np.random.Generator) -> Arm:
        """One arm under the rule skip."""
        error = self._errors(rng)
        count, width = error.shape
        length = np.full(count, width)
        return arm_from(error.ravel(), length, self.rollouts, np.full(count, "horizon"), OnError.SKIP)

    def _errors(self, rng: np.random.Generator) -> Bools:
        """(rollouts in all, horizon)."""
        u = rng.random((self.items * self.rollouts, self.horizon))
        if self.odds != 1:
            return self._chain(u, rng)
        chance = np.full((self.items, self.horizon), self.p)
        if self.unequal:
            chance[:] = rng.beta(self.unequal, self.unequal * (1 - self.p) / self.p, (self.items, 1))
        if self.key:
            chance[rng.random(chance.shape) < self.key] = self.key_rate
        wrong: Bools = u < np.repeat(chance, self.rollouts, axis=0)
        return wrong

    def after(self) -> tuple[float, float]:
        """Chance of an error after a right step and after an error, with mean p in the long run."""
        psi, p = self.odds, self.p
        a = (psi - 1) * (1 - p)  # p (1 - wrong + right) = right, wrong = psi right / (1 + (psi - 1) right)
        q = (-1 + np.sqrt(1 + 4 * a * p)) / (2 * a)
        return float(q), float(psi * q / (1 - q + psi * q))

    def _chain(self, u: Floats, rng: np.random.Generator) -> Bools:
        base = special.logit(self.after()[0]) + self.scatter * rng.standard_normal((self.items, 1))
        base = np.repeat(base, self.rollouts, axis=0)[:, 0]
        right, wrong = special.expit(base), special.expit(base + np.log(self.odds))
        error = np.empty(u.shape, dtype=bool)
        error[:, 0] = u[:, 0] < right / (1 - wrong + right)
        for t in range(1, self.horizon):
            error[:, t] = u[:, t] < np.where(error[:, t - 1], wrong, right)
        return error

    def truth(self) -> dict[str, float]:
        """What each reading should say, where it has a truth."""
        if self.key:
            return self._key_truth()
        if self.scatter:
            return {"state_dependence_within_items": self.odds}
        width, p = self.horizon, self.p
        if self.odds != 1:
            right, wrong = self.after()
            r = wrong - right
            lags = np.arange(1, width)
            fano = (1 - p) * (1 + 2 * float(((width - lags) * r**lags).sum()) / width)
            within, ratio = r, self.odds
        else:
            r = 1 / (self.unequal / p + 1) if self.unequal else 0.0
            fano, within, ratio = (1 - p) * (1 + (width - 1) * r), 0.0, 1.0
        cross = (1 - r) * p * (1 - p)
        pooled = (p * p + r * p * (1 - p)) * ((1 - p) ** 2 + r * p * (1 - p)) / cross**2
        found = {"error_fano": fano, "error_autocorrelation": r, "state_dependence": pooled}
        if self.rollouts == 1:
            return found
        found |= {"error_autocorrelation_within_items": within, "state_dependence_within_items": ratio}
        return found if self.odds != 1 else found | {"key_step_share": p / (p + r * (1 - p))}

    def _key_truth(self) -> dict[str, float]:
        """The participation ratio, and what a half of the rollouts catches with its worst tenth of the cells."""
        chances, share = np.array([self.key_rate, self.p]), np.array([self.key, 1 - self.key])
        half = self.rollouts // 2
        count = np.arange(half, -1, -1)
        mass = share[:, None] * stats.binom.pmf(count, half, chances[:, None])  # (kind, errors in a half)
        level = mass.sum(axis=0)
        picked = np.clip((TOP - (np.cumsum(level) - level)) / level, 0, 1)
        caught = float(chances @ mass @ picked)
        mean = float(share @ chances)
        found = {"key_step_share": mean**2 / float(share @ chances**2)}
        return found | ({"key_step_top": caught / mean} if self.rollouts % 2 == 0 else {})

    def name(self) -> str:
        """The cell in words."""
        told = f"items={self.items} rollouts={self.rollouts} horizon={self.horizon} p={self.p:g}"
        extra = {"unequal": self.unequal, "odds": self.odds if self.odds != 1 else 0, "scatter": self.scatter}
        extra |= {"key": self.key, "key_rate": self.key_rate if self.key else 0}
        return told + "".join(f" {word}={value:g}" for word, value in extra.items() if value)
