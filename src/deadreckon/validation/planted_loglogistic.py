"""Planted log-logistic lifetimes: the law's parameters and horizons, the bootstrapped horizon, and its prediction.

    S(n) = 1 / (1 + (n / scale)^shape),   T = ceil(scale (1 / u - 1)^(1 / shape)), u uniform

An item's rollouts share a part `alike` of their luck by a Gaussian copula, which leaves S as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import special

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.band import horizon_bootstrap
from deadreckon.instruments.fitted import loglogistic_scale, loglogistic_shape
from deadreckon.instruments.law_horizon import fitted_horizon
from deadreckon.instruments.predict import log_logistic, prediction_error
from deadreckon.validation.case import Case
from deadreckon.validation.lifetimes import arm_of

HORIZON = 24


@dataclass(frozen=True, slots=True)
class Plan:
    """A log-logistic law, and how much of it is drawn."""

    items: int
    rollouts: int
    scale: float
    shape: float
    alike: float = 0.0
    cut: float = 0.0  # share of rollouts that end at a uniform time below the horizon

    def cell(self) -> str:
        """In words."""
        return (
            f"items={self.items} rollouts={self.rollouts} scale={self.scale:g} shape={self.shape:g} "
            f"alike={self.alike:g} cut={self.cut:g}"
        )

    def draw(self, rng: np.random.Generator) -> Arm:
        """One arm."""
        own, shared = rng.standard_normal((self.items, self.rollouts)), rng.standard_normal((self.items, 1))
        u = special.ndtr(self.alike**0.5 * shared + (1 - self.alike) ** 0.5 * own).ravel()
        time = np.maximum(np.ceil(self.scale * np.expm1(-np.log(u)) ** (1 / self.shape)), 1)
        limit = np.full(len(u), HORIZON)
        early = rng.random(len(u)) < self.cut
        limit[early] = rng.integers(1, HORIZON, int(early.sum()))
        return arm_of(np.minimum(time, limit).astype(np.int64), time <= limit, self.rollouts)

    def reaches(self, q: float) -> float:
        """min{n: S(n) <= q}; inf beyond the horizon."""
        n = float(np.ceil(self.scale * (1 / q - 1) ** (1 / self.shape) - 1e-9))
        return n if n <= HORIZON else float("inf")


def sample(plan: Plan, rng: np.random.Generator) -> Mapping[str, Reading]:
    """One replicate."""
    arm = plan.draw(rng)
    readings = (
        loglogistic_shape(arm),
        loglogistic_scale(arm),
        fitted_horizon(arm, "loglogistic", 0.5),
        fitted_horizon(arm, "loglogistic", 0.8),
        horizon_bootstrap(arm, 0.8),
        prediction_error(arm, log_logistic, "log_logistic", HORIZON // 2),
    )
    return {reading.quantity: reading for reading in readings}


def truth(plan: Plan) -> dict[str, float]:
    """By quantity; a prediction under its own law has no error."""
    return {
        "loglogistic_shape": plan.shape,
        "loglogistic_scale": plan.scale,
        "horizon_loglogistic_50": plan.reaches(0.5),
        "horizon_loglogistic_80": plan.reaches(0.8),
        "horizon_80_bootstrap": plan.reaches(0.8),
        "prediction_error_log_logistic": 0.0,
    }


DISCRETE = frozenset({"horizon_loglogistic_50", "horizon_loglogistic_80", "horizon_80_bootstrap"})  # whole steps


def _case(plan: Plan) -> Case:
    return Case("log-logistic in steps", plan.cell(), plan.items, partial(sample, plan), truth(plan), discrete=DISCRETE)


CASES: list[Case] = [
    _case(Plan(50, 4, 8.0, 1.5, 0.3)),
    _case(Plan(50, 2, 6.0, 0.8)),
    _case(Plan(100, 2, 10.0, 2.0, 0.3, 0.3)),
    _case(Plan(200, 1, 8.0, 1.0, 0.0, 0.5)),
    _case(Plan(400, 2, 12.0, 1.5, 0.3)),
    _case(Plan(2000, 1, 10.0, 0.8)),
]
