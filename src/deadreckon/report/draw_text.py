"""Plain text: the source's words, the actor's own, and the word of this step; words that repeat the text before."""

from __future__ import annotations

from deadreckon.report.canvas import Canvas, bold
from deadreckon.report.scene import Artist, Drawing, Scene
from deadreckon.worlds.text import State

_WIDTH, _LETTER, _LINE, _LINES = 460, 7.9, 22, 6  # sheet, width of a letter, height of a line, lines in view
_WINDOW = 4  # words that repeat together, as in the reading `repetition`


def _draw(scene: Scene[State]) -> Drawing:
    source = scene.world.opening(scene.states[0]).split()
    own = [row.action for row in scene.rows[: scene.i + 1]]
    again = _repeated(own)
    inks = ["muted"] * len(source) + ["purple" if k in again else "ink" for k in range(len(own))]
    sheet = Canvas(_WIDTH, _LINES * _LINE + 34)
    lines: list[list[tuple[float, str, str]]] = [[]]
    x = 8.0
    for word, ink in zip([*source, *own], inks, strict=True):
        shown = word if len(word) <= 24 else word[:23] + "…"
        if x + len(shown) * _LETTER > _WIDTH - 8:
            lines.append([])
            x = 8.0
        lines[-1].append((x, shown, ink))
        x += (len(shown) + 1) * _LETTER
    for place, line in enumerate(lines[-_LINES:], start=1):
        for x, shown, ink in line:
            said = sheet.text(x, place * _LINE, shown, ink, mono=True)
    bold(said)
    sheet.path(f"M{x} {min(len(lines), _LINES) * _LINE + 5}h{len(shown) * _LETTER:.1f}", "blue", width=2)
    told = "in grey the source; in purple words that stood together before; nothing is judged"
    sheet.text(8, _LINES * _LINE + 26, told, "muted", size=11)
    return Drawing(sheet.svg(), _words(scene, len(again)))


def _repeated(words: list[str]) -> set[int]:
    """Places of words in a window that has stood before among them."""
    seen: set[tuple[str, ...]] = set()
    found: set[int] = set()
    for last in range(_WINDOW, len(words) + 1):
        window = tuple(words[last - _WINDOW : last])
        if window in seen:
            found.update(range(last - _WINDOW, last))
        seen.add(window)
    return found


def _words(scene: Scene[State], again: int) -> str:
    before = " ".join(row.action for row in scene.rows[: scene.i][-12:])
    source = " ".join(scene.world.opening(scene.states[0]).split()[-8:])
    return (
        f"After the source's …{source}: {before or '(nothing yet)'}. The next word is {scene.row.action}."
        f" {again} of the {scene.i + 1} words stand in windows that repeat. Nothing is judged."
    )


TEXT = Artist(_draw)
