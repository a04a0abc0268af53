"""Formal systems whose truth is computable: one world, one file.

A world is named ``NAME[:key=value,...]``. Packages of others add worlds by an entry point of the group
``deadreckon.worlds`` whose object takes the options, a mapping of strings, and returns the world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from deadreckon.contracts import World
from deadreckon.errors import UnknownName
from deadreckon.specs import parse_spec

GROUP = "deadreckon.worlds"
BUILT_IN = {
    "arithmetic": "deadreckon.worlds.arithmetic:Arithmetic.from_options",
    "chess": "deadreckon.worlds.chess:Chess.from_options",
    "facts": "deadreckon.worlds.facts:from_options",
    "causal": "deadreckon.worlds.causal:from_options",
    "flows": "deadreckon.worlds.flows:Flows.from_options",
    "grammar": "deadreckon.worlds.grammar:Grammar.from_options",
    "groups": "deadreckon.worlds.groups:Groups.from_options",
    "machines": "deadreckon.worlds.machines:from_options",
    "maps": "deadreckon.worlds.maps:Maps.from_options",
    "markov": "deadreckon.worlds.markov:Markov.from_options",
    "othello": "deadreckon.worlds.othello:Othello.from_options",
    "retrieval_sums": "deadreckon.worlds.retrieval_sums:RetrievalSums.from_options",
    "proofs": "deadreckon.worlds.proofs:from_options",
    "sums": "deadreckon.worlds.sums:Sums.from_options",
    "text": "deadreckon.worlds.text:Text.from_options",
}
EXACT = {  # what is exact in a world of ours, for lists
    "arithmetic": "every line, as it follows from what is written and as it truly is; where each error comes from",
    "chess": "the position, every legal move, why any other is none; Stockfish's move at a fixed number of nodes",
    "facts": "truth of every statement, frequencies, copies, monofact rate, what a corpus lets anyone know",
    "causal": "laws of seeing and doing, whether do() follows from what is told, the best experiments and their use",
    "flows": "law of the next cell (logistic r = 4: exact, else counted), measure, support, Lyapunov exponent ln 2",
    "grammar": "law and entropy of the next word, over all derivations; every slip in brackets, agreement, holders",
    "groups": "state and right element of every turn, in S5 and in a commutative twin",
    "machines": "every step of Mealy, Turing and stack machines; which programs are quines",
    "maps": "shortest ways, reachability, every right turn",
    "markov": "the next symbol's law, entropy and divergence rates, stationary law",
    "othello": "the board, every legal move, uniform law over them",
    "retrieval_sums": "every total, as it is carried on and as it truly is; retrieval told from addition",
    "proofs": "shortest proofs from any lines, which lines are proved and by which rule; the one path of a star",
    "sums": "every total, as it is carried on and as it truly is",
    "text": "nothing (plain text has no oracle): entropy and repetition of own text alone",
}
NEEDS = {  # what a world of ours needs beyond the package's own dependencies, with its licence, for lists
    "chess": "python-chess (GPL-3.0-or-later); for expert or opponent stockfish: Stockfish (GPL-3.0-or-later)",
}


def world_names() -> list[str]:
    """Names `load_world` knows, in order: ours and those that installed packages add."""
    return sorted(_found())


def load_world(spec: str) -> World[Any, Any]:
    """The world of this spec ("sums:k=8"). UnknownName, BadOption, MissingExtra, MissingProgram."""
    name, options = parse_spec(spec)
    found = _found()
    if name not in found:
        raise UnknownName("world", name, found)
    make: Callable[[Mapping[str, str]], World[Any, Any]] = found[name].load()
    return make(options)


def _found() -> dict[str, EntryPoint]:
    """Entry points by name; a world of ours cannot be replaced by another package's."""
    ours = {name: EntryPoint(name, value, GROUP) for name, value in BUILT_IN.items()}
    return {point.name: point for point in entry_points(group=GROUP)} | ours
