"""The board: pieces, the move as an arrow, why it cannot be played, and the right one where there is but one."""

from __future__ import annotations

from math import hypot
from typing import Protocol, cast

from deadreckon.report.canvas import Canvas, anchored, bold
from deadreckon.report.scene import Artist, Drawing, Scene, erred
from deadreckon.worlds.chess_position import Fault, Reason, State

_CELL, _EDGE, _FOOT = 36, 20, 26
_SIDE = 2 * _EDGE + 8 * _CELL
_SHAPES = {  # from the middle of a square: where the outline starts, and the outline
    "P": (-7, 12, "h14l-3-8a5.5 5.5 0 1 0-8 0z"),
    "N": (-8, 12, "h17c1-9-1-17-9-20l-1-4-3 4c-4 2-5 6-7 10l3 3 4-3c2 0 3-1 4-2 0 5-7 6-8 12z"),
    "B": (-8, 12, "h16l-4-5c6-6 4-12-4-19c-8 7-10 13-4 19zm8-17v7m-3-4h6"),
    "R": (-9, 12, "h18v-4l-3-2v-9h3v-8h-4v3h-3v-3h-4v3h-3v-3h-4v8h3v9l-3 2z"),
    "Q": (-9, 12, "h18l3-19-7 9-5-13-5 13-7-9z"),
    "K": (-8, 12, "h16l3-12c-2-6-9-6-11 0c-2-6-9-6-11 0zm8-12v-12m-4 4h8"),
}


class _Judge(Protocol):
    """What the world of chess says of a move beyond the contract of worlds."""

    def reason(self, state: State, text: str) -> Reason | None: ...

    def fault(self, state: State, text: str, belief: str) -> Fault | None: ...

    def squares(self, state: State, text: str) -> tuple[int, int] | None: ...


def _middle(square: int) -> tuple[float, float]:
    return _EDGE + _CELL * (square % 8 + 0.5), _EDGE + _CELL * (7 - square // 8 + 0.5)


def _ground(state: State) -> Canvas:
    """The empty board with the names of its files and ranks."""
    sheet = Canvas(_SIDE, _SIDE + _FOOT)
    sheet.rect(_EDGE, _EDGE, 8 * _CELL, 8 * _CELL, "board", round=4)
    box = f"h{_CELL}v{_CELL}h-{_CELL}z"
    corners = (_middle(square) for square in range(64) if (square + square // 8) % 2 == 0)
    sheet.path("".join(f"M{x - _CELL / 2:.0f} {y - _CELL / 2:.0f}{box}" for x, y in corners), "", "street")
    for k in range(8):
        x, y = _middle(9 * k)
        anchored(sheet.text(x, _SIDE - 6, "abcdefgh"[k], "muted", size=11), "middle")
        anchored(sheet.text(9, y + 4, str(k + 1), "muted", size=11), "middle")
    return sheet


def _draw(scene: Scene[State]) -> Drawing:
    state, row, world = scene.state, scene.row, cast(_Judge, scene.world)
    sheet = Canvas(_SIDE, _SIDE + _FOOT)
    sheet.use(scene.ground)
    for square, piece in enumerate(state.cells()):
        if piece != "1":
            x, y = _middle(square)
            left, down, outline = _SHAPES[piece.upper()]
            white = piece.isupper()
            sheet.path(
                f"M{x + left:.0f} {y + down:.0f}{outline}", "black" if white else "white", "white" if white else "black"
            )
    if erred(row) and len(row.right) == 1:
        _arrow(sheet, world.squares(state, row.right[0]), "green")
    _arrow(sheet, world.squares(state, row.action), "orange" if erred(row) else "blue")
    said = f"{row.action[:12] or '(nothing)'}{_verdict(scene)}"
    foot = sheet.text(_SIDE / 2, _SIDE + _FOOT - 9, said, "orange" if erred(row) else "ink")
    anchored(foot, "middle")
    bold(foot)
    return Drawing(sheet.svg(), _words(scene))


def _verdict(scene: Scene[State]) -> str:
    """ "  × illegal: blocked path (tracking)"; "" for a right move."""
    row, world = scene.row, cast(_Judge, scene.world)
    if not erred(row):
        return ""
    reason = world.reason(scene.state, row.action)
    fault = world.fault(scene.state, row.action, row.thought.removesuffix(">")) if row.thought else None
    owed = f" ({fault})" if fault not in (None, Fault.UNREADABLE) else ""
    return f"  × {row.event}{f': {reason}' if reason else ''}{owed}"


def _arrow(sheet: Canvas, squares: tuple[int, int] | None, ink: str) -> None:
    """From the middle of one square to that of another; nothing where the text names none."""
    if squares is None:
        return
    (x, y), (to_x, to_y) = map(_middle, squares)
    far = hypot(to_x - x, to_y - y) or 1
    across, along = (to_x - x) / far, (to_y - y) / far  # of length 1
    tip = f"M{to_x - 9 * across - 6 * along:.1f} {to_y - 9 * along + 6 * across:.1f}L{to_x:.1f} {to_y:.1f}"
    tip += f"L{to_x - 9 * across + 6 * along:.1f} {to_y - 9 * along - 6 * across:.1f}"
    sheet.path(f"M{x:.0f} {y:.0f}L{to_x:.1f} {to_y:.1f}{tip}", ink, width=4)


def _words(scene: Scene[State]) -> str:
    state, right = scene.state, scene.row.right
    after = f" after {scene.rows[scene.i - 1].action[:12]}" if scene.i else ""
    mover = "White" if state.turn else "Black"
    moves = f"{len(right)} legal moves are right" if len(right) != 1 else f"right is {right[0]}"
    return (
        f"{mover} to move{after}, ply {state.i} of {state.game.plies}. {scene.world.belief(state)}; {moves}."
        f" Played: {scene.row.action[:12] or 'nothing'}{_verdict(scene)}."
    )


CHESS = Artist(_draw, _ground)
