"""How the world `facts` asks or tells: its options beside those of the book, and the names they make."""

from __future__ import annotations

from dataclasses import dataclass, fields

from deadreckon.errors import BadOption
from deadreckon.worlds.fact_book import Plan
from deadreckon.worlds.fact_law import Corpus, Truth, corpus_of, truth_of

SIDES, DOCS = ("truth", "corpus"), ("none", "gold", "irrelevant", "contradicting", "mixed")
SOURCES = ("none", "record", "rumour")


@dataclass(frozen=True, slots=True)
class Style:
    """How facts are asked or told. BadOption outside the ranges."""

    by: str = "truth"  # what a step is drawn from and judged by
    tag: str = "none"  # none: texts have no tags; by=truth asks under this one, by=corpus under each document's own
    docs: str = "none"  # document before each question
    again: str = "no"  # ask the same after a false answer
    lines: int = 8  # questions or statements of an episode

    def __post_init__(self) -> None:
        """Check ranges."""
        for name, choices in (("by", SIDES), ("tag", SOURCES), ("docs", DOCS), ("again", ("no", "yes"))):
            if getattr(self, name) not in choices:
                raise BadOption(f"facts {name}={getattr(self, name)!r}: choose from {', '.join(choices)}")
        if not 1 <= self.lines <= 256:
            raise BadOption(f"facts lines={self.lines}: give an integer from 1 to 256")


def source_of(plan: Plan, style: Style, level: int) -> Truth | Corpus:
    """What steps are drawn from and judged by."""
    return truth_of(plan, level) if style.by == "truth" else corpus_of(plan, level, tagged=style.tag != "none")


def named(form: str, plan: Plan, style: Style) -> str:
    """The versioned name: what is not the default."""
    usual = {**_values(Plan()), **_values(Style())}
    given = {**_values(plan), **_values(style)}
    unusual = [f"-{key}{value}" for key, value in given.items() if value != usual[key]]
    return f"facts-{form}{''.join(unusual)}-v1"


def _values(options: Plan | Style) -> dict[str, str]:
    return {field.name: str(getattr(options, field.name)) for field in fields(options)}
