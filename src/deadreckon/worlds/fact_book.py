"""A book of facts, and the corpus that was written from it: frequencies, copies, false copies, what is knowable.

Object of each fact: uniform among those of its relation. Frequency of fact k, in an order drawn once:

    zipf     p_k ~ rank_k^-shape          pareto     p_k ~ w_k, P(w > x) = x^-shape, x >= 1

The corpus is N = copies * facts documents, each drawn from p on its own. A document is false with probability
`false`: rumours are false first (min(1, 2 false)), records only beyond (max(0, 2 false - 1)); each source writes half.

    monofact rate = facts with one document / N        missing mass = sum of p over facts without a document

The monofact rate is Good and Turing's estimate of the missing mass: both have mean close to sum p (1 - p)^(N - 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import fsum, log, sqrt

import numpy as np
from numpy.typing import NDArray

from deadreckon.errors import BadOption
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.worlds.fact_words import PEOPLE, RELATIONS, objects, sentence

LAWS, WORDINGS, ERRORS, TEXTS = (
    ("zipf", "pareto"),
    ("one", "many"),
    ("noise", "myth"),
    ("whole", "distinct", "upweighted"),
)
UPWEIGHTED, WEIGHT = 20, 10.0  # one document in so many counts so often

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides a book and its corpus, the level apart. BadOption outside the ranges."""

    law: str = "zipf"
    shape: float = 1.0
    copies: int = 4  # documents a fact, the mean
    wording: str = "one"  # one phrase and form, or all
    false: int = 0  # per cent of the documents
    error: str = "noise"  # noise: any false object; myth: a fact's false copies all say the same
    text: str = "whole"  # as drawn; each distinct document once; one document in twenty ten times
    unsure: int = 0  # facts with at most so many documents are written as unknown
    book: int = 0  # another number, another book

    def __post_init__(self) -> None:
        """Check ranges."""
        for name, choices in (("law", LAWS), ("wording", WORDINGS), ("error", ERRORS), ("text", TEXTS)):
            if getattr(self, name) not in choices:
                raise BadOption(f"facts {name}={getattr(self, name)!r}: choose from {', '.join(choices)}")
        if not 0.0 <= self.shape <= 4.0 or (self.law == "pareto" and self.shape < 0.1):
            raise BadOption(f"facts shape={self.shape:g}: give 0 to 4 (pareto: 0.1 to 4)")
        for name, low, high in (("copies", 1, 32), ("false", 0, 80), ("unsure", 0, 9), ("book", 0, 9999)):
            if not low <= getattr(self, name) <= high:
                raise BadOption(f"facts {name}={getattr(self, name)}: give an integer from {low} to {high}")

    @property
    def words(self) -> tuple[int, int]:
        """Phrases of a relation and forms of an object in use."""
        return (3, 2) if self.wording == "many" else (1, 1)

    def falsity(self, source: int | None) -> float:
        """P(a document is false), given its source (0 record, 1 rumour) where that is known."""
        f = self.false / 100
        return f if source is None else max(0.0, 2 * f - 1) if source == 0 else min(1.0, 2 * f)


@dataclass(frozen=True, slots=True)
class Documents:
    """The corpus: (N,) each."""

    fact: Ints
    phrase: Ints
    object: Ints
    form: Ints
    source: Ints  # 0 record, 1 rumour


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """The facts of a level, their frequencies, and the corpus."""

    plan: Plan
    level: int
    truth: Ints  # (F,) object of each fact
    myth: Ints  # (F,) the false object that `error=myth` repeats
    p: Floats  # (F,) frequencies
    corpus: Documents = field(repr=False)
    copies: Ints = field(repr=False)  # (F,) documents about each fact

    @property
    def size(self) -> int:
        """N, the documents."""
        return len(self.corpus.fact)

    def choices(self, fact: int) -> int:
        """Objects that a fact could have."""
        return len(objects(fact % RELATIONS, self.level))

    def text(self, document: int) -> str:
        """A document without its tag."""
        fact = int(self.corpus.fact[document])
        forms = objects(fact % RELATIONS, self.level)[self.corpus.object[document]]
        return sentence(fact, int(self.corpus.phrase[document]), forms[self.corpus.form[document]]) + "."

    def monofact_rate(self) -> float:
        """Documents about a fact that no other document is about, as a share of all: Good and Turing's estimate."""
        return float((self.copies == 1).sum() / self.size)

    def missing_mass(self) -> float:
        """Frequency of the facts that no document is about."""
        return float(self.p[self.copies == 0].sum())

    def expected_monofact_rate(self) -> float:
        """Its mean over corpora of these frequencies: sum p (1 - p)^(N - 1)."""
        return float((self.p * (1 - self.p) ** (self.size - 1)).sum())

    def expected_missing_mass(self) -> float:
        """Its mean over corpora of these frequencies: sum p (1 - p)^N."""
        return float((self.p * (1 - self.p) ** self.size).sum())

    def false_share(self) -> float:
        """False documents, as a share of all."""
        return float(np.mean(self.corpus.object != self.truth[self.corpus.fact]))

    def posterior(self, fact: int, *, tagged: bool) -> Floats:
        """P(object is the truth | the corpus, the rates): (choices,), sums to 1; `tagged`: sources can be read.

        Documents tell of their own fact alone. noise: prod of 1 - f where they agree, f / (m - 1) where not; myth: the
        mean over the other objects as the myth of prod of 1 - f, f and 0.
        """
        m, mine = self.choices(fact), np.flatnonzero(self.corpus.fact == fact)
        said, sources = self.corpus.object[mine], self.corpus.source[mine]
        f = np.array([self.plan.falsity(int(s) if tagged else None) for s in sources])
        with np.errstate(divide="ignore"):
            agree, differ = np.log1p(-f), np.log(f)
        if self.plan.error == "noise":
            hits = said[:, None] == np.arange(m)
            logs = np.where(hits, agree[:, None], differ[:, None] - log(m - 1)).sum(axis=0)
        else:
            logs = _myth(said, agree, differ, m)
        shares = np.exp(logs - logs.max())
        return np.asarray(shares / shares.sum())

    def floor(self, *, tagged: bool = False) -> float:
        """Least error of answering without abstention, questions drawn from p: sum p (1 - max posterior).

        The mean over books with this corpus: on one book a guess may be lucky.
        """
        best = [self.posterior(fact, tagged=tagged).max() for fact in range(len(self.p))]
        return float((self.p * (1 - np.array(best))).sum())

    def slack(self, delta: float = 0.05) -> float:
        """What Kalai and Vempala (2024) take off the monofact rate: false rate >= that - miscalibration - slack.

        With probability 1 - delta: slack = 3 |facts| / (delta |false statements|) + sqrt(6 ln(6 / delta) / N).
        """
        facts = len(self.p)
        false = sum(self.choices(fact) - 1 for fact in range(facts))
        return 3 * facts / (delta * false) + sqrt(6 * log(6 / delta) / self.size)


def _myth(said: Ints, agree: Floats, differ: Floats, m: int) -> Floats:
    """Log of the mean over myths o' of prod of (1 - f)[said = o] + f [said = o'], for each truth o: (m,)."""
    each = np.arange(m)
    logs = np.full((m, m), 0.0)  # truth, myth
    for what, a, d in zip(said, agree, differ, strict=True):
        term = np.full((m, m), -np.inf)
        term[:, each == what] = d
        term[each == what, :] = a
        logs = logs + term
    logs[each, each] = -np.inf
    top = logs.max()
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(logs - top).sum(axis=1)))


@lru_cache(maxsize=64)
def book_of(plan: Plan, level: int) -> Book:
    """The book of that plan and level. Truth depends on level and number alone, frequencies also on their law."""
    facts = PEOPLE[level] * RELATIONS
    rng = generator(plan.book, hash64("facts", level), Purpose.START)
    choices = np.array([len(objects(fact % RELATIONS, level)) for fact in range(facts)])
    truth, myth = (rng.random((2, facts)) * [choices, choices - 1]).astype(np.int64)
    myth = (truth + 1 + myth) % choices
    p = _frequencies(plan, facts, rng.random(facts))
    rates = (plan.copies, plan.false, plan.error, plan.wording)
    drawn = generator(plan.book, hash64("facts corpus", level, plan.law, repr(plan.shape), *rates), Purpose.START)
    u = drawn.random((plan.copies * facts, 6))
    fact = np.minimum(np.searchsorted(np.cumsum(p), u[:, 0], side="right"), facts - 1)
    source = (u[:, 3] >= 0.5).astype(np.int64)
    false = u[:, 4] < np.array([plan.falsity(0), plan.falsity(1)])[source]
    noise = (truth[fact] + 1 + (u[:, 5] * (choices[fact] - 1)).astype(np.int64)) % choices[fact]
    said = np.where(false, myth[fact] if plan.error == "myth" else noise, truth[fact])
    phrases, forms = plan.words
    phrase, form = (u[:, 1] * phrases).astype(np.int64), (u[:, 2] * forms).astype(np.int64)
    corpus = Documents(fact, phrase, said, form, source)
    return Book(plan, level, truth, myth, p, corpus, np.bincount(fact, minlength=facts))


def _frequencies(plan: Plan, facts: int, u: Floats) -> Floats:
    """(F,) p. In Python's floats: the same bits on every machine."""
    if plan.law == "zipf":
        ranks = np.argsort(np.argsort(u)).tolist()
        w = [(1.0 + rank) ** -plan.shape for rank in ranks]
    else:
        w = [(1.0 - x) ** (-1.0 / plan.shape) for x in u.tolist()]
    total = fsum(w)
    return np.array([x / total for x in w])
