"""One JSON text of any size, walked piece by piece: only the values that are asked for are ever in memory.

No JSON library streams, knows NaN (which logs hold) and bounds what one value may take: so the extent of each value
is found here, by the brackets outside its strings, and `parse_json` reads the ones that are wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from deadreckon.contracts import Json
from deadreckon.errors import BadLog
from deadreckon.logs.lines import parse_json
from deadreckon.logs.record import Caps

CHUNK = 1 << 18  # bytes read at a time
_SPACE = re.compile(rb"[ \t\r\n]*+")
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"\[\]{}]*+)*+', re.S)  # passes over whole strings
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.S)
_SCALAR = re.compile(rb'[^\[\]{},:" \t\r\n]*+')
_QUOTE = ord('"')
_OPENING, _CLOSING = b"{[", b"}]"


class Pieces:
    """A cursor in a JSON text that comes in chunks. Every method raises BadLog where the text is not JSON.

    `keys` and `elements` walk the object or array at the cursor, to its end; between two of their steps the value at
    the cursor may be walked or taken (`value`), and is skipped where it is left alone.
    """

    def __init__(self, chunks: Iterator[bytes], place: str, caps: Caps):
        """`place` names the text in errors: "run.eval: samples/1_epoch_1.json"."""
        self.place, self.caps = place, caps
        self._chunks = chunks
        self._buffer = bytearray()
        self._at = 0  # the cursor, in the buffer
        self._before = 0  # bytes of the text in front of the buffer
        self._depth = 0
        self._passed = 0  # values taken or skipped: tells whether one was left alone

    def kind(self) -> str:
        """The first character of the value at the cursor: `{`, `[`, `"`, or that of a number or word."""
        return chr(self._next())

    def keys(self) -> Iterator[str]:
        """The keys of the object at the cursor, in order, as often as they come."""
        for _ in self._walk("{"):
            if self._next() != _QUOTE:
                raise self.bad("a key in quotes should stand here")
            end = self._end(keep=True)
            raw = bytes(self._buffer[self._at : end])
            self._at = end
            self._expect(":")
            yield str(parse_json(raw, self.place, self.caps))

    def elements(self) -> Iterator[None]:
        """One step for each element of the array at the cursor."""
        return self._walk("[")

    def value(self) -> Json:
        """The value at the cursor, whole. One longer than the cap on lines is refused."""
        self._next()
        end = self._end(keep=True)
        raw = bytes(self._buffer[self._at : end])
        found = parse_json(raw, self.place, self.caps)
        self._at = end
        self._passed += 1
        return found

    def skip(self) -> None:
        """Passes over the value at the cursor, whatever its size; its inside is not checked."""
        self._next()
        self._at = self._end(keep=False)
        self._passed += 1

    def close(self) -> None:
        """Reads to the end of the text, where nothing but space may follow."""
        while self._at < len(self._buffer) or self._more():
            self._at = self._after_space()
            if self._at < len(self._buffer):
                raise self.bad("the text should end here")

    def bad(self, fact: str) -> BadLog:
        """An error about the cursor's place."""
        shown = bytes(self._buffer[self._at : self._at + 40]).decode("utf-8", "replace")
        return BadLog(f"{self.place}: byte {self._before + self._at:,}: {fact}: {shown!r}: mend or recover the log")

    def _walk(self, opening: str) -> Iterator[None]:
        self._expect(opening)
        self._depth += 1
        if self._depth > self.caps.depth:
            raise self._too_deep()
        closing = _CLOSING[_OPENING.index(ord(opening))]
        if self._next() != closing:
            while True:
                passed = self._passed
                yield
                if self._passed == passed:
                    self.skip()
                if self._next() == closing:
                    break
                self._expect(",")
        self._at += 1
        self._depth -= 1
        self._passed += 1

    def _next(self) -> int:
        """The first byte that is not space, at which the cursor then stands."""
        while True:
            self._at = self._after_space()
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                raise self.bad("the text ends too early")

    def _expect(self, sign: str) -> None:
        if self._next() != ord(sign):
            raise self.bad(f"{sign!r} should stand here")
        self._at += 1

    def _after_space(self) -> int:
        found = _SPACE.match(self._buffer, self._at)
        return found.end() if found else self._at

    def _more(self) -> bool:
        """Whether the text goes on; what lies in front of the cursor is forgotten once it is long."""
        chunk = next(self._chunks, b"")
        if self._at > CHUNK:
            self._drop(self._at)
        self._buffer += chunk
        return bool(chunk)

    def _drop(self, upto: int) -> None:
        del self._buffer[:upto]
        self._before += upto
        self._at -= upto

    def _grow(self, at: int, *, keep: bool) -> int:
        """More text after place `at` of the value at the cursor; the same place, in the buffer as it then is."""
        if not keep:
            self._at = at
        elif at - self._at > self.caps.line_bytes:
            raise self.bad(f"one value is longer than {self.caps.line_bytes:,} bytes (raise the cap if you trust it)")
        ahead = at - self._at
        if not self._more():
            raise self.bad("the text ends inside this value")
        return self._at + ahead

    def _end(self, *, keep: bool) -> int:
        """Where the value at the cursor ends, in the buffer. Not `keep`: the cursor may move on to free memory."""
        first = self._buffer[self._at]
        if first == _QUOTE:
            return self._string_end(self._at + 1, keep=keep)
        if first in _OPENING:
            return self._bracket_end(keep=keep)
        return self._scalar_end()

    def _string_end(self, at: int, *, keep: bool) -> int:
        while True:
            found = _IN_STRING.match(self._buffer, at)
            at = found.end() if found else at
            if at < len(self._buffer) and self._buffer[at] == _QUOTE:
                return at + 1
            at = self._grow(at, keep=keep)

    def _bracket_end(self, *, keep: bool) -> int:
        at, depth = self._at, self._depth
        while True:
            found = _TO_BRACKET.match(self._buffer, at)
            at = found.end() if found else at
            if at == len(self._buffer):
                at = self._grow(at, keep=keep)
            elif self._buffer[at] == _QUOTE:  # a string that goes on in the next chunk
                at = self._string_end(at + 1, keep=keep)
            else:
                depth += 1 if self._buffer[at] in _OPENING else -1
                at += 1
                if depth == self._depth:
                    return at
                if depth > self.caps.depth:
                    raise self._too_deep()

    def _scalar_end(self) -> int:
        at = self._at
        while True:
            found = _SCALAR.match(self._buffer, at)
            at = found.end() if found else at
            if at < len(self._buffer) or at - self._at > CHUNK:
                break
            ahead = at - self._at
            if not self._more():
                break
            at = self._at + ahead
        if at == self._at:
            raise self.bad("a value should stand here")
        return at

    def _too_deep(self) -> BadLog:
        return self.bad(f"nested more than {self.caps.depth} deep (raise the cap on depth if you trust it)")
