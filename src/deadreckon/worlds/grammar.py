"""Text of a probabilistic context-free language: brackets, agreement over distance, who holds what.

A transcript is words with a space after each; each word is an action::

    key with ann . ( dogs near cat that sleeps run . [ ann and bob swap . ] key with ~bob . ) # ...

Sentences are clauses (`dogs near cat that sleeps run .`: the verb agrees with its noun), facts (`key to bob .` gives a
thing to somebody, `key with bob .` says who holds it) and swaps. Brackets hold sentences. A mark # ends a section; in
a `modular` document it makes every holder unknown, in a `whole` one it means nothing.

A wrong word is carried on from as it is written: a closing bracket closes, a verb keeps its number to the end of its
phrase, a thing is with whom it was said to be; a word out of order is passed over. The text stays wrong until
``~word`` takes it back to the first slip and puts the right word there; a mark of a modular document ends it too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option
from deadreckon.worlds.grammar_rules import (
    ALONE,
    MARK,
    NAMES,
    NEAR,
    NOUNS,
    SCOPES,
    THINGS,
    WITH_OBJECT,
    WORDS,
)
from deadreckon.worlds.grammar_text import (
    ABILITIES,
    LETTERS,
    UNKNOWN,
    Choice,
    Spot,
    as_written,
    choice,
    empty,
    entropy_rate,
    meant,
    on,
    place,
)

DOCUMENTS = ("whole", "modular")
LENGTH, LONGEST = 64, 1_000_000  # words of an episode
BEFORE = 48  # words of error-free text that a start state comes after
BACK = "~"
_KNOWN = frozenset(WORDS)


class State(NamedTuple):
    """Where the text is as it is written, and where its first slip stands."""

    level: int
    steps: int  # words written
    at: Spot
    back: Spot | None = None  # before the slip; None: the text is right
    slip: str = ""  # the word


class Grammar:
    """The world of a context-free language; see the module's text."""

    levels = tuple(SCOPES)
    abilities = ABILITIES
    alphabet = (*(word + " " for word in WORDS), UNKNOWN + " ", BACK, ">")
    end = " "
    width = 2
    belief_end = ">"
    belief_width = max(scope.brackets + scope.things for scope in SCOPES.values()) + 1

    def __init__(self, document: str = "whole", length: int = LENGTH):
        """`length`: words of an episode. BadOption: no such document or length."""
        if document not in DOCUMENTS:
            raise BadOption(f"grammar document={document!r}: choose from {', '.join(DOCUMENTS)}")
        if not 1 <= length <= LONGEST:
            raise BadOption(f"grammar length={length}: give 1 to {LONGEST} words")
        self.document, self.length, self.forgets = document, length, document == "modular"
        self.name = f"grammar-{document}{f'-length{length}' if length != LENGTH else ''}-v1"

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Grammar:
        """From a spec's options: document, length. BadOption otherwise."""
        known_only("grammar", options, ("document", "length"))
        return cls(
            read_option("grammar", options, "document", one_of(*DOCUMENTS), "whole"),
            read_option("grammar", options, "length", between(1, LONGEST), LENGTH),
        )

    def entropy_rate(self, level: int) -> float:
        """Nats per word of endless error-free text: the floor of a learner's loss. BadOption: no such level."""
        self._empty(level)
        return entropy_rate(level, forgets=self.forgets)

    def _empty(self, level: int) -> Spot:
        if level not in SCOPES:
            raise BadOption(f"grammar has no level {level}: choose from {', '.join(map(str, SCOPES))}")
        return empty(SCOPES[level])

    def start(self, level: int, rng: np.random.Generator) -> State:
        """The place after `BEFORE` words of error-free text."""
        spot = self._empty(level)
        for u in rng.random(BEFORE).tolist():
            law = choice(spot).law
            words, cdf = list(law), np.cumsum([*law.values()])
            drawn = min(int(np.searchsorted(cdf, u, side="right")), len(words) - 1)
            spot = on(spot, words[drawn], forgets=self.forgets)
        return State(level, 0, spot)

    def legal(self, state: State) -> Sequence[str]:
        """Every word; after a slip, every word that may take it back; none when done."""
        if self.done(state):
            return ()
        return WORDS if state.back is None else (*WORDS, *(BACK + word for word in WORDS))

    def allows(self, state: State, action: str) -> bool:
        """As `legal`."""
        known = action in _KNOWN or (state.back is not None and action[:1] == BACK and action[1:] in _KNOWN)
        return known and state.steps < self.length

    def step(self, state: State, action: str) -> State:
        """The text with the word. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            why = "no slip stands" if action[:1] == BACK else f"{self.length - state.steps} words are left"
            raise IllegalAction(f"{action!r} cannot follow in {self.show(state)!r}: {why}; write a word")
        level, steps, at, back, slip = state
        if action[:1] != BACK:
            if action in choice(at).law:
                healed = action == MARK and self.forgets
                spot = on(at, action, forgets=self.forgets)
                return State(level, steps + 1, spot) if healed else State(level, steps + 1, spot, back, slip)
            spot = as_written(at, action, _ability(choice(at), action))
            return State(level, steps + 1, spot, *((at, action) if back is None else (back, slip)))
        assert back is not None
        if action[1:] in choice(back).law:
            return State(level, steps + 1, on(back, action[1:], forgets=self.forgets))
        spot = as_written(back, action[1:], _ability(choice(back), action[1:]))
        return State(level, steps + 1, spot, back, action[1:])

    def done(self, state: State) -> bool:
        """`length` words are written."""
        return state.steps >= self.length

    def policy(self, state: State) -> Mapping[str, float]:
        """The law of the next word, given the text as it is written."""
        return choice(state.at).law

    def wrong(self, state: State) -> Sequence[str]:
        """Words that break a bracket, an agreement or a holder; where none can, words out of order. None when done."""
        if self.done(state):
            return ()
        slips = choice(state.at).slips
        return next(words for words in slips.values() if words)

    def ability(self, state: State, action: str) -> str:
        """What the action puts to the test, right or wrong: one of `abilities`.

        A closing bracket, a verb and a name that the text decides test the first three; all else tests the order.
        """
        spot = state.at if action[:1] != BACK or state.back is None else state.back
        word, found = action.removeprefix(BACK), choice(spot)
        if word not in found.law:
            return _ability(found, word)
        tested = (a for a in ABILITIES[:-1] if any(meant(spot, slip, a) == word for slip in found.slips[a]))
        return next(tested, ABILITIES[-1])

    def mend(self, state: State) -> str | None:
        """Taking back the first slip: the right word in its place; None where none stands, or when done."""
        if self.done(state) or state.back is None:
            return None
        return BACK + meant(state.back, state.slip, _ability(choice(state.back), state.slip))

    def true(self, state: State) -> bool:
        """Does no slip stand?"""
        return state.back is None

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """Words left."""
        return float(self.length - state.steps)

    def opening(self, state: State) -> str:
        """Error-free text that leads here: who holds what, the open brackets, the sentence so far."""
        is_open, memory, words, _ = state.at
        facts = [f"{THINGS[i]} with {LETTERS[who]} ." for i, who in enumerate(memory) if who != UNKNOWN]
        return "".join(part + " " for part in (*facts, *is_open, *words))

    def says(self, state: State) -> str:
        """Nothing."""
        return ""

    def belief(self, state: State) -> str:
        """The open brackets and each thing's holder: "( [ ann - "."""
        return "".join(part + " " for part in (*state.at.is_open, *(LETTERS.get(w, w) for w in state.at.memory)))

    def show(self, state: State) -> str:
        """Level, words written, place; after a slip the word and its place: "1 17 ( ab dogs,runs ~ runs ( ab dogs"."""
        slip = "" if state.back is None else f" ~ {state.slip} {_shown(state.back)}"
        return f"{state.level} {state.steps} {_shown(state.at)}{slip}"

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        spot = r"([(\[{]{1,6}|_) ([abcd-]{2,4}) ([a-z,]{1,400}|_)"
        match = re.fullmatch(rf"([1-3]) (0|[1-9][0-9]{{0,6}}) {spot}(?: ~ (\S{{1,6}}) {spot})?", text)
        state = None if match is None else self._restored(match)
        if state is None:
            example = self.show(State(1, 0, self._empty(1)))
            raise BadText(f"{text!r} is no state of {self.name}: write level, words written, place, as {example!r}")
        return state

    def _restored(self, match: re.Match[str]) -> State | None:
        level, steps, slip = int(match[1]), int(match[2]), match[6]
        at = _spot(level, match.group(3, 4, 5), erring=slip is not None)
        if at is None or steps > self.length:
            return None
        if slip is None:
            return State(level, steps, at)
        back = _spot(level, match.group(7, 8, 9), erring=False)
        standing = back is not None and slip in _KNOWN and slip not in choice(back).law
        return State(level, steps, at, back, slip) if standing and steps > 0 else None

    def write(self, action: str) -> str:
        """The word, after "~" where it takes a slip back."""
        return action

    def parse(self, text: str) -> str | None:
        """A word, or "~" and a word."""
        return text if text.removeprefix(BACK) in _KNOWN else None

    def rules(self) -> str:
        """The rules in words."""
        forgets = " After # nobody is known to hold anything." if self.forgets else ""
        return (
            "A text of an invented language; write its next word. A sentence ends with a full stop. A clause is a noun"
            " phrase and a verb phrase: 'dogs near cat that sleeps run .'. A noun may have 'near' or 'behind' and a"
            " noun phrase after it, then 'that' and a verb phrase. A verb phrase is a verb (one of seeing or liking has"
            " a noun phrase after it), or two of them joined by 'and'. A verb agrees with its noun: dog runs, dogs run."
            " 'key to bob .' gives the key to bob; 'key with bob .' says that bob holds it, which must be true unless"
            " nobody was said to hold it; 'ann and bob swap .' exchanges all that they hold. Between sentences a"
            " bracket ( [ { may open; it holds sentences and is closed by its own kind, the last opened first. Outside"
            f" all brackets # may end a section.{forgets} If a word was wrong, '~' and the right word, '~run', takes"
            " the text back to it and puts the right word there."
        )

    def brief(self, level: int) -> str:
        """The words, and how deep brackets and phrases go at this level. BadOption: no such level."""
        scope = self._empty(level).prefix.scope
        listed = {
            "nouns": (*NOUNS["s"], *NOUNS["p"]),
            "verbs": (*ALONE["s"], *ALONE["p"]),
            "verbs with a noun phrase": (*WITH_OBJECT["s"], *WITH_OBJECT["p"]),
            "between nouns": NEAR,
            "things": THINGS[: scope.things],
            "names": NAMES[: scope.things],
        }
        told = "; ".join(f"{kind}: {', '.join(words)}" for kind, words in listed.items())
        return f"The words: {told}. At most {scope.brackets} brackets are open, phrases stand {scope.depth} deep."


def _ability(found: Choice, word: str) -> str:
    """The ability that a wrong word fails."""
    return next(ability for ability, words in found.slips.items() if word in words)


def _shown(spot: Spot) -> str:
    return f"{spot.is_open or '_'} {spot.memory} {','.join(spot.words) or '_'}"


def _spot(level: int, parts: Sequence[str], *, erring: bool) -> Spot | None:
    is_open, memory, words = parts
    return place(level, is_open.strip("_"), memory, [] if words == "_" else words.split(","), erring=erring)
