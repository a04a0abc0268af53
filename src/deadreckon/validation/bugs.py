"""Statistical bugs to be planted in the instruments, one at a time: (name, module, old text, new text).

Each old text stands exactly once in its module. Every bug must turn one of the fast checks red; one that none sees is
a hole in the checks.
"""

from __future__ import annotations

from typing import NamedTuple


class Bug(NamedTuple):
    """A change of a module's source that makes it wrong."""

    name: str
    module: str  # below deadreckon
    old: str
    new: str


STATS = "instruments.stats"
ARM = "instruments.arm"
SURVIVAL = "instruments.survival"
HAZARD = "instruments.hazard"
RECOVERY = "instruments.recovery"
FORCED = "instruments.forced"
CONDITIONING = "instruments.conditioning"
DRIFT = "instruments.drift"
FREEDOM = "instruments.freedom"
COX = "instruments.cox"

BUGS: tuple[Bug, ...] = (
    Bug("variance without the few-clusters factor", STATS, "c / np.maximum(c - 1, 1), nan)", "1.0, nan)"),
    Bug("normal quantile for Student's t", STATS, "np.maximum(freedom, 1), 0.5 + level / 2)", "1e9, 0.5 + level / 2)"),
    Bug("one-sided quantile", STATS, "np.maximum(freedom, 1), 0.5 + level / 2)", "np.maximum(freedom, 1), level)"),
    Bug("90% for 95%", STATS, "tail = (1 - level) / 2", "tail = 1 - level"),
    Bug("exact interval off by one", STATS, "rest + 1, tail)", "rest, tail)"),
    Bug("mean of ratios for ratio of means", STATS, "value = y.sum() / total", "value = np.mean(y[x > 0] / x[x > 0])"),
    Bug("denominator taken as fixed", STATS, "(y - value * x) / total", "(y - y.mean()) / total"),
    Bug(
        "every step an independent sample",
        STATS,
        "size = np.where(inside, size, np.minimum(least, most))",
        "size = np.broadcast_to(np.minimum(most, 1e9), np.shape(size))",
    ),
    Bug(
        "no event: every step claimed",
        STATS,
        "np.where(inside, size, np.minimum(least, most))",
        "np.where(inside, size, most)",
    ),
    Bug("effective size without t", STATS, "np.where(inside, v, 1.0) * shrink", "np.where(inside, v, 1.0)"),
    Bug("zero width printed", STATS, "np.sqrt(np.where(spread > 0, spread, nan))", "np.sqrt(spread)"),
    Bug("log scale without the delta method", STATS, "spread / safe**2", "spread"),
    Bug("a few items taken for all", STATS, "if load is None else effective(load)", ""),
    Bug("correlation with the wrong sign", STATS, "- 2 * r * mine", "+ 2 * r * mine"),
    Bug("pairing ignored", STATS, "- 2 * r * mine * other", ""),
    Bug(
        "ends of a difference swapped",
        STATS,
        "reach(a.value - a.low, b.high - b.value)",
        "reach(a.high - a.value, b.value - b.low)",
    ),
    Bug("exponential of the summed hazard for the product limit", STATS, "np.cumprod(1 - h)", "np.exp(-np.cumsum(h))"),
    Bug("Greenwood's variance with n for n - d", STATS, "np.where(h < 1, y_safe * (1 - h), 1.0)", "y_safe"),
    Bug("no high end after all failed", STATS, "bound if present[0] > 1 else nan", "0.0"),
    Bug(
        "bootstrap without replacement",
        STATS,
        "rng.integers(clusters, size=(draws, clusters))",
        "np.tile(np.arange(clusters), (draws, 1))",
    ),
    Bug(
        "one bootstrap draw for all",
        STATS,
        "rng.integers(clusters, size=(draws, clusters))",
        "rng.integers(clusters, size=(1, clusters)).repeat(draws, axis=0)",
    ),
    Bug("bootstrap of too few", STATS, "rng.integers(clusters, size", "rng.integers(clusters - 1, size"),
    Bug(
        "weights ignored",
        ARM,
        "(values * self.weight[self.rollout])[rows]\n        return",
        "values[rows]\n        return",
    ),
    Bug("forced steps counted", ARM, 'own=pl.col("forced") == ""', "own=pl.lit(value=True)"),
    Bug("families ignored", ARM, 'unit = "family" if named else "item"', 'unit = "item"'),
    Bug("rollouts taken as items", ARM, 'groups[unit].rank("dense")', 'groups[unit].rank("ordinal")'),
    Bug("illegal actions not counted", ARM, "for event in ERRORS]", "for event in ERRORS[:1]]"),
    Bug(
        "a mend counted as an error",
        ARM,
        'pl.col("event").is_in([event.value for event in ERRORS])',
        'pl.col("event") != "right"',
    ),
    Bug(
        "arms paired by position", ARM, "spread[union.search_sorted(arm.labels).to_numpy()]", "spread[: len(influence)]"
    ),
    Bug("time since the forced step off by one", ARM, "t - last[self.rollout] - 1", "t - last[self.rollout]"),
    Bug(
        "risk set after the event",
        SURVIVAL,
        "ends.sum(axis=2)[:, ::-1].cumsum(axis=1)[:, ::-1]",
        "ends.sum(axis=2)[:, ::-1].cumsum(axis=1)[:, ::-1] - ends[:, :, 1]",
    ),
    Bug("censored rollouts dropped", SURVIVAL, "ends.sum(axis=2)[:, ::-1]", "ends[:, ::-1, 1]"),
    Bug(
        "moments of the beta product off by one", STATS, "np.cumprod((y - d + 1) / (y + 1))", "np.cumprod((y - d) / y)"
    ),
    Bug("low end of the beta product without its last step", STATS, "mean * left / (left + 1)", "mean"),
    Bug(
        "horizon counted as failure",
        SURVIVAL,
        "failed = first < length",
        'failed = (first < length) | (arm.stop == "horizon")',
    ),
    Bug(
        "fault counted as failure",
        SURVIVAL,
        "failed = first < length",
        'failed = (first < length) | (arm.stop == "fault")',
    ),
    Bug(
        "done counted as error", SURVIVAL, "failed = first < length", 'failed = (first < length) | (arm.stop == "done")'
    ),
    Bug(
        "the step before the error for its own",
        SURVIVAL,
        "np.where(failed, first + 1, length)",
        "np.where(failed, first, length)",
    ),
    Bug(
        "the last error for the first",
        SURVIVAL,
        "np.minimum.at(first, arm.rollout[wrong], at[wrong])",
        "first[arm.rollout[wrong]] = at[wrong]",
    ),
    Bug("a cut step that never failed", SURVIVAL, "first.failed | lost)", "first.failed)"),
    Bug("survivors of a cut left out", SURVIVAL, "np.where(kept, first.reach, first.length)", "first.length"),
    Bug("horizon below q, not at it", SURVIVAL, "values <= q + 1e-12", "values < q - 1e-12"),
    Bug("horizon counted from 0", SURVIVAL, "float(at[0] + 1)", "float(at[0])"),
    Bug("ends of the horizon swapped", SURVIVAL, "(s.value, s.low, s.high))", "(s.value, s.high, s.low))"),
    Bug("horizon extrapolated", SURVIVAL, "low = min(low, first.reach + 1.0)", ""),
    Bug(
        "odds for a hazard", HAZARD, "ratio(d.sum(axis=1), y.sum(axis=1))", "ratio(d.sum(axis=1), (y - d).sum(axis=1))"
    ),
    Bug("more events in an item than it can have", HAZARD, "float(y[:, 0].max())", "0.5"),
    Bug(
        "the track leaks from one rollout to the next",
        RECOVERY,
        "before[last - arm.length[arm.length > 0] + 1] = True",
        "",
    ),
    Bug("a broken rollout left on track", RECOVERY, "== Stop.BROKEN.value]] = False", "== Stop.BROKEN.value]] = True"),
    Bug("recovery per step on track", RECOVERY, "lambda m: (m.off(arm), m.after),", "lambda m: (m.on(arm), m.after),"),
    Bug("earned and unearned swapped", RECOVERY, "m.after & ~m.unearned", "m.after & m.unearned"),
    Bug("a fix is not earned", RECOVERY, "~(fix | mend)", "~mend"),
    Bug(
        "the odds of the law inverted",
        RECOVERY,
        "value = g.value / (g.value + h.value)",
        "value = h.value / (g.value + h.value)",
    ),
    Bug(
        "influences of a log odds added",
        RECOVERY,
        "g.influence / g.value - h.influence",
        "g.influence / g.value + h.influence",
    ),
    Bug("ended rollouts leave the occupancy", RECOVERY, "np.where(later, final[:, None], held)", "held"),
    Bug("recovery read under any rule", RECOVERY, "if arm.on_error is not OnError.ACCEPT:", "if False:"),
    Bug(
        "exposure after the error for before it",
        FORCED,
        "np.cumprod(1 - grid, axis=1)[:, :-1]], axis=1)",
        "np.cumprod(1 - grid, axis=1)[:, 1:]], axis=1)",
    ),
    Bug("gap with the wrong sign", FORCED, "gap = ours.value - theirs.value", "gap = theirs.value - ours.value"),
    Bug("influence of a power with the wrong sign", FORCED, "influence = -n * ", "influence = n * "),
    Bug("own contexts taken for the oracle's", FORCED, "if arm.on_error is not OnError.REPAIR:", "if False:"),
    Bug(
        "right mass for wrong mass",
        FORCED,
        "np.clip(1 - np.nan_to_num(mass), 0.0, 1.0)",
        "np.clip(np.nan_to_num(mass), 0.0, 1.0)",
    ),
    Bug("rollouts without a twin compared", CONDITIONING, 'shared["found"].fill_null(False).to_numpy()', "True"),
    Bug("ratio upside down", CONDITIONING, "quotient = a.value[0] / b.value[0]", "quotient = b.value[0] / a.value[0]"),
    Bug(
        "window after the intervention off by one",
        CONDITIONING,
        "(at >= 0) & (at < steps)",
        "(at >= 0) & (at < steps - 1)",
    ),
    Bug("influences of a ratio added", CONDITIONING, "value * (u - v)", "value * (u + v)"),
    Bug("a rate of few items as of all", FREEDOM, "1 + freedom(rate.influence, rate.clusters)", "rate.clusters"),
    Bug(
        "two rates known as well as the better one",
        RECOVERY,
        "b**2 / freedom(h.influence, h.clusters))",
        "0 * b)",
    ),
    Bug("spread about 0, not about the mean", "instruments.constancy", "u = z - z.mean(axis=0)", "u = z"),
    Bug("a hazard not fitted but known", "instruments.constancy", "(left - total / y.sum() * left", "(left - 0 * left"),
    Bug(
        "a bias doubled",
        "instruments.decline",
        "+ (a.value / b.value * bb - ab) /",
        "- (a.value / b.value * bb - ab) /",
    ),
    Bug("divergence the wrong way round", DRIFT, '"kl_free_running", "kl_pq"', '"kl_free_running", "kl_qp"'),
    Bug("large loads overlooked", DRIFT, "np.minimum(effective(load), freedom(influence, clusters) + 1)", "clusters"),
    Bug(
        "heavy tails overlooked",
        DRIFT,
        "np.minimum(effective(load), freedom(influence, clusters) + 1)",
        "effective(load)",
    ),
    Bug("tails of a normal held against it", FREEDOM, "kurtosis - 3", "kurtosis"),
    Bug("contexts of another rule", DRIFT, "if (arm.on_error is OnError.REPAIR) is not forced:", "if False:"),
    Bug(
        "infinite divergences dropped",
        DRIFT,
        "infinite = int(np.isinf(values[arm.own]).sum())",
        "values, infinite = np.where(np.isinf(values), np.nan, values), 0",
    ),
    Bug("excess without the linear part", DRIFT, "100 * (growth - 1), ", "100 * growth, "),
    Bug("excess of strangers", DRIFT, "((u - v) ** 2).sum(axis=0)", "(u**2 + v**2).sum(axis=0)"),
    Bug("entropy left out of the identity", DRIFT, 'arm.floats("entropy") + arm', "arm"),
    Bug(
        "tokens of right steps alone",
        "instruments.cost",
        "np.nan_to_num(tokens), arm.own)",
        "np.nan_to_num(tokens), arm.own & ~arm.error)",
    ),
    Bug("hazards compared among those gone", COX, "risk = [_from_here_on(part)", "risk = [np.cumsum(part, axis=0)"),
    Bug("ties of a ratio as if in order", COX, 'part * (ties == "efron")', "part * 1.0"),
    Bug(
        "rollouts of a ratio as items", COX, "np.unique(labels[used], return_inverse=True)[1]", "np.arange(used.sum())"
    ),
    Bug("a ratio turned over", COX, "zip(both, (1.0, 0.0), strict=True)", "zip(both, (0.0, 1.0), strict=True)"),
    Bug("replicates that share a seed", "validation.case", "Purpose.START, place)", "Purpose.START, 0)"),
    Bug(
        "cells that share a seed",
        "validation.case",
        "hash64(case.topic, case.cell), Purpose",
        "hash64(case.topic), Purpose",
    ),
    Bug(
        "withheld intervals counted as holding",
        "validation.tally",
        "there = ~np.isnan(value if test else low)",
        "there = np.ones(len(one), bool)",
    ),
    Bug(
        "misses above not counted",
        "validation.tally",
        "above = value[there] <= 1 - LEVEL if test else",
        "above = value[there] <= 1 - LEVEL if test else False &",
    ),
)
