"""A sheet of numbered lines, each as written beside what is true: for worlds whose text is a list of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.scene import erred
from deadreckon.studies.study import ReplayStep

_WIDTH, _HIGH, _SHOWN = 460, 24, 12  # width, height of a line, lines in view
_MOST = 16  # characters of a cell in view


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its label, what it works on, the true result, and the step that wrote it, if it is written."""

    label: str
    task: str
    true: str
    row: ReplayStep | None
    now: bool


def draw_lines(lines: Sequence[Line], now: int, titles: tuple[str, str, str, str]) -> Canvas:
    """The lines around number `now`; a result that is not the true one says so in words: a slip, or carried on.

    A foot of 20 units is left free below them.
    """
    first = max(0, min(now - _SHOWN + 4, len(lines) - _SHOWN))
    shown = lines[first : first + _SHOWN]
    sheet = Canvas(_WIDTH, _HIGH * (len(shown) + 1) + 26)
    sheet.text(8, 16, titles[0], "muted", size=12)
    for x, title in zip((150, 270, 390), titles[1:], strict=True):
        anchored(sheet.text(x, 16, title, "muted", size=12), "end")
    for place, line in enumerate(shown, start=1):
        if line.now:
            sheet.rect(0, place * _HIGH, _WIDTH, _HIGH, "panel", round=4)
        _line(sheet, place * _HIGH + 17, line)
    return sheet


def _line(sheet: Canvas, y: float, line: Line) -> None:
    ink = "muted" if line.row is None else "ink"
    sheet.text(8, y, line.label, ink, mono=True, size=12)
    anchored(sheet.text(150, y, line.task, ink, mono=True, size=12), "end")
    if line.row is None:
        return
    wrong = line.row.action != line.true
    written = sheet.text(270, y, short(line.row.action), "orange" if wrong else "ink", mono=True, size=12)
    anchored(written, "end")
    bold(written)
    anchored(sheet.text(390, y, short(line.true), "muted", mono=True, size=12), "end")
    if wrong:
        sheet.text(398, y, f"× {line.row.event}" if erred(line.row) else "carried", "orange", size=12)
    elif line.row.event == "mend":
        sheet.text(398, y, "+ mend", "green", size=12)


def short(text: str) -> str:
    """The text, its middle left out where it is long."""
    return text if len(text) <= _MOST else f"{text[: _MOST // 2 - 1]}…{text[-_MOST // 2 :]}"
