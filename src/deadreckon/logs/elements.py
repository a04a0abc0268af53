"""One JSON document read piece by piece: the elements of its large array come one at a time, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from deadreckon.contracts import Json
from deadreckon.errors import BadLog
from deadreckon.logs.lines import DEFAULT, parse_json
from deadreckon.logs.record import Caps

CHUNK = 1 << 20

_MARK = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_SCALAR_END = re.compile(rb"[,:\]}\s]")
_SPACE = re.compile(rb"[^ \t\r\n]")


def json_elements(path: Path, keys: Collection[str], caps: Caps = DEFAULT) -> Iterator[tuple[int, str, Json]]:
    """(line, key, value) of each piece of one JSON document: the elements of a top-level array (key ""), or the
    members of a top-level object, where an array under one of `keys` comes element by element under its key.

    The caps on a line hold for each piece. BadLog: unreadable, not JSON, cut off, a piece too large or too deep.
    """
    try:
        with path.open("rb") as file:
            text = _Text(file, path, caps)
            if (first := text.peek()) == b"[":
                for line, element in text.array():
                    yield line, "", element
            elif first == b"{":
                yield from _members(text, keys)
            else:
                raise BadLog(f"{text.place}: {_seen(first)} where [ or {{ should begin the document: check the file")
            if extra := text.peek():
                raise BadLog(f"{text.place}: {_seen(extra)} after the end of the document: delete what follows it")
    except OSError as error:
        raise BadLog(f"{path}: cannot be read: {error.strerror or error}: check the path") from error


def _members(text: _Text, keys: Collection[str]) -> Iterator[tuple[int, str, Json]]:
    """The members of an object, from its opening brace to its closing one."""
    for _ in text.between(b"{", b"}"):
        key = text.value()[1]
        if not isinstance(key, str):
            raise BadLog(f"{text.place}: a member without a name: the document is damaged")
        text.skip(b":")
        if key in keys and text.peek() == b"[":
            for line, element in text.array():
                yield line, key, element
        else:
            line, value = text.value()
            yield line, key, value


def _seen(byte: bytes) -> str:
    return repr(byte.decode("latin-1")) if byte else "the end of the file"


class _Text:
    """A JSON text and how far it has been read; holds the piece at hand and at most as much again."""

    def __init__(self, file: BinaryIO, path: Path, caps: Caps):
        self.file, self.path, self.caps = file, path, caps
        self.data, self.at, self.line = b"", 0, 1
        self._more()
        if self.data.startswith(b"\xef\xbb\xbf"):
            self.at = 3

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"

    def peek(self) -> bytes:
        """The next byte that is not space; b"" at the end of the file."""
        while not (found := _SPACE.search(self.data, self.at)):
            self._advance(len(self.data))
            if not self._more():
                return b""
        self._advance(found.start())
        return self.data[self.at : self.at + 1]

    def skip(self, byte: bytes) -> None:
        """Pass over one byte that must come next."""
        if (seen := self.peek()) != byte:
            raise BadLog(f"{self.place}: {_seen(seen)} where {byte.decode()} should be: the file is cut off or damaged")
        self._advance(self.at + 1)

    def between(self, opening: bytes, closing: bytes) -> Iterator[None]:
        """One turn for each entry of an array or object, the commas and brackets passed over."""
        self.skip(opening)
        if self.peek() != closing:
            yield
            while self.peek() == b",":
                self.skip(b",")
                yield
        self.skip(closing)

    def array(self) -> Iterator[tuple[int, Json]]:
        """(line, value) of each element of the array that comes next."""
        for _ in self.between(b"[", b"]"):
            yield self.value()

    def value(self) -> tuple[int, Json]:
        """(line, value) of the value that comes next."""
        first = self.peek()
        if first in (b"{", b"["):
            end = self._bracket_end()
        elif first == b'"':
            end = self._string_end(self.at)
        else:
            end = self._scalar_end()
        line, raw = self.line, self.data[self.at : end]
        value = parse_json(raw, self.place, self.caps)
        self._advance(end)
        return line, value

    def _bracket_end(self) -> int:
        depth, i = 0, self.at
        while True:
            found = _MARK.search(self.data, i)
            if not found:
                i = len(self.data)
                self._need()
            elif (mark := found[0]) == b'"':
                i = self._string_end(found.start())
            else:
                i, depth = found.end(), depth + (1 if mark in b"{[" else -1)
                if depth == 0:
                    return i

    def _string_end(self, quote: int) -> int:
        i = quote + 1
        while True:
            found = _IN_STRING.search(self.data, i)
            if not found:
                i = max(i, len(self.data))
                self._need()
            elif found[0] == b'"':
                return found.end()
            else:
                i = found.start() + 2

    def _scalar_end(self) -> int:
        while not (found := _SCALAR_END.search(self.data, self.at)):
            self._need()
        return found.start()

    def _need(self) -> None:
        """Read on within a piece, or say why not."""
        if len(self.data) - self.at > self.caps.line_bytes:
            raise BadLog(
                f"{self.place}: one element is longer than {self.caps.line_bytes:,} bytes: raise the cap on lines"
            )
        if not self._more():
            raise BadLog(f"{self.place}: the file ends in the middle of what begins here: it was cut off")

    def _more(self) -> bool:
        read = self.file.read(max(CHUNK, min(len(self.data) - self.at, self.caps.line_bytes)))
        self.data += read
        return bool(read)

    def _advance(self, to: int) -> None:
        self.line += self.data.count(b"\n", self.at, to)
        self.at = to
        if self.at > CHUNK:
            self.data, self.at = self.data[self.at :], 0
