"""The options of the world `chess`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.chess_engine import MOST_NODES

MOST_OPENING = 40


@dataclass(frozen=True, slots=True)
class Options:
    """What a spec may say of this world."""

    variant: str = "standard"
    notation: str = "uci"
    tell: str = "moves"
    expert: str = "random"
    opponent: str = "none"
    every: int = 1  # turns from one position that is told to the next
    opening: int = 4  # random legal plies before the start state
    nodes: int = 1000  # of a search


WORDS = {
    "variant": one_of("standard", "chess960"),
    "notation": one_of("uci", "san"),
    "tell": one_of("moves", "fen", "filler"),
    "expert": one_of("random", "stockfish"),
    "opponent": one_of("none", "random", "stockfish"),
}
NUMBERS = {"every": between(1, 100), "opening": between(0, MOST_OPENING), "nodes": between(1, MOST_NODES)}


def read_chess_options(given: Mapping[str, str]) -> Options:
    """From a spec's options. BadOption: one that there is not, or with a value it does not take."""
    known_only("chess", given, [*WORDS, *NUMBERS])
    default = Options()
    words = {key: read_option("chess", given, key, kind, getattr(default, key)) for key, kind in WORDS.items()}
    numbers = {key: read_option("chess", given, key, kind, getattr(default, key)) for key, kind in NUMBERS.items()}
    return Options(
        words["variant"],
        words["notation"],
        words["tell"],
        words["expert"],
        words["opponent"],
        numbers["every"],
        numbers["opening"],
        numbers["nodes"],
    )
