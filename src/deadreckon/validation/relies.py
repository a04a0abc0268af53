"""Which source files a count relies on: those that run while a case is measured, and all that these import."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import FrameType

import deadreckon
from deadreckon.validation.case import Case, replicate

ROOT = Path(deadreckon.__file__).parent
REGISTRIES = frozenset({"__init__.py"})  # list every module there is: what is taken from them is seen running
COUNTING = ("contracts.py", "seeds.py", "validation/case.py", "validation/tally.py")


def code_of(cases: Iterable[Case]) -> str:
    """SHA-256 (first 16 digits) of the sources that the outcomes of these cases rely on."""
    digest = hashlib.sha256()
    for path in sorted(sources(cases)):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def sources(cases: Iterable[Case]) -> frozenset[Path]:
    """The files that run in one replicate of each case, and what they import, and so on."""
    found: set[Path] = set()
    left = {ROOT / name for name in COUNTING} | running(cases)
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left |= imported(path)
    return frozenset(found)


def running(cases: Iterable[Case]) -> set[Path]:
    """The files of the package whose functions run in one replicate of each case."""
    names: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            names.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        for case in cases:
            case.sample(replicate(case, 0, 0))
    finally:
        sys.setprofile(before)
    return {path for path in map(Path, names) if path.is_relative_to(ROOT) and path.name not in REGISTRIES}


@lru_cache(maxsize=1024)
def imported(path: Path) -> frozenset[Path]:
    """The files of the package that a file imports; a package's own list of names is not followed."""
    named = {name for node in ast.walk(ast.parse(path.read_bytes())) for name in _modules(node)}
    files = (ROOT.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in named if name.count("."))
    return frozenset(path for path in files if path.exists())


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.startswith("deadreckon"))
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("deadreckon"):
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
