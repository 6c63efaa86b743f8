"""Finding picture files by name, and reading masks and mattes whoever made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bgkit.errors import ImageError
from bgkit.files import READABLE

__all__ = ["by_name", "read_matte", "without_ending"]

COLORFUL = 0.1  # JPEG tints gray by a few hundredths at most


def by_name(
    folder: Path, endings: tuple[str, ...] = READABLE, *, deep: bool = False
) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return a folder's picture files by name without ending, sorted, and the files that are none.

    With ``deep`` folders within count too, and are part of the name: ``clip/0001``. Hidden files are
    left out.
    """
    found: dict[str, list[Path]] = {}
    others: list[Path] = []
    for path in sorted(folder.rglob("*") if deep else folder.iterdir()):
        within = path.relative_to(folder)
        if not path.is_file() or any(part.startswith(".") for part in within.parts):
            continue
        if path.suffix.lower() in endings:
            found.setdefault(without_ending(within), []).append(path)
        else:
            others.append(path)
    return found, others


def without_ending(path: Path) -> str:
    """Return the path with slashes and without its last ending.

    >>> without_ending(Path("clip/0001.v2.png"))
    'clip/0001.v2'
    """
    return path.with_suffix("").as_posix()


def read_matte(path: Path) -> NDArray[np.float32]:
    """Read a mask or alpha (M, N), 0..1, from whatever file holds it.

    Of a cutout the alpha channel counts, also where it is empty or full throughout; of a mask, its
    gray.

    Raises
    ------
    ImageError
        If the file cannot be read, or is a color picture without alpha, in which no mask can be told.
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
