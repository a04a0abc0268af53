"""Worlds as drawings: every step of a replay as a picture of the state before it, with what was done marked.

A world this page does not know, and a notation that cannot be read, fall back to the notation as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deadreckon.errors import DeadreckonError
from deadreckon.report.draw_arithmetic import ARITHMETIC
from deadreckon.report.draw_causal import EFFECTS, EXPERIMENTS, ROWS
from deadreckon.report.draw_chess import CHESS
from deadreckon.report.draw_facts import FACTS, TOLD
from deadreckon.report.draw_flows import FLOWS
from deadreckon.report.draw_grammar import GRAMMAR
from deadreckon.report.draw_groups import GROUPS
from deadreckon.report.draw_machines import MACHINES, STACKS
from deadreckon.report.draw_maps import MAPS
from deadreckon.report.draw_markov import MARKOV
from deadreckon.report.draw_othello import OTHELLO
from deadreckon.report.draw_proofs import PROOFS, STARS
from deadreckon.report.draw_retrieval import RETRIEVAL
from deadreckon.report.draw_sums import SUMS
from deadreckon.report.draw_text import TEXT
from deadreckon.report.scene import Artist, Drawing, Scene
from deadreckon.report.text import readable
from deadreckon.studies.study import Replay
from deadreckon.worlds import (
    arithmetic,
    causal,
    chess_position,
    derivations,
    dictionary,
    effects,
    experiments,
    fact_state,
    flows,
    grammar,
    groups,
    ledger,
    load_world,
    machines,
    maps,
    markov,
    position,
    stacks,
    stars,
    text,
    told,
)

ARTISTS: Mapping[type, Artist[Any]] = {
    arithmetic.State: ARITHMETIC,
    chess_position.State: CHESS,
    dictionary.State: RETRIEVAL,
    fact_state.State: FACTS,
    causal.State: ROWS,
    effects.State: EFFECTS,
    experiments.State: EXPERIMENTS,
    flows.State: FLOWS,
    grammar.State: GRAMMAR,
    groups.State: GROUPS,
    ledger.State: SUMS,
    machines.State: MACHINES,
    stacks.State: STACKS,
    told.State: TOLD,
    maps.Place: MAPS,
    position.Position: OTHELLO,
    markov.State: MARKOV,
    text.State: TEXT,
    derivations.State: PROOFS,
    stars.State: STARS,
}


@dataclass(frozen=True, slots=True)
class Sketches:
    """A replay as drawings: one a row, and what they share, to be placed in the page once."""

    ground: str
    steps: tuple[Drawing, ...]


def draw_replay(replay: Replay, key: str) -> Sketches:
    """One drawing a row; `key` begins the ids it uses and is unique in the page."""
    texts = Sketches("", tuple(Drawing("", readable(row.state)) for row in replay.rows))
    try:
        world = load_world(replay.world)
        states = [world.restore(row.state) for row in replay.rows]
    except DeadreckonError:
        return texts
    artist = next((found for kind, found in ARTISTS.items() if states and isinstance(states[0], kind)), None)
    if artist is None:
        return texts
    name = f"{key}-ground"
    scenes = [Scene(world, replay.rows, states, i, name) for i in range(len(states))]
    ground = "" if artist.ground is None else artist.ground(states[0]).symbol(name)
    return Sketches(ground, tuple(artist.draw(scene) for scene in scenes))
