"""Readings as charts: each picture is a few curves of one arm, with their intervals and a text twin."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deadreckon.contracts import Curve, Reading
from deadreckon.errors import MissingExtra
from deadreckon.report.figure import light
from deadreckon.report.numbers import estimate, number
from deadreckon.report.text import readable

try:
    import altair as alt
    import vl_convert
except ImportError as missing:
    raise MissingExtra("a chart", "plots") from missing

CUT = "Intervals are cut at the top of the picture."
WIDTH, HEIGHT = 400, 230  # of the plotting area, in px: legible on a phone, not lost on a desk


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a picture."""

    quantity: str
    label: str
    colour: str
    dash: tuple[int, ...] = (1, 0)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of picture: which readings it draws, and how."""

    name: str
    title: str
    y_title: str
    series: tuple[Series, ...]  # the first is the measured one and must be there
    top: float = math.nan  # of the y axis; nan = the data's
    steps: bool = False  # a step function
    zero: bool = True  # y axis starts at 0
    log: bool = False  # x in doublings


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart and its text twin: a sentence and a table."""

    kind: Kind
    svg: str
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]  # its points, as a table


KINDS = (
    Kind(
        "survival",
        "Survival to the first error",
        "share without an error",
        (
            Series("survival", "measured", "blue"),
            Series("survival_constant", "(1−e)ⁿ", "orange", (6, 3)),
            Series("survival_by_step", "∏(1−eₜ)", "green", (2, 2)),
            Series("survival_mixed", "item mix", "purple", (8, 3, 2, 3)),
        ),
        top=1.0,
        steps=True,
    ),
    Kind("hazard", "Hazard by step", "chance of a first error", (Series("hazard", "measured", "blue"),)),
    Kind(
        "error",
        "Errors by step, after earlier errors too",
        "chance of an error",
        (
            Series("free_running_error", "on its own output", "blue"),
            Series("teacher_forced_error", "on the expert's", "orange", (6, 3)),
        ),
    ),
    Kind(
        "occupancy",
        "On track, after errors and recoveries",
        "share",
        (
            Series("occupancy", "on track", "blue"),
            Series("occupancy_law", "g/(g+h)", "orange", (6, 3)),
            Series("survival", "never an error", "green", (2, 2)),
        ),
        top=1.0,
    ),
    Kind(
        "success",
        "Success by length of the item",
        "share of runs",
        (Series("success_by_length", "measured", "blue"),),
        top=1.0,
        log=True,
    ),
    Kind(
        "repeats",
        "Several runs of one item",
        "probability",
        (
            Series("pass_hat_k", "all k succeed", "blue"),
            Series("pass_at_k", "one of k succeeds", "orange", (6, 3)),
        ),
        top=1.0,
    ),
    Kind(
        "drift",
        "Drift from the truth",
        "nats a step",
        (
            Series("kl_free_running", "on its own output", "blue"),
            Series("kl_teacher_forced", "on the expert's", "orange", (6, 3)),
        ),
    ),
    Kind(
        "self_conditioning",
        "Extra errors after an injected error",
        "difference in error rate",
        (Series("self_conditioning", "injected − healed", "blue"),),
        zero=False,
    ),
)


def pictures(readings: Sequence[Reading]) -> list[Picture]:
    """Every picture these readings have the curves for. MissingExtra: altair or vl_convert not installed."""
    return [drawn for kind in KINDS if (drawn := picture(kind, readings)) is not None]


def picture(kind: Kind, readings: Sequence[Reading]) -> Picture | None:
    """One picture, or None where its measured curve is not among the readings."""
    found = [(series, _find(series, readings)) for series in kind.series]
    measured = found[0][1].curve if found[0][1] is not None else None
    if measured is None:
        return None
    every = [(series, _curve(reading, measured.x)) for series, reading in found if reading is not None]
    lines = [every[0]] + [line for line in every[1:] if any(map(math.isfinite, line[1].value))]
    top = _top(kind, lines)
    cut = any(high > top for _, curve in lines for high in curve.high)
    said = [_sentence(series, curve) for series, curve in lines] + [
        "Intervals are cut at the top of the picture."
    ] * cut
    chart = _chart(kind, lines, readable(measured.x_name), top)
    columns = (measured.x_name, *(series.label for series, _ in lines), "n")
    return Picture(kind, chart, " ".join(said), columns, _table(lines))


def _top(kind: Kind, lines: list[tuple[Series, Curve]]) -> float:
    """Where the y axis ends: wide intervals of the last few rollouts must not flatten the rest."""
    if math.isfinite(kind.top):
        return kind.top
    highs = [v for _, curve in lines for v in curve.high if math.isfinite(v)]
    values = [v for _, curve in lines for v in curve.value if math.isfinite(v)]
    most = max(values, default=0.0)
    return min(max([*highs, most]), 2.5 * most) if most > 0 else max([*highs, 1e-9])


def _table(lines: list[tuple[Series, Curve]]) -> tuple[tuple[str, ...], ...]:
    """A row an x of the measured curve; where another curve has no such x its cell is empty."""
    cells = [
        {x: estimate(v, low, high) for x, v, low, high in zip(c.x, c.value, c.low, c.high, strict=True)}
        for _, c in lines
    ]
    measured = lines[0][1]
    points = zip(measured.x, measured.n, strict=True)
    return tuple((number(x), *(cell.get(x, "") for cell in cells), str(n)) for x, n in points)


def _find(series: Series, readings: Sequence[Reading]) -> Reading | None:
    named = [r for r in readings if r.quantity == series.quantity]
    return next((r for r in named if r.curve is not None), named[0] if named else None)


def _curve(reading: Reading, x: tuple[float, ...]) -> Curve:
    """The reading's curve; a reading without one is a level line across x."""
    if reading.curve is not None:
        return reading.curve
    k = len(x)
    return Curve("", x, (reading.value,) * k, (reading.low,) * k, (reading.high,) * k, (reading.n,) * k)


def _sentence(series: Series, curve: Curve) -> str:
    for i in reversed(range(len(curve.x))):
        if math.isfinite(curve.value[i]):
            said = estimate(curve.value[i], curve.low[i], curve.high[i])
            x, name = number(curve.x[i]), curve.x_name
            where = f" after {x} {name}" if name.endswith("s") else f" at {name} {x}" if name else ""
            return f"{series.label}: {said}{where}, n = {curve.n[i]}."
    return f"{series.label}: not estimable."


def _chart(kind: Kind, lines: list[tuple[Series, Curve]], x_name: str, top: float) -> str:
    """Bands under lines, one colour and one dash a series; the measured one on top."""
    scale = alt.Scale(zero=kind.zero, domainMax=top, clamp=True, nice=True)
    shape: Literal["step-after", "linear"] = "step-after" if kind.steps else "linear"
    across = alt.Scale(type="log", base=2, nice=False) if kind.log else alt.Scale(nice=False)
    x = alt.X("x:Q", title=x_name, scale=across, axis=alt.Axis() if kind.log else alt.Axis(tickMinStep=1))
    level = alt.Chart({"values": [{"value": 0}]})
    layers = [] if kind.zero else [level.mark_rule(color=light("muted")).encode(y="value:Q")]
    for series, _ in reversed(lines):
        low = alt.Y("low:Q", title=kind.y_title, scale=scale)
        area = alt.Chart().mark_area(opacity=0.18, interpolate=shape, color=light(series.colour))
        area = area.transform_filter(alt.FieldEqualPredicate(field="label", equal=series.label))
        layers.append(area.encode(x=x, y=low, y2="high:Q"))
    colour, dash = _encodings([series for series, _ in lines])
    rows = [row for series, curve in reversed(lines) for row in _rows(series, curve)]
    line = alt.Chart().mark_line(strokeWidth=2, interpolate=shape)
    y = alt.Y("value:Q", title=kind.y_title, scale=scale)
    line = line.encode(x=x, y=y, color=colour, strokeDash=dash)
    return _svg(_styled(alt.LayerChart(data={"name": "points"}, layer=[*layers, line])), rows)


def _encodings(series: list[Series]) -> tuple[alt.Color, alt.StrokeDash]:
    """Colour and dash by label, so that a line is told apart without its colour; one legend for both."""
    labels = [s.label for s in series]
    legend = alt.Legend(title=None) if len(series) > 1 else None
    colours = alt.Scale(domain=labels, range=[light(s.colour) for s in series])
    dashes = alt.Scale(domain=labels, range=[list(s.dash) for s in series])
    return (
        alt.Color("label:N", scale=colours, legend=legend),
        alt.StrokeDash("label:N", scale=dashes, legend=legend),
    )


def _rows(series: Series, curve: Curve) -> list[dict[str, float | str | None]]:
    points = zip(curve.x, curve.value, curve.low, curve.high, strict=True)
    return [
        {"label": series.label, "x": x, "value": _finite(v), "low": _finite(lo), "high": _finite(hi)}
        for x, v, lo, hi in points
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _styled(chart: alt.LayerChart) -> alt.LayerChart:
    axis = alt.AxisConfig(
        labelColor=light("muted"),
        titleColor=light("ink"),
        labelFontSize=12,
        titleFontSize=12,
        titleFontWeight="normal",
        titlePadding=12,
        gridColor=light("line"),
        domainColor=light("muted"),
        ticks=False,
        labelPadding=6,
    )
    legend = alt.LegendConfig(
        orient="top",
        labelColor=light("ink"),
        labelFontSize=12,
        labelLimit=200,
        symbolSize=400,
        symbolStrokeWidth=2,
        columnPadding=22,
    )
    styled: alt.LayerChart = (
        chart.properties(width=WIDTH, height=HEIGHT, background=light("paper"))
        .configure(font="system-ui, sans-serif", axis=axis, legend=legend)
        .configure_view(stroke=None)
    )
    return styled


def _svg(chart: alt.LayerChart, rows: list[dict[str, float | str | None]]) -> str:
    """The chart as SVG, without what only an interactive one needs and to a tenth of a pixel."""
    spec = chart.to_dict(validate=False)
    spec["datasets"] = spec.get("datasets", {}) | {"points": rows}
    svg: str = vl_convert.vegalite_to_svg(spec)
    svg = re.sub(r'<path class="(?:back|fore)ground"[^>]* d="(?:M0,0h0v0h0Z)?"[^>]*/>', "", svg)
    svg = re.sub(r' (?:class|role|aria-[a-z]+|pointer-events|xmlns:xlink|version)="[^"]*"', "", svg)
    svg = re.sub(r' (?:opacity="1"|font-weight="normal")', "", svg)
    return re.sub(r' (?:d|transform|x2|y2)="[^"]*"', lambda place: re.sub(r"(\.\d)\d+", r"\1", place[0]), svg)
