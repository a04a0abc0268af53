"""Plant a bug in a module's source and see whether a fast check turns red; nothing outside the block sees the bug."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from deadreckon.errors import BadOption
from deadreckon.rollouts.workers import worker_pool
from deadreckon.validation.bugs import BUGS, Bug

CHECKS = "deadreckon.validation.checks"
FRESH = (
    "deadreckon.instruments",
    "deadreckon.validation",
)  # imported anew, so that every user of the module has the bug
CRASHES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Catch:
    """What became of one planted bug."""

    name: str
    module: str
    check: str  # the first that turned red; "" where none did


class _Patched(MetaPathFinder, Loader):
    """Finds one module and gives it another source."""

    def __init__(self, module: str, path: Path, source: str):
        self.module, self.path, self.source = module, path, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The patched module alone."""
        if fullname != self.module:
            return None
        return spec_from_file_location(fullname, self.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the patched source."""
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def patched_source(bug: Bug) -> tuple[Path, str]:
    """The module's file and its source with the bug in it. BadOption where the old text does not stand there once."""
    module = f"deadreckon.{bug.module}"
    spec = PathFinder.find_spec(module, import_module(module.rpartition(".")[0]).__path__)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    if source.count(bug.old) != 1:
        raise BadOption(f"bug {bug.name!r}: {bug.old!r} stands {source.count(bug.old)} times in {bug.module}, not once")
    return Path(spec.origin), source.replace(bug.old, bug.new)


@contextmanager
def fresh_checks(bug: Bug | None) -> Iterator[ModuleType]:
    """The module of checks with all it measures imported anew, one of its modules with the bug in it."""
    finders = [] if bug is None else [_Patched(f"deadreckon.{bug.module}", *patched_source(bug))]
    root = sys.modules["deadreckon"]
    held = {name: module for name, module in sys.modules.items() if name.startswith(FRESH)}
    places = {name: getattr(root, name.partition(".")[2]) for name in FRESH if name in held}
    for name in held:
        del sys.modules[name]
    sys.meta_path[:0] = finders
    try:
        yield import_module(CHECKS)
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith(FRESH)]:
            del sys.modules[name]
        sys.modules.update(held)
        for name, module in places.items():
            setattr(root, name.partition(".")[2], module)


def caught_by(bug: Bug | None) -> str:
    """The first check that turns red, by failing or by a crash; "" where all are green."""
    with warnings.catch_warnings(action="ignore"), fresh_checks(bug) as checks:
        for check in checks.CHECKS:
            try:
                green = check()
            except CRASHES:
                green = False
            if not green:
                return str(check.__name__)
    return ""


def hunt(workers: int) -> list[Catch]:
    """Every bug of the table, planted and hunted in processes. BadOption where a check is red without any."""
    red = caught_by(None)
    if red:
        raise BadOption(f"the check {red} is red without a planted bug")
    with worker_pool(workers) as pool:
        found = list(pool.map(caught_by, BUGS))
    return [Catch(bug.name, bug.module, check) for bug, check in zip(BUGS, found, strict=True)]
