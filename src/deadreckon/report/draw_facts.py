"""Facts: what was asked or told, line by line, beside what is true, with the documents the corpus has on each."""

from __future__ import annotations

from dataclasses import dataclass

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.report.sheets import short
from deadreckon.studies.study import ReplayStep
from deadreckon.worlds import fact_state, facts, told
from deadreckon.worlds.fact_book import Book
from deadreckon.worlds.fact_words import RELATIONS, objects, sentence

_WIDTH, _HIGH, _SHOWN, _DOTS = 650, 24, 10, 8  # width, height of a line, lines in view, most documents drawn


@dataclass(frozen=True, slots=True)
class _Line:
    """One step: what it is about, the kind of document found for it, and what was written."""

    about: str
    found: str
    fact: int  # -1: no fact of the book
    written: str
    row: ReplayStep


def _draw(scene: Scene[fact_state.State]) -> Drawing:
    world, state = scene.world, scene.state
    assert isinstance(world, facts.Facts)
    book = world.book(state.level)
    lines = []
    for before, row in zip(scene.states[: scene.i + 1], scene.rows, strict=False):
        if world.done(before):
            continue
        asked = before.questions[before.i]
        found = "" if asked.document is None else asked.document.kind
        lines.append(_Line(world.belief(before), found, asked.fact, row.action, row))
    return Drawing(_sheet(book, lines).svg(), _words(world, state, book))


def _draw_told(scene: Scene[told.State]) -> Drawing:
    world, state = scene.world, scene.state
    assert isinstance(world, told.Told)
    book = world.book(state.level)
    lines = []
    for row in scene.rows[: scene.i + 1]:
        fact = told.fact_of(row.action)
        known = fact is not None and fact < len(book.p)
        begun = sentence(fact or 0, 0, "") if known else ""
        said = (world.parse(row.action) or row.action).removeprefix(begun)
        lines.append(_Line(begun, "", fact or 0 if known else -1, said, row))
    made = f"Statement {state.i + 1} of {len(state.sources)}" if not world.done(state) else "Every statement is made"
    stands = "no false one stands" if state.clean else "a false one stands"
    return Drawing(_sheet(book, lines).svg(), f"{made}; {stands}.")


def _sheet(book: Book, lines: list[_Line]) -> Canvas:
    shown = lines[-_SHOWN:]
    sheet = Canvas(_WIDTH, _HIGH * (len(shown) + 1) + 8)
    for x, title in ((8, "about"), (470, "in the corpus"), (565, "found")):
        sheet.text(x, 16, title, "muted", size=12)
    for x, title in ((290, "written"), (450, "true")):
        anchored(sheet.text(x, 16, title, "muted", size=12), "end")
    for place, line in enumerate(shown, start=1):
        if line is lines[-1]:
            sheet.rect(0, place * _HIGH, _WIDTH, _HIGH, "panel", round=4)
        _line(sheet, book, place * _HIGH + 17, line)
    return sheet


def _line(sheet: Canvas, book: Book, y: float, line: _Line) -> None:
    wrong = erred(line.row)
    ink = "orange" if wrong else "muted" if line.row.event == "abstain" else "ink"
    sheet.text(8, y, line.about, size=12)
    written = sheet.text(290, y, short(line.written), ink, size=12)
    anchored(written, "end")
    bold(written)
    mark = f"× {line.row.event}" if wrong else "– abstain" if line.row.event == "abstain" else ""
    sheet.text(298, y, mark, ink, size=12)
    sheet.text(565, y, line.found, "muted", size=12)
    if line.fact < 0:
        return
    anchored(sheet.text(450, y, _true(book, line.fact), "muted", size=12), "end")
    copies = int(book.copies[line.fact])
    for dot in range(min(copies, _DOTS)):
        sheet.circle(473 + 6 * dot, y - 4, 2, "blue")
    if copies > _DOTS or not copies:
        sheet.text(470 + 6 * min(copies, _DOTS), y, str(copies) if copies else "none", "muted", size=12)


def _true(book: Book, fact: int) -> str:
    return objects(fact % RELATIONS, book.level)[int(book.truth[fact])][0]


def _words(world: facts.Facts, state: fact_state.State, book: Book) -> str:
    if world.done(state):
        return f"Every question is answered; {'no false answer stands' if state.clean else 'a false answer stands'}."
    asked = state.questions[state.i]
    copies = int(book.copies[asked.fact])
    document = "" if asked.document is None else f" Found for it: a document, {asked.document.kind}."
    return (
        f"Question {state.i + 1} of {len(state.questions)}: {world.belief(state).strip()}? True is"
        f" {_true(book, asked.fact)}; the corpus has {copies} documents on it.{document}"
        f" {'No false answer stands.' if state.clean else 'A false answer stands.'}"
    )


FACTS = Artist(_draw)
TOLD = Artist(_draw_told)
