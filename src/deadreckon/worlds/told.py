"""The world `facts` with form=tell: whole statements, told freely, each one action.

    Ada Adler was born in Belby.
    Ben Berg keeps foxes.

by=truth: every true statement is right, with its declared frequency; a false one is a slip. So errors per step are the
false rate of Kalai and Vempala (2024). by=corpus: as often as the corpus says it; a step draws one document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds.fact_book import Book, Plan, book_of
from deadreckon.worlds.fact_law import Corpus, Law, Truth
from deadreckon.worlds.fact_style import SOURCES, Style, named, source_of
from deadreckon.worlds.fact_words import (
    ABSTAIN,
    ALPHABET,
    OBJECTS,
    PEOPLE,
    PERSON,
    PHRASES,
    RELATION,
    RELATIONS,
    TAGS,
    objects,
    sentence,
)


class State(NamedTuple):
    """Before statement i, each under the tag of its source (-1: none); `clean`: no false one stands."""

    level: int
    sources: tuple[int, ...]
    i: int
    clean: bool


class Told:
    """The world of statements; see the module's text."""

    levels = tuple(PEOPLE)
    alphabet = ALPHABET
    end = "."
    width = 3
    belief_end = ">"
    belief_width = 1

    def __init__(self, plan: Plan | None = None, style: Style | None = None):
        """`plan`: of the book and its corpus; `style`: without documents or asking again. BadOption otherwise."""
        self.plan, self.style = plan or Plan(), style or Style()
        if self.style.docs != "none" or self.style.again != "no":
            raise BadOption("facts form=tell asks nothing: drop docs and again, or choose form=ask")
        self.name = named("tell", self.plan, self.style)
        self._sources: dict[int, Truth | Corpus] = {}  # made when first asked for

    def book(self, level: int) -> Book:
        """The book and its corpus: frequencies, copies, monofact rate, floor. BadOption: no such level."""
        if level not in PEOPLE:
            raise BadOption(f"facts has no level {level}: choose from {', '.join(map(str, PEOPLE))}")
        return book_of(self.plan, level)

    def _source(self, level: int) -> Truth | Corpus:
        if level not in self._sources:
            self._sources[level] = source_of(self.plan, self.style, level)
        return self._sources[level]

    def start(self, level: int, rng: np.random.Generator) -> State:
        """The tags: by=corpus, those of documents."""
        self.book(level)
        law = self._source(level)
        if isinstance(law, Truth):
            return State(level, (SOURCES.index(self.style.tag) - 1,) * self.style.lines, 0, True)
        places = [law.pick(u) for u in rng.random(self.style.lines).tolist()]
        return State(level, tuple(int(law.sources[place]) for place in places), 0, True)

    def allows(self, state: State, action: str) -> bool:
        """Any statement about the level's people with an object of its relation, true or not."""
        read = _read(action)
        if read is None or state.i == len(state.sources):
            return False
        fact, _, number, _ = read
        return fact < PEOPLE[state.level] * RELATIONS and (
            number is None or number < len(objects(fact % RELATIONS, state.level))
        )

    def step(self, state: State, action: str) -> State:
        """On to the next statement. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            left = len(state.sources) - state.i
            raise IllegalAction(f"{action!r} is no statement in {self.show(state)!r}: {left} are left")
        fine = self.declines(action) or action in self._law(state)
        return State(state.level, state.sources, state.i + 1, state.clean and fine)

    def done(self, state: State) -> bool:
        """Every statement is made."""
        return state.i == len(state.sources)

    def _law(self, state: State) -> Law:
        return self._source(state.level).statements(state.sources[state.i])

    def policy(self, state: State) -> Mapping[str, float]:
        """by=truth: true statements, by frequency; by=corpus: statements of documents, as often as they are made."""
        return self._law(state)

    def wrong(self, state: State) -> Sequence[str]:
        """One false statement for each fact (by=corpus: one that no document makes); none when done."""
        return () if self.done(state) else _false(self._source(state.level), state.sources[state.i])

    def mend(self, state: State) -> str | None:
        """None: what is said stands."""
        return None

    def true(self, state: State) -> bool:
        """Does no false statement stand?"""
        return state.clean

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Statements left."""
        return float(len(state.sources) - state.i)

    def declines(self, action: str) -> bool:
        """Does the statement end in "unknown"? Where the corpus itself says so, that is right by the corpus."""
        return action.endswith(" " + ABSTAIN)

    def opening(self, state: State) -> str:
        """Nothing."""
        return ""

    def says(self, state: State) -> str:
        """A new line, and the tag of the source; "" when done."""
        if self.done(state):
            return ""
        source = state.sources[state.i]
        return "\n" + (TAGS[source] if source >= 0 else "")

    def belief(self, state: State) -> str:
        """Nothing is tracked."""
        return ""

    def show(self, state: State) -> str:
        """Level, statements made, whether no false one stands, sources: "2 3 + ----rr"."""
        return f"{state.level} {state.i} {'+' if state.clean else 'x'} {''.join('-ru'[s + 1] for s in state.sources)}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([1-3]) (0|[1-9][0-9]{0,2}) ([+x]) ([-ru]{1,256})", text)
        if match is None:
            raise BadText(f"{text[:200]!r} is no state of {self.name}: write level, statements, + or x, sources (---)")
        sources = tuple("-ru".index(letter) - 1 for letter in match[4])
        tagged = self.style.tag != "none"
        if any((source >= 0) != tagged for source in sources):
            raise BadText(f"{text[:200]!r}: with tag={self.style.tag} every source is {'r or u' if tagged else '-'}")
        state = State(int(match[1]), sources, int(match[2]), match[3] == "+")
        if state.i > len(sources) or not (state.i or state.clean):
            raise BadText(f"{text[:200]!r} cannot be: it has {len(sources)} statements, and an error to have been made")
        return state

    def write(self, action: str) -> str:
        """The statement."""
        return action

    def parse(self, text: str) -> str | None:
        """A statement in any phrase and form, written in one that is in use."""
        read = _read(text)
        if read is None:
            return None
        fact, phrase, number, form = read
        phrases, forms = self.plan.words
        said = ABSTAIN if number is None else RELATION[fact % RELATIONS].objects[number][form % forms]
        return sentence(fact, phrase % phrases, said)

    def rules(self) -> str:
        """The rules in words."""
        tag = "" if self.style.tag == "none" else " What a record says is reliable, a rumour may be false."
        return (
            "Statements about people, one a line: where they were born, what they work as, which animals they keep, who"
            f" taught them. Write true ones, such as '{sentence(0, 0, 'Belby')}'. Where you do not know the object,"
            f" write {ABSTAIN} in its place.{tag}"
        )


def fact_of(text: str) -> int | None:
    """Which fact a statement is about; None: it is no statement."""
    read = _read(text)
    return None if read is None else read[0]


@lru_cache(maxsize=1 << 14)
def _read(text: str) -> tuple[int, int, int | None, int] | None:
    """Fact, phrase, object (None: unknown) and form of a statement; None: it is none."""
    name = " ".join(text.split(" ")[:2])
    phrase = next((phrase for phrase in PHRASES if text.startswith(phrase, len(name))), None)
    if name not in PERSON or phrase is None:
        return None
    (relation, which), said = PHRASES[phrase], text[len(name + phrase) :]
    fact = PERSON[name] * RELATIONS + relation
    if said == ABSTAIN:
        return fact, which, None, 0
    of, number, form = OBJECTS.get(said, (-1, 0, 0))
    return (fact, which, number, form) if of == relation else None


@lru_cache(maxsize=64)
def _false(law: Truth | Corpus, source: int) -> tuple[str, ...]:
    """For each fact, the first statement after the true one, round the objects, that the law does not hold."""
    book, held, found = law.book, law.statements(source), []
    for fact, true in enumerate(book.truth.tolist()):
        texts = objects(fact % RELATIONS, book.level)
        tries = (sentence(fact, 0, texts[(true + 1 + k) % len(texts)][0]) for k in range(len(texts) - 1))
        found += [text for text in tries if text not in held][:1]
    return tuple(found)
