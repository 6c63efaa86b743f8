"""Color spaces: sRGB, linear light, CIE XYZ and CIELUV, for D65 and the 2 degree observer.

Arrays have shape (..., 3). sRGB is encoded, 0..1; CIELUV has L* 0..100. Distances in CIELUV are
Euclidean and written dE*uv (CIE 15:2004). The color key computes the same in one pass in its
kernel; here the steps stand apart, to be read and to check against.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bgkit._ext import vectors as _vectors
from bgkit._ext.key import to_luv
from bgkit._ext.pointwise import to_shares
from bgkit.threads import threads

__all__ = [
    "dot",
    "from_bytes",
    "largest_channel",
    "linear_from_srgb",
    "luv_from_srgb",
    "luv_from_xyz",
    "luv_of_picture",
    "mean_channel",
    "parse_color",
    "srgb_from_linear",
    "srgb_from_luv",
    "xyz_from_linear",
]

# IEC 61966-2-1, linear sRGB to XYZ, to the digits that scikit-image uses.
XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
WHITE_D65 = np.array([0.95047, 1.0, 1.08883])  # ASTM E308, 2 degree observer

# The sixteen colors of HTML 4.01.
NAMES = {
    "black": 0x000000, "silver": 0xC0C0C0, "gray": 0x808080, "grey": 0x808080, "white": 0xFFFFFF,
    "maroon": 0x800000, "red": 0xFF0000, "purple": 0x800080, "fuchsia": 0xFF00FF, "green": 0x008000,
    "lime": 0x00FF00, "olive": 0x808000, "yellow": 0xFFFF00, "navy": 0x000080, "blue": 0x0000FF,
    "teal": 0x008080, "aqua": 0x00FFFF,
}  # fmt: skip


def dot(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the inner products of colors, or of other vectors along the last axis: as a sum, in a quarter of the time.

    Colors side by side, float32, take a quarter of that again: 1.2 ns each, and 4.7 by ``einsum``, which does the rest.

    >>> dot(np.ones((2, 3)), np.full(3, 2.0))
    array([6., 6.])
    """
    plain = all(each.dtype == np.float32 and each.flags.c_contiguous for each in (a, b))
    if not (plain and a.size and a.shape[-1] == 3 and b.shape in (a.shape, (3,))):
        sums: NDArray[Any] = np.einsum("...i,...i", a, b)
        return sums
    products = np.empty(a.shape[:-1], np.float32)
    _vectors.dot(a.reshape(-1, 3), b.reshape(-1, 3), products.reshape(-1))
    return products


def parse_color(text: str) -> tuple[float, float, float] | None:
    """Return the sRGB color, 0..1, that ``#rgb``, ``#rrggbb`` or a name stands for, or None.

    >>> parse_color("#f00")
    (1.0, 0.0, 0.0)
    """
    if text.lower() in NAMES:
        value = NAMES[text.lower()]
    elif re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        value = int(text[1:], 16)
    elif re.fullmatch(r"#[0-9a-fA-F]{3}", text):
        value = int("".join(digit * 2 for digit in text[1:]), 16)
    else:
        return None
    return (value >> 16) / 255, (value >> 8 & 255) / 255, (value & 255) / 255


def linear_from_srgb(srgb: ArrayLike) -> NDArray[np.float64]:
    """Undo the sRGB transfer curve (IEC 61966-2-1): 0..1 to 0..1."""
    srgb = np.asarray(srgb, np.float64)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(linear: ArrayLike) -> NDArray[np.float64]:
    """Apply the sRGB transfer curve (IEC 61966-2-1): 0..1 to 0..1."""
    linear = np.asarray(linear, np.float64)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def xyz_from_linear(linear: ArrayLike) -> NDArray[np.float64]:
    """Return CIE XYZ, with Y = 1 for white, of linear sRGB."""
    return np.asarray(linear, np.float64) @ XYZ_FROM_RGB.T


def luv_from_xyz(xyz: ArrayLike) -> NDArray[np.float64]:
    """Return CIELUV (CIE 15:2004, 8.2.1 and 8.2.2) of XYZ; black has u* = v* = 0."""
    x, y, z = np.moveaxis(np.asarray(xyz, np.float64), -1, 0)
    lightness = np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, (29 / 3) ** 3 * y)
    denominator = x + 15 * y + 3 * z
    safe = np.where(denominator > 0, denominator, 1.0)
    white_u, white_v = _white_uv()
    u = np.where(denominator > 0, 4 * x / safe - white_u, 0.0)
    v = np.where(denominator > 0, 9 * y / safe - white_v, 0.0)
    return np.stack([lightness, 13 * lightness * u, 13 * lightness * v], -1)


def luv_from_srgb(srgb: ArrayLike) -> NDArray[np.float64]:
    """Return CIELUV of encoded sRGB.

    >>> luv_from_srgb([1.0, 1.0, 1.0]).round(1) + 0
    array([100.,   0.,   0.])
    """
    return luv_from_xyz(xyz_from_linear(linear_from_srgb(srgb)))


def from_bytes(samples: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return samples of 8 bits as 0..1, correctly rounded; NumPy's division takes twice as long.

    >>> from_bytes(np.uint8([[0, 51, 255]]))
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    samples = np.ascontiguousarray(samples)
    shares = np.empty(samples.shape, np.float32)
    rows = (len(samples), samples.size // max(1, len(samples)))
    to_shares(samples.reshape(rows), shares.reshape(rows), threads())
    return shares


def mean_channel(colors: NDArray[Any]) -> NDArray[Any]:
    """Return ``colors.mean(-1)`` of float32 colors, bit by bit, in a tenth of its time.

    >>> mean_channel(np.float32([[0, 0.5, 1]]))
    array([0.5], dtype=float32)
    """
    total: NDArray[Any] = colors[..., 0] + colors[..., 1]
    total += colors[..., 2]
    total /= np.float32(3)
    return total


def largest_channel(colors: NDArray[Any]) -> NDArray[Any]:
    """Return ``colors.max(-1)`` of colors in a tenth of its time."""
    largest: NDArray[Any] = np.maximum(colors[..., 0], colors[..., 1])
    return np.maximum(largest, colors[..., 2], out=largest)


def luv_of_picture(srgb: NDArray[Any]) -> NDArray[np.float32]:
    """Return CIELUV of an encoded picture (M, N, 3) in float32, within 0.012 dE*uv; what is beyond 0..1 is clipped.

    OpenCV's conversion takes three times as long, and 0.1 s for its tables in each process.

    >>> luv_of_picture(np.ones((1, 1, 3))).round(1) + 0
    array([[[100.,   0.,   0.]]], dtype=float32)
    """
    picture = np.ascontiguousarray(srgb, np.float32)
    luv = np.empty(picture.shape, np.float32)
    to_luv(picture, luv)
    return luv


def srgb_from_luv(luv: ArrayLike) -> NDArray[np.float64]:
    """Return encoded sRGB of CIELUV, clipped to 0..1."""
    lightness, u_star, v_star = np.moveaxis(np.asarray(luv, np.float64), -1, 0)
    white_u, white_v = _white_uv()
    safe = np.where(lightness > 0, lightness, 1.0)
    u, v = u_star / (13 * safe) + white_u, v_star / (13 * safe) + white_v
    y = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness * (3 / 29) ** 3)
    v = np.where(v > 1e-9, v, 1e-9)
    xyz = np.stack([y * 9 * u / (4 * v), y, y * (12 - 3 * u - 20 * v) / (4 * v)], -1)
    linear = np.where(lightness[..., None] > 0, xyz, 0.0) @ np.linalg.inv(XYZ_FROM_RGB).T
    return srgb_from_linear(np.clip(linear, 0, 1))


def _white_uv() -> tuple[float, float]:
    x, y, z = WHITE_D65
    total = x + 15 * y + 3 * z
    return 4 * x / total, 9 * y / total
