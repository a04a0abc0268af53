"""What a trained network does with expert text it has not read: loss, floor and error per step, teacher-forced.

    error(t) = 1 - sum over right actions a of P(a | expert text up to turn t)

so it is what sampling at temperature 1 would get wrong at turn t, exactly. In `stated` and `filler` text the thought
before the action is the right one; how often the stated belief itself would be wrong is given apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deadreckon.contracts import A, S
from deadreckon.models.gpt import GPT
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.train.sources import Lesson, Source, Turn, collate

ROWS = 32  # texts a forward pass
EXAM = 1 << 40  # seed of the held-out texts
TESTS = 1 << 20  # number of the first text that tests use


@dataclass(frozen=True, slots=True)
class Marks:
    """The outcome over the texts of one world. Losses in nats per action, errors as probabilities."""

    world: str
    items: int
    actions: int
    loss: float
    floor: float
    error: float  # mean over actions
    error_by_step: tuple[float, ...]  # nan where no text has that step
    n_by_step: tuple[int, ...]
    belief_error: float  # nan where no belief is written


def held_out(source: Source[S, A], world: int, items: int, first: int = 0) -> list[Lesson]:
    """Held-out texts number `first` ... first + items - 1 of the source's world number `world`."""
    place = source.worlds[world]
    item = hash64("exam", place.name, source.text.level)
    return [source.write(place, generator(EXAM, item, Purpose.TEXT, first + index)) for index in range(items)]


def tests_of(source: Source[S, A]) -> list[list[Lesson]]:
    """Texts of each world for tests while a run goes on: none that a card's figures come from, none that is taught."""
    return [held_out(source, world, ROWS, TESTS) for world in range(len(source.worlds))]


def error_now(network: GPT, texts: Sequence[Sequence[Lesson]]) -> float:
    """Error per turn, the mean over worlds; in `stated` text a turn is also wrong where the belief would be."""
    marks = [examine(network, lessons, "") for lessons in texts]
    return float(np.mean([1 - (1 - mark.error) * (1 - np.nan_to_num(mark.belief_error)) for mark in marks]))


@torch.no_grad()
def examine(network: GPT, lessons: Sequence[Lesson], world: str) -> Marks:
    """Score lessons that keep their laws."""
    rows: list[tuple[int, float, float, float]] = []  # step, loss, error, belief error
    for first in range(0, len(lessons), ROWS):
        part = lessons[first : first + ROWS]
        ids = torch.from_numpy(collate(part).ids)
        logps = network(ids[:, :-1]).log_softmax(-1)  # (rows, T - 1, vocab): of the symbol after each
        for row, lesson in enumerate(part):
            rows += [(t, *_turn(network, logps[row], lesson, turn)) for t, turn in enumerate(lesson.turns)]
    table = np.array(rows)
    step = table[:, 0].astype(np.int64)
    count = np.bincount(step)
    floor = sum(lesson.entropy for lesson in lessons) / len(rows)
    loss, error, belief = table[:, 1:].mean(axis=0).tolist()
    by_step: NDArray[np.float64] = np.bincount(step, table[:, 2]) / count
    return Marks(
        world, len(lessons), len(rows), loss, floor, error, tuple(by_step.tolist()), tuple(count.tolist()), belief
    )


def _turn(network: GPT, logps: Tensor, lesson: Lesson, turn: Turn) -> tuple[float, float, float]:
    """Loss of thought and action where taught, error of the action, error of the belief (nan: none is taught)."""
    thought = _sum(logps, lesson.ids[turn.thought : turn.act], turn.thought)
    act = _sum(logps, lesson.ids[turn.act : turn.end], turn.act)
    law = turn.law or {}
    if len(law) == 1:
        right = float(np.exp(act))
    elif all(len(ids) == 1 for ids in law):
        right = float(logps[turn.act - 1, [ids[0] for ids in law]].exp().sum())
    else:
        right = _branches(network, lesson.ids[: turn.act], list(law))
    stated = turn.act > turn.thought and lesson.taught[turn.thought]
    belief = -float(np.expm1(thought)) if stated else float("nan")
    return -act - (thought if stated else 0.0), max(0.0, 1 - right), belief


def _branches(network: GPT, before: Sequence[int], actions: Sequence[tuple[int, ...]]) -> float:
    """P(one of these actions | the text before): the text is read again with every beginning that they have."""
    begun = {beginning: row for row, beginning in enumerate(dict.fromkeys(ids[:-1] for ids in actions))}
    longest = len(before) + max(map(len, begun))
    rows = np.zeros((len(begun), longest), np.int64)  # padded with the begin symbol, which nothing before it sees
    for beginning, row in begun.items():
        rows[row, : len(before) + len(beginning)] = [*before, *beginning]
    logps = network(torch.from_numpy(rows)).log_softmax(-1)
    sums = [_sum(logps[begun[ids[:-1]]], ids, len(before)) for ids in actions]
    return float(np.exp(sums).sum())


def _sum(logps: Tensor, ids: Sequence[int], at: int) -> float:
    """Log-probability of the symbols that stand at `at` and after."""
    return float(logps[torch.arange(at - 1, at - 1 + len(ids)), list(ids)].sum())
