"""Reading masks and mattes, whoever made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError

__all__ = ["read_matte"]

COLORFUL = 0.1  # JPEG tints gray by a few hundredths at most


def read_matte(path: Path) -> NDArray[np.float32]:
    """Read a mask or alpha (M, N), 0..1, from whatever file holds it.

    Of a cutout the alpha channel counts, also where it is empty or full throughout; of a mask, its
    gray.

    Raises
    ------
    ImageError
        If the file cannot be read, or is a color picture without alpha, which shows no mask.
    """
    from bgkit.imagefile import read_gray, read_picture

    picture = read_picture(path)
    image, alpha = picture.image, picture.alpha
    if alpha is not None and alpha.min() < 1:
        return alpha
    spread = float(np.abs(image - image[:, :, :1]).max())
    if spread == 0 and picture.profile is None:
        return np.ascontiguousarray(image[:, :, 0])
    if spread <= COLORFUL:
        return read_gray(path)  # as numbers, without the color profile that read_picture applied
    if alpha is None:
        raise ImageError(f"{path}: expected a mask (gray) or a cutout with an alpha channel, got colors without alpha")
    return alpha
