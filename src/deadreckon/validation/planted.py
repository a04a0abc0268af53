"""Step tables whose truth is planted: what an instrument should read is known in closed form.

`chain`: a two-state chain, right and wrong, error rate h and recovery rate g a step, h equal over items or
Beta-distributed. `lifetimes`: Weibull first errors. The others are pairs: two tables of the same items, for the
instruments that compare. More laws: planted_ends, planted_returns, planted_drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NODES = 64  # Gauss-Jacobi nodes: exact for polynomials in h up to degree 127
CHECKPOINT = 10  # steps at which survival is read besides the end
RIGHT, SLIP, MEND = 0, 1, 2
EVENTS = pl.Series(["right", "slip", "mend"])  # by their codes

Codes = NDArray[np.int8]


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
    censored: float = 0.0  # share of the rollouts whose planned end is uniform on 1 ... horizon-1 instead of horizon

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

    def followed(self) -> Floats:
        """(horizon,) P(a rollout's planned end is at step t or later), t = 1 ... horizon."""
        return 1 - self.censored * np.arange(self.horizon) / max(self.horizon - 1, 1)


def first_parameter(h: float, correlation: float) -> float:
    """`Cell.unequal` that correlates the steps of an item so much: a + b + 1 = 1 / correlation and a = h (a + b)."""
    return h * (1 / correlation - 1) if correlation else 0.0


def table(event: NDArray[np.str_] | Codes, cell: Cell, columns: Mapping[str, NDArray[np.generic]]) -> pl.DataFrame:
    """A step table from (items * rollouts, horizon) arrays of events or their codes, all run to the planned horizon."""
    rows, width = event.shape
    t = np.tile(np.arange(width, dtype=np.int32), rows)
    flat = event.ravel()
    plain = {
        "item": np.repeat(np.arange(rows) // cell.rollouts, width),
        "rollout": np.repeat((np.arange(rows) % cell.rollouts).astype(np.int32), width),
        "t": t,
        "event": EVENTS.gather(pl.Series(flat).cast(pl.UInt32)) if flat.dtype.kind in "iu" else flat,
    }
    every = plain | {name: values.ravel() for name, values in columns.items()}
    last = pl.when(pl.col("t") == width - 1).then(pl.lit("horizon")).alias("stop")
    return pl.DataFrame(every).with_columns(last)


def end_early(frame: pl.DataFrame, length: NDArray[np.int64], stop: NDArray[np.str_]) -> pl.DataFrame:
    """The table with every rollout (in its order) ended after `length` steps by `stop`."""
    rows, width = len(length), len(frame) // len(length)
    last = np.repeat(length, width) - 1
    why = pl.Series(np.unique(stop)).gather(np.repeat(np.unique(stop, return_inverse=True)[1], width))
    ended = frame.with_columns(stop=pl.when(pl.col("t") == pl.Series(last)).then(why))
    return ended.filter(pl.col("t") <= pl.Series(last)) if rows else ended


def censor(frame: pl.DataFrame, cell: Cell, rng: np.random.Generator) -> pl.DataFrame:
    """The table with the planned ends of `Cell.censored`."""
    if not cell.censored:
        return frame
    rows = cell.items * cell.rollouts
    early = rng.random(rows) < cell.censored
    length = np.where(early, rng.integers(1, cell.horizon, rows), cell.horizon)
    return end_early(frame, length, np.full(rows, "horizon"))


def chain(cell: Cell, rng: np.random.Generator) -> pl.DataFrame:
    """A table of the two-state chain: slip out of the true state, mend back into it, right otherwise."""
    rate = np.repeat(cell.rates(rng), cell.rollouts)
    u = rng.random((len(rate), cell.horizon))
    on = np.ones(len(rate), dtype=bool)
    state = np.empty(u.shape, dtype=bool)
    event = np.full(u.shape, RIGHT, dtype=np.int8)
    for t in range(cell.horizon):
        slip, mend = on & (u[:, t] < rate), ~on & (u[:, t] < cell.g)
        event[slip, t], event[mend, t] = SLIP, MEND
        on = (on & ~slip) | mend
        state[:, t] = on
    return censor(table(event, cell, {"true_state": state}), cell, rng)


def chain_truth(cell: Cell) -> dict[str, float]:
    """Each quantity's planted truth, exact under the law of h over items.

    S(n) = E[(1-h)^n]; pooled rates are ratios of expected counts; occupancy follows
    p(t+1) = p(t) (1-h) + (1-p(t)) g from p(0) = 1. Where ends are early the last step is nobody's in particular:
    survival, incidence and occupancy there are left out.
    """
    h, weight = cell.law()
    alive = (weight[:, None] * (1 - h[:, None]) ** np.arange(cell.horizon + 1)).sum(axis=0)
    p = np.ones(len(h))
    on = np.zeros(len(h))
    for there in cell.followed():
        on += there * p
        p = p * (1 - h) + (1 - p) * cell.g
    error = float((weight * h * on).sum() / (weight * on).sum())
    at_the_end = {"survival": float(alive[-1]), "incidence_error": float(1 - alive[-1])}
    return ({} if cell.censored else at_the_end | {"occupancy": float((weight * p).sum())}) | {
        f"survival@{CHECKPOINT}": float(alive[CHECKPOINT]),
        "hazard": _pooled(alive, cell),
        "error_rate": error,
        "recovery_rate": cell.g,
        "occupancy_law": cell.g / (cell.g + error),
        "horizon_50": _reach(cell, 0.5),
        "horizon_80": _reach(cell, 0.8),
    }


def _pooled(alive: Floats, cell: Cell) -> float:
    """First errors over steps at risk, from S(0) ... S(horizon)."""
    return float(cell.followed() @ -np.diff(alive) / (cell.followed() @ alive[:-1]))


def _reach(cell: Cell, q: float) -> float:
    """min{n: S(n) <= q}, by doubling and halving; inf where it is beyond 100,000 steps."""
    h, weight = cell.law()
    high = 1
    while float(weight @ (1 - h) ** high) > q:
        high *= 2
        if high > 100_000:
            return float("inf")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if float(weight @ (1 - h) ** middle) > q else (low, middle)
    return float(high)


ALIKE = 0.5  # correlation of the rollouts of an item in `lifetimes`, on the normal scale


def lifetimes(cell: Cell, rng: np.random.Generator) -> pl.DataFrame:
    """First errors at discrete Weibull times with scale 1/h; an item's rollouts share half of their luck.

    A Gaussian copula keeps the law of each rollout exact while rollouts of an item depend on each other.
    """
    shared = np.repeat(rng.standard_normal(cell.items), cell.rollouts)
    z = ALIKE**0.5 * shared + (1 - ALIKE) ** 0.5 * rng.standard_normal(len(shared))
    time = np.ceil((-special.log_ndtr(z)) ** (1 / cell.shape) / cell.h)
    step = np.arange(1, cell.horizon + 1)
    return censor(table((step == time[:, None]).astype(np.int8), cell, {}), cell, rng)


def lifetimes_truth(cell: Cell) -> dict[str, float]:
    """Truths of `lifetimes`: S(n) = exp(-(n h)^shape)."""
    alive = np.exp(-((np.arange(cell.horizon + 1) * cell.h) ** cell.shape))
    return ({} if cell.censored else {"survival": float(alive[-1])}) | {
        "weibull_shape": cell.shape,
        f"survival@{CHECKPOINT}": float(alive[CHECKPOINT]),
        "hazard": _pooled(alive, cell),
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
    """(horizon,) a factor on h that grows along the rollout up to 1."""
    ramp: Floats = np.linspace(1.0 / SLOPE, 1.0, cell.horizon)
    return ramp


def single_answer(cell: Cell, rng: np.random.Generator) -> Pair:
    """One answer is right: the free run's hazard is the teacher-forced error of the same item and step."""
    rate = np.repeat(cell.rates(rng), cell.rollouts)
    wrong = rate[:, None] * _ramp(cell)
    events = [(rng.random(wrong.shape) < wrong).astype(np.int8) for _ in range(2)]
    return Pair(table(events[0], cell, {}), table(events[1], cell, {"right_mass": 1 - wrong}))


def single_answer_truth(cell: Cell) -> dict[str, float]:
    """Truths of `single_answer`; the mixed gap is 0 whatever the items are like."""
    h, weight = cell.law()
    wrong = h[:, None] * _ramp(cell)
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


def intervention(cell: Cell, rng: np.random.Generator, breeds: float = BREEDS) -> Pair:
    """The same rollouts with an error injected at step 4 (`free`) and healed there (`forced`), five own steps after;
    h is the error rate after an injected error."""
    rate = np.repeat(cell.rates(rng), cell.rollouts)
    pair = []
    for factor, kind in ((1.0, "injected"), (1 / breeds, "healed")):
        wrong = np.tile((rate * factor)[:, None], (1, 10))
        event = (rng.random(wrong.shape) < wrong).astype(np.int8)
        forced = np.full(wrong.shape, "healed", dtype="<U8")
        forced[:, 5:] = ""
        forced[:, 4] = kind
        event[:, :5] = RIGHT
        pair.append(table(event, cell, {"forced": forced}))
    return Pair(pair[0], pair[1])


def intervention_truth(cell: Cell, breeds: float = BREEDS) -> dict[str, float]:
    """Truths of `intervention`."""
    gap = (1 - 1 / breeds) * cell.h
    return {"self_conditioning": gap, "self_conditioning_first": gap, "self_conditioning_ratio": breeds}


def losses(cell: Cell, rng: np.random.Generator) -> Pair:
    """Exact KL per step: Gamma over items, Gamma over steps; the free run's is EXCESS times as large."""
    base = np.repeat(cell.rates(rng), cell.rollouts)[:, None]
    pair = []
    for factor in (EXCESS, 1.0):
        kl = factor * base * rng.gamma(0.5, 2.0, size=(len(base), cell.horizon))
        pair.append(table(np.full(kl.shape, RIGHT, dtype=np.int8), cell, {"kl_pq": kl}))
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
        event = (rng.random(p.shape) >= p).astype(np.int8)
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
