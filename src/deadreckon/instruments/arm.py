"""One arm's step table as arrays: read once, checked, then measured by many instruments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deadreckon.contracts import ERRORS, Curve, Event, OnError, Reading, Stop, nan
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments.stats import LEVEL, Floats

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

NEEDED = ("item", "rollout", "t", "event", "stop")


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """The steps that happened, sorted by (item, rollout, t), and what ended each rollout.

    A row without an event (a step cut off or lost to a fault) is not a step: it only says how its rollout ended.
    """

    steps: pl.DataFrame  # (n rows) steps that happened
    on_error: OnError
    cluster: Ints  # (n,) resampling unit: the family where families are given, else the item
    clusters: int
    labels: pl.Series  # (clusters,) the family or item behind each, to pair two arms by
    items: int
    rollout: Ints  # (n,) 0 ... rollouts-1
    home: Ints  # (rollouts,) cluster of each rollout
    keys: pl.DataFrame  # (rollouts,) item, rollout
    weight: Floats  # (rollouts,)
    stop: NDArray[np.str_]  # (rollouts,) "" where not recorded
    length: Ints  # (rollouts,) steps that happened
    own: Bools  # (n,) the model's own steps
    error: Bools  # (n,) slip, illegal or unparsed
    abstained: Bools  # (n,) neither right nor an error

    def floats(self, name: str) -> Floats:
        """A column as float64, nan where missing. NotEstimable: no such column, or all of it missing."""
        if name not in self.steps.columns:
            raise NotEstimable(f"column {name} is not in the table")
        values = self.steps[name].cast(pl.Float64).to_numpy().astype(float)
        if np.isnan(values[self.own]).all():
            raise NotEstimable(f"column {name} holds no value: the model or the world cannot say it")
        return values

    def per_cluster(self, values: Floats, rows: Bools) -> Floats:
        """Weighted totals (clusters,) of `values` (n,) over the chosen rows."""
        weighted = (values * self.weight[self.rollout])[rows]
        return np.bincount(self.cluster[rows], weights=weighted, minlength=self.clusters).astype(float)

    def per_step(self, values: Floats, rows: Bools, at: Ints) -> Floats:
        """Weighted totals (clusters, steps) of `values` over the chosen rows, each at step `at` (from 0)."""
        width = int(at[rows].max()) + 1 if rows.any() else 0
        place = self.cluster[rows] * width + at[rows]
        weighted = (values * self.weight[self.rollout])[rows]
        totals = np.bincount(place, weights=weighted, minlength=self.clusters * width).astype(float)
        return totals.reshape(self.clusters, width)

    def steps_at(self) -> Ints:
        """(n,) the step of each row, from 0."""
        return np.asarray(self.steps["t"].to_numpy(), dtype=np.int64)

    def since_forced(self) -> Ints:
        """(n,) how many own steps came before this one since the last forced step; negative up to that step."""
        t = np.arange(len(self.own)) - np.repeat(np.cumsum(self.length) - self.length, self.length)
        last = np.full(len(self.length), -1)
        np.maximum.at(last, self.rollout[~self.own], t[~self.own])
        at: Ints = t - last[self.rollout] - 1
        return at


def read(table: pl.DataFrame, on_error: str = "accept") -> Arm:
    """One arm's step table, checked. on_error: the run's rule (stop, skip, repair, accept).

    Raises BadOption for a missing column, an unknown rule or a table that holds more than one arm.
    """
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise BadOption(f"step table without {', '.join(missing)}: has {', '.join(table.columns)}")
    if on_error not in set(OnError):
        raise BadOption(f"on_error={on_error!r}: one of {', '.join(OnError)}")
    rows = table.sort("item", "rollout", "t")
    here = pl.col("item", "rollout", "t")
    if rows.select(
        pl.all_horizontal(here.eq_missing(here.shift())).slice(1).any()
    ).item():  # sorted: twins are neighbours
        raise BadOption(f"{len(rows)} rows hold more than one arm: filter to one run first, or measure by a column")
    return _arrays(_with_defaults(rows), OnError(on_error))


def _with_defaults(rows: pl.DataFrame) -> pl.DataFrame:
    fill = {"forced": pl.lit(""), "family": pl.lit(""), "weight": pl.lit(1.0)}
    extra = [value.alias(name) for name, value in fill.items() if name not in rows.columns]
    return rows.with_columns(extra).with_columns(
        pl.col("forced", "family").fill_null(""), pl.col("weight").fill_null(1)
    )


def _arrays(rows: pl.DataFrame, on_error: OnError) -> Arm:
    here = pl.col("item", "rollout")
    marks = rows.select(
        there=pl.col("event").is_not_null(),
        new=pl.any_horizontal(here.ne_missing(here.shift())),
        own=pl.col("forced") == "",
        error=pl.col("event").is_in([event.value for event in ERRORS]),
        abstained=pl.col("event") == Event.ABSTAIN.value,
    )
    there, new, own, error, abstained = (column.to_numpy() for column in marks.fill_null(value=False))
    first = np.flatnonzero(new | (np.arange(len(rows)) == 0))
    groups = rows.select("item", "rollout", "family", "weight")[first]
    stop = rows["stop"][np.append(first[1:], len(rows))[: len(first)] - 1].fill_null("")
    named = len(groups) > 0 and (groups["family"] != "").all()
    unit = "family" if named else "item"
    home = groups[unit].rank("dense").cast(pl.Int64).to_numpy() - 1
    length = np.add.reduceat(there.astype(np.int64), first) if len(first) else np.zeros(0, dtype=np.int64)
    rollout = np.repeat(np.arange(len(groups)), length)
    whole = bool(there.all())
    return Arm(
        steps=rows if whole else rows.filter(pl.Series(there)),
        on_error=on_error,
        cluster=home[rollout],
        clusters=int(home.max()) + 1 if home.size else 0,
        labels=groups[unit].unique().sort(),
        items=groups["item"].n_unique(),
        rollout=rollout,
        home=home,
        keys=groups.select("item", "rollout"),
        weight=groups["weight"].to_numpy().astype(float),
        stop=stop.to_numpy().astype(str),
        length=length,
        own=own if whole else own[there],
        error=error if whole else error[there],
        abstained=abstained if whole else abstained[there],
    )


def aligned(ours: Arm, theirs: Arm, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Two influences by cluster on the union of both arms' clusters, 0 where an arm lacks one."""
    union = pl.concat([ours.labels, theirs.labels]).unique().sort()
    columns = []
    for arm, influence in ((ours, first), (theirs, second)):
        spread = np.zeros((len(union), *influence.shape[1:]))
        spread[union.search_sorted(arm.labels).to_numpy()] = influence
        columns.append(spread)
    return columns[0], columns[1]


def cut_short(arm: Arm) -> Bools:
    """(rollouts,) ended by a limit or a fault: censored, possibly informative."""
    return np.isin(arm.stop, (Stop.CUT.value, Stop.FAULT.value))


def both(*reasons: str) -> str:
    """The reasons that are not empty, as one."""
    return "; ".join(filter(None, reasons))


class Units(Protocol):
    """What a reading counts: an `Arm`, or the `Outcomes` of one."""

    @property
    def items(self) -> int:
        """How many items."""
        ...

    @property
    def clusters(self) -> int:
        """How many resampling units: families where families are given, else items."""
        ...


@dataclass(frozen=True, slots=True)
class Measure:
    """What a reading is called, in which unit, and how it was got."""

    quantity: str
    unit: str
    method: str

    def reading(
        self, arm: Units, value: float, interval: tuple[float, float], reason: str = "", curve: Curve | None = None
    ) -> Reading:
        """The reading; an interval that is not there is explained, by few items if by nothing else."""
        low, high = (float(end) for end in interval)
        if np.isnan(low):
            unit = ("item", "items") if arm.items < 2 else ("family", "families")
            alone = f"one {unit[0]} says nothing of how {unit[1]} differ"
            few = alone if arm.clusters < 2 else "nothing varies between items"
            reason = both(reason, f"no interval: {few}")
        return Reading(
            self.quantity, self.unit, float(value), low, high, LEVEL, arm.items, self.method, "", reason, curve
        )

    def missing(self, arm: Units, reason: str) -> Reading:
        """Not estimable, and why."""
        return Reading(self.quantity, self.unit, nan, nan, nan, LEVEL, arm.items, self.method, "", reason)


def curve(x_name: str, x: Floats, value: Floats, interval: tuple[Floats, Floats], n: Ints) -> Curve:
    """A curve from arrays."""
    columns = [tuple(float(v) for v in column) for column in (x, value, *interval)]
    return Curve(x_name, columns[0], columns[1], columns[2], columns[3], tuple(int(v) for v in n))
