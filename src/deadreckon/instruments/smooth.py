"""Calibration error without bins: residuals smoothed by a kernel as wide as the error itself."""

from __future__ import annotations

import numpy as np
from scipy import fft

from deadreckon.contracts import Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Measure
from deadreckon.instruments.calibration import Claims, claims
from deadreckon.instruments.stats import LEVEL, Floats
from deadreckon.seeds import Purpose, generator, hash64

GRID = 512  # cells of [0, 1]
HALVINGS = 20
DRAWS = 100  # calibrated models behind the floor
METHOD = "reflected Gaussian kernel, width at its fixed point"


def on_grid(p: Floats, mass: Floats) -> Floats:
    """Mass at places p in [0, 1], shared between the two nearest of GRID cell centres: (n,) -> (GRID,)."""
    place = np.clip(p * GRID - 0.5, 0, GRID - 1)
    left = np.minimum(place.astype(np.int64), GRID - 2)
    right = place - left
    cells = np.bincount(left, weights=mass * (1 - right), minlength=GRID)
    return np.asarray(cells + np.bincount(left + 1, weights=mass * right, minlength=GRID), dtype=float)


def smoothed_error(waves: Floats, width: Floats) -> Floats:
    """smECE_s = integral over [0, 1] of |sum_i (p_i - y_i) K_s(t, p_i)| dt, K_s the Gaussian reflected at 0 and 1.

    waves (k, GRID): cosine transform of the mass of p - y by cell, of k sets of claims; width s (k,). The cosines are
    the eigenfunctions of the reflected Gaussian: K_s multiplies the j-th coefficient by exp(-(pi j s)^2 / 2).
    """
    damped = waves * np.exp(-((np.pi * np.arange(GRID) * width[:, None]) ** 2) / 2)
    return np.asarray(np.abs(fft.idct(damped, axis=1)).sum(axis=1))


def fixed_point(residual: Floats) -> Floats:
    """smECE (k,): the one width s with smECE_s = s. smECE_s falls in s, so halving finds it to 2**-HALVINGS."""
    waves = fft.dct(residual, axis=1)
    low, high = np.zeros(len(residual)), np.ones(len(residual))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        wide = smoothed_error(waves, middle) <= middle
        low, high = np.where(wide, low, middle), np.where(wide, middle, high)
    return (low + high) / 2


def _weighted(said: Claims) -> tuple[Floats, Floats, Floats]:
    """Claims, outcomes and weights (sum 1) of the judged steps."""
    weight = said.arm.weight[said.arm.rollout[said.rows]]
    return said.p[said.rows], said.right[said.rows], weight / weight.sum()


def smooth_ece(arm: Arm) -> Reading:
    """Smooth expected calibration error: the width s at which the error smoothed over s is s itself.

    See `smoothed_error`. It is never 0: `smooth_ece_floor` says what a calibrated model of the same claims would show.
    Source: Blasiok and Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing", ICLR 2024.
    """
    measure = Measure("smooth_ece", "probability", METHOD)
    try:
        p, right, weight = _weighted(claims(arm))
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    value = float(fixed_point(on_grid(p, weight * (p - right))[None, :])[0])
    reason = "no interval: it is biased upwards by an amount that its floor gives; ece_debiased has one"
    return Reading("smooth_ece", "probability", value, nan, nan, LEVEL, arm.items, METHOD, "", reason)


def smooth_ece_floor(arm: Arm) -> Reading:
    """Mean of `smooth_ece` for a calibrated model of the same claims: each step right with its claim's probability.

    DRAWS sets of outcomes, binomial in each cell of claims, steps independent: outcomes that depend on each other
    within an item raise the floor above this.
    """
    method = f"mean of {DRAWS} calibrated draws of the same claims"
    measure = Measure("smooth_ece_floor", "probability", method)
    try:
        p, _, weight = _weighted(claims(arm))
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    cell = np.minimum((p * GRID).astype(np.int64), GRID - 1)
    mass, squares, claimed = (np.bincount(cell, weights=v, minlength=GRID) for v in (weight, weight**2, weight * p))
    used = np.flatnonzero(mass)
    n = np.maximum(np.rint(mass[used] ** 2 / squares[used]), 1).astype(np.int64)
    centre = claimed[used] / mass[used]
    rng = generator(0, hash64("smooth_ece_floor"), Purpose.BOOTSTRAP)
    right = rng.binomial(n, np.clip(centre, 0, 1), size=(DRAWS, len(used))) / n
    residual = np.stack([on_grid(centre, mass[used] * (centre - share)) for share in right])
    found = fixed_point(residual)
    reason = f"a simulated mean, no interval; 95% of the draws lie below {np.quantile(found, LEVEL):.3g}"
    return Reading(
        "smooth_ece_floor", "probability", float(found.mean()), nan, nan, LEVEL, arm.items, method, "", reason
    )
