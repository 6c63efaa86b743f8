"""Find the subject region by region: multi-scale deep features (MDF), and R-CNN as far as it serves a mask.

Both are of the years before networks answered with masks: they cut the picture into regions, describe each by the
features of a network that was taught to classify pictures, and ask a small classifier about it. In the papers the
network runs once for each window of each region, a thousand times a picture; here it runs once, and each window's
features are the mean of the feature map there (He et al. 2014; Girshick 2015). Values go in as sRGB; regions are found
in CIELAB. The cost is that of finding regions, 0.2 to 0.5 s on a reduced picture, whatever the picture's size.
"""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np

from bgkit.layers import Array
from bgkit.models import KnownModel
from bgkit.models.session import Network, network
from bgkit.params import Range
from bgkit.regions import MOST, Tree, context_windows, cut_tree, grow_tree, level_counts, neighbors_of, proposals
from bgkit.stage import note, stage

__all__ = ["region_saliency"]

DUPLICATE = 0.3  # intersection over union above which the lesser of two objects is dropped, as in R-CNN
UNSURE = 0.5  # the chance from which R-CNN takes a region for an object

Provider = Literal["cpu", "cuda", "tensorrt", "rocm", "migraphx", "openvino", "coreml", "directml"]


@stage(gives="mask")
def region_saliency(
    image: Array,
    *,
    method: Literal["mdf", "rcnn"] = "mdf",
    model: Annotated[str, KnownModel("regions")] = "regions",
    side: Annotated[int, Range(32, 2048, "px", ui=(128, 1024))] = 300,
    coherence: Annotated[float, Range(0, 100, "", ui=(0, 5))] = 0.3,
    provider: Provider = "cpu",
) -> Array:
    """Mark the regions that a classifier of deep features takes for the subject.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3), float32, 0..1
        The picture, sRGB.
    method : str
        ``mdf`` scores the regions of several segmentations, fine to coarse, by the features of the region, of its
        neighborhood and of the rest of the picture, and adds the maps. ``rcnn`` scores selective search's proposals
        by a linear classifier, and marks those that are objects, without near duplicates.
    model : str
        A network that scores regions: a name or the path of an ONNX file with a card. ``bgkit fit-regions`` makes one
        from any classifier's features and your pictures.
    side : int
        Longer side of the reduced picture; larger finds finer regions, at more than proportional time.
    coherence : float
        How much the scores of neighboring superpixels of similar color are drawn together; larger joins more, 0 leaves
        each superpixel its own. The paper has 1.
    provider : str
        The execution provider of ONNX Runtime. One that is not installed is an error; no other is
        used silently.

    Returns
    -------
    ndarray of shape (M, N), float32, 0..1
        Constant within a superpixel, so edges are as coarse as these: refine them by a later stage.

    Raises
    ------
    ModelError
        If the network cannot be used; see :func:`cnn_mask`.

    Notes
    -----
    MDF minimizes, over the values a of superpixels whose scores are s,
    sum (a_i - s_i)^2 + coherence * sum w_ij (a_i - a_j)^2 with w_ij = exp(-d_ij^2 / (2 sigma^2)) for neighbors whose
    mean colors differ by d_ij, sigma being the deviation of these differences. The same is done with the map of
    R-CNN. The run's facts count the regions.

    References
    ----------
    G. Li, Y. Yu, "Visual saliency based on multiscale deep features", CVPR 2015. R. Girshick, J. Donahue, T. Darrell,
    J. Malik, "Rich feature hierarchies for accurate object detection and semantic segmentation", CVPR 2014.
    J. R. R. Uijlings et al., "Selective search for object recognition", IJCV 2013. K. He, X. Zhang, S. Ren, J. Sun,
    "Spatial pyramid pooling in deep convolutional networks for visual recognition", ECCV 2014.

    Examples
    --------
    >>> region_saliency(np.zeros((2, 3, 3), np.float32)).shape
    (2, 3)
    """
    chosen = network(model, provider=provider)
    small = _reduce(image, side)
    tree = grow_tree(small)
    score = _mdf if method == "mdf" else _rcnn
    saliency, regions = score(chosen, small, tree)
    superpixels = cut_tree(tree, MOST)[tree.labels]
    count = np.bincount(superpixels.ravel())
    mean = np.bincount(superpixels.ravel(), saliency[tree.labels].ravel()) / count
    values = _coherent(mean, superpixels, small, coherence)
    note(**chosen.facts, regions=regions)
    rows, cols = image.shape[:2]
    found = np.clip(values, 0, 1).astype(np.float32)[superpixels]
    return found if found.shape == (rows, cols) else cv2.resize(found, (cols, rows), interpolation=cv2.INTER_LINEAR)


def _mdf(chosen: Network, image: Array, tree: Tree) -> tuple[Array, int]:
    """Return how salient each leaf is, and of how many regions: a weighted sum over the levels of segmentation."""
    cuts = [cut_tree(tree, count) for count in level_counts(chosen.levels)]
    windows = [context_windows(cut[tree.labels], chosen.grid) for cut in cuts]
    saliency, weights, _ = chosen.score_regions(image, np.concatenate(windows))
    starts = np.cumsum([0, *map(len, windows)])
    maps = [saliency[start:][cut] for start, cut in zip(starts[:-1], cuts, strict=True)]
    return np.tensordot(weights, maps, 1), len(saliency)


def _rcnn(chosen: Network, image: Array, tree: Tree) -> tuple[Array, int]:
    """Return the chance of the best object that each leaf belongs to, and how many proposals there were.

    Objects are the proposals with a chance of one half, and the likeliest in any case, of which near duplicates are
    dropped, the less likely first.
    """
    held, windows = proposals(tree, chosen.grid)
    _, _, chances = chosen.score_regions(image, windows)
    pixels = np.bincount(tree.labels.ravel(), minlength=tree.leaves)
    found = np.zeros(tree.leaves)
    kept: list[Array] = []
    for number in np.argsort(-chances, kind="stable"):
        if kept and chances[number] < UNSURE:
            break
        leaves = held[number]
        if all(pixels[leaves & other].sum() <= DUPLICATE * pixels[leaves | other].sum() for other in kept):
            kept.append(leaves)
            found = np.maximum(found, chances[number] * leaves)
    return found, len(chances)


def _coherent(scores: Array, labels: Array, image: Array, weight: float) -> Array:
    """Return the values of superpixels that stay near their scores and near those of neighbors of like color."""
    pairs = neighbors_of(labels)
    if not len(pairs):
        return scores
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2Lab).reshape(-1, 3)
    sums = [np.bincount(labels.ravel(), lab[:, channel]) for channel in range(3)]
    color = np.stack(sums, 1) / np.bincount(labels.ravel())[:, None]
    apart = np.linalg.norm(color[pairs[:, 0]] - color[pairs[:, 1]], axis=1)
    alike = weight * np.exp(-(apart**2) / (2 * max(apart.var(), 1e-6)))
    system = np.eye(len(scores))
    for one, other in (pairs.T, pairs.T[::-1]):
        system[one, other] -= alike
        np.add.at(system, (one, one), alike)
    return np.linalg.solve(system, scores)


def _reduce(image: Array, side: int) -> Array:
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    rows, cols = (max(1, round(length * scale)) for length in image.shape[:2])
    return cv2.resize(image, (cols, rows), interpolation=cv2.INTER_AREA)
