"""The dictionary of the world `retrieval_sums`: words and numbers, the plan of turns, the history, their notation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadText
from deadreckon.seeds import Purpose, generator, hash64

WORDS = tuple(
    re.findall(
        "[a-z]{5}",
        "amber apple arrow beach berry bison blaze bloom board brick brook brush cabin canal candy cedar chain chalk"
        " chest cider cliff cloak clock cloud coach coral crane creek crown crumb daisy dough eagle earth ember field"
        " flame flask fleet flint flock flour fruit giant glass globe glove grain grape grass grove hazel heron honey"
        " horse hotel house igloo inlet ivory jewel juice knife latch lemon lilac llama lodge lotus maple marsh medal"
        " melon metal model moose motor mouse music night north novel ocean olive onion opera orbit otter paint panda"
        " paper pearl piano pilot plain plate pouch prism quail quilt radio raven ridge river robin rover salad sheep"
        " shell shirt slate snail spoon squid stone storm sugar table tiger torch tower tulip",
    )
)


class Size(NamedTuple):
    """What a level sets: keys of a dictionary, words they are drawn from, largest number, turns."""

    level: int
    keys: int
    pool: int
    largest: int
    turns: int


SIZES = {1: Size(1, 8, 16, 9, 16), 2: Size(2, 20, 40, 99, 32), 3: Size(3, 100, 120, 99, 100)}
LEVEL_OF = {size.keys: size for size in SIZES.values()}
LARGEST = 999_999  # totals live modulo 2 * this + 1, which no error-free history comes near


def wrap(total: int) -> int:
    """The total within -LARGEST .. LARGEST."""
    return (total + LARGEST) % (2 * LARGEST + 1) - LARGEST


@dataclass(frozen=True, slots=True)
class Task:
    """What does not change in an episode: the dictionary, the keys of each turn, and the history that is shown."""

    words: tuple[str, ...]
    values: tuple[int, ...]
    plan: tuple[tuple[int, ...], ...]  # places in the dictionary, turn by turn
    past: tuple[int, ...]  # totals of the turns before the episode, as they are written, right or not
    size: Size = field(init=False, repr=False, compare=False)
    adds: tuple[int, ...] = field(init=False, repr=False, compare=False)  # sum of each turn's numbers
    totals: tuple[int, ...] = field(init=False, repr=False, compare=False)  # true total before turn i, i = 0 .. n
    said: tuple[str, ...] = field(init=False, repr=False, compare=False)  # the keys of each turn

    def __post_init__(self) -> None:
        """Add everything up."""
        adds = tuple(sum(self.values[key] for key in turn) for turn in self.plan)
        object.__setattr__(self, "size", LEVEL_OF[len(self.words)])
        object.__setattr__(self, "adds", adds)
        object.__setattr__(self, "totals", tuple(accumulate(adds, initial=0)))
        object.__setattr__(self, "said", tuple(" ".join(self.words[key] for key in turn) for turn in self.plan))


class State(NamedTuple):
    """Before turn i of a task, with the total as last written (right or not)."""

    task: Task
    i: int
    total: int


def draw_book(size: Size, rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Words without repeats, and their numbers, uniform."""
    order = np.argsort(rng.random(size.pool))[: size.keys].tolist()
    values = rng.integers(2 * size.largest + 1, size=size.keys) - size.largest
    return tuple(WORDS[place] for place in order), tuple(values.tolist())


@lru_cache(maxsize=len(SIZES))
def fixed_book(size: Size) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The dictionary that all items of a level share where it is fixed."""
    return draw_book(size, generator(0, hash64("retrieval_sums", size.level), Purpose.START))


def draw_task(size: Size, keys: int, past: int, wrong: float, rng: np.random.Generator, *, fixed: bool) -> Task:
    """Keys uniform; a history of `past` turns, each but the last wrong at a rate.

    A wrong total of the history is off by 1 to 99, up or down; the turn after it stands on the truth again.
    """
    words, values = fixed_book(size) if fixed else draw_book(size, rng)
    plan = tuple(map(tuple, rng.integers(size.keys, size=(size.turns, keys)).tolist()))
    totals = Task(words, values, plan, ()).totals
    off = rng.integers(1, 100, size=past) * rng.choice([-1, 1], size=past) * (rng.random(past) < wrong)
    off[past - 1 :] = 0
    return Task(words, values, plan, tuple((np.array(totals[1 : past + 1], np.int64) + off).tolist()))


@lru_cache(maxsize=1 << 14)
def notation(task: Task) -> str:
    """The part of the notation that does not change in an episode."""
    book = ",".join(f"{word}{value:+d}" for word, value in zip(task.words, task.values, strict=True))
    plan = ",".join(".".join(task.words[key] for key in turn) for turn in task.plan)
    return f"{book} {plan} {','.join(map(str, task.past)) or '-'}"


def show_state(state: State) -> str:
    """Dictionary, keys of the turns, history, turns written, total: "amber+4,... amber.brick,... - 3 17"."""
    return f"{notation(state.task)} {state.i} {state.total}"


def read_state(text: str) -> State:
    """Inverse of `show_state`. BadText where it cannot be read."""
    number, turn = "(?:0|-?[1-9][0-9]{0,5})", "(0|[1-9][0-9]?|100)"
    history = f"(-|{number}(?:,{number}){{0,98}})"
    match = re.fullmatch(rf"([a-z0-9+,-]{{1,1200}}) ([a-z.,]{{1,6000}}) {history} {turn} ({number})", text)
    task = _task(match[1], match[2], match[3]) if match else None
    if match is None or task is None:
        raise BadText(f"{text[:200]!r} is no state: write dictionary, turns, history, turns written, total")
    state = State(task, int(match[4]), int(match[5]))
    if not len(task.past) <= state.i <= len(task.plan):
        raise BadText(f"{text[:200]!r}: there are {len(task.plan)} turns, {len(task.past)} of them history")
    if state.i == len(task.past) and state.total != task.totals[state.i]:
        raise BadText(f"{text[:200]!r}: an episode begins at the true total, {task.totals[state.i]}")
    return state


@lru_cache(maxsize=1 << 12)
def _task(book: str, plan: str, past: str) -> Task | None:
    entries = [re.fullmatch(r"([a-z]{5})([+-](?:0|[1-9][0-9]?))", entry) for entry in book.split(",")]
    found = [entry for entry in entries if entry is not None]
    size = LEVEL_OF.get(len(entries))
    words = tuple(entry[1] for entry in found)
    if size is None or len(found) < len(entries) or len({*words}) < len(words):
        return None
    values, turns = tuple(int(entry[2]) for entry in found), [turn.split(".") for turn in plan.split(",")]
    known = {*words} <= {*WORDS[: size.pool]} and max(map(abs, values)) <= size.largest
    even = len(turns) == size.turns and len({len(turn) for turn in turns}) == 1
    if not known or not even or not {key for turn in turns for key in turn} <= {*words}:
        return None
    history = () if past == "-" else tuple(map(int, past.split(",")))
    place = {word: i for i, word in enumerate(words)}
    task = Task(words, values, tuple(tuple(place[key] for key in turn) for turn in turns), history)
    right_end = len(history) < size.turns and (not history or history[-1] == task.totals[len(history)])
    return task if right_end else None
