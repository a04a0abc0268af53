"""Why a move cannot be played: the class of an illegal move, read from the board (Toshniwal et al. 2022 tell three)."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from deadreckon.errors import MissingExtra
from deadreckon.worlds.chess_position import PIECES, SQUARES, Reason, State
from deadreckon.worlds.chess_rules import SAN, UCI, Rules

try:
    import chess
except ModuleNotFoundError as missing:
    raise MissingExtra("the world chess", "chess") from missing

_NEAREST = (Reason.CHECK, Reason.PROMOTION, Reason.OWN_PIECE, Reason.BLOCKED, Reason.CASTLING, Reason.GEOMETRY)


def reason_of(rules: Rules, state: State, text: str) -> Reason | None:
    """Why this text is no legal move here; None where it is one."""
    if rules.find(state, text) is not None:
        return None
    board = rules.board(state)
    return _of_san(board, text) if rules.san else _of_uci(board, text)


def _of_uci(board: chess.Board, text: str) -> Reason:
    if not UCI.fullmatch(text):
        return Reason.SYNTAX
    start, target = SQUARES.index(text[:2]), SQUARES.index(text[2:4])
    side = board.color_at(start)
    if side is None:
        return Reason.EMPTY
    return Reason.SIDE if side != board.turn else hindrance(board, start, target, bool(text[4:]))


def _of_san(board: chess.Board, text: str) -> Reason:
    match = SAN.fullmatch(text)
    if match is None:
        return Reason.SYNTAX
    if match[5] is None:
        return Reason.CASTLING
    kind, target = PIECES.index(match[1] or "P") + 1, SQUARES.index(match[5])
    promotion = PIECES.index(match[6]) + 1 if match[6] else None
    file = match[2] or ("" if match[1] or match[4] else match[5][0])  # a pawn that takes nothing keeps its file
    ours, theirs = (_squares(board, kind, side, file, match[3]) for side in (board.turn, not board.turn))
    mask = sum(1 << square for square in ours)
    meant = [m for m in board.generate_legal_moves(mask, 1 << target) if m.promotion == promotion]
    if meant:
        return Reason.SPELLING if len(meant) == 1 else Reason.AMBIGUOUS
    found = {hindrance(board, square, target, promotion is not None) for square in ours}
    nearest = next((reason for reason in _NEAREST if reason in found), Reason.EMPTY)
    if nearest in (Reason.EMPTY, Reason.GEOMETRY):
        could = any(hindrance(board, s, target, promotion is not None) is Reason.CHECK for s in theirs)
        return Reason.SIDE if could else nearest
    return nearest


def _squares(board: chess.Board, kind: int, side: chess.Color, file: str, rank: str) -> list[int]:
    """Where pieces of this kind and side stand, on that file and rank where they are named."""
    squares = [(square, SQUARES[square]) for square in board.pieces(kind, side)]
    return [square for square, name in squares if name.startswith(file) and name.endswith(rank)]


@lru_cache(maxsize=1024)
def reach(kind: chess.PieceType, side: chess.Color, start: chess.Square) -> chess.Bitboard:
    """The squares this piece has from here on an empty board; a pawn straight and aslant."""
    if kind != chess.PAWN:
        alone = chess.BaseBoard(None)
        alone.set_piece_at(start, chess.Piece(kind, side))
        return alone.attacks_mask(start)
    ahead = [8] if chess.square_rank(start) != (1 if side else 6) else [8, 16]
    straight = [start + (step if side else -step) for step in ahead]
    return chess.BB_PAWN_ATTACKS[side][start] | sum(1 << square for square in straight if 0 <= square < 64)


def hindrance(board: chess.Board, start: int, target: int, promotes: bool) -> Reason:
    """What keeps the piece that stands at `start` from `target`, of either side; CHECK where nothing else does."""
    kind, side = board.piece_type_at(start), board.color_at(start)
    own, every = board.occupied_co[bool(side)] >> target & 1, board.occupied >> target & 1
    if kind == chess.KING and _castles(board, start, target):
        return Reason.CASTLING
    if not reach(kind or chess.PAWN, bool(side), start) >> target & 1:
        return Reason.GEOMETRY
    straight = chess.square_file(start) == chess.square_file(target)
    if chess.between(start, target) & board.occupied or (kind == chess.PAWN and straight and every):
        return Reason.BLOCKED
    if own:
        return Reason.OWN_PIECE
    if kind == chess.PAWN and not straight and not every and target != board.ep_square:
        return Reason.GEOMETRY
    last = kind == chess.PAWN and chess.square_rank(target) in (0, 7)
    return Reason.PROMOTION if promotes != last else Reason.CHECK


def _castles(board: chess.Board, start: int, target: int) -> bool:
    """Whether a king's move is meant as castling: two files along its first rank, or (Chess960) onto its own rook."""
    side = board.color_at(start)
    home = chess.square_rank(start) == chess.square_rank(target) == (0 if side else 7)
    if board.chess960:
        return home and bool(board.rooks & board.occupied_co[bool(side)] & 1 << target)
    middle = chess.square_file(start) == 4
    return home and middle and abs(start - target) == 2


def tempting(rules: Rules, state: State, legal: Collection[str]) -> list[str]:
    """Moves not legal that some piece, of either side, would have on an empty board, and castling; sorted."""
    board, found = rules.board(state), set[str]()
    for start in chess.scan_forward(board.occupied):
        kind, side = board.piece_type_at(start) or chess.PAWN, bool(board.color_at(start))
        if rules.san:
            found.update([_san(board, kind, start, target) for target in _targets(kind, side, start)])
        else:
            found.update(_uci(kind, side, start))
    found.update(("O-O", "O-O-O") if rules.san else _castling(board))
    return sorted(found.difference(legal))


@lru_cache(maxsize=1024)
def _targets(kind: chess.PieceType, side: chess.Color, start: chess.Square) -> tuple[chess.Square, ...]:
    return tuple(chess.scan_forward(reach(kind, side, start)))


@lru_cache(maxsize=1024)
def _uci(kind: chess.PieceType, side: chess.Color, start: chess.Square) -> tuple[str, ...]:
    """Those moves of one piece; a pawn becomes a queen."""
    targets = _targets(kind, side, start)
    last = {target for target in targets if kind == chess.PAWN and chess.square_rank(target) in (0, 7)}
    return tuple(SQUARES[start] + SQUARES[target] + ("q" if target in last else "") for target in targets)


def _san(board: chess.Board, kind: chess.PieceType, start: int, target: int) -> str:
    aslant = kind == chess.PAWN and chess.square_file(start) != chess.square_file(target)
    takes = "x" if aslant or (kind != chess.PAWN and board.occupied >> target & 1) else ""
    mover = PIECES[kind - 1] if kind != chess.PAWN else SQUARES[start][0] * aslant
    last = kind == chess.PAWN and chess.square_rank(target) in (0, 7)
    return mover + takes + SQUARES[target] + ("=Q" if last else "")


def _castling(board: chess.Board) -> list[str]:
    """The mover's king from where it stands: two files aside from its home, or (Chess960) onto its rooks there."""
    king, names = board.king(board.turn) or 0, SQUARES
    rooks = chess.scan_forward(board.rooks & board.occupied_co[board.turn])
    targets = [*rooks] if board.chess960 else [king - 2, king + 2]
    return [names[king] + names[target] for target in targets if 0 <= target < 64 and _castles(board, king, target)]
