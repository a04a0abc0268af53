"""Inspect AI's `.json` logs: one JSON object, read sample by sample whatever its size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from deadreckon.errors import BadLog
from deadreckon.logs.inspect_sample import LogHead, Sample
from deadreckon.logs.inspect_zip import check_version, read_spec
from deadreckon.logs.pieces import CHUNK, Pieces
from deadreckon.logs.record import Options, Record

_HEAD = re.compile(rb'\s*\{\s*"version"\s*:\s*\d+\s*,\s*"status"\s*:')


class InspectJson:
    """`.json`: samples in the file's order."""

    name = "inspect-json"
    line = "Inspect AI logs, .json"

    def knows(self, path: Path, head: bytes) -> bool:
        """An object that begins with version and status, and has an `eval`."""
        return bool(_HEAD.match(head)) and b'"eval"' in head

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """Its samples. BadLog: damaged, of an unknown version, or a score that cannot be used."""
        head = self._head(path, options)
        pieces = Pieces(_chunks(path), str(path), options.caps)
        line = 0
        for key in pieces.names():
            if key != "samples" or pieces.kind() != "[":
                continue
            if line:
                raise pieces.bad("a second list of samples")
            for _ in pieces.elements():
                line += 1
                sample = Sample(head, options, f"{path}: sample {line}")
                sample.whole(pieces.whole())
                yield sample.record(line)
        pieces.close()

    def _head(self, path: Path, options: Options) -> LogHead:
        """Task and model, which stand in front of the samples in every log the tool writes, but need not."""
        pieces = Pieces(_chunks(path), str(path), options.caps)
        for key in pieces.names():
            if key == "version":
                check_version(pieces.value(), str(path))
            elif key == "eval" and pieces.kind() == "{":
                return read_spec(pieces)
        raise BadLog(f"{path}: no `eval` in it: not an Inspect log, or cut short")


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise BadLog(f"{path}: cannot be read: {error.strerror or error}: check the path") from error
