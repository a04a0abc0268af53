"""Do errors fall on few steps? Shares of (item, step) cells, which only repeats of an item can show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import OnError, Reading
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Ints, Measure
from deadreckon.instruments.stats import Floats, jackknife, mean_interval, proportion_interval, ratio

FEWEST_ITEMS = 20
FEWEST_CELLS = 10  # that saw two errors
TOP = 0.1  # share of cells taken as key steps
DIVERGED = "rollouts of an item part after an error under the rule {rule}: a cell is a step, not a state"


@dataclass(frozen=True, slots=True)
class Cells:
    """Own steps and errors of each (item, step), in two halves of the item's rollouts."""

    errors: Floats  # (2, cells)
    steps: Floats  # (2, cells)
    home: Ints  # (cells,) cluster
    weight: Floats  # (cells,)
    clusters: int


def cells(arm: Arm) -> Cells:
    """The cells with two rollouts or more. NotEstimable under the rule stop, without repeats or with few items."""
    if arm.on_error is OnError.STOP:
        raise NotEstimable("fixed by the rule stop: later steps are seen in rollouts without an error alone")
    if not arm.own.any():
        raise NotEstimable("no step of the model's own")
    item = arm.keys["item"].rank("dense").cast(int).to_numpy() - 1
    order = _order(item)
    t = arm.steps_at()[arm.own]
    rollout = arm.rollout[arm.own]
    width = int(t.max()) + 1
    _, lead, cell = np.unique(item[rollout] * width + t, return_index=True, return_inverse=True)
    half = order[rollout] % 2
    steps = np.stack([np.bincount(cell[half == k], minlength=len(lead)) for k in (0, 1)]).astype(float)
    wrong = arm.error[arm.own]
    errors = np.stack([np.bincount(cell[(half == k) & wrong], minlength=len(lead)) for k in (0, 1)]).astype(float)
    kept = (steps > 0).all(axis=0)
    if not kept.any():
        raise NotEstimable("one rollout per item: no step is seen twice; run two or more of each")
    owner = rollout[lead][kept]
    clusters = int(np.unique(arm.home[owner]).size)
    if clusters < FEWEST_ITEMS:
        raise NotEstimable(f"{clusters} items with repeats: {FEWEST_ITEMS} or more are needed")
    return Cells(errors[:, kept], steps[:, kept], arm.home[owner], arm.weight[owner], arm.clusters)


def _order(item: Ints) -> Ints:
    """(rollouts,) 0, 1, ... within each item; rollouts come sorted by item."""
    start = np.flatnonzero(np.concatenate([[True], item[1:] != item[:-1]]))
    order: Ints = np.arange(len(item)) - np.repeat(start, np.diff(np.append(start, len(item))))
    return order


def _fold(data: Cells, values: Floats) -> Floats:
    return np.bincount(data.home, weights=values * data.weight, minlength=data.clusters).astype(float)


def key_step_share(arm: Arm) -> Reading:
    """Effective share of steps that carry the errors: (E p)^2 / E p^2 over (item, step) cells.

    p is a cell's chance of an error. Errors spread evenly over one step in ten give 0.1; 1 = all cells alike. p^2 is
    estimated without bias by pairs of rollouts, K (K - 1) / (J (J - 1)) for K errors in J rollouts: the noise of few
    repeats does not pass for concentration. Interval by `stats.jackknife` of the log. Source: the inverse participation
    ratio; pairs, Hoeffding (1948).
    """
    measure = Measure(
        "key_step_share", "share of steps", "squared mean over mean square from pairs, item jackknife of the log"
    )
    try:
        data = cells(arm)
        totals = _participation(data)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = jackknife(totals, _log_share)
    if np.isnan(estimate.influence).any():
        return measure.missing(arm, "one item alone decides it: more items are needed")
    low, high = np.exp(mean_interval(estimate))
    value = float(np.exp(_log_share(totals.sum(axis=1, keepdims=True))[0]))
    return measure.reading(arm, value, (low, high), DIVERGED.format(rule=arm.on_error.value))


def _participation(data: Cells) -> Floats:
    """(3, clusters) cells, their error rates, their squared rates."""
    k, j = data.errors.sum(axis=0), data.steps.sum(axis=0)
    twice = k * (k - 1) / (j * (j - 1))
    if (twice > 0).sum() < FEWEST_CELLS:
        raise NotEstimable(
            f"{int((twice > 0).sum())} steps of an item went wrong twice: {FEWEST_CELLS} or more are needed"
        )
    return np.stack([_fold(data, np.ones(len(j))), _fold(data, k / j), _fold(data, twice)])


def _log_share(total: Floats) -> Floats:
    return np.asarray(np.log(total[1] ** 2 / np.where(total[2] > 0, total[2], np.nan) / total[0]))


def key_step_top(arm: Arm) -> Reading:
    """Share of one half's errors on the tenth of (item, step) cells that went wrong most in the other half.

    Cells are ranked by half of each item's rollouts (ties share their places) and counted in the other half, and the
    other way round: no error votes for its own cell. It is a lower bound of what the true tenth carries, and 0.1 where
    cells are alike. Where exactly a tenth of the cells carries every error the interval is too short (88% in place of
    95%): the tenth then ends where the errors do.
    """
    measure = Measure(
        "key_step_top", "share of errors", "split halves of each item's rollouts, effective Clopper-Pearson"
    )
    try:
        data = cells(arm)
        caught, errors = _caught(data)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    share = ratio(caught, errors)
    ends = proportion_interval(share.value, share.variance, share.clusters, errors.sum(), float(share.clusters))
    interval = (float(ends[0]), float(ends[1]))
    return measure.reading(arm, share.value, interval, DIVERGED.format(rule=arm.on_error.value))


def _caught(data: Cells) -> tuple[Floats, Floats]:
    """(clusters,) errors on the cells the other half points at, and all errors; both halves."""
    caught, errors = np.zeros(data.clusters), np.zeros(data.clusters)
    for half in (0, 1):
        if data.errors[half].sum() < FEWEST_CELLS:
            raise NotEstimable(f"{int(data.errors[half].sum())} errors in one half: {FEWEST_CELLS} or more are needed")
        picked = _worst(data.errors[1 - half] / data.steps[1 - half], data.weight)
        caught += _fold(data, picked * data.errors[half])
        errors += _fold(data, data.errors[half])
    return caught, errors


def _worst(score: Floats, weight: Floats) -> Floats:
    """(cells,) how much of each cell is in the top tenth by score; ties share what is left."""
    place = np.unique(-score, return_inverse=True)[1]
    mass = np.bincount(place, weights=weight)
    before = np.cumsum(mass) - mass
    room = TOP * mass.sum() - before
    picked: Floats = np.clip(room / mass, 0.0, 1.0)[place]
    return picked
