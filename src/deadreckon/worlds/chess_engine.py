"""Stockfish over UCI, so that it repeats itself: one thread, a fixed number of nodes, memory cleared before a search.

A program of its own (GPL), never linked: spoken to through pipes. One process a worker, started at the first search.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
import weakref
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from deadreckon.errors import EngineDied, MissingProgram

PROGRAM, INSTALL = "stockfish", "apt-get install -y stockfish"
LICENCE = "GPL-3.0-or-later"
MOST_NODES = 1_000_000
MATE = 1000  # a mate, and any score beyond, counts as this many centipawns
_PATIENCE = 60.0  # seconds for one answer: a search of MOST_NODES takes two or so
_LONGEST = 1 << 20  # bytes of one answer


class Found(NamedTuple):
    """What a search found: the best move in UCI, and its score for the side to move in centipawns, within ±MATE."""

    move: str
    score: int


def program() -> str | None:
    """Where Stockfish is; Debian keeps games off the path of root."""
    return shutil.which(PROGRAM, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/games"]))


class Engine:
    """One Stockfish process."""

    def __init__(self, path: str, *, chess960: bool):
        """Start it. EngineDied: it does not speak UCI."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([path], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0)
        self._close = weakref.finalize(self, _stop, self._process)
        told = self._ask("uci", "uciok")
        self.name = next((line.removeprefix("id name ") for line in told if line.startswith("id name ")), PROGRAM)
        options = {"Threads": "1", "Hash": "1", "UCI_Chess960": "true" if chess960 else "false"}
        self._ask("\n".join(f"setoption name {k} value {v}" for k, v in options.items()) + "\nisready", "readyok")

    def search(self, fen: str, nodes: int, only: Sequence[str] = ()) -> Found:
        """The best move of this many nodes, among `only` where given. EngineDied."""
        self._ask("ucinewgame\nisready", "readyok")
        among = " searchmoves " + " ".join(only) if only else ""
        told = self._ask(f"position fen {fen}\ngo nodes {nodes}{among}", "bestmove")
        scores = [line.split(" score ")[1].split() for line in told if " score " in line]
        exact = [words for words in scores if not {"lowerbound", "upperbound"} & {*words[2:3]}] or scores
        if not exact:
            raise EngineDied(f"{self.name} gives no score of {fen!r}: is the game over there?")
        kind, value = exact[-1][:2]
        score = (MATE if int(value) > 0 else -MATE) if kind == "mate" else max(-MATE, min(MATE, int(value)))
        return Found(told[-1].split()[1], score)

    def perft(self, fen: str, depth: int) -> int:
        """Positions at this depth, counted by its own move generator. EngineDied."""
        told = self._ask(f"position fen {fen}\ngo perft {depth}", "Nodes searched")
        return int(told[-1].rpartition(" ")[2])

    def _ask(self, text: str, last: str) -> list[str]:
        """Its lines, up to the first that begins with `last`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{text}\n".encode("ascii"))
        except OSError:
            raise self._died(text) from None
        return self._lines(text, last)

    def _lines(self, text: str, last: str) -> list[str]:
        assert self._process.stdout is not None
        heard, until = b"", time.monotonic() + _PATIENCE
        while True:
            *lines, _rest = heard.decode("utf-8", "replace").split("\n")
            ends = [i for i, line in enumerate(lines) if line.startswith(last)]
            if ends:
                return lines[: ends[0] + 1]
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            more = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            if not more or len(heard) > _LONGEST:
                raise self._died(text)
            heard += more

    def _died(self, text: str) -> EngineDied:
        self._close()
        _start.cache_clear()
        return EngineDied(f"{PROGRAM} ended or fell silent at {text!r}: run again, what is committed is kept")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()  # it ends where nobody speaks to it
    process.kill()
    process.wait()


@lru_cache(maxsize=4)
def _start(path: str, chess960: bool, _process: int) -> Engine:
    return Engine(path, chess960=chess960)


def engine(what: str, *, chess960: bool) -> Engine:
    """This process's Stockfish. MissingProgram: none is installed, and `what` needs it."""
    path = program()
    if path is None:
        raise MissingProgram(what, PROGRAM, INSTALL)
    return _start(path, chess960, os.getpid())
