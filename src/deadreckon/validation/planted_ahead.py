"""Planted votes again: how many votes ahead a run needs, where the errors of states follow a Beta law."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import read
from deadreckon.instruments.voting import vote_ahead
from deadreckon.validation.case import Case
from deadreckon.validation.planted_outcomes import Plan
from deadreckon.validation.planted_repeats import STEPS, teacher_forced, votes_truth

MOST = 12  # votes ahead looked at for the truth


def sample(plan: Plan, law: tuple[float, float], target: float, rng: np.random.Generator) -> Mapping[str, Reading]:
    """One replicate."""
    return {"vote_ahead": vote_ahead(read(teacher_forced(plan, law, rng), "repair"), STEPS, target)}


def truth(law: tuple[float, float], target: float) -> dict[str, float]:
    """The least k with (mean right over states)^steps >= target; inf where no k has."""
    runs = (k for k in range(1, MOST + 1) if votes_truth(law, k)["vote_run"] >= target)
    return {"vote_ahead": float(next(runs, np.inf))}


def _case(plan: Plan, law: tuple[float, float], target: float) -> Case:
    cell = f"{plan.cell()} Beta{law} target={target:g}"
    names = frozenset({"vote_ahead"})
    return Case("votes ahead", cell, plan.units, partial(sample, plan, law, target), truth(law, target), discrete=names)


CASES: list[Case] = [
    _case(plan, law, target)
    for plan in (Plan(20, 12, 1, 0.2), Plan(50, 20, 1, 0.2), Plan(200, 12))
    for law, target in (((2.0, 18.0), 0.7), ((1.0, 30.0), 0.9))
]
