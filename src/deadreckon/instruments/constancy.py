"""Is the first-error hazard constant? Its pieces, and two tests that see different departures."""

from __future__ import annotations

import numpy as np
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Measure, curve
from deadreckon.instruments.fitted import estimates
from deadreckon.instruments.hazard import RATE
from deadreckon.instruments.shape import FEWEST, in_pieces, pieces
from deadreckon.instruments.stats import LEVEL, Floats, proportion_interval, variance
from deadreckon.instruments.survival import NO_STEPS, first_errors

NO_INTERVAL = "a p-value has no interval"
EXPECTED = 10.0  # first errors expected in a cell
ITEMS_PER_CELL = 10  # items for each degree of freedom


def p_value(measure: Measure, arm: Arm, p: float, reason: str = "") -> Reading:
    """A test as a reading."""
    told = f"{reason}; {NO_INTERVAL}" if reason else NO_INTERVAL
    return Reading(measure.quantity, "p-value", p, nan, nan, LEVEL, arm.items, measure.method, "", told)


def hazard_piecewise(arm: Arm) -> Reading:
    """First-error hazard in pieces of steps that double in length (1, 2-3, 4-7, ...); the value is the last piece's.

        h_b = sum_{t in b} d_t / sum_{t in b} y_t

    The curve has x = each piece's first step. Pieces come from `shape.pieces`: by length, never by the errors.
    """
    measure = Measure("hazard_piecewise", "errors per step at risk", RATE)
    first = first_errors(arm)
    if not first.reach:
        return measure.missing(arm, NO_STEPS)
    try:
        cuts = pieces(first.reach)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    d, y = (in_pieces(values, cuts) for values in first.counts())
    total, present = y.sum(axis=0), (y > 0).sum(axis=0)
    h = d.sum(axis=0) / total
    ends = proportion_interval(h, variance((d - h * y) / total, present), present, total, present.astype(float))
    points = curve("from step", np.array(cuts, dtype=float), h, ends, present)
    last = f"steps {cuts[-1]} to {first.reach}"
    return measure.reading(arm, h[-1], (ends[0][-1], ends[1][-1]), last, points)


def constancy_weibull(arm: Arm) -> Reading:
    """Test of a constant pooled hazard against a monotone one: log k = 0 in the discrete Weibull law.

    t = log k / se(log k) with the leave-one-item-out variance, Student's t with clusters - 1 degrees of freedom.
    """
    measure = Measure("constancy_weibull", "p-value", "t of log k over items; null: Weibull shape 1")
    try:
        log_k = estimates(first_errors(arm), "weibull", 0)[1][1]
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    if not log_k.variance > 0:
        return measure.missing(arm, "nothing varies between items" if arm.items > 1 else "one item: no variance")
    t = log_k.value / np.sqrt(log_k.variance)
    p = 2 * float(special.stdtr(log_k.clusters - 1, -abs(t)))
    return p_value(measure, arm, p, f"shape {np.exp(log_k.value):.3g}")


def constancy_by_step(arm: Arm) -> Reading:
    """Test of a constant pooled hazard against one hazard a step: any departure, monotone or not.

        z_ib = (d_ib - h y_ib) / sqrt(h (1 - h) Y_b),  X2 = sum_b (sum_i z_ib)^2,
        V = C / (C-1) sum_i (z_i - mean z)(z_i - mean z)',  a2 = q tr(V^2) / tr(V)^2 - 1,
        X2 / tr V ~ F(q / (1 + a2), (C-1) q / (1 + a2))

    b cells of steps, h the single hazard, Y_b at risk in all, z free of what h itself takes up, q = cells - 1, C
    clusters. V is used by its traces alone and never inverted, so that many cells of few errors do no harm; tr(V^2)
    leaves each item's own square out. A step is a cell of its own while 10 first errors are expected in it under h and
    items suffice (10 a degree of freedom); otherwise neighbours are pooled: by numbers at risk alone, never by where
    the errors fell. Source: Pearson's X2 for clusters, second-order correction, Rao and Scott, JASA 76 (1981), and its
    F, Thomas and Rao, JASA 82 (1987); h robust to the design, Boos, American Statistician 46 (1992).
    """
    measure = Measure("constancy_by_step", "p-value", "Pearson's X2, Rao-Scott F; null: one hazard for every step")
    first = first_errors(arm)
    failures = int(first.failed.sum())
    if failures < FEWEST:
        return measure.missing(arm, f"{failures} first errors: the test needs {FEWEST} or more")
    d, y = first.counts()
    present = y[:, 0] > 0
    d, y = d[present], y[present]
    cuts = cells(y, d.sum() / y.sum())
    if len(cuts) < 2:
        return measure.missing(
            arm, f"{len(d)} items and {failures} first errors make one cell of steps: nothing to test"
        )
    return _pearson(measure, arm, in_pieces(d, cuts), in_pieces(y, cuts), cuts)


def cells(at_risk: Floats, h: float) -> tuple[int, ...]:
    """First steps of the cells: closed from the front as soon as enough errors are expected in them."""
    expected = at_risk.sum(axis=0) * h
    most = max(len(at_risk) // ITEMS_PER_CELL, 1)
    need = max(EXPECTED, float(expected.sum()) / (most + 1))
    starts, inside = [1], 0.0
    for step, more in enumerate(expected, 1):
        if inside >= need and expected[step - 1 :].sum() >= need:
            starts.append(step)
            inside = 0.0
        inside += float(more)
    return tuple(starts)


def _pearson(measure: Measure, arm: Arm, d: Floats, y: Floats, cuts: tuple[int, ...]) -> Reading:
    h, total = d.sum() / y.sum(), y.sum(axis=0)
    left = d - h * y
    z = (left - total / y.sum() * left.sum(axis=1, keepdims=True)) / np.sqrt(h * (1 - h) * total)
    c, q = len(z), len(cuts) - 1
    u = z - z.mean(axis=0)
    scale = c / (c - 1) if c > 1 else nan
    trace = scale * float((u**2).sum())
    if not trace > 0:
        return measure.missing(arm, f"{c} items vary too little to test {q + 1} cells of steps")
    square = scale**2 * float(((u.T @ u) ** 2).sum() - ((u**2).sum(axis=1) ** 2).sum())
    freedom = min(q, trace**2 / square) if square > 0 else q
    p = float(special.fdtrc(freedom, (c - 1) * freedom, float((z.sum(axis=0) ** 2).sum()) / trace))
    return p_value(measure, arm, p, f"{q + 1} cells of steps, the last from {cuts[-1]}")


def constancy(arm: Arm) -> Reading:
    """Whether a constant hazard can stand: both tests at once, p = min(1, 2 min(p_shape, p_step)) (Bonferroni).

    A shape near 1 is not a constant hazard: a hazard that rises and falls may have one. Only where neither test speaks
    against it does the reason say that a half-life may be quoted.
    """
    measure = Measure("constancy", "p-value", "both constancy tests, Bonferroni; null: constant hazard")
    tests = [constancy_weibull(arm), constancy_by_step(arm)]
    for test in tests:
        if np.isnan(test.value):
            return measure.missing(arm, f"{test.quantity} is not estimable: {test.reason}")
    p = min(1.0, 2 * min(test.value for test in tests))
    return p_value(measure, arm, p, verdict(tests[0], tests[1]))


def verdict(shape: Reading, step: Reading) -> str:
    """What the two tests say together, in words; each is held against half of 5%."""
    told = f"shape p = {shape.value:.3g}, steps p = {step.value:.3g}"
    against = [test.value < (1 - LEVEL) / 2 for test in (shape, step)]
    if not any(against):
        return f"no test speaks against a constant hazard ({told}): a half-life may be quoted"
    which = {(True, True): "by shape and by step", (True, False): "by shape", (False, True): "by step, not by shape"}
    return f"not constant {which[against[0], against[1]]} ({told}): quote no half-life"
