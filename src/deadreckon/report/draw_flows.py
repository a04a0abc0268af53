"""A chaotic system: the cells its attractor meets, the way up to now, and the cell that is written next.

On the line the picture is the last cells against time, on the plane it is the plane.
"""

from __future__ import annotations

from deadreckon.report.canvas import Canvas, anchored
from deadreckon.report.numbers import number
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.worlds.flows import Flows, State

_SIDE, _SHOWN, _MARGIN = 240, 16, 8  # picture, cells in view, edge


def _draw(scene: Scene[State]) -> Drawing:
    world, state = scene.world, scene.state
    assert isinstance(world, Flows)
    cells = [s.cell for s in scene.states[: scene.i + 1]][-_SHOWN:]
    after = world.restore(f"{state.level} {scene.row.action} {state.steps}").cell if _known(scene) else None
    sheet = Canvas(_SIDE + 2 * _MARGIN, _SIDE + 40)
    grid = len(world.support(state.level))
    if world.system == "logistic":
        places = [(_MARGIN + (t + 0.5) * _SIDE / (_SHOWN + 1), _height(cell, grid)) for t, cell in enumerate(cells)]
        goes = None if after is None else (places[-1][0] + _SIDE / (_SHOWN + 1), _height(after, grid))
        for k in range(5):
            sheet.path(f"M{_MARGIN} {_MARGIN + k * _SIDE / 4:.0f}h{_SIDE}", "line", width=0.5)
    else:
        _ground(sheet, world, state.level)
        places = [_middle(cell, grid) for cell in cells]
        goes = None if after is None else _middle(after, grid)
    _way(sheet, places, goes, "orange" if erred(scene.row) else "blue")
    said = f"{world.belief(state).strip()} → {scene.row.action[:8]}"
    said += f"  × {scene.row.event}" if erred(scene.row) else ""
    words = sheet.text(_SIDE / 2 + _MARGIN, _SIDE + 30, said, "orange" if erred(scene.row) else "ink", size=12)
    anchored(words, "middle")
    return Drawing(sheet.svg(), _words(world, state))


def _known(scene: Scene[State]) -> bool:
    return not scene.world.done(scene.state) and scene.world.allows(scene.state, scene.row.action)


def _height(cell: int, grid: int) -> float:
    return _MARGIN + _SIDE * (1 - (cell + 0.5) / grid)


def _middle(cell: int, cells: int) -> tuple[float, float]:
    side = round(cells**0.5)
    column, row = divmod(cell, side)
    return _MARGIN + (column + 0.5) * _SIDE / side, _MARGIN + _SIDE * (1 - (row + 0.5) / side)


def _ground(sheet: Canvas, world: Flows, level: int) -> None:
    """The cells of the attractor."""
    support = world.support(level)
    width = _SIDE / len(support) ** 0.5
    for cell in support.nonzero()[0].tolist():
        x, y = _middle(cell, len(support))
        sheet.rect(x - width / 2 + 0.5, y - width / 2 + 0.5, width - 1, width - 1, "panel")


def _way(sheet: Canvas, places: list[tuple[float, float]], goes: tuple[float, float] | None, ink: str) -> None:
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    sheet.path(f"M{line}", "muted", width=1)
    for x, y in places[:-1]:
        sheet.circle(x, y, 2, "muted")
    sheet.circle(*places[-1], 4, "ink")
    if goes is not None:
        x, y = places[-1]
        sheet.path(f"M{x:.1f} {y:.1f}L{goes[0]:.1f} {goes[1]:.1f}", ink, width=2)
        sheet.circle(*goes, 4, "", ink, width=2)


def _words(world: Flows, state: State) -> str:
    at = world.belief(state).strip()
    where = {None: "", True: " on the attractor", False: " off the attractor"}[world.true(state)]
    if world.done(state):
        return f"Cell {at}{where}; the text ends."
    law = ", ".join(f"{cell} {number(p)}" for cell, p in sorted(world.policy(state).items(), key=lambda kv: -kv[1])[:6])
    return f"Cell {at}{where}. The law of the next cell: {law}{' …' if len(world.policy(state)) > 6 else ''}."


FLOWS = Artist(_draw)
