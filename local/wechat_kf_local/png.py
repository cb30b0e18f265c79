"""Small PNG pictures, made without a library: icons, and a picture for whoever brings none."""

import struct
import zlib

Colour = tuple[int, int, int]


def plain_png(*, side: int = 64, rgb: Colour = (7, 193, 96)) -> bytes:
    """Return a square of one colour."""
    return encode_png(side, bytes(rgb) * side * side)


def encode_png(side: int, pixels: bytes) -> bytes:
    """Encode a square of `side` × `side` pixels, three bytes each, row by row."""
    width = 3 * side
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, len(pixels), width))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + checksum
