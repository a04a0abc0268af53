"""What a training run shows while it runs: a bar, and the loss beside the entropy floor."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

KEEP = 0.98  # weight of the past in the running means


class Watch:
    """Running means of loss and floor, in nats per action, shown where the console is a terminal."""

    def __init__(self, steps: int, console: Console):
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=steps)
        self._weight = self._loss = self._floor = 0.0

    @property
    def loss(self) -> float:
        """Running mean of the loss; nan before the first step."""
        return self._loss / self._weight if self._weight else float("nan")

    @property
    def floor(self) -> float:
        """Running mean of the entropy of the laws the actions were drawn from; nan before the first step."""
        return self._floor / self._weight if self._weight else float("nan")

    def saw(self, step: int, loss: float, floor: float) -> None:
        """One step more."""
        self._weight, self._loss, self._floor = (
            KEEP * old + new for old, new in ((self._weight, 1.0), (self._loss, loss), (self._floor, floor))
        )
        text = f"loss {self.loss:.4f}  floor {self.floor:.4f} nats per action"
        self._bar.update(self._task, completed=step + 1, description=text)

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()
