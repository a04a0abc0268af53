"""How worlds, models and scaffolds are named: NAME[:key=value,...]."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from deadreckon.errors import BadOption

T = TypeVar("T")


def parse_spec(spec: str) -> tuple[str, dict[str, str]]:
    """Split ``NAME[:key=value,...]`` into the name and its options, in order. BadOption: malformed."""
    name, colon, rest = spec.partition(":")
    if not name or name != name.strip():
        raise BadOption(f"spec {spec!r} has no name: write NAME or NAME:key=value,...")
    if colon and not rest:
        raise BadOption(f"spec {spec!r} ends in a colon: drop it or write {name}:key=value,...")
    options: dict[str, str] = {}
    for part in rest.split(",") if rest else ():
        key, equals, value = part.partition("=")
        if not key or not equals or not value:
            raise BadOption(f"spec {spec!r} has {part!r}: write {name}:key=value,...")
        if key in options:
            raise BadOption(f"spec {spec!r} gives {key!r} twice: keep one")
        options[key] = value
    return name, options


def format_spec(name: str, options: Mapping[str, str | int | float]) -> str:
    """The inverse of `parse_spec`: options in the order given, floats as short as they read back."""
    parts = [f"{key}={_text(value)}" for key, value in options.items()]
    return f"{name}:{','.join(parts)}" if parts else name


def _text(value: str | int | float) -> str:
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def read_options(owner: str, options: Mapping[str, str], kinds: Mapping[str, Callable[[str], T]]) -> dict[str, T]:
    """The options that were given, each read by its kind (`int`, `float`, `one_of(...)`).

    BadOption: a key that `kinds` lacks, or text its kind refuses with a ValueError.
    """
    known_only(owner, options, kinds)
    return {key: _read(owner, key, text, kinds[key]) for key, text in options.items()}


def read_option(owner: str, options: Mapping[str, str], key: str, kind: Callable[[str], T], default: T) -> T:
    """One option, or its default: where kinds differ in type. BadOption: text its kind refuses."""
    return _read(owner, key, options[key], kind) if key in options else default


def known_only(owner: str, options: Mapping[str, str], known: Iterable[str]) -> None:
    """BadOption where an option is not among the known ones."""
    names = sorted(known)
    for key in options:
        if key not in names:
            has = f"it has {', '.join(names)}" if names else "it takes none"
            raise BadOption(f"{owner} has no option {key!r}: {has}")


def _read(owner: str, key: str, text: str, kind: Callable[[str], T]) -> T:
    try:
        return kind(text)
    except ValueError as error:
        raise BadOption(f"{owner} {key}={text!r}: {_remedy(kind, error)}") from None


def _remedy(kind: Callable[[str], T], error: ValueError) -> str:
    known: dict[object, str] = {int: "give an integer", float: "give a number"}
    return known.get(kind, str(error))


def one_of(*choices: str) -> Callable[[str], str]:
    """An option kind that accepts these words alone."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"choose from {', '.join(choices)}")
        return text

    return read


def between(low: int, high: int) -> Callable[[str], int]:
    """An option kind that accepts the integers low..high."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"give an integer from {low} to {high}")
        return int(text)

    return read
