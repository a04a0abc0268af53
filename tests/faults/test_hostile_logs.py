"""Logs are hostile input: whatever is wrong with one, a clear line or a right table, in bounded memory and time."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from logs.zips import DEFLATED, STORED, ZSTD, Entry, zipped

from deadreckon.contracts import Stop
from deadreckon.errors import BadLog, MissingExtra
from deadreckon.logs.archive import Archive
from deadreckon.logs.inspect_json import InspectJson
from deadreckon.logs.inspect_zip import InspectZip
from deadreckon.logs.pieces import Pieces
from deadreckon.logs.record import Caps, Options, Record

pytest.importorskip("zstandard")
LOGS = Path(__file__).parents[1] / "logs"

START = Entry("_journal/start.json", b'{"version": 2, "eval": {"task": "t", "model": "m"}}')
ONE = "samples/1_epoch_1.json"
SAMPLE = b'{"id": 1, "epoch": 1, "scores": {"s": {"value": "C"}}}'


def read(folder: Path, *entries: Entry, **caps: object) -> list[Record]:
    (folder / "a.eval").write_bytes(zipped(*entries))
    return list(InspectZip().read(folder / "a.eval", Options(Caps(**caps))))  # type: ignore[arg-type]


def sample(text: bytes, name: str = ONE, method: int = ZSTD) -> Entry:
    return Entry(name, text, method)


@pytest.mark.parametrize("reader", ["inspect-eval", "inspect-json", "lm-eval"])
def test_three_hundred_mutants_are_refused_or_read(reader: str) -> None:
    command = [sys.executable, str(LOGS / "fuzz.py"), "--count", "300", "--seed", "1000000", "--reader", reader]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{reader}: 300 mutants" in done.stdout


@pytest.mark.parametrize("version", ["0.3.285", "0.3.180"])
def test_a_damaged_archive_is_refused_or_loses_nothing(version: str, tmp_path: Path) -> None:
    source = LOGS / f"inspect-{version}" / "named.eval"
    data = source.read_bytes()
    true = list(InspectZip().read(source, Options()))
    refused = 0
    for seed in range(300):
        draw = random.Random(seed)
        out = bytearray(data)
        if draw.random() < 0.3:
            del out[draw.randrange(len(out)) :]
        else:
            at = draw.randrange(len(out) // 2, len(out)) if draw.random() < 0.7 else draw.randrange(len(out))
            out[at] ^= 1 << draw.randrange(8)
        (tmp_path / "a.eval").write_bytes(out)
        try:
            assert repr(list(InspectZip().read(tmp_path / "a.eval", Options()))) == repr(true), seed
        except BadLog:
            refused += 1
    assert 100 < refused < 300


def test_a_json_log_cut_anywhere_is_refused(tmp_path: Path) -> None:
    data = (LOGS / "inspect-0.3.285" / "named.json").read_bytes().rstrip()
    for at in random.Random(0).sample(range(len(data)), 60):
        (tmp_path / "a.json").write_bytes(data[:at])
        with pytest.raises(BadLog):
            list(InspectJson().read(tmp_path / "a.json", Options()))


@pytest.mark.parametrize("method", [STORED, DEFLATED, ZSTD])
def test_members_read_alike_whatever_their_packing(method: int, tmp_path: Path) -> None:
    assert [run.success for run in read(tmp_path, START, sample(SAMPLE, method=method))] == [1.0]


@pytest.mark.parametrize("method", [DEFLATED, ZSTD])
def test_a_bomb_is_refused_by_its_ratio_before_it_unpacks(method: int, tmp_path: Path) -> None:
    bomb = sample(b'{"id": 1, "store": "' + b"x" * (64 << 20) + b'"}', method=method)
    (tmp_path / "a.eval").write_bytes(zipped(START, bomb))
    tracemalloc.start()
    with pytest.raises(BadLog, match="unpacks beyond 200 to 1: raise the cap on ratio"):
        list(InspectZip().read(tmp_path / "a.eval", Options()))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_long_value_that_nobody_needs_is_passed_over_in_little_memory(tmp_path: Path) -> None:
    text = b'{"id": 1, "store": [' + b'"x\\"]{", {"a": [1]},' * 200_000 + b'1], "epoch": 3}'
    (tmp_path / "a.eval").write_bytes(zipped(START, sample(text)))
    tracemalloc.start()
    runs = list(InspectZip().read(tmp_path / "a.eval", Options(Caps(ratio=1e9))))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert [run.repeat for run in runs] == ["3"]


def test_every_cap_is_kept_and_says_which_it_is(tmp_path: Path) -> None:
    two = [sample(SAMPLE), sample(SAMPLE, "samples/2_epoch_1.json")]
    with pytest.raises(BadLog, match="unpacks to more than 120 bytes: raise the cap on unpacked bytes"):
        read(tmp_path, START, *two, unpacked_bytes=120)
    with pytest.raises(BadLog, match="more than 2 members: raise the cap on members"):
        read(tmp_path, START, *two, members=2)
    with pytest.raises(BadLog, match="longer than 1,000 bytes"):
        read(
            tmp_path,
            START,
            sample(b'{"id": "' + random.Random(0).randbytes(300_000).hex().encode() + b'"}'),
            line_bytes=1000,
        )
    with pytest.raises(BadLog, match=r"nested .* 64"):
        read(tmp_path, START, sample(b'{"id": 1, "store": ' + b"[" * 100 + b"]" * 100 + b"}"))
    many = b",".join([b'{"role": "user", "content": "x"}'] * 30)
    with pytest.raises(BadLog, match="messages and calls take more than 10,000 bytes"):
        read(tmp_path, START, sample(b'{"id": 1, "messages": [' + many + b"]}"), line_bytes=10_000)


WRONG: dict[str, tuple[list[Entry], str]] = {
    "checksum": ([START, Entry(ONE, SAMPLE, crc=1)], "checksum"),
    "claims less": ([START, Entry(ONE, SAMPLE, unpacked=5)], "more than the 5 bytes"),
    "claims more": ([START, Entry(ONE, SAMPLE, unpacked=500)], "checksum"),
    "not zstd": ([START, Entry(ONE, SAMPLE, packed_bytes=b"no zstd")], "cannot be unpacked"),
    "not deflate": (
        [START, Entry(ONE, SAMPLE, DEFLATED, packed_bytes=b"\xff" * 9)],
        "cannot be unpacked",
    ),
    "lzma": ([START, Entry(ONE, SAMPLE, 14, packed_bytes=b"x")], "packed by method 14"),
    "far away": ([START, Entry(ONE, SAMPLE, at=2**31)], "ends too early"),
    "elsewhere": ([START, Entry(ONE, SAMPLE, at=0)], "does not stand where"),
    "no header": ([sample(SAMPLE)], "neither header.json nor"),
    "no zip": ([], "neither header.json nor"),
    "a future version": ([Entry("header.json", b'{"version": 4}')], "log version 4"),
    "bad UTF-8": ([START, sample(b'{"id": "\xff"}')], "not JSON"),
    "a huge number": ([START, sample(b'{"id": ' + b"9" * 5000 + b"}")], "not JSON"),
    "twice": ([START, sample(b'{"id": 1, "id": 2, "a": [' + b"1," * (1 << 20) + b"1]}", method=STORED)], "comes twice"),
    "more text": ([START, sample(SAMPLE + b"{}")], "Extra data"),
    "no id": ([START, sample(b"{}")], "without an id"),
    "a list": ([START, sample(b"[]")], "'{' should stand here"),
    "a wild score": ([START, sample(b'{"id": 1, "scores": {"s": {"value": 7}}}')], "'s' is 7, not within"),
    "half a step list": (
        [START, sample(b'{"id": 1, "scores": {"s": {"value": 1, "metadata": {"steps": [true, "x"]}}}}')],
        "step 2 in the metadata of score 's'",
    ),
    "refs from nowhere": ([START, sample(b'{"id": 1, "message_refs": [[0, 1000000000]]}')], "message_refs"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_one_line(what: str, tmp_path: Path) -> None:
    entries, fact = WRONG[what]
    with pytest.raises(BadLog, match=fact) as caught:
        read(tmp_path, *entries)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_member_that_comes_twice_counts_once_and_the_last_holds(tmp_path: Path) -> None:
    runs = read(tmp_path, START, sample(SAMPLE.replace(b'"C"', b'"I"')), sample(SAMPLE))
    assert [run.success for run in runs] == [1.0]


@pytest.mark.parametrize("name", ["../../../etc/x", "/etc/passwd", "C:\\x", "a\nb\x1b[31m", "\ud800"])
def test_names_are_data_and_never_paths(name: str, tmp_path: Path) -> None:
    text = b'{"id": %s, "epoch": 1, "scores": {"s": {"value": 1}}}' % json.dumps(name).encode()
    before = sorted(tmp_path.parent.rglob("*"))
    runs = read(tmp_path, START, sample(text, f"samples/{name}_epoch_1.json"))
    assert [run.success for run in runs] == [1.0]
    assert set(tmp_path.parent.rglob("*")) - set(before) == {tmp_path / "a.eval"}


def test_an_attachment_that_is_named_again_and_again_is_not_put_in_without_end(tmp_path: Path) -> None:
    ref = "attachment://" + "0" * 32
    body = {
        "id": 1,
        "messages": [{"role": "user", "content": ref * 2000}],
        "events": [],
        "attachments": {"0" * 32: "x" * 1_000_000},
    }
    with pytest.raises(BadLog, match="take more than"):
        read(tmp_path, START, sample(json.dumps(body).encode()), ratio=1e9)


def test_a_sample_that_has_only_a_summary_is_an_outcome(tmp_path: Path) -> None:
    said = [
        {"id": "a", "epoch": 1, "scores": {"s": {"value": "I"}}, "limit": "token"},
        {"id": "b", "epoch": 1, "error": "TimeoutError()"},
    ]
    runs = read(tmp_path, START, Entry("_journal/summaries/1.json", json.dumps(said).encode()))
    assert [(run.item, run.success, run.stop, run.fault_code) for run in runs] == [
        ("a", 0.0, Stop.CUT, "token"),
        ("b", None, Stop.FAULT, "TimeoutError"),
    ]


def test_without_zstandard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtra, match=r"pip install 'deadreckon\[logs\]'"):
        list(InspectZip().read(LOGS / "inspect-0.3.285" / "named.eval", Options()))


def test_any_json_comes_back_from_its_pieces() -> None:
    draw = random.Random(7)

    def made(depth: int = 0) -> object:
        kind = draw.random()
        if depth > 5 or kind < 0.3:
            return draw.choice([1, 2.5, None, True, 'a"b\\', "x]y{", "é€😀", "", -1e-9])
        many = range(draw.randrange(5))
        return [made(depth + 1) for _ in many] if kind < 0.65 else {f'"{n}\\': made(depth + 1) for n in many}

    def walked(pieces: Pieces) -> object:
        kind = pieces.kind()
        if draw.random() < 0.3 or kind not in "{[":
            return pieces.value()
        if kind == "[":
            return [walked(pieces) for _ in pieces.elements()]
        return {name: walked(pieces) for name in pieces.names()}

    for _ in range(500):
        value = made()
        text = json.dumps(value, indent=draw.choice([None, 1]), ensure_ascii=draw.random() < 0.5).encode()
        size = draw.choice([1, 2, 7, 1000])
        pieces = Pieces((text[at : at + size] for at in range(0, len(text), size)), "t", Caps())
        assert walked(pieces) == value
        pieces.close()


def test_an_archive_closes_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.eval").write_bytes(zipped(START))
    with Archive(tmp_path / "a.eval", Caps()) as archive:
        assert list(archive.members) == ["_journal/start.json"]
    with pytest.raises(ValueError, match="closed"):
        b"".join(archive.chunks("_journal/start.json"))
