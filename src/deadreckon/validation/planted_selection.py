"""Planted selection: constant hazards, unequal items. The pooled hazard falls, and that is all that unequal items make.

The pooled slope b solves, over pairs of rollouts of two different items, whose expectations multiply,

    sum_{t<t'} (x' - x) [Y(t) D(t') / g(t') - D(t) Y(t') / g(t)] = 0,   x = log(t - 1/2),  g = t^(1+b) - (t-1)^(1+b)

with Y(t) = P(at risk in step t) and D(t) = P(first error in step t): written as a double sum, apart from `decline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from scipy import optimize

from deadreckon.contracts import Reading
from deadreckon.instruments.decline import decline_between_items, decline_pooled
from deadreckon.validation.case import Case
from deadreckon.validation.lifetimes import Lives


def pooled_slope(plan: Lives) -> float:
    """The root of the expected sum, for a law without cuts."""
    alive = plan.alive()
    y, d = alive[:-1], -np.diff(alive)
    t = np.arange(1.0, len(y) + 1)
    later = np.maximum(np.log(t - 0.5)[None, :] - np.log(t - 0.5)[:, None], 0.0)  # x' - x where t < t'

    def total(b: float) -> float:
        g = t ** (1 + b) - (t - 1) ** (1 + b)
        return float((later * (y[:, None] * (d / g)[None, :] - (d / g)[:, None] * y[None, :])).sum())

    return float(optimize.brentq(total, -0.95, 3.0))


def sample(plan: Lives, names: tuple[str, ...], rng: np.random.Generator) -> Mapping[str, Reading]:
    """One replicate."""
    arm = plan.draw(rng)
    readings = {"decline_pooled": decline_pooled, "decline_between_items": decline_between_items}
    return {name: readings[name](arm) for name in names}


def _case(plan: Lives) -> Case:
    """The part between items only where all but a few draws show that items differ: it is given there alone."""
    slope = pooled_slope(plan)
    truth = {"decline_pooled": slope}
    if plan.frailty != "none" and plan.items * plan.theta >= 100:
        truth["decline_between_items"] = slope
    return Case("selection", plan.name(), plan.items, partial(sample, plan, tuple(truth)), truth)


CASES: list[Case] = [
    _case(Lives(50, 5)),
    _case(Lives(50, 5, h=0.1, frailty="gamma", theta=2.0)),
    _case(Lives(100, 5, h=0.1, frailty="gamma", theta=1.0)),
    _case(Lives(300, 5, frailty="beta", theta=1.0)),
    _case(Lives(300, 3, shape=0.7, h=0.1)),
    _case(Lives(1000, 3, h=0.05, frailty="gamma", theta=0.5)),
]
