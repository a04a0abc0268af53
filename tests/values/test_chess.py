"""Chess against published counts, python-chess's own texts, Stockfish's move generator, and a reader of transcripts."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deadreckon.errors import BadOption, BadText, EngineDied, IllegalAction, MissingProgram, OtherIdentity
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.studies.names import names
from deadreckon.worlds import chess_engine as stockfish
from deadreckon.worlds import load_world
from deadreckon.worlds.chess_position import STANDARD, Fault, Reason, State

chess = pytest.importorskip("chess", reason="needs the extra chess")
needs_stockfish = pytest.mark.skipif(stockfish.program() is None, reason="no stockfish here: apt-get install stockfish")

START = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1"
PERFT = {  # chessprogramming.org, "Perft Results"; python-chess and Stockfish give the same
    START: (20, 400, 8902, 197281),
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1": (48, 2039, 97862),
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1": (14, 191, 2812, 43238),
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1": (6, 264, 9467, 422333),
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8": (44, 1486, 62379, 2103487),
}
PERFT_960 = {  # one in six or so of numbers 366 to 461 of the set of 960 that engines share (Ethereal's fischer.epd)
    "nrkr1nbb/1ppp2pp/p3q3/4pp2/2P5/P3P3/1PKP1PPP/NR1RQNBB w db - 0 9": (22, 619, 13953),
    "b1rkrbnq/1pp1pppp/2np4/p5N1/8/1P2P3/P1PP1PPP/BNRKRB1Q w ECec - 0 9": (37, 740, 27073),
    "nrk1b1qb/pppn1ppp/3rp3/3p4/2P3P1/3P4/PPN1PP1P/1RKRBNQB w DBb - 3 9": (35, 941, 33203),
    "nr1rnqbb/ppp1pp1p/3k2p1/3p4/1P5P/3P1N2/P1P1PPP1/NRKR1QBB w DB - 1 9": (25, 758, 18547),
    "bqr1nkr1/pppppp2/2n3p1/7p/1P1b1P2/8/PQP1P1PP/B1RNNKRB w GCgc - 0 9": (23, 788, 21539),
    "qrb2bkr/1pp1pppp/2np1n2/pN6/3P4/4B3/PPP1PPPP/QR2NBKR w HBhb - 0 9": (27, 730, 20534),
    "qrnnbb1Q/ppp1pk1p/3p2p1/5p2/PP6/5P2/2PPP1PP/1RNNBBKR w HB - 0 9": (37, 751, 27902),
    "qr1nkrbb/p2ppppp/1pp5/8/3Pn3/1NP3P1/PP2PP1P/QR1NKRBB w FBfb - 1 9": (19, 505, 11107),
    "1qbbn1kr/1ppppppp/r3n3/8/p1P5/P7/1P1PPPPP/RQBBNNKR w HAh - 1 9": (29, 817, 24530),
    "1qnnbrkb/rppp1ppp/p3p3/8/4P3/2PP1P2/PP4PP/RQNNBKRB w GA - 1 9": (24, 479, 12135),
    "brnq1rkb/1pppppp1/3n3p/p7/8/P4NP1/1PPPPPRP/BRNQ1K1B w B - 0 9": (25, 548, 14049),
    "rnq1bbkr/1p1ppp1p/4n3/p1p3p1/P1PP4/8/RP2PPPP/1NQNBBKR w Hha - 0 9": (29, 709, 21296),
    "1nqnbkrb/1pppp2p/r7/p4pp1/3P4/8/PPPBPPPP/RNQNK1RB w g - 0 9": (27, 1028, 28534),
    "brnbnqkr/p1ppp3/1p5p/5Pp1/5P2/3N4/PPPPP2P/BRNB1QKR w HBhb g6 0 9": (25, 785, 21402),
    "1nbnqbkr/1p1p1ppp/r3p3/p1p5/P3P3/3Q4/1PPP1PPP/RNBN1BKR w HAh - 2 9": (33, 721, 24278),
    "rn1bnqkr/p1ppppp1/8/1p5p/P4P1P/3N4/1PPPP1b1/RNBB1QKR w HAha - 0 9": (27, 752, 21735),
}
SPECS = ("chess", "chess:notation=san", "chess:variant=chess960", "chess:variant=chess960,notation=san")


def at(world, fen: str, i: int = 1) -> State:  # type: ignore[no-untyped-def]
    """The state with this position, some plies into a game of level 6."""
    return world.restore(f"{fen} | {i}/256 - | {STANDARD} 0 -")


def perft(world, state: State, depth: int) -> tuple[int, ...]:  # type: ignore[no-untyped-def]
    """Positions 1, 2, ... `depth` plies on."""
    moves = world.policy(state)
    if depth == 1:
        return (len(moves),)
    below = [perft(world, world.step(state, move), depth - 1) for move in moves]
    return (len(moves), *map(sum, zip(*below, strict=True)))


def walks(world, level: int, games: int) -> Iterator[State]:  # type: ignore[no-untyped-def]
    """States of random games."""
    for seed in range(games):
        rng = np.random.default_rng(seed)
        state = world.start(level, rng)
        while not world.done(state):
            yield state
            moves = list(world.policy(state))
            state = world.step(state, moves[int(rng.random() * len(moves))])


# --- the rules ---


@pytest.mark.parametrize(("fen", "counts"), PERFT.items())
def test_perft_of_the_five_positions(fen: str, counts: tuple[int, ...]) -> None:
    world = load_world("chess")
    assert perft(world, at(world, fen), len(counts)) == counts


@pytest.mark.parametrize(("fen", "counts"), PERFT_960.items())
def test_perft_of_chess960(fen: str, counts: tuple[int, ...]) -> None:
    world = load_world("chess:variant=chess960")
    assert perft(world, at(world, fen), 3) == counts


def test_perft_in_san_counts_the_same() -> None:
    """No two moves are written alike, and none is written so that it cannot be read."""
    world = load_world("chess:notation=san")
    for fen, counts in PERFT.items():
        assert perft(world, at(world, fen), 2) == counts[:2]


@needs_stockfish
@pytest.mark.parametrize("spec", ["chess", "chess:variant=chess960"])
def test_stockfish_counts_as_many_positions(spec: str) -> None:
    """Its own generator of moves, on positions of random games from starts of all kinds."""
    world = load_world(spec)
    engine = stockfish.engine("a test", chess960="960" in spec)
    states = [state for state in walks(world, 5, 16) if state.i % 40 == 20]
    assert len({state.game.number for state in states}) > (9 if "960" in spec else 0)
    for state in states:
        assert engine.perft(world.belief(state), 2) == perft(world, state, 2)[-1]


@pytest.mark.parametrize("spec", SPECS)
def test_moves_and_positions_are_written_as_python_chess_writes_and_reads_them(spec: str) -> None:
    """Every legal move of random games, and the FEN before it; check marks apart."""
    world, seen = load_world(spec), Counter[str]()
    is960, san = world.options.variant == "chess960", world.options.notation == "san"
    for state in list(walks(world, 6, 8))[::4]:
        board = chess.Board(world.belief(state), chess960=is960)
        assert board.fen(shredder=is960, en_passant="fen") == world.belief(state)
        theirs = {board.san(move).rstrip("+#") if san else move.uci() for move in board.legal_moves}
        assert theirs == set(world.legal(state))
        seen.update(kind for text in theirs for kind in ("O-O", "=", "x", "O-O-O") if kind in text)
        for text in world.legal(state)[::5]:
            read = board.parse_san(text) if san else board.parse_uci(text)
            board.push(read)
            after = world.step(state, text)
            assert board.fen(shredder=is960, en_passant="fen") == world.belief(after)
            board.pop()
    assert not san or min(seen.values()) > 0
    assert not san or len(seen) == 4


@pytest.mark.parametrize("tell", ["moves", "fen,every=3", "filler"])
@pytest.mark.parametrize("spec", [f"{s}{'' if ':' in s else ':'}" for s in SPECS])
def test_a_reader_of_the_transcript_alone_finds_the_same_position(spec: str, tell: str) -> None:
    """python-chess plays the moves it finds in the text; where the world tells the position, it is that one."""
    for opponent in ("none", "random"):
        world = load_world(f"{spec},opponent={opponent},tell={tell},opening=5".replace(":,", ":"))
        is960, told = world.options.variant == "chess960", 0
        rng = np.random.default_rng(11)
        state = world.start(3, rng)
        text = world.opening(state)
        while not world.done(state):
            said, moves = world.says(state), list(world.policy(state))
            text += said
            board = played(text, is960)
            assert board.fen(shredder=is960, en_passant="fen") == world.belief(state)
            if world.fixes(state):
                assert f"{{{world.belief(state)}}}\n" in said
                told += 1
            text += (action := moves[int(rng.random() * len(moves))]) + world.end
            state = world.step(state, action)
        turns = 16 if opponent == "random" else 32
        assert told == (-(-turns // 3) if "fen" in tell else 0)


def played(text: str, is960: bool):  # type: ignore[no-untyped-def]
    """The board after the moves of a transcript."""
    board = chess.Board(text[1 : text.index("}")] if is960 else chess.STARTING_FEN, chess960=is960)
    for word in re.sub(r"\{[^}]*\}|[0-9]+\.", "", text).split():
        board.push(board.parse_san(word) if not re.fullmatch("[a-h][1-8][a-h][1-8].?", word) else board.parse_uci(word))
    return board


def test_filler_has_as_many_symbols_as_the_position_and_says_nothing() -> None:
    plain, filled, told = (load_world(f"chess:tell={tell}") for tell in ("moves", "filler", "fen"))
    symbol = re.compile("|".join(map(re.escape, sorted(plain.alphabet, key=len, reverse=True))))
    for state in list(walks(plain, 4, 2))[::5]:
        assert plain.says(state) == ""
        assert set(filled.says(state)) == set("{.}\n")
        assert len(symbol.findall(filled.says(state))) == len(symbol.findall(told.says(state)))
        assert told.fixes(state)
        assert not filled.fixes(state)


@pytest.mark.parametrize(
    ("fen", "over"),
    [
        ("rnb1kbnr/pppp1ppp/8/4p3/6Pq/5P2/PPPPP2P/RNBQKBNR w KQkq - 1 3", True),  # mate
        ("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1", True),  # stalemate
        ("7k/8/6K1/8/8/8/8/6N1 b - - 0 1", True),  # a knight cannot mate
        ("7k/8/6K1/8/8/8/8/6R1 b - - 149 90", False),
        ("7k/8/6K1/8/8/8/8/6R1 b - - 150 90", True),  # 75 moves without progress
    ],
)
def test_a_game_ends_by_the_rules(fen: str, over: bool) -> None:
    world = load_world("chess")
    state = at(world, fen)
    assert world.done(state) == over
    assert (not world.policy(state)) == (not world.legal(state)) == (not world.wrong(state)) == over
    assert not world.done(at(world, START))
    assert world.done(at(world, START, 256))
    assert not world.allows(at(world, START, 256), "e2e4")


def test_a_random_opponent_is_drawn_from_the_start_state() -> None:
    world = load_world("chess:opponent=random,opening=0")
    replies = set()
    for seed in range(40):
        state = world.start(1, np.random.default_rng(seed))
        after = world.step(state, "e2e4")
        assert after == world.step(state, "e2e4")
        assert after.i == 2
        assert after.turn
        replies.add(after.reply)
        assert world.says(after) == f"{after.reply}\n"
    assert len(replies) > 10
    assert replies <= set(load_world("chess").legal(load_world("chess").step(at(world, START), "e2e4")))


def test_openings_and_starts_differ() -> None:
    world = load_world("chess:variant=chess960")
    states = [world.start(1, np.random.default_rng(seed)) for seed in range(50)]
    assert len({state.game.number for state in states}) > 40
    assert len({load_world("chess").start(1, np.random.default_rng(seed)).game.opening for seed in range(50)}) > 45
    assert load_world("chess:opening=7").start(1, np.random.default_rng(0)).turn is False


# --- why a move fails ---

CLOSED = "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2"
CHECKED = "rnb1kbnr/pppp1ppp/8/4p3/4P2q/5P2/PPPP2PP/RNBQKBNR w KQkq - 1 3"
TWO_KNIGHTS = "4k3/8/8/8/8/8/8/1N2KN2 w - - 0 1"
MATED_NEXT = "rnbqkbnr/pppp1ppp/8/4p3/8/5P2/PPPPP1PP/RNBQKBNR w KQkq - 0 2"
LAST_RANK = "4k3/P7/8/8/8/8/7P/4K2R w K - 0 1"


@pytest.mark.parametrize(
    ("fen", "text", "reason"),
    [
        (CLOSED, "g1f3", None),
        (CLOSED, "Nf3", Reason.SYNTAX),
        (CLOSED, "e5e6", Reason.SIDE),
        (CLOSED, "e3e4", Reason.EMPTY),
        (CLOSED, "e1d1", Reason.OWN_PIECE),
        (CLOSED, "b1d2", Reason.OWN_PIECE),
        (CLOSED, "a1a3", Reason.BLOCKED),
        (CLOSED, "e4e5", Reason.BLOCKED),
        (CLOSED, "e4d5", Reason.GEOMETRY),
        (CLOSED, "e4e6", Reason.GEOMETRY),
        (CLOSED, "g1g3", Reason.GEOMETRY),
        (CLOSED, "e1g1", Reason.CASTLING),
        (CLOSED, "g1f3q", Reason.PROMOTION),
        (CHECKED, "b1c3", Reason.CHECK),
        (CHECKED, "e1f2", Reason.CHECK),
        (CHECKED, "e1e2", None),
        (LAST_RANK, "a7a8", Reason.PROMOTION),
        (LAST_RANK, "a7a8n", None),
        (LAST_RANK, "e1g1", None),
        (LAST_RANK, "e1h1", Reason.GEOMETRY),
    ],
)
def test_reasons_in_uci(fen: str, text: str, reason: Reason | None) -> None:
    world = load_world("chess")
    assert world.reason(at(world, fen), text) == reason
    assert world.allows(at(world, fen), text) == (reason is None)


@pytest.mark.parametrize(
    ("fen", "text", "reason"),
    [
        (CLOSED, "Nf3", None),
        (CLOSED, "Nf3!?", None),
        (CLOSED, "knight to f3", Reason.SYNTAX),
        (CLOSED, "Ng1f3", Reason.SPELLING),
        (CLOSED, "g1f3", Reason.EMPTY),  # read as SAN: a pawn of g1
        (CLOSED, "d2d4", Reason.SPELLING),
        (CLOSED, "Nxf3", Reason.SPELLING),
        (CLOSED, "Nf6", Reason.SIDE),
        (CLOSED, "e6", Reason.GEOMETRY),
        (CLOSED, "d6", Reason.SIDE),
        (CLOSED, "Nd2", Reason.OWN_PIECE),
        (CLOSED, "Ra3", Reason.BLOCKED),
        (CLOSED, "e5", Reason.BLOCKED),
        (CLOSED, "exd5", Reason.GEOMETRY),
        (CLOSED, "0-0", Reason.CASTLING),
        (CHECKED, "Nc3", Reason.CHECK),
        (TWO_KNIGHTS, "Nd2", Reason.AMBIGUOUS),
        (TWO_KNIGHTS, "Nbd2", None),
        (TWO_KNIGHTS, "N1d2", Reason.AMBIGUOUS),
        (TWO_KNIGHTS, "Qd1", Reason.EMPTY),
        (LAST_RANK, "a8", Reason.PROMOTION),
        (LAST_RANK, "a8=Q+", None),
        (LAST_RANK, "O-O", None),
    ],
)
def test_reasons_in_san(fen: str, text: str, reason: Reason | None) -> None:
    world = load_world("chess:notation=san")
    assert world.reason(at(world, fen), text) == reason
    action = world.parse(text)
    assert (action is not None and world.allows(at(world, fen), action)) == (reason is None)


@pytest.mark.parametrize("spec", SPECS)
def test_every_tempting_move_has_a_reason_and_no_legal_one_has(spec: str) -> None:
    """And where a king is said to stand in check after the move, python-chess would make it but for that."""
    world, seen = load_world(spec), Counter[Reason]()
    for state in list(walks(world, 6, 3))[::9]:
        assert not any(world.reason(state, text) for text in world.legal(state))
        board = chess.Board(world.belief(state), chess960=world.options.variant == "chess960")
        for text in world.wrong(state):
            reason = world.reason(state, text)
            assert reason is not None
            seen[reason] += 1
            if world.options.notation == "uci":
                move = chess.Move.from_uci(text)
                castles = reason is Reason.CASTLING
                assert castles or board.is_pseudo_legal(move) == (reason is Reason.CHECK)
    assert set(seen) >= {Reason.SIDE, Reason.OWN_PIECE, Reason.BLOCKED, Reason.CHECK, Reason.CASTLING, Reason.GEOMETRY}
    assert Reason.SYNTAX not in seen


def test_deciding_is_told_from_tracking_by_the_position_that_was_written() -> None:
    world = load_world("chess")
    state = at(world, CLOSED)
    moved = CLOSED.replace("PPPP1PPP", "PPP2PPP")  # the mover thinks that its pawn of d2 is gone
    assert world.fault(state, "g1f3", "junk") is None
    assert world.fault(state, "d1d4", CLOSED) is Fault.DECIDING
    assert world.fault(state, "d1d4", CLOSED.replace("0 2", "3 9")) is Fault.DECIDING  # clocks are no position
    assert world.fault(state, "d1d4", moved) is Fault.TRACKING
    assert world.fault(state, "a1a4", moved) is Fault.BOTH
    assert world.fault(state, "no move", moved) is Fault.BOTH
    for belief in ("", "8/8/8/8/8/8/8/8 w - - 0 1", "nothing", CLOSED[:30]):
        assert world.fault(state, "d1d4", belief) is Fault.UNREADABLE


# --- Stockfish ---


@needs_stockfish
def test_stockfish_repeats_itself_in_another_process_and_order() -> None:
    world = load_world("chess")
    fens = [world.belief(state) for state in list(walks(world, 4, 3))[::10]]
    first = stockfish.Engine(stockfish.program() or "", chess960=False)
    again = stockfish.Engine(stockfish.program() or "", chess960=False)
    once = [first.search(fen, 500) for fen in fens]
    assert [again.search(fen, 500) for fen in reversed(fens)][::-1] == once
    assert first.search(fens[0], 500) == once[0]
    assert first.name.startswith("Stockfish")


@needs_stockfish
def test_the_expert_mates_and_takes_and_its_moves_are_legal() -> None:
    for spec in ("chess:expert=stockfish,nodes=2000", "chess:expert=stockfish,notation=san,nodes=2000"):
        world, san = load_world(spec), "san" in spec
        mate = at(world, "6k1/5ppp/8/8/8/8/5PPP/R5K1 w - - 0 1")
        assert world.policy(mate) == {"Ra8" if san else "a1a8": 1.0}
        assert world.done(world.step(mate, "Ra8" if san else "a1a8"))
        assert set(world.wrong(mate)) == set(world.legal(mate)) - set(world.policy(mate))
        hanging = at(world, "4k3/8/8/3q4/8/2N5/8/4K3 w - - 0 1")
        assert world.policy(hanging) == {"Nxd5" if san else "c3d5": 1.0}
        assert re.search(r"-stockfish[0-9.]+n2000-v1", world.name)


@needs_stockfish
def test_a_move_loses_what_it_gives_away() -> None:
    world = load_world("chess")
    hanging = at(world, "4k3/8/8/3q4/8/2N5/8/4K2R w K - 0 1")
    assert world.loss(hanging, "c3d5", 2000) == 0
    assert world.loss(hanging, "h1h2", 2000) > 300
    assert world.loss(hanging, "e1g1", 2000) > 300
    assert math.isnan(world.loss(hanging, "c3c4", 2000))
    assert math.isnan(world.loss(hanging, "junk", 2000))
    mate = at(world, "6k1/5ppp/8/8/8/8/5PPP/R5K1 w - - 0 1")
    assert 0 < world.loss(mate, "a1a7", 2000) <= 2 * stockfish.MATE


@needs_stockfish
def test_stockfish_answers_as_an_opponent() -> None:
    world = load_world("chess:opponent=stockfish,nodes=300,opening=0")
    state = world.start(1, np.random.default_rng(0))
    after = world.step(state, "f2f3")
    assert after.i == 2
    best = load_world("chess:expert=stockfish,nodes=300")
    assert after.reply == next(iter(best.policy(load_world("chess").step(state, "f2f3"))))
    mated = world.step(world.restore(f"{MATED_NEXT} | 2/8 e7e5 | 518 0 -"), "g2g4")
    assert (mated.reply, world.done(mated)) == ("d8h4", True)


@needs_stockfish
def test_an_engine_that_dies_is_one_line_and_is_started_again() -> None:
    first = stockfish.engine("a test", chess960=False)
    os.kill(first._process.pid, signal.SIGKILL)
    with pytest.raises(EngineDied, match="run again"):
        first.search(START, 100)
    assert stockfish.engine("a test", chess960=False).search(START, 100).move


def test_a_program_that_does_not_speak_uci_is_one_line() -> None:
    with pytest.raises(EngineDied, match="fell silent at 'uci'"):
        stockfish.Engine("/bin/true", chess960=False)


@needs_stockfish
def test_another_stockfish_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RollSpec("chess:expert=stockfish,nodes=20", 1, "oracle", items=2, horizon=2)
    table = roll(spec, tmp_path)
    assert roll(spec, tmp_path).equals(table)
    monkeypatch.setattr(stockfish.engine("a test", chess960=False), "name", "Stockfish 99")
    with pytest.raises(OtherIdentity):
        roll(spec, tmp_path)


# --- what is missing ---


def test_a_missing_engine_tells_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stockfish, "PROGRAM", "no-such-engine")
    for spec in ("chess:expert=stockfish", "chess:opponent=stockfish"):
        with pytest.raises(MissingProgram, match="apt-get install -y stockfish"):
            load_world(spec)
    assert names("worlds")["chess"].endswith("no no-such-engine: apt-get install -y stockfish")
    world = load_world("chess")
    with pytest.raises(MissingProgram, match="apt-get install -y stockfish"):
        world.loss(at(world, START), "e2e4")


def test_without_the_extra_the_list_still_tells_levels_licence_and_command() -> None:
    code = """
import sys
sys.modules["chess"] = None
from deadreckon.cli import main
try:
    sys.argv = ["deadreckon", "list", "worlds"]
    main()
except SystemExit as end:
    assert not end.code
sys.argv = ["deadreckon", "roll", "chess", "--model", "oracle", "--out", "never-made"]
main()
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line = next(line for line in told.stdout.splitlines() if line.strip().startswith("chess"))
    for words in ("levels 1-6", "exact: ", "GPL-3.0-or-later", "pip install 'deadreckon[chess]'"):
        assert words in line
    assert "othello" in told.stdout
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert "pip install 'deadreckon[chess]'" in told.stderr


# --- text ---


def test_options_and_notations_that_cannot_be_are_refused() -> None:
    for spec in ("variant=crazyhouse", "notation=iccf", "every=0", "opening=41", "nodes=0", "opponent=me", "k=1"):
        with pytest.raises(BadOption):
            load_world(f"chess:{spec}")
    world = load_world("chess")
    with pytest.raises(IllegalAction, match="own king in check"):
        world.step(at(world, CHECKED), "b1c3")
    with pytest.raises(BadText, match="its opening leads to"):
        world.restore(f"{CLOSED} | 0/8 - | 518 0 e2e4")
    with pytest.raises(BadText, match="is not legal in"):
        world.restore(f"{CLOSED} | 0/8 - | 518 0 e2e5")
    for text in (
        f"{START} | 1/9 - | 518 0 -",  # no level has nine plies
        f"{START} | 9/8 - | 518 0 -",
        f"{START} | 1/8 e2e4 | 518 0 -",  # there is no opponent
        f"{START} | 1/8 - | 17 0 -",  # no Chess960
        f"{START} | 1/8 - | 960 0 -",
        f"{START} | 1/8 - | 518 {2**63} -",
        f"{START.replace('K', 'k')} | 1/8 - | 518 0 -",
        f"{START.replace(' 0 1', ' -1 1')} | 1/8 - | 518 0 -",
    ):
        with pytest.raises(BadText):
            world.restore(text)


def test_san_is_read_with_its_marks_and_other_castling_signs() -> None:
    world = load_world("chess:notation=san")
    for text, action in {"Nf3+": "Nf3", "Qxf7#": "Qxf7", "e4!?": "e4", "0-0": "O-O", "0-0-0+": "O-O-O"}.items():
        assert world.parse(text) == action
    for text in ("", "N", "Nf9", "e4 e5", "1. e4", "O-O-O-O", "e4" + "+" * 40, "Ｎf3"):
        assert world.parse(text) is None
