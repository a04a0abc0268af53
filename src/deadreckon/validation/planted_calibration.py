"""Planted claims: known miscalibration by temperature, and binormal claims of known AUROC.

Step t of item i has log odds z = mean + spread N(0, 1) of being right; claims of the same item are correlated, and so
are the outcomes given them (Gaussian copula, correlation `alike`). Truths are means over a fine grid of quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from deadreckon.contracts import Reading
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.instruments.calibration import BINS
from deadreckon.validation.case import Case

Floats = NDArray[np.float64]

NODES = 20_000  # quantiles behind a truth


@dataclass(frozen=True, slots=True)
class Claimed:
    """Items, steps of each, correlation within items; log odds of being right; claim = expit(heat * log odds)."""

    items: int
    steps: int = 10
    alike: float = 0.0
    mean: float = 1.0
    spread: float = 1.0
    heat: float = 1.0  # above 1: claims are too extreme; the inverse of a temperature

    def normals(self, rng: np.random.Generator) -> Floats:
        """(items, steps) standard normals, correlated within an item."""
        shared = rng.standard_normal((self.items, 1))
        own = rng.standard_normal((self.items, self.steps))
        return np.asarray(self.alike**0.5 * shared + (1 - self.alike) ** 0.5 * own)

    def __str__(self) -> str:
        return (
            f"items={self.items} steps={self.steps} alike={self.alike} mean={self.mean} spread={self.spread} "
            f"heat={self.heat}"
        )


def _table(right: NDArray[np.bool_], claim: Floats) -> pl.DataFrame:
    items, steps = right.shape
    t = np.tile(np.arange(steps), items)
    frame = {
        "item": np.repeat(np.arange(items), steps),
        "rollout": np.zeros(items * steps, dtype=np.int64),
        "t": t,
        "event": np.where(right, "right", "slip").ravel(),
        "confidence": claim.ravel(),
        "stop": np.where(t == steps - 1, "horizon", ""),
    }
    return pl.DataFrame(frame).with_columns(pl.col("stop").replace("", None))


def tempered(plan: Claimed, rng: np.random.Generator) -> pl.DataFrame:
    """Claims expit(heat z) of steps that are right with probability expit(z)."""
    z = plan.mean + plan.spread * plan.normals(rng)
    right = special.ndtr(plan.normals(rng)) < special.expit(z)
    return _table(right, special.expit(plan.heat * z))


def tempered_truth(plan: Claimed) -> dict[str, float]:
    """Exact parts, z by quantiles: bins of equal mass, AUROC, AURC = E[e (-ln s)], s the coverage at z."""
    u = (np.arange(NODES) + 0.5) / NODES
    z = plan.mean + plan.spread * special.ndtri(u)
    p, claim = special.expit(z), special.expit(plan.heat * z)
    rate = float(p.mean())
    right, claimed = (v.reshape(BINS, -1).mean(axis=1) for v in (p, claim))
    below = np.cumsum(1 - p) - (1 - p) / 2  # weight of wrong steps claimed less
    area = float(((1 - p) * -np.log1p(-u)).mean())
    reliability = float(((claimed - right) ** 2).mean())
    return {
        "brier": float(((claim - p) ** 2 + p * (1 - p)).mean()),
        "brier_uncertainty": rate * (1 - rate),
        "ece_debiased": reliability**0.5,
        "overconfidence": float(claim.mean()) - rate,
        "auroc": float(p @ below / (p.sum() * (1 - p).sum())),
        "aurc": area,
        "aurc_excess": area - ((1 - rate) + rate * float(np.log(rate))),
    }


def sample_tempered(plan: Claimed, rng: np.random.Generator) -> dict[str, Reading]:
    """One replicate."""
    arm = read(tempered(plan, rng), "accept")
    return {name: INSTRUMENTS[name](arm) for name in tempered_truth(plan)}


def binormal(plan: Claimed, apart: float, rng: np.random.Generator) -> pl.DataFrame:
    """Claims expit(N(apart, 1)) where right and expit(N(0, 1)) where wrong; right with probability expit(mean)."""
    right = special.ndtr(plan.normals(rng)) < special.expit(plan.mean)
    return _table(right, special.expit(apart * right + plan.normals(rng)))


def binormal_truth(apart: float) -> dict[str, float]:
    """AUROC = Phi(apart / sqrt 2)."""
    return {"auroc": float(special.ndtr(apart / 2**0.5))}


def sample_binormal(plan: Claimed, apart: float, rng: np.random.Generator) -> dict[str, Reading]:
    """One replicate."""
    return {"auroc": INSTRUMENTS["auroc"](read(binormal(plan, apart, rng), "accept"))}


EDGE = frozenset({"ece_debiased"})  # a norm: it ends at 0
EXACT = frozenset({"brier", "brier_uncertainty"})  # Clopper-Pearson


def _tempered_case(plan: Claimed) -> Case:
    sample, truth = partial(sample_tempered, plan), tempered_truth(plan)
    return Case("calibration", str(plan), plan.items, sample, truth, discrete=EDGE | EXACT)


def _binormal_case(plan: Claimed, apart: float) -> Case:
    sample = partial(sample_binormal, plan, apart)
    return Case("binormal", f"{plan} apart={apart}", plan.items, sample, binormal_truth(apart))


CASES: list[Case] = [
    _tempered_case(Claimed(20, alike=0.15, heat=1.5)),
    _tempered_case(Claimed(60)),
    _tempered_case(Claimed(60, alike=0.3, heat=2.0)),
    _tempered_case(Claimed(60, 5, mean=3.0, heat=0.7)),
    _tempered_case(Claimed(200, alike=0.15, mean=2.0, heat=1.3)),
    _tempered_case(Claimed(200, 20, alike=0.3)),
    _tempered_case(Claimed(2000, 5, mean=3.5, spread=0.7, heat=1.2)),
    _binormal_case(Claimed(20, alike=0.15), 1.0),
    _binormal_case(Claimed(60), 0.0),
    _binormal_case(Claimed(60, alike=0.3), 1.5),
    _binormal_case(Claimed(200, mean=3.0, alike=0.15), 2.0),
    _binormal_case(Claimed(2000, 1, mean=2.0), 1.0),
]
