"""The ledger: the lines around the one being written, with the totals as written and as they truly are."""

from __future__ import annotations

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.studies.study import ReplayStep
from deadreckon.worlds.ledger import LABELS, State

_WIDTH, _LINE, _SHOWN = 340, 24, 12  # width, height of a line, lines in view


def _draw(scene: Scene[State]) -> Drawing:
    book, now = scene.state.ledger, scene.state.i
    written = {scene.states[j].i: scene.rows[j] for j in range(scene.i + 1)}
    first = max(0, min(now - _SHOWN + 4, book.size.entries - _SHOWN))
    shown = range(first, min(book.size.entries, first + _SHOWN))
    sheet = Canvas(_WIDTH, _LINE * (len(shown) + 1) + 12)
    sheet.text(8, 16, "line", "muted", size=12)
    for x, title in ((110, "entry"), (200, "written"), (280, "true")):
        anchored(sheet.text(x, 16, title, "muted", size=12), "end")
    for place, line in enumerate(shown, start=1):
        if line == now:
            sheet.rect(0, place * _LINE, _WIDTH, _LINE, "panel", round=4)
        _line(sheet, scene.state, place * _LINE + 17, line)
        if line in written:
            _totals(sheet, scene.state, place * _LINE + 17, line, written[line])
    return Drawing(sheet.svg(), _words(scene.state))


def _line(sheet: Canvas, state: State, y: float, line: int) -> None:
    ink = "ink" if line <= state.i else "muted"
    sheet.text(8, y, LABELS[line], ink, mono=True)
    anchored(sheet.text(110, y, _signed(state.ledger.entries[line]), ink, mono=True), "end")


def _totals(sheet: Canvas, state: State, y: float, line: int, row: ReplayStep) -> None:
    """A total that is not the true one says so in words: a slip, or carried on from one."""
    true = state.ledger.size.texts[state.ledger.totals[line + 1]]
    wrong = row.action != true
    total = sheet.text(200, y, row.action[:12], "orange" if wrong else "ink", mono=True)
    anchored(total, "end")
    bold(total)
    anchored(sheet.text(280, y, true, "muted", mono=True), "end")
    if wrong:
        sheet.text(292, y, f"× {row.event}" if erred(row) else "carried", "orange", size=12)
    elif row.event == "mend":
        sheet.text(292, y, "+ mend", "green", size=12)


def _words(state: State) -> str:
    book, texts = state.ledger, state.ledger.size.texts
    if state.i == book.size.entries:
        return f"Every line is written; the total stands at {texts[state.total]}, truly {texts[book.totals[-1]]}."
    return (
        f"Line {LABELS[state.i]}, entry {_signed(book.entries[state.i])}. The total as written is "
        f"{texts[state.total]}, the true one {texts[book.totals[state.i]]}; after this entry it is truly "
        f"{texts[book.totals[state.i + 1]]}."
    )


def _signed(entry: int) -> str:
    return f"{entry:+d}".replace("-", "−")


SUMS = Artist(_draw)
