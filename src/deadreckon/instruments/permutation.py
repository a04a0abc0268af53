"""Tests of a mean difference over clusters: exact by permutation while few clusters decide, Student's t after that.

A p-value is a Reading of unit "p-value"; it has no interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.instruments.stats import LEVEL, Floats
from deadreckon.seeds import Purpose, generator, hash64

ENOUGH = 16.0  # effective clusters from which on Student's t is used
FEW = 13  # clusters whose 2**k sign patterns are all listed
DRAWS = 4999  # random patterns otherwise
ROUNDING = 1e-9  # relative; two sums that differ by less are tied
NO_INTERVAL = "a p-value has no interval"


@dataclass(frozen=True, slots=True)
class Test:
    """A p-value and how it was got."""

    p: float
    how: str

    def reading(self, quantity: str, n: int, null: str, about: tuple[str, str] = ("", "")) -> Reading:
        """As a Reading; null in words, about = (by, what else a reader needs)."""
        reason = "; ".join(filter(None, (NO_INTERVAL, about[1])))
        return Reading(quantity, "p-value", self.p, nan, nan, LEVEL, n, f"{self.how}; null: {null}", about[0], reason)


def missing_test(quantity: str, n: int, reason: str, by: str = "") -> Reading:
    """No p-value, and why."""
    return Reading(quantity, "p-value", nan, nan, nan, LEVEL, n, "none", by, reason)


def effective(d: Floats) -> float:
    """(sum d**2)**2 / sum d**4: how many of the clusters decide a sum; C/3 for C normal ones."""
    fourth = float((d**4).sum())
    return float((d**2).sum() ** 2 / fourth) if fourth > 0 else 0.0


def sign_test(d: Floats) -> Test:
    """Two-sided test that clusters' differences d (C,) are symmetric about 0: exchanging two arms flips the sign.

    With few effective clusters every pattern of signs (or 4,999 random ones) is compared with the sum seen; the t
    statistic is monotone in that sum. Otherwise Student's t with C-1 degrees of freedom. Source: Fisher, "The Design of
    Experiments" (1935), section 21; p = (b+1)/(m+1): Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010).
    """
    scale = float(np.abs(d).max(initial=0.0))
    if scale == 0:
        return Test(1.0, "sign flips over items: no item differs")
    if effective(d / scale) >= ENOUGH:
        return t_test(float(d.mean()), float(d.var(ddof=1)) / len(d), len(d) - 1.0)
    moved = d[np.abs(d) > ROUNDING * scale] / scale
    bar = abs(moved.sum()) - ROUNDING * len(moved)
    if len(moved) <= FEW:
        sums = np.zeros(1)
        for value in moved:
            sums = np.concatenate([sums + value, sums - value])
        return Test(float((np.abs(sums) >= bar).mean()), f"exact sign flips over {len(moved)} items that differ")
    rng = generator(0, hash64("sign flips"), Purpose.BOOTSTRAP)
    signs = 2.0 * rng.integers(0, 2, size=(DRAWS, len(moved)), dtype=np.int8) - 1
    more = int((np.abs(signs @ moved) >= bar).sum())
    return Test((more + 1) / (DRAWS + 1), f"{DRAWS} random sign flips over {len(moved)} items that differ")


def two_sample_test(a: Floats, b: Floats) -> Test:
    """Two-sided test that clusters' numbers a (A,) and b (B,), none shared, have one law.

    Few effective clusters of the pool: difference of means under 4,999 random relabellings; otherwise Welch's t. Which
    of the two is told by the pool alone, as a relabelling leaves it: were it told by what varies within a and b, a wide
    gap would pick its test. Source: Welch, Biometrika 34 (1947); Pitman, Suppl. J. Royal Statist. Soc. 4 (1937).
    """
    gap, pool = float(a.mean() - b.mean()), np.concatenate([a, b])
    parts = [float(v.var(ddof=1)) / len(v) for v in (a, b)]
    if effective(pool - pool.mean()) >= ENOUGH and sum(parts) > 0:
        freedom = sum(parts) ** 2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (a, b), strict=True))
        return t_test(gap, sum(parts), freedom)
    rng = generator(0, hash64("relabellings"), Purpose.BOOTSTRAP)
    totals = rng.permuted(np.tile(pool, (DRAWS, 1)), axis=1)[:, : len(a)].sum(axis=1)
    gaps = totals / len(a) - (pool.sum() - totals) / len(b)
    more = int((np.abs(gaps) >= abs(gap) - ROUNDING * np.abs(pool).max(initial=0.0)).sum())
    return Test((more + 1) / (DRAWS + 1), f"{DRAWS} random relabellings of items")


def t_test(value: float, spread: float, freedom: float) -> Test:
    """Two-sided test that `value`, of variance `spread`, is 0 in the mean: Student's t. p = 1 where value is 0."""
    t = value / np.sqrt(spread) if spread > 0 else np.sign(value) * np.inf if value else 0.0
    p = float(2 * special.stdtr(freedom, -abs(t)))
    return Test(p, f"t = {t:.3f} with {freedom:.4g} degrees of freedom over items")
