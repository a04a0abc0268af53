"""Log-rank test of two arms' first errors, with items as clusters, and stratified by item."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import special

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import Arm, aligned
from deadreckon.instruments.permutation import ENOUGH, Test, effective, missing_test, sign_test, t_test, two_sample_test
from deadreckon.instruments.stats import Floats, variance
from deadreckon.instruments.survival import NO_STEPS, first_errors

SAME = "the two hazards are equal at every step"
KINDS = "the two arms are labelled by different units (items against families)"


def _counts(arm: Arm, reach: int) -> tuple[Floats, Floats]:
    """First errors and rollouts at risk by cluster and step, (C, reach), 0 past the arm's own reach."""
    first = first_errors(arm)
    room = ((0, 0), (0, reach - first.reach))
    return np.pad(first.ending(first.failed), room), np.pad(first.at_risk(), room)


def _why_not(ours: Arm, theirs: Arm) -> str:
    reaches = [first_errors(arm).reach for arm in (ours, theirs)]
    if min(reaches) == 0:
        return NO_STEPS
    if ours.labels.dtype != theirs.labels.dtype:
        return KINDS
    if not any(first_errors(arm).failed.any() for arm in (ours, theirs)):
        return "no first error in either arm"
    if min(ours.clusters, theirs.clusters) < 2:
        return "fewer than two items in one arm: items cannot be compared"
    return ""


def log_rank(ours: Arm, theirs: Arm) -> Reading:
    """p-value of the log-rank test, O - E summed over steps, with items as clusters.

        U = sum_t (d1_t - d_t y1_t / y_t) = sum_i M_i over the first arm,   M_i = sum_t (d_it - y_it d_t / y_t)

    d, y first errors and rollouts at risk, d_t and y_t in both arms together, h_t = d_t / y_t.

    Every item in both arms: sign flips of (M1_i - M2_i) / 2, whose sum is U under any exchange of an item's two arms.
    No item shared: relabelling of items while few decide (it assumes equal censoring); then chi-squared with the
    hypergeometric variance for one rollout an item, Welch's t of the M_i for more. Some shared: the spread by item of
    sum_t [(y2_t / y_t) (d1_it - y1_it h_t) - (y1_t / y_t) (d2_it - y2_it h_t)].

    Sums are floats: large samples cannot overflow. Source: Mantel, Cancer Chemotherapy Reports 50 (1966); clusters: Lin
    and Wei, J. American Statist. Assoc. 84 (1989); pairs: Jung, Lifetime Data Analysis 5 (1999).
    """
    name, n = "p_log_rank", max(ours.items, theirs.items)
    why = _why_not(ours, theirs)
    if why:
        return missing_test(name, n, why)
    shared = len(ours.labels.filter(ours.labels.is_in(theirs.labels.implode())))
    return _test(ours, theirs, shared).reading(name, n, SAME, ("", f"{shared} items in both arms"))


def _test(ours: Arm, theirs: Arm, shared: int) -> Test:
    reach = max(first_errors(arm).reach for arm in (ours, theirs))
    (d1, y1), (d2, y2) = _counts(ours, reach), _counts(theirs, reach)
    a, b = y1.sum(axis=0), y2.sum(axis=0)
    y, d = a + b, d1.sum(axis=0) + d2.sum(axis=0)
    seen = np.where(y > 0, y, 1.0)
    h = d / seen
    mine, other = ((e - r * h).sum(axis=1) for e, r in ((d1, y1), (d2, y2)))
    if shared == ours.clusters == theirs.clusters:
        found = sign_test((mine - other) / 2)
        return Test(found.p, f"log-rank paired by item, {found.how}")
    if shared:
        first, second = (d1 - y1 * h) @ (b / seen), -(d2 - y2 * h) @ (a / seen)
        each = np.add(*aligned(ours, theirs, first, second))
        found = t_test(float(each.sum()), float(variance(each, len(each))), min(ours.clusters, theirs.clusters) - 1.0)
        return Test(found.p, f"log-rank clustered by item, {found.how}")
    singles = all(len(arm.home) == arm.clusters and np.ptp(arm.weight) == 0 for arm in (ours, theirs))
    if singles and effective(np.concatenate([mine, other])) >= ENOUGH:
        spread = float((d * (a / seen) * (b / seen) * (seen - d) / np.maximum(seen - 1, 1)).sum())
        chi = float(mine.sum()) ** 2 / spread if spread > 0 else 0.0
        return Test(float(special.chdtrc(1, chi)), f"log-rank, chi-squared = {chi:.3f} with 1 degree of freedom")
    found = two_sample_test(mine, other)
    return Test(found.p, f"log-rank clustered by item, {found.how}")


def log_rank_stratified(ours: Arm, theirs: Arm) -> Reading:
    """p-value of the log-rank test within items: every item is a stratum, and items may differ in any way.

        U_i = sum_t (d1_it - d_it y1_it / y_it),   sign flips over items (exchanging an item's two arms flips U_i)

    Only items in both arms count. Weaker than `log_rank` where items are alike, stronger where they are not.
    Source: Kalbfleisch and Prentice, "The Statistical Analysis of Failure Time Data" (2002), sections 1.4 and 4.5.
    """
    name, n = "p_log_rank_stratified", max(ours.items, theirs.items)
    why = _why_not(ours, theirs)
    if why:
        return missing_test(name, n, why)
    labels = ours.labels.filter(ours.labels.is_in(theirs.labels.implode()))
    if len(labels) < 2:
        return missing_test(name, n, f"{len(labels)} items in both arms: strata need two arms each")
    reach = max(first_errors(arm).reach for arm in (ours, theirs))
    (d1, y1), (d2, y2) = ((part[_rows(arm, labels)] for part in _counts(arm, reach)) for arm in (ours, theirs))
    y = y1 + y2
    each = (d1 - (d1 + d2) * y1 / np.where(y > 0, y, 1.0)).sum(axis=1)
    found = sign_test(each)
    return Test(found.p, f"log-rank stratified by item, {found.how}").reading(
        name, len(labels), SAME + " within each item", ("", f"{len(labels)} items in both arms")
    )


def _rows(arm: Arm, labels: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """Places of the labels among an arm's clusters, which are sorted."""
    return np.asarray(arm.labels.search_sorted(labels).to_numpy(), dtype=np.uint32)
