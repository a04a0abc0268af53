"""One file per claim: arms, controls, a measure and the rule that judges it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from deadreckon.errors import UnknownName
from deadreckon.rollouts.run import Progress
from deadreckon.studies.study import StudyResult

STUDIES = {"errors_compound": "Do errors compound, so that P(correct) = (1-e)^n?"}


def run_study(name: str, *, size: str = "quick", workers: int = 1, progress: Progress | None = None) -> StudyResult:
    """Run a study by its name. UnknownName; else as the study."""
    if name not in STUDIES:
        raise UnknownName("study", name, STUDIES)
    run: Callable[..., StudyResult] = import_module(f"deadreckon.studies.{name}").run
    return run(size=size, workers=workers, progress=progress)
