"""JSON from files that nobody vouches for: one line at a time, capped in length, depth and memory once parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deadreckon.contracts import Json
from deadreckon.errors import BadLog
from deadreckon.logs.record import Caps

DEFAULT = Caps()
SHOWN = 60  # characters of a bad text that its error shows

_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_SIGNS = bytes(1 if b in b"[{" else 255 if b in b"]}" else 0 for b in range(256))  # +1 and -1 as int8
_PARSED = ((b"{", 200), (b"[", 64), (b",", 64), (b":", 64))  # bytes of Python objects a character may stand for
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def json_lines(path: Path, caps: Caps = DEFAULT) -> Iterator[tuple[int, Json]]:
    """(line number from 1, value) of each line that is not blank. BadLog: unreadable, too long, or not JSON."""
    for number, line in raw_lines(path, caps):
        if line.strip():
            yield number, parse_json(line, f"{path}:{number}", caps)


def raw_lines(path: Path, caps: Caps = DEFAULT) -> Iterator[tuple[int, bytes]]:
    """(line number from 1, bytes) of each line, a byte order mark dropped. BadLog: unreadable, or a line too long."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(caps.line_bytes + 1):
                number += 1
                if len(line) > caps.line_bytes:
                    raise BadLog(
                        f"{path}:{number}: the line is longer than {caps.line_bytes:,} bytes: raise the cap on lines,"
                        " or check that the file has one record a line"
                    )
                yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except OSError as error:
        raise BadLog(f"{path}: cannot be read: {error.strerror or error}: check the path") from error


def parse_json(text: str | bytes, place: str, caps: Caps = DEFAULT) -> Json:
    """The value of one JSON text (UTF-8); a lone surrogate becomes U+FFFD, so that every string can be written again.

    place: "runs.jsonl:12", for the error. BadLog: not JSON, not UTF-8, nested deeper than the cap, or so many values
    that parsing would take more than `caps.parsed_bytes`.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    cost = len(data) + sum(data.count(sign) * size for sign, size in _PARSED)
    if cost > caps.parsed_bytes:
        raise BadLog(f"{place}: parsed it could take {cost >> 20} MiB, more than {caps.parsed_bytes >> 20}: split it")
    depth = _depth(data) if data.count(b"[") + data.count(b"{") > caps.depth else 0
    if depth > caps.depth:
        raise BadLog(f"{place}: nested {depth} deep, more than {caps.depth}: raise the cap on depth if you trust it")
    if b"\\ud" in data or b"\\uD" in data:
        data = _SURROGATES.sub(lambda found: rb"\ufffd" if found[1] else found[0], data)
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        why = str(error).splitlines()[0] if isinstance(error, ValueError) else "nested too deep"
        raise BadLog(f"{place}: not JSON ({why}): {_shown(data)}: mend or delete it") from None


def _depth(data: bytes) -> int:
    """Deepest nesting of brackets outside strings."""
    bare = data.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NOT_STRUCTURE)
    outside = b"".join(bare.split(b'"')[::2]).translate(_SIGNS)
    return int(np.frombuffer(outside, np.int8).cumsum(dtype=np.int64).max(initial=0))


def _shown(data: bytes) -> str:
    """The text's start, on one line, or its end where it may have been cut off."""
    text = data.decode("utf-8", "replace").strip()
    return repr(text) if len(text) <= SHOWN else repr(f"{text[: SHOWN // 2]} ... {text[-SHOWN // 2 :]}")
