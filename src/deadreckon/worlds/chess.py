"""Chess and Chess960, as moves that a transcript lists; an extra: pip install 'deadreckon[chess]'.

The opening is a few random legal plies; the actor goes on for both sides, or for one against an opponent. Each ply is
a line::

    g1f3                          <- notation=uci
    2.Nf3                         <- notation=san: movetext of PGN, White's moves numbered by the world
    {rnbqkbnr/... b KQkq e3 0 1}  <- tell=fen: the world tells the position before every k-th turn; or dots: tell=filler

With expert=random every legal move is right, and what is not legal leads nowhere. With expert=stockfish the move that
Stockfish finds best in a fixed number of nodes is right, and other legal moves are slips that the game goes on from.
A game ends by mate, stalemate, the 75-move rule, too few pieces to mate, or when its plies are used up. Repetition
ends none: a state is a position, not its history.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from deadreckon.contracts import nan
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.seeds import hash64
from deadreckon.worlds.chess_engine import Engine, engine
from deadreckon.worlds.chess_options import Options, read_chess_options
from deadreckon.worlds.chess_position import PLIES, STANDARD, Fault, Game, Reason, State
from deadreckon.worlds.chess_reasons import reason_of, tempting
from deadreckon.worlds.chess_rules import SAN, UCI, Rules, uci_move
from deadreckon.worlds.chess_text import (
    ALPHABET,
    EXAMPLE,
    FEN_WIDTH,
    blank,
    in_words,
    numbered,
    read_parts,
    show_state,
)


class Chess:
    """The world of chess; see the module's text."""

    levels = tuple(PLIES)
    alphabet = ALPHABET
    end = "\n"
    belief_end = ">"
    belief_width = FEN_WIDTH

    def __init__(self, options: Options | None = None):
        """MissingProgram: Stockfish is asked for and not installed."""
        self.options = o = options or Options()
        self._rules = Rules(chess960=o.variant == "chess960", san=o.notation == "san")
        self._each = 1 if o.opponent == "none" else 2  # plies of a turn
        self.width = 5 if o.notation == "san" else 3
        told = o.tell if o.tell == "moves" else f"{o.tell}{o.every}"
        opening = "" if o.opening == Options().opening else f"-opening{o.opening}"
        players = [self._player(o.expert), *(["vs", self._player(o.opponent)] if self._each == 2 else [])]
        self.name = f"chess-{o.variant}-{o.notation}-{told}{opening}-{'-'.join(players)}-v1"
        self._legal = lru_cache(maxsize=1024)(self._rules.legal)
        self._best = lru_cache(maxsize=8192)(self._search)

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Chess:
        """From a spec's options, as `Options`. BadOption, MissingProgram."""
        return cls(read_chess_options(options))

    def _player(self, who: str) -> str:
        name = re.sub(r"[^a-z0-9.]", "", self._engine().name.lower()) if who == "stockfish" else ""
        return f"{name}n{self.options.nodes}" if name else who

    def _engine(self) -> Engine:
        return engine("chess with stockfish", chess960=self._rules.chess960)

    def _search(self, state: State) -> str:
        """Stockfish's move, as it is written."""
        move = uci_move(self._engine().search(self._rules.fen(state), self.options.nodes).move)
        assert move is not None
        return self._rules.write(state, move)

    # --- play ---

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A start position, and random legal plies that do not end the game. BadOption: no such level."""
        if level not in PLIES:
            raise BadOption(f"chess has no level {level}: choose from {', '.join(map(str, PLIES))}")
        number = int(rng.integers(960)) if self._rules.chess960 else STANDARD
        seed = int(rng.integers(2**63)) if self.options.opponent == "random" else 0
        while True:
            state = first = self._rules.first(Game(number, (), PLIES[level], seed))
            played: list[str] = []
            for u in rng.random(self.options.opening).tolist():
                if moves := self.legal(state):
                    move = self._legal(state)[moves[int(u * len(moves))]]
                    played.append(move.uci())
                    state = self._rules.after(state, move)._replace(i=0)
            if not self.done(state):
                return state._replace(game=first.game._replace(opening=tuple(played)))

    def legal(self, state: State) -> Sequence[str]:
        """Every legal move, in alphabetical order; none when done."""
        return () if state.i >= state.game.plies or self._rules.dead(state) else tuple(self._legal(state))

    def allows(self, state: State, action: str) -> bool:
        """Whether the text is a legal move, written as it should be."""
        going = state.i < state.game.plies and not self._rules.dead(state)
        return going and self._rules.find(state, action) is not None

    def step(self, state: State, action: str) -> State:
        """The position after the move, and after the opponent's reply. IllegalAction where `allows` is False."""
        move = self._rules.find(state, action) if self.allows(state, action) else None
        if move is None:
            why = reason_of(self._rules, state, action) or "the game is over"
            raise IllegalAction(f"{action!r} in {self.show(state)!r}: {why}; ask legal() first")
        after = self._rules.after(state, move)
        if self._each == 1 or self.done(after):
            return after
        reply = self._reply(after)
        return self._rules.after(after, self._legal(after)[reply], reply)

    def _reply(self, state: State) -> str:
        if self.options.opponent == "stockfish":
            return self._best(state)
        moves = tuple(self._legal(state))
        return moves[hash64(state.game.seed, state.i) % len(moves)]

    def done(self, state: State) -> bool:
        """The game is over, or its plies are used up."""
        return not self.legal(state)

    def policy(self, state: State) -> Mapping[str, float]:
        """Uniform over the legal moves, or Stockfish's move."""
        legal = self.legal(state)
        if self.options.expert == "stockfish":
            return {self._best(state): 1.0} if legal else {}
        return dict.fromkeys(legal, 1.0 / len(legal)) if legal else {}

    def wrong(self, state: State) -> Sequence[str]:
        """expert=random: illegal moves that a piece on the board would have on an empty one; stockfish: other moves."""
        if self.done(state):
            return ()
        if self.options.expert == "random":
            return tempting(self._rules, state, self._legal(state).keys())
        best = self._best(state)
        return [move for move in self.legal(state) if move != best]

    def mend(self, state: State) -> str | None:
        """None: no position is wrong."""
        return None

    def true(self, state: State) -> bool | None:
        """None: every position is one that moves have led to."""
        return None

    def distance(self, state: State) -> float:
        """nan: no goal."""
        return nan

    # --- what a move is worth, and why it fails ---

    def reason(self, state: State, text: str) -> Reason | None:
        """Why this text is no legal move; None where it is one, or reads as one ("Nf3+")."""
        action = self.parse(text)
        return Reason.SYNTAX if action is None else reason_of(self._rules, state, action)

    def fault(self, state: State, text: str, belief: str) -> Fault | None:
        """What a wrong move is owed to, deciding or tracking, by the FEN written before it; None: it is right."""
        action = self.parse(text) or ""
        if action in self.policy(state):
            return None
        believed = self._rules.read_fen(belief, state.game, state.i, state.reply)
        if believed is None:
            return Fault.UNREADABLE
        same = believed[:10] == state[:10] and self._legal(believed).keys() == self._legal(state).keys()
        if same:
            return Fault.DECIDING
        return Fault.TRACKING if action in self.policy(believed) else Fault.BOTH

    def loss(self, state: State, text: str, nodes: int | None = None) -> float:
        """Centipawns this move gives away against the best, both by searches of so many nodes; nan: not legal.

        Scores are kept within ±chess_engine.MATE; never negative.
        """
        action = self.parse(text)
        move = self._rules.find(state, action) if action is not None and self.allows(state, action) else None
        if move is None:
            return nan
        fen, searched = self._rules.fen(state), nodes or self.options.nodes
        best = self._engine().search(fen, searched)
        if best.move == move.uci():
            return 0.0
        return float(max(0, best.score - self._engine().search(fen, searched, [move.uci()]).score))

    def squares(self, state: State, text: str) -> tuple[int, int] | None:
        """Start and target of a move, a1 = 0: of a legal one, or of any in UCI; None where it names none."""
        move = self._rules.find(state, self.parse(text) or "") or (None if self._rules.san else uci_move(text))
        return None if move is None else (move.from_square, move.to_square)

    # --- text ---

    def _tells(self, state: State) -> bool:
        return self.options.tell != "moves" and state.i // self._each % self.options.every == 0

    def fixes(self, state: State) -> bool:
        """Whether the position is told before this turn."""
        return self.options.tell == "fen" and self._tells(state)

    def opening(self, state: State) -> str:
        """The plies before the start state, in Chess960 after the start position in FEN."""
        now = self._rules.first(state.game._replace(opening=()))
        text = f"{{{self._rules.fen(now)}}}\n" if self._rules.chess960 else ""
        for played in state.game.opening:
            move = uci_move(played)
            assert move is not None
            text += self._ply(now, self._rules.write(now, move))
            now = self._rules.after(now, move)
        return text

    def _ply(self, before: State, text: str) -> str:
        return numbered(before.fullmove, white=before.turn and self._rules.san, text=text)

    def says(self, state: State) -> str:
        """The opponent's move; the position (or dots) where it is told; the number of White's move in SAN."""
        san = self._rules.san
        reply = numbered(state.fullmove, white=san and not state.turn, text=state.reply) if state.reply else ""
        fen = self._rules.fen(state) if self._tells(state) else ""
        told = f"{{{fen if self.options.tell == 'fen' else blank(fen)}}}\n" if fen else ""
        return reply + told + (f"{state.fullmove}." if san and state.turn else "")

    def belief(self, state: State) -> str:
        """The position in FEN."""
        return self._rules.fen(state)

    def show(self, state: State) -> str:
        """FEN; plies and reply; start position, seed and opening."""
        return show_state(self._rules.fen(state), state)

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        parts = read_parts(text)
        state = self._rules.read_fen(parts.fen, parts.game, parts.i, parts.reply) if parts else None
        number = parts.game.number if parts else STANDARD
        if parts is None or state is None or (number != STANDARD and not self._rules.chess960):
            raise BadText(f"{text!r} is no state of {self.name}: write it as {EXAMPLE!r}")
        if parts.reply and (self._each == 1 or self.parse(parts.reply) != parts.reply):
            raise BadText(f"{text!r} has an opponent's move {parts.reply!r}: write '-'")
        first = self._rules.first(parts.game)
        if state.i == 0 and state[:13] != first[:13]:
            raise BadText(f"{text!r}: its opening leads to {self._rules.fen(first)!r}")
        return state

    def write(self, action: str) -> str:
        """The move."""
        return action

    def parse(self, text: str) -> str | None:
        """A move in the world's notation, legal or not; in SAN without its check mark, 0-0 as O-O."""
        if not self._rules.san:
            return text if UCI.fullmatch(text) else None
        bare = text[:16].rstrip("+#!?").replace("0-0", "O-O").replace("O-0", "O-O")
        return bare if len(text) <= 16 and SAN.fullmatch(bare) else None

    def rules(self) -> str:
        """The rules in words."""
        o = self.options
        return in_words(
            chess960=self._rules.chess960, san=self._rules.san, expert=o.expert, tell=o.tell, opponent=o.opponent
        )
