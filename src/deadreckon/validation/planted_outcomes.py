"""Planted truths for outcome tables: time horizons, their trend, laws in length and in steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.instruments.arm import read
from deadreckon.instruments.half_life import (
    half_life,
    outcome_constancy_by_length,
    outcome_constancy_weibull,
    outcome_half_life,
)
from deadreckon.instruments.horizon_trend import horizon_doubling, horizon_trend
from deadreckon.instruments.law_horizon import fitted_horizon, fitted_time_horizon, outcome_shape
from deadreckon.instruments.laws import Law
from deadreckon.instruments.outcomes import Outcomes, read_outcomes
from deadreckon.instruments.time_horizon import fit_logistic, time_horizon
from deadreckon.validation import planted
from deadreckon.validation.case import Case

Floats = NDArray[np.float64]

LONGEST = 10.0  # log2 of the longest length planted; the shortest is 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How many items, runs of each, items in a family, and how alike the runs of an item (a family) are."""

    items: int
    runs: int
    family: int = 1  # items in each; 1 = no families
    alike: float = 0.0  # correlation of the runs of an item, on the scale of the law

    def cell(self) -> str:
        """As a case prints it."""
        return f"items={self.items} runs={self.runs} family={self.family} alike={self.alike:g}"

    @property
    def units(self) -> int:
        """Families, or items."""
        return self.items // self.family


def shared(plan: Plan, rng: np.random.Generator) -> Floats:
    """(items, runs) standard normal; runs of an item correlate by `alike`, half of it shared by the item's family."""
    family = np.repeat(rng.standard_normal(plan.units), plan.family)[: plan.items]
    item = rng.standard_normal(plan.items)
    part = plan.alike / 2 if plan.family > 1 else 0.0
    own = rng.standard_normal((plan.items, plan.runs))
    z: Floats = (part**0.5 * family + (plan.alike - part) ** 0.5 * item)[:, None] + (1 - plan.alike) ** 0.5 * own
    return z


def outcome_table(plan: Plan, length: Floats, success: NDArray[np.bool_]) -> Outcomes:
    """(items,) lengths and (items, runs) successes as an outcome table, read."""
    item = np.repeat(np.arange(plan.items), plan.runs)
    columns = {"item": item, "length": np.repeat(length, plan.runs), "success": success.ravel()}
    frame = pl.DataFrame(columns)
    if plan.family > 1:
        frame = frame.with_columns(family=pl.format("f{}", pl.col("item") // plan.family))
    return read_outcomes(frame, "minutes")


def lengths(plan: Plan, rng: np.random.Generator) -> Floats:
    """(items,) log-uniform."""
    drawn: Floats = np.exp2(rng.uniform(0, LONGEST, plan.items))
    return drawn


# --- Laws in length ---------------------------------------------------------------------------------------


def survives(law: Law, t: Floats, scale: float, shape: float) -> Floats:
    """S(t) of a law with S(scale) = 1/2."""
    z = shape * np.log(t / scale)
    alive: Floats = special.expit(-z) if law == "loglogistic" else np.exp2(-np.exp(z))
    return alive


def by_law(plan: Plan, law: Law, at: tuple[float, float], rng: np.random.Generator) -> Outcomes:
    """One outcome a run: success where the run's life, of a law with (half-length, shape), is longer than the item."""
    length = lengths(plan, rng)
    u = special.ndtr(shared(plan, rng))
    return outcome_table(plan, length, u < survives(law, length, *at)[:, None])


def sample_horizon(plan: Plan, at: tuple[float, float], rng: np.random.Generator) -> Mapping[str, Reading]:
    """The published fit, where success falls with length by a logistic law; a normal copula makes runs alike."""
    outcomes = by_law(plan, "loglogistic", at, rng)
    return {
        "time_horizon_50": time_horizon(outcomes),
        "time_horizon_50/clustered": time_horizon(outcomes, interval="clustered"),
        "time_horizon_80/clustered": time_horizon(outcomes, 0.8, interval="clustered"),
        "time_horizon_loglogistic_50": fitted_time_horizon(outcomes, "loglogistic"),
    }


def limit(at: tuple[float, float], q: float) -> float:
    """The length that the published, penalised fit tends to with ever more items of these lengths."""
    x = (np.arange(4000) + 0.5) / 4000 * LONGEST
    w = np.full((1, len(x)), 1 / len(x))
    a, b = fit_logistic(x, w, w * survives("loglogistic", np.exp2(x), *at))
    return float(np.exp2((special.logit(q) - a[0]) / b[0]))


def horizon_truth(at: tuple[float, float]) -> dict[str, float]:
    """Limits of the published fit; the law's own half-length for the fit without a penalty."""
    half, four_fifths = (limit(at, q) for q in (0.5, 0.8))
    return {
        "time_horizon_50": half,
        "time_horizon_50/clustered": half,
        "time_horizon_80/clustered": four_fifths,
        "time_horizon_loglogistic_50": at[0],
    }


def sample_law(plan: Plan, law: Law, at: tuple[float, float], rng: np.random.Generator) -> Mapping[str, Reading]:
    """Laws fitted to one outcome a run, and the tests of a constant hazard."""
    outcomes = by_law(plan, law, at, rng)
    readings = {
        f"time_horizon_{law}_50": fitted_time_horizon(outcomes, law),
        f"time_horizon_{law}_80": fitted_time_horizon(outcomes, law, 0.8),
    }
    if law == "exponential":
        readings["outcome_half_life"] = outcome_half_life(outcomes)
        readings["outcome_constancy_weibull"] = outcome_constancy_weibull(outcomes)
        readings["outcome_constancy_by_length"] = outcome_constancy_by_length(outcomes)
        return readings
    return readings | {f"outcome_shape_{law}": outcome_shape(outcomes, law)}


def law_truth(law: Law, at: tuple[float, float]) -> dict[str, float]:
    """Truths of `sample_law`: S = 1/2 at the scale, S = 0.8 where z solves it."""
    scale, shape = at
    if law == "exponential":
        return {
            "time_horizon_exponential_50": scale,
            "time_horizon_exponential_80": scale * np.log2(1 / 0.8),
            "outcome_half_life": scale,
        }
    z = np.log(0.25) if law == "loglogistic" else np.log(np.log2(1 / 0.8))
    return {
        f"time_horizon_{law}_50": scale,
        f"time_horizon_{law}_80": float(scale * np.exp(z / shape)),
        f"outcome_shape_{law}": shape,
    }


def sample_steps(cell: planted.Cell, rng: np.random.Generator) -> Mapping[str, Reading]:
    """A Weibull (at shape 1 an exponential) law fitted to first errors in steps."""
    arm = read(planted.lifetimes(cell, rng), "stop")
    law: Law = "exponential" if cell.shape == 1 else "weibull"
    readings = {f"horizon_{law}_{round(100 * q)}": fitted_horizon(arm, law, q) for q in (0.5, 0.8)}
    return readings if law == "weibull" else readings | {"half_life": half_life(arm, ALLOWED)}


ALLOWED = tuple(Reading(name, "p-value", 1.0, nan, nan, 0.95, 0, "planted") for name in ("by shape", "by step"))


def steps_truth(cell: planted.Cell) -> dict[str, float]:
    """First n with exp(-(n h)^shape) <= q."""
    law = "exponential" if cell.shape == 1 else "weibull"
    at = {q: float(np.ceil(np.log(1 / q) ** (1 / cell.shape) / cell.h - 1e-9)) for q in (0.5, 0.8)}
    truth = {f"horizon_{law}_{round(100 * q)}": n for q, n in at.items()}
    return truth if law == "weibull" else truth | {"half_life": float(np.log(2) / cell.h)}


def sample_trend(plan: Plan, models: int, rng: np.random.Generator) -> Mapping[str, Reading]:
    """Models a quarter of a year apart whose half-length doubles every DOUBLING days, with a scatter of its own."""
    first = date(2022, 1, 1)
    found = []
    for m in range(models):
        half = 4 * 2 ** (QUARTER * m / DOUBLING + SCATTER * rng.standard_normal())
        when = first + timedelta(days=QUARTER * m)
        found.append(replace(by_law(plan, "loglogistic", (half, 1.0), rng), model=f"m{m}", released=when))
    return {"horizon_trend": horizon_trend(found), "horizon_doubling": horizon_doubling(found)}


def trend_truth(models: int) -> dict[str, float]:
    """Slope of the limits of the published fits: the penalty pulls p_50 away from the middle of the lengths.

    So a doubling in 150 days is read as one in 140; without the penalty it would be read as it is.
    """
    days = QUARTER * np.arange(models)
    limits = [np.log2(limit((4 * 2 ** (day / DOUBLING), 1.0), 0.5)) for day in days]
    slope = float(np.polyfit(days, limits, 1)[0])
    return {"horizon_trend": slope, "horizon_doubling": 1 / slope}


QUARTER = 91  # days from one model to the next
DOUBLING, SCATTER = 150.0, 0.1  # days; in doublings, about the line: too little to push a model off the front


# --- The grid ---------------------------------------------------------------------------------------------

PUBLISHED = frozenset({"time_horizon_50"})  # three stages of resampling: conservative by design
TESTS = frozenset({"outcome_constancy_weibull", "outcome_constancy_by_length"})
PLANS = (Plan(20, 8), Plan(50, 8, 1, 0.3), Plan(200, 4, 4, 0.3), Plan(500, 2, 1, 0.1), Plan(2000, 1))


def _horizons() -> Iterator[Case]:
    at = (32.0, 1.0)
    for plan in PLANS:
        yield Case(
            "time horizon", plan.cell(), plan.units, partial(sample_horizon, plan, at), horizon_truth(at), frozenset(),
            PUBLISHED,
        )  # fmt: skip


def _laws() -> Iterator[Case]:
    planted_laws: tuple[tuple[Law, float, float], ...] = (
        ("exponential", 64.0, 1.0),
        ("weibull", 32.0, 0.6),
        ("weibull", 32.0, 1.6),
        ("loglogistic", 32.0, 1.0),
    )
    for plan in PLANS:
        for law, scale, shape in planted_laws:
            yield Case(
                f"{law} in length", f"{plan.cell()} shape={shape:g}", plan.units,
                partial(sample_law, plan, law, (scale, shape)), law_truth(law, (scale, shape)),
                TESTS if law == "exponential" else frozenset(), frozenset({"outcome_constancy_by_length"}),
            )  # fmt: skip


def _steps() -> Iterator[Case]:
    for shape in (0.6, 1.0, 1.8):
        for items, rollouts in ((50, 4), (200, 1)):
            cell = planted.Cell(0.1, 0.0, items, rollouts, 30, shape=shape)
            truth = steps_truth(cell)
            yield Case(
                "law in steps", f"items={items} rollouts={rollouts} shape={shape:g}", items,
                partial(sample_steps, cell), truth, frozenset(), frozenset(truth),
            )  # fmt: skip


def _trends() -> Iterator[Case]:
    for models in (5, 12):
        plan = Plan(100, 4)
        sample = partial(sample_trend, plan, models)
        yield Case("horizon trend", f"models={models} {plan.cell()}", models, sample, trend_truth(models))


CASES: list[Case] = [*_horizons(), *_laws(), *_steps(), *_trends()]
