"""Run a spec: parts of items, computed here or in worker processes, committed one by one.

The same spec gives the same bytes at any batch size, worker count and after any kill and resume: parts are
fixed ranges of items, draws are keyed by place, and what a rollout computes depends on its own history alone.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from deadreckon import __version__
from deadreckon.contracts import BatchWorld, DecliningWorld, Json, Key, Model, OnError, Privileged, Remote, World
from deadreckon.errors import BadOption, BadText
from deadreckon.models import load_model
from deadreckon.models.kernel.model import KernelModel
from deadreckon.rollouts.answers import open_answers
from deadreckon.rollouts.journal import FileJournal
from deadreckon.rollouts.lane import Lane, OracleLane, run_lane
from deadreckon.rollouts.loop import Live, Loop
from deadreckon.rollouts.progress import Bar
from deadreckon.rollouts.prompting import Prompter, check_reader, load_prompting
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import RunStore, frame_bytes, write_atomic
from deadreckon.rollouts.table import Origin, from_steps
from deadreckon.rollouts.textlane import TextLane
from deadreckon.rollouts.transcript import Story
from deadreckon.rollouts.workers import worker_pool
from deadreckon.scaffolds import load_scaffold
from deadreckon.seeds import Purpose, generator, hash64
from deadreckon.worlds import load_world
from deadreckon.worlds.kinds import UnjudgedWorld

CONTRACT = "contract.json"  # what a remote model's server was found to do

Progress = Callable[[int, int], None]  # (rollouts done, rollouts in all)
Computed = Callable[[dict[int, range]], Iterator[tuple[int, bytes]]]  # parts -> the bytes of each


@dataclass(frozen=True)
class Bench:
    """A spec with its world and model loaded: what a process needs to compute parts."""

    spec: RollSpec
    world: World[Any, Any]
    model: Model
    prompter: Prompter | None = None  # None: the transcript itself is the prompt

    @classmethod
    def load(cls, spec: RollSpec) -> Bench:
        """Load what the spec names. UnknownName, BadOption, BadWeights."""
        world, model = load_world(spec.world), load_model(spec.model)
        load_scaffold(spec.scaffold)
        if spec.level not in world.levels:
            raise BadOption(f"level={spec.level}: {world.name} has levels {', '.join(map(str, world.levels))}")
        if isinstance(model, Privileged) and spec.temperature != 1.0:
            raise BadOption(f"temperature={spec.temperature:g}: {model.name} draws from its own law, leave it at 1")
        if isinstance(world, UnjudgedWorld) and spec.on_error is OnError.REPAIR and not spec.teach:
            raise BadOption(f"on_error=repair: {world.unjudged}, so nothing is ever repaired: add teach")
        prompting = load_prompting(spec.prompt)
        check_reader(model, prompting)
        words = prompting.shape != "transcript"
        prompter = Prompter(world, spec.level, load_scaffold(spec.scaffold), prompting, spec.seed) if words else None
        bench = cls(spec, world, model, prompter)
        bench.check_text()
        return bench

    def check_text(self) -> None:
        """BadText where the model does not know the symbols of the world's text."""
        world, state = self.world, self.start(0)
        text = world.opening(state) + world.says(state) + world.write(next(iter(world.policy(state)))) + world.end
        try:
            self.model.check(text)
        except BadText as error:
            raise BadText(
                f"{self.model.name} does not read {self.world.name}, whose text is {text[:24]!r}...:"
                " choose a model of that world (deadreckon list models)"
            ) from error

    @property
    def run(self) -> str:
        """The run's name."""
        return self.spec.run(self.model.identity.get("weights", ""))

    @property
    def origin(self) -> Origin:
        """What every row shares."""
        spec = self.spec
        return Origin(self.run, self.world.name, spec.level, self.model.name, self.model.seed, spec.scaffold)

    def item_hash(self, item: int) -> int:
        """The item's part of every draw's key."""
        return hash64(self.world.name, self.spec.level, item)

    def start(self, item: int) -> Any:
        """The item's start state."""
        rng = generator(self.spec.seed, self.item_hash(item), Purpose.START)
        return self.world.start(self.spec.level, rng)

    def parts(self) -> list[range]:
        """The items of each part."""
        size, items = self.spec.parts(self.model), self.spec.items
        return [range(first, min(first + size, items)) for first in range(0, items, size)]


def connect(bench: Bench, terms: str, workers: int) -> Json:
    """Check what a remote model's server promises before anything is measured; None for a model of this process."""
    if not isinstance(bench.model, Remote):
        if terms:
            raise BadOption(f"terms are for models behind a server: {bench.model.name} runs here, leave them out")
        return None
    if workers > 1:
        raise BadOption(f"workers={workers}: a server is asked from one process, use terms concurrency=N")
    return bench.model.connect(terms, temperature=bench.spec.temperature, law=bench.spec.law)


def takes_lane(bench: Bench) -> bool:
    """Whether the batched lane can run this spec (same bytes, faster)."""
    plain = bench.spec.scaffold == "plain" and bench.prompter is None
    plain = plain and not isinstance(bench.world, DecliningWorld)  # the lane knows no abstention
    return plain and isinstance(bench.model, Privileged | KernelModel) and isinstance(bench.world, BatchWorld)


def _on_lane(bench: Bench, items: range) -> pl.DataFrame:
    """On the batched lane, as many rollouts at once as it holds."""
    world, model, spec = bench.world, bench.model, bench.spec
    assert isinstance(world, BatchWorld)
    most = len(items) if isinstance(model, Privileged) else max(1, model.capacity // spec.repeats)
    tables = []
    for first in range(0, len(items), most):
        some = items[first : first + most]
        starts = [bench.start(item) for item in some]
        if isinstance(model, KernelModel):
            lane: Lane = TextLane(world, model, spec, starts)
        else:
            assert isinstance(model, Privileged)
            lane = OracleLane(world, model, spec)
        tables.append(run_lane(lane, bench.origin, [(item, bench.item_hash(item)) for item in some], starts))
    return pl.concat(tables) if len(tables) > 1 else tables[0]


def compute(bench: Bench, items: range, batch: int, *, lane: bool = True) -> pl.DataFrame:
    """The step table of these items, rows sorted by (item, rollout, t)."""
    if lane and takes_lane(bench):
        with suppress(BadText):  # a rollout's own text that its model cannot read: the loop cuts that one alone
            return _on_lane(bench, items)
    loop = Loop(bench.world, load_scaffold(bench.spec.scaffold), bench.spec)
    lives = [live for item in items for live in _lives(bench, item)]
    size = max(1, min(batch, bench.model.capacity))
    for first in range(0, len(lives), size):
        answers = open_answers(bench.world, bench.model, law=bench.spec.law, prompter=bench.prompter)
        loop.run(lives[first : first + size], answers)
    return from_steps(bench.origin, [(live.item, live.key.rollout, live.steps) for live in lives])


def _lives(bench: Bench, item: int) -> list[Live]:
    """The rollouts of an item, about to begin."""
    key, state = bench.item_hash(item), bench.start(item)
    opening = bench.world.opening(state)
    return [Live(item, Key(bench.spec.seed, key, r, 0), state, Story(opening)) for r in range(bench.spec.repeats)]


def identity(bench: Bench) -> dict[str, str]:
    """What the bytes depend on beyond the spec."""
    facts = {
        "deadreckon": __version__,
        "world": bench.world.name,
        "numpy": np.__version__,
        "polars": pl.__version__,
        "machine": platform.machine(),
    }
    return facts | dict(bench.model.identity)


def roll(
    spec: RollSpec,
    out: Path | str | None = None,
    *,
    batch: int = 0,
    workers: int = 1,
    terms: str = "",
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Run a spec and return its step table; with `out`, commit each part there and resume what is committed.

    batch: rollouts in flight (0 = as many as the model takes); workers: processes. Neither changes a byte.
    terms: limits on the requests to a remote model, as in "cap_tokens=100000" (`Terms`); they change no byte either.
    OtherIdentity where `out` holds another run; StoreError where it cannot be written; WorkerDied; and of a remote
    model BrokenContract, ServerRefused, CapReached: what is committed or answered is kept.
    """
    if workers < 1 or batch < 0:
        raise BadOption(
            f"workers={workers}, batch={batch}: give at least 1 worker, and a batch of at least 1 (0 = auto)"
        )
    bench = Bench.load(spec)
    size = batch or bench.model.capacity
    with ExitStack() as stack:
        if isinstance(bench.model, Remote):
            stack.callback(bench.model.close)
        contract = connect(bench, terms, workers)
        if isinstance(bench.model, Remote) and isinstance(progress, Bar):
            bench.model.watch(progress.note)
        computed = partial(_computed, bench, batch=size, workers=workers, progress=progress)
        if out is not None:
            return _stored(bench, Path(out), contract, computed)
        frames = dict(computed(dict(enumerate(bench.parts()))))
        return pl.concat([pl.read_parquet(frames[i]) for i in sorted(frames)])


def _stored(bench: Bench, out: Path, contract: Json, computed: Computed) -> pl.DataFrame:
    """Compute and commit what the folder lacks; all of it."""
    facts, spec = identity(bench), bench.spec
    resume_id = hashlib.sha256(json.dumps([bench.run, facts], sort_keys=True).encode()).hexdigest()[:16]
    content = {"run": bench.run, "spec": spec.json(), "identity": facts}
    with RunStore.create_or_resume(out, content, resume_id) as store, ExitStack() as stack:
        if isinstance(bench.model, Remote):
            write_atomic(out / CONTRACT, json.dumps(contract, indent=1).encode() + b"\n")
            bench.model.remember(stack.enter_context(FileJournal(out)))
        missing = {i: part for i, part in enumerate(bench.parts()) if i not in store.committed()}
        for index, data in computed(missing):
            store.commit_bytes(index, data, pl.read_parquet(data, columns=["t"]).height)
        return store.read()


def _computed(
    bench: Bench, parts: dict[int, range], batch: int, workers: int, progress: Progress | None
) -> Iterator[tuple[int, bytes]]:
    """Each part's bytes as they are ready; `progress` counts rollouts of the whole run."""
    total = bench.spec.items * bench.spec.repeats
    done = total - sum(map(len, parts.values())) * bench.spec.repeats
    tell = progress or (lambda _done, _total: None)
    tell(done, total)
    source = _here(bench, parts, batch) if workers == 1 or len(parts) <= 1 else _there(bench, parts, batch, workers)
    for index, data in source:
        done += len(parts[index]) * bench.spec.repeats
        yield index, data
        tell(done, total)


def _here(bench: Bench, parts: dict[int, range], batch: int) -> Iterator[tuple[int, bytes]]:
    for index, items in parts.items():
        yield index, frame_bytes(compute(bench, items, batch))


def _there(bench: Bench, parts: dict[int, range], batch: int, workers: int) -> Iterator[tuple[int, bytes]]:
    """Parts over spawned processes, at most two waiting for each, so that memory stays bounded."""
    todo = list(parts.items())
    with worker_pool(min(workers, len(todo)), partial(_load, bench.spec)) as pool:
        running: dict[Future[bytes], int] = {}
        while todo or running:
            while todo and len(running) < 2 * workers:
                index, items = todo.pop(0)
                running[pool.submit(_part, items, batch)] = index
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()


_bench: list[Bench] = []  # a worker process's own, loaded once


def _load(spec: RollSpec) -> None:
    _bench[:] = [Bench.load(spec)]


def _part(items: range, batch: int) -> bytes:
    return frame_bytes(compute(_bench[0], items, batch))
