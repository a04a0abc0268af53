"""The scores of an Inspect sample as numbers, and which of them is its success."""

from __future__ import annotations

import math
from collections.abc import Mapping

from deadreckon.contracts import Event, Json, nan
from deadreckon.errors import BadLog
from deadreckon.logs.record import Step

_GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}  # correct, incorrect, partial, no answer
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_SHOWN = 8  # score names in an error


def as_map(value: Json) -> dict[str, Json]:
    """The object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """The array, or an empty one in place of anything else."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str:
    """A string or number as text; "" in place of anything else."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def as_size(value: Json) -> float:
    """A finite number not below 0; nan in place of anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e300:
        return float(value)
    return nan


def number(value: Json) -> float:
    """A score's value: a number, boolean, grade letter or yes/no; nan = unscored, or not a number."""
    if isinstance(value, bool | int | float):
        return float(value) if abs(value) <= 1e300 else nan
    if not isinstance(value, str):
        return nan
    if value in _GRADES:
        return _GRADES[value]
    word = value.strip().lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        found = float(word) if len(word) <= 40 else nan
    except ValueError:
        return nan
    return found if math.isfinite(found) else nan


def verdict(value: Json) -> bool | None:
    """A score's value as the verdict on a step: 1 right, 0 wrong, anything between or unscored nobody can say."""
    found = number(value)
    return True if found == 1 else False if found == 0 else None


def numbers(scores: Json) -> dict[str, float]:
    """Every numeric score by name, in the log's order; "name.key" where a value holds several. nan = unscored."""
    found: dict[str, float] = {}
    for name, score in as_map(scores).items():
        value = score.get("value") if isinstance(score, dict) else score
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, part in parts:
            found[f"{name}.{key}"] = number(part)
        if not isinstance(value, dict | list) and not (isinstance(value, str) and math.isnan(number(value))):
            found[name] = number(value)
    return found


def success(scores: Mapping[str, float], wanted: str, place: str) -> float | None:
    """The score named `wanted`, or the first one; None = not scored. BadLog: no such score, or not within 0 ... 1."""
    if not scores:
        return None
    name = wanted or next(iter(scores))
    if name not in scores:
        known = ", ".join(list(scores)[:_SHOWN])
        raise BadLog(f"{place}: no score named {wanted!r:.80}: known here: {known}")
    value = scores[name]
    if math.isnan(value):
        return None
    if not 0 <= value <= 1:
        others = ", ".join(other for other in list(scores)[:_SHOWN] if other != name) or "none"
        raise BadLog(
            f"{place}: score {name!r:.80} is {value:g}, not within 0 ... 1: name another score (here: {others})"
        )
    return value


def listed_steps(scores: Json, wanted: str, place: str) -> tuple[Step, ...]:
    """Verdicts from a list `steps` in a score's metadata, the wanted score's first; () where there is none.

    Each element is a verdict, or an object with `ok` and perhaps `event`, `action`, `confidence`, `state_ok`.
    A list of anything else is not about verdicts. BadLog: some elements are verdicts and one is not.
    """
    names = sorted(as_map(scores), key=lambda name: name != wanted.partition(".")[0])  # stable: the log's order
    for name in names:
        found = as_list(as_map(as_map(scores[name]).get("metadata")).get("steps"))
        known = [_is_verdict(one) for one in found]
        if found and known[0]:
            if not all(known):
                at = known.index(False)
                raise BadLog(
                    f"{place}: step {at + 1} in the metadata of score {name!r:.80} is {found[at]!r:.80}:"
                    ' write a verdict or {"ok": verdict}'
                )
            return tuple(_step(one) for one in found)
    return ()


def _is_verdict(one: Json) -> bool:
    if isinstance(one, dict):
        return "ok" in one and _is_verdict(one["ok"]) and not isinstance(one["ok"], dict)
    return one is None or isinstance(one, bool) or (number(one) in (0.0, 0.5, 1.0)) or one != one


def _step(one: Json) -> Step:
    if not isinstance(one, dict):
        return Step(verdict(one))
    event = one.get("event")
    confidence = as_size(one.get("confidence"))
    return Step(
        ok=verdict(one["ok"]),
        event=Event(event) if isinstance(event, str) and event in set(Event) else None,
        action=as_text(one.get("action")),
        confidence=confidence if confidence <= 1 else nan,
        state_ok=verdict(one.get("state_ok")),
    )
