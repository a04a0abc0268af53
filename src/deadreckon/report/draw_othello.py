"""The board: discs, the last move, the legal moves, and the square the move names."""

from __future__ import annotations

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.scene import Artist, Drawing, Scene
from deadreckon.worlds.position import ACTIONS, PASS, Position, board

_CELL, _EDGE = 36.0, 20.0

Point = tuple[float, float]


def _middle(square: int) -> Point:
    return _EDGE + _CELL * (square % 8 + 0.5), _EDGE + _CELL * (square // 8 + 0.5)


def _side(size: int) -> float:
    return 2 * _EDGE + size * _CELL


def _ground(state: Position) -> Canvas:
    """The empty board with the names of its columns and rows."""
    size, wide = state.size, state.size * _CELL
    sheet = Canvas(_side(size), _side(size))
    sheet.rect(_EDGE, _EDGE, wide, wide, "board", round=4)
    across = "".join(f"M{_EDGE} {_EDGE + k * _CELL}h{wide}" for k in range(1, size))
    down = "".join(f"M{_EDGE + k * _CELL} {_EDGE}v{wide}" for k in range(1, size))
    sheet.path(across + down, "paper", width=1.5)
    for k in range(size):
        x, _ = _middle(k)
        anchored(sheet.text(x, 13, "abcdefgh"[k], "muted", size=11), "middle")
        anchored(sheet.text(9, x + 4, str(k + 1), "muted", size=11), "middle")
    return sheet


def _draw(scene: Scene[Position]) -> Drawing:
    state = scene.state
    sheet = Canvas(_side(state.size), _side(state.size))
    sheet.use(scene.ground)
    for y, cells in enumerate(board(state)):
        for x, cell in enumerate(cells):
            if cell != ".":
                sheet.circle(*_middle(8 * y + x), 14, "black" if cell == "x" else "white", "muted", width=1)
    last = ACTIONS.get(scene.rows[scene.i - 1].action) if scene.i else (state.opening or (None,))[-1]
    if last is not None and last != PASS:
        sheet.circle(*_middle(last), 4, "blue")
    for name in scene.row.right:
        if ACTIONS.get(name, PASS) != PASS:
            sheet.circle(*_middle(ACTIONS[name]), 3, "green")
    _choice(sheet, scene)
    return Drawing(sheet.svg(), _words(state, scene.row.right, last))


def _choice(sheet: Canvas, scene: Scene[Position]) -> None:
    """A ring on the square played; a cross on one the rules refuse; words where no square of the board is named."""
    action, right = ACTIONS.get(scene.row.action), scene.row.action in scene.row.right
    side, size = _side(scene.state.size), scene.state.size
    if action is None or action == PASS or action % 8 >= size or action // 8 >= size:
        said = sheet.text(side / 2, side - 6, scene.row.action[:24] or "(nothing)", "ink" if right else "orange")
        anchored(said, "middle")
        bold(said)
        return
    x, y = _middle(action)
    if right:
        sheet.circle(x, y, 14, stroke="blue", width=3)
    else:
        sheet.path(f"M{x - 9} {y - 9}l18 18M{x - 9} {y + 9}l18 -18", "orange", width=4)


def _words(state: Position, right: tuple[str, ...], last: int | None) -> str:
    names = {action: name for name, action in ACTIONS.items()}
    after = f" after {names[last]}" if last is not None else ""
    rows = " / ".join(board(state))
    to_move = f"{'White' if state.mover else 'Black'} to move{after}, ply {state.ply}."
    return f"{to_move} Rows from the top (x black, o white): {rows}. Legal: {', '.join(right)}."


OTHELLO = Artist(_draw, _ground)
