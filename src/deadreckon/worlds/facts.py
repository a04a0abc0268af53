"""Facts about made-up people: asked for, or told freely; judged by the truth, or by a corpus that was written of it.

The book of facts is one for all items of a level, to be learned by heart from a corpus whose every frequency is known
(fact_book.py). A question is the world's, the object the actor's; it may also decline, which is neither right nor
wrong::

    Ada Adler was born in Belby.              <- form=ask: the world asks, the actor writes "Belby"
    | Ben Berg keeps foxes.                   <- a document that was found for the question (docs)
    Ben Berg keeps unknown.                   <- an abstention

With form=tell (told.py) the actor writes whole statements. A false answer stands, and so the text is no longer that of
an error-free history; with again=yes the world asks the same until the answer is right or is taken back by declining.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import one_of, read_options
from deadreckon.worlds.fact_book import ERRORS, LAWS, TEXTS, WORDINGS, Book, Plan, book_of
from deadreckon.worlds.fact_law import Corpus, Law, Truth, truth_of
from deadreckon.worlds.fact_state import Document, Question, State, read_state, show_state
from deadreckon.worlds.fact_style import DOCS, SIDES, SOURCES, Style, named, source_of
from deadreckon.worlds.fact_words import (
    ABSTAIN,
    ALPHABET,
    OBJECTS,
    PEOPLE,
    RELATION,
    RELATIONS,
    TAGS,
    objects,
    sentence,
)
from deadreckon.worlds.told import Told


def from_options(options: Mapping[str, str]) -> Facts | Told:
    """From a spec's options: form; those of `Plan`; those of `Style`. BadOption otherwise."""
    kinds: dict[str, Callable[[str], Any]] = {
        "law": one_of(*LAWS),
        "shape": float,
        "copies": int,
        "wording": one_of(*WORDINGS),
        "false": int,
        "error": one_of(*ERRORS),
        "text": one_of(*TEXTS),
        "unsure": int,
        "book": int,
    }
    looks: dict[str, Callable[[str], Any]] = {
        "by": one_of(*SIDES),
        "tag": one_of(*SOURCES),
        "docs": one_of(*DOCS),
        "again": one_of("no", "yes"),
        "lines": int,
    }
    given = read_options("facts", options, {"form": one_of("ask", "tell"), **kinds, **looks})
    plan = Plan(**{key: given[key] for key in kinds if key in given})
    style = Style(**{key: given[key] for key in looks if key in given})
    return Told(plan, style) if given.get("form") == "tell" else Facts(plan, style)


class Facts:
    """The world of questions; see the module's text."""

    levels = tuple(PEOPLE)
    alphabet = ALPHABET
    end = "."
    width = 1
    belief_end = ">"
    belief_width = 3

    def __init__(self, plan: Plan | None = None, style: Style | None = None):
        """`plan`: of the book and its corpus; `style`: of the questions."""
        self.plan, self.style = plan or Plan(), style or Style()
        self.name = named("ask", self.plan, self.style)
        self._forms = self.plan.words[1]
        self._texts = {
            text: RELATION[r].objects[number][form % self._forms] for text, (r, number, form) in OBJECTS.items()
        }
        self._texts[ABSTAIN] = ABSTAIN
        self._answers = {level: dict.fromkeys([*_answers(level, self._forms), ABSTAIN]) for level in PEOPLE}
        self._sources: dict[int, Truth | Corpus] = {}  # made when first asked for
        self._wrong: dict[tuple[int, int, int, int], tuple[str, ...]] = {}

    def book(self, level: int) -> Book:
        """The book and its corpus: frequencies, copies, monofact rate, floor. BadOption: no such level."""
        if level not in PEOPLE:
            raise BadOption(f"facts has no level {level}: choose from {', '.join(map(str, PEOPLE))}")
        return book_of(self.plan, level)

    def start(self, level: int, rng: np.random.Generator) -> State:
        """Facts by their frequency, or documents of the corpus, each question on its own."""
        self.book(level)
        draws = rng.random((self.style.lines, 7)).tolist()
        return State(level, tuple(self._question(level, u) for u in draws), 0, True)

    def _source(self, level: int) -> Truth | Corpus:
        if level not in self._sources:
            self._sources[level] = source_of(self.plan, self.style, level)
        return self._sources[level]

    def _question(self, level: int, u: list[float]) -> Question:
        law = self._source(level)
        if isinstance(law, Truth):
            fact, phrase = law.draw(u[0], u[1])
            source = SOURCES.index(self.style.tag) - 1
        else:
            place = law.pick(u[0])
            docs = law.book.corpus
            fact, phrase, source = int(docs.fact[place]), int(docs.phrase[place]), int(law.sources[place])
        return Question(source, fact, phrase, self._document(level, fact, u[2:]))

    def _document(self, level: int, fact: int, u: list[float]) -> Document | None:
        kind = DOCS[int(u[0] * 4)] if self.style.docs == "mixed" else self.style.docs
        if kind == "none":
            return None
        book, truth = self.book(level), truth_of(self.plan, level)
        phrases, forms = self.plan.words
        about = fact
        if kind == "irrelevant":
            about = truth.draw(u[1], 0.0)[0]
            about = (fact + 1) % len(book.p) if about == fact else about
        said = int(book.truth[about])
        if kind == "contradicting":
            m = book.choices(fact)
            said = int(book.myth[fact]) if self.plan.error == "myth" else (said + 1 + int(u[2] * (m - 1))) % m
        return Document(kind, about, int(u[3] * phrases), said, int(u[4] * forms))

    def _law(self, state: State) -> Law:
        asked = state.questions[state.i]
        return self._source(state.level).answer(asked.source, asked.fact, asked.phrase)

    def legal(self, state: State) -> Sequence[str]:
        """Every object of every relation, and declining; none when done."""
        return () if self.done(state) else tuple(self._answers[state.level])

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        return state.i < len(state.questions) and action in self._answers[state.level]

    def step(self, state: State, action: str) -> State:
        """On to the next question; with again=yes, after a false answer, to the same. IllegalAction: not allowed."""
        if not self.allows(state, action):
            left = len(state.questions) - state.i
            raise IllegalAction(f"{action!r} is no answer in {self.show(state)!r}: write an object, {left} are asked")
        fine = action == ABSTAIN or action in self._law(state)
        if self.style.again == "yes":
            return State(state.level, state.questions, state.i + fine, fine)
        return State(state.level, state.questions, state.i + 1, state.clean and fine)

    def done(self, state: State) -> bool:
        """Every question is answered."""
        return state.i == len(state.questions)

    def policy(self, state: State) -> Mapping[str, float]:
        """by=truth: the forms of the true object; by=corpus: what its documents say, as often as they do."""
        return self._law(state)

    def wrong(self, state: State) -> Sequence[str]:
        """Other objects of the relation, in their first form; none when done."""
        if self.done(state):
            return ()
        asked = state.questions[state.i]
        key = (state.level, asked.source, asked.fact, asked.phrase)
        if key not in self._wrong:
            law, texts = self._law(state), objects(asked.fact % RELATIONS, state.level)
            self._wrong[key] = tuple(text for text, _ in texts if text not in law)
        return self._wrong[key]

    def mend(self, state: State) -> str | None:
        """None: a false answer is mended by a right one where the same is asked again."""
        return None

    def true(self, state: State) -> bool:
        """Does no false answer stand?"""
        return state.clean

    def fixes(self, state: State) -> bool:
        """A gold document gives the answer away."""
        document = None if self.done(state) else state.questions[state.i].document
        return document is not None and document.kind == "gold"

    def distance(self, state: State) -> float:
        """Questions left."""
        return float(len(state.questions) - state.i)

    def declines(self, action: str) -> bool:
        """Is it "unknown"? Where the corpus itself says so, that is right by the corpus."""
        return action == ABSTAIN

    def opening(self, state: State) -> str:
        """Nothing: everything is asked line by line."""
        return ""

    def says(self, state: State) -> str:
        """The document, where there is one, and the question: "\\nAda Adler was born in "; "" when done."""
        if self.done(state):
            return ""
        asked = state.questions[state.i]
        tag = TAGS[asked.source] if asked.source >= 0 else ""
        return f"\n{self._found(state.level, asked.document)}{tag}{sentence(asked.fact, asked.phrase, '')}"

    def _found(self, level: int, document: Document | None) -> str:
        if document is None:
            return ""
        _, fact, phrase, number, form = document
        return f"| {sentence(fact, phrase, objects(fact % RELATIONS, level)[number][form])}.\n"

    def belief(self, state: State) -> str:
        """What is asked, in the first phrase of its relation; "" when done."""
        return "" if self.done(state) else sentence(state.questions[state.i].fact, 0, "")

    def show(self, state: State) -> str:
        """Level, answers given, whether no false one stands, questions: "2 3 + 37.0 12.1.r 5.0|gold.5.0.7.0"."""
        return show_state(state)

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        state = read_state(text, self.plan.words)
        again = self.style.again == "yes"
        fresh = state.i > 0 or state.clean or again
        if any((asked.source >= 0) != (self.style.tag != "none") for asked in state.questions):
            raise BadText(f"{text[:200]!r}: with tag={self.style.tag} a question has a source (.r or .u) or none")
        if not fresh or (self.done(state) and not state.clean and again):
            raise BadText(f"{text[:200]!r} cannot be: an error has to have been made, and to be asked for again")
        return state

    def write(self, action: str) -> str:
        """The object."""
        return action

    def parse(self, text: str) -> str | None:
        """An object in any of its forms, written in those that are in use; "unknown"."""
        return self._texts.get(text)

    def rules(self) -> str:
        """The rules in words."""
        found = (
            ""
            if self.style.docs == "none"
            else (
                " A line that begins with | is a document that was found for the question after it; it may be about"
                " something else, or false."
            )
        )
        again = "" if self.style.again == "no" else " After a false answer the same is asked again."
        tag = "" if self.style.tag == "none" else " What a record says is reliable, a rumour may be false."
        return (
            "Statements about people, one a line. Each is begun for you; end it truly with one name or word. Where you"
            f" do not know, write {ABSTAIN}: that is counted neither as right nor as wrong.{found}{again}{tag}"
        )


@lru_cache(maxsize=16)
def _answers(level: int, forms: int) -> tuple[str, ...]:
    return tuple(text for r in range(RELATIONS) for texts in objects(r, level) for text in texts[:forms])
