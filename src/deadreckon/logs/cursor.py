"""Walking JSON: what readers ask of a text, be it in memory or streamed, and the cursor for one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from deadreckon.contracts import Json
from deadreckon.errors import BadLog


class Cursor(Protocol):
    """A place in a JSON text. Every method raises BadLog where the text is not what is asked for.

    `names` and `elements` walk the object or array at the cursor, to its end; between two of their steps the value at
    the cursor may be walked or taken (`value`), and is skipped where it is left alone.
    """

    def kind(self) -> str:
        """The first character of the value at the cursor: `{`, `[`, `"`, or that of a number or word."""
        ...

    def names(self) -> Iterator[str]:
        """The names in the object at the cursor, in order."""
        ...

    def elements(self) -> Iterator[None]:
        """One step for each element of the array at the cursor."""
        ...

    def value(self) -> Json:
        """The value at the cursor, whole. One longer than the cap on lines is refused."""
        ...

    def skip(self) -> None:
        """Passes over the value at the cursor, whatever its size; its inside is not checked."""
        ...

    def whole(self) -> Cursor:
        """A cursor at the same value: a quicker one where it is short enough to be parsed at once."""
        ...

    def bad(self, fact: str) -> BadLog:
        """An error about the cursor's place."""
        ...


class Parsed:
    """A cursor in a value that is in memory. A name that came twice in the text is there once: the last holds."""

    def __init__(self, value: Json, place: str):
        """`place` names the text in errors."""
        self._here, self._place = value, place

    def kind(self) -> str:
        """See `Cursor`."""
        here = self._here
        return (
            "{" if isinstance(here, dict) else "[" if isinstance(here, list) else '"' if isinstance(here, str) else "0"
        )

    def names(self) -> Iterator[str]:
        """See `Cursor`."""
        here = self._here
        if not isinstance(here, dict):
            raise self.bad("'{' should stand here")
        for name, self._here in here.items():
            yield name

    def elements(self) -> Iterator[None]:
        """See `Cursor`."""
        here = self._here
        if not isinstance(here, list):
            raise self.bad("'[' should stand here")
        for self._here in here:
            yield

    def value(self) -> Json:
        """See `Cursor`."""
        return self._here

    def skip(self) -> None:
        """See `Cursor`."""

    def whole(self) -> Cursor:
        """See `Cursor`."""
        return self

    def bad(self, fact: str) -> BadLog:
        """See `Cursor`."""
        return BadLog(f"{self._place}: {fact}: {repr(self._here)[:40]}: mend or recover the log")
