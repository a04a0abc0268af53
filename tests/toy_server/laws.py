"""Language models whose next-token law is known exactly at every context."""

from __future__ import annotations

import math
import random
import re
import string
import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b, shake_256
from typing import Any, Protocol

from deadreckon.contracts import Privileged, World
from deadreckon.seeds import Purpose, generator, hash64

BEGIN, END, SYSTEM, USER, ASSISTANT = range(5)
SPECIAL = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
LETTERS = (*string.printable[:95], "\n")
PAIRS = ("the ", "and ", "in", "er", "on", "st", "re", "al")
BYTES = 6  # tokens that are pieces of a character: each decodes to U+FFFD alone
GO = "Go on."  # what a user says who has nothing to say
OUTSIDE = 1000  # ids of characters without a token of their own: OUTSIDE + code point

Probs = dict[int, float]  # token id: probability, in the order it is sampled


class Vocabulary:
    """Token ids and their texts."""

    def __init__(self, *, pairs: bool = True):
        """Without `pairs` every token but the special ones is one character."""
        pieces = ("\ufffd",) * BYTES if pairs else ()
        self.texts = (*SPECIAL, *LETTERS, *(PAIRS if pairs else ()), *pieces)
        plain = [t for t in self.texts if t != "\ufffd"]
        self._pattern = re.compile("|".join(map(re.escape, sorted(plain, key=len, reverse=True))) + "|.", re.DOTALL)
        self._ids = {text: i for i, text in enumerate(self.texts) if text != "\ufffd"}

    def encode(self, text: str) -> list[int]:
        """Greedy longest match; a character outside the vocabulary has an id of its own."""
        return [self._ids.get(piece, OUTSIDE + ord(piece[0])) for piece in self._pattern.findall(text)]

    def text(self, token: int) -> str:
        """The text of one token."""
        return chr(token - OUTSIDE) if token >= OUTSIDE else self.texts[token]


class Law(Protocol):
    """A next-token law."""

    vocabulary: Vocabulary
    end: str  # of each of its own answers, where a conversation is read as one text

    def next(self, prompt: str, context: Sequence[int], written: str) -> Probs:
        """Law of the next token: `prompt` is the user's text, `context` all ids so far, `written` its own text."""
        ...


def told(messages: Sequence[Mapping[str, str]], end: str = "") -> str:
    """A conversation as one text: the model's own earlier answers are actions, each ended by `end`."""
    parts = []
    for message in messages:
        text = "" if message["content"] == GO else message["content"]
        parts.append(text + end if message["role"] == "assistant" else text)
    return "".join(parts)


class ToyLaw:
    """softmax of uniform logits that a hash of the whole context draws: nothing can be guessed, all is exact."""

    end = ""

    def __init__(self, seed: int = 0, spread: float = 3.5, *, pairs: bool = True):
        """Logits lie in -spread ... spread; `pairs`: of `Vocabulary`."""
        self.vocabulary, self.seed, self.spread = Vocabulary(pairs=pairs), seed, spread
        self._law = lru_cache(maxsize=20_000)(self._of)

    def next(self, prompt: str, context: Sequence[int], written: str) -> Probs:
        """Depends on `context` alone."""
        return self._law(repr((self.seed, tuple(context))).encode())

    def _of(self, name: bytes) -> Probs:
        count = len(self.vocabulary.texts)
        words = struct.unpack(f"<{count}H", shake_256(name).digest(2 * count))
        weights = {i: math.exp(self.spread * (words[i] / 32767.5 - 1.0)) for i in range(count) if i > ASSISTANT}
        weights[END] = 0.1
        total = sum(weights.values())
        return {i: w / total for i, w in weights.items()}


class WorldLaw:
    """A privileged model that answers prompts: it finds the transcript of a known item in the text and plays on.

    The law over actions becomes a law over characters: P(next | prefix) is the mass of the actions that go on so,
    each ended by the world's `end`. Where the text holds no transcript, it is a toy.
    """

    def __init__(self, world: World[Any, Any], model: Privileged, level: int, items: int, seed: int = 0):
        """Knows the first `items` items of runs of this seed."""
        self.vocabulary, self.world, self.model, self.end = Vocabulary(pairs=False), world, model, world.end
        self._starts: dict[str, Any] = {}
        for item in range(items):
            state = world.start(level, generator(seed, hash64(world.name, level, item), Purpose.START))
            self._starts[world.opening(state)] = state
        self._heads: dict[str, list[str]] = {}
        self._width = min(map(len, self._starts))
        for opening in self._starts:
            self._heads.setdefault(opening[: self._width], []).append(opening)
        self._actions = lru_cache(maxsize=4096)(self._law)
        self._toy = ToyLaw(seed, pairs=False)

    def next(self, prompt: str, context: Sequence[int], written: str) -> Probs:
        """Mass of the actions whose text goes on so."""
        state, begun = self._actions(prompt)
        if state is None:
            return self._toy.next(prompt, context, written)
        begun += written
        mass: dict[str, float] = {}
        for text, p in state.items():
            if p > 0.0 and text.startswith(begun) and len(text) > len(begun):
                mass[text[len(begun)]] = mass.get(text[len(begun)], 0.0) + p
        total = sum(mass.values())
        if not mass:
            return {END: 1.0}
        return {self.vocabulary.encode(char)[0]: p / total for char, p in mass.items()}

    def _law(self, prompt: str) -> tuple[Mapping[str, float] | None, str]:
        found = self._place(prompt)
        if found is None:
            return None, ""
        state, begun = found
        if self.world.done(state):
            return {}, ""
        law = self.model.law(self.world, state)
        return {self.world.write(action) + self.world.end: p for action, p in law.items()}, begun

    def _place(self, prompt: str) -> tuple[Any, str] | None:
        """The state that the last transcript in the text has come to, and the part of an action after it."""
        for at in range(len(prompt) - self._width, -1, -1):
            for opening in self._heads.get(prompt[at : at + self._width], ()):
                if prompt.startswith(opening, at):
                    return self._replay(self._starts[opening], prompt[at + len(opening) :])
        return None

    def _replay(self, state: Any, rest: str) -> tuple[Any, str] | None:
        world = self.world
        while True:
            says = "" if world.done(state) else world.says(state)
            if not rest.startswith(says):
                return None
            text, end, after = rest[len(says) :].partition(world.end)
            if not end:
                return state, text
            action = world.parse(text)
            if action is not None and world.allows(state, action):
                state = world.step(state, action)
            rest = after


def rng_of(*parts: object) -> random.Random:
    """A generator named by its parts."""
    return random.Random(blake2b(repr(parts).encode(), digest_size=16).digest())
