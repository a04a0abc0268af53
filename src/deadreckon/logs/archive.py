"""A ZIP archive read as a stream, with a bound on all it can cost.

The standard library's reader knows no zstd members before Python 3.14 and reads a directory of any size. Names are
only compared, never used as paths; where one comes twice the last holds, as in other readers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from deadreckon.errors import BadLog, MissingExtra
from deadreckon.logs.pieces import CHUNK
from deadreckon.logs.record import Caps

STORED, DEFLATED, ZSTD = 0, 8, 93
RATIO_FROM = 1 << 20  # unpacked bytes of a member before the cap on expansion applies
WINDOW = 1 << 27  # bytes, the most a zstd frame may ask to look back
_END = struct.Struct("<4s4H2LH")
_END64_AT = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_NAME = 4096  # bytes of the longest name read


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive."""

    name: str
    raw: bytes  # the name as it stands in the file
    method: int
    packed: int  # bytes
    unpacked: int  # bytes, as the directory claims
    crc: int
    at: int  # of its local header
    locked: bool  # encrypted


class Archive:
    """The members of a ZIP file, by name. BadLog: not a ZIP file, damaged, or beyond a cap."""

    def __init__(self, path: Path, caps: Caps):
        """Reads the directory alone."""
        self.path, self.caps = path, caps
        self._unpacked = 0  # bytes, of all members so far
        try:
            self._file: BinaryIO = path.open("rb")
            self._size = self._file.seek(0, 2)
        except OSError as error:
            raise BadLog(f"{path}: cannot be read: {error.strerror or error}: check the path") from error
        try:
            self.members = {member.name: member for member in self._directory()}
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def chunks(self, name: str) -> Iterator[bytes]:
        """The unpacked bytes of a member, in chunks; its length and checksum are checked at the end."""
        member = self.members[name]
        crc = length = 0
        for chunk in self._inflated(member):
            length += len(chunk)
            self._unpacked += len(chunk)
            if length > member.unpacked:
                raise self._bad(f"{name!r:.80} unpacks to more than the {member.unpacked:,} bytes it claims")
            if length > RATIO_FROM and length > self.caps.ratio * member.packed:
                raise self._cap(f"{name!r:.80} unpacks beyond {self.caps.ratio:g} to 1", "ratio")
            if self._unpacked > self.caps.unpacked_bytes:
                raise self._cap(f"unpacks to more than {self.caps.unpacked_bytes:,} bytes", "unpacked bytes")
            crc = zlib.crc32(chunk, crc)
            if chunk:
                yield chunk
        if length != member.unpacked or crc != member.crc:
            raise self._bad(f"{name!r:.80} fails its checksum")

    def _inflated(self, member: Member) -> Iterator[bytes]:
        if member.locked:
            raise BadLog(f"{self.path}: {member.name!r:.80} is encrypted: unlock the archive first")
        packed = self._packed(member)
        if member.method == STORED:
            return packed
        if member.method == DEFLATED:
            return self._inflated_deflate(member, packed)
        if member.method == ZSTD:
            return self._inflated_zstd(member, packed)
        raise self._bad(f"{member.name!r:.80} is packed by method {member.method}, not deflate or zstd")

    def _inflated_deflate(self, member: Member, packed: Iterator[bytes]) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for raw in packed:
                while raw and not inflater.eof:
                    yield inflater.decompress(raw, CHUNK)
                    raw = inflater.unconsumed_tail
            while not inflater.eof and (rest := inflater.decompress(b"", CHUNK)):
                yield rest
        except zlib.error as error:
            raise self._bad(f"{member.name!r:.80} cannot be unpacked ({error})") from None

    def _inflated_zstd(self, member: Member, packed: Iterator[bytes]) -> Iterator[bytes]:
        try:
            import zstandard
        except ModuleNotFoundError:
            raise MissingExtra(f"{self.path}: a log packed with zstd", "logs") from None
        unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        source = cast(BinaryIO, _Source(packed))
        reader = unpacker.stream_reader(source, read_size=CHUNK, read_across_frames=True)
        try:
            while chunk := reader.read(CHUNK):
                yield chunk
        except zstandard.ZstdError as error:
            raise self._bad(f"{member.name!r:.80} cannot be unpacked ({error})") from None

    def check(self, name: str) -> None:
        """BadLog where the member is not what the directory says, by its own name."""
        self._body(self.members[name])

    def _body(self, member: Member) -> int:
        """Where the packed bytes begin."""
        header = self._read(member.at, _LOCAL.size)
        name: int  # bytes
        extra: int
        *_, name, extra = _LOCAL.unpack(header)
        if header[:4] != b"PK\3\4" or self._read(member.at + _LOCAL.size, name) != member.raw:
            raise self._bad(f"{member.name!r:.80} does not stand where the directory says")
        return member.at + _LOCAL.size + name + extra

    def _packed(self, member: Member) -> Iterator[bytes]:
        at = self._body(member)
        end = at + member.packed
        while at < end:
            chunk = self._read(at, min(CHUNK, end - at))
            yield chunk
            at += len(chunk)

    def _read(self, at: int, size: int) -> bytes:
        """`size` bytes from `at`."""
        if at + size > self._size:
            raise self._bad("it ends too early")
        try:
            self._file.seek(at)
            found = self._file.read(size)
        except OSError as error:
            raise BadLog(f"{self.path}: cannot be read: {error.strerror or error}: copy the file again") from error
        if len(found) != size:
            raise self._bad("it ends too early")
        return found

    def _directory(self) -> Iterator[Member]:
        at, end, claimed = self._directory_place()
        count = 0
        while at < end:
            count += 1
            if count > self.caps.members:
                raise self._cap(f"more than {self.caps.members:,} members", "members")
            fields = _ENTRY.unpack(self._read(at, _ENTRY.size))
            if fields[0] != b"PK\1\2" or fields[10] > _NAME:
                raise self._bad("its directory is damaged")
            rest = self._read(at + _ENTRY.size, fields[10] + fields[11])
            yield self._member(fields, rest[: fields[10]], rest[fields[10] :])
            at += _ENTRY.size + fields[10] + fields[11] + fields[12]
        if at != end or count != claimed:
            raise self._bad("its directory does not hold as many members as it claims")

    def _member(self, fields: tuple[int, ...], name: bytes, extra: bytes) -> Member:
        flags, method, crc, packed, unpacked, at = (*fields[3:5], *fields[7:10], fields[16])
        wide = _wide(extra)
        if unpacked == _FULL32:
            unpacked = next(wide, unpacked)
        if packed == _FULL32:
            packed = next(wide, packed)
        if at == _FULL32:
            at = next(wide, at)
        text = name.decode("utf-8" if flags & 0x800 else "cp437", "replace")
        return Member(text, name, method, packed, unpacked, crc, at, locked=bool(flags & 1))

    def _directory_place(self) -> tuple[int, int, int]:
        """Where the directory begins and ends, and how many members it claims to hold."""
        tail_at = max(0, self._size - _END.size - _FULL16)
        tail = self._read(tail_at, self._size - tail_at)
        found = tail.rfind(b"PK\5\6", 0, max(0, len(tail) - _END.size + 4))
        if found < 0:
            raise BadLog(f"{self.path}: no archive directory at its end, so the file was cut short: copy it again")
        *_, count, size, at, _ = _END.unpack_from(tail, found)
        end = tail_at + found
        pointer = found - _END64_AT.size
        if pointer >= 0 and tail[pointer : pointer + 4] == b"PK\6\7":
            end = _END64_AT.unpack_from(tail, pointer)[2]
            wide = self._read(end, _END64.size)
            if wide[:4] != b"PK\6\6":
                raise self._bad("its directory is damaged")
            *_, count, size, at = _END64.unpack(wide)
        if at + size != end:
            raise self._bad("its directory does not stand where it says")
        return at, end, count

    def _cap(self, fact: str, cap: str) -> BadLog:
        return BadLog(f"{self.path}: {fact}: raise the cap on {cap} if you trust it")

    def _bad(self, fact: str) -> BadLog:
        return BadLog(f"{self.path}: the archive is damaged: {fact}: copy the file again")


class _Source:
    """Chunks as a file for the zstd reader."""

    def __init__(self, chunks: Iterator[bytes]):
        self._chunks = chunks

    def read(self, size: int = -1) -> bytes:
        """The next chunk, which is never longer than what the reader asks for."""
        return next(self._chunks, b"")


def _wide(extra: bytes) -> Iterator[int]:
    """The 64-bit numbers in a directory entry's extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            body = extra[at + 4 : at + 4 + size]
            yield from struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8])
        at += 4 + size
