"""Readings of judged steps in logs: the error process, as far as verdicts, repeats and ends are recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from deadreckon.contracts import Event, OnError, Reading, Stop
from deadreckon.errors import NotEstimable
from deadreckon.instruments import INSTRUMENTS, OUTCOME_INSTRUMENTS, Arm, half_life, outcomes_of, read
from deadreckon.logs.tables import Logged, group_of

ERROR_PROCESS = (
    "survival", "horizon_50", "horizon_80", "hazard", "hazard_piecewise", "step_error", "free_running_error",
    "weibull_shape", "weibull_scale", "exponential_scale", "loglogistic_shape", "shape_best", "constancy_weibull",
    "constancy_by_step", "constancy", "frailty_gamma", "frailty_gamma_test", "unequal_items", "decline_pooled",
    "decline_within_items", "decline_between_items", "hazard_decline",
)  # fmt: skip
BOUNDS = ("survival_if_cut_failed", "survival_if_cut_survived")
AFTER_ERRORS = (
    "error_rate", "recovery_rate", "occupancy", "occupancy_law", "recovery_since_error", "time_to_recovery_50",
    "recovery_never", "recovery_never_test", "state_dependence", "state_dependence_within_items", "error_fano",
    "error_autocorrelation", "error_autocorrelation_within_items", "key_step_share", "key_step_top",
)  # fmt: skip
CLAIMS = ("brier", "ece_debiased", "overconfidence", "auroc", "aurc")
ENDS = ("incidence_error", "incidence_done", "incidence_cut", "incidence_fault")
REPEATS = ("pass_hat_k", "pass_at_k", "pass_hat_k_gap")
JUDGED_RIGHT = "back on track = the next step judged right: the log does not say which state the run is in"
MOST_FRAILTY = 20_000  # runs up to which the frailty likelihoods are taken


@dataclass(frozen=True, slots=True)
class StepGroup:
    """The judged steps of one group."""

    name: str  # "" = all runs are one group
    arm: Arm
    states_known: bool  # the log says which state a run is in; otherwise a right step counts as back on track

    @property
    def goes_on(self) -> bool:
        """Steps exist after a first error."""
        return self.arm.on_error is OnError.ACCEPT


def step_groups(logged: Logged, by: str) -> list[StepGroup]:
    """The groups that hold judged steps, by name; by: the column of runs that tells them apart, "" = none."""
    if logged.steps.is_empty():
        return []
    runs = logged.runs.select(
        "run", "family", "weight", "stop", group=group_of(by),
        item=_codes(logged.runs["item"]),
    ).with_columns(rollout=pl.int_range(pl.len(), dtype=pl.Int32).over("group", "item"))  # fmt: skip
    found = []
    for (name,), mine in sorted(runs.group_by("group", maintain_order=True), key=lambda pair: str(pair[0][0])):
        table = logged.steps.join(mine.drop("group"), on="run", how="inner", maintain_order="left")
        if table.height:
            found.append(_group(str(name), table))
    return found


def _codes(items: pl.Series) -> pl.Series:
    """Items as numbers, the same in every group: their own names where these are numbers, else their rank."""
    numbers = items.cast(pl.Int64, strict=False)
    plain = numbers.null_count() == 0 and (numbers.cast(pl.String) == items).all()
    return numbers if plain else items.rank("dense").cast(pl.Int64) - 1


def _group(name: str, table: pl.DataFrame) -> StepGroup:
    """table: sorted by (run, t). What is empty throughout is dropped: a table of logs is long."""
    last = (pl.col("run") != pl.col("run").shift(-1)).fill_null(value=True)
    right = pl.col("event").is_in([Event.RIGHT.value, Event.MEND.value])
    run = table.group_by("run").agg(end=pl.col("t").max(), first=pl.col("t").filter(~right).min())
    after = bool((run["end"] > run["first"]).any())
    states_known = bool(table.select((right != pl.col("true_state")).any()).item())
    idle = [name for name, value in (("family", ""), ("weight", 1.0)) if (table[name] == value).all()]
    ends = pl.when(last).then(pl.col("stop")) if table["stop"].null_count() < table.height else pl.lit(None, pl.String)
    rule = OnError.ACCEPT if after else OnError.STOP
    return StepGroup(name, read(table.with_columns(stop=ends).drop("run", *idle), rule.value), states_known)


def step_readings(group: StepGroup, *, own_end: bool) -> list[Reading]:
    """Every reading of the error process that the group allows; own_end: no scores of runs, so that pass^k rests on
    runs that ended `done` without an error.
    """
    arm, steps = group.arm, group.arm.steps
    names = list(ERROR_PROCESS)
    if arm.steps.height and len(arm.stop) > MOST_FRAILTY:
        names = [name for name in names if not name.startswith("frailty")]
    if np.isin(arm.stop, (Stop.CUT.value, Stop.FAULT.value)).any():
        names += BOUNDS
    names += AFTER_ERRORS if group.goes_on else ("recovery_rate",)
    if _holds(steps, "confidence"):
        names += CLAIMS
    if (arm.stop != "").all():
        names += ENDS
    if _holds(steps, "tokens") and steps["tokens"].sum() > 0:
        names.append("cost_per_right_step")
    found = [_caveat(INSTRUMENTS[name](arm), group) for name in names]
    tests = [reading for reading in found if reading.quantity in ("constancy_weibull", "constancy_by_step")]
    found.append(half_life(arm, tests))
    if own_end and (arm.stop != "").all():
        found += _repeats(arm)
    return [replace(reading, by=group.name) for reading in found]


def _holds(steps: pl.DataFrame, column: str) -> bool:
    return column in steps.columns and steps[column].null_count() < steps.height


def _caveat(reading: Reading, group: StepGroup) -> Reading:
    if reading.quantity not in ("recovery_rate", "occupancy", "occupancy_law") or group.states_known:
        return reading
    if reading.value != reading.value:
        return reading
    return replace(reading, reason="; ".join(filter(None, (reading.reason, JUDGED_RIGHT))))


def _repeats(arm: Arm) -> list[Reading]:
    try:
        outcomes = outcomes_of(arm)
    except NotEstimable:
        return []
    return [OUTCOME_INSTRUMENTS[name](outcomes) for name in REPEATS]
