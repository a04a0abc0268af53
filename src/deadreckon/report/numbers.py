"""Readings as words and as JSON; missing is said, never shown as 0."""

from __future__ import annotations

import math

from deadreckon.contracts import Curve, Json, Reading


def number(value: float, *, digits: int = 3) -> str:
    """A number to that many significant digits; nan is a dash, inf is "∞"."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value)).replace("-", "−")
    return f"{value:.{digits}g}".replace("-", "−")


def interval(low: float, high: float) -> str:
    """An interval as "[low, high]"; a dash where there is none."""
    return "–" if math.isnan(low) or math.isnan(high) else f"[{number(low)}, {number(high)}]"


def estimate(value: float, low: float, high: float) -> str:
    """Value and interval: "0.31 [0.27, 0.36]"."""
    if math.isnan(value):
        return "not estimable"
    said = "not reached" if math.isinf(value) else number(value)
    return said if math.isnan(low) or math.isnan(high) else f"{said} {interval(low, high)}"


def as_json(reading: Reading) -> dict[str, Json]:
    """A reading as JSON values. JSON has no nan and no infinity: both are null, and `reason` says which."""
    reason = reading.reason
    if math.isinf(reading.value) and not reason:
        reason = "not reached"
    return {
        "quantity": reading.quantity,
        "unit": reading.unit,
        "value": _null(reading.value),
        "low": _null(reading.low),
        "high": _null(reading.high),
        "level": _null(reading.level),
        "n": reading.n,
        "method": reading.method,
        "by": reading.by,
        "reason": reason,
        "curve": None if reading.curve is None else _points(reading.curve),
    }


def _points(curve: Curve) -> dict[str, Json]:
    columns = {"x": curve.x, "value": curve.value, "low": curve.low, "high": curve.high}
    points: dict[str, Json] = {name: [_null(v) for v in values] for name, values in columns.items()}
    return {"x_name": curve.x_name, **points, "n": list(curve.n)}


def _null(value: float) -> float | None:
    return value if math.isfinite(value) else None
