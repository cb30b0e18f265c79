"""Icons for the demo shops: rosettes drawn by a formula and encoded as PNG."""

import math
from dataclasses import dataclass
from itertools import product

from wechat_kf_local.png import Colour, encode_png

SIDE = 120
_SAMPLES = 3
"""Samples per pixel and direction, averaged for smooth edges."""


@dataclass(frozen=True, slots=True)
class Rosette:
    """A flower of `petals` around a heart; `depth` (0 to 1) is how far they are notched."""

    petals: int
    depth: float
    ground: Colour
    petal: Colour
    heart: Colour

    def colour_at(self, x: float, y: float) -> Colour:
        """Return the colour at a point of the square from -1 to 1."""
        radius, angle = math.hypot(x, y), math.atan2(x, y)
        if radius < 0.2:
            return self.heart
        notch = (1 - math.cos(self.petals * angle)) / 2
        if 0.26 < radius < 0.74 * (1 - self.depth * notch):
            return self.petal
        return self.ground


def png(rosette: Rosette) -> bytes:
    """Encode the rosette as a PNG of `SIDE` × `SIDE` pixels."""
    pixels = (_pixel(rosette, x, y) for y in range(SIDE) for x in range(SIDE))
    return encode_png(SIDE, b"".join(pixels))


def _pixel(rosette: Rosette, column: int, row: int) -> bytes:
    steps = [(step + 0.5) / _SAMPLES for step in range(_SAMPLES)]
    samples = [
        rosette.colour_at(_scaled(column + across), _scaled(row + down))
        for across, down in product(steps, steps)
    ]
    return bytes(sum(channel) // len(samples) for channel in zip(*samples, strict=True))


def _scaled(position: float) -> float:
    return 2 * position / SIDE - 1
