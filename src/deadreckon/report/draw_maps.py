"""The street map: the town as ground, and on it start, goal, the way gone so far and the turn that was taken."""

from __future__ import annotations

from collections.abc import Iterable
from math import isinf

from deadreckon.report.canvas import Canvas, anchored
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.worlds.maps import Place
from deadreckon.worlds.towns import DIRECTIONS, NO_GOAL, SIZES, atlas, crossings, streets

_SIDE, _EDGE = 340.0, 26.0  # the sheet, its margin with the names of columns and rows
_MOVES = dict(zip(DIRECTIONS, ((0, -1), (1, 0), (0, 1), (-1, 0)), strict=True))

Point = tuple[float, float]


def _cell(level: int) -> float:
    return (_SIDE - 2 * _EDGE) / (SIZES[level] - 1)


def _level(place: Place) -> int:
    return atlas().level[place.start]


def _point(level: int, crossing: int) -> Point:
    row, column = divmod(crossing - atlas().first[level], SIZES[level])
    return _EDGE + column * _cell(level), _EDGE + row * _cell(level)


def _ground(place: Place) -> Canvas:
    """Streets (arrows on one-way ones), traps shaded, landmarks by name."""
    level = _level(place)
    cell, sheet = _cell(level), Canvas(_SIDE, _SIDE)
    at = {c.name: (_EDGE + c.column * cell, _EDGE + c.row * cell) for c in crossings(level)}
    for crossing in crossings(level):
        x, y = at[crossing.name]
        if crossing.trap:
            sheet.rect(x - cell / 2, y - cell / 2, cell, cell, "line")
        if crossing.landmark:
            sheet.rect(x - 3, y - 3, 6, 6, "muted")
    lines, arrows = [], []
    for street in streets(level):
        (x1, y1), (x2, y2) = at[street.start], at[street.end]
        lines.append(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}")
        if street.one_way:
            arrows.append(_head((x1, y1), (x2, y2), 0.62, min(4.0, cell / 6)))
    sheet.path("".join(lines), "street", width=1.5)
    sheet.path("".join(arrows), "muted", "muted", width=1)
    _names(sheet, level)
    return sheet


def _names(sheet: Canvas, level: int) -> None:
    """Letters of columns, numbers of rows (every other one where they are close), names of landmarks."""
    cell = _cell(level)
    for k in range(0, SIZES[level], 1 if cell > 20 else 2):
        along = _EDGE + k * cell
        anchored(sheet.text(along, 10, chr(ord("a") + k), "muted", size=10), "middle")
        anchored(sheet.text(8, along + 3.5, f"{k + 1:02d}", "muted", size=10), "middle")
    taken: list[tuple[float, float, float]] = []
    for c in crossings(level) if cell > 20 else ():
        if c.landmark:
            _name(sheet, (_EDGE + c.column * cell, _EDGE + c.row * cell), c.landmark, taken)


def _name(sheet: Canvas, at: Point, name: str, taken: list[tuple[float, float, float]]) -> None:
    """A landmark's name over its crossing, or under it where a name or the letters of the columns are in the way."""
    half = 2.7 * len(name)
    x = min(max(at[0], half), _SIDE - half)
    above, below = at[1] - 6, at[1] + 14
    free = above > 24 and not any(abs(y - above) < 9 and abs(x - mid) < half + side for mid, y, side in taken)
    y = above if free else below
    taken.append((x, y, half))
    anchored(sheet.text(x, y, name, "muted", size=9.5), "middle")


def _draw(scene: Scene[Place]) -> Drawing:
    level, here = _level(scene.state), scene.state
    sheet = Canvas(_SIDE, _SIDE)
    sheet.use(scene.ground)
    for j in range(scene.i):
        before, after = _point(level, scene.states[j].at), _point(level, scene.states[j + 1].at)
        if before != after:
            slip = erred(scene.rows[j])
            sheet.path(_line(before, after), "orange" if slip else "blue", width=3.5, dash="1 5" if slip else "")
    x, y = _point(level, here.start)
    sheet.circle(x, y, 6, "paper", "blue", width=2)
    if here.goal != NO_GOAL:
        _flag(sheet, _point(level, here.goal))
    for turn in scene.row.right:
        _arrow(sheet, _point(level, here.at), turn, _cell(level), "green")
    _arrow(sheet, _point(level, here.at), scene.row.action, _cell(level), "orange" if erred(scene.row) else "blue")
    x, y = _point(level, here.at)
    sheet.circle(x, y, 5, "blue", "paper", width=1.5)
    return Drawing(sheet.svg(), _words(here, scene.row.right, scene.row.action))


def _line(start: Point, end: Point) -> str:
    return f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"


def _head(start: Point, end: Point, share: float, size: float) -> str:
    """A closed arrow head at that share of the way from start to end."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = (dx * dx + dy * dy) ** 0.5
    ux, uy = dx / length * size, dy / length * size
    x, y = start[0] + dx * share, start[1] + dy * share
    points = ((x + ux, y + uy), (x - ux - uy, y - uy + ux), (x - ux + uy, y - uy - ux))
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points) + "Z"


def _arrow(sheet: Canvas, start: Point, turn: str, cell: float, colour: str) -> None:
    """A turn, as an arrow out of the crossing; text that is no turn has none."""
    if turn not in _MOVES:
        return
    reach = max(cell * 0.72, 16.0)
    end = (start[0] + _MOVES[turn][0] * reach, start[1] + _MOVES[turn][1] * reach)
    sheet.path(_line(start, end), colour, width=2.5)
    sheet.path(_head(start, end, 1.0, 4.0), colour, colour, width=1)


def _flag(sheet: Canvas, foot: Point) -> None:
    x, y = foot
    sheet.path(f"M{x:.1f} {y:.1f}v-17", "ink", width=2)
    sheet.path(f"M{x:.1f} {y - 17:.1f}l11 4l-11 4z", "ink", "ink", width=1)


def _words(place: Place, right: Iterable[str], action: str) -> str:
    names, tables = atlas().names, atlas()
    steps = float(tables.steps[place.at, place.goal]) if place.goal != NO_GOAL else float("nan")
    mark = f" ({tables.landmark[place.at]})" if tables.landmark[place.at] else ""
    goal = f", goal {names[place.goal]}" if place.goal != NO_GOAL else ""
    away = f", {steps:.0f} steps away" if place.goal != NO_GOAL and not isinf(steps) else ""
    taken = f"turns {action}" if action in _MOVES else "gives no turn"
    return f"At {names[place.at]}{mark}{goal}{away}; from {names[place.start]}. Right: {', '.join(right)}; {taken}."


MAPS = Artist(_draw, _ground)
