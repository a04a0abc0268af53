"""The same run gives the same bytes: at any batch size and worker count, and after any kill and resume."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
import torch
from nursery import Nursery, nursery
from polars.testing import assert_frame_equal
from safetensors.torch import save

from deadreckon.contracts import OnError
from deadreckon.models.gpt import GPT, GPTConfig
from deadreckon.models.tokens import Tokenizer
from deadreckon.rollouts.run import roll
from deadreckon.rollouts.spec import RollSpec
from deadreckon.rollouts.store import read_run, run_hash
from deadreckon.worlds import load_world

WORLD = "sums:k=4"
NOISY = RollSpec(
    WORLD, 1, "noisy-oracle:slip=0.05,recover=0.1", items=600, repeats=2, horizon=24, seed=3, part_items=20
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> RollSpec:
    """A run of a small untrained network: its rollouts are nonsense, and every bit of its logits matters to them."""
    alphabet = tuple(load_world(WORLD).alphabet)
    size = {"vocab": len(alphabet) + 1, "context": 320, "layers": 1, "width": 32, "head": 32}
    content = save({name: w.detach().half() for name, w in GPT(GPTConfig(**size), seed=3).named_parameters()})
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    path.write_bytes(content)
    card = {"size": size, "alphabet": alphabet, "alphabet_hash": Tokenizer(alphabet).identity, "seed": 3}
    path.with_suffix(".json").write_text(json.dumps(card | {"sha256": sha256(content).hexdigest()}))
    return RollSpec(WORLD, 1, f"gpt:{path}", items=7, repeats=2, horizon=4, seed=3, on_error=OnError.SKIP, part_items=1)


def same_bytes_everywhere(spec: RollSpec, folder: Path) -> None:
    hashes = {}
    for workers in (1, 2):
        for batch in (1, 7, 64):
            out = folder / f"{batch}-{workers}"
            table = roll(spec, out, batch=batch, workers=workers)
            hashes[batch, workers] = run_hash(out)
            assert_frame_equal(table, read_run(out)[1])
    assert len(set(hashes.values())) == 1, hashes
    assert_frame_equal(roll(spec), table)


def test_batch_and_workers_change_no_byte_of_an_oracles_run(tmp_path: Path) -> None:
    same_bytes_everywhere(replace(NOISY, items=150, part_items=40), tmp_path)


def test_batch_and_workers_change_no_byte_of_a_networks_run(gpt: RollSpec, tmp_path: Path) -> None:
    same_bytes_everywhere(gpt, tmp_path)
    assert read_run(tmp_path / "1-1")[1]["action"].n_unique() > 20, "a network that always says the same tests nothing"


def kills(raise_and_kill: Nursery, spec: RollSpec, folder: Path, n: int, workers: int) -> None:
    """Kill a run at random moments, resuming each time, until n kills struck it at work; another where one completes.

    How long a run takes changes with what else the machine does: a run that was missed is struck sooner next time.
    """
    rng = random.Random(workers)
    begun = time.monotonic()
    raise_and_kill(folder / "whole", None, spec=spec.json(), workers=workers)
    longest = 0.4 * (time.monotonic() - begun)
    whole, rows, parts = run_hash(folder / "whole"), read_run(folder / "whole")[1], -(-spec.items // spec.part_items)
    run, kept, at_work = folder / "0", 0, 0
    for kill in range(5 * n):
        raise_and_kill(run, rng.uniform(0.0, longest), spec=spec.json(), workers=workers)
        manifest = run / "manifest.jsonl"
        now = manifest.read_bytes().count(b"\n") if manifest.exists() else 0
        assert now >= kept, "a committed part is lost"
        longest *= 0.8 if now == parts else 1.1 if now == kept else 1.0
        kept = now
        at_work += kept < parts
        if kept:
            table = read_run(run)[1]
            assert rows.join(table, on=["item", "rollout", "t"], how="semi").height == table.height
        if kept == parts or at_work == n:
            assert_frame_equal(roll(spec, run, workers=1), rows)
            assert run_hash(run) == whole
            run, kept = folder / str(kill + 1), 0
        if at_work == n:
            return
    raise AssertionError(f"only {at_work} of {5 * n} kills struck a run at work")


@pytest.mark.kill
def test_a_killed_run_resumes_to_the_same_bytes(gpt: RollSpec, tmp_path: Path) -> None:
    with nursery() as raise_and_kill:
        for name, spec, n, workers in (
            ("oracle", NOISY, 10, 1),
            ("network", gpt, 10, 1),
            ("workers", gpt, 3, 2),
            ("kernel", replace(gpt, model=f"{gpt.model},engine=auto", items=200), 20, 1),
        ):
            kills(raise_and_kill, spec, tmp_path / name, n, workers)
    assert not list(tmp_path.rglob("*.tmp"))


def workers_of_the_dead() -> set[str]:
    """Processes of a pool whose parent has died: the kernel gave them to another."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            command = stat.with_name("cmdline").read_bytes()
            parent = stat.read_text().rsplit(")", 1)[1].split()[1]
            siblings = Path(f"/proc/{parent}/cmdline").read_bytes()
        except OSError:
            continue  # it has just ended
        if b"spawn_main" in command and b"python" not in siblings:
            found.add(stat.parent.name)
    return found


@pytest.mark.kill
def test_no_worker_outlives_a_killed_run(tmp_path: Path) -> None:
    before = workers_of_the_dead()
    with nursery() as raise_and_kill:
        raise_and_kill(tmp_path / "run", 3.0, spec=replace(NOISY, items=200_000).json(), workers=2)
    deadline = time.monotonic() + 20
    while workers_of_the_dead() - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers_of_the_dead() <= before


def test_rows_of_a_run_are_sorted_and_whole(gpt: RollSpec) -> None:
    table = roll(gpt)
    ordered = table.sort("item", "rollout", "t")
    assert_frame_equal(table, ordered)
    ends = table.group_by("item", "rollout").agg(pl.col("stop").count())
    assert ends.height == gpt.items * gpt.repeats
    assert set(ends["stop"]) == {1}
