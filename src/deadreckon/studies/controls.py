"""The controls of the study of compounding errors: planted truths that the instruments must see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from deadreckon.contracts import ERRORS, Reading
from deadreckon.instruments import excess_accumulated_error, measure, read, self_conditioning
from deadreckon.studies.study import ArmResult, Check
from deadreckon.studies.subjects import (
    ABSORBING,
    CONDITIONED,
    ERGODIC,
    NEUTRAL,
    ORACLES,
    RECOVER,
    RELAPSE,
    SLIP,
    STUCK,
    Subject,
)
from deadreckon.worlds.markov_law import track
from deadreckon.worlds.markov_table import BACK

Tables = Mapping[str, pl.DataFrame]

SHOWN = ("survival", "hazard", "horizon_50", "occupancy", "error_rate", "recovery_rate", "occupancy_law")


def table_of(tables: Tables, subject: Subject, kind: str) -> pl.DataFrame:
    """One kind of run of a subject, its training seeds pooled: each has items of its own, numbered from s * 10^6."""
    parts = [tables[f"{subject.name}/{seed}/{kind}"] for seed in range(len(subject.models))]
    return pl.concat([part.with_columns(pl.col("item") + seed * 1_000_000) for seed, part in enumerate(parts)])


def named(readings: list[Reading]) -> dict[str, Reading]:
    """Readings by quantity."""
    return {reading.quantity: reading for reading in readings}


def _shown(tables: Tables, subject: Subject) -> dict[str, Reading]:
    return named(measure(table_of(tables, subject, "free"), on_error=subject.on_error.value, names=SHOWN))


def arms(tables: Tables) -> tuple[ArmResult, ...]:
    """The controls as arms of the report."""
    found = []
    for subject in (*ORACLES, NEUTRAL, CONDITIONED, STUCK, ERGODIC, ABSORBING):
        readings = _shown(tables, subject)
        shown = tuple(replace(readings[name], curve=None) for name in SHOWN)  # figures, no pictures
        place = (subject.world, subject.level, subject.models[0], subject.scaffold)
        found.append(ArmResult(subject.name, "control", *place, shown))
    return tuple(found)


def checks(tables: Tables) -> tuple[Check, ...]:
    """Every control's verdict."""
    return (
        *(_no_errors(tables, subject) for subject in ORACLES),
        _rates(tables, NEUTRAL, SLIP, RECOVER),
        _rates(tables, ERGODIC, SLIP, BACK),
        _absorbed(tables),
        _conditioning(tables, NEUTRAL, planted=False),
        _conditioning(tables, CONDITIONED, planted=True),
        _drift(tables),
    )


def _no_errors(tables: Tables, subject: Subject) -> Check:
    table = table_of(tables, subject, "free")
    errors = table["event"].is_in(ERRORS).sum()
    return Check(f"The {subject.name} never errs", errors == 0, f"{errors} errors in {table.height} steps")


def inside(reading: Reading, truth: float) -> bool:
    """Whether the interval holds the truth."""
    return reading.low <= truth <= reading.high


def _rates(tables: Tables, subject: Subject, h: float, g: float) -> Check:
    """The two-state chain's figures; one of the seven 95% intervals may miss."""
    readings = _shown(tables, subject)
    n = subject.horizon
    truths = {
        "hazard": h,
        "error_rate": h,
        "recovery_rate": g,
        "occupancy_law": g / (g + h),
        "survival": (1 - h) ** n,
        "occupancy": float(track(h, g, n)[-1]),
        "horizon_50": float(np.ceil(np.log(0.5) / np.log1p(-h))),
    }
    hits = [name for name, truth in truths.items() if inside(readings[name], truth)]
    said = "; ".join(f"{name} {readings[name].value:.3g} (planted {truth:.3g})" for name, truth in truths.items())
    passed = len(hits) >= len(truths) - 1
    because = f"{len(hits)} of {len(truths)} intervals hold the planted value: {said}"
    return Check(f"Rates planted in {subject.world} are recovered", passed, because)


def _absorbed(tables: Tables) -> Check:
    """Without a way back, being right is never having erred: occupancy is survival."""
    readings = _shown(tables, ABSORBING)
    survival, error = readings["survival"], readings["error_rate"]
    truth = (1 - SLIP) ** ABSORBING.horizon
    on, back = readings["occupancy"].value, readings["recovery_rate"].value
    same = abs(on - survival.value) < 1e-9 and not back > 0
    passed = inside(survival, truth) and inside(error, SLIP) and same
    because = f"S({ABSORBING.horizon}) {survival.value:.3f} (planted {truth:.3f}) without an error, {on:.3f} on track"
    return Check("An absorbing chain shows no recovery", passed, because)


def _conditioning(tables: Tables, subject: Subject, *, planted: bool) -> Check:
    injected, healed = (read(table_of(tables, subject, kind), "accept") for kind in ("injected", "healed"))
    reading = self_conditioning(injected, healed)
    passed = reading.low > 0 if planted else reading.low <= 0 <= reading.high
    seen = f"Errors that breed errors ({RELAPSE} after one, {SLIP} else) are seen"
    what = seen if planted else "None are seen where none are planted"
    because = f"difference {reading.value:.4f} [{reading.low:.4f}, {reading.high:.4f}] errors per step"
    return Check(f"{what} ({subject.name})", passed, because)


def _drift(tables: Tables) -> Check:
    """Excess accumulated error against its closed form, where an error is never mended."""
    free, forced = read(table_of(tables, STUCK, "free"), "accept"), read(table_of(tables, STUCK, "forced"), "repair")
    reading = excess_accumulated_error(free, forced)
    on, off = -np.log1p(-SLIP), -np.log1p(-RELAPSE)
    right = (1 - SLIP) ** np.arange(STUCK.horizon)
    truth = 100 * float((on * right + off * (1 - right)).sum() / (on * STUCK.horizon) - 1)
    because = f"{reading.value:.1f}% [{reading.low:.1f}, {reading.high:.1f}], closed form {truth:.1f}%"
    return Check("Drift that feeds on errors that stay is measured", inside(reading, truth), because)
