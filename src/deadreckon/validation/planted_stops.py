"""Planted stops: after a right step a rollout may be done, cut or faulted; an error breaks it.

    q = (1 - h) (1 - done - cut - fault);   P(cut by n, nothing before) = (1 - h) cut (1 - q^n) / (1 - q)

A cut or a fault is censoring to every reading but the shares of rollouts as they were run, which are planted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import Arm, read
from deadreckon.instruments.competing import incidence_broken, incidence_cut, incidence_fault, incidence_horizon
from deadreckon.instruments.hazard import free_running_error
from deadreckon.validation.case import Case
from deadreckon.validation.planted import Cell, end_early, table
from deadreckon.validation.planted_core import at_step
from deadreckon.validation.planted_ends import first_true

HORIZON, AT = 12, 8
ENDS = ("done", "cut", "fault")


@dataclass(frozen=True, slots=True)
class Stops:
    """Chances after a right step, and of an error."""

    items: int
    h: float
    chances: tuple[float, float, float]  # done, cut, fault
    rollouts: int = 1
    hard: float = 1.0  # h of the first half of the items over h of the second, their mean h: equal where 1

    def rates(self) -> tuple[float, float]:
        """h of the hard and of the easy items."""
        easy = 2 * self.h / (1 + self.hard)
        return self.hard * easy, easy

    def cell(self) -> str:
        """In words."""
        done, cut, fault = self.chances
        return (
            f"items={self.items} rollouts={self.rollouts} h={self.h:g} done={done:g} cut={cut:g} fault={fault:g} "
            f"hard={self.hard:g}"
        )

    def draw(self, rng: np.random.Generator) -> Arm:
        """One arm under the rule stop."""
        rows = self.items * self.rollouts
        hard = np.repeat(rng.random(self.items) < 0.5, self.rollouts)
        slip = first_true(rng.random((rows, HORIZON)) < np.where(hard, *self.rates())[:, None])
        u = rng.random((rows, HORIZON))
        leave = first_true(u < sum(self.chances))
        length = np.minimum(np.minimum(slip, leave), HORIZON)
        last = u[np.arange(rows), length - 1]
        stop = np.array(ENDS)[np.searchsorted(np.cumsum(self.chances)[:-1], last, side="right")]
        stop = np.where(slip <= np.minimum(leave, HORIZON), "broken", np.where(leave <= HORIZON, stop, "horizon"))
        event = (np.arange(1, HORIZON + 1) == slip[:, None]).astype(np.int8)
        cell = Cell(self.h, 0.0, self.items, self.rollouts, HORIZON)
        return read(end_early(table(event, cell, {}), length, stop), "stop")

    def truth(self) -> dict[str, float]:
        """By name, means over hard and easy items. Cut and faulted rollouts are censored for `incidence_broken`."""
        done, cut, fault = self.chances
        h = np.array(self.rates())
        stay = (1 - h) * (1 - sum(self.chances))
        gone = (1 - stay**AT) / (1 - stay)
        through = stay ** (HORIZON - 1)
        n = np.arange(AT)
        at_risk = ((1 - h[:, None]) * (1 - sum(self.chances))) ** n
        weight = at_risk.mean(axis=0)
        hazard, ending = ((v[:, None] * at_risk).mean(axis=0) / weight for v in (h, h + (1 - h) * done))
        free = np.concatenate([[1.0], np.cumprod(1 - ending)[:-1]])
        steps = (1 - stay**HORIZON) / (1 - stay)
        return {
            f"incidence_broken@{AT}": float(free @ hazard),
            f"incidence_cut@{AT}": float(((1 - h) * cut * gone).mean()),
            f"incidence_fault@{AT}": float(((1 - h) * fault * gone).mean()),
            "incidence_horizon": float((through * (1 - h) * (1 - sum(self.chances))).mean()),
            "free_running_error": float((h * steps).mean() / steps.mean()),
        }


def sample(plan: Stops, rng: np.random.Generator) -> Mapping[str, Reading]:
    """One replicate."""
    arm = plan.draw(rng)
    shares = (incidence_broken, incidence_cut, incidence_fault)
    curves = {f"{share.__name__}@{AT}": at_step(share(arm), AT) for share in shares}
    return curves | {"incidence_horizon": incidence_horizon(arm), "free_running_error": free_running_error(arm)}


def _case(plan: Stops) -> Case:
    truth = plan.truth()
    return Case("stops", plan.cell(), plan.items, partial(sample, plan), truth, discrete=frozenset(truth), closed=True)


CASES: list[Case] = [
    _case(Stops(20, 0.03, (0.02, 0.02, 0.01))),
    _case(Stops(60, 0.05, (0.03, 0.05, 0.02), 2, 4.0)),
    _case(Stops(200, 0.01, (0.05, 0.02, 0.01))),
    _case(Stops(500, 0.05, (0.02, 0.05, 0.02), 1, 4.0)),
    _case(Stops(2000, 0.02, (0.03, 0.01, 0.002))),
]
