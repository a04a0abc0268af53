"""A text of the grammar: its last words, open brackets, holders as written, the law of the next word."""

from __future__ import annotations

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.numbers import number
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.worlds.grammar import Grammar, State
from deadreckon.worlds.grammar_rules import NAMES, THINGS

_WIDTH, _LETTER, _LINE, _BARS = 460, 7.9, 22, 6  # sheet, width of a letter, height of a line, words of the law in view
_FIRST = 20  # words of text in view


def _draw(scene: Scene[State]) -> Drawing:
    state, world = scene.state, scene.world
    assert isinstance(world, Grammar)
    sheet = Canvas(_WIDTH, 4 * _LINE + 130)
    _text(sheet, scene)
    y = 4 * _LINE + 2
    sheet.text(8, y, f"open {' '.join(state.at.is_open) or 'none'}", "ink", mono=True)
    for i, told in enumerate(_holders(state.at.memory)):
        sheet.text(150 + 78 * i, y, told, "ink", mono=True, size=12)
    slip = f"the text is wrong since “{state.slip}”" if state.back else "no slip stands"
    sheet.text(8, y + _LINE, slip, "orange" if state.back else "muted", size=12)
    if not world.done(state):
        _law(sheet, world, scene, y + _LINE + 18)
    return Drawing(sheet.svg(), _words(world, state))


def _text(sheet: Canvas, scene: Scene[State]) -> None:
    """The last words on three lines, errors marked, the word of this step at the end."""
    rows = scene.rows[: scene.i + 1]
    before = [(word, "muted") for word in scene.world.opening(scene.states[0]).split()]
    inks = ["orange" if erred(row) else "green" if row.event == "mend" else "ink" for row in rows]
    words = [*before, *((row.action[:8], ink) for row, ink in zip(rows, inks, strict=True))][-_FIRST:]
    x, y = 8.0, 20.0
    for place, (word, ink) in enumerate(words):
        wide = (len(word) + 1) * _LETTER
        if x + wide > _WIDTH - 8:
            x, y = 8.0, y + _LINE
        last = place == len(words) - 1
        said = sheet.text(x, y, word, "blue" if last and ink == "ink" else ink, mono=True)
        if ink in ("orange", "green") or last:
            bold(said)
        if last:
            sheet.path(f"M{x} {y + 5}h{wide - _LETTER:.1f}", "blue" if ink == "ink" else ink, width=2)
        x += wide
    if erred(scene.row):
        anchored(sheet.text(_WIDTH - 8, 4 * _LINE - 20, f"× {scene.row.event}", "orange", size=12), "end")


def _law(sheet: Canvas, world: Grammar, scene: Scene[State], top: float) -> None:
    """The likeliest next words, a bar each."""
    law = sorted(world.policy(scene.state).items(), key=lambda pair: -pair[1])
    sheet.text(8, top + 8, "law of the next word" + (", its likeliest" if len(law) > _BARS else ""), "muted", size=12)
    wide, foot = (_WIDTH - 16) / _BARS, top + 54
    for place, (word, chance) in enumerate(law[:_BARS]):
        x, tall = 8 + place * wide, max(chance * 36, 1)
        sheet.rect(x + 6, foot - tall, wide - 12, tall, "blue" if word == scene.row.action else "line")
        anchored(sheet.text(x + wide / 2, foot + 14, word, "ink", mono=True, size=11), "middle")
        anchored(sheet.text(x + wide / 2, foot + 27, number(chance, digits=2), "muted", size=10.5), "middle")


def _holders(memory: str) -> list[str]:
    names = {name[0]: name for name in NAMES}
    return [f"{THINGS[i]}: {names.get(who, '?')}" for i, who in enumerate(memory)]


def _words(world: Grammar, state: State) -> str:
    at = state.at
    so_far = f"The sentence so far: {' '.join(at.words)}." if at.words else "Between two sentences."
    memory = f"Open brackets: {' '.join(at.is_open) or 'none'}. Holders: {', '.join(_holders(at.memory))}."
    mend = f" “{state.slip}” was wrong; {world.mend(state)} would take it back." if state.back else ""
    if world.done(state):
        return f"{so_far} {memory} The text ends."
    law = sorted(world.policy(state).items(), key=lambda pair: -pair[1])
    told = ", ".join(f"{word} {number(p)}" for word, p in law[:_BARS]) + (" …" if len(law) > _BARS else "")
    return f"{so_far} {memory}{mend} The law of the next word: {told}."


GRAMMAR = Artist(_draw)
