"""Proportional hazards: one ratio of hazards for every step, whatever the hazard is (Cox).

    h(t | x) = h_0(t) exp(beta . x);   l = sum_i d_i [beta . x_i - log sum_{j at risk} exp(beta . x_j)]

Errors that fall in one step are tied. "breslow" leaves each of them in the risk set of all: for times in whole steps
exp(beta) is then the ratio of the chances of an error in a step. "efron" takes them as an order that was not seen, for
times that are rounded. Sources: Cox, J. Royal Statist. Soc. B 34 (1972); Breslow, Biometrics 30 (1974); Efron, JASA 72
(1977); variance by clusters: Lin and Wei, JASA 84 (1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure
from deadreckon.instruments.stats import Estimate, Floats, mean_interval
from deadreckon.instruments.survival import first_errors

Ties = Literal["breslow", "efron"]
FEWEST = 10  # first errors in each arm that a ratio is given an interval from
FEWEST_CLUSTERS = 20
ITERATIONS, SETTLED, LARGEST = 50, 1e-11, 1.0
MOST = 15.0  # range of beta . x beyond which there is no inner maximum


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Lives with covariates."""

    x: Floats  # (n, p)
    place: Ints  # (n,) which of the T distinct times a life ended at, in order
    failed: Bools  # (n,)
    weight: Floats  # (n,)

    @property
    def times(self) -> int:
        """T."""
        return int(self.place.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class Fit:
    """The maximum of the partial likelihood."""

    beta: Floats  # (p,)
    information: Floats  # (p, p)
    log_likelihood: float


def lives(x: Floats, time: Floats, failed: Bools, weight: Floats) -> Data:
    """x (n, p) covariates; time and failed (n,). NotEstimable where nothing failed."""
    if not failed.any():
        raise NotEstimable("no first error: no hazard to compare")
    place = np.unique(time, return_inverse=True)[1].astype(np.int64)
    return Data(x, place, failed, weight)


def partial(data: Data, beta: Floats, ties: Ties) -> tuple[float, Floats, Floats]:
    """Log partial likelihood, its slope (p,) and its information (p, p)."""
    load = data.weight * np.exp(data.x @ beta)
    dead = np.flatnonzero(data.failed)
    at = data.place[dead]
    risk = [_from_here_on(part) for part in _moments(data.place, load, data)]
    gone = [part * (ties == "efron") for part in _moments(at, load[dead], data, dead)]
    count, weight = (np.bincount(at, w, data.times) for w in (None, data.weight[dead]))
    value = float(data.weight[dead] @ (data.x[dead] @ beta))
    slope = data.weight[dead] @ data.x[dead]
    information = np.zeros((len(beta), len(beta)))
    for earlier in range(int(count.max())):
        k = np.flatnonzero(count > earlier)
        part = earlier / count[k]
        s0, s1, s2 = (all_[k] - _scaled(part, out[k]) for all_, out in zip(risk, gone, strict=True))
        each = weight[k] / count[k]
        mean = s1 / s0[:, None]
        value -= float(each @ np.log(s0))
        slope = slope - each @ mean
        information += np.tensordot(each, s2 / s0[:, None, None] - mean[:, :, None] * mean[:, None, :], 1)
    return value, slope, information


def _scaled(part: Floats, out: Floats) -> Floats:
    return np.asarray(part.reshape(-1, *[1] * (out.ndim - 1)) * out)


def _moments(place: Ints, load: Floats, data: Data, rows: Ints | slice = slice(None)) -> list[Floats]:
    """Sums of load, load x and load x x' of the rows at each time: (T,), (T, p), (T, p, p)."""
    x = data.x[rows]
    sums = []
    for values in (load, load[:, None] * x, load[:, None, None] * x[:, :, None] * x[:, None, :]):
        columns = values.reshape(len(values), -1).T
        total = np.stack([np.bincount(place, column, data.times) for column in columns], axis=1).astype(float)
        sums.append(total.reshape(data.times, *values.shape[1:]))
    return sums


def _from_here_on(totals: Floats) -> Floats:
    return np.asarray(totals[::-1].cumsum(axis=0)[::-1])


def fit(data: Data, ties: Ties = "breslow") -> Fit:
    """Newton's method, steps halved where the likelihood falls. NotEstimable where it has no inner maximum."""
    beta = np.zeros(data.x.shape[1])
    value, slope, information = partial(data, beta, ties)
    for _ in range(ITERATIONS):
        if np.linalg.matrix_rank(information) < len(beta):
            raise NotEstimable("a covariate does not vary among those at risk")
        step = np.linalg.solve(information, slope)
        step *= min(1.0, LARGEST / max(float(np.abs(step).max()), 1e-300))
        found = partial(data, beta + step, ties)
        while found[0] < value - 1e-9 * abs(value):
            step = step / 2
            found = partial(data, beta + step, ties)
        beta, (value, slope, information) = beta + step, found
        if np.abs(step).max() < SETTLED:
            return Fit(beta, information, value)
        if np.ptp(data.x @ beta) > MOST:
            break
    raise NotEstimable("one side has every error: the ratio has no end")


def influence(data: Data, found: Fit) -> Floats:
    """(n, p) of each life on beta under "breslow": information^-1 times its score residual.

    r_i = w_i d_i (x_i - m(t_i)) - w_i exp(beta . x_i) sum_{t <= t_i} (D_t / S_t) (x_i - m_t),  m the mean at risk.
    """
    load = data.weight * np.exp(data.x @ found.beta)
    s0, s1, _ = (_from_here_on(part) for part in _moments(data.place, load, data))
    mean = s1 / s0[:, None]
    rate = np.bincount(data.place, data.weight * data.failed, data.times) / s0
    passed, drawn = np.cumsum(rate), np.cumsum(rate[:, None] * mean, axis=0)
    at = data.place
    residual = (data.weight * data.failed)[:, None] * (data.x - mean[at])
    residual -= load[:, None] * (passed[at][:, None] * data.x - drawn[at])
    return np.asarray(np.linalg.solve(found.information, residual.T).T)


def hazard_ratio(ours: Arm, theirs: Arm) -> Reading:
    """Chance of a first error in a step in the first arm over that in the second, the same ratio at every step.

    See the module; ties by Breslow. Interval: t on the log scale over items (families); an item's rollouts in both arms
    are one unit. It needs 10 first errors in each arm and 20 items.
    """
    measure = Measure("hazard_ratio", "1", "proportional hazards, Breslow ties, items as clusters")
    if ours.labels.dtype != theirs.labels.dtype:
        return measure.missing(ours, "the two arms are labelled by different units (items against families)")
    both = [first_errors(arm) for arm in (ours, theirs)]
    x = np.concatenate([np.full(len(first.length), side) for first, side in zip(both, (1.0, 0.0), strict=True)])
    time, failed, weight = (
        np.concatenate(parts)
        for parts in zip(*((first.length, first.failed, first.arm.weight) for first in both), strict=True)
    )
    labels = np.concatenate([arm.labels.to_numpy()[arm.home] for arm in (ours, theirs)])
    used = time > 0
    try:
        data = lives(x[used, None], time[used].astype(float), failed[used], weight[used])
        found = fit(data)
    except NotEstimable as why:
        return measure.missing(ours, str(why))
    home = np.unique(labels[used], return_inverse=True)[1]
    clusters = int(home.max()) + 1
    by_cluster = np.bincount(home, weights=influence(data, found)[:, 0], minlength=clusters).astype(float)
    log_ratio = Estimate(float(found.beta[0]), by_cluster, min(ours.clusters, theirs.clusters))
    value = float(np.exp(log_ratio.value))
    errors = min(int(first.failed.sum()) for first in both)
    if errors < FEWEST or log_ratio.clusters < FEWEST_CLUSTERS:
        few = f"no interval: {errors} first errors in one arm and {log_ratio.clusters} items, {FEWEST} and "
        return measure.reading(ours, value, (np.nan, np.nan), f"{few}{FEWEST_CLUSTERS} are needed")
    low, high = np.exp(mean_interval(log_ratio))
    return measure.reading(ours, value, (low, high))
