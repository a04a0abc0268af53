"""Fields of parsed JSON, taken by kind: what is absent or of another kind is missing, never 0 or a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from deadreckon.contracts import Event, Json, nan
from deadreckon.errors import BadLog
from deadreckon.logs.record import Step

SHOWN = 80  # characters of a bad value that its error shows
EVENTS = tuple(event.value for event in Event)
STEP_LIST = "step list"  # what such verdicts are read from
MOST_STEPS = 1_000_000  # of one run whose verdicts are read
TOLERANCE = 1e-6  # a reward this far outside 0 ... 1 is rounding (tau-bench's own tolerance)


def as_object(value: Json, place: str, what: str = "a run") -> Mapping[str, Json]:
    """The value as a JSON object. BadLog otherwise."""
    if not isinstance(value, dict):
        raise BadLog(f"{place}: {what} should be a JSON object, not {shown(value)}: check the format of the file")
    return value


def objects(value: Json) -> list[Mapping[str, Json]]:
    """The objects of a list, in order; none where it is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def inner(row: Mapping[str, Json], *keys: str) -> Mapping[str, Json]:
    """The object under a path of keys; empty where there is none."""
    for key in keys:
        found = row.get(key)
        row = found if isinstance(found, dict) else {}
    return row


def text(value: Json) -> str:
    """A string as it is; anything else is "" (missing)."""
    return value if isinstance(value, str) else ""


def number(value: Json) -> float:
    """A finite number, or a truth value as 0 or 1; anything else is nan (missing)."""
    if not isinstance(value, (int, float)):
        return nan
    try:
        found = float(value)
    except OverflowError:
        return nan
    return found if isfinite(found) else nan


def count(value: Json) -> int:
    """A whole number from 0 to 2**31 - 1; anything else is 0, which means "not recorded" where it is used."""
    found = number(value)
    return int(found) if 0 <= found < 2**31 else 0


def label(row: Mapping[str, Json], keys: tuple[str, ...]) -> str:
    """The first of the keys that holds a name (a string that is not empty, or a number), as text; "" where none."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(number(value)):
            return str(value)
    return ""


def need_label(row: Mapping[str, Json], keys: tuple[str, ...], place: str, what: str = "item") -> str:
    """As `label`. BadLog where none of the keys names the item."""
    if found := label(row, keys):
        return found
    has = ", ".join(repr(key) for key in list(row)[:12])
    raise BadLog(
        f"{place}: no {what} under {' or '.join(keys)} (keys: {has or 'none'}): every run needs the {what} it is of"
    )


def numbers(row: Json) -> dict[str, float]:
    """The entries of an object that are numbers, by name."""
    entries = row.items() if isinstance(row, dict) else ()
    return {key: found for key, value in entries if isfinite(found := number(value))}


def success(scores: Mapping[str, float], default: str, chosen: str, place: str) -> float | None:
    """The score that says whether the run succeeded, 0 ... 1: `chosen` by the user, or else `default`.

    None: the run has no score. BadLog: it has scores but not that one, or its value is outside 0 ... 1.
    """
    name = chosen or default
    if name not in scores:
        if chosen and scores:
            raise BadLog(f"{place}: no score {chosen!r} (has: {', '.join(scores)}): name one of these as the score")
        return None
    value = scores[name]
    if not -TOLERANCE <= value <= 1 + TOLERANCE:
        others = [other for other, score in scores.items() if 0 <= score <= 1]
        raise BadLog(
            f"{place}: {name} is {value:g}, but a success is from 0 to 1:"
            f" name another score ({', '.join(others) or 'none of this run is in that range'})"
        )
    return min(max(value, 0.0), 1.0)


def stated_steps(value: Json, place: str) -> tuple[Step, ...]:
    """Verdicts that a log states as a list: truth values (null: no verdict), or objects with `ok` and optionally
    `event`, `action`, `confidence`. Nothing where there is no list. BadLog: an entry that is neither."""
    if isinstance(value, list) and len(value) > MOST_STEPS:
        raise BadLog(f"{place}: {len(value):,} steps in one run, more than {MOST_STEPS:,}: split it")
    found = []
    for i, entry in enumerate(value if isinstance(value, list) else ()):
        row = entry if isinstance(entry, dict) else {"ok": entry}
        ok, event = row.get("ok"), row.get("event")
        if "ok" not in row or not (ok is None or isinstance(ok, bool)):
            raise BadLog(f"{place}: step {i} is {shown(entry)}: it should say ok: true, false or null")
        if event is not None and event not in EVENTS:
            raise BadLog(f"{place}: step {i} has the event {shown(event)}: use one of {', '.join(EVENTS)}")
        found.append(Step(ok, Event(event) if event else None, text(row.get("action")), number(row.get("confidence"))))
    return tuple(found)


def lengths(**found: float) -> dict[str, float]:
    """Lengths by unit, the missing ones left out."""
    return {unit: float(value) for unit, value in found.items() if isfinite(value) and value >= 0}


def shown(value: Json) -> str:
    """A value for an error message: short, on one line."""
    written = repr(value if not isinstance(value, (dict, list)) else type(value).__name__)
    return written if len(written) <= SHOWN else written[:SHOWN] + "..."
