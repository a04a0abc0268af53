"""Rollouts of a step table, made ready for replay: the right actions are computed again from the states."""

from __future__ import annotations

import polars as pl

from deadreckon.contracts import ERRORS, Stop, nan
from deadreckon.studies.study import Replay, ReplayStep
from deadreckon.worlds import load_world

MOST_STEPS = 60
ENDED_BEFORE = (Stop.CUT.value, Stop.FAULT.value)  # on a row without an event: the step never was


def replays(table: pl.DataFrame, world: str, *, count: int = 3) -> tuple[Replay, ...]:
    """`count` rollouts of one run's table: those with an error first, by how late it comes, spread evenly."""
    own_error = pl.col("event").is_in(ERRORS) & (pl.col("forced") == "")
    ends = (
        table.group_by("item", "rollout", maintain_order=True)
        .agg(pl.col("t").filter(own_error).min().alias("first"), pl.len().alias("steps"))
        .sort("first", "item", "rollout", nulls_last=True)
    )
    with_error = ends.filter(pl.col("first").is_not_null())
    chosen = with_error if with_error.height >= count else ends
    picks = [chosen.row(min(chosen.height - 1, (2 * i + 1) * chosen.height // (2 * count))) for i in range(count)]
    return tuple(_replay(table, world, item, rollout) for item, rollout, _, _ in dict.fromkeys(picks))


def _replay(table: pl.DataFrame, spec: str, item: int, rollout: int) -> Replay:
    rows = table.filter((pl.col("item") == item) & (pl.col("rollout") == rollout)).sort("t")
    first = rows.row(0, named=True)
    world = load_world(spec)
    steps = []
    for row in rows.head(MOST_STEPS).iter_rows(named=True):
        if row["event"] is None and row["stop"] in ENDED_BEFORE:
            continue
        state = world.restore(row["state"])
        judged = row["event"] is not None
        steps.append(
            ReplayStep(
                t=row["t"],
                state=row["state"],
                says=world.says(state),
                action=row["action"],
                event=row["event"] or "",
                true_state=row["true_state"],
                forced=row["forced"],
                logp=nan if row["logp"] is None else row["logp"],
                right=tuple(world.write(action) for action in world.policy(state)) if judged else (),
                thought=row["thought"],
            )
        )
    title = f"{first['model']}, item {item}, rollout {rollout}"
    stop = rows["stop"][-1] or ""
    if rows.height > MOST_STEPS:
        title, stop = f"{title}: the first {MOST_STEPS} of {rows.height} steps", ""
    return Replay(spec, first["level"], first["model"], title, tuple(steps), stop)
