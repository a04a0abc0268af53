"""The whole validation: cells, golden numbers, planted bugs; counted, judged and written."""

from __future__ import annotations

import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import deadreckon
from deadreckon.rollouts.store import write_atomic
from deadreckon.validation import runner
from deadreckon.validation.golden import agreements
from deadreckon.validation.page import Report, as_json, markdown
from deadreckon.validation.planting import hunt
from deadreckon.validation.suite import SIZES, plan


def expect(size: str, topic: str | None, workers: int) -> str:
    """What will be run and how long it will take, in words, from one replicate of each cell."""
    planned = plan(size, topic)
    seconds = runner.estimate(planned)
    told = f"{sum(count for _, count in planned):,} replicates of {len(planned)} cells"
    return f"{told}: about {seconds:,.0f} CPU seconds, {seconds / workers / 60:.1f} minutes on {workers} free cores"


def validate(
    out: Path,
    size: str = "quick",
    topic: str | None = None,
    *,
    seed: int = 0,
    workers: int = 2,
    progress: runner.Progress,
) -> Report:
    """Run a size, or one topic of it, and write OUT/validation.md and .json. A killed run goes on where it was.

    Golden numbers and planted bugs belong to every size and to no topic. StoreError, OtherIdentity, UnknownName.
    """
    begun = time.time()
    planned = plan(size, topic)
    rows, seconds = runner.run(planned, out, seed, workers, progress)
    whole = topic is None
    golden, bugs = (agreements(), hunt(workers)) if whole else ([], [])
    facts = {
        "command": f"deadreckon validate --size {size}" + (f" --topic {topic!r}" if topic else "") + f" --seed {seed}",
        "commit": commit(),
        "code": runner.code_hash(),
        "versions": ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "polars"))
        + f", Python {platform.python_version()}, deadreckon {deadreckon.__version__}",
        "machine": f"{platform.system()} {platform.machine()}",
        "seed": str(seed),
        "replicates": f"{SIZES[size].replicates:,} a cell, {SIZES[size].closed:,} where everything is closed-form",
        "counted": f"{sum(count for _, count in planned):,} replicates, {len(planned)} cells, {len(rows)} rows",
        "time": f"{seconds:,.0f} CPU seconds counting; this run {time.time() - begun:,.0f} seconds, {workers} workers",
    }
    report = Report(facts, rows, golden, bugs)
    write_atomic(out / "validation.md", markdown(report).encode())
    write_atomic(out / "validation.json", as_json(report).encode())
    return report


def commit() -> str:
    """The commit of the source, where it lies in a checkout of its own; marked where files differ from it."""
    folder = Path(deadreckon.__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", "contracts.py") is None:
        return "not in a checkout"
    changed = git("status", "--porcelain", "--untracked-files=no", ".")
    return f"{git('rev-parse', 'HEAD')}{', with changes' if changed else ''}"
