"""What voting on every step would buy: first to be ahead by k, from the measured errors of each state, not their mean.

The walk of a vote, and its source, stand in vote_walk.py.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.errors import BadOption, NotEstimable
from deadreckon.instruments.arm import Arm, Measure, both, curve
from deadreckon.instruments.states import States, states
from deadreckon.instruments.stats import (
    Estimate,
    Floats,
    mean_interval,
    proportion_interval,
)
from deadreckon.instruments.vote_walk import fewest_ahead, run_right, step_right

MOST_UNDECIDED = 0.05  # share of votes that the repeats at hand may leave open
MOST_AHEAD = 50
FEWEST_CLUSTERS = 50  # below it the interval of a share far out in a fitted law holds too seldom


def vote_right(arm: Arm, k: int = 3) -> Reading:
    """E_state[1 / (1 + ((1-p)/p)^k)]: the chance that a vote is right, the mean over states, not at the mean p.

    From right_mass where the table holds it. Otherwise from the n repeats of each state: the share of the orders of its
    answers in which the right one comes k ahead first is unbiased for the chance that n samples decide the vote
    rightly, whatever law the p follow, and the share of orders that decide nothing bounds the rest. The interval runs
    from the low end of the first to the high end of both together; the value settles the rest at each state's own
    p. Refused where more than 5% stay undecided. The curve has x = k. Rule repair: every state is reached, and is the
    expert's.
    """
    measure = Measure("vote_right", "probability", "exact over orders of repeats, item-clustered Clopper-Pearson")
    try:
        seen = _measurable(arm, k)
        points = [_vote(seen, at) for at in range(1, _most_ahead(seen, k) + 1)]
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    value, low, high = points[k - 1]
    columns = np.array(points)
    drawn = curve(
        "k",
        np.arange(1.0, len(points) + 1),
        columns[:, 0],
        (columns[:, 1], columns[:, 2]),
        np.full(len(points), arm.items, np.int64),
    )
    return measure.reading(arm, value, (low, high), _beside_the_mean(seen, k, 1), drawn)


def vote_run(arm: Arm, k: int = 3, steps: int = 100) -> Reading:
    """vote_right^s: the chance that s voted steps are all right, each at a state drawn as those measured were."""
    measure = Measure("vote_run", "probability", "vote_right to the power of the steps")
    try:
        seen = _measurable(arm, k)
        ends = np.array(_vote(seen, k)) ** steps
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    return measure.reading(arm, ends[0], (ends[1], ends[2]), _beside_the_mean(seen, k, steps))


def vote_ahead(arm: Arm, steps: int = 100, target: float = 0.95) -> Reading:
    """The least k with `vote_run` >= target, for s steps; inf = none of those that the repeats can judge.

    The interval inverts that of `vote_run`. States with p <= 1/2 put a ceiling on every k: see `vote_never`.
    """
    measure = Measure("vote_ahead", "votes ahead", "least k, interval of vote_run inverted")
    try:
        seen = _measurable(arm, 1)
        reach = _most_ahead(seen, MOST_AHEAD)
        runs = np.array([_vote(seen, k) for k in range(1, reach + 1)]) ** steps
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    value, high, low = (_least(column, target) for column in runs.T)
    note = f"{steps} steps, {target:.0%}; {_at_the_mean(seen, steps, target)}"
    if np.isinf(value):
        note = both(f"not reached by any k up to {reach}, the most that can be judged", note)
    ends = (nan, nan) if np.isnan(runs[0, 1]) else (min(low, reach + 1.0), high)
    return measure.reading(arm, value, ends, note)


def vote_cost(arm: Arm, k: int = 3) -> Reading:
    """E_state[samples until one answer is k ahead], k (2 step_right - 1) / (2p - 1) at a state.

    From right_mass, or from the orders of the repeats as `vote_right`: an open vote needs at most k^2 samples more.
    """
    measure = Measure("vote_cost", "samples per step", "exact over orders of repeats, items as clusters")
    try:
        seen = _measurable(arm, k)
        _, open_, samples = seen.walk(k)
        least, most = seen.mean(samples), seen.mean(samples + open_ * k * k)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    low, high = mean_interval(least)[0], mean_interval(most)[1]
    return measure.reading(arm, (least.value + most.value) / 2, (max(low, float(k)), high), f"k = {k}")


def vote_never(arm: Arm) -> Reading:
    """Share of states with p <= 1/2, which no vote puts right: 1 - vote_right for large k.

    From right_mass, directly. Otherwise from a Beta law of the errors e over states with the moments E[e] and E[e^2],
    both unbiased: mean of c/n and of c(c-1) / (n(n-1)), c errors in n repeats; the share is P(e >= 1/2). The share of
    states with c/n >= 1/2 would count chance as difference. The reason names how many states are shown to be so.
    """
    method = "Beta law with unbiased moments, item-clustered Clopper-Pearson"
    measure = Measure("vote_never", "share of states", method)
    try:
        seen = states(arm)
        share = seen.mean((seen.chance <= 0.5).astype(float)) if seen.exact else _beta_share(seen)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    if not seen.exact and share.clusters < FEWEST_CLUSTERS:
        few = f"{share.clusters} items or families: an interval of a share this far out needs {FEWEST_CLUSTERS}"
        return measure.reading(arm, share.value, (nan, nan), both(_worst(seen), few))
    return measure.reading(arm, share.value, _ends(share), _worst(seen))


def _measurable(arm: Arm, k: int) -> States:
    if k < 1:
        raise BadOption(f"k={k}: at least 1 vote ahead")
    seen = states(arm)
    if seen.undecided(k) > MOST_UNDECIDED:
        raise NotEstimable(
            f"{seen.least} to {int(seen.n.max())} repeats of a state leave {seen.undecided(k):.0%} of the votes open "
            f"at k = {k}: more repeats are needed"
        )
    return seen


def _most_ahead(seen: States, wanted: int) -> int:
    """The largest k up to `wanted` that the repeats can judge."""
    if seen.exact:
        return wanted
    open_ = (k for k in range(1, wanted + 1) if seen.undecided(k) > MOST_UNDECIDED)
    return next(open_, wanted + 1) - 1


def _vote(seen: States, k: int) -> tuple[float, float, float]:
    """Chance that a vote is right, with its interval."""
    right, open_, _ = seen.walk(k)
    guess = step_right((seen.right + 0.5) / (seen.n + 1), k)
    value, most = seen.mean(right + open_ * guess).value, seen.mean(right + open_)
    return value, _ends(seen.mean(right))[0], _ends(most)[1]


def _ends(share: Estimate) -> tuple[float, float]:
    ends = proportion_interval(share.value, share.variance, share.clusters, np.inf, float(share.clusters))
    return float(ends[0]), float(ends[1])


def _least(runs: Floats, target: float) -> float:
    at = np.flatnonzero(runs >= target)
    return float(at[0] + 1) if at.size else float("inf")


def _beside_the_mean(seen: States, k: int, steps: int) -> str:
    p = seen.mean(seen.chance).value
    return f"k = {k}, {steps} steps; the mean p alone, {p:.4g}, would say {run_right(p, k, steps):.4g}"


def _at_the_mean(seen: States, steps: int, target: float) -> str:
    p = seen.mean(seen.chance).value
    return f"the mean p alone, {p:.4g}, would say {fewest_ahead(p, steps, target):g}"


def _worst(seen: States) -> str:
    """How many states are shown to be right at most half of the time, at 5% over all states (Bonferroni)."""
    if seen.exact:
        return f"lowest p {seen.chance.min():.3g}"
    shown = int((_upper(seen) <= 0.5).sum())
    return f"{shown} of {len(seen.n)} states are shown to have p <= 1/2 (exact binomial, 5% over all states)"


def _upper(seen: States) -> Floats:
    """(states,) upper bound of p (Clopper-Pearson), at 5% over all states."""
    wrong = seen.n - seen.right
    bound: Floats = special.betaincinv(seen.right + 1, np.maximum(wrong, 0.5), 1 - 0.05 / len(seen.n))
    return np.where(wrong > 0, bound, 1.0)


def _beta_share(seen: States) -> Estimate:
    """P(e >= 1/2) of the Beta law with the unbiased moments, with its influence by the delta method."""
    wrong = seen.n - seen.right
    if seen.least < 2:
        raise NotEstimable("a state met once says nothing of how states differ: repeat the items")
    first, second = seen.mean(wrong / seen.n), seen.mean(wrong * (wrong - 1) / (seen.n * (seen.n - 1)))
    if not 0 < first.value < 1:
        raise NotEstimable(f"{int(wrong.sum())} errors in {int(seen.n.sum())} answers: how states differ is not seen")
    if not first.value**2 < second.value < first.value:
        raise NotEstimable("the states differ by no more than chance makes: no law of their errors can be fitted")
    at = np.array([first.value, second.value])
    step = 1e-4 * min(second.value - first.value**2, first.value - second.value)
    slope = [(_beta_tail(at + d) - _beta_tail(at - d)) / (2 * step) for d in step * np.eye(2)]
    influence = slope[0] * first.influence + slope[1] * second.influence
    return Estimate(_beta_tail(at), influence, first.clusters)


def _beta_tail(moments: Floats) -> float:
    """P(e >= 1/2) of the Beta law with E[e] and E[e^2]."""
    m, second = moments
    size = (m - second) / (second - m * m)
    return float(special.betainc((1 - m) * size, m * size, 0.5))
