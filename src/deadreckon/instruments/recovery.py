"""Whether a rollout finds its way back: occupancy, error and recovery rates, the two-state law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import Event, OnError, Reading, Stop
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure, curve, cut_short
from deadreckon.instruments.freedom import freedom, rate_ends
from deadreckon.instruments.hazard import RATE
from deadreckon.instruments.stats import (
    Estimate,
    Floats,
    mean_intervals,
    proportion_interval,
    ratio,
    variance,
)

FEWEST_OF_A_RATE = 5  # items behind it, from which its degrees of freedom are more than their number less 1
FIXED = "not estimable: fixed by the rule {rule}; recovery exists under the rule accept alone"


@dataclass(frozen=True, slots=True)
class Moves:
    """Each step's state before and after: on the true track or off it."""

    before: Bools  # (n,)
    after: Bools  # (n,)
    unearned: Bools  # (n,) neither after a fix nor by a mend

    def on(self, arm: Arm) -> Bools:
        """Own steps from a true state."""
        return arm.own & self.before

    def off(self, arm: Arm) -> Bools:
        """Own steps from a wrong state."""
        return arm.own & ~self.before


def moves(arm: Arm) -> Moves:
    """The track of each rollout; it starts true, and a rollout that ends `broken` ends wrong.

    Raises NotEstimable under another rule than accept, or where the world leaves true_state undefined.
    """
    if arm.on_error is not OnError.ACCEPT:
        raise NotEstimable(FIXED.format(rule=arm.on_error.value))
    if "true_state" not in arm.steps.columns:
        raise NotEstimable("column true_state is not in the table")
    if not arm.own.any():
        raise NotEstimable("no step of the model's own")
    state = arm.steps["true_state"]
    if state.null_count():
        raise NotEstimable(f"true_state is undefined on {state.null_count()} of {len(state)} steps in this world")
    last = np.cumsum(arm.length)[arm.length > 0] - 1
    after = state.to_numpy().astype(bool)
    after[last[arm.stop[arm.length > 0] == Stop.BROKEN.value]] = False
    before = np.concatenate([[True], after[:-1]])
    before[last - arm.length[arm.length > 0] + 1] = True
    fix = arm.steps["fix"].fill_null(False).to_numpy() if "fix" in arm.steps.columns else np.zeros(len(after), bool)
    mend = (arm.steps["event"] == Event.MEND.value).to_numpy()
    return Moves(before, after, ~(fix | mend))


def _rate(arm: Arm, quantity: str, pick: Callable[[Moves], tuple[Bools, Bools]], empty: str) -> Reading:
    """Share of the second rows among the first, an item-level ratio."""
    measure = Measure(quantity, "per step", RATE)
    try:
        at_risk, moved = pick(moves(arm))
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    if not at_risk.any():
        return measure.missing(arm, empty)
    one = np.ones(len(arm.own))
    x, y = arm.per_cluster(one, at_risk), arm.per_cluster(one, at_risk & moved)
    estimate = ratio(y, x)
    reason = "" if (at_risk & moved).any() else f"none seen in {int(at_risk.sum())} steps: rare, or 0 by construction"
    return measure.reading(arm, estimate.value, rate_ends(estimate, float(x.sum())), reason)


def error_rate(arm: Arm) -> Reading:
    """h = P(the true track is left in a step | it was held before it), over the model's own steps."""
    return _rate(arm, "error_rate", lambda m: (m.on(arm), ~m.after), "no step from a true state")


def recovery_rate(arm: Arm) -> Reading:
    """g = P(the true track is found again in a step | it was lost before it), over the model's own steps."""
    return _rate(arm, "recovery_rate", lambda m: (m.off(arm), m.after), "no step from a wrong state")


def recovery_rate_earned(arm: Arm) -> Reading:
    """The part of `recovery_rate` that followed a fix or was a mend; the two parts add up to it."""
    return _rate(
        arm, "recovery_rate_earned", lambda m: (m.off(arm), m.after & ~m.unearned), "no step from a wrong state"
    )


def recovery_rate_unearned(arm: Arm) -> Reading:
    """The part of `recovery_rate` with neither a fix nor a mend: two wrongs that made a right."""
    return _rate(
        arm, "recovery_rate_unearned", lambda m: (m.off(arm), m.after & m.unearned), "no step from a wrong state"
    )


def occupancy_law(arm: Arm) -> Reading:
    """g / (g + h): the long-run share on track of a two-state chain with error rate h and recovery rate g.

        log odds = log g - log h,   u_i = u_i(g) / g - u_i(h) / h
        degrees of freedom (a + b)^2 / (a^2 / nu_g + b^2 / nu_h),   a = var g / g^2, b = var h / h^2

    nu by `freedom` from the items behind each rate: g is of the items that err alone (Welch, Biometrika 34, 1947). With
    fewer than 5 behind one of the rates their number less 1 instead. Where g or h is 0 the interval is the extreme of
    their own two intervals (conservative). Source: stationary law of a two-state Markov chain, Feller, "An Introduction
    to Probability Theory", vol. 1, ch. XV.
    """
    measure = Measure("occupancy_law", "share of rollouts", "delta method on log odds, items as clusters")
    try:
        track = moves(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    on, off = track.on(arm), track.off(arm)
    if not on.any() or not off.any():
        return measure.missing(
            arm, f"no step from a {'wrong' if on.any() else 'true'} state: one of the rates is unseen"
        )
    one = np.ones(len(arm.own))
    x_on, x_off = arm.per_cluster(one, on), arm.per_cluster(one, off)
    h = ratio(arm.per_cluster(one, on & ~track.after), x_on)
    g = ratio(arm.per_cluster(one, off & track.after), x_off)
    if g.value + h.value == 0:
        return measure.missing(arm, "no error and no recovery was seen")
    value = g.value / (g.value + h.value)
    if 0 < value < 1 and min(g.variance, h.variance) > 0:
        return measure.reading(arm, value, _log_odds_interval(g, h))
    g_low, g_high = rate_ends(g, float(x_off.sum()))
    h_low, h_high = rate_ends(h, float(x_on.sum()))
    return measure.reading(arm, value, (g_low / (g_low + h_high), g_high / (g_high + h_low)))


def _log_odds_interval(g: Estimate, h: Estimate) -> tuple[float, float]:
    influence = g.influence / g.value - h.influence / h.value
    few, many = sorted((g.clusters, h.clusters))
    if few < FEWEST_OF_A_RATE:
        spread, known = variance(influence, few), np.array(few - 1.0)
    else:
        a, b = (one.variance / one.value**2 for one in (g, h))
        spread = variance(influence, many)
        known = (a + b) ** 2 / (a**2 / freedom(g.influence, g.clusters) + b**2 / freedom(h.influence, h.clusters))
    low, high = mean_intervals(np.log(g.value / h.value), spread, known + 1)
    return float(1 / (1 + np.exp(-low))), float(1 / (1 + np.exp(-high)))


def occupancy(arm: Arm) -> Reading:
    """Share of rollouts whose state is true after n steps; the value is at the last step that all of them reached.

    Denominator: every rollout. One that ended by done, lost or broken keeps its last state; one that ended by horizon,
    cut or fault leaves after its last step. A rollout's forced steps move it like any other.
    """
    measure = Measure(
        "occupancy", "share of rollouts", "share of rollouts, item-clustered effective-size Clopper-Pearson"
    )
    try:
        held = _held(arm, moves(arm))
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    known = ~np.isnan(held)
    x = _fold(arm, known.astype(float))
    y = _fold(arm, np.nan_to_num(held))
    total, present = x.sum(axis=0), (x > 0).sum(axis=0)
    share = y.sum(axis=0) / total
    ends = proportion_interval(share, variance((y - share * x) / total, present), present, total, present.astype(float))
    points = curve("steps", np.arange(1.0, len(share) + 1), share, ends, present)
    whole = known | cut_short(arm)[:, None]
    last = max(int(np.flatnonzero(whole.all(axis=0))[-1]), 0) if whole.all(axis=0).any() else 0
    cut = int((cut_short(arm) & ~known[:, last]).sum())
    reason = f"at step {last + 1}" + (f"; {cut} rollouts cut or faulted before it left the share" if cut else "")
    return measure.reading(arm, share[last], (ends[0][last], ends[1][last]), reason, points)


def _held(arm: Arm, track: Moves) -> Floats:
    """(rollouts, steps) 1 on track, 0 off, nan where the rollout has left."""
    width = int(arm.length.max())
    t = np.arange(len(track.after)) - np.repeat(np.cumsum(arm.length) - arm.length, arm.length)
    held = np.full((len(arm.length), width), np.nan)
    held[arm.rollout, t] = track.after
    absorbed = np.isin(arm.stop, (Stop.DONE.value, Stop.LOST.value, Stop.BROKEN.value)) & (arm.length > 0)
    last: Ints = np.maximum(arm.length - 1, 0)
    final = held[np.arange(len(last)), last]
    later = (np.arange(width) > last[:, None]) & absorbed[:, None]
    return np.where(later, final[:, None], held)


def _fold(arm: Arm, values: Floats) -> Floats:
    """(rollouts, steps) -> weighted totals (clusters, steps)."""
    totals = np.zeros((arm.clusters, values.shape[1]))
    np.add.at(totals, arm.home, values * arm.weight[:, None])
    return totals
