"""Text to symbols and back: greedy longest match over a world's alphabet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256

from deadreckon.contracts import A, S, World
from deadreckon.errors import BadOption, BadText

BEGIN = 0  # the id before every transcript: its text is "", and no model ever emits it


class Tokenizer:
    """The symbols of one alphabet: id 0 begins a transcript, id i > 0 is `alphabet[i - 1]`.

    A symbol may contain others ("d3 " and "d"): the longest that matches is taken, from left to right.
    """

    def __init__(self, alphabet: Sequence[str]):
        """BadOption: a symbol is empty or listed twice."""
        alphabet = self.alphabet = tuple(alphabet)
        if "" in alphabet or len(set(alphabet)) < len(alphabet):
            raise BadOption(f"alphabet {list(alphabet)!r} has an empty or repeated symbol: list each once")
        self.ids = {symbol: i for i, symbol in enumerate(self.alphabet, start=1)}
        longest_first = sorted(self.alphabet, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.DOTALL)

    @property
    def size(self) -> int:
        """Number of ids, the begin symbol included."""
        return len(self.alphabet) + 1

    @property
    def identity(self) -> str:
        """A hash of the alphabet, in order: weights fit a tokenizer only where it is the same."""
        return sha256(json.dumps(self.alphabet).encode()).hexdigest()[:16]

    def encode(self, text: str) -> list[int]:
        """Ids of the text, without the begin symbol. BadText names what no symbol matches."""
        symbols = self._pattern.findall(text)
        if sum(map(len, symbols)) != len(text):
            raise BadText(self._complaint(text))
        ids = self.ids
        return [ids[symbol] for symbol in symbols]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids; begin symbols add nothing. BadText: an id that does not exist."""
        symbols = ("", *self.alphabet)
        try:
            return "".join([symbols[i] for i in ids])
        except IndexError:
            raise BadText(f"an id outside 0..{self.size - 1} has no text: this is another alphabet's") from None

    def _complaint(self, text: str) -> str:
        at = 0
        for match in self._pattern.finditer(text):
            if match.start() > at:
                break
            at = match.end()
        return (
            f"no symbol of the alphabet begins {text[at : at + 12]!r} (at character {at}): write it in the world's text"
        )


def filler_text(world: World[S, A]) -> str:
    """Constant text of exactly `belief_width` symbols: the first of the alphabet, repeated, then `belief_end`."""
    return world.alphabet[0] * (world.belief_width - 1) + world.belief_end
