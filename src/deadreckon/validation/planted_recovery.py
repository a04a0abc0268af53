"""Planted ends and planted recovery: competing geometric risks, a three-state chain, movers and stayers.

The rollouts of an item depend on each other through a Gaussian copula with correlation `alike`, which leaves the law
of each rollout as planted. Truths are closed forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.instruments import INSTRUMENTS, read
from deadreckon.validation.case import Case

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEVER = 2**40


def at(reading: Reading, x: float) -> Reading:
    """The reading's curve at x as a reading; without value or interval where it has no such point."""
    curve = reading.curve
    k = curve.x.index(x) if curve is not None and x in curve.x else None
    ends = (nan, nan, nan) if curve is None or k is None else (curve.value[k], curve.low[k], curve.high[k])
    return replace(reading, value=ends[0], low=ends[1], high=ends[2], curve=None)


@dataclass(frozen=True, slots=True)
class Size:
    """Items, rollouts of each, planned steps, correlation within items, chance of a cut before each step."""

    items: int
    rollouts: int = 1
    horizon: int = 20
    alike: float = 0.0
    cut: float = 0.0

    def uniforms(self, rng: np.random.Generator, steps: int) -> Floats:
        """(items * rollouts, steps) uniforms, those of one item and step correlated on the normal scale."""
        shared = np.repeat(rng.standard_normal((self.items, steps)), self.rollouts, axis=0)
        own = rng.standard_normal(shared.shape)
        return np.asarray(special.ndtr(self.alike**0.5 * shared + (1 - self.alike) ** 0.5 * own))

    def __str__(self) -> str:
        return f"items={self.items} rollouts={self.rollouts} horizon={self.horizon} alike={self.alike} cut={self.cut}"


def _geometric(u: Floats, rate: float) -> Ints:
    """1, 2, ...: the step at which something of this rate per step happens; NEVER at rate 0."""
    if rate == 0:
        return np.full(u.shape, NEVER)
    time: Ints = np.maximum(np.ceil(np.log1p(-u) / np.log1p(-rate)), 1).astype(np.int64)
    return time


def _table(
    size: Size, length: Ints, stop: NDArray[np.str_], columns: Mapping[str, NDArray[np.generic]]
) -> pl.DataFrame:
    """A step table of rollouts of these lengths (k,); columns are (k, horizon)."""
    k, width = len(length), size.horizon
    kept = (np.arange(width) < length[:, None]).ravel()
    t = np.tile(np.arange(width), k)
    ends = np.where(t == np.repeat(length - 1, width), np.repeat(stop, width), "")
    plain = {"item": np.repeat(np.arange(k) // size.rollouts, width), "t": t, "stop": ends}
    plain["rollout"] = np.repeat(np.arange(k) % size.rollouts, width)
    frame = pl.DataFrame(plain | {name: values.ravel() for name, values in columns.items()})
    return frame.filter(pl.Series(kept)).with_columns(pl.col("stop", "event").replace("", None))


# --- competing geometric risks --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Risks:
    """Chances per step of an error, of being done and of losing the goal."""

    error: float
    done: float
    lost: float

    @property
    def all(self) -> float:
        """Of any of them."""
        return self.error + self.done + self.lost


def ends(size: Size, risks: Risks, rng: np.random.Generator) -> pl.DataFrame:
    """One stretch a rollout, under the rule stop; `cut` leaves the step that it meets without an event."""
    u = size.uniforms(rng, 2)
    time = _geometric(u[:, 0], risks.all)
    cause = np.searchsorted(np.cumsum([risks.error, risks.done]) / risks.all, u[:, 1])
    cut = _geometric(rng.random(len(u)), size.cut)  # the cut comes before the step
    length = np.minimum(np.minimum(time, cut), size.horizon)
    stop = np.where(time <= length, np.array(["broken", "done", "lost"])[cause], "horizon")
    cutting = (cut <= time) & (cut <= size.horizon)
    stop[cutting] = "cut"
    step = np.arange(1, size.horizon + 1)
    event = np.where((step == time[:, None]) & (cause == 0)[:, None], "slip", "right")
    event[cutting[:, None] & (step == cut[:, None])] = ""
    return _table(size, length, stop, {"event": event})


def ends_truth(size: Size, risks: Risks, n: int) -> dict[str, float]:
    """F_j(n) = (h_j / h) (1 - (1-h)^n), S(n) = (1-h)^n."""
    s = (1 - risks.all) ** n
    share = {"error": risks.error, "done": risks.done, "lost": risks.lost}
    found = {f"incidence_{name}@{n}": rate / risks.all * (1 - s) for name, rate in share.items()}
    return found | {f"survival_event_free@{n}": s}


def sample_ends(size: Size, risks: Risks, n: int, rng: np.random.Generator) -> dict[str, Reading]:
    """One replicate, measured at step n."""
    arm = read(ends(size, risks, rng), "stop")
    return {name: at(INSTRUMENTS[name.partition("@")[0]](arm), n) for name in ends_truth(size, risks, n)}


# --- right, wrong, lost ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rates:
    """Chances per step: right -> wrong, wrong -> right, right -> lost, wrong -> lost; share of recoveries unearned."""

    slip: float
    back: float
    fall: float = 0.0
    sink: float = 0.0
    unearned: float = 0.3

    def matrix(self) -> Floats:
        """(3, 3) transition matrix of right, wrong, lost."""
        right = [1 - self.slip - self.fall, self.slip, self.fall]
        return np.array([right, [self.back, 1 - self.back - self.sink, self.sink], [0, 0, 1.0]])


def chain(size: Size, rates: Rates, rng: np.random.Generator) -> pl.DataFrame:
    """The three-state chain under the rule accept, from right; lost absorbs and ends the rollout."""
    u, luck = size.uniforms(rng, size.horizon), size.uniforms(rng, size.horizon)
    cumulative = np.cumsum(rates.matrix(), axis=1)[:, :2]
    state = np.zeros((len(u), size.horizon + 1), dtype=np.int64)
    for t in range(size.horizon):
        state[:, t + 1] = (u[:, t, None] >= cumulative[state[:, t]]).sum(axis=1)
    before, after = state[:, :-1], state[:, 1:]
    back = (before == 1) & (after == 0)
    event = np.where(back, np.where(luck < rates.unearned, "slip", "mend"), np.where(after == before, "right", "slip"))
    time = np.where((after == 2).any(axis=1), np.argmax(after == 2, axis=1) + 1, NEVER)
    cut = _geometric(rng.random(len(u)), size.cut)
    length = np.minimum(np.minimum(time, cut), size.horizon)
    stop = np.where(time <= length, "lost", "horizon")
    cutting = (cut <= time) & (cut <= size.horizon)
    stop[cutting] = "cut"
    event[cutting[:, None] & (np.arange(1, size.horizon + 1) == cut[:, None])] = ""
    return _table(size, length, stop, {"event": event, "true_state": after == 0, "goal_open": after != 2})


def chain_truth(rates: Rates, n: int, age: int) -> dict[str, float]:
    """Rates as planted; p(n) = p(0) P^n; F(d) = g / (g + l) (1 - (1 - g - l)^d), g recovery, l loss from wrong."""
    p = np.linalg.matrix_power(rates.matrix(), n)[0]
    leave = rates.back + rates.sink
    reach = rates.back / leave * (1 - (1 - leave) ** np.arange(1, 500))
    truth = {
        "transition_right_wrong": rates.slip,
        "transition_wrong_right": rates.back,
        "transition_right_lost": rates.fall,
        "transition_wrong_lost": rates.sink,
        f"occupation_right@{n}": float(p[0]),
        f"occupation_wrong@{n}": float(p[1]),
        f"occupation_lost@{n}": float(p[2]),
        f"occupancy_gain@{n}": float(p[0] - (1 - rates.slip - rates.fall) ** n),
        "restoration_unearned": rates.unearned,
        "recovery_since_error": rates.back,
        f"recovery_incidence@{age}": float(reach[age - 1]),
        "time_to_recovery_50": float(np.argmax(reach >= 0.5) + 1) if (reach >= 0.5).any() else float("inf"),
    }
    gone = [name for name in truth if "lost" in name and rates.fall + rates.sink == 0]
    return {name: value for name, value in truth.items() if name not in gone}


def sample_chain(size: Size, rates: Rates, n: int, age: int, rng: np.random.Generator) -> dict[str, Reading]:
    """One replicate, occupation at step n, recovery at an excursion's step `age`."""
    arm = read(chain(size, rates, rng), "accept")
    found = {}
    for name in chain_truth(rates, n, age):
        quantity, _, x = name.partition("@")
        reading = INSTRUMENTS[quantity](arm)
        found[name] = at(reading, float(x)) if x else reading
    return found


# --- movers and stayers ---------------------------------------------------------------------------------


def stayers(size: Size, share: float, rate: float, rng: np.random.Generator) -> pl.DataFrame:
    """One excursion a rollout, from an error injected at its first step; a share of them never recovers.

    Own steps end at a planned length that is uniform on horizon/2 ... horizon - 1, or by a cut.
    """
    u = size.uniforms(rng, 2)
    time = np.where(u[:, 0] < share, NEVER, _geometric(u[:, 1], rate))
    planned = rng.integers(size.horizon // 2, size.horizon, len(u))
    length = np.minimum(planned, _geometric(rng.random(len(u)), size.cut) + 1) + 1
    step = np.arange(size.horizon)
    event = np.where(step == time[:, None], "mend", "right")
    event[:, 0] = "slip"
    forced = np.tile(np.where(step == 0, "injected", ""), (len(u), 1))
    columns = {"event": event, "forced": forced, "true_state": step >= time[:, None]}
    return _table(size, np.minimum(length, size.horizon), np.full(len(u), "horizon"), columns)


def sample_stayers(size: Size, share: float, rate: float, rng: np.random.Generator) -> dict[str, Reading]:
    """One replicate."""
    arm = read(stayers(size, share, rate, rng), "accept")
    return {name: INSTRUMENTS[name](arm) for name in ("recovery_never", "recovery_never_test")}


# --- the grid -------------------------------------------------------------------------------------------


def _ends_case(size: Size, risks: Risks, n: int = 10) -> Case:
    truth = ends_truth(size, risks, n)
    cell = f"{size} error={risks.error} done={risks.done} lost={risks.lost}"
    return Case("competing", cell, size.items, partial(sample_ends, size, risks, n), truth, discrete=frozenset(truth))


def _chain_case(size: Size, rates: Rates, n: int = 15, age: int = 3) -> Case:
    truth = chain_truth(rates, n, age)
    cell = f"{size} slip={rates.slip} back={rates.back} fall={rates.fall} sink={rates.sink}"
    sample = partial(sample_chain, size, rates, n, age)
    return Case("recovery" if rates.fall + rates.sink == 0 else "absorption", cell, size.items, sample, truth,
                discrete=frozenset(truth))  # fmt: skip


def _stayers_case(size: Size, share: float, rate: float) -> Case:
    cell = f"{size} never={share} back={rate}"
    sample = partial(sample_stayers, size, share, rate)
    nulls = frozenset() if share else frozenset({"recovery_never_test"})
    truth = {"recovery_never": share}
    return Case("mover-stayer", cell, size.items, sample, truth, nulls, discrete=frozenset(truth) | nulls)


CASES: list[Case] = [
    _ends_case(Size(20), Risks(0.03, 0.03, 0.02)),
    _ends_case(Size(20, 4, alike=0.3, cut=0.05), Risks(0.1, 0.05, 0.02)),
    _ends_case(Size(60), Risks(0.01, 0.05, 0.005)),
    _ends_case(Size(60, 3, alike=0.15, cut=0.1), Risks(0.05, 0.05, 0.02)),
    _ends_case(Size(200, 2, alike=0.3, cut=0.2), Risks(0.05, 0.03, 0.02)),
    _ends_case(Size(2000), Risks(0.02, 0.05, 0.01)),
    _chain_case(Size(20, 2), Rates(0.1, 0.3)),
    _chain_case(Size(20, 4, alike=0.3, cut=0.05), Rates(0.1, 0.3, 0.01, 0.05)),
    _chain_case(Size(60), Rates(0.02, 0.2)),
    _chain_case(Size(60, 3, alike=0.15, cut=0.05), Rates(0.1, 0.3, 0.01, 0.05)),
    _chain_case(Size(200, 2, alike=0.3, cut=0.1), Rates(0.05, 0.3, 0.01, 0.05)),
    _chain_case(Size(200), Rates(0.1, 0.5, 0.005, 0.02)),
    _chain_case(Size(2000), Rates(0.05, 0.2, 0.002, 0.05)),
    _stayers_case(Size(60, 2), 0.0, 0.2),
    _stayers_case(Size(100, 3, alike=0.3), 0.0, 0.3),
    _stayers_case(Size(400), 0.0, 0.15),
    _stayers_case(Size(40, 3, alike=0.15), 0.2, 0.3),
    _stayers_case(Size(100, 2, alike=0.3, cut=0.1), 0.3, 0.3),
    _stayers_case(Size(400, cut=0.05), 0.1, 0.2),
    _stayers_case(Size(2000), 0.02, 0.3),
]
