"""Every format by name, and which of them a file is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from deadreckon.errors import BadLog, UnknownName
from deadreckon.logs.cells import SUFFIXES
from deadreckon.logs.chat import Chat
from deadreckon.logs.inspect_json import InspectJson
from deadreckon.logs.inspect_zip import InspectZip
from deadreckon.logs.lmeval import LmEval
from deadreckon.logs.metr import Metr
from deadreckon.logs.planbench import PlanBench
from deadreckon.logs.record import Caps, Options, Reader
from deadreckon.logs.reflexion import Reflexion
from deadreckon.logs.tau2_bench import Tau2Bench
from deadreckon.logs.tau_bench import TauBench
from deadreckon.logs.verifiers_v0 import VerifiersV0
from deadreckon.logs.verifiers_v1 import VerifiersV1

HEAD = 64 << 10  # bytes of a file that tell its format
TABLE = "table"  # read by columns.py, whose columns somebody names
TABLE_LINE = "any CSV, TSV, Parquet or JSON lines with columns you name: judged steps, or outcomes of runs"

# One entry a format, most telling first: a file goes to the first reader that knows it.
_READERS: tuple[Reader, ...] = (
    InspectZip(),
    InspectJson(),
    LmEval(),
    VerifiersV1(),
    VerifiersV0(),
    TauBench(),
    Tau2Bench(),
    PlanBench(),
    Reflexion(),
    Metr(),
    Chat(),
)

READERS: Mapping[str, Reader] = {reader.name: reader for reader in _READERS}


def format_lines() -> dict[str, str]:
    """Name of each format -> a line about it."""
    return {name: reader.line for name, reader in READERS.items()} | {TABLE: TABLE_LINE}


def log_files(path: Path, options: Options, format: str = "") -> Iterator[tuple[Path, str]]:
    """The logs at a path, each with its format: the file itself, or those in a folder, in order of name.

    UnknownName: no such format. BadLog: nothing there, or nothing that a reader knows.
    """
    if format and format not in format_lines():
        raise UnknownName("format", format, format_lines())
    if path.is_dir():
        yield from _in_folder(path, options, format)
        return
    kind = format_of(path, options, format)
    if not kind:
        known = ", ".join(format_lines())
        raise BadLog(f"{path}: not a log of a known tool: say --format ({known}), or name columns, --item and --ok")
    yield path, kind


def _in_folder(path: Path, options: Options, format: str) -> list[tuple[Path, str]]:
    """Tables are taken only where no file is a log of a known tool: they lie beside those as summaries."""
    if (path / "spec.json").exists() and (path / "manifest.jsonl").exists():
        raise BadLog(f"{path} is a run of deadreckon itself: deadreckon measure {path}, or name its parquet files")
    found = [(file, kind) for file in _files(path, options.caps) if (kind := format_of(file, options, format))]
    if not found:
        raise BadLog(f"{path}: no file in it is a log that can be read: name one, with --format")
    return [(file, kind) for file, kind in found if kind != TABLE] or found


def format_of(path: Path, options: Options, format: str = "") -> str:
    """The name of the format; "" where no reader knows the file. BadLog: it cannot be read."""
    if format == TABLE or (options.columns.keys() - {"length"} and not format):
        return TABLE if path.suffix in SUFFIXES else ""
    head = _head(path)
    for name in [format] if format else READERS:
        if READERS[name].knows(path, head):
            return name
    if format:
        return format if path.is_file() and not path.name.startswith(".") and head else ""
    return TABLE if path.suffix in SUFFIXES else ""


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise BadLog(f"{path}: cannot be read: {error.strerror or error}: check the path") from error


def _files(folder: Path, caps: Caps) -> list[Path]:
    """Files below a folder, links not followed, by name. BadLog: more of them than the cap on members."""
    found: list[Path] = []
    for here, folders, names in os.walk(folder):
        folders.sort()
        found += [Path(here, name) for name in sorted(names) if not name.startswith(".")]
        if len(found) > caps.members:
            raise BadLog(f"{folder}: more than {caps.members:,} files: name a smaller folder, or raise the cap")
    return [file for file in found if file.is_file() and not file.is_symlink()]
