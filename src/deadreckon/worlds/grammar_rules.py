"""The rules of the world `grammar`: a probabilistic context-free grammar of sentences, and the chances of a document.

A `Part` is a nonterminal with its attributes (number, depth still allowed), a terminal a tuple of words, each equally
likely. Rules have no empty right side, and every part's depth falls from rule to rule: sentences are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

NUMBERS = ("s", "p")  # singular, plural
NOUNS = {"s": ("dog", "cat", "cow", "fox"), "p": ("dogs", "cats", "cows", "foxes")}
ALONE = {"s": ("runs", "sleeps"), "p": ("run", "sleep")}  # verbs without an object
WITH_OBJECT = {"s": ("sees", "likes"), "p": ("see", "like")}
NEAR = ("near", "behind")
NAMES, THINGS = ("ann", "bob", "cy", "dee"), ("key", "cup", "map", "pen")
OPENERS, CLOSERS = ("(", "[", "{"), (")", "]", "}")
CLOSES = dict(zip(OPENERS, CLOSERS, strict=True))
MARK = "#"  # ends a section
SMALL = ("that", "and", "to", "with", "swap", ".")
WORDS = (
    *(word for words in (NOUNS, ALONE, WITH_OBJECT) for number in NUMBERS for word in words[number]),
    *(*NEAR, *SMALL, *NAMES, *THINGS, *OPENERS, *CLOSERS, MARK),
)
OTHER = {  # each verb in the other number
    one: other
    for verbs in (ALONE, WITH_OBJECT)
    for pair in zip(verbs["s"], verbs["p"], strict=True)
    for one, other in (pair, pair[::-1])
}


class Scope(NamedTuple):
    """What a level holds."""

    depth: int  # noun phrases inside noun phrases
    brackets: int  # most open at once
    things: int  # as many as names


SCOPES = {1: Scope(1, 2, 2), 2: Scope(2, 4, 3), 3: Scope(3, 6, 4)}


@dataclass(frozen=True, slots=True)
class Part:
    """A nonterminal; `holder` of a thing is a word that the memory decides."""

    kind: str  # sentence, clause, noun, verb (phrases), one (verb and its object), near, that, fact, rest, swap, holder
    number: str = ""
    depth: int = 0
    about: int = 0  # which thing or name


Symbol = Part | tuple[str, ...]
Rule = tuple[Fraction, tuple[Symbol, ...]]  # chance, right side


def _weighed(*rules: tuple[int, tuple[Symbol, ...]]) -> tuple[Rule, ...]:
    total = sum(weight for weight, _ in rules)
    return tuple((Fraction(weight, total), right) for weight, right in rules)


@lru_cache(maxsize=1024)
def rules(part: Part, scope: Scope) -> tuple[Rule, ...]:
    """The ways to write a part, with their chances. A `holder` has none: it is a terminal."""
    n, d = part.number, part.depth
    if part.kind == "sentence":
        return _weighed((6, (Part("clause"),)), (3, (Part("fact"),)), (1, (Part("swap"),)))
    if part.kind == "clause":
        ways = ((Part("noun", m, scope.depth), Part("verb", m, scope.depth), (".",)) for m in NUMBERS)
        return _weighed(*((1, way) for way in ways))
    if part.kind == "noun":
        word, near, that = NOUNS[n], Part("near", "", d), Part("that", n, d)
        if d == 0:
            return _weighed((1, (word,)))
        return _weighed((5, (word,)), (2, (word, near)), (2, (word, that)), (1, (word, near, that)))
    if part.kind == "near":
        return _weighed(*((1, (NEAR, Part("noun", m, d - 1))) for m in NUMBERS))
    if part.kind == "that":
        return _weighed((1, (("that",), Part("verb", n, d - 1))))
    if part.kind == "verb":
        one = Part("one", n, d)
        return _weighed((4, (one,)), (1, (one, ("and",), one))) if d else _weighed((1, (one,)))
    if part.kind == "one":
        after = (Part("noun", m, max(d - 1, 0)) for m in NUMBERS)
        return _weighed((2, (ALONE[n],)), *((1, (WITH_OBJECT[n], noun)) for noun in after))
    return _about_things(part, scope)


def _about_things(part: Part, scope: Scope) -> tuple[Rule, ...]:
    names, i = NAMES[: scope.things], part.about
    if part.kind == "fact":
        return _weighed(*((1, ((THINGS[k],), Part("rest", about=k))) for k in range(scope.things)))
    if part.kind == "rest":
        return _weighed((1, (("to",), names, (".",))), (1, (("with",), Part("holder", about=i), (".",))))
    if part.kind == "swap":
        others = ((name, tuple(other for other in names if other != name)) for name in names)
        return _weighed(*((1, ((name,), ("and",), other, ("swap",), (".",))) for name, other in others))
    raise AssertionError(f"{part} has no rule")


def between_sentences(is_open: str, scope: Scope) -> Mapping[str, Fraction]:
    """The chances of what comes next outside a sentence, by the brackets open: a sentence, "" (20ths)."""
    most = len(is_open) == scope.brackets
    if not is_open:
        chances = {"": 16, **dict.fromkeys(OPENERS, 1), MARK: 1}
    elif most:
        chances = {"": 14, CLOSES[is_open[-1]]: 6}
    else:
        chances = {"": 12, **dict.fromkeys(OPENERS, 1), CLOSES[is_open[-1]]: 5}
    return {what: Fraction(share, 20) for what, share in chances.items()}
