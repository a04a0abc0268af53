"""A place in a text of the world `grammar` (brackets, holders, the sentence so far), and what may follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import log
from typing import NamedTuple

import numpy as np

from deadreckon.worlds.grammar_prefix import HOLDER, Prefix, beginning, rest
from deadreckon.worlds.grammar_rules import (
    CLOSERS,
    CLOSES,
    MARK,
    NAMES,
    OPENERS,
    OTHER,
    SCOPES,
    THINGS,
    WORDS,
    Scope,
    between_sentences,
)
from deadreckon.worlds.markov_law import stationary

ABILITIES = ("brackets", "agreement", "entities", "order")
UNKNOWN = "-"
LETTERS = {name[0]: name for name in NAMES}


class Spot(NamedTuple):
    """A place in a text."""

    is_open: str  # brackets, outermost first
    memory: str  # the first letter of each thing's holder, "-" where nobody has been said to hold it
    words: tuple[str, ...]  # of the sentence so far, as written
    prefix: Prefix  # what those words come to


class Choice(NamedTuple):
    """What may be written at a place."""

    law: Mapping[str, float]  # the chance of each right word
    slips: Mapping[str, tuple[str, ...]]  # wrong words by ability


def empty(scope: Scope) -> Spot:
    """Before the first word of a text."""
    return Spot("", UNKNOWN * scope.things, (), beginning(scope))


def _holder(spot: Spot) -> str:
    """The letter of the holder that the next word is to name; "" where it names none."""
    return spot.memory[THINGS.index(spot.words[0])] if HOLDER in spot.prefix.law else ""


def choice(spot: Spot) -> Choice:
    """Right and wrong words here."""
    return _choice(spot.prefix, "" if spot.words else spot.is_open, _holder(spot))


@lru_cache(maxsize=1 << 16)
def _choice(prefix: Prefix, is_open: str, holder: str) -> Choice:
    law = _law(prefix, is_open, holder)
    others = {
        "brackets": [word for word in CLOSERS if is_open],
        "agreement": [word for word in WORDS if prefix.misagrees(word)],
        "entities": [name for name in NAMES[: prefix.scope.things] if holder],
    }
    slips = {ability: tuple(word for word in words if word not in law) for ability, words in others.items()}
    named = {word for words in slips.values() for word in words}
    slips["order"] = tuple(word for word in WORDS if word not in law and word not in named)
    return Choice(law, slips)


def _law(prefix: Prefix, is_open: str, holder: str) -> Mapping[str, float]:
    if prefix is beginning(prefix.scope):
        chances = between_sentences(is_open, prefix.scope)
        sentence = float(chances[""])
        other = {word: float(p) for word, p in chances.items() if word}
        return {word: sentence * p for word, p in prefix.law.items()} | other
    if not holder:
        return prefix.law
    names = NAMES[: prefix.scope.things] if holder == UNKNOWN else (LETTERS[holder],)
    return dict.fromkeys(names, 1 / len(names))


def on(spot: Spot, word: str, *, forgets: bool) -> Spot:
    """The place after a right word; `forgets`: a mark makes every holder unknown."""
    if not spot.words and (word in CLOSES or word in CLOSERS or word == MARK):
        if word == MARK:
            return spot._replace(memory=UNKNOWN * len(spot.memory)) if forgets else spot
        return spot._replace(is_open=spot.is_open + word if word in CLOSES else spot.is_open[:-1])
    return _into(spot, word, spot.prefix.after(HOLDER if HOLDER in spot.prefix.law else word))


def _into(spot: Spot, word: str, prefix: Prefix) -> Spot:
    if prefix.over:
        return Spot(spot.is_open, _remembered(spot), (), beginning(prefix.scope))
    return Spot(spot.is_open, spot.memory, (*spot.words, word), prefix)


def _remembered(spot: Spot) -> str:
    """The memory when a sentence ends: somebody was said to hold a thing, or two have swapped."""
    memory, words = spot.memory, spot.words
    if words[0] in THINGS:
        i = THINGS.index(words[0])
        return memory[:i] + words[2][0] + memory[i + 1 :]
    if words[-1] == "swap":
        one, other = words[0][0], words[2][0]
        return memory.translate({ord(one): other, ord(other): one})
    return memory


def as_written(spot: Spot, word: str, ability: str) -> Spot:
    """The place after a wrong word, carried on from as it is written; a word out of order is passed over."""
    if ability == "brackets":
        return spot._replace(is_open=spot.is_open[:-1])
    if ability == "agreement":
        return _into(spot, word, spot.prefix.written(word))
    return _into(spot, word, spot.prefix.after(HOLDER)) if ability == "entities" else spot


def meant(spot: Spot, word: str, ability: str) -> str:
    """The right word in the place of a wrong one; of several, the likeliest."""
    if ability == "brackets":
        return CLOSES[spot.is_open[-1]]
    if ability == "agreement":
        return OTHER[word]
    law = choice(spot).law
    return max(law, key=lambda right: law[right])


def place(level: int, is_open: str, memory: str, words: Sequence[str], *, erring: bool) -> Spot | None:
    """The place of this notation; None where there is none. `erring`: verbs may be in the wrong number."""
    scope = SCOPES[level]
    known = set(memory) <= {UNKNOWN, *(name[0] for name in NAMES[: scope.things])}
    if len(memory) != scope.things or not known or len(is_open) > scope.brackets or not set(is_open) <= set(OPENERS):
        return None
    spot = Spot(is_open, memory, (), beginning(scope))
    for word in words:
        prefix, holder = spot.prefix, _holder(spot)
        named = bool(holder) and word in (NAMES[: scope.things] if erring or holder == UNKNOWN else (LETTERS[holder],))
        if word in prefix.law or named:
            after = prefix.after(HOLDER if named else word)
        elif erring and prefix.misagrees(word):
            after = prefix.written(word)
        else:
            return None
        spot = Spot(is_open, memory, (*spot.words, word), after)
    return None if spot.prefix.over else spot


def entropy_rate(level: int, *, forgets: bool) -> float:
    """H, nats per word of endless error-free text: mean entropy over mean length of what stands between two sentences.

    A Markov renewal process over (brackets open d, holders known k): each turn is a bracket, a mark or a sentence, and
    H = sum pi E / sum pi L with pi its stationary law, E and L the turn's entropy and words (Cover and Thomas, ch. 4).
    """
    scope = SCOPES[level]
    first, things = beginning(scope), scope.things
    turns = [(d, k) for d in range(scope.brackets + 1) for k in range(things + 1)]
    index = {turn: i for i, turn in enumerate(turns)}
    matrix, entropies, words = np.zeros((len(turns), len(turns))), np.zeros(len(turns)), np.zeros(len(turns))
    further = rest(first)
    begin = -sum(p * log(p) for p in first.law.values())
    told = sum(p for word, p in first.law.items() if word in THINGS)
    for (d, k), i in index.items():
        chances = {what: float(p) for what, p in between_sentences(OPENERS[0] * d, scope).items()}
        law = _law(first, OPENERS[0] * d, "")
        sentence, unknown = chances[""], (things - k) / things
        after = further.entropy - begin + further.holders * unknown * log(things)
        entropies[i] = -sum(p * log(p) for p in law.values()) + sentence * after
        words[i] = 1 + sentence * (further.words - 1)
        matrix[i, index[d, min(k + 1, things)]] += sentence * told * unknown
        matrix[i, i] += sentence * (1 - told * unknown)
        for what, p in chances.items():
            if what:
                to = (d + (what in OPENERS) - (what in CLOSERS), 0 if what == MARK and forgets else k)
                matrix[i, index[to]] += p
    pi = stationary(matrix)
    return float(pi @ entropies / (pi @ words))
