"""A progress bar with an estimate, on standard error, only where a person is watching."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """A function of (done, in all) that moves the bar, and takes notes of what is going on."""

    def __init__(self, bar: Progress, title: str):
        """`bar` is live."""
        self._bar, self._task = bar, bar.add_task(title, total=None, note="")

    def __call__(self, done: int, total: int | None) -> None:
        """So many are done, of so many; None = not known."""
        self._bar.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        """Say this beside the bar, until the next note."""
        self._bar.update(self._task, note=text)


@contextmanager
def progress_bar(title: str) -> Iterator[Bar]:
    """A bar on standard error."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
    console = Console(stderr=True)
    with Progress(*columns, *times, console=console, disable=not sys.stderr.isatty(), transient=True) as bar:
        yield Bar(bar, title)
