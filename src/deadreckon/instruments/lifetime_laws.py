"""Laws of how long a run lasts, fitted to what is known of each: that it ended between two lengths, or after one.

A first error in step n is an end in (n-1, n], a rollout censored after n steps an end in (n, inf]. One run of an item
of length L is an end in (L, inf] where it succeeds and in (0, L] where it fails (current-status data).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Bools, Ints
from deadreckon.instruments.laws import Law, at_survival, cumulative
from deadreckon.instruments.outcomes import Outcomes
from deadreckon.instruments.stats import Estimate, Floats
from deadreckon.instruments.survival import FirstErrors
from deadreckon.instruments.time_horizon import published_weights

FEWEST = 25  # ends and survivals that a law is fitted to, each
ITERATIONS, LARGEST_STEP, SETTLED = 100, 1.0, 1e-10
DIFFERENCE = 1e-4  # of a parameter, for third derivatives


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Where each run ended: in (after, by]. by = inf: later than it was watched."""

    after: Floats  # (n,) from 0
    by: Floats  # (n,)
    weight: Floats  # (n,)
    cluster: Ints  # (n,)
    clusters: int

    def only(self, which: Bools) -> Ends:
        """Some of the runs, clusters numbered as before."""
        return Ends(self.after[which], self.by[which], self.weight[which], self.cluster[which], self.clusters)


def ends_of_steps(first: FirstErrors) -> Ends:
    """The first errors of a step table."""
    used = first.length > 0
    length = first.length[used].astype(float)
    failed = first.failed[used]
    return Ends(
        np.where(failed, length - 1, length),
        np.where(failed, length, np.inf),
        first.arm.weight[used],
        first.arm.home[used],
        first.arm.clusters,
    )


def ends_of_outcomes(outcomes: Outcomes) -> Ends:
    """The runs of an outcome table with the published weights; what is both a success and a failure is two rows."""
    length = outcomes.length[outcomes.item]
    weight = (published_weights(outcomes) / outcomes.runs)[outcomes.item] * len(length)
    cluster = outcomes.family[outcomes.item]
    won, lost = outcomes.success > 0, outcomes.success < 1
    return Ends(
        np.concatenate([length[won], np.zeros(int(lost.sum()))]),
        np.concatenate([np.full(int(won.sum()), np.inf), length[lost]]),
        np.concatenate([(weight * outcomes.success)[won], (weight * (1 - outcomes.success))[lost]]),
        np.concatenate([cluster[won], cluster[lost]]),
        outcomes.clusters,
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A law of `laws` at z = shape ln t - c."""

    law: Law
    c: float
    shape: float
    influence: Floats  # (C, 2) of c and shape
    clusters: int  # that carry information
    bias: float  # of shape, to second order

    def log_shape(self) -> Estimate:
        """ln shape, freed of the shape's leading bias: the likeliest shape is too far from 0 where runs are few."""
        value = float(np.log(self.shape)) - self.bias / self.shape
        return Estimate(value, self.influence[:, 1] / self.shape, self.clusters)

    def log_horizon(self, q: float) -> Estimate:
        """ln t_q, S(t_q) = q."""
        value = (at_survival(self.law, q) + self.c) / self.shape
        influence = (self.influence[:, 0] - value * self.influence[:, 1]) / self.shape
        return Estimate(float(value), influence, self.clusters)


def fit_law(ends: Ends, law: Law, fewest: int = FEWEST) -> Fitted:
    """Weighted maximum likelihood, sum_r w_r ln[S(after_r) - S(by_r)], by Newton's method.

    Influence by cluster: the one-step jackknife, -(H - H_i)^-1 s_i with s_i and H_i a cluster's score and Hessian.
    Source: interval-censored likelihood, Turnbull, J. Royal Statistical Society B 38 (1976); jackknife: Bell and
    McCaffrey, Survey Methodology 28 (2002). Raises NotEstimable where fewer than `fewest` runs ended, or lasted a
    while, and where no maximum exists.
    """
    _enough(ends, fewest)
    free = slice(0, 1) if law == "exponential" else slice(0, 2)
    at = np.array([_start(ends), 1.0])
    for _ in range(ITERATIONS):
        score, hessian = _derivatives(ends, law, at)
        s, h = score.sum(axis=0)[free], hessian.sum(axis=0)[free, free]
        if np.abs(s).max() < SETTLED * len(ends.by):
            break
        step = np.linalg.solve(-_negative(h), s)
        at[free] += step * min(1.0, LARGEST_STEP / float(np.abs(step).max()))
    else:
        raise NotEstimable(f"the {law} likelihood has no inner maximum")
    if at[1] <= 0.02:
        raise NotEstimable(f"success does not fall with length: no {law} law fits")
    s, h = (_by_cluster(part, ends) for part in (score, hessian))
    influence, bias = _influence(ends, s, h, free), 0.0 if law == "exponential" else _shape_bias(ends, law, at, s, h)
    return Fitted(law, float(at[0]), float(at[1]), influence, _informed(ends), bias)


def _enough(ends: Ends, fewest: int) -> None:
    failed, lasted = int(np.isfinite(ends.by).sum()), int((ends.after > 0).sum())
    if min(failed, lasted) < fewest:
        raise NotEstimable(f"{failed} runs ended and {lasted} lasted a while: a law needs {fewest} of each")


def _informed(ends: Ends) -> int:
    return int(np.unique(ends.cluster).size)


def _start(ends: Ends) -> float:
    """c of the exponential law whose mean is about what was watched for each end."""
    watched = np.where(np.isfinite(ends.by), ends.by, ends.after)
    failed = np.isfinite(ends.by)
    return float(np.log((watched * ends.weight).sum() / (ends.weight * failed).sum()))


def _negative(h: Floats) -> Floats:
    """The Hessian, made negative definite where it is not (far from the maximum)."""
    value, vector = np.linalg.eigh(h)
    safe: Floats = (vector * -np.maximum(np.abs(value), 1e-8)) @ vector.T
    return safe


def _by_cluster(part: Floats, ends: Ends) -> Floats:
    totals = np.zeros((ends.clusters, *part.shape[1:]))
    np.add.at(totals, ends.cluster, part)
    return totals


def _influence(ends: Ends, score: Floats, hessian: Floats, free: slice) -> Floats:
    rest = -(hessian.sum(axis=0) - hessian)[:, free, free]
    if not np.isfinite(rest).all() or (np.linalg.eigvalsh(rest)[:, 0] <= 1e-9 * len(ends.by)).any():
        raise NotEstimable("one item or family alone decides the fit: more are needed")
    influence = np.zeros((ends.clusters, 2))
    influence[:, free] = np.linalg.solve(rest, score[:, free, None])[:, :, 0]
    return influence


def _shape_bias(ends: Ends, law: Law, at: Floats, score: Floats, hessian: Floats) -> float:
    """Of the shape, to second order: the second entry of Q (sum_i H_i d_i + T [sum_i d_i d_i'] / 2).

    Q = -H^-1, d_i = Q s_i; s_i, H_i scores and Hessians by cluster, T the third derivatives of all (by differences).
    Source: Rilstone, Srivastava and Ullah, Journal of Econometrics 75 (1996), proposition 3.2.
    """
    total = hessian.sum(axis=0)
    moved = -np.linalg.solve(total, score.T).T
    third = np.zeros((2, 2, 2))
    for j in range(2):
        by = np.zeros(2)
        by[j] = DIFFERENCE * max(1.0, abs(float(at[j])))
        sides = [_derivatives(ends, law, at + sign * by)[1].sum(axis=0) for sign in (1, -1)]
        third[:, :, j] = (sides[0] - sides[1]) / (2 * by[j])
    bend = np.einsum("ijk,jk->i", third, moved.T @ moved) / 2
    return float(-np.linalg.solve(total, (hessian @ moved[:, :, None])[:, :, 0].sum(axis=0) + bend)[1])


def _derivatives(ends: Ends, law: Law, at: Floats) -> tuple[Floats, Floats]:
    """Weighted first (n, 2) and second (n, 2, 2) derivatives of each run's log-likelihood at (c, shape)."""
    (s0, _, f0, g0, x0), (s1, done, f1, g1, x1) = (_side(t, law, at) for t in (ends.after, ends.by))
    chance = np.where(ends.after > 0, s0 - s1, done)
    chance = np.maximum(chance, 1e-300)[:, None]
    first = (f1[:, None] * x1 - f0[:, None] * x0) / chance
    second = (_outer(g1, x1) - _outer(g0, x0)) / chance[:, :, None] - first[:, :, None] * first[:, None, :]
    return first * ends.weight[:, None], second * ends.weight[:, None, None]


def _side(t: Floats, law: Law, at: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """At each t: S, 1 - S to all digits, f = -dS/dz, df/dz, and dz/d(c, shape)."""
    inside = (t > 0) & np.isfinite(t)
    log_t = np.log(np.where(inside, t, 1.0))
    z = np.clip(at[1] * log_t - at[0], -700, 700 if law == "loglogistic" else 6.5)
    h, slope, bend = cumulative(law, z)
    s, done = np.exp(-h), -np.expm1(-h)
    f, g = s * slope, s * (bend - slope**2)
    s = np.where(inside, s, np.where(t > 0, 0.0, 1.0))
    gradient = np.stack([-np.ones_like(log_t), log_t], axis=1)
    return s, np.where(inside, done, 1 - s), np.where(inside, f, 0.0), np.where(inside, g, 0.0), gradient


def _outer(scale: Floats, x: Floats) -> Floats:
    product: Floats = scale[:, None, None] * x[:, :, None] * x[:, None, :]
    return product
