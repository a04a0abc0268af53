"""Step tables whose truth is planted: what an instrument should read is known in closed form.

Two families. `chain`: a two-state chain, right and wrong, error rate h and recovery rate g a step, h equal over
items or Beta-distributed. `pair`: two tables of the same items, for the instruments that compare.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NODES = 64  # Gauss-Jacobi nodes: exact for polynomials in h up to degree 127
CHECKPOINT = 10  # steps at which survival is read besides the end


@dataclass(frozen=True, slots=True)
class Cell:
    """One planted truth and one sample size."""

    h: float  # error rate per step, its mean over items
    g: float  # recovery rate per step
    items: int
    rollouts: int = 1
    horizon: int = 30
    unequal: float = 0.0  # 0: all items alike; else the first parameter of the Beta law of h over items
    shape: float = 1.0  # Weibull shape of first-error times, where `lifetimes` plants them

    def rates(self, rng: np.random.Generator) -> Floats:
        """(items,) error rates drawn for the items."""
        if not self.unequal:
            return np.full(self.items, self.h)
        return rng.beta(self.unequal, self.unequal * (1 - self.h) / self.h, size=self.items)

    def law(self) -> tuple[Floats, Floats]:
        """Nodes and weights of the law of h over items, for exact means."""
        if not self.unequal:
            return np.array([self.h]), np.ones(1)
        b = self.unequal * (1 - self.h) / self.h
        x, w = special.roots_jacobi(NODES, b - 1, self.unequal - 1)
        return (x + 1) / 2, w / w.sum()


def table(event: NDArray[np.str_], cell: Cell, columns: dict[str, NDArray[np.generic]]) -> pl.DataFrame:
    """A step table from (items * rollouts, horizon) arrays, every rollout run to the planned horizon."""
    rows, width = event.shape
    t = np.tile(np.arange(width, dtype=np.int32), rows)
    plain = {
        "item": np.repeat(np.arange(rows) // cell.rollouts, width),
        "rollout": np.repeat((np.arange(rows) % cell.rollouts).astype(np.int32), width),
        "t": t,
        "event": event.ravel(),
    }
    every = plain | {name: values.ravel() for name, values in columns.items()}
    last = pl.when(pl.col("t") == width - 1).then(pl.lit("horizon")).alias("stop")
    return pl.DataFrame(every).with_columns(last)


def chain(cell: Cell, rng: np.random.Generator) -> pl.DataFrame:
    """A table of the two-state chain: slip out of the true state, mend back into it, right otherwise."""
    rate = np.repeat(cell.rates(rng), cell.rollouts)
    u = rng.random((len(rate), cell.horizon))
    on = np.ones(len(rate), dtype=bool)
    state = np.empty(u.shape, dtype=bool)
    event = np.full(u.shape, "right")
    for t in range(cell.horizon):
        slip, mend = on & (u[:, t] < rate), ~on & (u[:, t] < cell.g)
        event[slip, t], event[mend, t] = "slip", "mend"
        on = (on & ~slip) | mend
        state[:, t] = on
    return table(event, cell, {"true_state": state})


def chain_truth(cell: Cell) -> dict[str, float]:
    """Each quantity's planted truth, exact under the law of h over items.

    S(n) = E[(1-h)^n]; pooled rates are ratios of expected counts; occupancy follows
    p(t+1) = p(t) (1-h) + (1-p(t)) g from p(0) = 1.
    """
    h, weight = cell.law()
    n = np.arange(cell.horizon + 1)
    alive = (weight[:, None] * (1 - h[:, None]) ** n).sum(axis=0)
    p = np.ones(len(h))
    on = np.zeros(len(h))
    for _ in range(cell.horizon):
        on += p
        p = p * (1 - h) + (1 - p) * cell.g
    error = float((weight * h * on).sum() / (weight * on).sum())
    return {
        "survival": float(alive[-1]),
        f"survival@{CHECKPOINT}": float(alive[CHECKPOINT]),
        "incidence_error": float(1 - alive[-1]),
        "hazard": float((1 - alive[-1]) / alive[:-1].sum()),
        "error_rate": error,
        "recovery_rate": cell.g,
        "occupancy": float((weight * p).sum()),
        "occupancy_law": cell.g / (cell.g + error),
        "horizon_50": _reach(cell, 0.5),
        "horizon_80": _reach(cell, 0.8),
    }


def _reach(cell: Cell, q: float) -> float:
    h, weight = cell.law()
    n = np.arange(1, 100_000)
    for block in np.array_split(n, 100):
        alive = (weight[:, None] * (1 - h[:, None]) ** block).sum(axis=0)
        if (alive <= q).any():
            return float(block[np.argmax(alive <= q)])
    return float("inf")


ALIKE = 0.5  # correlation of the rollouts of an item in `lifetimes`, on the normal scale


def lifetimes(cell: Cell, rng: np.random.Generator) -> pl.DataFrame:
    """First errors at discrete Weibull times with scale 1/h; an item's rollouts share half of their luck.

    A Gaussian copula keeps the law of each rollout exact while rollouts of an item depend on each other.
    """
    shared = np.repeat(rng.standard_normal(cell.items), cell.rollouts)
    z = ALIKE**0.5 * shared + (1 - ALIKE) ** 0.5 * rng.standard_normal(len(shared))
    time = np.ceil((-special.log_ndtr(z)) ** (1 / cell.shape) / cell.h)
    step = np.arange(1, cell.horizon + 1)
    return table(np.where(step == time[:, None], "slip", "right"), cell, {})


def lifetimes_truth(cell: Cell) -> dict[str, float]:
    """Truths of `lifetimes`: S(n) = exp(-(n h)^shape)."""
    alive = np.exp(-((np.arange(cell.horizon + 1) * cell.h) ** cell.shape))
    return {
        "weibull_shape": cell.shape,
        "survival": float(alive[-1]),
        f"survival@{CHECKPOINT}": float(alive[CHECKPOINT]),
        "hazard": float((1 - alive[-1]) / alive[:-1].sum()),
        "horizon_50": float(np.ceil(np.log(2) ** (1 / cell.shape) / cell.h)),
    }


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tables of the same items. The second is under the rule repair, except for `kind` = "injected"."""

    free: pl.DataFrame
    forced: pl.DataFrame


SLOPE = 3.0  # how many times likelier an error is at the last step than at the first
BREEDS = 2.0  # how many times likelier an error is after an injected one
EXCESS = 1.5  # free-running loss over teacher-forced loss
MISPLACED = 0.1  # confidence above the share right


def _ramp(cell: Cell) -> Floats:
    """(horizon,) a factor on h that grows along the rollout, with mean 1."""
    line = np.linspace(1.0, SLOPE, cell.horizon)
    ramp: Floats = line / line.mean()
    return ramp


def single_answer(cell: Cell, rng: np.random.Generator) -> Pair:
    """One answer is right: the free run's hazard is the teacher-forced error of the same item and step."""
    rate = np.repeat(cell.rates(rng), cell.rollouts)
    wrong = np.clip(rate[:, None] * _ramp(cell), 0, 1)
    events = [np.where(rng.random(wrong.shape) < wrong, "slip", "right") for _ in range(2)]
    return Pair(table(events[0], cell, {}), table(events[1], cell, {"right_mass": 1 - wrong}))


def single_answer_truth(cell: Cell) -> dict[str, float]:
    """Truths of `single_answer`; the mixed gap is 0 whatever the items are like."""
    h, weight = cell.law()
    wrong = np.clip(h[:, None] * _ramp(cell), 0, 1)
    e_t = (weight[:, None] * wrong).sum(axis=0)
    n = CHECKPOINT
    alive = float((weight * np.prod(1 - wrong[:, :n], axis=1)).sum())
    constant, by_step = float((1 - e_t.mean()) ** n), float(np.prod(1 - e_t[:n]))
    return {
        "teacher_forced_error": float(e_t.mean()),
        "teacher_forced_error_exact": float(e_t.mean()),
        f"survival_constant@{n}": constant,
        f"survival_by_step@{n}": by_step,
        f"survival_mixed@{n}": alive,
        "survival_gap_constant": alive - constant,
        "survival_gap_by_step": alive - by_step,
        "survival_gap_mixed": 0.0,
    }


def intervention(cell: Cell, rng: np.random.Generator) -> Pair:
    """The same rollouts with an error injected at step 4 (`free`) and healed there (`forced`), five own steps after."""
    rate = np.repeat(cell.rates(rng), cell.rollouts)
    pair = []
    for factor, kind in ((BREEDS, "injected"), (1.0, "healed")):
        wrong = np.tile(np.clip(rate * factor, 0, 1)[:, None], (1, 10))
        event = np.where(rng.random(wrong.shape) < wrong, "slip", "right")
        forced = np.full(wrong.shape, "healed", dtype="<U8")
        forced[:, 5:] = ""
        forced[:, 4] = kind
        event[:, :5] = "right"
        pair.append(table(event, cell, {"forced": forced}))
    return Pair(pair[0], pair[1])


def intervention_truth(cell: Cell) -> dict[str, float]:
    """Truths of `intervention`."""
    gap = (BREEDS - 1) * cell.h
    return {"self_conditioning": gap, "self_conditioning_first": gap, "self_conditioning_ratio": BREEDS}


def losses(cell: Cell, rng: np.random.Generator) -> Pair:
    """Exact KL per step: Gamma over items, Gamma over steps; the free run's is EXCESS times as large."""
    base = np.repeat(cell.rates(rng), cell.rollouts)[:, None]
    pair = []
    for factor in (EXCESS, 1.0):
        kl = factor * base * rng.gamma(0.5, 2.0, size=(len(base), cell.horizon))
        pair.append(table(np.full(kl.shape, "right"), cell, {"kl_pq": kl}))
    return Pair(pair[0], pair[1])


def losses_truth(cell: Cell) -> dict[str, float]:
    """Truths of `losses`."""
    return {
        "kl_free_running": EXCESS * cell.h,
        "kl_teacher_forced": cell.h,
        "excess_accumulated_error": 100 * (EXCESS - 1),
    }


def claims(cell: Cell, rng: np.random.Generator) -> Pair:
    """Confidence MISPLACED above the chance of being right (`free`), and equal to it (`forced`)."""
    centre = 1 - np.repeat(cell.rates(rng), cell.rollouts)[:, None]
    pair = []
    for shift in (MISPLACED, 0.0):
        p = np.clip(centre * rng.uniform(0.5, 0.9, size=(len(centre), cell.horizon)), 0, 1)
        event = np.where(rng.random(p.shape) < p, "right", "slip")
        pair.append(table(event, cell, {"confidence": p + shift}))
    return Pair(pair[0], pair[1])


def claims_truth(cell: Cell) -> dict[str, float]:
    """Truths of `claims`: E[(p+d-y)^2] = E[p(1-p)] + d^2, p = (1-h) U on (0.5, 0.9)."""
    h, weight = cell.law()
    first = float((weight * (1 - h)).sum()) * 0.7
    second = float((weight * (1 - h) ** 2).sum()) * (0.9**3 - 0.5**3) / (3 * 0.4)
    noise = first - second
    return {
        "brier": noise + MISPLACED**2,
        "ece_debiased": MISPLACED,
        "brier/calibrated": noise,
        "ece_debiased/calibrated": 0.0,
    }
