"""Whether per-step confidence means what it says: Brier score and its parts, debiased calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from deadreckon.contracts import Curve, Event, Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure, curve
from deadreckon.instruments.stats import (
    LEVEL,
    Floats,
    bootstrap_weights,
    proportion_interval,
    ratio,
    variance,
)
from deadreckon.seeds import Purpose, generator, hash64

BINS = 10
ROUNDING = 1e-6  # of a float32 model's probabilities
DRAWS = 1000
UNCOVERED = "no interval: none with a coverage study behind it; see brier and ece_debiased"


@dataclass(frozen=True, slots=True)
class Claims:
    """What was claimed of each judged step: p, and whether it was right."""

    arm: Arm
    rows: Bools  # (n,) own steps with a confidence
    p: Floats  # (n,)
    right: Floats  # (n,) 0 or 1
    source: str


def claims(arm: Arm) -> Claims:
    """The column confidence; where the model said nothing, exp(logp), its probability of its own action.

    A step counts as right where it is no error. The probability of one action says how sure the model is of being
    right only where one action is right: where right_mass shows that several are, exp(logp) is refused. Raises
    NotEstimable there, and where neither column holds a value.
    """
    if not arm.own.any():
        raise NotEstimable("no step of the model's own")
    try:
        p, source = arm.floats("confidence"), "stated confidence"
    except NotEstimable:
        p, source = np.exp(arm.floats("logp")), "exp(logp) of the action as sampled"
        _check_one_answer(arm, p)
    rows = arm.own & np.isfinite(p)
    if ((p[rows] < 0) | (p[rows] > 1 + 1e-9)).any():
        raise NotEstimable(f"confidence up to {p[rows].max():.4g} is no probability: rescale it to 0 ... 1")
    return Claims(arm, rows, np.clip(np.nan_to_num(p), 0, 1), (~arm.error).astype(float), source)


def _check_one_answer(arm: Arm, p: Floats) -> None:
    """Where one action is right, a right step's probability is the right mass."""
    if "right_mass" not in arm.steps.columns:
        return
    mass = arm.steps["right_mass"].cast(pl.Float64).to_numpy().astype(float)
    rows = arm.own & (arm.steps["event"] == Event.RIGHT.value).to_numpy()
    if (mass[rows] - p[rows] > ROUNDING).any():
        raise NotEstimable("several actions are right at some steps: the probability of one is no confidence in it")


def brier(arm: Arm) -> Reading:
    """Brier score: mean of (p - right)^2 over own steps. Source: Brier, Monthly Weather Review 78 (1950)."""
    measure = Measure("brier", "1", "mean over items, effective-size Clopper-Pearson")
    try:
        said = claims(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    estimate = ratio(
        arm.per_cluster((said.p - said.right) ** 2, said.rows), arm.per_cluster(np.ones(len(said.p)), said.rows)
    )
    low, high = proportion_interval(
        estimate.value, estimate.variance, estimate.clusters, np.inf, float(estimate.clusters)
    )
    return measure.reading(arm, estimate.value, (float(low), float(high)), said.source)


@dataclass(frozen=True, slots=True)
class Bins:
    """Claims sorted into bins of about equal mass: totals by cluster and bin, (C, k)."""

    count: Floats
    claimed: Floats
    right: Floats

    @property
    def share(self) -> Floats:
        """(k,) share of the steps."""
        total: Floats = self.count.sum(axis=0) / self.count.sum()
        return total

    def gap(self) -> tuple[Floats, Floats]:
        """Mean claim minus share right in each bin (k,), and its influence (C, k)."""
        n = self.count.sum(axis=0)
        gap = (self.claimed - self.right).sum(axis=0) / n
        return gap, (self.claimed - self.right - gap * self.count) / n


def _bins(said: Claims) -> Bins:
    p = said.p[said.rows]
    edges = np.unique(np.quantile(p, np.linspace(0, 1, BINS + 1)[1:-1]))
    at: Ints = np.searchsorted(edges, said.p, side="left").astype(np.int64)
    used = np.unique(at[said.rows])
    at = np.searchsorted(used, at).astype(np.int64)
    one = np.ones(len(said.p))
    totals = [said.arm.per_step(values, said.rows, at) for values in (one, said.p, said.right)]
    return Bins(totals[0], totals[1], totals[2])


def _part(arm: Arm, quantity: str) -> Reading:
    """One part of Brier = reliability - resolution + uncertainty + what varies inside the bins."""
    measure = Measure(quantity, "1", f"at most {BINS} bins of equal mass")
    try:
        said = claims(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    bins = _bins(said)
    rate = bins.right.sum(axis=0) / bins.count.sum(axis=0)
    base = float((bins.share * rate).sum())
    parts = {
        "brier_reliability": float((bins.share * bins.gap()[0] ** 2).sum()),
        "brier_resolution": float((bins.share * (rate - base) ** 2).sum()),
        "brier_uncertainty": base * (1 - base),
    }
    return Reading(quantity, "1", parts[quantity], nan, nan, LEVEL, arm.items, measure.method, "", UNCOVERED)


def brier_reliability(arm: Arm) -> Reading:
    """sum_b w_b (p_b - r_b)^2 over bins b: squared distance of claim and fact (biased upwards by chance).

    w_b share of the steps, p_b mean claim, r_b share right. Source: Murphy, J. Applied Meteorology 12 (1973).
    """
    return _part(arm, "brier_reliability")


def brier_resolution(arm: Arm) -> Reading:
    """sum_b w_b (r_b - r)^2: how far claims tell right steps from wrong ones. Source: Murphy (1973)."""
    return _part(arm, "brier_resolution")


def brier_uncertainty(arm: Arm) -> Reading:
    """r (1 - r), r the share of right steps. Source: Murphy (1973)."""
    return _part(arm, "brier_uncertainty")


def ece_debiased(arm: Arm) -> Reading:
    """Calibration error over bins, root mean square, without the part that chance alone makes.

        ece^2 = max(0, sum_b w_b (gap_b^2 - v_b)),   gap_b = p_b - r_b,  v_b its variance with items as clusters

    The interval is |ece - c|+ ... ece + c from the plug-in norm of the gaps, c the 95% quantile of the weighted norm
    of their error over a bootstrap of items: by the triangle inequality it holds at least 95%. The curve is the
    reliability diagram. Source: Kumar, Liang and Ma, "Verified uncertainty calibration", NeurIPS 2019.
    """
    measure = Measure("ece_debiased", "probability", f"debiased L2 over {BINS} bins, bootstrap of items ({DRAWS})")
    try:
        said = claims(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    bins = _bins(said)
    gap, influence = bins.gap()
    present = (bins.count > 0).sum(axis=0)
    spread = variance(influence, present)
    value = float(np.sqrt(max(0.0, float((bins.share * (gap**2 - np.nan_to_num(spread))).sum()))))
    norm = float(np.sqrt((bins.share * gap**2).sum()))
    interval = (nan, nan)
    if arm.clusters > 1 and np.isfinite(spread).all() and spread.max() > 0:
        c = _error_norm(bins, influence)
        interval = (max(0.0, norm - c), min(1.0, norm + c))
    return measure.reading(arm, value, interval, said.source, _reliability(bins))


def _error_norm(bins: Bins, influence: Floats) -> float:
    """95% quantile of sqrt(sum_b w_b error_b^2) over resampled clusters."""
    clusters = len(influence)
    draws = bootstrap_weights(generator(0, hash64("ece_debiased"), Purpose.BOOTSTRAP), clusters, DRAWS)
    error = draws @ influence * np.sqrt(clusters / (clusters - 1))
    return float(np.quantile(np.sqrt((error**2 * bins.share).sum(axis=1)), LEVEL))


def _reliability(bins: Bins) -> Curve:
    n = bins.count.sum(axis=0)
    claim, rate = bins.claimed.sum(axis=0) / n, bins.right.sum(axis=0) / n
    present = (bins.count > 0).sum(axis=0)
    spread = variance((bins.right - rate * bins.count) / n, present)
    return curve("claimed", claim, rate, proportion_interval(rate, spread, present, n, present.astype(float)), present)
