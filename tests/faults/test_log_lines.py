"""JSON lines from hostile files: a value, or one typed line that says where."""

import json
from pathlib import Path

import pytest

from deadreckon.errors import BadLog
from deadreckon.logs.lines import json_lines, parse_json
from deadreckon.logs.record import Caps


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n  \r\n[1, 2]\r\n"last"')
    assert list(json_lines(file)) == [(1, {"a": 1}), (4, [1, 2]), (5, "last")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"a": 1', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "nested 100000 deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested 65 deep"),
        (b"9" * 5000, "not JSON"),
        (b'"' + b"x" * 2000 + b'"', "longer than"),
    ],
)
def test_a_bad_line_is_one_typed_line_with_its_place(tmp_path: Path, line: bytes, said: str) -> None:
    file = tmp_path / "b.jsonl"
    file.write_bytes(b"1\n" + line + b"\n")
    caps = Caps(line_bytes=1000) if said == "longer than" else Caps()
    with pytest.raises(BadLog, match=said) as caught:
        list(json_lines(file, caps))
    assert f"{file}:2: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_brackets_in_strings_are_no_depth() -> None:
    text = json.dumps(["[" * 200, '\\"[' * 100, "\\" * 7 + '"' + "{" * 99])
    assert parse_json(text, "x") == json.loads(text)
    assert parse_json("[" * 64 + "]" * 64, "x") is not None


def test_a_lone_surrogate_can_be_written_again() -> None:
    text = r'["\ud800", "\ud83d\ude00", "\\ud800", "\udc00x"]'
    value = parse_json(text, "x")
    assert value == ["�", "😀", r"\ud800", "�x"]
    assert "".join(value).encode()


def test_what_would_fill_memory_is_refused_unparsed() -> None:
    with pytest.raises(BadLog, match="MiB"):
        parse_json(b"[" + b"{}," * 5_000_000 + b"{}]", "x")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadLog, match="cannot be read"):
        list(json_lines(tmp_path / "none.jsonl"))
