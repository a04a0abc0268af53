"""ZIP files byte by byte, so that each field can be wrong on purpose."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

STORED, DEFLATED, ZSTD = 0, 8, 93


@dataclass
class Entry:
    """One member; a field that is not None is written in place of the true one."""

    name: str
    data: bytes
    method: int = ZSTD
    crc: int | None = None
    unpacked: int | None = None
    packed_bytes: bytes | None = None
    at: int | None = None


def packed(data: bytes, method: int) -> bytes:
    if method == DEFLATED:
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflater.compress(data) + deflater.flush()
    if method == ZSTD:
        import zstandard

        return zstandard.ZstdCompressor(level=3).compress(data)
    return data


def zipped(*entries: Entry) -> bytes:
    """The archive."""
    out, directory = b"", b""
    for one in entries:
        body = packed(one.data, one.method) if one.packed_bytes is None else one.packed_bytes
        crc = zlib.crc32(one.data) if one.crc is None else one.crc
        size = len(one.data) if one.unpacked is None else one.unpacked
        name = one.name.encode("utf-8", "surrogatepass")
        common = (45, 0x800, one.method, 0, 0, crc, len(body), size, len(name), 0)
        at = len(out) if one.at is None else one.at
        directory += struct.pack("<4s6H3L5H2L", b"PK\1\2", 45, *common, 0, 0, 0, 0, at) + name
        out += struct.pack("<4s5H3L2H", b"PK\3\4", *common) + name + body
    count = min(len(entries), 0xFFFF)
    return out + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(out), 0)
