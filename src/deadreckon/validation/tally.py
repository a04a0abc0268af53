"""Counting replicates and judging the counts: the rule that every printed interval and test is held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from deadreckon.contracts import Reading, nan
from deadreckon.instruments.stats import LEVEL
from deadreckon.validation.case import Case

Floats = NDArray[np.float64]

TOUCH = 1e-12  # an interval that ends at the truth holds it
MANY = 50  # items from which smooth intervals are held to both sides
LARGE = 400  # items from which the bias is judged
BIAS = 0.1  # standard errors
TAIL = 1e-3  # chance that a row on the edge of what is allowed is still failed, below the full counts
FULL = {"interval": 2_000, "test": 10_000}  # replicates from which the rule is applied to the counts as they are
SIZE = (0.0428, 0.0572)  # of a test: 5.0 -+ 0.72 points
SIZE_FEW = 0.07  # of a smooth test below MANY items


@dataclass(frozen=True, slots=True)
class Row:
    """What the replicates of one case said of one interval or test."""

    topic: str
    cell: str
    items: int
    name: str
    kind: str  # interval, test
    discrete: bool
    truth: float  # nan for a test
    replicates: int
    given: int  # replicates that printed an interval (or a p-value)
    below: int  # intervals that lie above the truth: it fell below them
    above: int  # intervals that lie below the truth; for a test, rejections
    silent: int  # withheld without a reason
    bias: float  # (mean of the values - truth) / their standard deviation; nan where it has no meaning
    width: float  # median

    @property
    def share(self) -> float:
        """Coverage of an interval, size of a test; nan where nothing was given."""
        if not self.given:
            return nan
        return self.above / self.given if self.kind == "test" else 1 - (self.below + self.above) / self.given

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of `share`."""
        return float(np.sqrt(self.share * (1 - self.share) / self.given)) if self.given else nan

    @property
    def allowed(self) -> tuple[float, float]:
        """The least and most that `share` may be."""
        if self.kind == "test":
            high = SIZE_FEW if self.items < MANY and not self.discrete else SIZE[1]
            return (SIZE[0] if self.items >= MANY and not self.discrete else 0.0), high
        if self.discrete:
            return 0.94, 1.0
        return (0.935, 0.965) if self.items >= MANY else (0.93, 1.0)

    @property
    def verdict(self) -> str:
        """What the rule says; anything in FAILURES fails the validation."""
        if self.silent:
            return "no reason given"
        if self.given < max(self.replicates / 10, 1):
            return "withheld"
        low, high = self.allowed
        if beyond(self.given, self.share, low, high, self.replicates >= FULL[self.kind]):
            side = "low" if self.share < low else "high"
            return {"test": {"high": "liberal", "low": "conservative test"}}.get(self.kind, {}).get(side, side)
        if self.items >= LARGE and self.kind == "interval" and abs(self.bias) >= BIAS + self._bias_error():
            return "biased"
        return "conservative" if self._is_conservative() else "holds"

    def _bias_error(self) -> float:
        return 0.0 if self.replicates >= FULL["interval"] else float(stats.norm.isf(TAIL / 2) / np.sqrt(self.given))

    def _is_conservative(self) -> bool:
        over = self.share < SIZE[0] if self.kind == "test" else self.share > 0.965
        return over and (self.discrete or self.items < MANY)


FAILURES = frozenset({"no reason given", "low", "high", "liberal", "conservative test", "biased"})


def beyond(given: int, share: float, low: float, high: float, full: bool) -> bool:
    """Whether a share is outside what is allowed: as it stands at full counts, else if chance is no excuse."""
    if full:
        return not low <= share <= high
    count = round(share * given)
    return bool(stats.binom.cdf(count, given, low) < TAIL or stats.binom.sf(count - 1, given, high) < TAIL)


def outcomes(case: Case, readings: Sequence[Mapping[str, Reading]]) -> Floats:
    """(replicates, names, 4): value, low, high, and 1 where an interval or a p-value is missing without a reason."""
    table = np.full((len(readings), len(names(case)), 4), nan)
    for place, taken in enumerate(readings):
        for column, name in enumerate(names(case)):
            reading = taken[name]
            missing = np.isnan(reading.value if name in case.nulls else reading.low)
            table[place, column] = reading.value, reading.low, reading.high, float(missing and not reading.reason)
    return table


def names(case: Case) -> list[str]:
    """Intervals, then tests."""
    return [*case.truth, *sorted(case.nulls)]


def rows(case: Case, table: Floats) -> list[Row]:
    """The counts of `outcomes`, one row a name."""
    return [_row(case, name, table[:, column]) for column, name in enumerate(names(case))]


def _row(case: Case, name: str, one: Floats) -> Row:
    value, low, high = one[:, 0], one[:, 1], one[:, 2]
    silent, test = int(one[:, 3].sum()), name in case.nulls
    truth = nan if test else case.truth[name]
    there = ~np.isnan(value if test else low)
    above = value[there] <= 1 - LEVEL if test else high[there] < truth - TOUCH
    width = (high - low)[there]
    return Row(
        topic=case.topic,
        cell=case.cell,
        items=case.items,
        name=name,
        kind="test" if test else "interval",
        discrete=name in case.discrete,
        truth=truth,
        replicates=len(one),
        given=int(there.sum()),
        below=0 if test else int((low[there] > truth + TOUCH).sum()),
        above=int(above.sum()),
        silent=silent,
        bias=nan if test else _bias(value[there], truth),
        width=float(np.median(width)) if there.any() and not test else nan,
    )


def _bias(value: Floats, truth: float) -> float:
    """In standard errors; nan for whole numbers (horizons), infinite values, and a truth of 0 met from above.

    An estimate that cannot fall below 0 is biased where the truth is 0, whatever its form.
    """
    if not len(value) or not np.isfinite(value).all() or (truth == 0 and (value >= 0).all()):
        return nan
    if (value == np.round(value)).all() and truth == round(truth):
        return nan
    spread = float(value.std(ddof=1)) if len(value) > 1 else 0.0
    return float((value.mean() - truth) / spread) if spread > 0 else nan
