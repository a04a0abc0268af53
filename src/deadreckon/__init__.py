"""deadreckon: how far can a language model be trusted to run on its own output?

    import deadreckon as dr

    table = dr.roll(dr.RollSpec("sums", 1, "shipped:sums-clean", items=200, horizon=24))
    readings = dr.measure(table)

The names are those of the command line. Importing the package loads nothing heavy; the first use of a name does.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "Finding": "contracts",
    "OnError": "contracts",
    "Reading": "contracts",
    "DeadreckonError": "errors",
    "measure": "instruments",
    "load_model": "models",
    "export_run": "rollouts.export",
    "write_report": "report.page",
    "RollSpec": "rollouts.spec",
    "read_run": "rollouts.store",
    "roll": "rollouts.run",
    "load_scaffold": "scaffolds",
    "FitSpec": "studies.fit",
    "fit": "studies.fit",
    "describe_runs": "studies.describe",
    "run_study": "studies",
    "check_world": "worlds.check",
    "load_world": "worlds",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """A public name, from the module that holds it, at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'deadreckon' has no attribute {name!r}: it has {', '.join(__all__)}")
    return getattr(import_module(f"deadreckon.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
