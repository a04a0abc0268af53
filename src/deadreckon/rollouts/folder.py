"""What a run folder holds, read without trust: spec.json, the manifest and the parts it names."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from deadreckon.contracts import Json
from deadreckon.errors import StoreError

SPEC, MANIFEST, STEPS = "spec.json", "manifest.jsonl", "steps"


@dataclass(frozen=True, slots=True)
class Part:
    """One committed file of a run: a line of the manifest."""

    index: int
    name: str
    rows: int
    sha256: str

    def line(self) -> bytes:
        """As it stands in the manifest."""
        fields = {"part": self.index, "name": self.name, "rows": self.rows, "sha256": self.sha256}
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def spec_check(content: Mapping[str, Json]) -> str:
    """SHA-256 of a spec's content, whatever its layout in the file."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_spec(folder: Path) -> tuple[dict[str, Json], str]:
    """(spec, id) of a run folder."""
    path = folder / SPEC
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{folder} is not a run folder: it has no {SPEC}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}: check the path and its permissions") from error
    except ValueError:
        content = None
    check = content.pop("check", None) if isinstance(content, dict) else None
    if check is None or check != spec_check(content) or not isinstance(content.get("id"), str):
        raise StoreError(f"{path} is damaged: restore it, or run again with another --out")
    return content, content.pop("id")


def flat(spec: Mapping[str, Json], prefix: str = "") -> dict[str, Json]:
    """Nested keys joined by dots."""
    leaves: dict[str, Json] = {}
    for key, value in spec.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return leaves


def part_name(index: int) -> str:
    """The file name of part `index`."""
    return f"part-{index:05d}.parquet"


def read_manifest(folder: Path) -> tuple[dict[int, Part], bool]:
    """Committed parts by index, and whether the last line is torn (a killed process; it was never committed)."""
    path = folder / MANIFEST
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}, False
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}: check the path and its permissions") from error
    torn = lines.pop()
    if b"}" in torn:  # a whole entry whose newline is gone is damage, not a torn write
        lines.append(torn)
    parts: dict[int, Part] = {}
    for number, line in enumerate(lines, 1):
        part = _parse_line(line)
        if part is None or part.index in parts:
            raise StoreError(f"{path} line {number} is damaged: delete that line and resume to recompute its part")
        parts[part.index] = part
    return parts, bool(torn)


def _parse_line(line: bytes) -> Part | None:
    try:
        entry = json.loads(line)
        part = Part(entry["part"], entry["name"], entry["rows"], entry["sha256"])
        return part if part.line() == line + b"\n" and part.name == part_name(part.index) else None
    except (ValueError, KeyError, TypeError):
        return None


def read_part(path: Path, part: Part) -> pl.DataFrame:
    """A part's frame, from bytes whose hash was checked."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}: resume the run to recompute it") from error
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise StoreError(f"{path} does not match its SHA-256 in {MANIFEST}: delete the file and resume to recompute it")
    frame = pl.read_parquet(io.BytesIO(data))
    if frame.height != part.rows:
        raise StoreError(f"{path} has {frame.height} rows, {MANIFEST} says {part.rows}: delete the file and resume")
    return frame


def read_parts(folder: Path, parts: Mapping[int, Part]) -> pl.DataFrame:
    """The parts as one frame, in part order, every hash checked."""
    if not parts:
        raise StoreError(f"{folder} has no committed steps: resume the run that made it")
    return pl.concat([read_part(folder / STEPS / parts[i].name, parts[i]) for i in sorted(parts)])
