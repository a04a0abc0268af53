"""Sources of text: what each regime lets the learner read, and which symbols of it are taught.

A text is a pure function of (seed, index) and a batch of (seed, step): a resumed run reads what it would have read.
Taught are the symbols a model must produce (beliefs and actions, ends included), never the opening or what the
world says. The entropy of the law that each taught action was drawn from is kept: its mean is the floor of the loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, log
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from deadreckon.contracts import A, S, World
from deadreckon.errors import BadOption
from deadreckon.models.tokens import BEGIN, Tokenizer, filler_text
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.train.recipes import Text
from deadreckon.worlds.kinds import SkilledWorld


@dataclass(frozen=True, slots=True)
class Move(Generic[S, A]):
    """One step of a text: the action taken in a state, and how it is taught."""

    state: S
    action: A
    law: Mapping[A, float]  # what the action was drawn from, given that it is not a mistake
    taught: bool
    entropy: float  # nats, of the law that a learner of this text faces here


@dataclass(frozen=True, slots=True)
class Turn:
    """Where one taught turn lies: thought ids[thought:act], action ids[act:end]; and the law of the action's ids."""

    thought: int
    act: int
    end: int
    law: Mapping[tuple[int, ...], float] | None  # None: not asked for


@dataclass(slots=True)
class Lesson:
    """One text as symbols. `taught[i]`: symbol i is one the model must produce."""

    ids: list[int] = field(default_factory=lambda: [BEGIN])
    taught: list[bool] = field(default_factory=lambda: [False])
    entropy: float = 0.0  # nats, summed over the taught actions
    turns: list[Turn] = field(default_factory=list)  # of the taught actions

    def add(self, ids: Sequence[int], *, taught: bool) -> None:
        """Append symbols."""
        self.ids += ids
        self.taught += [taught] * len(ids)


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons padded to one length. ids (B, T); taught (B, T) bool; laws (taught symbols, vocab) or None."""

    ids: NDArray[np.int64]
    taught: NDArray[np.bool_]
    symbols: int  # read, padding apart
    actions: int  # taught
    entropy: float  # nats, summed over the taught actions
    laws: NDArray[np.float32] | None


def entropy(law: Mapping[A, float]) -> float:
    """-sum p ln p, in nats."""
    return -sum(p * log(p) for p in law.values() if p > 0)


def draw(law: Mapping[A, float], u: float) -> A:
    """Inverse CDF in the law's order; u in [0, 1)."""
    left = u * sum(law.values())
    for action, p in law.items():
        last = action
        left -= p
        if left < 0:
            break
    return last


def expert(world: World[S, A], state: S, rng: np.random.Generator, most: int) -> Iterator[Move[S, A]]:
    """At most `most` right actions, each drawn from the policy."""
    for u in rng.random(most).tolist():
        if world.done(state):
            return
        law = world.policy(state)
        action = draw(law, u)
        yield Move(state, action, law, True, entropy(law))
        state = world.step(state, action)


def stumbling(world: World[S, A], state: S, rng: np.random.Generator, most: int, text: Text) -> Iterator[Move[S, A]]:
    """As `expert`, but with chance `text.mistakes` a step is wrong; the step after it sets things right.

    Where `text.mistakes_by` gives the chances by ability, it is that of the ability which the right action tests, and
    the mistake fails the same one.

    Right is the mend where the world has one, else the policy from the actual state. The text of an illegal
    mistake stays, the state does not change. Ends early where a mistake has put the goal out of reach.
    """
    fixing = False
    for u, v in rng.random((most, 2)).tolist():
        if world.done(state) or world.distance(state) == inf:
            return
        law = _right(world, state, fixing=fixing)
        action = draw(law, v)
        p, wrong = (0.0, ()) if fixing else _mistakes(world, state, action, text)
        blurred = law if fixing or text.mask_mistakes else _blurred(world, state, law, text)
        floor = entropy(blurred)
        fixing = bool(wrong) and u < p
        if fixing:
            action = wrong[int((u / p if text.mistakes_by else v) * len(wrong))]
        yield Move(state, action, law, not (fixing and text.mask_mistakes), floor)
        if world.allows(state, action):
            state = world.step(state, action)


def _mistakes(world: World[S, A], state: S, action: A, text: Text) -> tuple[float, Sequence[A]]:
    """The chance of a mistake in the place of this right action, and the mistakes it may be."""
    wrong = world.wrong(state)
    if not text.mistakes_by or not isinstance(world, SkilledWorld):
        return text.mistakes, wrong
    ability = world.ability(state, action)
    return text.mistakes_by.get(ability, text.mistakes), [w for w in wrong if world.ability(state, w) == ability]


def _blurred(world: World[S, A], state: S, law: Mapping[A, float], text: Text) -> Mapping[A, float]:
    """The law of what is written: right actions and the mistakes in their places."""
    blurred: dict[A, float] = {}
    for action, share in law.items():
        p, wrong = _mistakes(world, state, action, text)
        blurred[action] = blurred.get(action, 0.0) + share * (1 - p if wrong else 1)
        for slip in wrong:
            blurred[slip] = blurred.get(slip, 0.0) + share * p / len(wrong)
    return blurred


def _right(world: World[S, A], state: S, *, fixing: bool) -> Mapping[A, float]:
    mend = world.mend(state) if fixing else None
    return world.policy(state) if mend is None else {mend: 1.0}


class Source(Generic[S, A]):
    """The texts of one recipe and seed, over worlds that share an alphabet."""

    def __init__(self, worlds: Sequence[World[S, A]], text: Text, seed: int, context: int, *, laws: bool = False):
        """`laws`: also keep the law of every taught action, as symbols.

        BadOption: the worlds' alphabets differ, or `distilled` meets an action of several symbols."""
        self.worlds, self.text, self.seed, self.context = worlds, text, seed, context
        self.laws = laws or text.distilled
        self.tokens = Tokenizer(worlds[0].alphabet)
        self._encode = lru_cache(maxsize=1 << 14)(self.tokens.encode)  # turns repeat; its lists are not changed
        for world in worlds[1:]:
            if Tokenizer(world.alphabet).identity != self.tokens.identity:
                raise BadOption(f"{worlds[0].name} and {world.name} differ in alphabet: train them apart")
        for world in worlds if text.mistakes_by else ():
            known = world.abilities if isinstance(world, SkilledWorld) else ()
            for ability in text.mistakes_by:
                if ability not in known:
                    raise BadOption(f"mistakes_by {ability!r}: {world.name} has {', '.join(known) or 'no abilities'}")
        if text.distilled and any(world.width > 1 for world in worlds):
            raise BadOption("distilled needs actions of one symbol: leave it off in this world")

    def lesson(self, index: int) -> Lesson:
        """Text number `index`, of world `index` mod their number."""
        world = self.worlds[index % len(self.worlds)]
        item = hash64("lesson", world.name, self.text.level)
        return self.write(world, generator(self.seed, item, Purpose.TEXT, index))

    def write(self, world: World[S, A], rng: np.random.Generator) -> Lesson:
        """One text of this regime in this world, cut at a whole action where the context ends."""
        state = world.start(self.text.level, rng)
        most = min(self.text.actions or self.context, self.context)
        moves = (
            stumbling(world, state, rng, most, self.text)
            if self.text.regime == "repaired"
            else expert(world, state, rng, most)
        )
        lesson = Lesson()
        lesson.add(self.tokens.encode(world.opening(state)), taught=False)
        for move in moves:
            if not self._turn(lesson, world, move):
                break
        return lesson

    def _turn(self, lesson: Lesson, world: World[S, A], move: Move[S, A]) -> bool:
        """Append what is said, believed and done; False, and nothing appended, where the context is full."""
        encode = self._encode
        says = encode(world.says(move.state))
        thought = encode(self._thought(world, move.state))
        act = encode(world.write(move.action) + world.end)
        if len(lesson.ids) + len(says) + len(thought) + len(act) > self.context + 1:
            return False
        lesson.add(says, taught=False)
        at = len(lesson.ids)
        lesson.add(thought, taught=self.text.regime == "stated")
        lesson.add(act, taught=move.taught)
        if move.taught:
            law = {tuple(encode(world.write(a) + world.end)): p for a, p in move.law.items()} if self.laws else None
            lesson.turns.append(Turn(at, at + len(thought), len(lesson.ids), law))
            lesson.entropy += move.entropy
        return True

    def _thought(self, world: World[S, A], state: S) -> str:
        if self.text.regime == "stated":
            return world.belief(state) + world.belief_end
        return filler_text(world) if self.text.regime == "filler" else ""

    def batch(self, step: int, rows: int) -> Batch:
        """The texts of one optimisation step."""
        lessons = [self.lesson(step * rows + row) for row in range(rows)]
        laws = _soft(lessons, self.tokens.size) if self.text.distilled else None
        return collate(lessons, laws)


def _soft(lessons: Sequence[Lesson], vocab: int) -> NDArray[np.float32]:
    """Targets as rows (taught symbols, vocab): the law where an action is, the symbol itself in a thought."""
    rows = []
    for lesson in lessons:
        target = np.zeros((len(lesson.ids), vocab), np.float32)
        target[np.arange(len(lesson.ids)), lesson.ids] = 1
        for turn in lesson.turns:
            target[turn.act] = 0
            for ids, p in (turn.law or {}).items():
                target[turn.act, ids[0]] = p
        rows.append(target[np.array(lesson.taught)])
    return np.concatenate(rows)


def collate(lessons: Sequence[Lesson], laws: NDArray[np.float32] | None = None) -> Batch:
    """Pad lessons with the begin symbol, untaught, to the longest."""
    longest = max(len(lesson.ids) for lesson in lessons)
    ids = np.full((len(lessons), longest), BEGIN, np.int64)
    taught = np.zeros((len(lessons), longest), np.bool_)
    for row, lesson in enumerate(lessons):
        ids[row, : len(lesson.ids)] = lesson.ids
        taught[row, : len(lesson.ids)] = lesson.taught
    symbols = sum(len(lesson.ids) for lesson in lessons)
    actions = sum(len(lesson.turns) for lesson in lessons)
    return Batch(ids, taught, symbols, actions, sum(lesson.entropy for lesson in lessons), laws)
