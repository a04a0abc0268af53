"""Planted truths for outcome tables: time horizons, laws in length, pass^k, and votes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from deadreckon.contracts import Reading
from deadreckon.instruments import voting
from deadreckon.instruments.arm import read
from deadreckon.instruments.half_life import outcome_constancy_by_length, outcome_constancy_weibull, outcome_half_life
from deadreckon.instruments.law_horizon import fitted_horizon, fitted_time_horizon, outcome_shape
from deadreckon.instruments.lifetime_laws import Law
from deadreckon.instruments.outcomes import Outcomes, read_outcomes
from deadreckon.instruments.passes import pass_hat_k, pass_hat_k_gap, pass_at_k
from deadreckon.instruments.time_horizon import fit_logistic, time_horizon
from deadreckon.instruments.vote_walk import step_right, votes_per_step
from deadreckon.validation.case import Case

Floats = NDArray[np.float64]

LONGEST = 10.0  # log2 of the longest length planted; the shortest is 1
NODES = 200


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


def horizon_truth(at: tuple[float, float]) -> dict[str, float]:
    """What the penalised fit tends to with ever more items of these lengths."""
    x = (np.arange(4000) + 0.5) / 4000 * LONGEST
    w = np.full((1, len(x)), 1 / len(x))
    a, b = fit_logistic(x, w, w * survives("loglogistic", np.exp2(x), *at))
    half, four_fifths = (float(np.exp2((special.logit(q) - a[0]) / b[0])) for q in (0.5, 0.8))
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


# --- Repeats ----------------------------------------------------------------------------------------------


def sample_passes(plan: Plan, law: tuple[float, float], k: int, rng: np.random.Generator) -> Mapping[str, Reading]:
    """Items whose chance of success follows a Beta law; items of a family share half of their luck."""
    luck = special.ndtr(shared(Plan(plan.items, 1, plan.family, float(plan.family > 1)), rng)[:, 0])
    p = special.betaincinv(law[0], law[1], luck)
    outcomes = outcome_table(plan, np.ones(plan.items), rng.random((plan.items, plan.runs)) < p[:, None])
    return {
        "pass_hat_k": pass_hat_k(outcomes, k),
        "pass_at_k": pass_at_k(outcomes, k),
        "pass_hat_k_gap": pass_hat_k_gap(outcomes, k),
    }


def passes_truth(law: tuple[float, float], k: int) -> dict[str, float]:
    """E[p^k] = B(a+k, b) / B(a, b) of the Beta law, and likewise for failures."""
    a, b = law
    every = float(np.exp(special.betaln(a + k, b) - special.betaln(a, b)))
    none = float(np.exp(special.betaln(a, b + k) - special.betaln(a, b)))
    return {"pass_hat_k": every, "pass_at_k": 1 - none, "pass_hat_k_gap": every - (a / (a + b)) ** k}


# --- Votes ------------------------------------------------------------------------------------------------

STEPS = 20  # a rollout of `teacher_forced`


def teacher_forced(plan: Plan, law: tuple[float, float], rng: np.random.Generator) -> pl.DataFrame:
    """A step table under repair: the error of each state follows a Beta law; an item's states are alike."""
    z = shared(Plan(plan.items, STEPS, 1, plan.alike), rng)
    error = special.betaincinv(law[0], law[1], special.ndtr(z))
    wrong = rng.random((plan.items, plan.runs, STEPS)) < error[:, None, :]
    item, rollout, t = (axis.ravel() for axis in np.indices(wrong.shape))
    columns = {"item": item, "rollout": rollout, "t": t, "event": np.where(wrong.ravel(), "slip", "right")}
    last = pl.when(pl.col("t") == STEPS - 1).then(pl.lit("horizon")).alias("stop")
    return pl.DataFrame(columns).with_columns(last)


def sample_votes(plan: Plan, law: tuple[float, float], k: int, rng: np.random.Generator) -> Mapping[str, Reading]:
    """What a vote would do, from the repeats of each state."""
    arm = read(teacher_forced(plan, law, rng), "repair")
    return {
        "vote_right": voting.vote_right(arm, k),
        "vote_run": voting.vote_run(arm, k, STEPS),
        "vote_cost": voting.vote_cost(arm, k),
        "vote_never": voting.vote_never(arm),
    }


def votes_truth(law: tuple[float, float], k: int) -> dict[str, float]:
    """Means over the Beta law of a state's error, by Gauss-Jacobi quadrature; P(e >= 1/2) in closed form."""
    x, w = special.roots_jacobi(NODES, law[1] - 1, law[0] - 1)
    p, w = 1 - (x + 1) / 2, w / w.sum()
    right = float(w @ step_right(p, k))
    return {
        "vote_right": right,
        "vote_run": right**STEPS,
        "vote_cost": float(w @ votes_per_step(p, k)),
        "vote_never": float(1 - special.betainc(law[0], law[1], 0.5)),
    }
