"""The chain: the last symbols as a strip, and under it the exact law of the next one with the symbol written."""

from __future__ import annotations

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.numbers import number
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.worlds.markov import State

_CELL, _SHOWN, _TALL, _WIDTH = 28, 12, 60, 340  # cell, symbols in view, height of a certain symbol, sheet


def _draw(scene: Scene[State]) -> Drawing:
    text = list(scene.states[0].last) + [row.action for row in scene.rows[: scene.i]]
    law = dict(scene.world.policy(scene.state)) if not scene.world.done(scene.state) else {}
    sheet = Canvas(_WIDTH, _TALL + 130)
    shown = text[-_SHOWN + 1 :]
    for place, symbol in enumerate(shown):
        context = place >= len(shown) - len(scene.state.last)
        _cell(sheet, place, symbol, "panel" if context else "", "orange" if symbol.isupper() else "ink")
    _cell(sheet, len(shown), scene.row.action, "", "orange" if erred(scene.row) else "blue")
    sheet.path(f"M{4 + len(shown) * _CELL} 36h{_CELL - 4}", "orange" if erred(scene.row) else "blue", width=2.5)
    _law(sheet, law, scene.row.action)
    return Drawing(sheet.svg(), _words(scene.state, "".join(text), law))


def _cell(sheet: Canvas, place: int, symbol: str, fill: str, ink: str) -> None:
    if fill:
        sheet.rect(2 + place * _CELL, 6, _CELL, 30, fill)
    said = sheet.text(2 + (place + 0.5) * _CELL, 27, symbol[:3], ink, size=16, mono=True)
    anchored(said, "middle")
    if symbol.isupper():
        bold(said)


def _law(sheet: Canvas, law: dict[str, float], written: str) -> None:
    """A bar a symbol the law may give; the written one is filled."""
    foot, wide = _TALL + 84, min(48.0, (_WIDTH - 8) / max(len(law), 1))
    sheet.text(4, 62, "law of the next symbol", "muted", size=12)
    for place, (symbol, chance) in enumerate(law.items()):
        x, tall = 4 + place * wide, max(chance * _TALL, 1)
        sheet.rect(x + 3, foot - tall, wide - 6, tall, "blue" if symbol == written else "line")
        name = sheet.text(x + wide / 2, foot + 17, symbol, "ink", mono=True)
        share = sheet.text(x + wide / 2, foot + 33, number(chance, digits=2), "muted", size=10.5)
        anchored(name, "middle")
        anchored(share, "middle")


def _words(state: State, text: str, law: dict[str, float]) -> str:
    chances = ", ".join(f"{symbol} {number(chance)}" for symbol, chance in law.items())
    law_is = f"the law of the next symbol: {chances}" if law else "the text ends"
    return f"After …{text[-_SHOWN:]} (context {state.last}); {law_is}."


MARKOV = Artist(_draw)
