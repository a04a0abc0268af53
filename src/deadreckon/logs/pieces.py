"""One JSON text of any size, walked piece by piece: only the values that are asked for are ever in memory.

No JSON library streams, knows NaN (which logs hold) and bounds what one value may take: so the extent of each value
is found here, by the brackets outside its strings, and `parse_json` reads the ones that are wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from deadreckon.contracts import Json
from deadreckon.errors import BadLog
from deadreckon.logs.cursor import Cursor, Parsed
from deadreckon.logs.lines import parse_json
from deadreckon.logs.record import Caps

CHUNK = 1 << 18  # bytes read at a time
WHOLE = 1 << 20  # bytes of a value that is parsed at once rather than walked
_SPACE = re.compile(rb"[ \t\r\n]*+")
_FLAT = rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"'  # anything without a bracket, strings whole
_TO_BRACKET = re.compile(rb"(?:%b|[\[{](?:%b)*+[\]}])*+" % (_FLAT, _FLAT), re.S)  # passes over the innermost brackets
_IN_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.S)
_SCALAR = re.compile(rb'[^\[\]{},:" \t\r\n]*+')
_QUOTE = ord('"')
_OPENING, _CLOSING = b"{[", b"}]"


class Pieces:
    """A cursor in a text that comes in chunks, of which it keeps only what it must.

    A name that comes twice in an object is given twice.
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
        """See `Cursor`."""
        return chr(self._next())

    def names(self) -> Iterator[str]:
        """See `Cursor`."""
        for _ in self._walk("{"):
            if self._next() != _QUOTE:
                raise self.bad("a key in quotes should stand here")
            end = self._end(self.caps.line_bytes)
            raw = bytes(self._buffer[self._at : end])
            self._at = end
            self._expect(":")
            yield str(parse_json(raw, self.place, self.caps))

    def elements(self) -> Iterator[None]:
        """See `Cursor`."""
        return self._walk("[")

    def value(self) -> Json:
        """See `Cursor`."""
        return self._value(self.caps.line_bytes)

    def skip(self) -> None:
        """See `Cursor`."""
        self._next()
        self._at = self._end(0)
        self._passed += 1

    def whole(self) -> Cursor:
        """See `Cursor`."""
        most = min(WHOLE, self.caps.line_bytes)
        if self._before == self._at == 0:
            while len(self._buffer) < most and self._more():
                pass
            if len(self._buffer) < most:  # all of the text: its end needs no search
                self._at = len(self._buffer)
                return Parsed(parse_json(bytes(self._buffer), self.place, self.caps), self.place)
        try:
            return Parsed(self._value(most), self.place)
        except _TooLong:
            return self

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

    def _value(self, most: int) -> Json:
        self._next()
        end = self._end(most)
        if end - self._at > most:
            raise self._too_long(most)
        found = parse_json(bytes(self._buffer[self._at : end]), self.place, self.caps)
        self._at = end
        self._passed += 1
        return found

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

    def _grow(self, at: int, most: int) -> int:
        """More text after place `at` of the value at the cursor; the same place, in the buffer as it then is."""
        if not most:
            self._at = at
        elif at - self._at > most:
            raise self._too_long(most)
        ahead = at - self._at
        if not self._more():
            raise self.bad("the text ends inside this value")
        return self._at + ahead

    def _end(self, most: int) -> int:
        """Where the value at the cursor ends, in the buffer, `most` bytes on. 0: any size, and its text is let go."""
        first = self._buffer[self._at]
        if first == _QUOTE:
            return self._string_end(self._at + 1, most)
        if first in _OPENING:
            return self._bracket_end(most)
        return self._scalar_end()

    def _string_end(self, at: int, most: int) -> int:
        while True:
            found = _IN_STRING.match(self._buffer, at)
            at = found.end() if found else at
            if at < len(self._buffer) and self._buffer[at] == _QUOTE:
                return at + 1
            at = self._grow(at, most)

    def _bracket_end(self, most: int) -> int:
        at, depth = self._at + 1, self._depth + 1
        while True:
            found = _TO_BRACKET.match(self._buffer, at)
            at = found.end() if found else at
            if at == len(self._buffer):
                at = self._grow(at, most)
            elif self._buffer[at] == _QUOTE:  # a string that goes on in the next chunk
                at = self._string_end(at + 1, most)
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

    def _too_long(self, most: int) -> BadLog:
        return _TooLong(str(self.bad(f"one value is longer than {most:,} bytes (raise the cap if you trust it)")))

    def _too_deep(self) -> BadLog:
        return self.bad(f"nested more than {self.caps.depth} deep (raise the cap on depth if you trust it)")


class _TooLong(BadLog):
    """A value is longer than it may be here."""
