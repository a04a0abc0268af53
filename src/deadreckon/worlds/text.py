"""Plain text: words of a file, or of a small text that comes with the package. A world without an oracle.

A transcript is words with a space after each; each word is an action. The opening is a piece of the source, from a
uniform place in it, and the actor goes on as it likes: nobody can say which word is right. What is measured on such
text is how the entropy of the actor's law drifts on its own words, and how it repeats itself; nothing is judged.

The source's own next word is what `policy` gives, so that a recipe can imitate it and a run with `teach` can show the
actor the source's contexts instead of its own. White space of the source counts as one blank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from deadreckon.contracts import nan
from deadreckon.errors import BadOption, BadText, IllegalAction
from deadreckon.specs import between, known_only, one_of, read_option

PARTS = ("all", "learn", "exam")
LEARN = 0.8  # share of the words, from the first on, that `part=learn` has
BEFORE = {1: 8, 2: 32, 3: 128}  # words of the opening, by level
LENGTH, LONGEST = 64, 100_000  # words of an episode
LARGEST, SYMBOLS, WIDEST = 16 << 20, 512, 64  # bytes of a file, its different characters, letters of a word
BELIEF_END = "⟩"  # a source without it: nothing is tracked, so a belief is empty


class State(NamedTuple):
    """How many words are written, and at which word of the source the text began."""

    level: int
    begun: int
    steps: int


class Source(NamedTuple):
    """A text as words."""

    words: tuple[str, ...]
    alphabet: tuple[str, ...]  # its characters, the blank among them
    name: str  # of its content


class Text:
    """The world of plain text; see the module's text."""

    end = " "
    belief_end = BELIEF_END
    belief_width = 1
    unjudged = "plain text has no oracle: which words are right is not known"

    def __init__(self, file: str = "", part: str = "all", length: int = LENGTH):
        """`file`: a path, "" the text that comes along. BadOption: unreadable, too short, or no such part or length.

        `part`: the first four fifths of the words, the rest, or all; `length`: words of an episode.
        """
        if part not in PARTS:
            raise BadOption(f"text part={part!r}: choose from {', '.join(PARTS)}")
        if not 1 <= length <= LONGEST:
            raise BadOption(f"text length={length}: give 1 to {LONGEST} words")
        source = _source(file)
        cut = round(LEARN * len(source.words))
        self.words = source.words[{"all": slice(None), "learn": slice(cut), "exam": slice(cut, None)}[part]]
        self.part, self.length, self.alphabet = part, length, (*source.alphabet, BELIEF_END)
        self.levels = tuple(level for level, before in BEFORE.items() if before + length <= len(self.words))
        if not self.levels:
            least = min(BEFORE.values()) + length
            raise BadOption(f"text of {len(self.words)} words: {least} are needed, shorten length={length}")
        self.width = max(map(len, source.words)) + 1
        self._word = re.compile(f"[{re.escape(''.join(source.alphabet).replace(' ', ''))}]{{1,{WIDEST}}}")
        unusual = [f"-{part}"] * (part != "all") + [f"-length{length}"] * (length != LENGTH)
        self.name = f"text-{source.name}{''.join(unusual)}-v1"

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Text:
        """From a spec's options: file, part, length. BadOption otherwise."""
        known_only("text", options, ("file", "part", "length"))
        return cls(
            options.get("file", ""),
            read_option("text", options, "part", one_of(*PARTS), "all"),
            read_option("text", options, "length", between(1, LONGEST), LENGTH),
        )

    def start(self, level: int, rng: np.random.Generator) -> State:
        """A uniform place of the source with enough words before and after it."""
        if level not in self.levels:
            raise BadOption(
                f"{self.name} has no level {level}: choose from {', '.join(map(str, self.levels))}"
                f" ({len(self.words)} words)"
            )
        return State(level, int(rng.integers(BEFORE[level], len(self.words) - self.length + 1)), 0)

    def allows(self, state: State, action: str) -> bool:
        """Any word in the source's characters, until the episode ends."""
        return state.steps < self.length and self._word.fullmatch(action) is not None

    def step(self, state: State, action: str) -> State:
        """One word further. IllegalAction where `allows` is False."""
        if not self.allows(state, action):
            left = self.length - state.steps
            raise IllegalAction(f"{action!r} cannot follow in {self.show(state)!r}: {left} words are left")
        return state._replace(steps=state.steps + 1)

    def done(self, state: State) -> bool:
        """`length` words are written."""
        return state.steps >= self.length

    def policy(self, state: State) -> Mapping[str, float]:
        """The source's own next word at this place, whatever has been written: no verdict on any other."""
        return {self.words[state.begun + state.steps]: 1.0}

    def wrong(self, state: State) -> Sequence[str]:
        """None: no word is known to be wrong."""
        return ()

    def mend(self, state: State) -> str | None:
        """None: there is nothing to mend."""
        return None

    def true(self, state: State) -> bool | None:
        """None: undefined."""
        return None

    def fixes(self, state: State) -> bool:
        """The world tells nothing."""
        return False

    def distance(self, state: State) -> float:
        """nan: the text leads nowhere."""
        return nan

    def opening(self, state: State) -> str:
        """The source's words before the place."""
        return "".join(word + " " for word in self.words[state.begun - BEFORE[state.level] : state.begun])

    def says(self, state: State) -> str:
        """Nothing."""
        return ""

    def belief(self, state: State) -> str:
        """Empty: there is nothing to track."""
        return ""

    def show(self, state: State) -> str:
        """Level, place in the source, words written: "1 307 17"."""
        return " ".join(map(str, state))

    def restore(self, text: str) -> State:
        """Inverse of `show`. BadText where it cannot be read."""
        match = re.fullmatch(r"([1-3]) ([1-9][0-9]{0,7}) (0|[1-9][0-9]{0,5})", text)
        state = State(*map(int, match.groups())) if match else None
        fits = state is not None and state.level in self.levels and state.steps <= self.length
        if state is None or not fits or not BEFORE[state.level] <= state.begun <= len(self.words) - self.length:
            raise BadText(f"{text!r} is no state of {self.name}: write level, place, words written, as '1 8 0'")
        return state

    def write(self, action: str) -> str:
        """The word."""
        return action

    def parse(self, text: str) -> str | None:
        """A word in the source's characters."""
        return text if self._word.fullmatch(text) else None

    def rules(self) -> str:
        """What is asked, and that nothing is judged."""
        return "A piece of plain text. Continue it in the same manner, one word at a time; no word is judged."


@lru_cache(maxsize=8)
def _source(file: str) -> Source:
    """The words of a file, or of the text that comes along. BadOption where it cannot be read as text."""
    try:
        if file and not Path(file).is_file():
            raise BadOption(f"text file={file!r} is no file: give the path of a text file")
        with (Path(file) if file else files("deadreckon.worlds") / "texts" / "passage.txt").open("rb") as stream:
            content = stream.read(LARGEST + 1)
        words = tuple(content.decode().split())
    except OSError as error:
        raise BadOption(f"text file={file!r} cannot be read ({error.strerror}): give the path of a text file") from None
    except UnicodeDecodeError as error:
        raise BadOption(f"text file={file!r} is not UTF-8 (byte {error.start}): convert it first") from None
    if len(content) > LARGEST:
        raise BadOption(f"text file={file!r} has more than {LARGEST:,} bytes: give a part of it")
    alphabet = tuple(sorted({" ", *"".join(words)}))
    odd = [symbol for symbol in alphabet if symbol == BELIEF_END or not symbol.isprintable()]
    if odd or len(alphabet) > SYMBOLS:
        why = f"holds {odd[0]!r}" if odd else f"has {len(alphabet)} different characters, at most {SYMBOLS}"
        raise BadOption(f"text file={file!r} {why}: clean it first")
    widest = max(map(len, words), default=0)
    if widest > WIDEST:
        raise BadOption(f"text file={file!r} has a word of {widest} characters: give at most {WIDEST}")
    return Source(words, alphabet, sha256(" ".join(words).encode()).hexdigest()[:8])
