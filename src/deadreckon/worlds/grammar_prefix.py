"""The exact law of the next word of a sentence, by all derivations of what has been written so far.

A `Prefix` is a set of hypotheses, each a stack of what is still to be written (top first) with its chance given the
words so far: the sum over derivations that inside and prefix probabilities stand for (Jelinek and Lafferty 1991;
Stolcke 1995), kept up to date word by word. Chances are fractions, so that equal prefixes are the same object, however
they came about. The grammar has no left recursion and bounded depth: there are finitely many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property
from math import log

from deadreckon.worlds.grammar_rules import OTHER, WORDS, Part, Scope, Symbol, rules

Stack = tuple[Symbol, ...]
Hypotheses = Mapping[Stack, Fraction]

HOLDER = "@"  # the law's word for whoever holds the thing that the sentence speaks of


class Prefix:
    """The beginning of a sentence, as far as it tells how to go on. Equal ones are one object: see `beginning`."""

    def __init__(self, scope: Scope, hypotheses: Hypotheses):
        """`hypotheses` sum to 1; the empty stack alone: the sentence is over."""
        self.scope, self.hypotheses = scope, hypotheses
        self._after: dict[str, Prefix] = {}
        self._written: dict[str, Prefix] = {}

    @cached_property
    def over(self) -> bool:
        """Whether the sentence has ended."""
        return not any(self.hypotheses)

    @cached_property
    def law(self) -> Mapping[str, float]:
        """The chance of each next word; `HOLDER` stands for one name. Empty where the sentence is over."""
        chances: dict[str, Fraction] = {}
        for terminal, _, chance in self._heads():
            for word in (HOLDER,) if isinstance(terminal, Part) else terminal:
                share = chance if isinstance(terminal, Part) else chance / len(terminal)
                chances[word] = chances.get(word, Fraction(0)) + share
        return {word: float(chances[word]) for word in (*WORDS, HOLDER) if word in chances}

    def _heads(self, *, flipped: bool = False) -> Iterator[tuple[Symbol, Stack, Fraction]]:
        """Each first terminal, what is to follow it, and the chance; `flipped`: of verbs in the other number."""
        tops = {} if self.over else dict(self.hypotheses)
        if flipped:
            verbs = {stack: p for stack, p in tops.items() if isinstance(stack[0], Part) and stack[0].kind in _VERBS}
            tops = {(_flip(stack[0]), *stack[1:]): p for stack, p in verbs.items()}
        waiting = list(tops.items())
        while waiting:
            (top, *rest), chance = waiting.pop()
            if isinstance(top, Part) and top.kind != "holder":
                waiting += [((*right, *rest), chance * p) for p, right in rules(top, self.scope)]
            else:
                yield top, tuple(rest), chance

    def after(self, word: str) -> Prefix:
        """The prefix with this word, which the law gives (`HOLDER` for the holder, whoever it is). KeyError."""
        found = self._after.get(word)
        if found is None:
            found = self._after[word] = self._grown(word, flipped=False)
        return found

    def written(self, word: str) -> Prefix:
        """The prefix with this verb in the wrong number, carried on from as it was written. KeyError."""
        found = self._written.get(word)
        if found is None:
            found = self._written[word] = self._grown(word, flipped=True)
        return found

    def misagrees(self, word: str) -> bool:
        """Whether the word is a verb that only its number keeps from standing here."""
        return word not in self.law and OTHER.get(word) in self.law

    def _grown(self, word: str, *, flipped: bool) -> Prefix:
        grown: dict[Stack, Fraction] = {}
        for terminal, rest, chance in self._heads(flipped=flipped):
            if word == HOLDER if isinstance(terminal, Part) else word in terminal:
                share = chance if isinstance(terminal, Part) else chance / len(terminal)
                grown[rest] = grown.get(rest, Fraction(0)) + share
        if not grown:
            raise KeyError(word)
        return _prefix(self.scope, grown)


_VERBS = ("verb", "one")
_known: dict[tuple[Scope, tuple[tuple[Stack, Fraction], ...]], Prefix] = {}


def _flip(top: Symbol) -> Part:
    assert isinstance(top, Part)
    return replace(top, number="s" if top.number == "p" else "p")


def _prefix(scope: Scope, weights: Mapping[Stack, Fraction]) -> Prefix:
    """The one object of these hypotheses, chances made to sum to 1."""
    total = sum(weights.values())
    key = tuple(sorted(((stack, weight / total) for stack, weight in weights.items()), key=lambda pair: repr(pair[0])))
    found = _known.get((scope, key))
    if found is None:
        found = _known[scope, key] = Prefix(scope, dict(key))
    return found


def beginning(scope: Scope) -> Prefix:
    """Before the first word of a sentence."""
    return _prefix(scope, {(Part("sentence"),): Fraction(1)})


@dataclass(frozen=True, slots=True)
class Rest:
    """What is expected of the rest of a sentence."""

    words: float
    entropy: float  # nats, as if every holder were known
    holders: float  # words that name the holder of a thing


@cache
def rest(prefix: Prefix) -> Rest:
    """Mean length and entropy of what follows, by the chain rule over prefixes: each word's entropy given the past."""
    words = entropy = holders = 0.0
    for word, p in prefix.law.items():
        further = rest(prefix.after(word))
        words += p * (1 + further.words)
        entropy += p * (further.entropy - log(p))
        holders += p * (further.holders + (word == HOLDER))
    return Rest(words, entropy, holders)


def prefixes(scope: Scope) -> list[Prefix]:
    """Every prefix that right words lead to, the beginning first."""
    found = {beginning(scope): None}
    waiting = [*found]
    while waiting:
        now = waiting.pop()
        for word in now.law:
            if now.after(word) not in found:
                found[now.after(word)] = None
                waiting.append(now.after(word))
    return list(found)
