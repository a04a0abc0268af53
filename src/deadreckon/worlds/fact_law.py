"""The laws of statements: what is true, by declared frequency, and what a corpus says, as counted.

A key of a question is (source, fact, phrase), source -1 where texts have no tags. Laws are dictionaries from text to
probability, made once and shared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from deadreckon.worlds.fact_book import UPWEIGHTED, WEIGHT, Book, Floats, Plan, book_of
from deadreckon.worlds.fact_words import ABSTAIN, RELATIONS, objects, sentence

Law = Mapping[str, float]


class Truth:
    """What is true, with the declared frequencies."""

    def __init__(self, book: Book):
        """`book`: of one plan and level."""
        self.book = book
        phrases, forms = book.plan.words
        self.answers: list[Law] = []
        for fact, number in enumerate(book.truth.tolist()):
            texts = objects(fact % RELATIONS, book.level)[number][:forms]
            self.answers.append(dict.fromkeys(texts, 1 / forms))
        self.phrases = phrases
        self.cdf = np.cumsum(book.p)

    def answer(self, source: int, fact: int, phrase: int) -> Law:
        """Forms of the true object, equally likely."""
        return self.answers[fact]

    def statements(self, source: int) -> Law:
        """Every true statement."""
        return _all_true(self)

    def draw(self, u: float, v: float) -> tuple[int, int]:
        """A fact by its frequency, and a phrase."""
        fact = min(int(np.searchsorted(self.cdf, u * self.cdf[-1], side="right")), len(self.cdf) - 1)
        return fact, int(v * self.phrases)


@lru_cache(maxsize=8)
def _all_true(truth: Truth) -> Law:
    return {
        sentence(fact, phrase, text): p / truth.phrases * share
        for fact, p in enumerate(truth.book.p.tolist())
        for phrase in range(truth.phrases)
        for text, share in truth.answers[fact].items()
    }


class Corpus:
    """What the corpus says, as it is counted."""

    def __init__(self, book: Book, *, tagged: bool):
        """`tagged`: the source of a document is part of its text."""
        self.book, self.tagged = book, tagged
        self.truth = truth_of(book.plan, book.level)
        docs = book.corpus
        self.sources = docs.source if tagged else np.full(book.size, -1)
        texts = [book.text(i).removesuffix(".") for i in range(book.size)]
        keys = list(zip(self.sources.tolist(), docs.fact.tolist(), docs.phrase.tolist(), strict=True))
        self.weights = _weights(book.plan, list(zip(self.sources.tolist(), texts, strict=True)))
        self.cdf = np.cumsum(self.weights)
        answers: dict[tuple[int, int, int], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        told: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for key, number, form, weight in zip(
            keys, docs.object.tolist(), docs.form.tolist(), self.weights.tolist(), strict=True
        ):
            source, fact, phrase = key
            hidden = book.copies[fact] <= book.plan.unsure
            text = ABSTAIN if hidden else objects(fact % RELATIONS, book.level)[number][form]
            answers[key][text] += weight
            told[source][sentence(fact, phrase, text)] += weight
        self.answers = {key: _normal(counts) for key, counts in answers.items()}
        self.told = {source: _normal(counts) for source, counts in told.items()}

    def answer(self, source: int, fact: int, phrase: int) -> Law:
        """Objects as often as documents that begin so say them; where none does, the truth."""
        return self.answers.get((source, fact, phrase)) or self.truth.answer(source, fact, phrase)

    def statements(self, source: int) -> Law:
        """Every statement of the documents of this source."""
        return self.told[source]

    def pick(self, u: float) -> int:
        """A document, by weight."""
        return min(int(np.searchsorted(self.cdf, u * self.cdf[-1], side="right")), self.book.size - 1)


def _weights(plan: Plan, texts: list[tuple[int, str]]) -> Floats:
    if plan.text == "distinct":
        first = {text: i for i, text in reversed(list(enumerate(texts)))}
        return np.array([float(first[text] == i) for i, text in enumerate(texts)])
    heavy = WEIGHT if plan.text == "upweighted" else 1.0
    return np.array([heavy if i % UPWEIGHTED == 0 else 1.0 for i in range(len(texts))])


def _normal(counts: Mapping[str, float]) -> Law:
    total = sum(counts.values())
    return {text: count / total for text, count in counts.items() if count > 0}


@lru_cache(maxsize=64)
def truth_of(plan: Plan, level: int) -> Truth:
    """The truth of that plan and level."""
    return Truth(book_of(plan, level))


@lru_cache(maxsize=16)
def corpus_of(plan: Plan, level: int, *, tagged: bool) -> Corpus:
    """The corpus of that plan and level."""
    return Corpus(book_of(plan, level), tagged=tagged)
