"""The grammar against all derivations enumerated, an inside algorithm, readers of its text alone, figures by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from math import log, prod

import numpy as np
import pytest

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.worlds.grammar import Grammar, State
from deadreckon.worlds.grammar_prefix import beginning, prefixes, rest
from deadreckon.worlds.grammar_rules import NAMES, NOUNS, SCOPES, THINGS, WORDS, Part, rules
from deadreckon.worlds.grammar_text import choice, empty, on

CLASSES = {
    "Ns": ("dog", "cat", "cow", "fox"),
    "Np": ("dogs", "cats", "cows", "foxes"),
    "Is": ("runs", "sleeps"),
    "Ip": ("run", "sleep"),
    "Ts": ("sees", "likes"),
    "Tp": ("see", "like"),
    "P": ("near", "behind"),
}
Written = Iterator[tuple[tuple[str, ...], float]]


# --- Every derivation of a clause, written down again from the page's words ---


@cache
def nouns(n: str, d: int) -> list[tuple[tuple[str, ...], float]]:
    word = (f"N{n}",)
    if d == 0:
        return [(word, 1.0)]
    near = [(("P", *w), p / 2) for m in "sp" for w, p in nouns(m, d - 1)]
    that = [(("that", *w), p) for w, p in verbs(n, d - 1)]
    found = [(word, 0.5)] + [(word + w, 0.2 * p) for w, p in near] + [(word + w, 0.2 * p) for w, p in that]
    return found + [(word + v + w, 0.1 * p * q) for v, p in near for w, q in that]


@cache
def verbs(n: str, d: int) -> list[tuple[tuple[str, ...], float]]:
    objects = [(w, p / 2) for m in "sp" for w, p in nouns(m, max(d - 1, 0))]
    one = [((f"I{n}",), 0.5)] + [((f"T{n}", *w), 0.5 * p) for w, p in objects]
    if d == 0:
        return one
    return [(w, 0.8 * p) for w, p in one] + [((*v, "and", *w), 0.2 * p * q) for v, p in one for w, q in one]


def clauses(depth: int) -> Written:
    for n in "sp":
        for v, p in nouns(n, depth):
            for w, q in verbs(n, depth):
                yield (*v, *w, "."), p * q / 2


def at(level: int, words: list[str]) -> State:
    return State(level, 0, _walk(level, words))


def _walk(level: int, words: list[str]):
    spot = empty(SCOPES[level])
    for word in words:
        assert word in choice(spot).law, f"{word} after {spot}"
        spot = on(spot, word, forgets=False)
    return spot


@pytest.mark.parametrize(("level", "every"), [(1, 1), (2, 97)])
def test_the_law_is_that_of_all_derivations_enumerated(level: int, every: int) -> None:
    chance: dict[tuple[str, ...], float] = defaultdict(float)
    for words, p in clauses(SCOPES[level].depth):
        for k in range(1, len(words) + 1):
            chance[words[:k]] += p
    assert chance[("Ns",)] + chance[("Np",)] == pytest.approx(1, abs=1e-12)
    after: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for words in chance:
        after[words[:-1]].add(words[-1])
    world = Grammar()
    for words in sorted(after)[1::every]:
        state = at(level, [CLASSES.get(c, (c,))[len(words) % len(CLASSES.get(c, (c,)))] for c in words])
        expected = {
            word: chance[(*words, c)] / chance[words] / len(CLASSES.get(c, (c,)))
            for c in after[words]
            for word in CLASSES.get(c, (c,))
        }
        assert dict(world.policy(state)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_chance_of_a_sentence_is_the_inside_probability(level: int) -> None:
    """Sum over all derivations of the whole, by spans (Baker 1979): the other way round than word by word."""
    scope, world, rng = SCOPES[level], Grammar(), np.random.default_rng(level)
    sentences = [drawn(world, level, rng) for _ in range(25)]
    for words in [*sentences, ["dogs", "near", "cats", "that", "run", "sleep", "."]]:
        chances, spot = [], empty(scope)
        for word in words:
            chances.append(world.policy(State(level, 0, spot))[word])
            spot = on(spot, word, forgets=False)
        found, derivations = inside(tuple(words), level)
        assert prod(chances) == pytest.approx(0.8 * found, rel=1e-9)  # outside brackets a sentence comes 16 times in 20
    assert derivations == (1 if level == 1 else 2)  # the dogs sleep and the cats run, or both is the dogs'


def drawn(world: Grammar, level: int, rng: np.random.Generator) -> list[str]:
    """A sentence of the world's own."""
    spot, words = empty(SCOPES[level]), []
    while not words or words[-1] != ".":
        law = world.policy(State(level, 0, spot))
        word = str(rng.choice([*law], p=[*law.values()]))
        words += [word] if spot.words or word in beginning(SCOPES[level]).law else []
        spot = on(spot, word, forgets=False) if words else spot
    return words


def inside(words: tuple[str, ...], level: int) -> tuple[float, int]:
    """Chance of the words as a sentence where no holder is known, and how many derivations they have."""
    scope = SCOPES[level]

    @cache
    def part(symbol, i: int, j: int) -> tuple[float, int]:
        if isinstance(symbol, tuple):
            return (1 / len(symbol), 1) if j == i + 1 and words[i] in symbol else (0.0, 0)
        if symbol.kind == "holder":
            return part(NAMES[: scope.things], i, j)
        ways = [(float(p), series(right, i, j)) for p, right in rules(symbol, scope)]
        return sum(p * q for p, (q, _) in ways), sum(count for _, (_, count) in ways)

    @cache
    def series(symbols, i: int, j: int) -> tuple[float, int]:
        if len(symbols) == 1:
            return part(symbols[0], i, j)
        splits = [(part(symbols[0], i, k), series(symbols[1:], k, j)) for k in range(i + 1, j)]
        return sum(a[0] * b[0] for a, b in splits), sum(a[1] * b[1] for a, b in splits)

    return part(Part("sentence"), 0, len(words))


def test_two_readings_of_a_prefix_share_the_law_as_counted_by_hand() -> None:
    """dogs near cat that: of the cat, (0.2 + 0.1) 0.2 = 0.06; of the dogs, 0.1 * 0.5 = 0.05."""
    law = Grammar().policy(at(2, ["dogs", "near", "cat", "that"]))
    singular = sum(p for word, p in law.items() if word in CLASSES["Is"] + CLASSES["Ts"])
    assert singular == pytest.approx(6 / 11, abs=1e-12)
    assert sum(law.values()) - singular == pytest.approx(5 / 11, abs=1e-12)


def test_prefixes_are_few_and_equal_ones_are_one() -> None:
    assert [len(prefixes(scope)) for scope in SCOPES.values()] == [32, 99, 729]
    assert at(2, ["dogs", "near", "cat"]).at.prefix is at(2, ["cows", "behind", "fox"]).at.prefix


# --- Entropy ---


def texts(world: Grammar, level: int, words: int, seed: int = 0) -> Iterator[tuple[State, str]]:
    state = world.start(level, np.random.default_rng(seed))
    for u in np.random.default_rng(seed + 1).random(words).tolist():
        law = world.policy(state)
        word = list(law)[min(int(np.searchsorted(np.cumsum([*law.values()]), u)), len(law) - 1)]
        yield state, word
        state = world.step(state, word)


@pytest.mark.parametrize("document", ["whole", "modular"])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_entropy_rate_is_the_mean_surprise_of_long_text(document: str, level: int) -> None:
    n = 20_000
    world = Grammar(document, length=n)
    surprise = np.array([-log(world.policy(state)[word]) for state, word in texts(world, level, n)])
    blocks = surprise.reshape(100, -1).mean(axis=1)  # 200 words: sentences of one block hang together
    assert abs(blocks.mean() - world.entropy_rate(level)) < 4.5 * blocks.std() / 10


def test_the_entropy_of_a_sentence_is_that_of_all_sentences_enumerated() -> None:
    """Level 1, clauses: -sum p ln p over words, each class of m words adding ln m a word."""
    chance: dict[tuple[str, ...], float] = defaultdict(float)
    for words, p in clauses(1):
        chance[words] += p
    entropy = -sum(p * log(p) for p in chance.values())
    entropy += sum(p * log(len(CLASSES.get(c, (c,)))) for words, p in chance.items() for c in words)
    length = sum(p * len(words) for words, p in chance.items())
    noun = beginning(SCOPES[1]).law
    total = sum(p for word, p in noun.items() if word in NOUNS["s"] + NOUNS["p"])
    found = [(p / total, rest(beginning(SCOPES[1]).after(w))) for w, p in noun.items() if w in NOUNS["s"] + NOUNS["p"]]
    assert sum(p * (r.entropy - log(p)) for p, r in found) == pytest.approx(entropy, abs=1e-9)
    assert sum(p * (1 + r.words) for p, r in found) == pytest.approx(length, abs=1e-9)


# --- Readers of the text alone ---


class Reader:
    """Brackets and holders, from the words alone."""

    def __init__(self, *, forgets: bool):
        self.stack: list[str] = []
        self.holds: dict[str, str] = {}
        self.sentence: list[str] = []
        self.forgets = forgets

    def read(self, word: str) -> None:
        if word in "([{":
            self.stack.append(word)
        elif word in ")]}":
            assert not self.sentence
            assert self.stack.pop() + word in ("()", "[]", "{}")
        elif word == "#":
            assert not self.sentence
            assert not self.stack
            self.holds = {} if self.forgets else self.holds
        elif word == ".":
            self._ends()
        else:
            self.sentence.append(word)

    def _ends(self) -> None:
        match self.sentence:
            case [thing, "with", who]:
                assert self.holds.setdefault(thing, who) == who
            case [thing, "to", who]:
                self.holds[thing] = who
            case [one, "and", other, "swap"]:
                assert one != other
                to = {one: other, other: one}
                self.holds = {thing: to.get(who, who) for thing, who in self.holds.items()}
        self.sentence = []


@pytest.mark.parametrize("document", ["whole", "modular"])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_brackets_match_and_holders_are_those_that_the_text_tells(document: str, level: int) -> None:
    world = Grammar(document, length=3000)
    reader, scope = Reader(forgets=world.forgets), SCOPES[level]
    deepest = 0
    for i, (state, word) in enumerate(texts(world, level, 3000)):
        if i == 0:
            for before in world.opening(state).split():
                reader.read(before)
        assert list(state.at.is_open) == reader.stack
        assert state.at.memory == "".join(reader.holds.get(t, "-")[0] for t in THINGS[: scope.things])
        if reader.sentence[1:] == ["with"]:
            told = reader.holds.get(reader.sentence[0])
            assert set(world.policy(state)) == ({told} if told else set(NAMES[: scope.things]))
        reader.read(word)
        deepest = max(deepest, len(reader.stack))
    assert 2 <= deepest <= scope.brackets


@pytest.mark.parametrize("level", [1, 2, 3])
def test_an_opening_is_text_that_leads_to_its_state(level: int) -> None:
    world = Grammar()
    for state, _ in texts(world, level, 64):
        assert _walk(level, world.opening(state).split()) == state.at


# --- Slips and the way back ---


def written(world: Grammar, level: int, text: str) -> State:
    state = State(level, 0, empty(SCOPES[level]))
    for word in text.split():
        state = world.step(state, word)
    return state


def test_slips_are_carried_on_from_as_written() -> None:
    world = Grammar()
    verb = written(world, 2, "dogs near cat runs")
    assert world.ability(State(2, 3, at(2, ["dogs", "near", "cat"]).at), "runs") == "agreement"
    assert not world.true(verb)
    again = set(world.policy(world.step(verb, "and")))
    assert again == {"runs", "sleeps", "sees", "likes"}
    holder = written(world, 2, "key with ann . key with bob . key with")
    assert dict(world.policy(holder)) == {"bob": 1.0}
    assert not world.true(holder)
    bracket = written(world, 2, "( [ dogs run . )")
    assert bracket.at.is_open == "("
    assert world.mend(bracket) == "~]"
    stray = written(world, 2, "dogs near swap")
    assert stray.at == at(2, ["dogs", "near"]).at
    assert not world.true(stray)


def test_taking_back_returns_to_the_first_slip_whatever_was_written_since() -> None:
    world = Grammar()
    state = written(world, 2, "( dogs runs . [ key to ann . cows sleeps")
    assert world.mend(state) == "~run"
    assert world.step(state, "~run")[2:] == (_walk(2, ["(", "dogs", "run"]), None, "")
    assert world.true(world.step(state, "~sleep"))  # another right word does as well
    wrong = world.step(state, "~sees")
    assert not world.true(wrong)
    assert wrong.at.words == ("dogs", "sees")
    with pytest.raises(IllegalAction, match="no slip stands"):
        world.step(State(2, 0, empty(SCOPES[2])), "~run")


def test_a_mark_ends_a_slip_in_a_modular_document_alone() -> None:
    for document, healed in (("whole", False), ("modular", True)):
        world = Grammar(document)
        state = written(world, 2, "key with ann . dogs runs . #")
        assert world.true(state) is healed
        assert state.at.memory == ("---" if healed else "a--")
        inside = written(world, 2, "dogs runs #")  # out of order: no end of a section
        assert not world.true(inside)


def test_every_ability_is_put_to_the_test_as_often_as_its_words_stand_in_the_text() -> None:
    world, seen = Grammar(length=4000), defaultdict(int)
    for state, word in texts(world, 3, 4000):
        ability = world.ability(state, word)
        seen[ability] += 1
        slips = choice(state.at).slips
        by_eye = "brackets" if word in ")]}" else "agreement" if word in VERBS and slips["agreement"] else "order"
        by_eye = "entities" if state.at.words[1:] == ("with",) and holder(state) != "-" else by_eye
        assert ability == by_eye
    assert min(seen.values()) > 50
    assert set(seen) == set(world.abilities)


VERBS = {word for name in ("Is", "Ip", "Ts", "Tp") for word in CLASSES[name]}


def holder(state: State) -> str:
    return state.at.memory[THINGS.index(state.at.words[0])]


def test_options_and_notations_that_cannot_be_are_refused() -> None:
    for options in ({"document": "book"}, {"length": "0"}, {"words": "3"}):
        with pytest.raises(BadOption):
            Grammar.from_options(options)
    with pytest.raises(BadOption):
        Grammar().entropy_rate(4)
    for text in (
        *("", "1 0 _ -- x", "4 0 _ -- _", "1 65 _ -- _", "1 0 [[[ -- _", "1 0 _ --- _", "1 0 _ cc _", "1 1 _ -- ."),
        *("1 3 _ -- dogs,runs", "1 3 _ a- key,with,bob", "1 3 _ -- _ ~ run _ -- dogs", "1 3 _ -- _ ~ runs _ --"),
        *("1 0 _ -- _ ~ runs _ -- dogs", "1 3 _ -- _ ~ zebra _ -- dogs"),
    ):
        with pytest.raises(BadText):
            Grammar().restore(text)
    assert len(WORDS) == len(set(WORDS))
