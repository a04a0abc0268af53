"""Times to the first error with every truth in closed form: a hazard law, unequal items, a lag, censoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from deadreckon.contracts import OnError
from deadreckon.instruments.arm import Arm

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lives:
    """A law of first-error times, and how many are drawn.

    H(n) = ((n - lag) h)^shape for the first `change` steps after the lag, `factor` times as steep from there on; an
    item's cumulative hazard is z H(n), z of mean 1 and variance `theta` (gamma), or its hazard per step is Beta with
    mean h and variance theta h^2 (beta).
    """

    items: int
    rollouts: int = 1
    horizon: int = 30
    h: float = 0.05
    shape: float = 1.0
    frailty: str = "none"  # "none", "gamma", "beta"
    theta: float = 0.0  # variance of the item's relative hazard
    lag: int = 0
    change: int = 0  # steps after which the hazard changes; 0 = never
    factor: float = 1.0
    cut: float = 0.0  # chance per step of being cut after it
    together: float = 0.0  # correlation of an item's rollouts through a Gaussian copula: S stays as it is
    proportional: bool = False  # the item's chance of an error in a step is z (H(t) - H(t-1)), at most 1

    def cumulative(self) -> Floats:
        """(horizon + 1,) H(n) for n = 0, 1, ..."""
        m = np.maximum(np.arange(self.horizon + 1) - self.lag, 0).astype(float)
        total: Floats = (m * self.h) ** self.shape
        if not self.change:
            return total
        before: Floats = (np.minimum(m, self.change) * self.h) ** self.shape
        return before + self.factor * (total - before)

    def beta(self) -> tuple[float, float]:
        """Parameters of the Beta law of the hazard."""
        size = (1 - self.h) / (self.h * self.theta) - 1
        return self.h * size, (1 - self.h) * size

    def alive(self) -> Floats:
        """(horizon + 1,) S(n) over items."""
        total = self.cumulative()
        if self.frailty == "gamma":
            return np.asarray((1 + self.theta * total) ** (-1 / self.theta))
        if self.frailty == "beta":
            a, b = self.beta()
            return np.asarray(np.exp(special.betaln(a, b + np.arange(self.horizon + 1)) - special.betaln(a, b)))
        return np.asarray(np.exp(-total))

    def draw(self, rng: np.random.Generator) -> Arm:
        """One arm."""
        count = self.items * self.rollouts
        patience = self._patience(rng)
        total = self.cumulative()
        if self.frailty == "gamma":
            patience /= np.repeat(rng.gamma(1 / self.theta, self.theta, self.items), self.rollouts)
        if self.frailty == "beta":
            rate = -np.log1p(-np.repeat(rng.beta(*self.beta(), self.items), self.rollouts))
            total, patience = np.arange(self.horizon + 1.0), patience / rate
        time = self._times(total, rng) if self.proportional else np.searchsorted(total, patience)
        last = rng.geometric(self.cut, count) if self.cut else np.full(count, self.horizon)
        last = np.minimum(last, self.horizon)
        return arm_of(np.minimum(time, last), time <= last, self.rollouts)

    def _patience(self, rng: np.random.Generator) -> Floats:
        """(rollouts,) exponential of mean 1, correlated within an item."""
        own = rng.standard_normal((self.items, self.rollouts))
        shared = rng.standard_normal((self.items, 1))
        score = np.sqrt(self.together) * shared + np.sqrt(1 - self.together) * own
        patience: Floats = -special.log_ndtr(-score).ravel()
        return patience

    def _times(self, total: Floats, rng: np.random.Generator) -> Ints:
        """First errors where chances, not cumulative hazards, are proportional."""
        z = np.ones(self.items) if self.frailty == "none" else rng.gamma(1 / self.theta, self.theta, self.items)
        chance = np.minimum(np.repeat(z, self.rollouts)[:, None] * np.diff(total), 1.0)
        errs = rng.random(chance.shape) < chance
        time: Ints = np.where(errs.any(axis=1), errs.argmax(axis=1), self.horizon) + 1
        return time

    def name(self) -> str:
        """The cell in words."""
        told = [f"items={self.items} rollouts={self.rollouts} horizon={self.horizon} h={self.h:g}"]
        told += [f"{word}={value:g}" for word, value in self._extras() if value]
        return " ".join(told)

    def _extras(self) -> list[tuple[str, float]]:
        return [
            ("shape", self.shape if self.shape != 1 else 0),
            (f"{self.frailty}", self.theta),
            ("lag", self.lag),
            ("change", self.change),
            ("factor", self.factor if self.change else 0),
            ("cut", self.cut),
            ("together", self.together),
        ]


def arm_of(length: Ints, failed: Bools, rollouts: int) -> Arm:
    """An arm under the rule stop from each rollout's time at risk and whether it ended by an error."""
    last = np.cumsum(length) - 1
    error = np.zeros(int(length.sum()), dtype=bool)
    error[last[failed]] = True
    stop = np.where(failed, "broken", "horizon")
    return arm_from(error, length, rollouts, stop, OnError.STOP)


def arm_from(error: Bools, length: Ints, rollouts: int, stop: NDArray[np.str_], rule: OnError) -> Arm:
    """What `read` makes of a table with these errors (n,) and steps a rollout: items 0, 1, ... in order."""
    count = len(length)
    item = np.arange(count) // rollouts
    rollout = np.repeat(np.arange(count), length)
    t = np.arange(len(error)) - np.repeat(np.cumsum(length) - length, length)
    items = int(item[-1]) + 1
    return Arm(
        steps=pl.DataFrame({"t": t}),
        on_error=rule,
        cluster=item[rollout],
        clusters=items,
        labels=pl.Series(np.arange(items)),
        items=items,
        rollout=rollout,
        home=item,
        keys=pl.DataFrame({"item": item, "rollout": np.arange(count) % rollouts}),
        weight=np.ones(count),
        stop=stop,
        length=length,
        own=np.ones(len(error), dtype=bool),
        error=error,
        abstained=np.zeros(len(error), dtype=bool),
    )
