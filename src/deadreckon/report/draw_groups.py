"""A word problem: the letters of each turn, the element as written after them, and as it truly is."""

from __future__ import annotations

from deadreckon.report.canvas import Canvas
from deadreckon.report.scene import Artist, Drawing, Scene
from deadreckon.report.sheets import Line, draw_lines
from deadreckon.worlds.group_tables import Word
from deadreckon.worlds.groups import Groups, State

_MOST = 14  # characters of the letters in view


def _draw(scene: Scene[State]) -> Drawing:
    state, group = scene.state, scene.world
    assert isinstance(group, Groups)
    word = state.word
    texts = [group.element(code) for code in word.totals]
    written = {s.i: row for s, row in zip(scene.states[: scene.i + 1], scene.rows, strict=False)}
    lines = [
        Line(str(i + 1), _letters(word, i), texts[i + 1], written.get(i), i == state.i) for i in range(len(word.said))
    ]
    sheet = draw_lines(lines, state.i, ("turn", "letters", "written", "true"))
    return Drawing(_with_start(sheet, texts[0]).svg(), _words(group, state))


def _with_start(sheet: Canvas, start: str) -> Canvas:
    sheet.text(8, sheet.height - 6, f"start {start}", "muted", size=12, mono=True)
    return sheet


def _letters(word: Word, i: int) -> str:
    said = word.said[i].removesuffix("=")
    return said if len(said) <= _MOST else said[: _MOST - 1] + "…"


def _words(group: Groups, state: State) -> str:
    at, true = group.element(state.at), group.element(state.word.totals[state.i])
    if group.done(state):
        return f"The word is over; the element as written is {at}, truly {true}."
    then = group.element(state.word.totals[state.i + 1])
    letters = state.word.said[state.i].removesuffix("=")
    return (
        f"Turn {state.i + 1} of {len(state.word.said)}, letters {letters}. The element as written is {at}, the true"
        f" one {true}; after these letters it is truly {then}."
    )


GROUPS = Artist(_draw)
