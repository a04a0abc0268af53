"""Where counts are kept: a folder for each planted law, named by all that its counts depend on.

    OUT/counted/frailty-3f2a.../0123456789abcdef-000100-000200.npz

Counts made by other code, other libraries or another seed lie in folders of other names: they are never mixed, and what
is not touched by a change of the code is not counted again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from deadreckon.errors import StoreError
from deadreckon.rollouts.store import write_atomic
from deadreckon.seeds import hash64
from deadreckon.validation.case import Case
from deadreckon.validation.relies import code_of
from deadreckon.validation.tally import Floats, names

CHUNK = 100  # replicates counted, and kept, together
COUNTED = "counted"  # the folder of what was counted
IDENTITY = "identity.json"
ADOPTED = "adopted.json"
LIBRARIES = ("numpy", "scipy", "polars")

Plan = Sequence[tuple[Case, int]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Replicates first ... last-1 of a case, and the file that keeps them."""

    case: Case
    first: int
    last: int
    file: Path

    @property
    def size(self) -> int:
        """Replicates."""
        return self.last - self.first

    @property
    def done(self) -> bool:
        """Counted already."""
        return self.file.exists()


@dataclass(frozen=True, slots=True)
class Counted:
    """What there is of one topic."""

    topic: str
    cells: int
    least: int  # replicates of the cell with the fewest
    most: int
    replicates: int  # of all its cells
    whole: bool  # every replicate that was planned is there
    code: str  # hash of the sources that the counts rely on
    cpu: float  # seconds
    adopted: str = ""  # the code that made those counts which were taken over


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the counts of a topic are kept, and the hash of the sources that they rely on."""

    path: Path
    code: str

    @property
    def adopted(self) -> str:
        """The hash of the sources that made counts which were taken over; "" = none were."""
        note = self.path / ADOPTED
        return str(json.loads(note.read_text())["code"]) if note.exists() else ""


def open_topics(planned: Plan, out: Path, seed: int) -> dict[str, Folder]:
    """The folder of each topic's counts, made where it is not there. StoreError."""
    topics: dict[str, list[Case]] = {}
    for case, _ in planned:
        topics.setdefault(case.topic, []).append(case)
    return {topic: _open(topic, out, identity(cases, seed)) for topic, cases in topics.items()}


def identity(cases: Sequence[Case], seed: int) -> dict[str, str]:
    """What the counts of a topic's cases depend on."""
    return {"seed": str(seed), "code": code_of(cases)} | {name: version(name) for name in LIBRARIES}


def _open(topic: str, out: Path, mine: dict[str, str]) -> Folder:
    slug = re.sub(r"[^a-z0-9]+", "-", topic.lower()).strip("-")
    folder = out / COUNTED / f"{slug}-{hash64(*mine.values()):016x}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}: choose another --out") from error
    if not (folder / IDENTITY).exists():
        write_atomic(folder / IDENTITY, json.dumps(mine, indent=1).encode() + b"\n")
    return Folder(folder, mine["code"])


def adopt(folder: Folder, parts: Sequence[Sequence[Chunk]]) -> None:
    """Take over counts of other code that comes to the same, bit for bit, wherever both have counted.

    parts: the chunks of each case of the topic. The other code's counts must be of the same seed and libraries, and
    every case something is taken over of must have been counted by both. StoreError.
    """
    slug, code = folder.path.name.rpartition("-")[0], json.loads((folder.path / IDENTITY).read_text())
    for other in sorted(folder.path.parent.glob(f"{slug}-{'[0-9a-f]' * 16}")):
        theirs = json.loads((other / IDENTITY).read_text())
        if other == folder.path or theirs | {"code": ""} != code | {"code": ""}:
            continue
        known = [[replace(chunk, file=other / chunk.file.name) for chunk in part] for part in parts]
        pairs = [list(zip(mine, held, strict=True)) for mine, held in zip(parts, known, strict=True)]
        wanted = [pair for part in pairs for pair in part if not pair[0].done and pair[1].done]
        seen = [pair for part in pairs for pair in part if pair[0].done and pair[1].done]
        if not wanted or not {mine.case.key for mine, _ in wanted} <= {mine.case.key for mine, _ in seen}:
            continue
        if all(np.array_equal(load(mine)[0], load(held)[0], equal_nan=True) for mine, held in seen):
            for mine, held in wanted:
                write_atomic(mine.file, held.file.read_bytes())
            made = Folder(other, theirs["code"])
            write_atomic(folder.path / ADOPTED, json.dumps({"code": made.adopted or made.code}).encode() + b"\n")


def chunks(case: Case, replicates: int, folder: Path) -> Iterator[Chunk]:
    """The parts of a case's replicates, in order."""
    for first in range(0, replicates, CHUNK):
        last = min(first + CHUNK, replicates)
        yield Chunk(case, first, last, folder / f"{hash64(case.key):016x}-{first:06d}-{last:06d}.npz")


def unbroken(parts: Sequence[Chunk]) -> list[Chunk]:
    """The parts that are there, up to the first that is not."""
    there = []
    for part in parts:
        if not part.done:
            break
        there.append(part)
    return there


def load(chunk: Chunk) -> tuple[Floats, float]:
    """Outcomes (replicates, names, 4) and the CPU seconds they took. StoreError."""
    path, wanted = chunk.file, len(names(chunk.case))
    try:
        with np.load(path, allow_pickle=False) as held:
            table, cpu = held["table"], float(held["cpu"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise StoreError(f"{path} cannot be read ({error}): delete it and run the same command again") from error
    if table.shape[1:] != (wanted, 4):
        raise StoreError(f"{path} holds {table.shape[1:]}, not {wanted} names: delete it and run again")
    return table, cpu
