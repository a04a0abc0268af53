"""Power loss: what was never flushed may be gone, torn or there. What was promised is there in every such state.

The calls that reach the disk are recorded while a run commits, then replayed up to each point into a model of a disk:
file contents count only as far as they were flushed, names only as far as their folder was. From there every state
that a crash could leave is made, read, and resumed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from nursery import SPEC, frame

from deadreckon.errors import StoreError
from deadreckon.rollouts.store import RunStore, read_run, run_hash


@dataclass
class File:
    """One file's bytes: as written, and as flushed."""

    written: bytes = b""
    flushed: bytes = b""

    def after_crash(self, kept: str) -> bytes:
        """Unflushed bytes are all gone, half there, or all there."""
        tail = self.written[len(self.flushed) :]
        return self.flushed + {"gone": b"", "torn": tail[: len(tail) // 2], "kept": tail}[kept]


@dataclass
class Disk:
    """Files by name: as the running system sees them, and as flushed with their folder."""

    names: dict[Path, File] = field(default_factory=dict)
    flushed: dict[Path, File] = field(default_factory=dict)

    def crash(self, kept: str, *, names_kept: bool) -> dict[Path, bytes]:
        """What is found after the power comes back."""
        names = self.names if names_kept else self.flushed
        return {path: file.after_crash(kept) for path, file in names.items()}


Call = tuple[str, tuple[Any, ...]]


class Recorder:
    """Writes down what reaches the disk, and lets it through."""

    def __init__(self, patch: pytest.MonkeyPatch, root: Path):
        self.root, self.calls, self.paths = root, list[Call](), dict[int, Path]()
        self.real = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "close")}
        for name in self.real:
            patch.setattr(os, name, getattr(self, name))

    def open(self, path: Any, flags: int, *mode: int) -> int:
        fd: int = self.real["open"](path, flags, *mode)
        if Path(path).is_relative_to(self.root):
            self.paths[fd] = Path(path).relative_to(self.root)
            if flags & os.O_CREAT:
                self.calls.append(("create", (self.paths[fd],)))
        return fd

    def write(self, fd: int, data: bytes) -> int:
        done: int = self.real["write"](fd, data)
        if fd in self.paths:
            self.calls.append(("write", (self.paths[fd], bytes(data)[:done])))
        return done

    def fsync(self, fd: int) -> None:
        self.real["fsync"](fd)
        if fd in self.paths:
            self.calls.append(("fsync", (self.paths[fd],)))

    def replace(self, old: Path, new: Path) -> None:
        self.real["replace"](old, new)
        self.calls.append(("replace", (old.relative_to(self.root), new.relative_to(self.root))))

    def close(self, fd: int) -> None:
        self.real["close"](fd)
        self.paths.pop(fd, None)

    def promise(self, part: int) -> None:
        self.calls.append(("promise", (part,)))


def replay(calls: list[Call]) -> Iterator[tuple[Disk, set[int]]]:
    """The disk, and the parts promised, after each call."""
    disk, promised = Disk(), set[int]()
    yield disk, promised
    for name, args in calls:
        match name, args:
            case "create", (path,):
                disk.names.setdefault(path, File())
            case "write", (path, data):
                disk.names[path].written += data
            case "fsync", (path,) if path in disk.names:
                disk.names[path].flushed = disk.names[path].written
            case "fsync", (folder,):
                here = {p for p in (*disk.names, *disk.flushed) if p.parent == folder}
                disk.flushed = {p: f for p, f in disk.flushed.items() if p not in here}
                disk.flushed |= {p: disk.names[p] for p in here if p in disk.names}
            case "replace", (old, new):
                disk.names[new] = disk.names.pop(old)
            case "promise", (part,):
                promised.add(part)
        yield disk, promised


def commit_three(folder: Path, recorder: Recorder | None = None) -> None:
    with RunStore.create_or_resume(folder, SPEC, "power") as store:
        for index in range(3):
            if index not in store.committed():
                store.commit(index, frame(index).head(40))
                if recorder is not None:
                    recorder.promise(index)


def test_no_crash_loses_what_was_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tmp_path / "whole"
    recorder = Recorder(monkeypatch, whole)
    commit_three(whole, recorder)
    monkeypatch.undo()
    expected, states, seen = run_hash(whole), 0, set[frozenset[tuple[Path, bytes]]]()
    for disk, promised in replay(recorder.calls):
        for kept, names_kept in product(("gone", "torn", "kept"), (True, False)):
            found = disk.crash(kept, names_kept=names_kept)
            key = frozenset(found.items())
            if key in seen and not promised:
                continue
            seen.add(key)
            folder = tmp_path / str(states)
            states += 1
            for path, data in found.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data)
            if promised:
                assert promised <= set(read_run(folder)[1]["part"].unique()), (kept, names_kept)
            commit_three(folder)
            assert run_hash(folder) == expected
    assert states >= 100


def test_a_store_that_forgets_to_flush_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model of the disk is not blind: without the flushes, promises are broken."""
    whole = tmp_path / "whole"
    recorder = Recorder(monkeypatch, whole)
    commit_three(whole, recorder)
    monkeypatch.undo()
    forgetful = [call for call in recorder.calls if call[0] != "fsync"]
    broken = 0
    for disk, promised in replay(forgetful):
        folder = tmp_path / "after"
        for path, data in disk.crash("gone", names_kept=True).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        if promised:
            with pytest.raises(StoreError):
                read_run(folder)
            broken += 1
    assert broken > 0
