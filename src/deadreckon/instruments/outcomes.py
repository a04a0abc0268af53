"""One arm's outcome table as arrays: one row a run, read once and checked, then measured by many instruments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from deadreckon.contracts import Stop, nan
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints
from deadreckon.instruments.stats import Floats
from deadreckon.instruments.survival import FirstErrors, first_errors

NEEDED = ("item", "length", "success")


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """The runs of one model on items of known length, items numbered 0 ... items-1.

    A success between 0 and 1 counts as that much of a success and the rest of a failure: in every likelihood the same
    as two rows, 1 and 0, that share the run's weight.
    """

    unit: str  # of length: "minutes", "steps"
    item: Ints  # (runs,) which item
    success: Floats  # (runs,) 0 ... 1
    length: Floats  # (items,) in `unit`; nan where unknown
    weight: Floats  # (items,) of the item in every reading
    family: Ints  # (items,) resampling unit: the family where every row names one, else the item
    clusters: int  # families, or items
    model: str = ""
    released: date | None = None

    @property
    def items(self) -> int:
        """How many items."""
        return len(self.length)

    @property
    def runs(self) -> Ints:
        """(items,) runs of each item."""
        return np.bincount(self.item, minlength=self.items).astype(np.int64)

    @property
    def wins(self) -> Floats:
        """(items,) successes of each item."""
        return np.bincount(self.item, self.success, self.items).astype(float)

    @property
    def whole(self) -> Bools:
        """(runs,) plainly a success or a failure."""
        return np.isin(self.success, (0.0, 1.0))

    def per_cluster(self, values: Floats) -> Floats:
        """Totals (clusters,) of one value an item (items,)."""
        return np.bincount(self.family, values, self.clusters).astype(float)


def read_outcomes(table: pl.DataFrame, unit: str) -> Outcomes:
    """One model's outcome table, checked. unit: of the column length ("minutes", "steps").

    Columns: item, length (positive, one an item; null where unknown), success (0 ... 1); optional family, weight
    (positive, one an item, default 1), model, released (a date). Raises BadOption where a column is missing or holds
    what it cannot.
    """
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise BadOption(f"outcome table without {', '.join(missing)}: has {', '.join(table.columns)}")
    if not unit:
        raise BadOption('unit="": name the unit of length, such as "minutes" or "steps"')
    rows = _with_defaults(table)
    _check_values(rows)
    groups = rows.group_by("item").agg(pl.col("length", "weight", "family").first()).sort("item")
    for name in ("length", "weight", "family"):
        _check_one(rows, name)
    return Outcomes(
        unit=unit,
        item=groups["item"].search_sorted(rows["item"]).to_numpy().astype(np.int64),
        success=rows["success"].to_numpy().astype(float),
        length=groups["length"].fill_null(nan).to_numpy().astype(float),
        weight=groups["weight"].to_numpy().astype(float),
        family=_families(groups["family"]),
        clusters=groups["family"].n_unique() if _named(groups["family"]) else len(groups),
        model=str(rows["model"][0]) if len(rows) else "",
        released=rows["released"][0] if len(rows) else None,
    )


def read_models(table: pl.DataFrame, unit: str) -> list[Outcomes]:
    """`read_outcomes` of each model in a table with a column model, by name."""
    if "model" not in table.columns:
        raise BadOption(f"outcome table without model: has {', '.join(table.columns)}")
    return [read_outcomes(part, unit) for _, part in sorted(table.group_by("model"), key=lambda pair: str(pair[0][0]))]


def _named(family: pl.Series) -> bool:
    return len(family) > 0 and bool((family != "").all())


def _families(family: pl.Series) -> Ints:
    if not _named(family):
        return np.arange(len(family))
    return family.rank("dense").cast(pl.Int64).to_numpy() - 1


def _with_defaults(table: pl.DataFrame) -> pl.DataFrame:
    fill = {"family": "", "weight": 1.0, "model": "", "released": None}
    extra = [pl.lit(value).alias(name) for name, value in fill.items() if name not in table.columns]
    numbers, words = ("length", "success", "weight"), ("family", "model")
    try:
        rows = table.with_columns(extra).with_columns(pl.col(numbers).cast(pl.Float64), pl.col(words).cast(pl.String))
        if rows["released"].dtype == pl.String:
            rows = rows.with_columns(pl.col("released").str.to_date("%Y-%m-%d"))
        rows = rows.with_columns(pl.col("released").cast(pl.Date), pl.col(words).fill_null(""))
    except pl.exceptions.PolarsError as why:
        raise BadOption(
            f"outcome table: {str(why).splitlines()[0]}: numbers and dates (2025-03-19) are needed"
        ) from why
    return rows


def _check_values(rows: pl.DataFrame) -> None:
    if rows["item"].null_count():
        raise BadOption(f"item is missing in {rows['item'].null_count()} rows: name the item of every run")
    rules = {
        "length": ((pl.col("length") > 0) | pl.col("length").is_null(), "a positive number, or null where unknown"),
        "success": (pl.col("success").is_between(0, 1), "between 0 and 1"),
        "weight": (pl.col("weight") > 0, "a positive number"),
    }
    for name, (fine, rule) in rules.items():
        finite = pl.col(name).is_finite().fill_null(value=name == "length")
        bad = rows.filter(~(fine & finite).fill_null(value=False))
        if len(bad):
            raise BadOption(f"{name} {bad[name][0]} of item {bad['item'][0]!r}: {name} must be {rule}")
    for name in ("model", "released"):
        if rows[name].n_unique() > 1:
            several = ", ".join(str(value) for value in rows[name].unique().sort()[:4])
            raise BadOption(f"one table holds {name} {several}: read_models reads one model at a time")


def _check_one(rows: pl.DataFrame, name: str) -> None:
    several = rows.group_by("item").agg(pl.col(name).unique().sort()).filter(pl.col(name).list.len() > 1).sort("item")
    if len(several):
        values = ", ".join(str(value) for value in several[name][0][:3])
        raise BadOption(f"item {several['item'][0]!r} has {name} {values}: an item has one {name}")


def outcomes_of(arm: Arm, steps: int | None = None, unknown: float = nan) -> Outcomes:
    """A step table's rollouts as outcomes.

    steps = None: success is `done` without an error, failure an error or the goal lost. The length of an item is how
    many steps its successes took; nan where it has none, or where they took different numbers of steps.
    steps = n: success is no error among the first n steps; every length is n.

    A rollout that ended before either was seen (horizon, cut, fault; with steps = n also done or lost) has no
    outcome: censored is not failed. NotEstimable then, unless `unknown` says what to count it as: 0 and 1 give the two
    bounds. NotEstimable too where steps were forced: such a rollout is not the model's own.
    """
    if steps is not None and steps < 1:
        raise BadOption(f"steps={steps}: at least 1")
    if not arm.own.all():
        raise NotEstimable(f"{int((~arm.own).sum())} steps were forced: a rollout's end is not the model's own")
    first = first_errors(arm)
    right, wrong = _ends(first, steps)
    open_ = ~(right | wrong)
    if open_.any() and np.isnan(unknown):
        raise NotEstimable(
            f"{int(open_.sum())} of {len(open_)} rollouts ended before their outcome was seen: "
            "unknown=0 and unknown=1 give the bounds"
        )
    item = arm.keys["item"].rank("dense").cast(pl.Int64).to_numpy() - 1
    head = np.unique(item, return_index=True)[1]
    return Outcomes(
        unit="steps",
        item=item,
        success=np.where(open_, unknown, right).astype(float),
        length=_lengths(item, right, arm.length) if steps is None else np.full(len(head), float(steps)),
        weight=arm.weight[head],
        family=arm.home[head],
        clusters=arm.clusters,
    )


def _ends(first: FirstErrors, steps: int | None) -> tuple[Bools, Bools]:
    """(rollouts,) which succeeded, and which failed; neither = not seen."""
    if steps is None:
        lost = np.isin(first.arm.stop, (Stop.LOST.value, Stop.BROKEN.value))
        return ~first.failed & (first.arm.stop == Stop.DONE.value), first.failed | lost
    return first.length - first.failed >= steps, first.failed & (first.length <= steps)


def _lengths(item: Ints, right: Bools, length: Ints) -> Floats:
    """(items,) the steps of an item's successes, nan where there are none or they differ."""
    items = int(item.max(initial=-1)) + 1
    least, most = np.full(items, np.inf), np.full(items, -np.inf)
    np.minimum.at(least, item[right], length[right])
    np.maximum.at(most, item[right], length[right])
    return np.where(least == most, least, nan)
