"""The states of a teacher-forced table, each with the answers given there: what is known of its own error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from deadreckon.contracts import OnError
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Ints
from deadreckon.instruments.stats import Estimate, Floats, ratio
from deadreckon.instruments.survival import NO_STEPS
from deadreckon.instruments.vote_walk import orders, step_right, votes_per_step


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """One entry a state: an item's step, and its text where the table holds it."""

    right: Floats  # (states,) right answers
    n: Ints  # (states,) answers
    chance: Floats  # (states,) p of the right answer: right_mass where `exact`, else right / n
    exact: bool
    weight: Floats  # (states,)
    cluster: Ints  # (states,)
    clusters: int

    @property
    def least(self) -> int:
        """The fewest answers of a state."""
        return int(self.n.min())

    def mean(self, values: Floats) -> Estimate:
        """Weighted mean over states, with its influence by cluster."""
        y, x = (np.bincount(self.cluster, v * self.weight, self.clusters) for v in (values, np.ones(len(values))))
        return ratio(y.astype(float), x.astype(float))

    def undecided(self, k: int) -> float:
        """Share of votes that the answers at hand leave open."""
        return self.mean(self.walk(k)[1]).value

    def walk(self, k: int) -> tuple[Floats, Floats, Floats]:
        """(states,) each: chance that the right answer is k ahead first, that none is, and samples used."""
        if self.exact:
            return step_right(self.chance, k), np.zeros(len(self.n)), votes_per_step(self.chance, k)
        pairs, at = np.unique(np.stack([self.n, self.right.astype(np.int64)], axis=1), axis=0, return_inverse=True)
        found = np.array([orders(int(n), int(c), k) for n, c in pairs])[at.ravel()]
        return found[:, 0], found[:, 1], found[:, 2]


def states(arm: Arm) -> States:
    """The states that the expert's history leads through (rule repair), with every repeat's answer there.

    NotEstimable under another rule: states after a model's own errors are met by chance, and the harder ones less
    often. Where the table holds the text of states, rollouts that differ in it are apart; where it holds right_mass for
    every step, that is each state's p.
    """
    if arm.on_error is not OnError.REPAIR:
        raise NotEstimable(f"states are met by chance under the rule {arm.on_error.value}: use a run under repair")
    if not arm.own.any():
        raise NotEstimable(NO_STEPS)
    rows = arm.steps.select(
        item=pl.col("item"),
        t=pl.col("t"),
        state=pl.col("state") if "state" in arm.steps.columns else pl.lit(""),
        mass=pl.col("right_mass").cast(pl.Float64) if "right_mass" in arm.steps.columns else pl.lit(None, pl.Float64),
        right=pl.Series(~arm.error & ~arm.abstained).cast(pl.Float64),
        weight=pl.Series(arm.weight[arm.rollout]),
        cluster=pl.Series(arm.cluster),
    ).filter(pl.Series(arm.own))
    exact = bool(rows["mass"].is_not_null().all() and rows["mass"].is_not_nan().all())
    found = (
        rows.group_by("item", "t", "state")
        .agg(pl.col("right").sum(), pl.len().alias("n"), pl.col("mass").mean(), pl.col("weight", "cluster").first())
        .sort("item", "t", "state")
    )
    n = found["n"].to_numpy().astype(np.int64)
    right = found["right"].to_numpy().astype(float)
    return States(
        right=right,
        n=n,
        chance=np.clip(found["mass"].to_numpy(), 0, 1) if exact else right / n,
        exact=exact,
        weight=found["weight"].to_numpy().astype(float),
        cluster=found["cluster"].to_numpy().astype(np.int64),
        clusters=arm.clusters,
    )
