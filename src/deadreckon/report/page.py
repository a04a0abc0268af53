"""The report: one HTML page that opens from disk, needs nothing else and asks for nothing.

Everything a model, a log or a user wrote reaches the page through autoescape alone. The page's policy forbids
every request and runs no script or style but its own, by hash.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from deadreckon.contracts import ERRORS, Reading
from deadreckon.report.draw import draw_replay
from deadreckon.report.figure import PALETTE, named, save_figure, themed
from deadreckon.report.numbers import as_json, interval, number
from deadreckon.report.plots import Picture, pictures
from deadreckon.report.text import readable
from deadreckon.rollouts.store import write_atomic
from deadreckon.studies.study import ArmResult, Replay, ReplayStep, StudyResult

GLYPHS = {"slip": "×", "illegal": "!", "unparsed": "?", "mend": "+", "abstain": "–", "right": ""}


@dataclass(frozen=True, slots=True)
class PictureView:
    """A picture as the page shows it."""

    title: str
    svg: Markup
    sentence: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class ArmView:
    """An arm with its pictures."""

    result: ArmResult
    pictures: tuple[PictureView, ...]
    open: bool


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of a replay as the page shows it."""

    key: str
    row: ReplayStep
    svg: Markup
    text: str
    word: str
    glyph: str
    classes: str
    event_class: str
    leads: str
    actor: str
    first_error: bool


@dataclass(frozen=True, slots=True)
class ReplayView:
    """A replay as the page shows it."""

    key: str
    result: Replay
    summary: str
    ground: Markup
    steps: tuple[StepView, ...]


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study as the page shows it."""

    key: str
    result: StudyResult
    arms: tuple[ArmView, ...]
    worlds: tuple[tuple[str, tuple[ReplayView, ...]], ...]


def render(results: Sequence[StudyResult]) -> str:
    """The page of these studies. MissingExtra: the extra `plots` is not installed."""
    return _render([(result, [pictures(arm.readings) for arm in result.arms]) for result in results])


def write_report(results: Sequence[StudyResult], folder: Path, *, png: bool = False) -> Path:
    """Write report.html, readings.json and figures/*.svg (with `png` also *.png) into the folder; the page's path."""
    drawn = [(result, [pictures(arm.readings) for arm in result.arms]) for result in results]
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for s, (_, arms) in enumerate(drawn):
        for a, arm in enumerate(arms):
            for picture in arm:
                for suffix in ("svg", "png") if png else ("svg",):
                    save_figure(picture.svg, folder / "figures" / f"{s}-{a}-{picture.kind.name}.{suffix}")
    write_atomic(folder / "readings.json", readings_json(results).encode())
    write_atomic(folder / "report.html", _render(drawn).encode())
    return folder / "report.html"


def readings_json(results: Sequence[StudyResult]) -> str:
    """Every reading of every arm, as a JSON list; a value that is missing or unbounded is null."""
    rows = [as_json(r) | {"study": s.name, "arm": arm.name} for s in results for arm in s.arms for r in arm.readings]
    return json.dumps(rows, indent=1, allow_nan=False) + "\n"


def _render(drawn: Sequence[tuple[StudyResult, list[list[Picture]]]]) -> str:
    style, script = _style(), _text("page.js")
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    )
    page = _environment().from_string(_text("page.html"))
    return page.render(
        studies=[_study(f"s{i}", result, arms) for i, (result, arms) in enumerate(drawn)],
        title=" · ".join(result.claim for result, _ in drawn) or "deadreckon",
        policy=Markup(policy),
        style=Markup(style),
        script=Markup(script),
    )


def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_visible, trim_blocks=True)
    environment.filters["number"] = number
    environment.filters["value"] = _value
    environment.filters["bounds"] = _bounds
    return environment


def _visible(value: object) -> object:
    return readable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _value(reading: Reading) -> str:
    return number(reading.value)


def _bounds(reading: Reading) -> str:
    return interval(reading.low, reading.high)


def _text(name: str) -> str:
    return files("deadreckon.report").joinpath(name).read_text("utf-8")


def _style() -> str:
    schemes = [";".join(f"--{name}:{pair[i]}" for name, pair in PALETTE.items()) for i in (0, 1)]
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {schemes[1]} }} }}"
    return f":root {{ {schemes[0]} }}\n{dark}\n{_text('page.css')}"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _study(key: str, result: StudyResult, drawn: list[list[Picture]]) -> StudyView:
    first = next((i for i, found in enumerate(drawn) if found), -1)
    arms = tuple(
        ArmView(arm, tuple(_picture(f"{key}-a{i}-{p.kind.name}", p) for p in found), i == first)
        for i, (arm, found) in enumerate(zip(result.arms, drawn, strict=True))
    )
    replays = [_replay(f"{key}-r{i}", replay) for i, replay in enumerate(result.replays)]
    worlds = tuple((world, tuple(group)) for world, group in groupby(replays, key=lambda view: view.result.world))
    return StudyView(key, result, arms, worlds)


def _picture(key: str, picture: Picture) -> PictureView:
    svg = named(themed(picture.svg), key, picture.kind.title, picture.sentence)
    return PictureView(picture.kind.title, Markup(svg), picture.sentence, picture.columns, picture.rows)


def first_error(rows: Sequence[ReplayStep]) -> int:
    """Index of the model's own first error; -1 = none."""
    return next((i for i, row in enumerate(rows) if row.event in ERRORS and not row.forced), -1)


def _replay(key: str, replay: Replay) -> ReplayView:
    error, drawn = first_error(replay.rows), draw_replay(replay, key)
    steps = []
    for i, (row, drawing) in enumerate(zip(replay.rows, drawn.steps, strict=True)):
        title = f"{replay.world}, before step {row.t}"
        svg = named(themed(drawing.svg), f"{key}-{i}", title, drawing.text) if drawing.svg else ""
        steps.append(_step(f"{key}-{i}", row, Markup(svg), drawing.text, i == error))
    none = "no error of the model's own" if any(row.event for row in replay.rows) else "nobody can judge them"
    said = f"first error at step {replay.rows[error].t}" if error >= 0 else none
    ended = f", ended: {replay.stop}" if replay.stop else ""
    ground = Markup(themed(drawn.ground))
    return ReplayView(key, replay, f"{len(replay.rows)} steps, {said}{ended}", ground, tuple(steps))


def _step(key: str, row: ReplayStep, svg: Markup, text: str, first: bool) -> StepView:
    wrong = row.event in ERRORS
    classes = [
        name
        for name, applies in (
            ("error", wrong and not row.forced),
            ("first", first),
            ("mend", row.event == "mend"),
            ("wrong", row.true_state is False),
        )
        if applies
    ]
    leads = {True: "the true state", False: "a state off the true one", None: "–"}[row.true_state]
    event = row.event or "not judged"
    word = f"{event} ({row.forced})" if row.forced else event
    glyph = "◦" if row.forced else GLYPHS.get(row.event, "")
    event_class = f"event-{row.event}" if row.event in GLYPHS else ""
    actor = "Forced" if row.forced else "Model writes"
    return StepView(key, row, svg, text, word, glyph, " ".join(classes), event_class, leads, actor, first)
