"""Mutated and truncated logs, by seed: each is refused by BadLog or read to a table that can be right.

    python tests/logs/fuzz.py --count 10000 [--reader inspect-eval] [--seed 0]

Any other exception, a file that takes more than ten seconds, or a peak above 1 GiB ends the run with an error.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deadreckon.errors import BadLog
from deadreckon.logs.archive import Archive
from deadreckon.logs.inspect_json import InspectJson
from deadreckon.logs.inspect_zip import InspectZip
from deadreckon.logs.lmeval import LmEval
from deadreckon.logs.record import Caps, Options, Reader, Record

sys.path.insert(0, str(Path(__file__).parent))
from zips import DEFLATED, STORED, ZSTD, Entry, zipped

HERE = Path(__file__).parent
SECONDS, MOST = 10, 1 << 30
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1e308, -1e308, 10**400, 2**64, math.nan, math.inf, "", "x", "C", "\ud800", "\x00\x1b[31m",
    "attachment://0", "attachment://" + "0" * 32, "../../etc/passwd", "a" * 5000, [], {}, [[]], [[0, 10**9]], [None],
    {"value": {"a": "b"}}, {"message": None}, {"type": 3}, [{"ok": 1}, {"no": 2}], [True, "perhaps"],
]  # fmt: skip
TOKENS = [
    b"[", b"]", b"{", b"}", b'"', b",", b":", b"\\", b"\\u", b"\\ud800", b"NaN", b"1e999", b"-", b"9" * 5000, b"\xff",
    b"\x00", b"[" * 100, b'{"a":' * 100, b"null", b"\xef\xbb\xbf", b"\n", b"PK\3\4", b"\x28\xb5\x2f\xfd",
]  # fmt: skip


def bytes_changed(data: bytes, draw: random.Random) -> bytes:
    """Flipped, cut, doubled, inserted or truncated somewhere, a few times."""
    out = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 2, 5, 20])):
        at, kind = draw.randrange(len(out) + 1), draw.randrange(6)
        size = draw.choice([1, 2, 8, 100, 3000])
        if kind == 0 and at < len(out):
            out[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del out[at : at + size]
        elif kind == 2:
            out[at:at] = out[at : at + size]
        elif kind == 3:
            out[at:at] = draw.choice(TOKENS)
        elif kind == 4 and draw.random() < 0.3:
            del out[at:]
        else:
            out[at : at + size] = draw.randbytes(min(size, 8))
    return bytes(out)


def value_changed(value: Any, draw: random.Random) -> Any:
    """The same JSON with something hostile in one place, or a key gone."""
    places: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        here = stack.pop()
        pairs = here.items() if isinstance(here, dict) else enumerate(here) if isinstance(here, list) else ()
        for key, below in pairs:
            places.append((here, key))
            stack.append(below)
    for _ in range(draw.choice([1, 1, 2, 8])):
        if places:
            here, key = draw.choice(places)
            if isinstance(here, dict) and draw.random() < 0.2:
                here.pop(key, None)
            elif isinstance(here, dict) or key < len(here):
                here[key] = draw.choice(HOSTILE)
    return value


def written(value: Any) -> bytes:
    return json.dumps(value).encode()


def zip_changed(path: Path, draw: random.Random) -> bytes:
    """A `.eval` with changed bytes, or with changed members packed again."""
    if draw.random() < 0.4:
        return bytes_changed(path.read_bytes(), draw)
    with Archive(path, Caps()) as archive:
        members = {name: b"".join(archive.chunks(name)) for name in archive.members}
    names, original = list(members), dict(members)
    for _ in range(draw.choice([1, 1, 3])):
        name = draw.choice(names)
        if draw.random() < 0.6 and members[name] == original[name]:
            members[name] = written(value_changed(json.loads(members[name]), draw))
        else:
            members[name] = bytes_changed(members[name], draw)
    if draw.random() < 0.2:
        members.pop(draw.choice(names))
    entries = [Entry(name, data, draw.choice([STORED, DEFLATED, ZSTD])) for name, data in members.items()]
    for kind in ("crc", "unpacked", "at", "name"):
        if draw.random() < 0.05:
            one = draw.choice(entries)
            setattr(one, kind, draw.choice([0, 1, 2**31, 2**32 - 1]) if kind != "name" else draw.choice(entries).name)
    return zipped(*entries)


def json_changed(path: Path, draw: random.Random) -> bytes:
    data = path.read_bytes()
    return bytes_changed(data, draw) if draw.random() < 0.5 else written(value_changed(json.loads(data), draw))


def lines_changed(path: Path, draw: random.Random) -> bytes:
    data = path.read_bytes()
    if draw.random() < 0.5:
        return bytes_changed(data, draw)
    lines = data.splitlines()
    at = draw.randrange(len(lines))
    lines[at] = written(value_changed(json.loads(lines[at]), draw))
    return b"\n".join(lines) + b"\n"


Change = Callable[[Path, random.Random], bytes]
TARGETS: dict[str, tuple[Reader, Change, list[Path]]] = {
    "inspect-eval": (InspectZip(), zip_changed, sorted(HERE.glob("inspect-*/*.eval"))),
    "inspect-json": (InspectJson(), json_changed, sorted(HERE.glob("inspect-*/named.json"))),
    "lm-eval": (LmEval(), lines_changed, sorted(HERE.glob("lmeval-*/*/samples_*.jsonl"))),
}


def check(record: Record) -> None:
    """What holds of every record, whatever the file says."""
    assert record.item
    assert record.success is None or 0 <= record.success <= 1
    assert all(0 <= size < math.inf for size in record.lengths.values()), record.lengths
    assert all(math.isnan(one) or abs(one) < math.inf for one in record.scores.values())
    assert all(step.ok in (True, False, None) and step.tokens >= 0 for step in record.steps)
    assert math.isnan(record.confidence) or 0 <= record.confidence <= 1
    assert all(isinstance(message.text, str) and message.tokens >= 0 for message in record.messages)
    json.dumps([record.item, record.repeat, record.task, record.model, record.fault_code], ensure_ascii=False).encode(
        "utf-8"
    )


def overdue(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def run(name: str, count: int, seed: int, folder: Path) -> str:
    """Reads `count` mutants; a line about them."""
    reader, change, files = TARGETS[name]
    refused = read = lines = 0
    slowest = 0.0
    for number in range(seed, seed + count):
        draw = random.Random(f"{name} {number}")
        source = draw.choice(files)
        data = change(source, draw)
        path = folder / source.name
        path.write_bytes(data)
        begin = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            for record in reader.read(path, Options(messages=draw.random() < 0.7)):
                check(record)
            read += 1
        except BadLog as error:
            refused += 1
            lines += str(error).count("\n")
        except BaseException:
            print(f"{name} {number}: {source}", file=sys.stderr)
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        slowest = max(slowest, time.monotonic() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    assert not lines, f"{name}: an error of more than one line"
    assert peak < MOST, f"{name}: {peak:,} bytes at the peak"
    return f"{name}: {count} mutants, {refused} refused, {read} read, slowest {slowest:.2f} s, peak {peak >> 20} MiB"


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--count", type=int, default=10_000)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--reader", choices=TARGETS)
    given = asked.parse_args()
    signal.signal(signal.SIGALRM, overdue)
    with tempfile.TemporaryDirectory() as folder:
        for name in [given.reader] if given.reader else TARGETS:
            print(run(name, given.count, given.seed, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
