"""Planted hazard ratios: geometric first errors in two arms, whose chances of an error in a step have one ratio."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.instruments.cox import hazard_ratio
from deadreckon.validation.case import Case
from deadreckon.validation.planted_comparison import Duel, arms


def sample(duel: Duel, rng: np.random.Generator) -> Mapping[str, Reading]:
    """One replicate."""
    return {"hazard_ratio": hazard_ratio(*arms(duel, rng))}


def _case(duel: Duel) -> Case:
    truth = {"hazard_ratio": duel.ours / duel.theirs}
    return Case("hazard ratio", duel.cell, duel.items, partial(sample, duel), truth)


CASES: list[Case] = [
    _case(Duel(20, 0.1, 0.1, 1, 0.3)),
    _case(Duel(20, 0.05, 0.1, 3, 0.3)),
    _case(Duel(20, 0.1, 0.1, 3, 0.3, paired=False)),
    _case(Duel(50, 0.05, 0.1)),
    _case(Duel(50, 0.1, 0.15, 3, 0.3)),
    _case(Duel(50, 0.1, 0.1, 3, 0.3, paired=False)),
    _case(Duel(200, 0.02, 0.02, 1, 0.3, censored=0.4)),
    _case(Duel(200, 0.1, 0.15, 3, 0.3)),
    _case(Duel(500, 0.05, 0.1, 2, 0.3, paired=False, censored=0.4)),
    _case(Duel(2000, 0.01, 0.015, 1, 0.3)),
    _case(Duel(2000, 0.1, 0.1, 1, 0.3, paired=False)),
]
