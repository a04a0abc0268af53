"""Every world with a drawing draws each step of a noisy oracle's rollout, with a text twin, and marks the errors."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import pytest

import deadreckon
from deadreckon.contracts import ERRORS
from deadreckon.errors import MissingExtra, MissingProgram
from deadreckon.report.draw import draw_replay
from deadreckon.studies.replays import replays
from deadreckon.worlds import load_world


@pytest.mark.parametrize(
    ("world", "level", "marks"),
    [
        ("chess", 1, ("× illegal: ",)),
        ("chess:variant=chess960,notation=san,tell=fen", 1, ("× illegal: ",)),
        ("chess:expert=stockfish,nodes=100", 1, ("× slip",)),
        ("facts:docs=mixed,again=yes", 1, ("× slip", "gold", "none")),
        ("facts:form=tell", 1, ("× slip",)),
        ("causal", 2, ("× slip", "drives", "only shows")),
        ("causal:task=effect", 3, ("× slip",)),
        ("causal:task=experiment", 3, ("× slip", "goal", "root")),
        ("flows", 2, ("× slip", "→")),
        ("flows:map=lorenz", 2, ("× slip", "→")),
        ("grammar", 3, ("× slip", "the text is wrong since")),
        ("machines", 1, ("× slip", "carried")),
        ("machines:kind=turing", 1, ("× slip", "carried")),
        ("machines:kind=stack", 1, ("× slip",)),
        ("proofs", 3, ("× slip", "not proved", "proved")),
        ("proofs:form=select", 2, ("× slip", "so ", "by ")),
        ("proofs:kind=star", 3, ("× slip", " to ")),
        ("groups", 1, ("× slip", "carried")),
        ("arithmetic:op=div", 6, ("× slip",)),
        ("arithmetic:op=mul", 5, ("× slip",)),
        ("retrieval_sums:keys=2", 1, ("× slip", "carried")),
        ("groups:group=z120,letters=all,every=3", 1, ("× slip", "carried")),
    ],
)
def test_each_step_is_a_picture_and_words_that_show_nothing_of_what_comes_after(
    world: str, level: int, marks: tuple[str, ...]
):
    try:
        load_world(world)
    except (MissingExtra, MissingProgram) as missing:
        pytest.skip(str(missing))
    spec = deadreckon.RollSpec(world, level, "noisy-oracle:slip=0.3,recover=0.2", items=6)
    table = deadreckon.roll(spec)
    drawn = ""
    for replay in replays(table, world, count=2):
        steps = draw_replay(replay, "r").steps
        assert all(ET.fromstring(step.svg).tag.endswith("svg") and step.text for step in steps)
        for k in (1, len(steps) - 1):
            if k:
                assert draw_replay(dataclasses.replace(replay, rows=replay.rows[:k]), "r").steps == steps[:k]
        first = next(i for i, row in enumerate(replay.rows) if row.event in ERRORS)
        assert "× " not in "".join(step.svg for step in steps[:first])
        drawn += "".join(step.svg for step in steps)
    assert all(mark in drawn for mark in marks)
