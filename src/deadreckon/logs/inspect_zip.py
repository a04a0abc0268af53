"""Inspect AI's `.eval` logs: a ZIP of samples, whole or in chunks, packed with zstd or deflate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from deadreckon.contracts import Json
from deadreckon.errors import BadLog
from deadreckon.logs.archive import Archive
from deadreckon.logs.cursor import Cursor
from deadreckon.logs.inspect_sample import LogHead, Sample
from deadreckon.logs.inspect_scores import as_map, as_text
from deadreckon.logs.pieces import Pieces
from deadreckon.logs.record import Options, Record

NEWEST = 3  # log version; 3 = samples in chunks
_WHOLE = re.compile(r"samples/.*_epoch_\d+\.json", re.S)
_SHELL = re.compile(r"(samples/.*_epoch_\d+)/sample\.json", re.S)
_PART = re.compile(r"(samples/.*_epoch_\d+)/(messages|events|attachments)/(\d{1,12})\.json", re.S)
_JOURNAL = re.compile(r"_journal/summaries/(\d{1,12})\.json")


class InspectZip:
    """`.eval`: samples in the archive's order. A crashed log, without its header, is read as far as it goes.

    Where neither messages nor steps are asked for, the summaries alone are read: no length in steps.
    """

    name = "inspect-eval"
    line = "Inspect AI logs, .eval"

    def knows(self, path: Path, head: bytes) -> bool:
        """A ZIP that begins with Inspect's journal, or is named .eval."""
        return head.startswith(b"PK\3\4") and (path.suffix == ".eval" or b"_journal/start.json" in head[:100])

    def read(self, path: Path, options: Options) -> Iterator[Record]:
        """Its samples. BadLog: damaged, of an unknown version, or a score that cannot be used."""
        with Archive(path, options.caps) as archive:
            log = _Log(archive, options)
            yield from log.records()


class _Log:
    """One open log."""

    def __init__(self, archive: Archive, options: Options):
        self._archive, self._options = archive, options
        names = archive.members
        self._start = next((name for name in ("header.json", "_journal/start.json") if name in names), "")
        if not self._start:
            raise BadLog(f"{archive.path}: neither header.json nor _journal/start.json in it: not an Inspect log")

    @property
    def _outcomes_alone(self) -> bool:
        """Whether the summaries say all that is asked for."""
        asked = self._options.messages or self._options.steps
        return not asked and {"header.json", "summaries.json"} <= self._archive.members.keys()

    def records(self) -> Iterator[Record]:
        head = read_head(self._pieces(self._start))
        known: set[tuple[str, str]] = set()
        if self._outcomes_alone and not head.invalidated:
            yield from self._summarised(head, known)
            return
        line = 0
        for name, parts in self._samples():
            line += 1
            sample = Sample(head, self._options, self._place(name))
            pieces = self._pieces(name)
            sample.whole(pieces.whole())
            pieces.close()
            for key, part in parts:
                pieces = self._pieces(part)
                sample.chunk(key, pieces.whole())
                pieces.close()
            record = sample.record(line)
            known.add((record.item, record.repeat))
            yield record
        if line == 0 or self._start != "header.json":
            yield from self._summarised(head, known)

    def _samples(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        """(member, its parts as (kind, member)) of each sample, in the archive's order."""
        parts: dict[str, list[tuple[int, int, str, str]]] = {}
        rank = ("messages", "events", "attachments").index  # attachments last: only those that are used are kept
        for name in self._archive.members:
            if found := _PART.fullmatch(name):
                parts.setdefault(found[1], []).append((rank(found[2]), int(found[3]), found[2], name))
        for name in self._archive.members:
            if _PART.fullmatch(name):
                continue
            if shell := _SHELL.fullmatch(name):
                yield name, [(key, part) for _, _, key, part in sorted(parts.get(shell[1], []))]
            elif _WHOLE.fullmatch(name):
                yield name, []
            elif not _JOURNAL.fullmatch(name):  # a sample whose name was damaged must not be lost without a word
                self._archive.check(name)

    def _summarised(self, head: LogHead, known: set[tuple[str, str]]) -> Iterator[Record]:
        """Samples of which only a summary was written."""
        journal = sorted((int(found[1]), name) for name in self._archive.members if (found := _JOURNAL.fullmatch(name)))
        names = ["summaries.json"] if "summaries.json" in self._archive.members else [name for _, name in journal]
        line = len(known)
        for name in names:
            pieces = self._pieces(name)
            summaries = pieces.whole()
            for _ in summaries.elements():
                fields = as_map(summaries.value())
                key = as_text(fields.get("id")), as_text(fields.get("epoch", 1))
                if key in known:
                    continue
                known.add(key)
                line += 1
                sample = Sample(head, self._options, self._place(name))
                sample.summary(fields)
                yield sample.record(line)
            pieces.close()

    def _pieces(self, name: str) -> Pieces:
        return Pieces(self._archive.chunks(name), self._place(name), self._options.caps)

    def _place(self, name: str) -> str:
        return f"{self._archive.path}: {name!r:.80}"


def read_head(pieces: Pieces) -> LogHead:
    """Task and model from the header (or start) of a log, at the cursor. BadLog: a version from the future."""
    version: Json = 2
    head, invalidated = LogHead(), False
    for key in pieces.names():
        if key == "version":
            version = pieces.value()
        elif key == "eval" and pieces.kind() == "{":
            head = read_spec(pieces)
        elif key == "invalidated":
            invalidated = pieces.value() is not False
    pieces.close()
    check_version(version, pieces.place)
    return replace(head, invalidated=invalidated)


def read_spec(pieces: Cursor) -> LogHead:
    """Task and model from a log's `eval` object at the cursor."""
    found = {key: as_text(pieces.value()) for key in pieces.names() if key in ("task", "model")}
    return LogHead(found.get("task", ""), found.get("model", ""))


def check_version(version: Json, place: str) -> None:
    """BadLog where the log's format is newer than this reader."""
    if not isinstance(version, int) or not 1 <= version <= NEWEST:
        raise BadLog(f"{place}: log version {version!r:.20}, this reader knows 1 to {NEWEST}: update deadreckon")
