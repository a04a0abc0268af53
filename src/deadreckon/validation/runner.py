"""Replicates over worker processes: the same counts for any number of them, and after any kill and resume."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

import deadreckon
from deadreckon.errors import OtherIdentity, StoreError
from deadreckon.rollouts.store import write_atomic
from deadreckon.rollouts.workers import worker_pool
from deadreckon.seeds import hash64
from deadreckon.validation.case import Case, replicate
from deadreckon.validation.suite import all_cases
from deadreckon.validation.tally import Floats, Row, names, outcomes, rows

CHUNK = 100  # replicates counted, and kept, together
COUNTED = "counted"  # the folder of what was counted
IDENTITY = "identity.json"
MEASURED = ("contracts.py", "seeds.py", "instruments", "validation")  # the code that a count depends on

Plan = Sequence[tuple[Case, int]]
Progress = Callable[[int, int], None]  # (replicates counted, replicates in all)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Replicates first ... last-1 of a case."""

    key: str
    first: int
    last: int

    @property
    def file(self) -> str:
        """Where they are kept."""
        return f"{hash64(self.key):016x}-{self.first:06d}-{self.last:06d}.npz"


def count(case: Case, seed: int, first: int, last: int) -> Floats:
    """The outcomes of replicates first ... last-1."""
    taken = []
    for place in range(first, last):
        try:
            taken.append(case.sample(replicate(case, seed, place)))
        except Exception as error:
            error.add_note(f"{case.key}, seed {seed}, replicate {place}")
            raise
    return outcomes(case, taken)


def estimate(planned: Plan) -> float:
    """CPU seconds that the plan will take, from one replicate of each case (after a first one that warms up)."""
    total = 0.0
    for case, replicates in planned:
        case.sample(replicate(case, 0, 0))
        begun = time.process_time()
        case.sample(replicate(case, 0, 1))
        total += (time.process_time() - begun) * replicates
    return total


def run(planned: Plan, out: Path, seed: int, workers: int, progress: Progress) -> tuple[list[Row], float]:
    """Count what is not counted yet, then every row and the CPU seconds behind them.

    OtherIdentity where `out` holds counts of other code or another seed; StoreError; WorkerDied.
    """
    folder = _open(out, seed)
    chunks = {case.key: list(_chunks(case, replicates)) for case, replicates in planned}
    every = [chunk for part in chunks.values() for chunk in part]
    left = [chunk for chunk in every if not (folder / chunk.file).exists()]
    total = sum(chunk.last - chunk.first for chunk in every)
    done = total - sum(chunk.last - chunk.first for chunk in left)
    progress(done, total)
    for chunk, data in _there(left, seed, workers):
        write_atomic(folder / chunk.file, data)
        done += chunk.last - chunk.first
        progress(done, total)
    found: list[Row] = []
    seconds = 0.0
    for case, _ in planned:
        parts = [_load(folder / chunk.file, case) for chunk in chunks[case.key]]
        found += rows(case, np.concatenate([part for part, _ in parts]))
        seconds += sum(cpu for _, cpu in parts)
    return found, seconds


def _chunks(case: Case, replicates: int) -> Iterator[Chunk]:
    for first in range(0, replicates, CHUNK):
        yield Chunk(case.key, first, min(first + CHUNK, replicates))


def _there(chunks: Sequence[Chunk], seed: int, workers: int) -> Iterator[tuple[Chunk, bytes]]:
    """Chunks over spawned processes, at most two waiting for each."""
    todo = list(chunks)
    if not todo:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # inherited: a worker's matrices are small, threads would only wait
    with worker_pool(min(workers, len(todo))) as pool:
        running: dict[Future[bytes], Chunk] = {}
        while todo or running:
            while todo and len(running) < 2 * workers:
                chunk = todo.pop(0)
                running[pool.submit(_part, chunk, seed)] = chunk
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


_cases: dict[str, Case] = {}  # a worker process's own, built once


def _part(chunk: Chunk, seed: int) -> bytes:
    if not _cases:
        _cases.update({case.key: case for case in all_cases()})
    begun = time.process_time()
    table = count(_cases[chunk.key], seed, chunk.first, chunk.last)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, table=table, cpu=np.array(time.process_time() - begun))
    return buffer.getvalue()


def _load(path: Path, case: Case) -> tuple[Floats, float]:
    try:
        with np.load(path, allow_pickle=False) as held:
            table, cpu = held["table"], float(held["cpu"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise StoreError(f"{path} cannot be read ({error}): delete it and run the same command again") from error
    if table.shape[1:] != (len(names(case)), 4):
        raise StoreError(f"{path} holds {table.shape[1:]}, not {len(names(case))} names: delete it and run again")
    return table, cpu


def identity(seed: int) -> dict[str, str]:
    """What a count depends on."""
    libraries = {name: version(name) for name in ("numpy", "scipy", "polars")}
    return {"seed": str(seed), "code": code_hash()} | libraries


def code_hash() -> str:
    """SHA-256 (first 16 digits) of the source files that a count depends on."""
    root = Path(deadreckon.__file__).parent
    digest = hashlib.sha256()
    for place in MEASURED:
        for path in sorted((root / place).rglob("*.py")) if (root / place).is_dir() else [root / place]:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _open(out: Path, seed: int) -> Path:
    """The folder of what was counted, made for this identity or refused."""
    folder = out / COUNTED
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}: choose another --out") from error
    path, mine = folder / IDENTITY, identity(seed)
    if not path.exists():
        write_atomic(path, json.dumps(mine, indent=1).encode() + b"\n")
        return folder
    held = json.loads(path.read_text())
    if held != mine:
        other = ", ".join(
            f"{name} {held.get(name)} there, {value} now" for name, value in mine.items() if held.get(name) != value
        )
        raise OtherIdentity(f"{folder} was counted otherwise ({other}): use another --out")
    return folder
