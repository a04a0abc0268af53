"""The state of a questionnaire of the world `facts`, and its notation."""

from __future__ import annotations

import re
from typing import NamedTuple

from deadreckon.errors import BadText
from deadreckon.worlds.fact_words import PEOPLE, RELATIONS, objects

KINDS = ("gold", "irrelevant", "contradicting")
_NUMBER = "(0|[1-9][0-9]{0,3})"
_NOTE = re.compile(rf"{_NUMBER}\.([0-2])(?:\.([ru]))?(?:\|({'|'.join(KINDS)})\.{_NUMBER}\.([0-2])\.{_NUMBER}\.([01]))?")


class Document(NamedTuple):
    """A statement found for a question."""

    kind: str  # gold, irrelevant or contradicting
    fact: int
    phrase: int
    object: int
    form: int


class Question(NamedTuple):
    """What the world says before one answer; source -1: without a tag."""

    source: int
    fact: int
    phrase: int
    document: Document | None


class State(NamedTuple):
    """Before answer i; `clean`: no false answer stands."""

    level: int
    questions: tuple[Question, ...]
    i: int
    clean: bool


def show_state(state: State) -> str:
    """Level, answers given, whether no false one stands, questions: "2 3 + 37.0 12.1.r 5.0|gold.5.0.7.0"."""
    return " ".join([str(state.level), str(state.i), "+" if state.clean else "x", *map(_noted, state.questions)])


def _noted(asked: Question) -> str:
    tag = f".{'ru'[asked.source]}" if asked.source >= 0 else ""
    document = "" if asked.document is None else "|" + ".".join(map(str, asked.document))
    return f"{asked.fact}.{asked.phrase}{tag}{document}"


def read_state(text: str, words: tuple[int, int]) -> State:
    """Inverse of `show_state`; `words`: phrases and forms in use. BadText where it cannot be read."""
    match = re.fullmatch(r"([1-3]) (0|[1-9][0-9]{0,2}) ([+x])((?: [0-9a-z.|]{3,60}){1,256})", text)
    if match is None:
        raise BadText(f"{text[:200]!r} is no state of facts: write level, answers, + or x, questions (37.0)")
    questions = tuple(_question(int(match[1]), note, words) for note in match[4].split())
    if int(match[2]) > len(questions):
        raise BadText(f"{text[:200]!r}: it has {len(questions)} questions")
    return State(int(match[1]), questions, int(match[2]), match[3] == "+")


def _question(level: int, note: str, words: tuple[int, int]) -> Question:
    match, facts, (phrases, forms) = _NOTE.fullmatch(note), PEOPLE[level] * RELATIONS, words
    if match is None or int(match[1]) >= facts or int(match[2]) >= phrases:
        raise BadText(f"{note!r} is no question of level {level}: write fact.phrase, as 37.0")
    document = None
    if match[4]:
        document = Document(match[4], *map(int, match.group(5, 6, 7, 8)))
        m = len(objects(document.fact % RELATIONS, level))
        if document.fact >= facts or document.phrase >= phrases or document.object >= m or document.form >= forms:
            raise BadText(f"{note!r}: there is no such document at level {level}")
    return Question("ru".index(match[3]) if match[3] else -1, int(match[1]), int(match[2]), document)
