"""Replicates over worker processes: the same counts for any number of them, and after any kill and resume."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deadreckon.rollouts.store import write_atomic
from deadreckon.rollouts.workers import worker_pool
from deadreckon.validation.case import Case, replicate
from deadreckon.validation.counts import Chunk, Counted, Folder, Plan, adopt, chunks, load, open_topics, unbroken
from deadreckon.validation.suite import FIRST, SIZES, all_cases
from deadreckon.validation.tally import FAILURES, Floats, Row, outcomes, rows

TIMED = 3  # replicates of each case behind an estimate of time

Progress = Callable[[int, int], None]  # (replicates counted, replicates in all)
Parts = dict[str, list[Chunk]]  # of each case, by its key
Names = tuple[str, int, int]  # a chunk's case, first and last, for a worker process


@dataclass(frozen=True, slots=True)
class Run:
    """Every row that could be counted, and what was counted of each topic."""

    rows: list[Row]
    topics: list[Counted]
    asked: int  # replicates

    @property
    def cpu(self) -> float:
        """Seconds behind the counts."""
        return sum(topic.cpu for topic in self.topics)


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
    """CPU seconds that the plan will take, from a few replicates of each case (after a first one that warms up)."""
    total = 0.0
    for case, replicates in planned:
        case.sample(replicate(case, 0, 0))
        begun = time.process_time()
        for place in range(TIMED):
            case.sample(replicate(case, 0, 1 + place))
        total += (time.process_time() - begun) / TIMED * replicates
    return total


@dataclass(frozen=True, slots=True)
class Order:
    """What to count: a size, or one topic of it, from this seed, for so many minutes at most.

    adopt: where the first counts of a topic come out as other code's did, take over the rest of those (`counts.adopt`).
    """

    size: str = "quick"
    topic: str | None = None
    seed: int = 0
    minutes: float = float("inf")
    adopt: bool = False

    @property
    def command(self) -> str:
        """As it is typed."""
        extra = f" --topic {self.topic!r}" if self.topic else ""
        extra += f" --minutes {self.minutes:g}" if self.minutes < float("inf") else ""
        extra += " --adopt" if self.adopt else ""
        return f"deadreckon validate --size {self.size}{extra} --seed {self.seed}"


def run(planned: Plan, out: Path, order: Order, workers: int, progress: Progress) -> Run:
    """Count what is not counted yet, as far as the minutes go, then every row that there are counts of.

    The first counts of every cell come first, then topic by topic, the cheapest first; then more counts of every cell
    with a row outside what is allowed (`second_sample`). StoreError; WorkerDied.
    """
    ends = time.monotonic() + 60 * order.minutes
    folders = open_topics(planned, out, order.seed)

    def go(parts: Parts, stage: Callable[[Sequence[Chunk], Parts], list[Chunk]]) -> None:
        every = [chunk for part in parts.values() for chunk in part]
        left, total = [chunk for chunk in every if not chunk.done], sum(chunk.size for chunk in every)
        done = total - sum(chunk.size for chunk in left)
        if left:
            progress(done, total)
        for chunk, data in _there(stage(left, parts), order.seed, workers, ends):
            write_atomic(chunk.file, data)
            done += chunk.size
            progress(done, total)

    def take_over(parts: Parts) -> None:
        for topic, folder in folders.items() if order.adopt else ():
            adopt(folder, [part for part in parts.values() if part[0].case.topic == topic])

    parts = _parts(planned, folders)
    go(parts, _first_counts)
    take_over(parts)
    go(parts, _by_cost)
    planned = second_sample(planned, parts, SIZES[order.size].closed)
    parts = _parts(planned, folders)
    take_over(parts)
    go(parts, _by_cost)
    return _gather(planned, parts, folders)


def _parts(planned: Plan, folders: dict[str, Folder]) -> Parts:
    return {case.key: list(chunks(case, replicates, folders[case.topic].path)) for case, replicates in planned}


def second_sample(planned: Plan, parts: Parts, most: int) -> Plan:
    """The plan, with `most` replicates of each cell that is counted whole and has a row outside what is allowed.

    The Monte-Carlo error of 2,000 replicates is half a point: one in some twenty intervals that hold 96 times in 100
    would fail by chance. What is outside of the larger sample fails. Source: double sampling, Dodge and Romig, Bell
    System Technical Journal 20 (1941).
    """
    wider = []
    for case, replicates in planned:
        part = parts[case.key]
        if replicates < most and all(chunk.done for chunk in part):
            counted = rows(case, np.concatenate([load(chunk)[0] for chunk in part]))
            replicates = most if any(row.verdict in FAILURES for row in counted) else replicates
        wider.append((case, replicates))
    return wider


def _first_counts(left: Sequence[Chunk], parts: Parts) -> list[Chunk]:
    return [chunk for chunk in left if chunk.last <= FIRST]


def _by_cost(left: Sequence[Chunk], parts: Parts) -> list[Chunk]:
    """What is left, the topic that will take the least CPU first, by what its first counts took."""
    seconds: dict[str, float] = {}
    for part in parts.values():
        cpu = load(part[0])[1] / part[0].size if part[0].done else 0.0
        ahead = sum(chunk.size for chunk in part if not chunk.done)
        seconds[part[0].case.topic] = seconds.get(part[0].case.topic, 0.0) + cpu * ahead
    return sorted(left, key=lambda chunk: seconds[chunk.case.topic])


def _gather(planned: Plan, parts: Parts, folders: dict[str, Folder]) -> Run:
    found: list[Row] = []
    sizes: dict[str, list[int]] = {topic: [] for topic in folders}
    asked, cpu = dict.fromkeys(folders, 0), dict.fromkeys(folders, 0.0)
    for case, replicates in planned:
        held = [load(chunk) for chunk in unbroken(parts[case.key])]
        sizes[case.topic].append(sum(len(table) for table, _ in held))
        asked[case.topic] += replicates
        cpu[case.topic] += sum(seconds for _, seconds in held)
        if held:
            found += rows(case, np.concatenate([table for table, _ in held]))
    topics = []
    for topic, folder in folders.items():
        size = sizes[topic]
        whole = sum(size) == asked[topic]
        counted = Counted(
            topic, len(size), min(size), max(size), sum(size), whole, folder.code, cpu[topic], folder.adopted
        )
        topics.append(counted)
    return Run(found, topics, sum(asked.values()))


def _there(chunks: Sequence[Chunk], seed: int, workers: int, ends: float) -> Iterator[tuple[Chunk, bytes]]:
    """Chunks over spawned processes, at most two waiting for each; none is begun after `ends`."""
    todo = list(chunks)
    if not todo or time.monotonic() >= ends:
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # inherited: a worker's matrices are small, threads would only wait
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    with worker_pool(min(workers, len(todo))) as pool:
        running: dict[Future[bytes], Chunk] = {}
        while todo or running:
            if time.monotonic() >= ends:
                todo.clear()
            while todo and len(running) < 2 * workers:
                chunk = todo.pop(0)
                running[pool.submit(_part, (chunk.case.key, chunk.first, chunk.last), seed)] = chunk
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


_cases: dict[str, Case] = {}  # a worker process's own, built once


def _part(named: Names, seed: int) -> bytes:
    if not _cases:
        _cases.update({case.key: case for case in all_cases()})
    key, first, last = named
    begun = time.process_time()
    table = count(_cases[key], seed, first, last)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, table=table, cpu=np.array(time.process_time() - begun))
    return buffer.getvalue()
