"""Planted truths for repeats: pass^k and pass@k of items with unequal chances, votes on states with unequal errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
import polars as pl
from scipy import special

from deadreckon.contracts import Reading
from deadreckon.instruments import voting
from deadreckon.instruments.arm import read
from deadreckon.instruments.passes import pass_at_k, pass_hat_k, pass_hat_k_gap
from deadreckon.instruments.success import success_by_length, success_rate
from deadreckon.instruments.vote_walk import step_right, votes_per_step
from deadreckon.validation.case import Case
from deadreckon.validation.planted_outcomes import Plan, outcome_table, shared

NODES = 200

# --- Repeats ----------------------------------------------------------------------------------------------


def sample_passes(plan: Plan, law: tuple[float, float], k: int, rng: np.random.Generator) -> Mapping[str, Reading]:
    """Items whose chance of success follows a Beta law, whatever their length; a family's share half of their luck."""
    luck = special.ndtr(shared(Plan(plan.items, 1, plan.family, float(plan.family > 1)), rng)[:, 0])
    p = special.betaincinv(law[0], law[1], luck)
    outcomes = outcome_table(
        plan, np.where(np.arange(plan.items) % 2, 2.0, 1.0), rng.random((plan.items, plan.runs)) < p[:, None]
    )
    return {
        "pass_hat_k": pass_hat_k(outcomes, k),
        "pass_at_k": pass_at_k(outcomes, k),
        "pass_hat_k_gap": pass_hat_k_gap(outcomes, k),
        "success_rate": success_rate(outcomes),
        "success_by_length": success_by_length(outcomes),
    }


def passes_truth(law: tuple[float, float], k: int) -> dict[str, float]:
    """E[p^k] = B(a+k, b) / B(a, b) of the Beta law, and likewise for failures; E[p] of items of either length."""
    a, b = law
    every = float(np.exp(special.betaln(a + k, b) - special.betaln(a, b)))
    none = float(np.exp(special.betaln(a, b + k) - special.betaln(a, b)))
    once = a / (a + b)
    passes = {"pass_hat_k": every, "pass_at_k": 1 - none, "pass_hat_k_gap": every - once**k}
    return passes | {"success_rate": once, "success_by_length": once}


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


# --- The grid ---------------------------------------------------------------------------------------------

PASSES = frozenset({"pass_hat_k", "pass_at_k", "pass_hat_k_gap", "success_rate", "success_by_length"})
VOTES = frozenset({"vote_right", "vote_run", "vote_cost", "vote_never"})


def _passes() -> Iterator[Case]:
    for plan in (Plan(20, 4), Plan(50, 8), Plan(200, 4, 4), Plan(2000, 3)):
        for law, k in (((2.0, 1.0), 2), ((40.0, 20.0), 3), ((0.5, 0.5), 3), ((9.0, 0.3), 2)):
            cell = f"{plan.cell()} Beta{law} k={k}"
            sample = partial(sample_passes, plan, law, k)
            yield Case("passes", cell, plan.units, sample, passes_truth(law, k), frozenset(), PASSES)


def _votes() -> Iterator[Case]:
    for plan in (Plan(20, 10, 1, 0.2), Plan(50, 20, 1, 0.2), Plan(200, 10)):
        for law, k in (((1.0, 9.0), 2), ((0.5, 9.5), 3)):
            cell = f"{plan.cell()} Beta{law} k={k}"
            sample = partial(sample_votes, plan, law, k)
            yield Case("votes", cell, plan.units, sample, votes_truth(law, k), frozenset(), VOTES)


CASES: list[Case] = [*_passes(), *_votes()]
