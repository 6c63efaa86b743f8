"""Reading masks and mattes, whoever made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError, LayerError
from bgkit.layers import as_layer

__all__ = ["read_matte"]


def read_matte(path: Path, *, truth: bool = False) -> NDArray[np.float32]:
    """Read a mask or alpha (M, N), 0..1, from whatever file holds it.

    Of a cutout the alpha channel counts, also where it is empty or full throughout; of a mask, its gray, as of one that
    a user brings. Labels (0 and 1 of 255) are no grays. A prediction may be dark throughout, where a network is sure of
    nothing, so it is taken for labels only if it has two values; a ``truth`` also if it has more.

    Raises
    ------
    ImageError
        If the file cannot be read, or is a color picture without alpha, which shows no mask.
    LayerError
        If it holds labels; the message names the file, too.
    """
    from bgkit.imagefile import read_mask, read_picture

    try:
        samples = read_mask(path)
    except ImageError:
        alpha = read_picture(path).alpha  # where the file is broken, this raises the same error
        if alpha is None:
            raise ImageError(
                f"{path}: expected a mask (gray) or a cutout with an alpha channel, got colors without alpha"
            ) from None
        return alpha
    if not truth and samples.dtype.kind == "u" and np.count_nonzero(np.bincount(samples.ravel())) > 2:
        return np.divide(samples, np.float32(np.iinfo(samples.dtype).max), dtype=np.float32)
    try:
        return as_layer("mask", samples)
    except LayerError as error:
        raise error.at(str(path)) from None
