"""The rules of chess on plain states: an adapter to python-chess, an extra under the GPL that nothing else here needs.

One board is moved from state to state, so an instance belongs to one thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from deadreckon.errors import BadText, MissingExtra
from deadreckon.worlds.chess_position import PIECES, SQUARES, STANDARD, Game, State

try:
    import chess
except ModuleNotFoundError as missing:
    raise MissingExtra("the world chess", "chess") from missing

UCI = re.compile(r"[a-h][1-8][a-h][1-8][nbrq]?")
SAN = re.compile(r"([KQRBN]?)([a-h]?)([1-8]?)(x?)([a-h][1-8])(?:=([QRBN]))?|O-O(-O)?")
FEN = re.compile(r"[1-8/pnbrqkPNBRQK]{15,80} [wb] (-|[A-HKQa-hkq]{1,4}) (-|[a-h][36]) [0-9]{1,3} [1-9][0-9]{0,3}")
_NO_GAME = Game(STANDARD, (), 0, 0)


@lru_cache(maxsize=1 << 14)
def uci_move(text: str) -> chess.Move | None:
    """The move this text names; None where it is not UCI, or goes nowhere."""
    return chess.Move.from_uci(text) if UCI.fullmatch(text) and text[:2] != text[2:4] else None


class Rules:
    """Legality, moves and text in one variant and notation."""

    def __init__(self, *, chess960: bool, san: bool):
        """`chess960`: castling is written as the king taking its own rook. `san`: moves are in SAN, else in UCI."""
        self.chess960, self.san = chess960, san
        self._board = chess.Board(None, chess960=chess960)
        self._on: State | None = None  # the state that the board shows
        self._found: tuple[State | None, str, chess.Move | None] = (None, "", None)

    # --- states ---

    def board(self, state: State) -> chess.Board:
        """The one board, showing this state; not to be changed."""
        board = self._board
        if state is not self._on:
            (
                board.pawns,
                board.knights,
                board.bishops,
                board.rooks,
                board.queens,
                board.kings,
                board.occupied_co[chess.WHITE],
                board.occupied_co[chess.BLACK],
                board.turn,
                board.castling_rights,
                board.ep_square,
                board.halfmove_clock,
                board.fullmove_number,
            ) = state[:13]
            board.occupied, board.promoted = state.white | state.black, 0
            board.clear_stack()
            self._on = state
        return board

    def after(self, state: State, move: chess.Move, reply: str = "") -> State:
        """The state after a legal move; `reply`: it is the opponent's, written so."""
        board = self.board(state)
        board.push(move)
        new = _read(board, state.i + 1, reply, state.game)
        self._on = new
        return new

    def first(self, game: Game) -> State:
        """The state after the game's opening. BadText: a move of it is not legal."""
        board = chess.Board.from_chess960_pos(game.number)
        board.chess960 = self.chess960
        for text in game.opening:
            move = uci_move(text)
            if move is None or not board.is_legal(move):
                raise BadText(f"{text!r} is not legal in {board.fen()!r}: give an opening of legal moves")
            board.push(move)
        return _read(board, 0, "", game)

    def fen(self, state: State) -> str:
        """The position in FEN, castling rights by file in Chess960."""
        return state.fen(by_file=self.chess960)

    def read_fen(self, text: str, game: Game = _NO_GAME, i: int = 0, reply: str = "") -> State | None:
        """The state with this position; None where it is none that could be in a game."""
        if not FEN.fullmatch(text):
            return None
        try:
            board = chess.Board(text, chess960=self.chess960)
        except ValueError:
            return None
        return _read(board, i, reply, game) if board.is_valid() else None

    def dead(self, state: State) -> bool:
        """A draw by the rules, whatever is played: too few pieces to mate, or 75 moves without progress."""
        heavy = state.pawns or state.rooks or state.queens
        return state.halfmove >= 150 or (not heavy and self.board(state).is_insufficient_material())

    # --- moves ---

    def find(self, state: State, text: str) -> chess.Move | None:
        """The legal move this text names in this state; None where it names none."""
        known, said, move = self._found
        if known is not state or said != text:
            board = self.board(state)
            move = self._named(board, text) if self.san else self._legal_uci(board, text)
            self._found = (state, text, move)
        return move

    def _legal_uci(self, board: chess.Board, text: str) -> chess.Move | None:
        move = uci_move(text)
        if move is None or not board.is_legal(move):
            return None
        own = board.occupied_co[board.turn] >> move.to_square & 1
        return None if own and not self.chess960 else move  # python-chess reads e1h1 as castling in any variant

    def _named(self, board: chess.Board, text: str) -> chess.Move | None:
        match = SAN.fullmatch(text)
        if match is None:
            return None
        if match[5] is None:
            found: Iterator[chess.Move] = board.generate_castling_moves()
        else:
            kind = PIECES.index(match[1] or "P") + 1
            found = board.generate_legal_moves(board.pieces_mask(kind, board.turn), 1 << SQUARES.index(match[5]))
        alike = list(found)
        return next((move for move in alike if san(board, move, alike) == text), None)

    def legal(self, state: State) -> dict[str, chess.Move]:
        """Every legal move by its text, in alphabetical order."""
        board = self.board(state)
        moves = list(board.generate_legal_moves())
        texts = self._texts(board, moves) if self.san else {move.uci(): move for move in moves}
        return dict(sorted(texts.items()))

    def write(self, state: State, move: chess.Move) -> str:
        """The text of a legal move."""
        if not self.san:
            text: str = move.uci()
            return text
        board = self.board(state)
        mask = board.pieces_mask(board.piece_type_at(move.from_square) or 0, board.turn)
        castles = board.is_castling(move)
        alike = [move] if castles else list(board.generate_legal_moves(mask, 1 << move.to_square))
        return next(text for text, one in self._texts(board, alike).items() if one == move)

    def _texts(self, board: chess.Board, moves: Sequence[chess.Move]) -> dict[str, chess.Move]:
        """Moves by their SAN without check marks; `moves` holds every legal one of its pieces to its squares."""
        groups: dict[tuple[int, int], list[chess.Move]] = {}
        for move in moves:
            groups.setdefault((board.piece_type_at(move.from_square) or 0, move.to_square), []).append(move)
        return {san(board, move, alike): move for (_, _), alike in groups.items() for move in alike}


def _read(board: chess.Board, i: int, reply: str, game: Game) -> State:
    white, black = board.occupied_co[chess.WHITE], board.occupied_co[chess.BLACK]
    return State(
        board.pawns,
        board.knights,
        board.bishops,
        board.rooks,
        board.queens,
        board.kings,
        white,
        black,
        board.turn,
        board.castling_rights,
        board.ep_square,
        board.halfmove_clock,
        board.fullmove_number,
        i,
        reply,
        game,
    )


def san(board: chess.Board, move: chess.Move, alike: Sequence[chess.Move]) -> str:
    """The move in SAN without a check mark; `alike`: the legal moves of its kind of piece to its square."""
    piece = board.piece_type_at(move.from_square) or chess.PAWN
    here, target = SQUARES[move.from_square], SQUARES[move.to_square]
    if piece == chess.KING and board.is_castling(move):
        return "O-O" if target[0] > here[0] else "O-O-O"
    if piece == chess.PAWN:
        promotion = "=" + PIECES[move.promotion - 1] if move.promotion else ""
        return f"{'' if here[0] == target[0] else here[0] + 'x'}{target}{promotion}"
    which = _which(here, alike) if len(alike) > 1 else ""
    return f"{PIECES[piece - 1]}{which}{'x' if board.occupied >> move.to_square & 1 else ''}{target}"


def _which(here: str, alike: Sequence[chess.Move]) -> str:
    """What tells this piece from others of its kind that could go there: a file, else a rank, else both."""
    others = [SQUARES[move.from_square] for move in alike]
    if sum(other[0] == here[0] for other in others) == 1:
        return here[0]
    return here[1] if sum(other[1] == here[1] for other in others) == 1 else here
