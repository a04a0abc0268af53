"""Three states, right, wrong and lost: transition rates, how long a wrong state lasts, and where the rollouts are.

    right <-> wrong -> lost,   right -> lost

`wrong` is off the true track with a way on; `lost` is for good: the goal cannot be reached, or the rollout is `broken`.
It absorbs, so no rate out of it exists. Only the model's own steps move a state here; a stretch begins after the last
forced step. A rate that the rule or the world fixes is no finding and is reported as missing, with what fixes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import Reading, Stop
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure, curve
from deadreckon.instruments.competing import AALEN_JOHANSEN, aalen_johansen, competing
from deadreckon.instruments.hazard import RATE, rate_interval
from deadreckon.instruments.recovery import moves
from deadreckon.instruments.stats import (
    Floats,
    clopper_pearson,
    mean_intervals,
    proportion_interval,
    ratio,
    variance,
)
from deadreckon.instruments.survival import first_errors

RIGHT, WRONG, LOST = 0, 1, 2
STATES = ("right", "wrong", "lost")
FIXED = "fixed by construction"
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Track:
    """The state before and after each step that the model made itself after the last forced one."""

    arm: Arm
    rows: Bools  # (n,) those steps
    before: Ints  # (n,) RIGHT, WRONG or LOST
    after: Ints  # (n,)
    unearned: Bools  # (n,) neither after a fix nor by a mend
    age: Ints  # (n,) own steps since the state turned wrong; 1 = the first step from it; 0 from another state

    def from_state(self, state: int) -> Bools:
        """Steps at risk in a state."""
        at_risk: Bools = self.rows & (self.before == state)
        return at_risk


def track(arm: Arm) -> Track:
    """States before and after each step. Raises NotEstimable where `moves` does (another rule than accept, ...)."""
    moved = moves(arm)
    after = np.where(moved.after, RIGHT, WRONG)
    if "goal_open" in arm.steps.columns:
        after[(arm.steps["goal_open"] == False).fill_null(False).to_numpy()] = LOST  # noqa: E712  null = no goal
    nonempty = arm.length > 0
    last = np.cumsum(arm.length)[nonempty] - 1
    after[last[np.isin(arm.stop[nonempty], (Stop.LOST.value, Stop.BROKEN.value))]] = LOST
    before = np.concatenate([[RIGHT], after[:-1]])
    before[last - arm.length[nonempty] + 1] = RIGHT
    rows = arm.own & (arm.since_forced() >= 0) & (before != LOST)
    return Track(arm, rows, before, after, moved.unearned, _age(rows & (before == WRONG)))


def _age(wrong: Bools) -> Ints:
    """1, 2, ... along each run of true values, 0 elsewhere. A rollout's first own step from `right` breaks a run."""
    place = np.arange(1, len(wrong) + 1)
    return place - np.maximum.accumulate(np.where(wrong, 0, place))


def closed(on: Track) -> str:
    """Why no recovery is a matter of construction, or "" where the table shows that a wrong state could be left."""
    off = on.from_state(WRONG)
    fix = on.arm.steps["fix"].fill_null(False).to_numpy() if "fix" in on.arm.steps.columns else np.zeros_like(off)
    if (off & ((on.after == RIGHT) | fix)).any():
        return ""
    steps = int(off.sum())
    return f"{FIXED}, or never seen: none of {steps} steps from a wrong state led back, mended, or came after a fix"


def _absorbs(on: Track) -> str:
    """Why no step into `lost` is a matter of construction; "" where the world has a goal or a rollout was lost."""
    goal = "goal_open" in on.arm.steps.columns and on.arm.steps["goal_open"].null_count() < len(on.arm.steps)
    return "" if goal or (on.after == LOST).any() else f"{FIXED}: no goal to lose here and no rollout was broken"


def _rate(arm: Arm, source: int, target: int) -> Reading:
    """Share of own steps from one state that lead to another; the curve is the rate by step."""
    measure = Measure(f"transition_{STATES[source]}_{STATES[target]}", "per step", RATE)
    try:
        on = track(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    at_risk = on.from_state(source)
    moved = at_risk & (on.after == target)
    if not at_risk.any():
        return measure.missing(arm, _no_step(on, source))
    fixed = _absorbs(on) if target == LOST else closed(on) if source == WRONG else ""
    one = np.ones(len(at_risk))
    x = arm.per_cluster(one, at_risk)
    if fixed:
        most = float(clopper_pearson(0.0, float((x > 0).sum()))[1])
        bound = f"; if it is chance, at most {most:.2g} per step" if target == RIGHT and arm.clusters > 1 else ""
        return measure.missing(arm, fixed + bound)
    estimate = ratio(arm.per_cluster(one, moved), x)
    reason = "" if moved.any() else f"none seen in {int(at_risk.sum())} steps"
    return measure.reading(arm, estimate.value, rate_interval(estimate, x, np.nan), reason)


def _no_step(on: Track, source: int) -> str:
    if source == WRONG and (on.after[on.rows] == LOST).any():
        return f"{FIXED}: every error was final (lost or broken), there is no step from a wrong state"
    return f"no step from a {'true' if source == RIGHT else 'wrong'} state"


def transition_right_wrong(arm: Arm) -> Reading:
    """P(off the true track, with a way on, after a step | on it before)."""
    return _rate(arm, RIGHT, WRONG)


def transition_wrong_right(arm: Arm) -> Reading:
    """P(on the true track after a step | off it before): recovery. `fixed by construction` where nothing led back."""
    return _rate(arm, WRONG, RIGHT)


def transition_right_lost(arm: Arm) -> Reading:
    """P(lost or broken after a step | on the true track before)."""
    return _rate(arm, RIGHT, LOST)


def transition_wrong_lost(arm: Arm) -> Reading:
    """P(lost or broken after a step | off the true track before)."""
    return _rate(arm, WRONG, LOST)


@dataclass(frozen=True, slots=True)
class Occupation:
    """State occupation probabilities after each step: value (n, 3) and influence (C, n, 3)."""

    value: Floats
    influence: Floats
    clusters: Ints  # (n,) not censored before the step
    most: float  # effective rollouts

    def interval(self, value: Floats, influence: Floats) -> tuple[Floats, Floats]:
        """Of probabilities (n,) with influence (C, n)."""
        clusters = int(self.clusters[0])
        least = self.clusters[: len(value)].astype(float)
        return proportion_interval(value, variance(influence, clusters), clusters, self.most, least)


def occupation(on: Track) -> Occupation:
    """P(state after n own steps), Aalen-Johansen: p(n) = p(n-1) P(n), P(n) the observed transition shares.

        u_i(n) = u_i(n-1) P(n) + sum_s p_s(n-1) (d_is(n) - P_s(n) y_is(n)) / Y_s(n)

    A rollout that is done keeps its state for good (it stays at risk and does not move); one that is lost stays lost;
    horizon, cut and fault censor. Valid for processes that are not Markov where censoring is independent of them.
    Source: Aalen and Johansen (1978); Datta and Satten, Statistics and Probability Letters 55 (2001).
    """
    arm = on.arm
    moved, kept, start = _moved(on), _kept(on), _starts(on)
    total = start.sum()
    p = start.sum(axis=0) / total
    u = (start - p * start.sum(axis=1, keepdims=True)) / total
    steps = len(moved)
    value, influence = np.empty((steps, 3)), np.empty((arm.clusters, steps, 3))
    present = np.zeros(steps, dtype=np.int64)
    for n in range(steps):
        d = _moves_at(on, moved[n]) + kept[:, n, :, None] * np.eye(3)
        y = d.sum(axis=2)
        at_risk = y.sum(axis=0)
        safe = np.where(at_risk > 0, at_risk, 1.0)
        moving = np.where((at_risk > 0)[:, None], d.sum(axis=0) / safe[:, None], np.eye(3))
        u = u @ moving + ((p / safe)[:, None] * (d - moving * y[:, :, None])).sum(axis=1)
        p = p @ moving
        value[n], influence[:, n], present[n] = p, u, (y.sum(axis=1) > 0).sum()
    weight = arm.weight[np.bincount(arm.rollout[on.rows], minlength=len(arm.length)) > 0]
    return Occupation(value, influence, present, float(weight.sum() ** 2 / (weight**2).sum()))


def _moved(on: Track) -> list[Ints]:
    """Rows at risk in each step after the last forced one."""
    rows = np.flatnonzero(on.rows)
    at = on.arm.since_forced()[rows]
    order = np.argsort(at, kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(at))[:-1])


def _moves_at(on: Track, rows: Ints) -> Floats:
    """Weighted moves (C, from, to) of these rows."""
    arm = on.arm
    place = arm.cluster[rows] * 9 + on.before[rows] * 3 + on.after[rows]
    counts = np.bincount(place, weights=arm.weight[arm.rollout[rows]], minlength=arm.clusters * 9)
    return counts.astype(float).reshape(arm.clusters, 3, 3)


def _starts(on: Track) -> Floats:
    """Weighted states (C, 3) before the first step at risk."""
    arm = on.arm
    first = np.flatnonzero(on.rows & (arm.since_forced() == 0))
    start = np.zeros((arm.clusters, 3))
    np.add.at(start, (arm.cluster[first], on.before[first]), arm.weight[arm.rollout[first]])
    return start


def _kept(on: Track) -> Floats:
    """Weight (C, n, 3) of rollouts that keep a state for good in each step: done before it, or lost."""
    arm = on.arm
    own = np.bincount(arm.rollout[on.rows], minlength=len(arm.length))
    final = np.zeros(len(arm.length), dtype=np.int64)
    at_end = np.flatnonzero(on.rows)[np.cumsum(own[own > 0]) - 1]
    final[own > 0] = on.after[at_end]
    ended = (own > 0) & (np.isin(arm.stop, (Stop.DONE.value,)) | (final == LOST))
    still = np.zeros((arm.clusters, int(own.max()) + 1, 3))
    np.add.at(still, (arm.home[ended], own[ended], final[ended]), arm.weight[ended])
    return still.cumsum(axis=1)[:, :-1]


def _occupied(arm: Arm, state: int) -> Reading:
    measure = Measure(f"occupation_{STATES[state]}", "probability", AALEN_JOHANSEN)
    try:
        on = _moving(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    if state == LOST and (fixed := _absorbs(on)):
        return measure.missing(arm, fixed)
    at = occupation(on)
    p = at.value[:, state]
    ends = at.interval(p, at.influence[:, :, state])
    points = curve("steps", np.arange(1.0, len(p) + 1), p, ends, at.clusters)
    return measure.reading(arm, p[-1], (ends[0][-1], ends[1][-1]), f"after {len(p)} steps", points)


def _moving(arm: Arm) -> Track:
    """`track`, where at least one step could move a state."""
    on = track(arm)
    if not on.rows.any():
        raise NotEstimable("no step of the model's own from a state that can be left")
    return on


def occupation_right(arm: Arm) -> Reading:
    """P(on the true track after n own steps). See `occupation`."""
    return _occupied(arm, RIGHT)


def occupation_wrong(arm: Arm) -> Reading:
    """P(off the true track, with a way on, after n own steps). See `occupation`."""
    return _occupied(arm, WRONG)


def occupation_lost(arm: Arm) -> Reading:
    """P(lost or broken by n own steps). See `occupation`."""
    return _occupied(arm, LOST)


def occupancy_gain(arm: Arm) -> Reading:
    """What finding the way back is worth: P(on the true track after n steps) - P(no error in n steps).

    Both by Aalen-Johansen on the same rollouts, `done` keeping its state; influences are subtracted by item. Where
    a rollout leaves the track only by an error, it is P(erred before, on track now), a probability of its own, and so
    treated. The curve is by step.
    """
    measure = Measure("occupancy_gain", "probability", AALEN_JOHANSEN)
    try:
        on = _moving(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    if fixed := closed(on):
        return measure.missing(arm, fixed)
    gain, influence, at = _gain(on)
    ends = at.interval(np.maximum(gain, 0.0), influence)
    t_ends = mean_intervals(gain, variance(influence, int(at.clusters[0])), int(at.clusters[0]))
    low, high = (np.where(gain < 0, t, end) for t, end in zip(t_ends, ends, strict=True))
    points = curve("steps", np.arange(1.0, len(gain) + 1), gain, (low, high), at.clusters[: len(gain)])
    return measure.reading(arm, gain[-1], (low[-1], high[-1]), f"after {len(gain)} steps", points)


def _gain(on: Track) -> tuple[Floats, Floats, Occupation]:
    """The gap (n,), its influence (C, n), and the occupation behind it, as far as both curves are known."""
    first, at = first_errors(on.arm), occupation(on)
    failed = first.failed | (on.arm.stop == Stop.BROKEN.value)
    ends = first.ending(competing(first))
    error = aalen_johansen(first.ending(failed), ends, first.at_risk(), at.most)
    free, influence = 1 - error.value, -error.influence
    steps, beyond = len(at.value), len(at.value) - first.reach
    if beyond > 0 and (ends[:, -1].sum() == first.at_risk()[:, -1].sum()):  # none left without an end: flat from here
        free, influence = np.pad(free, (0, beyond), mode="edge"), np.pad(influence, ((0, 0), (0, beyond)), mode="edge")
    steps = min(len(free), steps)
    gain = at.value[:steps, RIGHT] - free[:steps]
    return np.where(np.abs(gain) < ROUNDING, 0.0, gain), at.influence[:, :steps, RIGHT] - influence[:, :steps], at
