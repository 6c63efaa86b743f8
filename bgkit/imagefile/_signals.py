"""Color spaces that are given by numbers or names instead of an ICC profile.

The code points of ITU-T H.273 (cICP of PNG, nclx of HEIC and AVIF), gAMA and cHRM of PNG, and what EXIF says
of Adobe RGB. All become a curve to linear light for each channel and a matrix to linear sRGB.

High dynamic range (PQ and HLG of ITU-R BT.2100) comes out as on a display of plain range: the reference white of
ITU-R BT.2408, 203 cd/m2, is white, and what is brighter is clipped. Everything up to white keeps its color, so that
a white ground stays white; a curve that makes room for highlights would turn it gray.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bgkit.imagefile._profile import Curves

__all__ = ["SRGB", "Space", "adobe_rgb", "of_chunks", "of_code_points"]

_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_XYZ_FROM_SRGB = np.array(
    [[0.4123908, 0.3575843, 0.1804808], [0.2126390, 0.7151687, 0.0721923], [0.0193308, 0.1191948, 0.9505322]]
)
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_SRGB_CHROMATICITIES = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # white, red, green, blue
_ADOBE_CHROMATICITIES = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_PRIMARIES = {  # H.273, table 2: name; white, red, green, blue
    1: ("BT.709", _SRGB_CHROMATICITIES),
    4: ("BT.470 M", (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08)),
    5: ("BT.470 B/G", (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06)),
    6: ("BT.601", (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    7: ("ST 240", (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)),
    8: ("film", (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049)),
    9: ("BT.2020", (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)),
    10: ("XYZ", (1 / 3, 1 / 3, 1, 0, 0, 1, 0, 0)),
    11: ("DCI-P3", (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    12: ("Display P3", (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)),
    22: ("EBU 3213", (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077)),
}
_WHITE = 203  # cd/m2, BT.2408
_STEPS = 65536


class Space(NamedTuple):
    """A color space by its name; without curves it is sRGB."""

    name: str
    curves: Curves | None = None
    note: str = ""  # what the user should know of the conversion


SRGB = Space("sRGB")


def of_code_points(primaries: int, transfer: int, full_range: bool = True, depth: int = 8) -> Space | None:
    """Return what the code points of H.273 mean, or None where they say nothing.

    The curves of television (1, 6, 7, 11, 14, 15) are those of cameras; displays show such pictures by a curve
    close to sRGB's, browsers by sRGB's itself, and so it is taken here.
    """
    if primaries == 2 and transfer == 2:
        return None
    x = np.linspace(0, 1, _STEPS)
    if not full_range:  # 16..235 of 255; of 16 bits 256 times that of 65535 (H.273, 8.3)
        x = np.clip((x * (255 if depth <= 8 else 65535 / 256) - 16) / 219, 0, 1)
    note, exponent = "", 1.0
    if transfer in (1, 2, 6, 7, 11, 13, 14, 15):
        curve, what = _srgb_light(x), "sRGB"
    elif transfer in (4, 5):
        gamma = 2.2 if transfer == 4 else 2.8
        curve, what = x**gamma, f"gamma {gamma:g}"
    elif transfer == 8:
        curve, what = x, "linear"
    elif transfer == 16:
        curve, what = _pq_light(x) * (10000 / _WHITE), "PQ"
    elif transfer == 17:
        curve, what = x**2.6 * (52.37 / 48), "gamma 2.6"
    elif transfer == 18:
        curve, what, exponent = _hlg_light(x) / _hlg_light(np.array(0.75)), "HLG", 1.2
    else:
        curve, what = _srgb_light(x), "sRGB"
        note = f"its transfer curve (code {transfer} of H.273) is not known to bgkit and is taken as sRGB's"
    if what in ("PQ", "HLG"):
        note = f"high dynamic range ({what}): {_WHITE} cd/m2 is taken as white, what is brighter is clipped to it"
    name, chromaticities = _PRIMARIES.get(primaries, _PRIMARIES[1])
    if primaries not in (*_PRIMARIES, 2):
        note = f"its primaries (code {primaries} of H.273) are not known to bgkit and are taken as sRGB's"
    matrix = _to_srgb_primaries(chromaticities)
    if name == "BT.709" and what == "sRGB" and full_range:
        return SRGB._replace(note=note)
    assert matrix is not None
    return Space(f"{name}, {what}", Curves((curve.astype(np.float32),) * 3, matrix, exponent), note)


def _pq_light(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light of 0..1 for 0..10000 cd/m2 (BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    power = x ** (1 / m2)
    return np.asarray((np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))


def _hlg_light(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the light of the scene, 0..1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(x <= 0.5, x**2 / 3, (np.exp((x - c) / a) + b) / 12))


def _srgb_light(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4))


def _to_srgb_primaries(chromaticities: tuple[float, ...]) -> NDArray[np.float32] | None:
    """Return the matrix from linear light of other primaries to linear sRGB, white to white (Bradford).

    None where the primaries span no space.
    """
    xy = np.array(chromaticities, np.float64).reshape(4, 2)
    if np.allclose(chromaticities, _SRGB_CHROMATICITIES, atol=1e-6):
        return np.eye(3, dtype=np.float32)
    lengths = np.where(xy[:, 1] > 0, xy[:, 1], 1)  # of the primaries only the direction counts; white has a height
    xyz = np.column_stack([xy[:, 0], xy[:, 1], 1 - xy.sum(1)]) / lengths[:, None]
    primaries = xyz[1:].T
    if xy[0, 1] <= 0 or abs(np.linalg.det(primaries)) < 1e-6:
        return None
    primaries = primaries * np.linalg.solve(primaries, xyz[0])
    cones = _BRADFORD @ _XYZ_FROM_SRGB.sum(1), _BRADFORD @ xyz[0]
    if not np.abs(cones[1]).min() > 1e-6:
        return None
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(cones[0] / cones[1]) @ _BRADFORD
    matrix = np.linalg.inv(_XYZ_FROM_SRGB) @ adapt @ primaries
    return matrix.astype(np.float32) if np.abs(matrix).max() < 1e3 else None


def of_chunks(
    gamma: float | None,
    chromaticities: tuple[float, ...] | None,
    form: str = "PNG",
    curves: NDArray[np.float64] | None = None,
) -> Space | None:
    """Return what gAMA and cHRM of a PNG say, or their like in another format; None where they say nothing.

    A gamma within 5 % of 1/2.2 is what most programs write when they mean sRGB; it is taken so, but for primaries that
    are not sRGB's: under those of Adobe RGB it is the curve. ``curves`` stand in its place: linear light, 0..1, of
    evenly spaced samples, one row for all channels or one for each.
    """
    if gamma is None and chromaticities is None and curves is None:
        return None
    usual = chromaticities is None or np.allclose(chromaticities, _SRGB_CHROMATICITIES, atol=0.005)
    plain = gamma is None or not 0.01 < gamma < 100 or (usual and abs(gamma * 2.2 - 1) <= 0.05)
    if curves is not None:
        plain = np.allclose(curves, _srgb_light(np.linspace(0, 1, curves.shape[1])), atol=0.005)
    if plain and usual:
        return SRGB
    matrix = np.eye(3, dtype=np.float32)
    if not usual:
        assert chromaticities is not None
        if (np.array(chromaticities[3::2]) <= 0).any():
            return SRGB
        found = _to_srgb_primaries(chromaticities)
        if found is None:
            return SRGB
        matrix = found
    x = np.linspace(0, 1, _STEPS)
    if curves is not None and not plain:
        tables = [np.interp(x, np.linspace(0, 1, len(row)), row).astype(np.float32) for row in curves]
        return Space(f"{form} curves", Curves(tuple(tables * (3 // len(tables))), matrix))
    if plain or gamma is None:
        return Space(f"{form} primaries", Curves((_srgb_light(x).astype(np.float32),) * 3, matrix))
    return Space(f"{form} gamma {gamma:g}", Curves(((x ** (1 / gamma)).astype(np.float32),) * 3, matrix))


def adobe_rgb() -> Space:
    """Return Adobe RGB (1998), section 4.3."""
    matrix = _to_srgb_primaries(_ADOBE_CHROMATICITIES)
    assert matrix is not None
    curve = np.linspace(0, 1, _STEPS) ** (563 / 256)
    return Space("Adobe RGB (by EXIF)", Curves((curve.astype(np.float32),) * 3, matrix))
