"""One JSON document that is, or holds, an array of runs: its elements come one at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from deadreckon.contracts import Json
from deadreckon.errors import BadLog
from deadreckon.logs.lines import DEFAULT
from deadreckon.logs.pieces import CHUNK, Pieces
from deadreckon.logs.record import Caps


def json_elements(
    path: Path, arrays: Collection[str] = (), members: Collection[str] = (), caps: Caps = DEFAULT
) -> Iterator[tuple[int, str, Json]]:
    """(number, key, value) of what is wanted of a document, in order: the elements of a top-level array (key "",
    numbered from 1), or of a top-level object the elements of each array in `arrays` (its key, from 1) and each
    member in `members` (number 0). Everything else is passed over.

    BadLog: unreadable, not JSON, cut off, or an element longer or deeper than the caps.
    """
    try:
        with path.open("rb") as file:
            pieces = Pieces(_chunks(file), str(path), caps)
            if pieces.kind() == "[":
                for number, _ in enumerate(pieces.elements(), 1):
                    yield number, "", pieces.value()
            elif not (arrays or members):
                raise pieces.bad("an array of runs should begin here")
            else:
                for key in pieces.names():
                    if key in arrays and pieces.kind() == "[":
                        for number, _ in enumerate(pieces.elements(), 1):
                            yield number, key, pieces.value()
                    elif key in members:
                        yield 0, key, pieces.value()
            pieces.close()
    except OSError as error:
        raise BadLog(f"{path}: cannot be read: {error.strerror or error}: check the path") from error


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    first = True
    while chunk := file.read(CHUNK):
        yield chunk.removeprefix(b"\xef\xbb\xbf") if first else chunk
        first = False
