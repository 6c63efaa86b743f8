"""Alpha from a trimap by a network: ViTMatte, IndexNet and their like, driven by cards.

Known pixels keep their alpha. The network runs only on tiles that hold unknown pixels, at full size, so
that memory is that of one tile and time follows the band. Values go in as sRGB, as networks are trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np

from bgkit.layers import BACKGROUND, FOREGROUND, UNKNOWN, Array
from bgkit.models import KnownModel
from bgkit.models.session import network
from bgkit.models.tiling import run_tiled
from bgkit.params import Range
from bgkit.stage import note, stage

__all__ = ["cnn_matting"]

DEFAULT_TILE = 1024

Provider = Literal["cpu", "cuda", "tensorrt", "rocm", "migraphx", "openvino", "coreml", "directml"]


@stage(gives="alpha")
def cnn_matting(
    image: Array,
    trimap: Array,
    *,
    model: Annotated[str, KnownModel("matting")] = "guided-trimap",
    tile: Annotated[int, Range(0, 4096, "px", ui=(0, 2048))] = 0,
    overlap: Annotated[float, Range(0.05, 0.9, "of a tile", ui=(0.1, 0.6))] = 0.25,
    provider: Provider = "cpu",
) -> Array:
    """Estimate alpha in the unknown band of a trimap by a network.

    Parameters
    ----------
    image : ndarray of shape (M, N, 3)
        sRGB, 0..1.
    trimap : ndarray of shape (M, N)
        0 background, 128 unknown, 255 foreground.
    model : str
        A network that takes a picture and a trimap: a name or the path of an ONNX file with a card. The
        default is a guided filter written as a network, so that the stage runs before anything is fetched; its errors
        are larger than those of ``closed_form_matting``. The stage is meant for a trained one (vitmatte-small).
    tile : int
        Rows and columns that the network sees at once; 0 takes the card's. Larger sees more of the
        subject and costs memory.
    overlap : float
        Least share of a tile that its neighbor sees too. More hides seams better and costs time.
    provider : str
        The execution provider of ONNX Runtime. One that is not installed is an error; no other is
        used silently.

    Returns
    -------
    ndarray of shape (M, N)
        Opacity, float32, 0..1; exactly 0 and 1 where the trimap says so.

    Raises
    ------
    ModelError
        If the network cannot be used.

    Notes
    -----
    The run's facts record the network, its file's SHA-256, its license, the provider and the tiles seen.

    References
    ----------
    J. Yao, X. Wang, S. Yang, B. Wang, "ViTMatte: boosting image matting with pre-trained plain vision
    transformers", Information Fusion 2024. H. Lu, Y. Dai, C. Shen, S. Xu, "Indices matter: learning to
    index for deep image matting", ICCV 2019.

    Examples
    --------
    >>> import numpy as np
    >>> cnn_matting(np.zeros((1, 2, 3), np.float32), np.array([[0, 255]], np.uint8))
    array([[0., 1.]], dtype=float32)
    """
    chosen = network(model, provider=provider)
    side = tile or chosen.card.input.tile or DEFAULT_TILE

    def skip(part: Mapping[str, Array]) -> Array | None:
        given = part["trimap"]
        return None if (given == UNKNOWN).any() else np.float32(0) * given

    layers = {"image": image, "trimap": trimap}
    alpha, seen = run_tiled(chosen, layers, tile=side, overlap=int(overlap * side), skip=skip)
    note(**chosen.facts, tiles=seen)
    np.clip(alpha, 0, 1, out=alpha)
    alpha[trimap == BACKGROUND] = 0
    alpha[trimap == FOREGROUND] = 1
    return alpha
