"""Bounds and tests for looking at a live run: they hold at every look at once, however often one looks, and when to
stop may depend on what was seen.

Each item is one bounded number, in the order in which items count. What is assumed: given the items so far, the next
one's mean is the mean of all. Items of a run are drawn independently and its parts are committed in item order, so the
order of items (the default) satisfies it. An order of *completion* does not where fast items fare differently from
slow ones (a rollout that errs at once ends first): hand one in only where it cannot depend on the outcome, and count
an item only when every item before it is complete.

Betting: a gambler who bets against "the mean is m" gets rich only if it is false. With bets lambda_t that depend on
the past alone, K_t(m) = prod_s (1 + lambda_s (x_s - m)) is a martingale under mean m, and by Ville's inequality
P(some K_t >= 1/alpha) <= alpha. Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by
betting", J. Royal Statist. Soc. B 86 (2024): theorem 2 (empirical Bernstein), theorem 3 (hedged capital), their bets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import Curve, Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.compare import pair
from deadreckon.instruments.permutation import missing_test
from deadreckon.instruments.scores import Score
from deadreckon.instruments.stats import LEVEL, Floats

ALPHA = 1 - LEVEL
CAP = 0.5  # most of the capital that one item may cost
HALVINGS = 40  # of the search for a bound: to 1e-12
LOOKS = 50  # points of the curve
CROSSED = "the bounds have crossed: one item's mean depends on those before it, or a 1 in 20 chance"
E_VALUE = "an e-value has no interval; 20 or more rejects at 5%, at whatever look it is reached"
P_VALUE = "a p-value has no interval; it may be read at every look"

Order = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stream:
    """Numbers in [0, 1] in the order in which they count; a difference in [-1, 1] is (1 + d) / 2."""

    x: Floats  # (n,)
    by: str
    unit: str
    difference: bool = False
    note: str = ""

    def back(self, value: float) -> float:
        """On the scale of the score."""
        return 2 * value - 1 if self.difference else value


def _ordered(values: Floats, order: Order | None) -> tuple[Floats, str]:
    """Values in their order, those that are missing left out and counted. order: places, the first to count first."""
    x = values if order is None else values[np.asarray(order, dtype=np.int64)]
    known = np.isfinite(x)
    lost = int((~known).sum())
    if not known.any():
        raise NotEstimable("no item has a number of its own yet")
    return x[known], f"{lost} items without a number of their own left out" if lost else ""


def _stream(score: Score, order: Order | None) -> Stream:
    x, note = _ordered(score.each, order)
    if x.min() < 0 or x.max() > 1:
        raise NotEstimable(f"numbers from {x.min():.4g} to {x.max():.4g}: a bound at every look needs them in 0 ... 1")
    return Stream(x, score.quantity, score.unit, note=note)


def _differences(a: Score, b: Score, order: Order | None) -> Stream:
    both = pair(a, b)
    if not both.shared:
        raise NotEstimable("no item shared: a difference at every look is paired by item")
    x, note = _ordered(both.each[0] - both.each[1], order)
    if np.abs(x).max() > 1:
        raise NotEstimable(f"differences up to {np.abs(x).max():.4g}: both scores must lie in 0 ... 1")
    return Stream((1 + x) / 2, both.by, a.unit, True, note)


def bets(x: Floats) -> Floats:
    """lambda_t = sqrt(2 ln(2/alpha) / (v_{t-1} t ln(1+t))), v the running variance, from the past alone: (n,).

    mean_t = (1/2 + sum_{s<=t} x_s) / (t+1),   v_t = (1/4 + sum_{s<=t} (x_s - mean_s)^2) / (t+1)
    """
    t = np.arange(1.0, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    v = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    before = np.concatenate([[0.25], v[:-1]])
    stakes: Floats = np.sqrt(2 * np.log(2 / ALPHA) / (before * t * np.log1p(t)))
    return stakes


def log_capital(x: Floats, m: Floats) -> Floats:
    """ln K_t(m) of the gambler who bets on a mean above m, stakes at most CAP / m: x (n,), m (k,) -> (k, n)."""
    at = np.maximum(m, 1e-300)[:, None]
    stake = np.minimum(bets(x), CAP / at)
    return np.log1p(stake * (x - at)).cumsum(axis=1)


def lower_bounds(x: Floats, looks: Order) -> Floats:
    """Largest m that a bettor on a higher mean has refuted with half of the capital by each look: (k,).

    sup {m: max_{s<=t} K_s(m) / 2 >= 1/alpha}, by halving: K falls in m. 0 where none is refuted.
    """
    low, high = np.zeros(len(looks)), np.ones(len(looks))
    bar = np.log(2 / ALPHA)
    rows = np.arange(len(looks))
    for _ in range(HALVINGS):
        m = (low + high) / 2
        refuted = np.maximum.accumulate(log_capital(x, m), axis=1)[rows, looks - 1] >= bar
        low, high = np.where(refuted, m, low), np.where(refuted, high, m)
    return low


def _looks(n: int, looks: int) -> Order:
    """About `looks` numbers of items up to n, evenly spread on the log scale, the last of them n."""
    return np.unique(np.geomspace(1, n, looks).round().astype(np.int64)) if looks > 1 else np.array([n])


def _betting(x: Floats, at: Order) -> tuple[Floats, Floats]:
    return lower_bounds(x, at), 1 - lower_bounds(1 - x, at)


def _bernstein(x: Floats, at: Order) -> tuple[Floats, Floats]:
    """sum lambda x / sum lambda -+ (ln(2/alpha) + sum 4 (x - mean_{t-1})^2 psi(lambda)) / sum lambda, intersected.

    psi(l) = (-ln(1-l) - l) / 4, lambda at most CAP.
    """
    t = np.arange(1.0, len(x) + 1)
    stake = np.minimum(bets(x), CAP)
    before = np.concatenate([[0.5], ((0.5 + np.cumsum(x)) / (t + 1))[:-1]])
    psi = (-np.log1p(-stake) - stake) / 4
    total = np.cumsum(stake)
    centre = np.cumsum(stake * x) / total
    half = (np.log(2 / ALPHA) + np.cumsum(4 * (x - before) ** 2 * psi)) / total
    low = np.maximum.accumulate(np.maximum(centre - half, 0.0))
    high = np.minimum.accumulate(np.minimum(centre + half, 1.0))
    return low[at - 1], high[at - 1]


METHODS = {"betting": _betting, "empirical Bernstein": _bernstein}


def _bounds(name: str, stream: Stream, looks: int, method: str) -> Reading:
    n = len(stream.x)
    at = _looks(n, looks)
    low, high = ([stream.back(float(v)) for v in end] for end in METHODS[method](stream.x, at))
    means = [stream.back(float(v)) for v in (np.cumsum(stream.x) / np.arange(1, n + 1))[at - 1]]
    how = f"confidence sequence, {method}, over items in order; mean over items"
    if low[-1] > high[-1]:
        return Reading(name, stream.unit, means[-1], nan, nan, LEVEL, n, how, stream.by, f"no interval: {CROSSED}")
    points = Curve("items", tuple(map(float, at)), tuple(means), tuple(low), tuple(high), tuple(map(int, at)))
    return Reading(name, stream.unit, means[-1], low[-1], high[-1], LEVEL, n, how, stream.by, stream.note, points)


def _nothing(name: str, score: Score, why: NotEstimable) -> Reading:
    return Reading(name, score.unit, nan, nan, nan, LEVEL, score.clusters, "none", score.quantity, str(why))


def mean_anytime(score: Score, order: Order | None = None, looks: int = LOOKS) -> Reading:
    """Mean over items of each item's own number in [0, 1], bounded at every look at once by betting."""
    try:
        return _bounds("mean_anytime", _stream(score, order), looks, "betting")
    except NotEstimable as why:
        return _nothing("mean_anytime", score, why)


def mean_anytime_bernstein(score: Score, order: Order | None = None, looks: int = LOOKS) -> Reading:
    """`mean_anytime` by the closed form (empirical Bernstein): quicker and wider."""
    try:
        return _bounds("mean_anytime_bernstein", _stream(score, order), looks, "empirical Bernstein")
    except NotEstimable as why:
        return _nothing("mean_anytime_bernstein", score, why)


def difference_anytime(a: Score, b: Score, order: Order | None = None, looks: int = LOOKS) -> Reading:
    """Mean over shared items of a_i - b_i, both in [0, 1], bounded at every look at once by betting."""
    try:
        return _bounds("difference_anytime", _differences(a, b, order), looks, "betting")
    except NotEstimable as why:
        return _nothing("difference_anytime", a, why)


def _below(stream: Stream, bound: float) -> Floats:
    """ln K_t of the bettor against "the mean is `bound` or more": (n,). A supermartingale under any such mean."""
    if not 0 < bound < 1:
        raise NotEstimable(f"a bound of {bound:.4g}: it must lie between 0 and 1")
    capital: Floats = log_capital(1 - stream.x, np.array([1 - bound]))[0]
    return capital


def e_value_below(score: Score, bound: float, order: Order | None = None) -> Reading:
    """Evidence so far that the mean lies below `bound`: the capital of a bettor against "it is `bound` or more"."""
    try:
        stream = _stream(score, order)
        capital = float(np.exp(_below(stream, bound)[-1]))
    except NotEstimable as why:
        return _nothing("e_value_below", score, why)
    how = f"betting over items in order; null: mean at least {bound:g}"
    return Reading("e_value_below", "e-value", capital, nan, nan, LEVEL, len(stream.x), how, stream.by, E_VALUE)


def p_anytime_below(score: Score, bound: float, order: Order | None = None) -> Reading:
    """p-value of "the mean is `bound` or more" that holds at every look: 1 over the largest e-value so far."""
    try:
        stream = _stream(score, order)
        p = float(np.exp(-max(0.0, float(_below(stream, bound).max()))))
    except NotEstimable as why:
        return missing_test("p_anytime_below", score.clusters, str(why), score.quantity)
    how = f"betting over items in order; null: mean at least {bound:g}"
    return Reading("p_anytime_below", "p-value", p, nan, nan, LEVEL, len(stream.x), how, stream.by, P_VALUE)


def p_anytime_difference(a: Score, b: Score, order: Order | None = None) -> Reading:
    """p-value of "the two means are equal", paired by item, that holds at every look.

    1 / max_t [K_t(up) + K_t(down)] / 2: half of the capital bets on either side.
    """
    try:
        stream = _differences(a, b, order)
    except NotEstimable as why:
        return missing_test("p_anytime_difference", a.clusters, str(why), a.quantity)
    sides = [log_capital(x, np.array([0.5]))[0] for x in (stream.x, 1 - stream.x)]
    p = float(np.exp(-max(0.0, float(np.logaddexp(*sides).max()) - np.log(2))))
    how = "betting over items in order; null: equal means"
    return Reading("p_anytime_difference", "p-value", p, nan, nan, LEVEL, len(stream.x), how, stream.by, P_VALUE)
