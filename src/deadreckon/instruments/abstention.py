"""Declining to answer: how often, and how often what is answered is wrong.

An abstention is neither right nor an error: `step_error` counts it among the steps alone, calibration leaves it out.
"""

from __future__ import annotations

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import Arm, Measure
from deadreckon.instruments.hazard import RATE, error_rate_of, rate_of


def abstention_rate(arm: Arm) -> Reading:
    """Own steps that abstain / own steps. 1 - this is the coverage."""
    return rate_of(arm, arm.abstained, arm.own, Measure("abstention_rate", "abstentions per step", RATE))


def answered_error(arm: Arm) -> Reading:
    """Errors / own steps that do not abstain: the selective risk. El-Yaniv and Wiener, JMLR 11 (2010)."""
    return error_rate_of(arm, arm.own & ~arm.abstained, "answered_error")
