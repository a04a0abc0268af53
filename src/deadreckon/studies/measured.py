"""What the study of compounding errors reads off one subject's runs, training seeds included in the intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy.stats import norm, t

from deadreckon.contracts import Reading, nan
from deadreckon.instruments import (
    INSTRUMENTS,
    Arm,
    excess_accumulated_error,
    measure,
    read,
    self_conditioning,
    self_conditioning_first,
    self_conditioning_ratio,
    survival_gap_constant,
    survival_gap_mixed,
)
from deadreckon.studies.controls import named, table_of
from deadreckon.studies.subjects import KINDS, Subject

FREE = (
    "survival", "horizon_50", "horizon_80", "hazard", "weibull_shape", "step_error", "incidence_error",
    "incidence_done", "occupancy", "occupancy_law", "error_rate", "recovery_rate", "recovery_rate_earned",
    "recovery_rate_unearned", "kl_free_running", "brier", "ece_debiased", "cost_per_right_step",
)  # fmt: skip
FORCED = (
    "teacher_forced_error", "teacher_forced_error_exact", "survival_constant", "survival_by_step", "survival_mixed",
    "kl_teacher_forced",
)  # fmt: skip

SHARES = ("occupancy", "error_free")  # their intervals, widened, end at 0 and 1

Pair = tuple[Callable[[Arm, Arm], Reading], str, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """A subject's readings by name, and those the rules use: pooled over its training seeds, and of each seed."""

    subject: Subject
    readings: Mapping[str, Reading]
    pooled: Mapping[str, Reading]
    seeds: Mapping[str, Sequence[Reading]]

    def judged(self, name: str, family: int = 1) -> Reading:
        """A reading as the rules use it, one of `family` judged together."""
        found = over_seeds(self.pooled[name], self.seeds[name], family)
        return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0)) if name in SHARES else found


def measure_subject(tables: Mapping[str, pl.DataFrame], subject: Subject) -> Measured:
    """Everything the study reads off one subject's runs."""
    rule = subject.on_error.value
    rules = {"free": rule, "healed": rule, "injected": rule, "forced": "repair"}
    pooled = {kind: table_of(tables, subject, kind) for kind in KINDS}
    alone = named(measure(pooled["free"], on_error=rule, names=FREE))
    taught = named(measure(pooled["forced"], on_error="repair", names=FORCED))
    names = [f"{subject.name}/{seed}" for seed in range(len(subject.models))]
    arms = {
        kind: [read(table, rules[kind]) for table in (pooled[kind], *(tables[f"{name}/{kind}"] for name in names))]
        for kind in KINDS
    }  # of each kind the pooled one first, then one a seed
    paired = _pairs(subject.judged_at)
    found = {
        name: [instrument(a, b) for a, b in zip(arms[one], arms[two], strict=True)]
        for name, (instrument, one, two) in paired.items()
    }
    found["occupancy"] = [INSTRUMENTS["occupancy"](arm) for arm in arms["free"]]
    found["error_free"] = [error_free(arm) for arm in arms["free"]]
    shown = {name: alone[name] for name in FREE} | {name: taught[name] for name in FORCED}
    shown |= {name: over_seeds(found[name][0], found[name][1:]) for name in paired}
    return Measured(subject, shown, {n: r[0] for n, r in found.items()}, {n: r[1:] for n, r in found.items()})


def _pairs(n: int) -> dict[str, Pair]:
    """Instruments that compare two kinds of runs."""
    return {
        "survival_gap_constant": (lambda a, b: survival_gap_constant(a, b, n), "free", "forced"),
        "survival_gap_mixed": (lambda a, b: survival_gap_mixed(a, b, n), "free", "forced"),
        "excess_accumulated_error": (excess_accumulated_error, "free", "forced"),
        "self_conditioning": (self_conditioning, "injected", "healed"),
        "self_conditioning_first": (self_conditioning_first, "injected", "healed"),
        "self_conditioning_ratio": (self_conditioning_ratio, "injected", "healed"),
    }


def error_free(arm: Arm) -> Reading:
    """Share of all rollouts without an error by the horizon: 1 - `incidence_error`.

    Like `occupancy`, and unlike `survival`, it counts a rollout that is done among those that stay as they are.
    """
    of = INSTRUMENTS["incidence_error"](arm)
    return replace(of, quantity="error_free", value=1 - of.value, low=1 - of.high, high=1 - of.low, curve=None)


def over_seeds(pooled: Reading, seeds: Sequence[Reading], family: int = 1) -> Reading:
    """The pooled reading at level 1 - 0.05/family, the spread of training seeds added to its interval.

        half-width = hypot(z'/z * half-width over items, t' * sd / sqrt(k))

    k seeds, sd of their values; z', t' quantiles of the normal and of t(k-1) at 1 - 0.025/family, z at 0.975.
    No interval where a seed's own value is not estimable: their spread is then unknown.
    """
    k, at = len(seeds), 1 - 0.025 / family
    if k < 2 and family == 1:
        return pooled
    values = np.array([reading.value for reading in seeds])
    unknown = int((~np.isfinite(values)).sum())
    if k > 1 and unknown and math.isfinite(pooled.value):
        reason = f"no interval: {unknown} of {k} training seeds not estimable, their spread is unknown"
        return replace(pooled, low=nan, high=nan, level=1 - 0.05 / family, reason=reason)
    spread = float(t.ppf(at, k - 1) * values.std(ddof=1) / math.sqrt(k)) if k > 1 else 0.0
    wider = float(norm.ppf(at) / norm.ppf(0.975))
    low, high = (math.hypot(wider * (end - pooled.value), spread) for end in (pooled.low, pooled.high))
    method = f"{pooled.method}; spread of {k} training seeds added, t({k - 1})" if k > 1 else pooled.method
    return replace(pooled, low=pooled.value - low, high=pooled.value + high, level=1 - 0.05 / family, method=method)
