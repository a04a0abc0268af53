"""Does an error breed errors? Judged by intervention: the same item and step with and without an injected error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deadreckon.contracts import Reading
from deadreckon.instruments.arm import Arm, Bools, Measure, aligned, both, curve
from deadreckon.instruments.stats import (
    Estimate,
    Floats,
    Side,
    difference_interval,
    log_interval,
    proportion_interval,
    variance,
)

PAIRED = "paired by item, step and rollout: injected minus healed, MOVER"
FEWEST_ERRORS = 40  # on both sides of a ratio together: a bound on each picks out the pairs whose ratio is near 1
FEWEST_ON_A_SIDE = 10


@dataclass(frozen=True, slots=True)
class Window:
    """Own steps after the intervention in both arms, for the pairs that both arms hold."""

    injected: tuple[Floats, Floats]  # errors, steps: (clusters, steps)
    healed: tuple[Floats, Floats]
    pairs: int


def _rows(arm: Arm, other: Arm, steps: int) -> tuple[Bools, int]:
    """Own steps within `steps` of the last forced one, of rollouts that both arms forced up to the same step."""
    mine, theirs = (one.keys.with_columns(last=_last_forced(one)) for one in (arm, other))
    shared = mine.join(
        theirs.with_columns(found=True), on=["item", "rollout", "last"], how="left", maintain_order="left"
    )
    kept = shared["found"].fill_null(False).to_numpy() & (mine["last"] >= 0).to_numpy()
    at = arm.since_forced()
    return kept[arm.rollout] & (at >= 0) & (at < steps), int(kept.sum())


def _last_forced(arm: Arm) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(rollouts,) the last forced step, -1 where none is."""
    last = np.full(len(arm.length), -1, dtype=np.int64)
    np.maximum.at(last, arm.rollout[~arm.own], arm.steps_at()[~arm.own])
    return last


def _window(injected: Arm, healed: Arm, steps: int) -> Window:
    """Errors and steps of both arms on the union of their clusters."""
    rows, pairs = _rows(injected, healed, steps)
    errors, count = _totals(injected, rows, steps)
    rows, _ = _rows(healed, injected, steps)
    errors_healed, count_healed = _totals(healed, rows, steps)
    errors, errors_healed = aligned(injected, healed, errors, errors_healed)
    count, count_healed = aligned(injected, healed, count, count_healed)
    return Window((errors, count), (errors_healed, count_healed), pairs)


def _totals(arm: Arm, rows: Bools, steps: int) -> tuple[Floats, Floats]:
    at = arm.since_forced()
    folded = [arm.per_step(values, rows, at) for values in (arm.error.astype(float), np.ones(len(rows)))]
    errors, count = (np.pad(values, ((0, 0), (0, steps - values.shape[1]))) for values in folded)
    return errors, count


def _side(errors: Floats, steps: Floats) -> Side:
    """Error rates of columns, with influence by cluster: (C, k) -> (k,)."""
    total, present = steps.sum(axis=0), (steps > 0).sum(axis=0)
    safe = np.where(total > 0, total, np.nan)
    rate = errors.sum(axis=0) / safe
    influence = np.nan_to_num((errors - rate * steps) / safe)
    low, high = proportion_interval(rate, variance(influence, present), present, total, present.astype(float))
    return Side(rate, low, high, influence)


def self_conditioning(injected: Arm, healed: Arm, steps: int = 10, quantity: str = "self_conditioning") -> Reading:
    """Difference in the error rate of the model's own steps 1 ... `steps` after an injected error and without it.

    Both arms force the same prefix; one forces an error as its last step, the other the right action. Every step is
    judged against the actual state. The curve is the difference by distance. Source of the design: Sinha et al.,
    "The Illusion of Diminishing Returns" (arXiv 2509.09677); interval: `stats.difference_interval`.
    """
    measure = Measure(quantity, "errors per step", PAIRED)
    window = _window(injected, healed, steps)
    if not window.pairs:
        return measure.missing(injected, "no pair of rollouts forced up to the same step in both tables")
    whole = [_side(*(v.sum(axis=1, keepdims=True) for v in arm)) for arm in (window.injected, window.healed)]
    if np.isnan(whole[0].value[0] - whole[1].value[0]):
        return measure.missing(injected, "no step of the model's own after the forced ones")
    by_distance = [_side(*arm) for arm in (window.injected, window.healed)]
    low, high = difference_interval(by_distance[0], by_distance[1])
    gap = by_distance[0].value - by_distance[1].value
    n = (window.injected[1] > 0).sum(axis=0)
    points = curve("steps after", np.arange(1.0, steps + 1), gap, (low, high), n)
    low, high = difference_interval(whole[0], whole[1])
    rates = f"{whole[0].value[0]:.4g} after an error, {whole[1].value[0]:.4g} without"
    reason = f"causal: by intervention, {window.pairs} pairs; {rates}"
    return measure.reading(injected, whole[0].value[0] - whole[1].value[0], (low[0], high[0]), reason, points)


def self_conditioning_first(injected: Arm, healed: Arm) -> Reading:
    """`self_conditioning` in the first step after the intervention alone, before a second error can enter."""
    return self_conditioning(injected, healed, 1, "self_conditioning_first")


def self_conditioning_ratio(injected: Arm, healed: Arm, steps: int = 10) -> Reading:
    """Ratio of the two error rates of `self_conditioning`: 1 = an error does not breed errors.

        R = a / b * (1 + cov(a, b) / ab) / (1 + var(b) / b^2)

    a with the error, b without, freed of the leading bias of a quotient. Interval on the log scale: u_i = u_i(injected)
    / rate - u_i(healed) / rate, t over items. With fewer than 40 errors together or 10 on a side it is the bare
    quotient a / b, and has no interval. Source: Beale, "Some uses of computers in operational research", Industrielle
    Organisation 31 (1962); Tin, JASA 60 (1965).
    """
    measure = Measure("self_conditioning_ratio", "1", "ratio paired by item, t on the log scale")
    window = _window(injected, healed, steps)
    a, b = (_side(*(v.sum(axis=1, keepdims=True) for v in arm)) for arm in (window.injected, window.healed))
    for side, name in ((a, "after an injected error"), (b, "without one")):
        if not side.value[0] > 0:
            return measure.missing(injected, f"no error {name} in the {steps} steps: a ratio needs both")
    quotient = a.value[0] / b.value[0]
    causal = f"causal: by intervention, {window.pairs} pairs"
    errors = [int(arm[0].sum()) for arm in (window.injected, window.healed)]
    if sum(errors) < FEWEST_ERRORS or min(errors) < FEWEST_ON_A_SIDE:
        needs = f"a ratio needs {FEWEST_ERRORS} together and {FEWEST_ON_A_SIDE} on each side"
        few = f"no interval: {errors[0]} and {errors[1]} errors, {needs}"
        return measure.reading(injected, quotient, (np.nan, np.nan), both(causal, few))
    u, v = a.influence[:, 0] / a.value[0], b.influence[:, 0] / b.value[0]
    load = window.injected[1].sum(axis=1)
    clusters = int((load > 0).sum())
    spread = clusters / max(clusters - 1, 1)
    value = quotient * (1 + spread * float(u @ v)) / (1 + spread * float(v @ v))
    interval = log_interval(Estimate(value, value * (u - v), clusters), load)
    return measure.reading(injected, value, interval, causal)
