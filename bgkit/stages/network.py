"""A mask by a network, and a mask refined by one: any ONNX file that has a card.

The network sees the whole picture at the size it was trained for and answers with a small map of
how likely each place is foreground, brought back to the picture's size. Values go in as sRGB, as
networks are trained; what its card says is done and nothing else, so a scene without a subject may
well come back as an empty mask. The cost is the network's: the embedded one takes about 25 ms for a
picture of any size, and as much again where the subject is small.

Refinement follows CascadePSP (Cheng, Chung, Tai, Tang 2020): first the whole picture, shrunk, then
overlapping tiles at full size, each fed the answer so far. Tiles that are sure are not looked at.

A network may see a second frame of a film beside picture and mask (Wang, Shen, Shao 2018): it refines by what moves,
and is shown the whole picture, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np

from bgkit.evidence import sureness
from bgkit.layers import Array
from bgkit.models import KnownModel
from bgkit.models.session import network
from bgkit.models.tiling import run_shrunk, run_tiled
from bgkit.params import Range
from bgkit.stage import note, stage

__all__ = ["cascade_refine", "cnn_mask"]

DEFAULT_TILE = 900  # CascadePSP's

Provider = Literal["cpu", "cuda", "tensorrt", "rocm", "migraphx", "openvino", "coreml", "directml"]


@stage(gives="mask")
def cnn_mask(
    image: Array,
    plate: Array | None = None,
    *,
    model: Annotated[str, KnownModel("mask")] = "coarse",
    provider: Provider = "cpu",
) -> Array:
    """Mark the subject by a neural network.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    plate : ndarray of shape (M, N, 3), optional
        The empty scene, for networks whose card asks for it (BackgroundMattingV2); others ignore it.
    model : str
        A network's name, as ``bgkit models list`` shows them, or the path of an ONNX file. The card
        of a file is the TOML file of the same name beside it; without one, the graph is read, the
        rest is assumed, and a warning names the assumptions.
    provider : str
        The execution provider of ONNX Runtime. One that is not installed is an error; no other is
        used silently.

    Returns
    -------
    ndarray of shape (M, N)
        Probability of foreground, float32, 0..1.

    Raises
    ------
    ModelError
        If the network is unknown, not fetched yet, damaged or not what its card says, if it needs a plate
        and there is none, or if the provider is absent.

    Notes
    -----
    The run's facts record the network's name, the SHA-256 of its file, its license and the provider, and how sure the
    network is of what it marks (``sure``, 0..1), which ``merge: evidence`` uses.

    Examples
    --------
    >>> import numpy as np
    >>> cnn_mask(np.zeros((2, 3, 3), np.float32)).shape
    (2, 3)
    """
    chosen = network(model, provider=provider)
    mask = chosen.run({"image": image} if plate is None else {"image": image, "plate": plate})
    note(**chosen.facts, sure=sureness(mask))
    return mask


@stage(gives="mask")
def cascade_refine(
    image: Array,
    mask: Array,
    next: Array | None = None,
    *,
    model: Annotated[str, KnownModel("refinement")] = "guided",
    tile: Annotated[int, Range(0, 4096, "px", ui=(0, 2048))] = 0,
    overlap: Annotated[float, Range(0.05, 0.9, "of a tile", ui=(0.1, 0.6))] = 0.25,
    whole: bool = True,
    sure: Annotated[float, Range(0, 0.5, "", ui=(0, 0.2))] = 0.02,
    provider: Provider = "cpu",
) -> Array:
    """Refine a mask by a network, first as a whole, then tile by tile at full size.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    mask : ndarray of shape (M, N)
        The mask so far, 0..1.
    next : ndarray of shape (M, N, 3), optional
        The film's next frame, or the one before, for networks whose card asks for it (VideoFCN); others ignore it. A
        photograph has none: then the picture itself takes its place, as if nothing moved.
    model : str
        A network that takes a picture and a mask: a name or the path of an ONNX file with a card. The
        default is a guided filter written as a network, which moves edges by a few pixels and leaves the rest. The
        stage is meant for a trained one (CascadePSP).
    tile : int
        Rows and columns that the network sees at once; 0 takes the card's. Larger sees more of the
        subject and costs memory.
    overlap : float
        Least share of a tile that its neighbor sees too. More hides seams better and costs time.
    whole : bool
        Refine the mask of the reduced picture first, which corrects large errors. Off, only edges
        move.
    sure : float
        A tile whose mask is everywhere this close to 0, or to 1, is not refined. Larger is faster.
    provider : str
        The execution provider of ONNX Runtime. One that is not installed is an error; no other is
        used silently.

    Returns
    -------
    ndarray of shape (M, N)
        The refined mask, float32, 0..1.

    Raises
    ------
    ModelError
        If the network cannot be used; see :func:`cnn_mask`.

    Notes
    -----
    Beside the layers and the result, only one tile is in memory. The run's facts count the tiles seen. A network that
    sees the next frame was trained on whole pictures: ``tile``, ``overlap``, ``whole`` and ``sure`` have no effect on
    it, and the facts say whether a ``next`` was given.

    References
    ----------
    H. K. Cheng, J. Chung, Y.-W. Tai, C.-K. Tang, "CascadePSP: toward class-agnostic and very
    high-resolution segmentation via global and local refinement", CVPR 2020. W. Wang, J. Shen, L. Shao, "Video
    salient object detection via fully convolutional networks", IEEE TIP 2018.

    Examples
    --------
    >>> import numpy as np
    >>> cascade_refine(np.zeros((3, 4, 3), np.float32), np.ones((3, 4), np.float32)).min()
    np.float32(1.0)
    """
    chosen = network(model, provider=provider)
    if "next" in chosen.card.layers:
        note(**chosen.facts, next=next is not None)
        return chosen.run({"image": image, "next": image if next is None else next, "mask": mask})
    side = tile or chosen.card.input.tile or DEFAULT_TILE
    refined = mask
    if whole and max(mask.shape) > side:
        refined = run_shrunk(chosen, {"image": image, "mask": mask}, long_side=side)

    def skip(part: Mapping[str, Array]) -> Array | None:
        given = part["mask"]
        return given if given.max() <= sure or given.min() >= 1 - sure else None

    layers = {"image": image, "mask": refined}
    result, seen = run_tiled(chosen, layers, tile=side, overlap=int(overlap * side), skip=skip)
    note(**chosen.facts, tiles=seen)
    return np.clip(result, 0, 1, out=result)
