"""Worlds as drawings: every step of a replay as a picture of the state before it, with what was done marked.

A world this page does not know, and a notation that cannot be read, fall back to the notation as text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deadreckon.contracts import ERRORS, World
from deadreckon.errors import DeadreckonError
from deadreckon.report.canvas import Canvas, anchored, bold, readable
from deadreckon.studies.study import Replay, ReplayStep
from deadreckon.worlds import ledger, load_world


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture and its text twin; svg is "" where the world has no picture."""

    svg: str
    text: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What a drawing may show: the rollout's rows and states up to and including step `i`."""

    world: World[Any, Any]
    rows: Sequence[ReplayStep]
    states: Sequence[Any]
    i: int


def draw_replay(replay: Replay) -> list[Drawing]:
    """One drawing a row."""
    try:
        world = load_world(replay.world)
        states = [world.restore(row.state) for row in replay.rows]
    except DeadreckonError:
        return [Drawing("", readable(row.state)) for row in replay.rows]
    artist = next((draw for kind, draw in ARTISTS.items() if states and isinstance(states[0], kind)), _notation)
    return [artist(Scene(world, replay.rows, states, i)) for i in range(len(replay.rows))]


def _notation(scene: Scene) -> Drawing:
    return Drawing("", readable(scene.rows[scene.i].state))


# --- sums: the ledger's lines around the one being written ---

_LINE, _SHOWN = 24, 12  # height of a line, lines in view


def _sums(scene: Scene) -> Drawing:
    """Label, entry, total as written, true total; a wrong total is struck with its mark, never by colour alone."""
    state: ledger.State = scene.states[scene.i]
    book = state.ledger
    written = {scene.states[j].i: scene.rows[j] for j in range(scene.i + 1)}
    first = max(0, min(state.i - _SHOWN + 4, book.size.entries - _SHOWN))
    shown = range(first, min(book.size.entries, first + _SHOWN))
    sheet = Canvas(340, _LINE * (len(shown) + 1) + 12)
    sheet.text(8, 16, "line", "muted", size=12)
    for x, title in ((110, "entry"), (200, "written"), (280, "true")):
        anchored(sheet.text(x, 16, title, "muted", size=12), "end")
    for y, line in enumerate(shown, start=1):
        _ledger_line(sheet, scene, y * _LINE, line, written.get(line))
    return Drawing(sheet.svg(), _ledger_words(state))


def _ledger_line(sheet: Canvas, scene: Scene, y: float, line: int, row: ReplayStep | None) -> None:
    state: ledger.State = scene.states[scene.i]
    book, texts = state.ledger, state.ledger.size.texts
    if line == state.i:
        sheet.rect(0, y, 340, _LINE, "panel", round=4)
    ink = "ink" if line <= state.i else "muted"
    sheet.text(8, y + 17, ledger.LABELS[line], ink, mono=True)
    anchored(sheet.text(110, y + 17, f"{book.entries[line]:+d}".replace("-", "−"), ink, mono=True), "end")
    true = texts[book.totals[line + 1]]
    if row is None:
        return
    anchored(sheet.text(280, y + 17, true, "muted", mono=True), "end")
    wrong = row.action != true
    total = sheet.text(200, y + 17, row.action[:12], "orange" if wrong else "ink", mono=True)
    anchored(total, "end")
    bold(total)
    if wrong:
        sheet.text(292, y + 17, "× slip" if row.event in ERRORS else "off", "orange", size=12)


def _ledger_words(state: ledger.State) -> str:
    book, texts = state.ledger, state.ledger.size.texts
    if state.i == book.size.entries:
        return f"Every line is written; the total stands at {texts[state.total]}, truly {texts[book.totals[-1]]}."
    label, entry = ledger.LABELS[state.i], f"{book.entries[state.i]:+d}"
    return (
        f"Line {label}, entry {entry}. The total as written is {texts[state.total]}, "
        f"the true one {texts[book.totals[state.i]]}; after this entry it is {texts[book.totals[state.i + 1]]}."
    )


ARTISTS: dict[type, Callable[[Scene], Drawing]] = {ledger.State: _sums}
