"""What rightness costs."""

from __future__ import annotations

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Measure
from deadreckon.instruments.stats import log_interval, ratio


def cost_per_right_step(arm: Arm) -> Reading:
    """Tokens of the model's own steps per right (or mending) one: sum of tokens / such steps, over items."""
    measure = Measure(
        "cost_per_right_step",
        "tokens per right step",
        "ratio over items, t on the log scale with the effective number of items",
    )
    try:
        tokens = arm.floats("tokens")
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    right = arm.per_cluster(np.ones(len(arm.own)), arm.own & ~arm.error & ~arm.abstained)
    if not right.sum():
        return measure.missing(arm, "no right step")
    estimate = ratio(arm.per_cluster(np.nan_to_num(tokens), arm.own), right)
    return measure.reading(arm, estimate.value, log_interval(estimate, right))
