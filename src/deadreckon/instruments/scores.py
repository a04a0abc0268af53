"""Scores: one number per item and their mean over an arm, so that two arms can be compared item by item.

A score is any estimate with its influence by cluster (an item, or a family where families are given). What an item
scored on its own (`each`) serves effect sizes and shares of items; the influence serves differences and tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from deadreckon.contracts import Stop, nan
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, cut_short
from deadreckon.instruments.recovery import moves
from deadreckon.instruments.stats import LEVEL, Floats, mean_intervals, proportion_interval, ratio, variance
from deadreckon.instruments.survival import NO_STEPS, first_errors


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """An arm's value and what each of its C clusters adds to it; clusters without information are left out."""

    quantity: str  # "survival at 10"
    unit: str
    labels: pl.Series  # (C,) item or family behind each, sorted
    each: Floats  # (C,) what the cluster scored on its own; nan where its fate is not known
    value: float
    influence: Floats  # (C,), sums to zero
    most: float = np.inf  # independent observations behind a share at best
    least: float = nan  # the sample size a share may claim where nothing varies (nan: C)
    share: bool = True  # lies in [0, 1]: effective-size Clopper-Pearson; otherwise t over clusters
    higher_is_better: bool = False

    @property
    def clusters(self) -> int:
        """C, clusters that carry information."""
        return len(self.influence)

    @property
    def pseudo(self) -> Floats:
        """(C,) value + C u_i: numbers whose mean is the value and whose spread is its standard error times sqrt C.

        Source: infinitesimal jackknife, Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 11 and 22.
        """
        values: Floats = self.value + self.clusters * self.influence
        return values

    def interval(self, level: float = LEVEL) -> tuple[Floats, Floats]:
        """(1,) low and high; nan below two clusters, and where nothing varies in a score that is no share."""
        spread, value = np.array([variance(self.influence, self.clusters)]), np.array([self.value])
        if not self.share:
            return mean_intervals(value, spread, self.clusters, level)
        least = self.clusters if np.isnan(self.least) else self.least
        return proportion_interval(value, spread, self.clusters, self.most, least, level)


ScoreOf = Callable[[Arm], Score]


def ratio_score(name: tuple[str, str], labels: pl.Series, y: Floats, x: Floats, share: bool = True) -> Score:
    """sum y / sum x over clusters, such as errors and steps at risk; name = quantity and unit; y, x (C,)."""
    there = x > 0
    if not there.any():
        raise NotEstimable(f"{name[0]}: nothing was at risk")
    y, x = y[there], x[there]
    estimate = ratio(y, x)
    return Score(*name, labels.filter(pl.Series(there)), y / x, estimate.value, estimate.influence, share=share)


def survival_score(arm: Arm, n: int) -> Score:
    """S(n), no error among the first n own steps, by Kaplan-Meier; a cluster's own number is its share of survivors.

    Raises NotEstimable past the longest length observed.
    """
    first = first_errors(arm)
    s = first.curve()
    fallen = first.reach > 0 and s.value[-1] <= 0
    if not 1 <= n <= first.reach and not fallen:
        raise NotEstimable(f"S({n}) asked, the longest rollout ends at {first.reach}: raise the horizon")
    at = min(n, first.reach) - 1
    run = first.length > 0
    failed = first.failed & (first.length <= n)
    known = failed | (first.length >= n)
    total, seen, lived = (_fold(arm, rows) for rows in (run, run & known, run & known & ~failed))
    there = total > 0
    each = np.where(seen == total, lived / np.where(there, total, 1.0), nan)[there]
    labels = arm.labels.filter(pl.Series(there))
    name = f"survival at {n}"
    least = float(s.clusters[at])
    return Score(name, "probability", labels, each, float(s.value[at]), s.influence[there, at], first.effective, least,
                 higher_is_better=True)  # fmt: skip


def hazard_score(arm: Arm) -> Score:
    """First errors per own step at risk."""
    first = first_errors(arm)
    if not first.reach:
        raise NotEstimable(NO_STEPS)
    d, y = first.ending(first.failed).sum(axis=1), first.at_risk()
    steps, widest = y.sum(axis=1), float(y[:, 0].max())
    return _rate("hazard", arm, d, steps, steps.sum() / widest)


def step_error_score(arm: Arm) -> Score:
    """Errors per own step, those after an error too."""
    one = np.ones(len(arm.own))
    return _rate("step error", arm, arm.per_cluster(arm.error.astype(float), arm.own), arm.per_cluster(one, arm.own), 0)


def _rate(name: str, arm: Arm, y: Floats, x: Floats, least: float) -> Score:
    score = ratio_score((name, "errors per step"), arm.labels, y, x)
    return replace(score, most=float(x.sum()), least=max(float(score.clusters), least))


def occupancy_score(arm: Arm, n: int) -> Score:
    """Share of rollouts whose state is true after n steps; one that ended done, lost or broken keeps its last state.

    A rollout censored before step n is left out. Raises NotEstimable as `recovery.moves`.
    """
    after = moves(arm).after
    absorbed = np.isin(arm.stop, (Stop.DONE.value, Stop.LOST.value, Stop.BROKEN.value))
    known = (arm.length > 0) & (absorbed | (arm.length >= n))
    last: Ints = np.cumsum(arm.length) - arm.length + np.minimum(arm.length, n) - 1
    return _of_rollouts((f"occupancy at {n}", "share of rollouts"), arm, after[np.maximum(last, 0)], known)


def completion_score(arm: Arm) -> Score:
    """Share of rollouts that ended `done`, among those neither cut nor faulted."""
    name = ("completion", "share of rollouts")
    return _of_rollouts(name, arm, arm.stop == Stop.DONE.value, ~cut_short(arm) & (arm.stop != ""))


def _of_rollouts(name: tuple[str, str], arm: Arm, held: Bools, known: Bools) -> Score:
    y, x = _fold(arm, known & held), _fold(arm, known)
    return replace(ratio_score(name, arm.labels, y, x), higher_is_better=True)


def _fold(arm: Arm, rollouts: Bools) -> Floats:
    """(clusters,) weight of the chosen rollouts."""
    return np.bincount(arm.home[rollouts], arm.weight[rollouts], arm.clusters).astype(float)


def mean_score(arm: Arm, column: str, unit: str = "1") -> Score:
    """Mean of a step column over own steps. NotEstimable: no such column, nothing in it, or infinite values."""
    values = arm.floats(column)
    if np.isinf(values[arm.own]).any():
        raise NotEstimable(f"{column} is infinite on {int(np.isinf(values[arm.own]).sum())} steps: it has no mean")
    rows = arm.own & np.isfinite(values)
    y, x = arm.per_cluster(np.nan_to_num(values), rows), arm.per_cluster(np.ones(len(values)), rows)
    return ratio_score((f"mean {column}", unit), arm.labels, y, x, share=False)


def table_score(table: pl.DataFrame, column: str, unit: str = "item", higher_is_better: bool = True) -> Score:
    """Mean of a column of an outcome table (one row a run), clustered by the column `unit`.

    Rows are weighted by the column `weight` where there is one; missing values are left out. Values that all lie in
    [0, 1] are a share. Raises BadOption for a missing column.
    """
    missing = [name for name in (column, unit) if name not in table.columns]
    if missing:
        raise BadOption(f"table without {', '.join(missing)}: has {', '.join(table.columns)}")
    weight = pl.col("weight") if "weight" in table.columns else pl.lit(1.0)
    rows = table.select(label=pl.col(unit), v=pl.col(column).cast(pl.Float64), w=weight.cast(pl.Float64))
    rows = rows.filter(pl.col("v").is_finite() & pl.col("label").is_not_null() & (pl.col("w") > 0))
    if rows.is_empty():
        raise NotEstimable(f"column {column} holds no value")
    sums = rows.group_by("label").agg(y=(pl.col("v") * pl.col("w")).sum(), x=pl.col("w").sum()).sort("label")
    share = bool(rows["v"].is_between(0, 1).all())
    y, x = sums["y"].to_numpy(), sums["x"].to_numpy()
    score = ratio_score((column, "share" if share else "1"), sums["label"], y, x, share)
    return replace(score, higher_is_better=higher_is_better)
