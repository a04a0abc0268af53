"""What logs allow to be said, what would give more, and at most ten plain sentences, each bound to its readings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from deadreckon.contracts import Reading, Stop
from deadreckon.logs.judge import DEFAULT
from deadreckon.logs.tables import Logged
from deadreckon.studies.fit_outcomes import Lengths, OutcomeGroups
from deadreckon.studies.fit_steps import StepGroup
from deadreckon.studies.study import Said

MOST = 10  # sentences
PAIRS_TOLD = 3  # of them about pairs of groups
ALPHA = 0.05
TINY = 1e-9  # below it an end of an interval is shown as ~0


# --- The first line -------------------------------------------------------------------------------------


def allows(logged: Logged, steps: Sequence[StepGroup], scored: bool, lengths: Lengths) -> str:
    """The first line of every answer: what was read, and what it cannot say."""
    of = f"{_count(logged.runs.height, 'run')} of {_count(logged.runs['item'].n_unique(), 'item')}"
    names = logged.runs["model"].unique()
    of += f" by {len(names)} models" if len(names) > 1 else ""
    if not steps:
        rest = f"success by length in {lengths.unit}" if lengths.unit else "success and repeats, no lengths"
        return f"outcome-only: {of}; {rest}; no hazard by step, no recovery"
    rows = sum(group.arm.steps.height for group in steps)
    kind = "steps and outcomes" if scored else "steps-only"
    recovery = "recovery" if any(group.goes_on for group in steps) else "no recovery (no step follows a first error)"
    judges = "; ".join(logged.judges)
    return f"{kind}: {_count(rows, 'judged step')} in {of}; hazard by step, {recovery}; judged by {judges}"


def more(
    logged: Logged, steps: Sequence[StepGroup], outcomes: OutcomeGroups | None, lengths: Lengths
) -> tuple[str, ...]:
    """What is left out, and which option or checker would give more."""
    told = list(logged.notes)
    if not steps:
        told.append(
            "judged steps would give hazard, shape and recovery: --checker module:function judges messages, --ok COLUMN"
            " names a table's verdicts"
        )
    if logged.unjudged and steps:
        told.append(
            f"{_count(logged.unjudged, 'step')} without a verdict left out: steps are numbered over judged ones"
        )
    if DEFAULT in logged.judges:
        told.append("a failed tool call need not be a wrong step: --checker module:function gives your own verdicts")
    if steps and not any(_has_repeats(group) for group in steps):
        told.append("one run an item: repeats would tell a falling hazard from unequal items")
    if steps and any(group.goes_on and not group.states_known for group in steps):
        told.append("a right step after an error counts as back on track: --on-track COLUMN (tables) says better")
    if not lengths.unit and outcomes is not None:
        units = f" ({', '.join(logged.units)})" if logged.units else ""
        told.append(f"lengths of items would give a time horizon: --length{units}")
    cut = logged.runs["stop"].is_in([Stop.CUT.value, Stop.FAULT.value]).sum()
    if cut:
        told.append(f"{_count(int(cut), 'run')} ended by a limit or a fault: censored, never counted as failed")
    return tuple(told)


def _has_repeats(group: StepGroup) -> bool:
    return len(group.arm.stop) > group.arm.items


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


# --- The summary ----------------------------------------------------------------------------------------


def summary(readings: Sequence[Reading], groups: Sequence[str]) -> tuple[Said, ...]:
    """At most ten sentences: of the groups first, then the trend over them, then pairs."""
    names = list(groups) or [""]
    found = {name: {r.quantity: r for r in readings if r.by == name} for name in [*names, ""]}
    pairs = [said for by in _pairs(readings) if (said := _compared(readings, by))][:PAIRS_TOLD]
    trend = [said] if (said := _trend(found[""])) else []
    alone = len(names) == 1
    kinds = SENTENCES if alone else SENTENCES_EACH
    told = [said for kind in kinds for name in names if (said := kind(found[name], f"{name}: " if name else ""))]
    kept = [*told[: MOST - len(pairs) - len(trend)], *trend, *pairs]
    return tuple(replace(said, text=said.text[:1].upper() + said.text[1:]) if alone else said for said in kept)


def _pairs(readings: Sequence[Reading]) -> list[str]:
    return list(dict.fromkeys(r.by for r in readings if r.quantity == "difference"))


Found = dict[str, Reading]
Sentence = Callable[[Found, str], "Said | None"]


def _horizon(found: Found, who: str) -> Said | None:
    half, fifth = found.get("horizon_50"), found.get("horizon_80")
    if half is None or math.isnan(half.value):
        return None
    first = "more than half of the runs see no error" if math.isinf(half.value) else (
        f"half of the runs make their first error within {_value(half)} steps")  # fmt: skip
    if fifth is None or math.isnan(fifth.value):
        return Said(f"{who}{first}.", (half,))
    rest = "nor do four fifths" if math.isinf(fifth.value) else f"a fifth within {_value(fifth)}"
    return Said(f"{who}{first}, {rest}.", (half, fifth))


def _hazard(found: Found, who: str) -> Said | None:
    h = found.get("hazard")
    if h is None or math.isnan(h.value):
        return None
    return Said(f"{who}a step goes wrong in {_value(h)} of the cases while no error has been made.", (h,))


def _constancy(found: Found, who: str) -> Said | None:
    test, shape, half = found.get("constancy"), found.get("weibull_shape"), found.get("half_life")
    if test is None or math.isnan(test.value):
        return None
    if test.value >= ALPHA:
        rest = f"; if it is, the half-life is {_value(half)} steps" if half and math.isfinite(half.value) else ""
        bound = (test, half) if rest and half else (test,)
        return Said(f"{who}a constant hazard is not ruled out (p = {test.value:.2g}){rest}.", bound)
    if shape is None or math.isnan(shape.value):
        return Said(f"{who}the hazard is not constant (p = {test.value:.2g}): no half-life describes it.", (test,))
    way = "falls" if shape.high < 1 else "rises" if shape.low > 1 else "changes"
    told = f"the pooled hazard {way} along a run (Weibull shape {_value(shape)}, constant is 1; p = {test.value:.2g})"
    return Said(f"{who}{told}: no half-life describes it.", (test, shape))


def _items(found: Found, who: str) -> Said | None:
    decline, unequal = found.get("hazard_decline"), found.get("unequal_items")
    if decline is None or unequal is None or math.isnan(unequal.value):
        shape = found.get("weibull_shape")
        if unequal is None or shape is None or not shape.high < 1:
            return None
        return Said(
            f"{who}whether that is unequal items or safer steps cannot be told: {unequal.reason}.", (unequal, shape)
        )
    verdict = decline.reason.partition(":")[0]
    within = found["decline_within_items"]
    way = "falls" if within.value < 0 else "rises"
    words = {
        "unequal items": "that comes from unequal items: within an item the hazard shows no change",
        "duration dependence": f"within an item the hazard {way} as a run goes on; items look alike",
        "both": f"items are unequal, and within an item the hazard {way} as a run goes on",
    }
    if verdict not in words:
        return None
    return Said(f"{who}{words[verdict]} (items alike: p = {unequal.value:.2g}).", (decline, unequal, within))


def _recovery(found: Found, who: str) -> Said | None:
    back, law = found.get("recovery_rate"), found.get("occupancy_law")
    if back is None or math.isnan(back.value):
        return None
    told = f"{who}off track, a step leads back in {_value(back)} of the cases"
    if law is None or math.isnan(law.value):
        return Said(f"{told}.", (back,))
    return Said(f"{told}; a run that went on at these rates would be on track {_value(law)} of the time.", (back, law))


def _success(found: Found, who: str) -> Said | None:
    rate = found.get("success_rate")
    if rate is None or math.isnan(rate.value):
        return None
    return Said(f"{who}a run succeeds in {_value(rate)} of the cases.", (rate,))


def _time_horizon(found: Found, who: str) -> Said | None:
    half, most = found.get("time_horizon_50"), found.get("time_horizon_80")
    if half is None or math.isnan(half.value):
        return None
    told = f"{who}success falls to 50% at items of {_value(half)} {half.unit}"
    if math.isinf(half.value):
        told = f"{who}success stays above 50% up to the longest items"
    if most is None or math.isnan(most.value) or math.isinf(most.value):
        return Said(f"{told}.", (half,))
    return Said(f"{told}, and to 80% at {_value(most)}.", (half, most))


def _repeats(found: Found, who: str) -> Said | None:
    both, gap = found.get("pass_hat_k"), found.get("pass_hat_k_gap")
    if both is None or math.isnan(both.value):
        return None
    told = f"{who}two runs of an item both succeed in {_value(both)} of the cases"
    if gap is None or math.isnan(gap.value) or math.isnan(gap.low):
        return Said(f"{told}.", (both,))
    if gap.low <= 0:
        return Said(f"{told}; items are not shown to be unequal in that (gap {_value(gap)}).", (both, gap))
    return Said(f"{told}, {_value(gap)} more than independent runs of equal items would.", (both, gap))


def _bounds(found: Found, who: str) -> Said | None:
    for name, what in (("survival", "survival to the last step followed"), ("success_rate", "the success rate")):
        ends = [found.get(f"{name}_if_cut_{word}") for word in ("failed", "survived", "succeeded")]
        low, high = ends[0], ends[1] or ends[2]
        if low and high and low.value < high.value:
            told = f"whatever the runs that were cut would have done, {what} lies between"
            return Said(f"{who}{told} {low.value:.3g} and {high.value:.3g}.", (low, high))
    return None


def _claims(found: Found, who: str) -> Said | None:
    over = found.get("overconfidence")
    if over is None or math.isnan(over.value):
        return None
    way = "above" if over.value > 0 else "below"
    return Said(f"{who}stated confidence lies {abs(over.value):.2g} {way} the share of right steps.", (over,))


SENTENCES: tuple[Sentence, ...] = (
    _success, _time_horizon, _horizon, _hazard, _constancy, _items, _recovery, _repeats, _bounds, _claims,
)  # fmt: skip


def _headline(found: Found, who: str) -> Said | None:
    return _time_horizon(found, who) or _horizon(found, who) or _success(found, who)


SENTENCES_EACH: tuple[Sentence, ...] = (_headline, _recovery, _constancy, _items, _bounds)


def _trend(found: Found) -> Said | None:
    doubling = found.get("horizon_doubling")
    if doubling is None or not math.isfinite(doubling.value):
        return None
    return Said(f"the length at 50% doubles every {_value(doubling)} days of release date.", (doubling,))


def _compared(readings: Sequence[Reading], by: str) -> Said | None:
    mine = {r.quantity: r for r in readings if r.by == by}
    gap, p = mine["difference"], mine["p_difference"]
    if math.isnan(gap.value):
        return None
    pair, _, what = by.rpartition(": ")
    shown = f"difference {_value(gap)}"
    if math.isnan(p.value):
        return Said(f"{pair}: {what}, {shown}, not tested.", (gap, p))
    word = "is not shown to differ" if p.value >= ALPHA else "differs"
    holm = ", Holm over the pairs" if "Holm" in p.method else ""
    return Said(f"{pair}: {what} {word}, {shown} (p = {p.value:.2g}{holm}; {gap.method.partition(', ')[0]}).", (gap, p))


def _value(reading: Reading) -> str:
    """Value and interval, to three digits."""
    if math.isinf(reading.value):
        return "more than were followed"
    ends = "" if math.isnan(reading.low) else f" [{_number(reading.low)}, {_number(reading.high)}]"
    return f"{_number(reading.value)}{ends}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "∞"
    return "~0" if 0 < abs(value) < TINY else f"{value:.3g}"
