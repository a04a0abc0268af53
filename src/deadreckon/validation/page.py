"""What a validation found, as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from deadreckon.contracts import Json
from deadreckon.validation.counts import Counted
from deadreckon.validation.golden import Agreement
from deadreckon.validation.planting import Catch
from deadreckon.validation.tally import FAILURES, Row


@dataclass(frozen=True, slots=True)
class Report:
    """Rows, golden numbers and planted bugs, and what they were made with."""

    facts: Mapping[str, str]
    rows: Sequence[Row]
    golden: Sequence[Agreement]
    bugs: Sequence[Catch]
    topics: Sequence[Counted] = ()

    @property
    def failures(self) -> list[str]:
        """A line for each thing that fails; none where the instrument is as it should be."""
        bad = [
            f"{row.topic}, {row.cell}, {row.name}: {row.verdict}, {_figures(row)}" for row in self.rows if failed(row)
        ]
        bad += [f"golden number {one.name}: {one.got!r}, not {one.expected!r}" for one in self.golden if not one.agrees]
        return bad + [f"planted bug not found: {bug.name} ({bug.module})" for bug in self.bugs if not bug.check]


def failed(row: Row) -> bool:
    """Whether the row breaks the rule."""
    return row.verdict in FAILURES


def as_json(report: Report) -> str:
    """Everything, counts and all; nan is null."""
    rows = [asdict(row) | {"share": row.share, "error": row.error, "verdict": row.verdict} for row in report.rows]
    held = {
        "facts": dict(report.facts),
        "topics": [asdict(topic) for topic in report.topics],
        "rows": rows,
        "golden": [asdict(one) | {"digits": one.digits} for one in report.golden],
        "bugs": [asdict(bug) for bug in report.bugs],
        "failures": report.failures,
    }
    return json.dumps(_finite(held), indent=1, allow_nan=False) + "\n"


def _finite(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return str(value) if value == float("inf") else None if isinstance(value, float) and np.isnan(value) else value


def summary(report: Report) -> str:
    """The page without its rows: one line a reading, failures, golden numbers, bugs."""
    tests = [row for row in report.rows if row.kind == "test"]
    intervals = [row for row in report.rows if row.kind == "interval"]
    parts = ["\n".join(f"- {name}: {value}" for name, value in report.facts.items())]
    if intervals:
        parts.append("## Coverage of nominal 95% intervals\n\n" + _table(INTERVALS, map(_line, _by_name(intervals))))
    if tests:
        parts.append("## Size of tests at 5%\n\n" + _table(TESTS, map(_line, _by_name(tests))))
    if report.golden:
        agree = sum(one.agrees for one in report.golden)
        parts.append(f"## Golden numbers: {agree} of {len(report.golden)} agree\n\n" + _golden(report.golden))
    if report.bugs:
        found = sum(bool(bug.check) for bug in report.bugs)
        parts.append(f"## Planted bugs: {found} of {len(report.bugs)} found")
    failures = report.failures
    said = "\n".join(f"- {line}" for line in failures) if failures else "None."
    parts.append(f"## Failures: {len(failures)}\n\n{said}")
    return "\n\n".join(parts) + "\n"


def markdown(report: Report) -> str:
    """The whole page."""
    bugs = _table(
        ("planted bug", "module", "turned red"),
        ((bug.name, bug.module, bug.check or "**none**") for bug in report.bugs),
    )
    every = _table(ROWS, (_row(row) for row in report.rows))
    tail = f"\n## Planted bugs\n\n{bugs}\n" if report.bugs else ""
    tail += (
        f"\n## What was counted of each law\n\n{_table(TOPICS, map(_topic, report.topics))}\n" if report.topics else ""
    )
    return f"# The instrument measured on itself\n\n{summary(report)}{tail}\n## Every row\n\n{every}\n"


INTERVALS = (
    "reading",
    "kind",
    "cells",
    "mean held",
    "least",
    "most",
    "worst bias (SE, 400 items or more)",
    "withheld",
    "failed",
)
TESTS = ("test", "kind", "cells", "mean rejected", "least", "most", "", "withheld", "failed")
ROWS = (
    "law",
    "cell",
    "reading",
    "kind",
    "truth",
    "held",
    "MC error",
    "replicates",
    "given",
    "truth below",
    "truth above",
    "bias (SE)",
    "width",
    "verdict",
)


TOPICS = ("law", "cells", "replicates a cell", "all that was asked", "CPU seconds", "code")


def _topic(topic: Counted) -> tuple[str, ...]:
    each = f"{topic.least:,}" if topic.least == topic.most else f"{topic.least:,} to {topic.most:,}"
    code = topic.code + (f", in part {topic.adopted}" if topic.adopted else "")
    return topic.topic, str(topic.cells), each, "yes" if topic.whole else "no", f"{topic.cpu:,.0f}", code


def _by_name(rows: Sequence[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.name, row.discrete), []).append(row)
    return list(groups.values())


def _line(rows: Sequence[Row]) -> tuple[str, ...]:
    judged = [row for row in rows if row.verdict != "withheld" and row.given]
    share = [row.share for row in judged]
    bias = [abs(row.bias) for row in judged if row.items >= 400 and not np.isnan(row.bias)]
    figures = [f"{100 * pick(share):.1f}%" if share else "-" for pick in (np.mean, min, max)]
    kind = "exact" if rows[0].discrete else "smooth"
    worst = f"{max(bias):.2f}" if bias else ""
    return (
        rows[0].name,
        kind,
        str(len(rows)),
        *figures,
        worst,
        str(len(rows) - len(judged)),
        str(sum(map(failed, rows))),
    )


def _figures(row: Row) -> str:
    what = "rejected" if row.kind == "test" else "held"
    bias = f", bias {row.bias:.2f} SE" if row.verdict == "biased" else ""
    return f"{what} {100 * row.share:.2f}% (MC error {100 * row.error:.2f}) of {row.given}{bias}"


def _row(row: Row) -> tuple[str, ...]:
    shown = [f"{100 * value:.2f}%" if row.given else "-" for value in (row.share, row.error)]
    counts = [str(count) for count in (row.replicates, row.given, row.below, row.above)]
    real = ["" if np.isnan(value) else f"{value:.3g}" for value in (row.bias, row.width)]
    kind = f"{'exact' if row.discrete else 'smooth'} {row.kind}"
    truth = "" if row.kind == "test" else f"{row.truth:.4g}"
    return row.topic, row.cell, row.name, kind, truth, *shown, *counts, *real, row.verdict


def _golden(golden: Sequence[Agreement]) -> str:
    return _table(
        ("number", "source", "expected", "got", "digits", "needed"),
        (
            (one.name, one.source, f"{one.expected:.15g}", f"{one.got:.15g}", f"{one.digits:.1f}", f"{one.needed:g}")
            for one in golden
        ),
    )


def _table(head: Sequence[str], lines: Iterable[tuple[str, ...]]) -> str:
    rule = "|" + "---|" * len(head)
    return "\n".join([f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)])
