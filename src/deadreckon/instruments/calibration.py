"""Whether per-step confidence means what it says: Brier score and its parts, debiased calibration error.

Smooth calibration error: smooth.py. Whether confidence tells right from wrong: discrimination.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from scipy import special

from deadreckon.contracts import Curve, Event, Reading, nan
from deadreckon.errors import NotEstimable
from deadreckon.instruments.arm import Arm, Bools, Ints, Measure, curve
from deadreckon.instruments.hazard import rate_interval
from deadreckon.instruments.stats import (
    LEVEL,
    Floats,
    Side,
    bootstrap_weights,
    difference_interval,
    mean_interval,
    proportion_interval,
    ratio,
    t_value,
    variance,
)
from deadreckon.seeds import Purpose, generator, hash64

BINS = 10
ROUNDING = 1e-6  # of a float32 model's probabilities
DRAWS = 1000
NO_RESOLUTION = "no interval: those tried held 90% where an item's claims are alike; see auroc, which has one"
NO_RELIABILITY = "no interval: the value is biased upwards by chance; see ece_debiased, its root without that part"
FEWEST = 10 * BINS  # wrong steps, and right ones, that an interval over bins rests on
HALVINGS = 50  # halvings of an interval's end


@dataclass(frozen=True, slots=True)
class Claims:
    """What was claimed of each judged step: p, and whether it was right."""

    arm: Arm
    rows: Bools  # (n,) own steps with a confidence that do not abstain
    p: Floats  # (n,)
    right: Floats  # (n,) 0 or 1
    source: str


def claims(arm: Arm) -> Claims:
    """The column confidence; where the model said nothing, exp(logp), its probability of its own action.

    A step counts as right where it is no error; one that abstains claims nothing. The probability of one action says
    how sure the model is of being right only where one action is right: where right_mass shows that several are,
    exp(logp) is refused. Raises NotEstimable there, and where neither column holds a value.
    """
    if not arm.own.any():
        raise NotEstimable("no step of the model's own")
    try:
        p, source = arm.floats("confidence"), "stated confidence"
    except NotEstimable:
        p, source = np.exp(arm.floats("logp")), "exp(logp) of the action as sampled"
        _check_one_answer(arm, p)
    rows = arm.own & ~arm.abstained & np.isfinite(p)
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


def brier_reliability(arm: Arm) -> Reading:
    """sum_b w_b (p_b - r_b)^2 over bins b: squared distance of claim and fact (biased upwards by chance).

    w_b share of the steps, p_b mean claim, r_b share right. Brier = reliability - resolution + uncertainty + what
    varies inside the bins. No interval: at 2,000 items with rare errors the value lay 0.4 of its standard errors
    above the planted one. `ece_debiased` is its root freed of chance's part, with an interval. Source: Murphy,
    J. Applied Meteorology 12 (1973).
    """
    measure = Measure("brier_reliability", "1", f"at most {BINS} bins of equal mass")
    try:
        bins = _bins(claims(arm))
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    value = float((bins.share * bins.gap()[0] ** 2).sum())
    return Reading(measure.quantity, "1", value, nan, nan, LEVEL, arm.items, measure.method, "", NO_RELIABILITY)


def brier_resolution(arm: Arm) -> Reading:
    """sum_b w_b (r_b - r)^2: how far claims tell right steps from wrong ones (biased upwards by chance).

    No interval: a bootstrap of items, inverted as for `ece_debiased`, held 90% of planted values where an item's claims
    are alike. Source: Murphy (1973).
    """
    method = f"at most {BINS} bins of equal mass"
    try:
        bins = _bins(claims(arm))
    except NotEstimable as why:
        return Measure("brier_resolution", "1", method).missing(arm, str(why))
    rate = bins.right.sum(axis=0) / bins.count.sum(axis=0)
    value = float((bins.share * (rate - (bins.share * rate).sum()) ** 2).sum())
    return Reading("brier_resolution", "1", value, nan, nan, LEVEL, arm.items, method, "", NO_RESOLUTION)


def brier_uncertainty(arm: Arm) -> Reading:
    """r (1 - r), r the share of right steps; its interval is that of r, mapped. Source: Murphy (1973)."""
    measure = Measure("brier_uncertainty", "1", "share over items, effective-size Clopper-Pearson, mapped")
    try:
        said = claims(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    share, _, ends = _share_right(said)
    at = [end * (1 - end) for end in ends]
    high = 0.25 if ends[0] <= 0.5 <= ends[1] else max(at)
    return measure.reading(arm, share * (1 - share), (min(at), high if arm.clusters > 1 else nan), said.source)


def _share_right(said: Claims) -> tuple[float, Floats, tuple[float, float]]:
    """Share of right steps, its influence (C,) and its interval."""
    one = np.ones(len(said.p))
    x = said.arm.per_cluster(one, said.rows)
    share = ratio(said.arm.per_cluster(said.right, said.rows), x)
    return share.value, share.influence, rate_interval(share, x, nan)


def overconfidence(arm: Arm) -> Reading:
    """Mean claim minus share right over own steps: above 0 = claims too much. The curve is the reliability diagram.

    Interval from that of the mean claim (t over items) and of the share (Clopper-Pearson) by MOVER, so that steps
    which all are right do not pass for certainty. The curve's x is the mean claim in each bin of equal mass.
    """
    measure = Measure("overconfidence", "probability", "mean claim - share right, item-clustered, MOVER")
    try:
        said = claims(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    claim = ratio(arm.per_cluster(said.p, said.rows), arm.per_cluster(np.ones(len(said.p)), said.rows))
    low, high = mean_interval(claim) if claim.variance > 0 else (claim.value, claim.value)
    share, influence, ends = _share_right(said)
    sides = (
        Side(np.array([value]), np.array([lower]), np.array([upper]), u[:, None])
        for value, lower, upper, u in ((claim.value, low, high, claim.influence), (share, *ends, influence))
    )
    interval = difference_interval(*sides)
    return measure.reading(
        arm, claim.value - share, (interval[0][0], interval[1][0]), said.source, _reliability(_bins(said))
    )


def ece_debiased(arm: Arm) -> Reading:
    """Calibration error over bins, root mean square, without the part that chance alone makes.

        ece^2 = max(0, sum_b w_b (gap_b^2 - v_b)),   gap_b = p_b - r_b,  v_b its variance with items as clusters

    Interval: see `_norm_interval`. The curve is the reliability diagram. Source: Kumar, Liang and Ma, "Verified
    uncertainty calibration", NeurIPS 2019.
    """
    measure = Measure("ece_debiased", "probability", f"debiased L2 over {BINS} bins, bootstrap of items ({DRAWS})")
    try:
        said = claims(arm)
    except NotEstimable as why:
        return measure.missing(arm, str(why))
    bins = _bins(said)
    gap, influence = bins.gap()
    spread = variance(influence, (bins.count > 0).sum(axis=0))
    value = float(np.sqrt(max(0.0, float((bins.share * (gap**2 - np.nan_to_num(spread))).sum()))))
    low, high = _norm_interval(bins)
    interval = (min(low, value), max(high, value))
    return withheld(measure.reading(arm, value, interval, said.source, _reliability(bins)), _sparse(said))


def withheld(reading: Reading, why: str) -> Reading:
    """The reading without interval where there is a reason why; else the reading."""
    return replace(reading, low=nan, high=nan, reason=why) if why and reading.value == reading.value else reading


def _sparse(said: Claims) -> str:
    """Why bins give no interval, or ""."""
    right = int(said.right[said.rows].sum())
    wrong = int(said.rows.sum()) - right
    if min(right, wrong) >= FEWEST:
        return ""
    return f"no interval: {wrong} wrong steps, {right} right ones, bins need {FEWEST} of each"


def _norm_interval(bins: Bins) -> tuple[float, float]:
    """Interval of the weighted norm delta = sqrt(sum_b w_b gap_b^2) of true gaps, from estimated ones.

        N(delta)^2 = delta^2 + 2 delta <gap/|gap|, error> + |error|^2,   errors from a bootstrap of items, t/z as wide

    The ends are the delta at which the norm that was seen is the 97.5% and the 2.5% quantile of N(delta); 0 where even
    delta = 0 makes such norms. nan where a bin rests on one item.
    """
    deviation, influence = bins.gap()
    present = (bins.count > 0).sum(axis=0)
    clusters = int((bins.count.sum(axis=1) > 0).sum())
    seen = float(np.sqrt((bins.share * deviation**2).sum()))
    varies = clusters > 1 and present.min() > 1 and variance(influence, clusters).max() > 0
    if not varies or seen == 0:
        return nan, nan
    draws = bootstrap_weights(generator(0, hash64("ece_debiased"), Purpose.BOOTSTRAP), len(influence), DRAWS)
    wider = float(t_value(clusters) / special.ndtri(0.5 + LEVEL / 2)) * np.sqrt(clusters / (clusters - 1))
    error = draws @ influence * wider
    along = error @ (bins.share * deviation) / seen
    square = (error**2 * bins.share).sum(axis=1)

    def end(tail: float) -> float:
        below, above = 0.0, 2 * seen + 4 * float(np.sqrt(square.max()))
        if np.mean(square >= seen**2) >= tail:
            return 0.0
        for _ in range(HALVINGS):
            middle = (below + above) / 2
            more = np.mean(middle**2 + 2 * middle * along + square >= seen**2) >= tail
            below, above = (below, middle) if more else (middle, above)
        return below

    return end((1 - LEVEL) / 2), end((1 + LEVEL) / 2)


def _reliability(bins: Bins) -> Curve:
    n = bins.count.sum(axis=0)
    claim, rate = bins.claimed.sum(axis=0) / n, bins.right.sum(axis=0) / n
    present = (bins.count > 0).sum(axis=0)
    spread = variance((bins.right - rate * bins.count) / n, present)
    return curve("claimed", claim, rate, proportion_interval(rate, spread, present, n, present.astype(float)), present)
