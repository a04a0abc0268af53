"""What was found in logs, as a page."""

from __future__ import annotations

from pathlib import Path

from deadreckon.contracts import Finding, Verdict
from deadreckon.report.page import render
from deadreckon.rollouts.store import write_atomic
from deadreckon.studies.fit import Fit
from deadreckon.studies.provenance import provenance
from deadreckon.studies.study import ArmResult, StudyResult


def write_fit_page(found: Fit, path: Path, command: str) -> None:
    """One HTML file: what the logs allow, the sentences, pictures and readings of each group, how to get it again."""
    write_atomic(path, render([fit_study(found, command)]).encode())


def fit_study(found: Fit, command: str) -> StudyResult:
    """The findings as a description without a claim."""
    names = [*found.groups, *dict.fromkeys(r.by for r in found.readings if r.by not in found.groups)]
    arms = tuple(
        ArmResult(name or "all runs", "arm", "", None, "", "", tuple(r for r in found.readings if r.by == name))
        for name in names
    )
    return StudyResult(
        "fit",
        "What these logs show",
        "No rule: a description.",
        Finding(Verdict.UNDECIDED, " ".join((f"{found.allows}.", *(f"{line}." for line in found.more))), ()),
        (),
        arms,
        (),
        (),
        provenance(command),
        found.summary,
    )
