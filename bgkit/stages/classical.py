"""Find the subject without a network: GrabCut from the picture's border, and a saliency map.

Both assume that the border shows background, and both work on a reduced picture: regions are found at that size as
well, and later stages refine the edge. They are the baselines that a network has to beat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import cv2
import numpy as np

from bgkit._ext.barrier import barrier_distance
from bgkit.layers import Array
from bgkit.params import Range
from bgkit.stage import stage

Side = Annotated[int, Range(32, 4096, "px", ui=(128, 1024))]


@stage(gives="mask")
def grabcut(
    image: Array,
    *,
    border: Annotated[float, Range(0.1, 45, "% of each side", ui=(1, 10))] = 2.0,
    iterations: Annotated[int, Range(1, 50, "", ui=(1, 10))] = 5,
    side: Side = 480,
) -> Array:
    """Separate the subject from what the picture's border shows, by color models and a graph cut.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The picture.
    border : float
        Width of the frame that is background for certain; larger helps against busy backgrounds, and cuts off
        subjects that reach into it.
    iterations : int
        Rounds of fitting the color models and cutting; more follow the colors further from the first guess.
    side : int
        Longer side of the reduced picture; larger finds finer parts, at more than proportional time.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        0 and 1, with a ramp of one reduced pixel between. All 0 where nothing differs from the border.

    References
    ----------
    C. Rother, V. Kolmogorov and A. Blake, "GrabCut": interactive foreground extraction using iterated graph cuts,
    SIGGRAPH 2004; OpenCV's implementation.

    Examples
    --------
    >>> picture = np.zeros((9, 9, 3))
    >>> picture[3:6, 3:6] = 1
    >>> grabcut(picture)[4]
    array([0., 0., 0., 1., 1., 1., 0., 0., 0.], dtype=float32)
    """
    small = np.rint(_reduce(image, side) * 255).astype(np.uint8)
    rows, cols = small.shape[:2]
    frame = [max(1, round(length * border / 100)) for length in (rows, cols)]
    inner = (slice(frame[0], rows - frame[0]), slice(frame[1], cols - frame[1]))
    labels = np.full((rows, cols), cv2.GC_BGD, np.uint8)
    labels[inner] = cv2.GC_PR_FGD
    if not labels.any() or small.min(axis=(0, 1)).tolist() == small.max(axis=(0, 1)).tolist():
        return np.zeros(image.shape[:2], np.float32)
    cv2.setRNGSeed(0)  # the color models start from k-means
    models = np.zeros((2, 1, 65))
    bgr = np.ascontiguousarray(small[:, :, ::-1])
    cv2.grabCut(bgr, labels, None, models[0], models[1], iterations, cv2.GC_INIT_WITH_MASK)
    found = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.float32)
    return _enlarge(found, image)


@stage(gives="mask")
def saliency(
    image: Array,
    *,
    side: Side = 300,
    passes: Annotated[int, Range(1, 20, "", ui=(3, 6))] = 3,
    center: bool = True,
    contrast: Annotated[float, Range(0.1, 50, "", ui=(5, 20))] = 10.0,
) -> Array:
    """Mark what is salient: regions from which every path to the border crosses a change of color.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The picture.
    side : int
        Longer side of the reduced picture, 300 in the paper; larger shows finer parts, at more time.
    passes : int
        Raster passes of the distance; more follow more winding paths to the border.
    center : bool
        Whether the picture's middle counts more than its corners.
    contrast : float
        Steepness of the last curve; larger makes the mask harder.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        All 0 for a picture of one color. Otherwise stretched to 0..1, so that something is marked in a picture without
        a subject, too.

    References
    ----------
    J. Zhang, S. Sclaroff, Z. Lin, X. Shen, B. Price and R. Mech, Minimum barrier salient object detection at 80 FPS,
    ICCV 2015: MB+ with its border-color map (section 3.2). Unlike there, the midpoint of the last curve is Otsu's
    threshold instead of 0.5.

    Examples
    --------
    >>> picture = np.zeros((9, 9, 3))
    >>> picture[3:6, 3:6] = 1
    >>> saliency(picture)[4].round()
    array([0., 0., 0., 1., 1., 1., 0., 0., 0.], dtype=float32)
    """
    small = _reduce(image, side)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2Lab)
    barrier = np.sum([_barrier(np.ascontiguousarray(lab[:, :, channel]), passes) for channel in range(3)], axis=0)
    found = _stretch(_stretch(barrier) + _border_contrast(lab))
    if not found.any():
        return np.zeros(image.shape[:2], np.float32)
    found = _even_out(found)
    if center:
        found = _stretch(found * _nearness(found.shape))
    found = _stretch(1 / (1 + np.exp(-contrast * (_halve_at_threshold(found) - 0.5))))
    return _enlarge(found.astype(np.float32), image)


def _barrier(values: Array, passes: int) -> Array:
    """Return the minimum barrier distance to the border of one channel."""
    distance = np.full(values.shape, np.inf, np.float32)
    distance[[0, -1], :] = distance[:, [0, -1]] = 0
    barrier_distance(values, passes, distance, values.copy(), values.copy())
    return np.where(np.isfinite(distance), distance, 0)


def _border_contrast(lab: Array) -> Array:
    """Return how far each pixel's color is from the border's, the border side that fits best left out (equation 8)."""
    rows, cols = lab.shape[:2]
    wide = max(1, round(0.1 * max(rows, cols)))
    maps = []
    for part in (lab[:wide], lab[-wide:], lab[:, :wide], lab[:, -wide:]):
        colors = part.reshape(-1, 3).astype(np.float64)
        spread = np.cov(colors, rowvar=False, bias=True) + np.eye(3)  # + 1 dE*: a flat side has no inverse
        offset = lab.reshape(-1, 3) - colors.mean(axis=0)
        distance = np.sqrt(np.einsum("ij,jk,ik->i", offset, np.linalg.inv(spread), offset)).reshape(rows, cols)
        maps.append(distance / distance.max() if distance.max() > 0 else distance)
    return _stretch(np.sum(maps, axis=0) - np.max(maps, axis=0))


def _even_out(found: Array) -> Array:
    """Smooth inside regions without moving their edges: an opening, then a closing, by reconstruction."""
    from skimage.morphology import reconstruction

    radius = max(1, round(0.02 * np.sqrt(found.mean() * found.size)))  # as in the paper: sqrt of the subject's extent
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    rebuild: Callable[..., Array] = reconstruction
    opened = rebuild(cv2.erode(found, disk), found, method="dilation")
    return rebuild(cv2.dilate(opened, disk), opened, method="erosion")


def _nearness(shape: tuple[int, ...]) -> Array:
    """Return 1 in the middle of the picture, 0 in its corners, linear between."""
    row, col = np.ogrid[: shape[0], : shape[1]]
    middle = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    return 1 - np.hypot(row - middle[0], col - middle[1]) / max(np.hypot(*middle), 1)


def _halve_at_threshold(found: Array) -> Array:
    """Bend values so that Otsu's threshold (IEEE Trans. SMC 9(1), 1979) comes to 0.5 and 0 and 1 stay."""
    level, _ = cv2.threshold(np.rint(found * 255).astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    middle = min(max((level + 0.5) / 255, 0.01), 0.99)
    return np.interp(found, [0, middle, 1], [0, 0.5, 1])


def _stretch(values: Array) -> Array:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _reduce(image: Array, side: int) -> Array:
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    rows, cols = (max(1, round(length * scale)) for length in image.shape[:2])
    return cv2.resize(image, (cols, rows), interpolation=cv2.INTER_AREA)


def _enlarge(mask: Array, image: Array) -> Array:
    rows, cols = image.shape[:2]
    if mask.shape == (rows, cols):
        return mask
    return cv2.resize(mask, (cols, rows), interpolation=cv2.INTER_LINEAR)
