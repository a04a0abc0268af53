"""The step table's columns, in one place: type and meaning. Rollouts write them, logs are read into them.

`json_schema` is docs/step-table.schema.json: a program that emits such rows (CSV, JSONL or Parquet) needs no reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from deadreckon.contracts import Event, Forced, Json, Stop


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type in the table, what it means, and the values it may hold where these are few."""

    dtype: type[pl.DataType]
    about: str
    values: tuple[str, ...] = ()


RUN: Mapping[str, Column] = {
    "run": Column(pl.String, "which run: hash of its spec, or the log it was read from"),
    "world": Column(pl.String, "the world's versioned name, or the task of a log"),
    "level": Column(pl.Int32, "level of the world"),
    "model": Column(pl.String, "the model, as the spec that loads it or as the log names it"),
    "model_seed": Column(pl.Int64, "training seed"),
    "scaffold": Column(pl.String, "spec of the scaffold"),
}

PLACE: Mapping[str, Column] = {
    "item": Column(pl.Int64, "which item (start state, task instance): the unit of resampling; a number or a name"),
    "family": Column(pl.String, "the item's family, empty = none"),
    "weight": Column(pl.Float64, "weight of the item in every reading"),
    "rollout": Column(pl.Int32, "which repeat of the item"),
}

STEP: Mapping[str, Column] = {
    "t": Column(pl.Int32, "which step, from 0"),
    "event": Column(
        pl.String,
        "how the step is judged; null where nobody can, and in a last row that never became a step",
        tuple(e.value for e in Event),
    ),
    "true_state": Column(pl.Boolean, "the step led to the state of an error-free history; null where undefined"),
    "goal_open": Column(pl.Boolean, "the goal can still be reached; null where there is none"),
    "fix": Column(pl.Boolean, "what was said before this step gave the true state away"),
    "forced": Column(
        pl.String, "empty = the model's own step, otherwise whose it was", ("", *(f.value for f in Forced))
    ),
    "belief": Column(pl.String, "the state the model wrote down"),
    "belief_right": Column(pl.Boolean, "whether that was the actual one"),
    "confidence": Column(pl.Float64, "what the model said of its own answer, 0 to 1"),
    "stop": Column(pl.String, "why the rollout ended, on its last row only", tuple(s.value for s in Stop)),
    "fault_code": Column(pl.String, "which limit or fault, with cut and fault"),
    "state": Column(pl.String, "the actual state before the action"),
    "action": Column(pl.String, "the action's text"),
    "taken": Column(pl.String, "what entered context and state where that was not the model's action"),
    "thought": Column(pl.String, "what the model wrote before the action"),
    "parse": Column(pl.String, "how the action was read", ("strict", "lenient")),
    "answer": Column(pl.String, "the answer as the model wrote it, where it was read leniently"),
    "logp": Column(pl.Float64, "log-probability of the action as sampled, nats"),
    "entropy": Column(pl.Float64, "entropy of the law it was drawn from, nats"),
    "thought_logp": Column(pl.Float64, "log-probability of the thought, nats"),
    "kl_pq": Column(pl.Float64, "D(truth given this context, model), nats"),
    "kl_qp": Column(pl.Float64, "the reverse, nats"),
    "illegal_mass": Column(pl.Float64, "the model's mass on what is not allowed"),
    "right_mass": Column(pl.Float64, "the model's mass on right actions"),
    "tokens": Column(pl.Int32, "symbols sampled for this step"),
    "asks": Column(pl.Int32, "requests made for this step"),
}

COLUMNS: Mapping[str, Column] = {**RUN, **PLACE, **STEP}
NEEDED = ("item", "rollout", "t", "event")  # of a row that is read back

_JSON: Mapping[type[pl.DataType], str] = {
    pl.String: "string",
    pl.Int32: "integer",
    pl.Int64: "integer",
    pl.Float64: "number",
    pl.Boolean: "boolean",
}


def json_schema() -> dict[str, Json]:
    """JSON Schema (draft 2020-12) of one row of the step table."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "deadreckon step table, one row",
        "description": "One step of one rollout. Rows are told apart by (model, item, rollout, t). Missing is null.",
        "type": "object",
        "properties": {name: _property(name, column) for name, column in COLUMNS.items()},
        "required": list(NEEDED),
        "additionalProperties": True,
    }


def _property(name: str, column: Column) -> dict[str, Json]:
    kinds = ["integer", "string"] if name == "item" else [_JSON[column.dtype]]
    nullable = name not in NEEDED or name == "event"
    found: dict[str, Json] = {"type": kinds + ["null"] * nullable, "description": column.about}
    if column.values:
        found["enum"] = [*column.values, *([None] * nullable)]
    if name in ("rollout", "t"):
        found["minimum"] = 0
    return found
