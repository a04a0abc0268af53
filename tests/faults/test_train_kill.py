"""A training run killed at any moment resumes to the same weights, bit for bit, whatever was being written."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from deadreckon.seeds import Purpose, generator, hash64

RECIPE = """
[text]
worlds = ["sums"]
level = 1
regime = "repaired"
clean_share = 0.5
actions = 2
[size]
layers = 1
width = 32
context = 120
[fit]
steps = 24
rows = 2
"""
KILLS = 6


def work(recipe: str, out: str) -> None:
    """A run in a process of its own."""
    import torch

    from deadreckon.train import card
    from deadreckon.train.fit import train

    torch.set_num_threads(1)
    card.ITEMS = 2
    train(recipe, Path(out), seed=1, save_every=1, quiet=True)


@pytest.mark.kill
def test_a_run_killed_again_and_again_ends_with_the_weights_of_one_left_alone(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("forkserver")
    spawn.set_forkserver_preload(["deadreckon.train.fit"])  # so that a start costs milliseconds
    recipe = tmp_path / "killed.toml"
    recipe.write_text(RECIPE)

    def start(out: str) -> multiprocessing.process.BaseProcess:
        process = spawn.Process(target=work, args=(str(recipe), str(tmp_path / out)))
        process.start()
        return process

    start("warm").join()  # the server has loaded torch
    begun = time.monotonic()
    start("alone").join()
    whole = time.monotonic() - begun
    waits = generator(0, hash64("kill"), Purpose.TEXT).random(KILLS) * whole * 0.8
    kills = 0
    for wait in waits.tolist():
        process = start("killed")
        time.sleep(wait)
        kills += process.is_alive()
        process.kill()
        process.join()
    last = start("killed")
    last.join()
    assert last.exitcode == 0
    assert kills >= KILLS / 2
    name = "killed-s1.safetensors"
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "warm" / name).read_bytes()
