"""A run's journal of what it asked of a remote model and heard: ``answers.jsonl`` in the run folder.

Each line is the first 16 hex digits of the SHA-256 of an entry, a space, and the entry as JSON. Lines are appended
under the run folder's lock; durable ones are flushed to the disk before `write` returns. A torn last line was never
promised and is cut off; damage elsewhere is refused.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from deadreckon.contracts import Json
from deadreckon.errors import StoreError
from deadreckon.rollouts.store import refusals, sync_folder, write_durably

ANSWERS = "answers.jsonl"


class FileJournal:
    """See `contracts.Journal`. A context manager."""

    def __init__(self, folder: Path):
        """Open or make the journal of a run folder that this process has locked. StoreError."""
        self.path = folder / ANSWERS
        self._pen = threading.Lock()
        with refusals(self.path, "open"):
            is_new = not self.path.exists()
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            if is_new:
                sync_folder(folder)
        try:
            self._entries = self._recover()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> FileJournal:
        """The journal itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close it."""
        with self._pen:
            os.close(self._fd)

    def entries(self) -> Sequence[Json]:
        """What it held when it was opened."""
        return self._entries

    def write(self, entries: Sequence[Json], *, durable: bool) -> None:
        """Append; a failed write is cut off again, so that no torn line stays. StoreError."""
        if not entries:
            return
        data = b"".join(_line(entry) for entry in entries)
        with self._pen, refusals(self.path, "write"):
            size = os.fstat(self._fd).st_size
            try:
                if durable:
                    write_durably(self._fd, data)
                else:
                    view = memoryview(data)
                    while view:
                        view = view[os.write(self._fd, view) :]
            except BaseException:
                os.ftruncate(self._fd, size)
                raise

    def _recover(self) -> list[Json]:
        with refusals(self.path, "read"):
            data = self.path.read_bytes()
        whole, _, torn = data.rpartition(b"\n")
        if torn:
            with refusals(self.path, "write"):
                os.ftruncate(self._fd, len(data) - len(torn))
                os.fsync(self._fd)
        found = []
        for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
            check, _, text = line.partition(b" ")
            if _check(text) != check:
                raise StoreError(f"{self.path} line {number} is damaged: delete that line and resume to ask it again")
            found.append(json.loads(text))
        return found


def _check(text: bytes) -> bytes:
    return sha256(text).hexdigest()[:16].encode()


def _line(entry: Json) -> bytes:
    text = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()
    return _check(text) + b" " + text + b"\n"
