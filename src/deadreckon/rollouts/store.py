"""Every file the package writes, and the run folder that loses nothing it has committed.

A run folder holds ``spec.json``, ``manifest.jsonl`` and ``steps/part-*.parquet``. A part is committed by its
line in the manifest, which is made durable only after the file it names. Readers trust the manifest alone and
check each file's SHA-256; whatever else lies in the folder (an orphan part, a temporary file, the torn last
line of a killed process) was never committed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import polars as pl

from deadreckon.contracts import Json
from deadreckon.errors import OtherIdentity, StoreError
from deadreckon.rollouts.folder import (
    MANIFEST,
    SPEC,
    STEPS,
    Part,
    flat,
    load_spec,
    part_name,
    read_manifest,
    read_part,
    read_parts,
    spec_check,
)

LOCK = ".lock"
_TEMP = re.compile(r"\..+\.\d+\.tmp")
_REMEDIES = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EFBIG: "raise the file size limit and run the same command again",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder you may write to",
    errno.ENOTDIR: "choose another folder",
    errno.EEXIST: "choose another folder",
    errno.EISDIR: "choose another name",
    errno.ENOENT: "make its folder first",
}


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data` so that a reader, or a crash, sees all of the old bytes or all of the new.

    StoreError where the disk refuses: the old file is intact and nothing is left beside it.
    """
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with refusals(path, "write"):
        try:
            fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                write_durably(fd, data)
            finally:
                os.close(fd)
            os.replace(temp, path)
            sync_folder(path.parent)
        finally:
            temp.unlink(missing_ok=True)


def frame_bytes(frame: pl.DataFrame) -> bytes:
    """The frame as Parquet; equal frames give equal bytes (for one version of polars)."""
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(
        buffer, compression="zstd", compression_level=3, statistics=True, row_group_size=1 << 16
    )
    return buffer.getvalue()


class RunStore:
    """A run folder open for writing, by one process at a time. Use it as a context manager."""

    def __init__(self, folder: Path, lock: int, parts: dict[int, Part]):
        """Take over an open lock; see `create_or_resume`."""
        self.folder = folder
        self._lock = lock
        self._parts = parts
        self._failed = False

    @classmethod
    def create_or_resume(cls, folder: Path, spec: Mapping[str, Json], run_id: str) -> RunStore:
        """Open the folder for the run `run_id`, making it where there is none.

        OtherIdentity where it holds another run; StoreError where it is in use, cannot be written, or holds
        something that is not a run.
        """
        _make_folder(folder)
        _refuse_foreign(folder)
        lock = _take_lock(folder)
        try:
            _sweep(folder)
            _settle_identity(folder, spec, run_id)
            with refusals(folder, "make"):
                (folder / STEPS).mkdir(exist_ok=True)
                sync_folder(folder)
            _sweep(folder / STEPS)
            return cls(folder, lock, _recover(folder))
        except BaseException:
            os.close(lock)
            raise

    def __enter__(self) -> RunStore:
        """The store itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let go of the folder."""
        self.close()

    def close(self) -> None:
        """Let go of the folder; a second call does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def committed(self) -> dict[int, Part]:
        """The committed parts by index."""
        return dict(self._parts)

    def commit(self, index: int, frame: pl.DataFrame) -> Part:
        """Commit a frame as part `index`; when this returns it survives any crash. StoreError."""
        return self.commit_bytes(index, frame_bytes(frame), frame.height)

    def commit_bytes(self, index: int, data: bytes, rows: int) -> Part:
        """Commit Parquet bytes of `rows` rows as part `index`. StoreError.

        A part that is committed already is left as it is; other bytes for it are refused.
        """
        part = Part(index, part_name(index), rows, hashlib.sha256(data).hexdigest())
        if self._failed or self._lock < 0:
            raise StoreError(
                f"part {index} of {self.folder}: the store is closed by an earlier failure, resume the run"
            )
        if index in self._parts:
            if self._parts[index] != part:
                raise StoreError(f"{self._path(part)} is committed with other bytes: use another --out")
            return part
        write_atomic(self._path(part), data)
        read_part(self._path(part), part)  # read back before it is promised
        self._append(part)
        self._parts[index] = part
        return part

    def read(self) -> pl.DataFrame:
        """The committed parts as one frame, in part order, hashes checked. StoreError."""
        return read_parts(self.folder, self._parts)

    def _path(self, part: Part) -> Path:
        return self.folder / STEPS / part.name

    def _append(self, part: Part) -> None:
        """One durable line. After a failure the file is cut back and the store takes no more parts."""
        path = self.folder / MANIFEST
        self._failed = True
        with refusals(path, "write"):
            is_new = not path.exists()
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                size = os.fstat(fd).st_size
                try:
                    write_durably(fd, part.line())
                except BaseException:
                    os.ftruncate(fd, size)
                    raise
            finally:
                os.close(fd)
            if is_new:
                sync_folder(self.folder)
        self._failed = False


def read_run(folder: Path) -> tuple[dict[str, Json], pl.DataFrame]:
    """The spec of a run folder and its committed steps, every hash checked. StoreError."""
    spec = read_spec(folder)
    return spec, read_parts(folder, read_manifest(folder)[0])


def read_spec(folder: Path) -> dict[str, Json]:
    """The spec a run folder was made for. StoreError where it is no run folder or spec.json is damaged."""
    return load_spec(folder)[0]


def run_hash(folder: Path) -> str:
    """One SHA-256 for all committed bytes of a run: equal hashes, equal tables. StoreError."""
    parts, _ = read_manifest(folder)
    for part in parts.values():
        read_part(folder / STEPS / part.name, part)
    return hashlib.sha256("".join(parts[i].sha256 for i in sorted(parts)).encode()).hexdigest()


# --- The disk -------------------------------------------------------------------------------------------


@contextmanager
def refusals(path: Path, verb: str) -> Iterator[None]:
    """Turn what the operating system refuses into one line: fact, value, remedy."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "check the disk, then run the same command again")
        raise StoreError(f"cannot {verb} {path}: {error.strerror or error}: {remedy}") from error


def write_durably(fd: int, data: bytes) -> None:
    """All of it, then fsync."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.fsync(fd)


def sync_folder(folder: Path) -> None:
    """fsync of a folder: the names in it survive a crash."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _make_folder(folder: Path) -> None:
    """The folder and its parents, each flushed into the one it lies in."""
    with refusals(folder, "make"):
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            sync_folder(path.parent)


def _take_lock(folder: Path) -> int:
    """An exclusive lock that the kernel drops when this process ends, however it ends."""
    with refusals(folder / LOCK, "write"):
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise StoreError(f"{folder} is in use by another process: wait for it or use another --out") from None
        except OSError:
            os.close(fd)
            raise
    return fd


def _sweep(folder: Path) -> None:
    """Remove the temporary files of killed processes. Only under the lock."""
    with refusals(folder, "clean"):
        for path in folder.iterdir():
            if _TEMP.fullmatch(path.name):
                path.unlink()


def _refuse_foreign(folder: Path) -> None:
    with refusals(folder, "read"):
        if (folder / SPEC).exists():
            return
        for path in sorted(folder.iterdir()):
            ours = path.name in (LOCK, STEPS) or _TEMP.fullmatch(path.name)
            if not ours or (path.name == STEPS and any(path.iterdir())):
                raise StoreError(f"{folder} holds {path.name} and no {SPEC}: not a run folder, use another --out")


def _recover(folder: Path) -> dict[int, Part]:
    """Committed parts whose file is still there; the manifest is rewritten where it says more than that."""
    parts, torn = read_manifest(folder)
    there = {index: part for index, part in parts.items() if (folder / STEPS / part.name).exists()}
    if torn or len(there) < len(parts):
        write_atomic(folder / MANIFEST, b"".join(part.line() for part in there.values()))
    return there


def _settle_identity(folder: Path, spec: Mapping[str, Json], run_id: str) -> None:
    """Write spec.json, or refuse a folder that was made for another run."""
    path = folder / SPEC
    if not path.exists():
        content = {"id": run_id, **spec}
        write_atomic(path, json.dumps(content | {"check": spec_check(content)}, indent=1).encode() + b"\n")
        return
    held, held_id = load_spec(folder)
    if held_id != run_id:
        old, new = flat(held), flat(spec)
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key) and key != "run"]
        changes = ", ".join(f"{key} {old.get(key)!r} there and {new.get(key)!r} asked" for key in keys[:3])
        raise OtherIdentity(f"{folder} holds run {held_id}, not {run_id} ({changes}): use another --out")
