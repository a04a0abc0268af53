"""The vote as a random walk: answers are sampled until one is k ahead of its rival.

With one wrong rival and independent samples, each right with chance p, the lead walks between -k and k. Source:
Meyerson et al., "Solving a million-step LLM task with zero errors" (MAKER, arXiv 2511.09030); the walk: Feller, "An
Introduction to Probability Theory", vol. 1, ch. XIV.
"""

from __future__ import annotations

import numpy as np

from deadreckon.instruments.stats import Floats


def step_right(p: Floats | float, k: int) -> Floats:
    """1 / (1 + ((1-p)/p)^k): the chance that the right answer is k ahead first, p its chance in one sample."""
    p = np.asarray(p, dtype=float)
    return np.asarray(p**k / (p**k + (1 - p) ** k))


def votes_per_step(p: Floats | float, k: int) -> Floats:
    """k (2 step_right - 1) / (2p - 1): samples until one answer is k ahead; k^2 at p = 1/2."""
    p = np.asarray(p, dtype=float)
    even = np.abs(2 * p - 1) < 1e-9
    return np.where(even, float(k * k), k * (2 * step_right(p, k) - 1) / np.where(even, 1.0, 2 * p - 1))


def run_right(p: float, k: int, steps: int, together: int = 1) -> float:
    """step_right(p^m, k)^(s/m): the chance of s right steps, m of them in one vote, if every step has the same p."""
    return float(step_right(p**together, k) ** (steps / together))


def fewest_ahead(p: float, steps: int, target: float) -> float:
    """ceil[ln(target^(-1/s) - 1) / ln((1-p)/p)]: the least k that makes s steps right with chance `target`.

    inf where p is 1/2 or less: no vote helps there.
    """
    if p <= 0.5:
        return float("inf")
    if p >= 1:
        return 1.0
    return float(max(1, np.ceil(np.log(np.expm1(-np.log(target) / steps)) / np.log((1 - p) / p) - 1e-12)))


def orders(n: int, right: int, k: int) -> tuple[float, float, float]:
    """Over all orders of n answers: share with the right one k ahead first, share with none, samples used.

    `right` of the n are right. The walk goes up where the next answer is right; after s answers at height d there were
    (s + d) / 2 right ones, and the next is right with chance (right - (s + d) / 2) / (n - s).
    """
    height = np.arange(-k, k + 1)
    at = (height == 0).astype(float)
    samples = 0.0
    for s in range(n):
        inside = at[1:-1]
        samples += inside.sum()
        up = np.clip((right - (s + height[1:-1]) / 2) / (n - s), 0, 1)
        moved = np.zeros_like(at)
        moved[2:] += inside * up
        moved[:-2] += inside * (1 - up)
        moved[0] += at[0]
        moved[-1] += at[-1]
        at = moved
    return float(at[-1]), float(at[1:-1].sum()), float(samples)
