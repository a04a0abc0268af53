"""How a game of chess is written: its symbols, the notation of a state, the rules in words."""

from __future__ import annotations

import re
from typing import NamedTuple

from deadreckon.worlds.chess_position import PLIES, SQUARES, Game, State

ALPHABET = (
    ".",
    *SQUARES,
    *(f"{square}\n" for square in SQUARES),
    *(f"{piece}\n" for piece in "qrbnQRBN"),
    "O-O\n",
    "O-O-O\n",
    *"KQRBNPACDEFGHkqrnpabcdefgh0123456789/-x=w{}> \n",
)
SYMBOL = re.compile("|".join(map(re.escape, sorted(ALPHABET, key=len, reverse=True))))
FEN_WIDTH = 91  # most symbols of a FEN and its end

_STATE = re.compile(
    r"(?P<fen>[^|]{20,110}) \| (?P<i>0|[1-9][0-9]{0,2})/(?P<plies>[0-9]{1,3}) (?P<reply>\S{1,7})"
    r" \| (?P<number>0|[1-9][0-9]{0,2}) (?P<seed>0|[1-9][0-9]{0,18}) (?P<opening>-|[a-h1-8nbrq ]{4,250})"
)
EXAMPLE = "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 1 | 1/8 - | 518 0 -"


class Parts(NamedTuple):
    """A state's notation, taken apart."""

    fen: str
    i: int
    reply: str
    game: Game


def show_state(fen: str, state: State) -> str:
    """Position; plies played / planned, the opponent's last move; start position, seed, opening: as EXAMPLE."""
    number, opening, plies, seed = state.game
    return f"{fen} | {state.i}/{plies} {state.reply or '-'} | {number} {seed} {' '.join(opening) or '-'}"


def read_parts(text: str) -> Parts | None:
    """Inverse of `show_state`, but for the FEN, which is not looked at; None where it cannot be read."""
    match = _STATE.fullmatch(text)
    if match is None or not match["number"].isascii() or int(match["number"]) > 959:
        return None
    plies, i, seed = int(match["plies"]), int(match["i"]), int(match["seed"])
    if plies not in PLIES.values() or i > plies or str(plies) != match["plies"] or seed >= 2**63:
        return None
    opening = () if match["opening"] == "-" else tuple(match["opening"].split(" "))
    reply = "" if match["reply"] == "-" else match["reply"]
    return Parts(match["fen"], i, reply, Game(int(match["number"]), opening, plies, seed))


def blank(text: str) -> str:
    """As many symbols that say nothing."""
    return "." * len(SYMBOL.findall(text))


def numbered(number: int, *, white: bool, text: str) -> str:
    """A ply of movetext as a line, White's with its number: "12.Nf3"."""
    return f"{number}.{text}\n" if white else f"{text}\n"


def in_words(*, chess960: bool, san: bool, expert: str, tell: str, opponent: str) -> str:
    """The rules, for a model that reads prompts."""
    game = "Chess960 (the start position is told in FEN)" if chess960 else "A game of chess from the usual start"
    notation = (
        "in standard algebraic notation (Nf3, exd5, e8=Q, O-O); check marks may be left out"
        if san
        else "as start and target square (g1f3), with the new piece where a pawn promotes (e7e8q), castling as "
        + ("the king's square and its rook's (e1h1)" if chess960 else "the king's two squares (e1g1)")
    )
    right = "Any legal move is right." if expert == "random" else "Right is the move that Stockfish finds best."
    turns = "Play both sides in turn" if opponent == "none" else "Play one side; the other side's moves are told"
    told = {"moves": "", "fen": " The position is told in braces, in FEN.", "filler": " Dots in braces say nothing."}
    fen = " A position is written in FEN, the square behind a pawn that has just gone two steps always told."
    return f"{game}. {turns}, one move at a time, {notation}. {right}{told[tell]}{fen}"
