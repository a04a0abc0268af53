"""The words of the world `facts`: people, what is said of them, and the ways of saying it.

A fact is a person and a relation: number 4 * person + relation. Every relation has three phrases and every object two
forms that mean the same. All names are made up, so that no model has read of them elsewhere.
"""

from __future__ import annotations

import re
from typing import NamedTuple

ABSTAIN = "unknown"
TAGS = ("record: ", "rumour: ")
PEOPLE = {1: 32, 2: 128, 3: 512}  # people, by level
RELATIONS = 4


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall("[A-Za-z]+", text))


_FIRST = _words("Ada Ben Cora Dan Eva Finn Gus Hana Ida Jon Kira Leo Mina Noel Ola Pia")
_FAMILY = _words(
    "Adler Berg Crane Dolan Ebert Falk Grant Hollis Inman Jarvis Keller Lund Marsh Nolan Osgood Pratt Quinn Rowe"
    " Sloan Tate Udell Vance Weller Yates Zeller Abbot Blake Corbin Drew Ellis Foster Gale"
)
_PLACES = [a + b for a in _words("Bel Dor Fen Gal Hal Kor Mar Tor") for b in _words("by ford mouth wick")]
_TRADES = _words(
    "baker brewer carter carver clerk cobbler cooper cutler dyer farrier fisher fuller glazier hatter joiner mason"
    " miller miner painter piper porter potter ropemaker saddler sailor sawyer shepherd smith tailor tanner thatcher"
    " weaver"
)
_ANIMALS = _words(
    "badgers bees bulls calves camels cats cows cranes crows dogs doves ducks falcons finches foxes geese goats hares"
    " hens horses lambs larks mules owls oxen ponies ravens sheep snails storks swans toads"
)


def _person(i: int) -> tuple[str, str]:
    """Full name, and initial with family name: both belong to one person alone."""
    first = _FIRST[i % 16]
    family = _FAMILY[(i + i // 16) % 32]
    return f"{first} {family}", f"{first[0]} {family}"


NAMES = tuple(_person(i)[0] for i in range(max(PEOPLE.values())))


class Relation(NamedTuple):
    """What is said of a person: three phrases, and the objects, each in two forms."""

    phrases: tuple[str, str, str]
    objects: tuple[tuple[str, str], ...]


RELATION = (
    Relation(
        (" was born in ", " comes from ", " is a native of "),
        tuple((place, f"{place} town") for place in _PLACES),
    ),
    Relation(
        (" works as a ", " earns a living as a ", " is by trade a "),
        tuple((trade, f"master {trade}") for trade in _TRADES),
    ),
    Relation(
        (" keeps ", " looks after ", " is the owner of "),
        tuple((animals, f"some {animals}") for animals in _ANIMALS),
    ),
    Relation(
        (" learned from ", " was taught by ", " is a pupil of "),
        tuple(_person(i) for i in range(max(PEOPLE.values()))),
    ),
)


def objects(relation: int, level: int) -> tuple[tuple[str, str], ...]:
    """The objects of a relation at a level: people are those of the level."""
    return RELATION[relation].objects[: PEOPLE[level]]


PHRASES = {phrase: (r, k) for r, relation in enumerate(RELATION) for k, phrase in enumerate(relation.phrases)}
OBJECTS = {
    text: (r, number, form)
    for r, relation in enumerate(RELATION)
    for number, forms in enumerate(relation.objects)
    for form, text in enumerate(forms)
}
PERSON = {name: i for i, name in enumerate(NAMES)}


def sentence(fact: int, phrase: int, text: str) -> str:
    """A statement without its full stop: "Ada Adler was born in Belby"."""
    person, relation = divmod(fact, RELATIONS)
    return NAMES[person] + RELATION[relation].phrases[phrase] + text


ALPHABET = ("| ", "\n", ">", *TAGS, *NAMES, *PHRASES, *(f"{text}." for text in (*OBJECTS, ABSTAIN)))
