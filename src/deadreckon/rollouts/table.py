"""The step table: one row = one step of one rollout. The narrow waist between running and measuring.

`state` is the actual state *before* the action and `event` is judged against it; `true_state` and `goal_open`
are about the state the step leads to. A rollout that ends by `cut` or `fault` has a last row whose `event` is
null: that step never happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from deadreckon.contracts import nan
from deadreckon.schema import COLUMNS, RUN


@dataclass(frozen=True, slots=True)
class Coded:
    """A column as numbers of its few values: values[codes], null where a code is negative."""

    codes: NDArray[np.int64]
    values: Sequence[str | bool]


Column = Sequence[object] | NDArray[np.generic] | Coded

RUN_COLUMNS = {name: column.dtype for name, column in RUN.items()}
SCHEMA = {name: column.dtype for name, column in COLUMNS.items()}

FILL: dict[str, str | float] = {"family": "", "weight": 1.0}


class Step(NamedTuple):
    """One row's own columns, in the order of schema.STEP. nan in a float column is stored as null."""

    t: int
    event: str | None
    true_state: bool | None
    goal_open: bool | None
    fix: bool
    forced: str = ""
    belief: str | None = None
    belief_right: bool | None = None
    confidence: float = nan
    stop: str | None = None
    fault_code: str | None = None
    state: str = ""
    action: str = ""
    taken: str | None = None  # what entered context and state where it was not the model's own action
    thought: str = ""
    parse: str = "strict"
    answer: str | None = None  # as the model wrote it, where it was read leniently
    logp: float = nan
    entropy: float = nan
    thought_logp: float = nan
    kl_pq: float = nan
    kl_qp: float = nan
    illegal_mass: float = nan
    right_mass: float = nan
    tokens: int = 0
    asks: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """What every row of one run shares."""

    run: str
    world: str
    level: int
    model: str
    model_seed: int | None
    scaffold: str


def build(origin: Origin, columns: Mapping[str, Column]) -> pl.DataFrame:
    """A step table from `item`, `rollout` and the step columns; missing step columns are null, family "", weight 1."""
    items = columns["item"]
    assert not isinstance(items, Coded)
    n, series = len(items), []
    for name, dtype in SCHEMA.items():
        if name in RUN_COLUMNS:
            series.append(pl.repeat(getattr(origin, name), n, dtype=dtype(), eager=True).alias(name))
        elif name in columns:
            series.append(_series(name, columns[name], dtype))
        else:
            series.append(pl.repeat(FILL.get(name), n, dtype=dtype(), eager=True).alias(name))
    return pl.DataFrame(series)


def _series(name: str, column: Column, dtype: type[pl.DataType]) -> pl.Series:
    if isinstance(column, Coded):
        null = len(column.values)
        codes = np.where(column.codes < 0, null, column.codes)
        return pl.Series(name, [*column.values, None], dtype=dtype()).gather(codes)
    series = pl.Series(name, column, dtype=dtype(), strict=False)
    return series.fill_nan(None) if dtype is pl.Float64 else series


def from_steps(origin: Origin, rollouts: Sequence[tuple[int, int, Sequence[Step]]]) -> pl.DataFrame:
    """A step table from (item, rollout, steps) triples, rows sorted by (item, rollout, t)."""
    ordered = sorted(rollouts, key=lambda r: r[:2])
    columns: dict[str, Column] = {
        "item": [item for item, _, steps in ordered for _ in steps],
        "rollout": [rollout for _, rollout, steps in ordered for _ in steps],
    }
    flat = [step for _, _, steps in ordered for step in steps]
    columns.update({name: [step[i] for step in flat] for i, name in enumerate(Step._fields)})
    return build(origin, columns)
