"""The published time horizon of outcome tables: the length at which success has fallen to q."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import special

from deadreckon.contracts import Reading, nan
from deadreckon.errors import BadOption
from deadreckon.instruments.arm import Ints, Measure, both
from deadreckon.instruments.outcomes import Outcomes
from deadreckon.instruments.stats import LEVEL, Estimate, Floats, bootstrap_weights, mean_interval
from deadreckon.seeds import Purpose, generator, hash64

C = 10.0  # of the published objective
DRAWS = 1000
NEAR = 2.0  # runs within this factor of a horizon are what it rests on
FEWEST_NEAR = 20
FEWEST_CLUSTERS = 20  # below it percentile intervals cover too little
AT_ONCE = 1 << 15  # numbers of a block of draws: what a processor keeps at hand
ITERATIONS, LARGEST_STEP, SETTLED = 100, 2.0, 1e-10

Interval = Literal["published", "clustered"]


def published_weights(outcomes: Outcomes) -> Floats:
    """(items,) each item's share: a run weighs weight / (runs of the item * sqrt(items of the family)); sum 1."""
    share = outcomes.weight / np.sqrt(np.bincount(outcomes.family, minlength=outcomes.clusters)[outcomes.family])
    total: Floats = share / share.sum()
    return total


def fit_logistic(x: Floats, weight: Floats, won: Floats) -> tuple[Floats, Floats]:
    """Minimise  b^2/2 + C sum_i [w_i ln(1 + exp(a + b x_i)) - s_i (a + b x_i)]  for every draw at once.

    x (items,) log2 length; weight w, won s (draws, items): weight of the runs of an item and of its successes.
    Returns a and b (draws,) from Newton steps, nan where a draw holds successes or failures alone (a is not penalised,
    and has no finite value then). The same as scikit-learn's LogisticRegression(C=10) with sample weights.
    """
    total, score = weight.sum(axis=1), won.sum(axis=1)
    mixed = np.flatnonzero((score > 1e-12 * total) & (score < (1 - 1e-12) * total))
    found = np.full((2, len(weight)), nan)
    for rows in np.array_split(mixed, max(1, mixed.size * len(x) // AT_ONCE)):
        found[:, rows] = _newton(x, weight[rows], won[rows], special.logit(score[rows] / total[rows]))
    return found[0], found[1]


def _newton(x: Floats, w: Floats, s: Floats, a: Floats) -> Floats:
    """(2, draws) a and b from a start in a, b = 0."""
    centre = float(x.mean())
    basis = np.stack([np.ones_like(x), x - centre, (x - centre) ** 2], axis=1)
    b = np.zeros(len(w))
    for _ in range(ITERATIONS):
        p = special.expit(a[:, None] + b[:, None] * basis[:, 1])
        p_w = w * p
        slope = C * ((s - p_w) @ basis[:, :2]) - np.stack([np.zeros_like(b), b], axis=1)
        if np.abs(slope).max(initial=0) < SETTLED:
            break
        h = C * ((p_w * (1 - p)) @ basis)
        curved = h[:, 2] + 1
        determinant = h[:, 0] * curved - h[:, 1] ** 2
        step = np.stack([curved * slope[:, 0] - h[:, 1] * slope[:, 1], h[:, 0] * slope[:, 1] - h[:, 1] * slope[:, 0]])
        step /= np.maximum(determinant, 1e-300)
        step *= np.minimum(1, LARGEST_STEP / np.maximum(np.abs(step).max(axis=0), 1e-300))
        a, b = a + step[0], b + step[1]
    return np.stack([a - b * centre, b])


def time_horizon(
    outcomes: Outcomes, q: float = 0.5, extrapolate: str = "", interval: Interval = "published"
) -> Reading:
    """The length p_q at which the fitted chance of success, sigma(a + b log2 length), is q. Named time_horizon_50.

        p_q = 2^((ln(q / (1-q)) - a) / b),   a, b minimise  b^2/2 + C sum_r w_r loss_r,   C = 10,
        w_r ~ weight / (runs of the item sqrt(items of the family)),  sum w = 1

    The penalty does not shrink as runs are added: the fit's slope stays flatter than the data's, which moves p_80 more
    than p_50. Compare `fitted_time_horizon` with the law loglogistic, the same curve without a penalty.

    interval = "published": percentiles of 1,000 bootstrap draws of families, items in them, and runs in those, weights
    not renormalised. Each stage adds variance that the one above it already holds: it is wider than it need be where
    items have several runs, or families several items. "clustered": log2 p_q -+ t se, families (or items) as clusters.
    An end outside the lengths observed is given as 0 or inf.

    Refused where p_q is below the shortest length; inf, "not reached", beyond the longest, unless extrapolate =
    "logistic" asks for the model's word. Source: Kwa et al., "Measuring AI ability to complete long tasks"
    (arXiv 2503.14499).
    """
    how = "family-item-run percentile bootstrap" if interval == "published" else "leave-one-item-out variance"
    measure = Measure(f"time_horizon_{round(100 * q)}", outcomes.unit, f"logistic in log2 length, C = 10, {how}")
    if extrapolate not in ("", "logistic"):
        raise BadOption(f"extrapolate={extrapolate!r}: this fit's only model is 'logistic'")
    why = refusal(outcomes)
    if why:
        return measure.missing(outcomes, why)
    x = np.log2(outcomes.length)
    range_ = (-np.inf, np.inf) if extrapolate else (float(x.min()), float(x.max()))
    fit, share = _whole(outcomes)
    value = float(_crossing(fit, q, range_, share)[0])
    if value == 0 or np.isnan(value):
        return measure.missing(outcomes, _below(outcomes, q) if value == 0 else "success does not fall with length")
    note = _caveats(outcomes, value)
    if outcomes.clusters < FEWEST_CLUSTERS:
        few = f"{outcomes.clusters} families or items: an interval needs {FEWEST_CLUSTERS} or more"
        return measure.reading(outcomes, value, (nan, nan), both(note, few))
    if interval == "published":
        weight, won = resample(outcomes)
        ends = _crossing(fit_logistic(x, weight, won), q, range_, won / np.maximum(weight, 1e-300))
        low, high = np.quantile(ends, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    else:
        low, high = (_clip(t, range_) for t in mean_interval(_linear(outcomes, fit, q)))
    low = min(low, 2 ** range_[1])
    return measure.reading(outcomes, value, (min(low, value), max(high, value)), note)


def _whole(outcomes: Outcomes) -> tuple[tuple[Floats, Floats], Floats]:
    """The fit to the table itself, as one draw, and its shares of success."""
    w, share = published_weights(outcomes), outcomes.wins / outcomes.runs
    return fit_logistic(np.log2(outcomes.length), w[None], (w * share)[None]), share[None]


def _clip(log2_length: float, range_: tuple[float, float]) -> float:
    """2^x; inf beyond the range, 0 below it."""
    if log2_length > range_[1]:
        return float("inf")
    return 0.0 if log2_length < range_[0] else float(2**log2_length)


def _linear(outcomes: Outcomes, fit: tuple[Floats, Floats], q: float) -> Estimate:
    """log2 p_q with its influence by cluster: u_i = (H - H_i)^-1 s_i, the one-step jackknife (Bell and McCaffrey)."""
    a, b = float(fit[0][0]), float(fit[1][0])
    x, w = np.log2(outcomes.length), published_weights(outcomes)
    p = special.expit(a + b * x)
    basis = np.stack([np.ones_like(x), x], axis=1)
    score = C * (w * (outcomes.wins / outcomes.runs - p))[:, None] * basis
    hessian = C * (w * p * (1 - p))[:, None, None] * basis[:, :, None] * basis[:, None, :]
    totals = [np.zeros((outcomes.clusters, *part.shape[1:])) for part in (score, hessian)]
    for total, part in zip(totals, (score, hessian), strict=True):
        np.add.at(total, outcomes.family, part)
    rest = hessian.sum(axis=0) + np.diag([0.0, 1.0]) - totals[1]
    u = np.linalg.solve(rest, totals[0][:, :, None])[:, :, 0]
    value = (special.logit(q) - a) / b
    return Estimate(float(value), -(u[:, 0] + value * u[:, 1]) / b, outcomes.clusters)


def refusal(outcomes: Outcomes) -> str:
    """Why no curve in length can be fitted; "" where one can."""
    if not outcomes.items:
        return "no run"
    unknown = int(np.isnan(outcomes.length).sum())
    if unknown:
        return f"the length of {unknown} of {outcomes.items} items is unknown"
    if len(np.unique(outcomes.length)) < 2:
        return f"every item is {outcomes.length[0]:g} {outcomes.unit} long: a curve needs two lengths"
    total = float(outcomes.success.sum())
    if total in (0.0, float(len(outcomes.success))):
        side = "failed: the horizon is below the shortest" if not total else "succeeded: it is beyond the longest"
        return f"every run {side} length"
    return ""


def _below(outcomes: Outcomes, q: float) -> str:
    shortest = f"{outcomes.length.min():g} {outcomes.unit}"
    return f"below the shortest length, {shortest}: fitted success is under {q:g} even there"


def _caveats(outcomes: Outcomes, value: float) -> str:
    """What a reader must know of a horizon at this value."""
    shortest, longest = outcomes.length.min(), outcomes.length.max()
    if np.isinf(value):
        return f"not reached within the longest length, {longest:g} {outcomes.unit}"
    notes = []
    if not shortest <= value <= longest:
        notes.append(f"outside the lengths observed, {shortest:g} to {longest:g}: the logistic model's word alone")
    return both(*notes, few_near(outcomes, value))


def few_near(outcomes: Outcomes, value: float) -> str:
    """A flag where fewer than 20 runs are of items about as long as this; "" where enough are."""
    near = np.abs(np.log(outcomes.length / value)) <= np.log(NEAR)
    runs = int(outcomes.runs[near].sum())
    few = f"rests on {runs} runs within a factor of {NEAR:g} of it, fewer than {FEWEST_NEAR}"
    return few if runs < FEWEST_NEAR else ""


def _crossing(fit: tuple[Floats, Floats], q: float, range_: tuple[float, float], share: Floats) -> Floats:
    """(draws,) length at which a curve falls to q: inf where it stays above q, 0 where it is below q from the start."""
    a, b = fit
    level = special.logit(q)
    alone = np.isnan(a)
    a, b = np.where(alone, np.where(share.max(axis=1) > 0, np.inf, -np.inf), a), np.where(alone, 0.0, b)
    falls = b < 0
    at = (level - a) / np.where(falls, b, -1.0)
    first, last = range_
    over = np.where(falls, at > last, a + b * np.nan_to_num(last, posinf=0) > level)
    under = np.where(falls, at < first, ~over)
    return np.where(over, np.inf, np.where(under, 0.0, np.exp2(np.clip(np.where(np.isfinite(at), at, 0), -1000, 1000))))


def resample(outcomes: Outcomes, draws: int = DRAWS) -> tuple[Floats, Floats]:
    """Weight of the runs of each item, and of its successes, in every bootstrap draw: (draws, items) each.

    A family drawn m times gives m times as many draws of its items as it has, an item drawn k times k times as many of
    its runs. Draws stand at (seed 0, name of the fit, BOOTSTRAP).
    """
    rng = generator(0, hash64("time_horizon"), Purpose.BOOTSTRAP)
    families = bootstrap_weights(rng, outcomes.clusters, draws).astype(np.int64)
    w, copies = published_weights(outcomes), _items_within(rng, families, outcomes.family)
    return copies * w, _runs_within(rng, copies, outcomes) * (w / outcomes.runs)


def _items_within(rng: np.random.Generator, families: Ints, family: Ints) -> Ints:
    """(draws, items) how often each item is drawn, given how often its family was."""
    copies = families[:, family]
    sizes = np.bincount(family)
    for which in np.flatnonzero(sizes > 1):
        size = int(sizes[which])
        copies[:, family == which] = rng.multinomial(families[:, which] * size, np.full(size, 1 / size))
    return copies


def _runs_within(rng: np.random.Generator, copies: Ints, outcomes: Outcomes) -> Floats:
    """(draws, items) successes among the runs drawn, given how often their item was."""
    runs = outcomes.runs
    won = rng.binomial(copies * runs, np.clip(outcomes.wins / runs, 0, 1)).astype(float)
    for which in np.unique(outcomes.item[~outcomes.whole]):
        scores = outcomes.success[outcomes.item == which]
        won[:, which] = rng.multinomial(copies[:, which] * len(scores), np.full(len(scores), 1 / len(scores))) @ scores
    return won


def published_value(outcomes: Outcomes) -> float:
    """The published p_50, within the lengths observed, without its interval; nan where there is none."""
    if refusal(outcomes):
        return nan
    x = np.log2(outcomes.length)
    fit, share = _whole(outcomes)
    value = float(_crossing(fit, 0.5, (float(x.min()), float(x.max())), share)[0])
    return value if value > 0 else nan
