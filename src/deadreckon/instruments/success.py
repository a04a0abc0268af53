"""How many runs succeed: on the whole, and by the length of their item. Items are the unit."""

from __future__ import annotations

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import Measure, curve
from deadreckon.instruments.outcomes import Outcomes
from deadreckon.instruments.stats import Floats, proportion_interval, variance

MEAN = "mean over items, effective-size Clopper-Pearson"


def success_rate(outcomes: Outcomes) -> Reading:
    """Chance that a run of an item succeeds, the mean over items: sum w_i c_i / n_i, c of n runs, sum w = 1.

    A run that is not scored has no part in it: censored is not failed.
    """
    measure = Measure("success_rate", "probability", MEAN)
    if not outcomes.items:
        return measure.missing(outcomes, "no run")
    value, low, high = _means(outcomes, np.zeros(outcomes.items, int), 1)
    return measure.reading(outcomes, value[0], (low[0], high[0]))


def success_by_length(outcomes: Outcomes) -> Reading:
    """`success_rate` of items in pieces of lengths that double; the value is the longest piece's.

    The curve has x = the geometric mean length of a piece's items; no law is assumed.
    """
    measure = Measure("success_by_length", "probability", f"pieces of lengths that double, {MEAN}")
    if not outcomes.items:
        return measure.missing(outcomes, "no run")
    unknown = int(np.isnan(outcomes.length).sum())
    if unknown:
        return measure.missing(outcomes, f"the length of {unknown} of {outcomes.items} items is unknown")
    x = np.log2(outcomes.length)
    piece = np.unique(np.floor(x - x.min() + 1e-9), return_inverse=True)[1]
    pieces = int(piece.max()) + 1
    if pieces < 2:
        return measure.missing(outcomes, "no item is twice as long as another")
    value, low, high = _means(outcomes, piece, pieces)
    n = np.bincount(piece, minlength=pieces)
    centre = np.exp2(np.bincount(piece, x, pieces) / n)
    points = curve(outcomes.unit, centre, value, (low, high), n.astype(np.int64))
    span = f"items of {outcomes.length[piece == pieces - 1].min():g} to {outcomes.length.max():g} {outcomes.unit}"
    return measure.reading(outcomes, value[-1], (low[-1], high[-1]), span, points)


def _means(outcomes: Outcomes, piece: np.ndarray, pieces: int) -> tuple[Floats, Floats, Floats]:
    """(pieces,) weighted mean over each piece's items, low and high."""
    share = outcomes.wins / outcomes.runs
    value, low, high = np.empty(pieces), np.empty(pieces), np.empty(pieces)
    for i in range(pieces):
        chosen = piece == i
        weight = np.where(chosen, outcomes.weight, 0.0) / outcomes.weight[chosen].sum()
        value[i] = np.clip(weight @ share, 0, 1)
        homes = np.unique(outcomes.family[chosen], return_inverse=True)[1]
        influence = np.bincount(homes, (weight * (share - value[i]))[chosen]).astype(float)
        clusters, runs = len(influence), float(outcomes.runs[chosen].sum())
        spread = np.array(variance(influence[:, None], clusters))
        ends = proportion_interval(value[i : i + 1], spread, clusters, runs, float(clusters))
        low[i], high[i] = float(ends[0][0]), float(ends[1][0])
    return value, low, high
