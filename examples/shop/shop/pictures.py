"""Pictures without a library: draw one, scale it, write and read it as PNG."""

import math
import struct
import zlib
from dataclasses import dataclass

SUN = b"\xff\xe0\x60"
SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """Rows of pixels from the top, three bytes (red, green, blue) for each pixel."""

    width: int
    height: int
    rows: tuple[bytes, ...]

    def scaled(self, width: int) -> "Picture":
        """Return the picture in a smaller width, each pixel the mean of those it stands for."""
        step = self.width // width
        bands = (self.rows[y : y + step] for y in range(0, self.height - step + 1, step))
        rows = tuple(_means(band, step, width) for band in bands)
        return Picture(width, len(rows), rows)

    def to_png(self) -> bytes:
        # 8 bits for each of three colours; every row starts with filter 0, "as it is".
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + row for row in self.rows))
        return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")

    @classmethod
    def from_png(cls, data: bytes) -> "Picture":
        """Read a picture that `to_png` wrote; other PNG files may need more than this knows."""
        width, height = struct.unpack(">II", data[16:24])
        (length,) = struct.unpack(">I", data[33:37])
        pixels = zlib.decompress(data[41 : 41 + length])
        step = 1 + 3 * width
        rows = tuple(pixels[y * step + 1 : (y + 1) * step] for y in range(height))
        return cls(width, height, rows)


def draw(seed: int, width: int = 160, height: int = 120) -> Picture:
    """Return a sun over the sea; the seed chooses the sun's place and the time of day."""
    sun_x, sun_y, radius = width * (seed * 7 % 10 + 1) // 12, height // 4, height // 8
    night = seed * 37 % 120
    sea, horizon = bytes((0, 60, 160 - night)), height * 2 // 3

    def colour(x: int, y: int) -> bytes:
        if math.hypot(x - sun_x, y - sun_y) < radius:
            return SUN
        return sea if y > horizon else bytes((200 - night, 150 - night // 2 + y // 2, 220))

    rows = (b"".join(colour(x, y) for x in range(width)) for y in range(height))
    return Picture(width, height, tuple(rows))


def _means(band: tuple[bytes, ...], step: int, width: int) -> bytes:
    """Return one row: the mean colour of each square of `step` by `step` pixels."""
    area = step * step
    return bytes(
        sum(sum(row[start : start + 3 * step : 3]) for row in band) // area
        for x in range(width)
        for start in range(3 * step * x, 3 * step * x + 3)
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
