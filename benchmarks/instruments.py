"""How fast are the statistics? Kaplan-Meier and a clustered hazard on a million rows, and resampled items.

    .venv/bin/python benchmarks/instruments.py

Needs the extra `bench` (lifelines, statsmodels). Each of ours against its peer in the same run, interleaved, medians of
five, CPU time, one thread. Ours gives intervals clustered by item; lifelines' rows are independent.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import statsmodels.api as sm
from lifelines import KaplanMeierFitter

from deadreckon.instruments.band import resampled
from deadreckon.instruments.shape import Law, fit, influences
from deadreckon.instruments.survival import FirstErrors, first_errors
from deadreckon.validation.lifetimes import Lives

RUNS = 5


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def lives(items: int, rollouts: int, horizon: int) -> FirstErrors:
    return first_errors(Lives(items, rollouts, horizon, h=0.05, cut=0.02).draw(np.random.default_rng(0)))


def kaplan_meier() -> tuple[Callable[[], object], Callable[[], object]]:
    """A million rollouts of 2,000 items, with intervals."""
    first = lives(2000, 500, 50)
    return first.curve, lambda: KaplanMeierFitter().fit(first.length, first.failed)


def clustered_hazard() -> tuple[Callable[[], object], Callable[[], object]]:
    """One hazard from a million steps, its error clustered by item (complementary log-log)."""
    first = lives(2000, 45, 50)
    rows = np.repeat(np.arange(len(first.length)), first.length)
    event = np.zeros(len(rows))
    event[np.cumsum(first.length)[first.failed] - 1] = 1
    family = sm.families.Binomial(link=sm.families.links.CLogLog())

    def ours() -> object:
        d, y = first.counts()
        return influences(fit(Law("exponential"), d.sum(axis=0), y.sum(axis=0)), d, y)

    def theirs() -> object:
        groups = {"groups": first.arm.home[rows]}
        return sm.GLM(event, np.ones((len(rows), 1)), family=family).fit(cov_type="cluster", cov_kwds=groups)

    print(f"steps in the hazard: {len(rows):,}")
    return ours, theirs


def main() -> None:
    warnings.simplefilter("ignore")
    peers = {"Kaplan-Meier, 1M rollouts": ("lifelines", kaplan_meier), "hazard, 1M steps": ("GLM", clustered_hazard)}
    for name, (peer, make) in peers.items():
        ours, theirs = make()
        seconds(ours)
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(RUNS)]
        mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{name:28} ours {mine:.4f} s, {peer} {other:.4f} s, ratio {ratio:.1f}", flush=True)
    first = lives(500, 200, 50)
    took = statistics.median(seconds(lambda: resampled(first)) for _ in range(RUNS))
    print(f"{'bootstrap of the median':28} 2,000 draws, 100,000 rollouts, 500 items: {took:.3f} s")


if __name__ == "__main__":
    main()
