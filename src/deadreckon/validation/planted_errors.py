"""The error process planted: laws of first errors, unequal items, errors in bunches. What should be read is exact.

How often `hazard_decline` names the true cause by items and variance: power.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np

from deadreckon.contracts import Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments import band, constancy, decline, dependence, fitted, frailty, key_steps, shape
from deadreckon.instruments.arm import Arm
from deadreckon.instruments.stats import LEVEL
from deadreckon.validation.bunches import Bunches
from deadreckon.validation.case import Case
from deadreckon.validation.lifetimes import Lives

Take = Callable[[Arm], Reading]

LAWS: dict[str, Take] = {
    "exponential_scale": fitted.exponential_scale,
    "weibull_shape": fitted.weibull_shape,
    "weibull_scale": fitted.weibull_scale,
}
CONSTANCY: dict[str, Take] = {
    "constancy_weibull": constancy.constancy_weibull,
    "constancy_by_step": constancy.constancy_by_step,
    "constancy": constancy.constancy,
}
DECLINE: dict[str, Take] = {
    "decline_within_items": decline.decline_within_items,
    "decline_between_items": decline.decline_between_items,
    "hazard_decline": decline.hazard_decline,
    "unequal_items": decline.unequal_items,
}
GAMMA: dict[str, Take] = {
    "frailty_gamma": frailty.frailty_gamma,
    "frailty_gamma_test": frailty.frailty_gamma_test,
}
BETA: dict[str, Take] = {"frailty_beta": frailty.frailty_beta, "frailty_beta_test": frailty.frailty_beta_test}
BUNCHES: dict[str, Take] = {
    "state_dependence": dependence.state_dependence,
    "state_dependence_within_items": dependence.state_dependence_within_items,
    "error_fano": dependence.error_fano,
    "error_autocorrelation": dependence.error_autocorrelation,
    "error_autocorrelation_within_items": dependence.error_autocorrelation_within_items,
    "key_step_share": key_steps.key_step_share,
    "key_step_top": key_steps.key_step_top,
}
TESTS = frozenset({*CONSTANCY, "unequal_items", "frailty_gamma_test", "frailty_beta_test", VERDICT := "verdict"})
DISCRETE = frozenset(
    {
        "survival_band",
        "hazard_piecewise/first",
        "hazard_piecewise/last",
        "horizon_50_bootstrap",
        "key_step_top",
        "constancy",
        "frailty_gamma_test",
        "frailty_beta_test",
        "frailty_gamma",
        "frailty_beta",
        "hazard_decline",  # Fieller's set, exact; given where it is bounded, which picks tables
        "unequal_items",
        VERDICT,
    }
)


def _bare(name: str, value: float, low: float, high: float, reason: str = "") -> Reading:
    return Reading(name, "1", value, low, high, LEVEL, 0, "derived", "", reason)


def _take(plan: Lives | Bunches, readings: tuple[str, ...], rng: np.random.Generator) -> Mapping[str, Reading]:
    """The named readings of one draw."""
    arm = plan.draw(rng)
    every = LAWS | CONSTANCY | DECLINE | GAMMA | BETA | BUNCHES
    return {name: every[name](arm) for name in readings}


def _curves(plan: Lives, rng: np.random.Generator) -> Mapping[str, Reading]:
    """Band, pieces and bootstrapped horizon. The band becomes its two worst distances to the truth, which is 0."""
    arm = plan.draw(rng)
    found = {"horizon_50_bootstrap": band.horizon_bootstrap(arm)}
    whole = band.survival_band(arm)
    if whole.curve is None:
        found["survival_band"] = whole
    else:
        alive = plan.alive()[np.array(whole.curve.x, dtype=int)]
        low, high = max(np.array(whole.curve.low) - alive), min(np.array(whole.curve.high) - alive)
        found["survival_band"] = _bare("survival_band", 0.0, float(low), float(high))
    pieces = constancy.hazard_piecewise(arm)
    for place, name in ((0, "first"), (-1, "last")):
        there = pieces.curve is not None and len(pieces.curve.x) == len(_piece_truth(plan)[0])
        points = pieces.curve if there else None
        key = f"hazard_piecewise/{name}"
        found[key] = (
            _bare(key, points.value[place], points.low[place], points.high[place], "one item alone where nan")
            if points is not None
            else _bare(key, nan, nan, nan, pieces.reason or "no rollout at risk reached the last piece")
        )
    return found


def _piece_truth(plan: Lives) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """First steps of the pieces and their pooled hazards, for rollouts that reach the planned horizon."""
    cuts = shape.pieces(plan.horizon)
    alive = plan.alive()
    present = (1 - plan.cut) ** np.arange(plan.horizon)
    d, y = (alive[:-1] - alive[1:]) * present, alive[:-1] * present
    h = shape.in_pieces(d, cuts) / shape.in_pieces(y, cuts)
    return cuts, tuple(float(v) for v in h)


def _curves_truth(plan: Lives) -> dict[str, float]:
    below = np.flatnonzero(plan.alive() <= 0.5)
    h = _piece_truth(plan)[1]
    found = {"survival_band": 0.0, "hazard_piecewise/first": h[0], "hazard_piecewise/last": h[-1]}
    return found | ({"horizon_50_bootstrap": float(below[0])} if below.size else {})


def _verdict(plan: Lives, word: str, rng: np.random.Generator) -> Mapping[str, Reading]:
    """1 where the verdict is the true word, 0 where it is not: a test of size at most 5%."""
    return {VERDICT: _bare(VERDICT, float(named(plan.draw(rng)) == word), nan, nan, "1 = the verdict is the true one")}


def named(arm: Arm) -> str:
    """The verdict of `hazard_decline` on one arm; "refused" where it is not estimable."""
    try:
        data = decline.repeats(arm)
        return decline.verdict(decline.slopes(data), decline.unequal(data)).partition(":")[0]
    except NotEstimable:
        return "refused"


def _lives(topic: str, plan: Lives, truth: dict[str, float], nulls: Iterable[str] = ()) -> Case:
    tests = frozenset(nulls)
    names = (*truth, *sorted(tests))
    return Case(topic, plan.name(), plan.items, partial(_take, plan, names), truth, tests, DISCRETE & {*names})


def _curve_case(plan: Lives) -> Case:
    truth = _curves_truth(plan)
    return Case("curves", plan.name(), plan.items, partial(_curves, plan), truth, frozenset(), DISCRETE & {*truth})


def _verdict_case(plan: Lives, word: str) -> Case:
    sample = partial(_verdict, plan, word)
    return Case(f"verdict: {word}", plan.name(), plan.items, sample, {}, frozenset({VERDICT}), frozenset({VERDICT}))


def _bunches(plan: Bunches) -> Case:
    truth = plan.truth()
    sample = partial(_take, plan, tuple(truth))
    return Case("bunches", plan.name(), plan.items, sample, truth, frozenset(), DISCRETE & {*truth})


def _weibull(plan: Lives) -> Case:
    return _lives("weibull", plan, {"weibull_shape": plan.shape, "weibull_scale": 1 / plan.h})


def _constant(plan: Lives) -> Case:
    return _lives("constant hazard", plan, {"exponential_scale": 1 / plan.h}, CONSTANCY)


def _within(plan: Lives) -> Case:
    truth = {"decline_within_items": plan.shape - 1}
    if plan.shape == 1 and plan.frailty != "none":
        truth["hazard_decline"] = 1.0
    return _lives("decline", plan, truth, () if plan.frailty != "none" else ("unequal_items",))


def _frailty(plan: Lives) -> Case:
    if plan.frailty == "none":
        return _lives("frailty", plan, {}, ("frailty_gamma_test", "frailty_beta_test"))
    return _lives("frailty", plan, {f"frailty_{plan.frailty}": plan.theta})


CURVES = [
    Lives(20, h=0.1),
    Lives(20, 5, h=0.05, together=0.3),
    Lives(50, h=0.05, cut=0.05),
    Lives(50, 5, h=0.02, frailty="gamma", theta=1.0),
    Lives(200, 2, h=0.01, cut=0.03),
    Lives(200, h=0.1, shape=0.5),
    Lives(500, 5, h=0.05, shape=2.0),
    Lives(300, 2, h=0.02, change=10, factor=4.0),
    Lives(2000, h=0.05, cut=0.02),
]
SHAPES = [
    Lives(50, h=0.1, shape=0.5),
    Lives(50, 5, h=0.05, shape=2.0),
    Lives(100, 2, h=0.1, shape=0.5, cut=0.03),
    Lives(100, h=0.1, shape=2.0),
    Lives(400, 2, h=0.03, shape=0.5),
    Lives(2000, h=0.02, shape=2.0),
]
CONSTANT = [
    Lives(20, 5),
    Lives(20, 5, together=0.3),
    Lives(50, 1, h=0.05),
    Lives(50, 5, together=0.3),
    Lives(100, 5, h=0.01, cut=0.03),
    Lives(200, 2, h=0.2, together=0.3),
    Lives(500, 2, h=0.02, together=0.3),
    Lives(2000, 1, h=0.05, cut=0.05),
]
WITHIN = [
    Lives(50, 5),
    Lives(50, 5, frailty="gamma", theta=0.5),
    Lives(100, 2, h=0.1),
    Lives(300, 5),
    Lives(300, 5, h=0.02, frailty="gamma", theta=1.0),
    Lives(300, 5, frailty="beta", theta=1.0),
    Lives(300, 5, h=0.02, shape=0.7, proportional=True),
    Lives(300, 5, h=0.02, shape=1.5, proportional=True, cut=0.03),
    Lives(1000, 3, h=0.02, frailty="beta", theta=2.0),
]
FRAIL = [
    Lives(20, 5),
    Lives(50, 5),
    Lives(300, 5, h=0.02),
    Lives(50, 5, frailty="gamma", theta=1.0),
    Lives(50, 5, frailty="beta", theta=1.0),
    Lives(300, 5, frailty="gamma", theta=0.25),
    Lives(300, 5, frailty="beta", theta=0.25),
    Lives(300, 3, h=0.1, shape=0.7, frailty="gamma", theta=2.0),
    Lives(1000, 2, frailty="gamma", theta=1.0),
]
TOGETHER = [
    Bunches(20, 5, p=0.1),
    Bunches(50, 5, p=0.1),
    Bunches(50, 5, p=0.2, unequal=2.0),
    Bunches(200, 2, p=0.1, unequal=2.0),
    Bunches(200, 5, p=0.1, odds=3.0),
    Bunches(200, 5, p=0.1, odds=3.0, scatter=1.0),
    Bunches(500, 1, p=0.05, unequal=1.0),
    Bunches(50, 6, p=0.02, key=0.1),
    Bunches(200, 4, p=0.02, key=0.1),
    Bunches(500, 10, p=0.01, key=0.05),
]

CASES: list[Case] = [
    *map(_curve_case, CURVES),
    *map(_weibull, SHAPES),
    *map(_constant, CONSTANT),
    *map(_within, WITHIN),
    *map(_frailty, FRAIL),
    *map(_bunches, TOGETHER),
    _verdict_case(Lives(300, 5, frailty="gamma", theta=1.0), "unequal items"),
    _verdict_case(Lives(300, 5, frailty="beta", theta=1.0), "unequal items"),
    _verdict_case(Lives(300, 5, shape=0.6, h=0.05), "duration dependence"),
    _verdict_case(Lives(300, 5), "neither shown"),
]
