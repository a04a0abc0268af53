"""What a result was made with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from deadreckon import __version__

LIBRARIES = ("numpy", "scipy", "polars", "torch")


def provenance(command: str, facts: Mapping[str, str] | None = None) -> dict[str, str]:
    """The command that makes it again, versions, machine, and further `facts` (seeds, model hashes)."""
    found = {"command": command, "deadreckon": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found | {"machine": f"{platform.system()} {platform.machine()}"} | dict(facts or {})
