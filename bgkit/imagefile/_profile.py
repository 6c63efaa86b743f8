"""Color profiles: what a picture file says its numbers mean, and the way from there to sRGB.

Eight bits go through LittleCMS (in Pillow) with the perceptual intent, which for the usual
matrix profiles is the relative colorimetric one. LittleCMS takes no sixteen bits from Pillow, so
for those the matrix and the curves of the profile (ICC.1:2022, 9.2 and 10.6, 10.18, 10.31) are
applied here in float. Only :mod:`bgkit.imagefile` uses this module.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Curves",
    "code_points",
    "curves_of_profile",
    "describe",
    "is_srgb",
    "of_lab",
    "srgb_profile",
    "through_lcms",
]

# Linear sRGB to XYZ as ICC sees it: adapted to D50 (Bradford), Y = 1 for white. The values of sRGB's own profile.
_D50_FROM_SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)  # of BT.2020's primaries
_ROWS = 64  # rows converted at once: a band of a wide picture stays in the second-level cache


class Curves(NamedTuple):
    """A color space made of one curve to linear light per channel, and a matrix to linear sRGB."""

    tables: tuple[NDArray[np.float32], ...]  # (65536,) each: linear light of every 16-bit sample
    matrix: NDArray[np.float32]  # (3, 3)
    exponent: float = 1.0  # of luminance, from the light of a scene to that of a display: HLG alone has one

    def to_srgb(self, samples: NDArray[Any]) -> NDArray[np.float32]:
        """Return encoded sRGB, 0..1, of uint8 or uint16 samples of shape (M, N) or (M, N, 3)."""
        step = 257 if samples.dtype == np.uint8 else 1
        tables = [table[::step] for table in self.tables]
        if samples.ndim == 2:  # gray stays gray, so one table holds the whole way
            return np.take(_encode(tables[0] ** np.float32(self.exponent)), samples)
        out = np.empty(samples.shape, np.float32)
        for row in range(0, len(out), _ROWS):
            band = samples[row : row + _ROWS]
            linear = np.stack([table[band[:, :, channel]] for channel, table in enumerate(tables)], -1)
            if self.exponent != 1:
                linear *= (linear @ _LUMINANCE)[:, :, None] ** np.float32(self.exponent - 1)
            out[row : row + _ROWS] = _encode(linear @ self.matrix.T)
        return out


def _encode(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply the sRGB transfer curve in place, in float32, after clipping to what sRGB holds."""
    np.clip(linear, 0, 1, out=linear)
    low = linear <= np.float32(0.0031308)
    small = linear[low] * np.float32(12.92)
    np.power(linear, np.float32(1 / 2.4), out=linear)
    linear *= np.float32(1.055)
    linear -= np.float32(0.055)
    linear[low] = small
    return linear


def curves_of_profile(profile: bytes) -> Curves | None:
    """Return the curves of a gray or RGB matrix profile, or None for one made of tables.

    Raises
    ------
    ValueError, struct.error
        If the profile is broken.
    """
    space, connection, tags = profile[16:20], profile[20:24], _tags(profile)
    if space == b"GRAY" and b"kTRC" in tags:
        return Curves((_curve(tags[b"kTRC"]),), np.eye(3, dtype=np.float32))
    wanted = (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    if space != b"RGB " or connection != b"XYZ " or b"A2B0" in tags or not all(name in tags for name in wanted):
        return None
    columns = [np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536 for name in wanted[:3]]
    matrix = np.linalg.inv(_D50_FROM_SRGB) @ np.stack(columns, -1)
    return Curves(tuple(_curve(tags[name]) for name in wanted[3:]), matrix.astype(np.float32))


def code_points(profile: bytes) -> tuple[int, int, bool] | None:
    """Return primaries, transfer and range by H.273 that an RGB profile says of itself, or None.

    They stand in its tag cicp (ICC.1:2022, 9.2.17), as libjxl writes it. A profile of high dynamic range has tables
    beside it that map its light to paper; "ITUR_2100_PQ_FULL" (W3C note on PQ in PNG) has the tables alone.
    """
    try:
        if profile[16:20] != b"RGB ":
            return None
        tag = _tags(profile).get(b"cicp", b"")
        if tag[:4] == b"cicp" and len(tag) >= 12:
            return tag[8], tag[9], bool(tag[11])
        return (9, 16, True) if describe(profile) == "ITUR_2100_PQ_FULL" else None
    except Exception:  # broken, which converting by it will say
        return None


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Return the tags of a profile (ICC.1:2022, 7.3)."""
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for index in range(min(count, 100)):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        tags[name] = profile[offset : offset + size]
    return tags


@np.errstate(all="ignore")  # a hostile exponent gives infinities, which are clipped
def _curve(tag: bytes) -> NDArray[np.float32]:
    """Return linear light at 65536 even steps from 0 to 1 (ICC.1:2022, 10.6 curv and 10.18 para)."""
    x = np.linspace(0, 1, 65536)
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        values = np.array(struct.unpack_from(f">{min(count, 65536)}H", tag, 12))
        if count < 2:  # none: the identity; one: a gamma
            curve = x ** (values[0] / 256) if count else x
        else:
            curve = np.interp(x, np.linspace(0, 1, len(values)), values / 65535)
    elif tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        if kind > 4:
            raise ValueError("a parametric curve of unknown kind")
        given = np.array(struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)) / 65536
        g, a, b, c, d, e, f = given[0], 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if kind in (1, 2):  # (a x + b)^g + c from -b/a on, c below
            a, b = given[1:3]
            e = f = given[3] if kind == 2 else 0.0
            d = -b / a
        elif kind > 2:
            a, b, c, d = given[1:5]
            e, f = given[5:7] if kind == 4 else (0.0, 0.0)
        curve = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    else:
        raise ValueError("a curve of unknown type")
    return np.clip(curve, 0, 1).astype(np.float32)


def of_lab(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return encoded sRGB, 0..1, of CIELAB of shape (M, N, 3), L* 0..100, white D50 (ICC.1:2022, 6.3.4)."""
    out = np.empty(lab.shape, np.float32)
    from_d50 = np.linalg.inv(_D50_FROM_SRGB).astype(np.float32)
    white = np.array([0.9642, 1.0, 0.8249], np.float32)
    for row in range(0, len(lab), _ROWS):
        band = lab[row : row + _ROWS]
        middle = (band[:, :, 0] + 16) / 116
        root = np.stack([middle + band[:, :, 1] / 500, middle, middle - band[:, :, 2] / 200], -1)
        light = np.where(root > 6 / 29, root**3, (root - np.float32(4 / 29)) * np.float32(3 * (6 / 29) ** 2)) * white
        out[row : row + _ROWS] = _encode(light @ from_d50.T)
    return out


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return an sRGB profile, the same bytes every time: LittleCMS's own, without the date of making."""
    from PIL import ImageCms

    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[24:36] = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    return bytes(made)


def through_lcms(picture: Any, profile: bytes) -> Any:
    """Return a Pillow picture of mode L, RGB, CMYK or LAB as sRGB, mode RGB, by its profile.

    Raises
    ------
    PIL.ImageCms.PyCMSError
        If the profile is broken, or is for another kind of picture.
    """
    from PIL import ImageCms

    return ImageCms.profileToProfile(
        picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )


@lru_cache(maxsize=16)
def is_srgb(profile: bytes) -> bool:
    """Tell whether an RGB profile moves no color of a 9 x 9 x 9 grid by more than one level of 255.

    Most files carry sRGB under one of many names; to send those through LittleCMS would cost time
    and a level here and there.
    """
    from PIL import Image

    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    there = np.asarray(through_lcms(Image.fromarray(grid), profile))
    return int(np.abs(there.astype(int) - grid).max()) <= 1


def describe(profile: bytes) -> str:
    """Return the profile's own name for itself, in one line."""
    from PIL import ImageCms

    text = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    return " ".join(text.split())[:100]
