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
from deadreckon.validation.counts import LIBRARIES
from deadreckon.validation.golden import agreements
from deadreckon.validation.page import Report, as_json, markdown
from deadreckon.validation.planting import hunt
from deadreckon.validation.runner import Order
from deadreckon.validation.suite import SIZES, plan


def expect(size: str, topic: str | None, workers: int) -> str:
    """What the whole of it takes, in words, from three replicates of each cell."""
    planned = plan(size, topic)
    seconds = runner.estimate(planned)
    told = f"{sum(count for _, count in planned):,} replicates of {len(planned)} cells"
    return f"{told}: about {seconds:,.0f} CPU seconds, {seconds / workers / 60:.1f} minutes on {workers} free cores"


def validate(out: Path, order: Order, *, workers: int = 2, progress: runner.Progress) -> Report:
    """Count what is not counted yet and write OUT/validation.md and .json. A killed run goes on where it was.

    Golden numbers and planted bugs belong to every size and to no topic. StoreError, UnknownName, WorkerDied.
    """
    begun = time.time()
    planned = plan(order.size, order.topic)
    counted = runner.run(planned, out, order, workers, progress)
    golden, bugs = ([], []) if order.topic else (agreements(), hunt(workers))
    there = sum(topic.replicates for topic in counted.topics)
    size = SIZES[order.size]
    facts = {
        "command": order.command,
        "commit": commit(),
        "versions": ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        + f", Python {platform.python_version()}, deadreckon {deadreckon.__version__}",
        "machine": f"{platform.system()} {platform.machine()}",
        "seed": str(order.seed),
        "replicates": f"{size.replicates:,} a cell; {size.closed:,} with a test, all in closed form, or a row "
        f"outside the rule at {size.replicates:,}",
        "counted": f"{there:,} of {counted.asked:,} replicates, {len(planned)} cells, {len(counted.rows)} rows",
        "time": f"{counted.cpu:,.0f} CPU seconds counting; this run {time.time() - begun:,.0f} s, {workers} workers",
    }
    report = Report(facts, counted.rows, golden, bugs, counted.topics)
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
